#include <stdlib.h>
#include <math.h>
struct nd {
  int k;
  double v;
  struct nd *next;
};

static void setv(struct nd *p, double v, int n) {
  if (n) {
    setv(p, v*v, n-1);
    return;
  }
  p->v = v;
}

static double getv(struct nd *p, int n) {
  return n? getv(p, n-1)*p->v : p->v;
}

double set_by_callee(double *x, int n) {
  struct nd *p = malloc(sizeof *p);
  p->k = 3;
  p->next = 0;
  setv(p, x[0], 1);
  double r = getv(p, 2)*p->k;
  free(p);
  return r;
}

double set_on_stack_by_callee(double *x, int n) {
  struct nd p;
  p.k = 3;
  p.next = 0;
  setv(&p, x[0], 1);
  return getv(&p, 2)*p.k;
}

static double chain(struct nd *p) {
  return p? p->v*p->v+chain(p->next)*0.5 : 0;
}

double chain_in_array(double *x, int n) {
  struct nd a[6];
  for (int i = 0;i < n;i++) {
    a[i].v = x[i]*x[i];
    a[i].k = i;
    a[i].next= i+1 < n? a+i+1:0;
  }
  return chain(a);
}

static struct nd* build(double*x, int n) {
  if (!n) return 0;
  struct nd*p = malloc(sizeof*p);
  p->k = n;
  p->v = x[0]*x[0];
  p->next = build(x+1, n-1);
  return p;
}

static void scale(struct nd*p, double f) {
  if (p) {
    p->v *= f*p->k;
    scale(p->next, p->v);
  }
}

static void fr(struct nd*p) {
  if (p) {
    fr(p->next);
    free(p);
  }
}

double chain_of_blocks(double *x, int n) {
  struct nd*p = build(x, n);
  scale(p, x[1]);
  double s = chain(p);
  fr(p);
  return s;
}

static struct nd* rev(struct nd*p, struct nd*acc) {
  if (!p) return acc;
  struct nd*q = p->next;
  p->next = acc;
  return rev(q, p);
}

double reversed_chain(double *x, int n) {
  struct nd*p = build(x, n);
  p = rev(p, 0);
  scale(p, x[1]);
  double s = chain(p);
  fr(p);
  return s;
}

double chain_that_stays(double *x, int n) {
  struct nd*p = build(x, n);
  return chain(p);
}
