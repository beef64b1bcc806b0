#include <stdlib.h>
#include <string.h>
#include <math.h>
struct S {
  double a;
  int k;
  double *p;
  float f;
};

static double use(struct S s) {
  return s.a*s.k*s.p[0]*s.f;
}

double passed_by_value(double *x, int n) {
  struct S s = {x[0]*x[1], 3, x, (float)x[2]};
  return use(s);
}

static void useptr(struct S *s) {
  s->a *= s->p[0];
  s->k++;
  s->f *= 2;
}

double passed_by_pointer(double *x, int n) {
  struct S s = {x[0]*x[1], 3, x, (float)x[2]};
  for (int i = 0;i < 3;i++) useptr(&s);
  return s.a*s.k*s.f;
}

double array_of_structs(double *x, int n) {
  struct S *s = malloc(n*sizeof *s);
  for (int i = 0;i < n;i++) {
    s[i].a = x[i];
    s[i].k = i;
    s[i].p = x+i;
    s[i].f = x[i];
  }
  double r = 0;
  for (int i = 0;i < n;i++) r += s[i].a*s[n-1-i].k*s[i].p[0]*s[i].f;
  free(s);
  return r;
}

double copied_array(double *x, int n) {
  struct S *s = malloc(n*sizeof *s), *t = malloc(n*sizeof *t);
  for (int i = 0;i < n;i++) {
    s[i].a = x[i];
    s[i].k = i;
    s[i].p = x+i;
    s[i].f = x[i];
  }
  memcpy(t, s, n*sizeof *s);
  double r = 0;
  for (int i = 0;i < n;i++) r += t[i].a*t[n-1-i].k*t[i].p[0]*t[i].f*s[i].a;
  free(s);
  free(t);
  return r;
}

double assigned_structs(double *x, int n) {
  struct S s[3], t;
  for (int i = 0;i < 3;i++) {
    s[i].a = x[i];
    s[i].k = i+1;
    s[i].p = x+i;
    s[i].f = x[i];
  }
  double r = 0;
  for (int i = 0;i < 3;i++) {
    t = s[(i+1)%3];
    r += t.a*t.k*t.p[0]*t.f;
    s[i] = t;
  }
  return r*s[0].a;
}

double insertion_sort_of_structs(double *x, int n) {
  struct S s[6];
  for (int i = 0;i < n;i++) {
    s[i].a = x[i];
    s[i].k = i+1;
    s[i].p = x+i;
    s[i].f = x[i];
  }
  for (int i = 1;i < n;i++) for (int j = i;j>0 && s[j].a < s[j-1].a;j--) {
    struct S t = s[j];
    s[j] = s[j-1];
    s[j-1] = t;
  }
  double r = 0;
  for (int i = 0;i < n;i++) r += s[i].a*s[i].k*s[i].p[0]*(i+1)*s[i].f;
  return r;
}

struct P {
  double x, y;
};

static struct P mul(struct P a, struct P b) {
  struct P r = {a.x*b.x-a.y*b.y, a.x*b.y+a.y*b.x};
  return r;
}

double pairs_of_doubles(double *x, int n) {
  struct P a = {x[0], x[1]};
  for (int i = 2;i < n;i++) {
    struct P b = {x[i], x[i-1]};
    a = mul(a, b);
  }
  return a.x+2*a.y;
}

struct F {
  float x, y;
};

static struct F mulf(struct F a, struct F b) {
  struct F r = {a.x*b.x-a.y*b.y, a.x*b.y+a.y*b.x};
  return r;
}

__attribute__((noinline)) static struct F mulr(struct F a, struct F b, int n) {
  if (n <= 0) return a;
  return mulf(mulr(a, b, n-1), b);
}

double pairs_of_floats(double *x, int n) {
  struct F a = {x[0], x[1]};
  for (int i = 2;i < n;i++) {
    struct F b = {x[i], x[i-1]};
    a = mulf(a, b);
  }
  return a.x+2*a.y;
}

struct Big {
  double m[4];
  int tag;
  double z;
};

static struct Big mkbig(double v, int n) {
  if (n>0) {
    struct Big b = mkbig(v*v, n-1);
    b.z += v;
    b.tag++;
    return b;
  }
  struct Big b;
  for (int i = 0;i < 4;i++) b.m[i] = v*i;
  b.tag = 2;
  b.z = v*v;
  return b;
}

double returned_struct(double *x, int n) {
  struct Big b = mkbig(x[0], 0);
  struct Big c = b;
  c.m[1] *= x[1];
  return b.m[1]*c.m[1]*c.tag*b.z;
}

double returned_by_recursion(double *x, int n) {
  struct Big b = mkbig(x[0], 3);
  struct Big c = b;
  c.m[1] *= x[1];
  return b.m[1]*c.m[1]*c.tag*b.z;
}

static double byvalrec(struct Big b, int n) {
  if (n == 0) return b.m[1]*b.z*b.tag;
  b.m[1] *= b.z;
  b.tag++;
  return byvalrec(b, n-1)*b.m[2];
}

double by_value_in_recursion(double *x, int n) {
  struct Big b;
  for (int i = 0;i < 4;i++) b.m[i] = x[i]*x[i+1];
  b.tag = 1;
  b.z = x[5];
  return byvalrec(b, 3);
}

struct N1 {
  int id;
  struct P p[2];
  struct {
    float w;
    int q;
  }  in;
};

double nested_structs(double *x, int n) {
  struct N1 a[3];
  memset(a, 0, sizeof a);
  for (int i = 0;i < 3;i++) {
    a[i].id = i+1;
    a[i].p[0].x = x[i];
    a[i].p[1].y = x[i+1];
    a[i].in.w = x[i];
    a[i].in.q = 2*i;
  }
  double r = 0;
  struct N1 c;
  for (int i = 0;i < 3;i++) {
    c = a[2-i];
    r += c.id*c.p[0].x*c.p[1].y*a[i].in.w*c.in.q+c.p[1].x;
  }
  return r;
}

struct V {
  double v;
  int n;
};

double copied_in_loop(double *x, int n) {
  struct V a[6], b[6];
  for (int i = 0;i < n;i++) {
    a[i].v = x[i];
    a[i].n = i;
  }
  for (int k = 0;k < 2;k++) {
    for (int i = 0;i < n;i++) {
      b[i] = a[(i+1)%n];
      b[i].v *= x[i];
      b[i].n++;
    }
    memcpy(a, b, sizeof a);
  }
  double r = 0;
  for (int i = 0;i < n;i++) r += a[i].v*a[i].n;
  return r;
}

double moved_up(double *x, int n) {
  struct V *a = malloc((n+1)*sizeof *a);
  for (int i = 0;i < n;i++) {
    a[i].v = x[i]*x[i];
    a[i].n = i;
  }
  memmove(a+1, a, n*sizeof *a);
  a[0].v = x[2];
  a[0].n = 7;
  double r = 0;
  for (int i = 0;i <= n;i++) r += a[i].v*a[i].n*a[n-i].v;
  free(a);
  return r;
}

double partly_cleared(double *x, int n) {
  struct V *a = malloc(n*sizeof *a);
  memset(a, 0, n*sizeof *a);
  for (int i = 0;i < n;i++) {
    a[i].v += x[i]*x[i];
    a[i].n += i;
  }
  memset(a+1, 0, 2*sizeof *a);
  double r = 0;
  for (int i = 0;i < n;i++) r += a[i].v*a[i].n*a[n-i-1].v;
  free(a);
  return r;
}

union U {
  double d;
  long l;
};

double union_of_one_use(double *x, int n) {
  union U u;
  u.d = x[0]*x[1];
  return u.d*u.d;
}

union T {
  struct {
    int tag;
    double d;
  }  a;
  struct {
    int tag;
    float f;
    int z;
  }  b;
};

double tagged_union(double *x, int n) {
  union T u[3];
  double r = 0;
  for (int i = 0;i < 3;i++) {
    if (i&1) {
      u[i].b.tag = 1;
      u[i].b.f = x[i];
      u[i].b.z = 2;
    }  else {
      u[i].a.tag = 0;
      u[i].a.d = x[i];
    }
  }
  for (int i = 0;i < 3;i++) r += u[i].a.tag? u[i].b.f*u[i].b.z : u[i].a.d*u[i].a.d;
  return r;
}
