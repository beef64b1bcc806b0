#include <stdlib.h>
#include <string.h>
#include <math.h>
static int cmp(const void*a, const void*b) {
  double x = *(const double*)a, y = *(const double*)b;
  return x < y?-1:x>y;
}

double sorted_numbers(double *x, int n) {
  double t[6];
  for (int i = 0;i < n;i++) t[i] = sin(3*x[i]);
  qsort(t, n, sizeof(double), cmp);
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*t[i]*(i+1);
  return s;
}

double sorted_in_place(double *x, int n) {
  qsort(x, n, sizeof(double), cmp);
  double s = 0;
  for (int i = 0;i < n;i++) s += x[i]*x[i]*(i+1);
  return s;
}

struct V {
  double v;
  int n;
};

static int cmpv(const void*a, const void*b) {
  const struct V*x = a, *y = b;
  return x->v < y->v?-1:x->v>y->v;
}

double sorted_records(double *x, int n) {
  struct V t[6];
  for (int i = 0;i < n;i++) {
    t[i].v = sin(3*x[i]);
    t[i].n = i;
  }
  qsort(t, n, sizeof(struct V), cmpv);
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i].v*t[i].v*(i+1)*t[i].n;
  return s;
}

static int cmpp(const void*a, const void*b) {
  double x = **(double*const*)a, y = **(double*const*)b;
  return x < y?-1:x>y;
}

double sorted_pointers(double *x, int n) {
  double *t[6];
  for (int i = 0;i < n;i++) t[i] = x+i;
  qsort(t, n, sizeof(double*), cmpp);
  double s = 0;
  for (int i = 0;i < n;i++) s += *t[i]* *t[i]*(i+1);
  return s;
}

static int cmpi(const void*a, const void*b) {
  return *(const int*)a-*(const int*)b;
}

double sorted_indices(double *x, int n) {
  int t[6] = {3, 1, 2, 0, 5, 4};
  qsort(t, n, sizeof(int), cmpi);
  double s = 0;
  for (int i = 0;i < n;i++) s += x[t[i]]*x[i]*(i+1);
  return s;
}

double found_by_bisection(double *x, int n) {
  double t[6];
  for (int i = 0;i < n;i++) t[i] = i+x[i]*.1;
  double k = t[3];
  double *p = bsearch(&k, t, n, sizeof(double), cmp);
  return p? *p * *p : 0;
}

double insertion_sort(double *x, int n) {
  for (int i = 1;i < n;i++) {
    double k = x[i];
    int j = i-1;
    while (j >= 0 && x[j]>k) {
      x[j+1] = x[j];
      j--;
    }
    x[j+1] = k;
  }
  double s = 0;
  for (int i = 0;i < n;i++) s += x[i]*(i+1)*x[i];
  return s;
}

__attribute__((noinline)) static void axpy(double*p, double*q, int n) {
  for (int i = 0;i < n;i++) p[i] = p[i]*q[n-1-i]+sin(q[i]);
}

double same_array_twice(double *x, int n) {
  axpy(x, x, n);
  double s = 0;
  for (int i = 0;i < n;i++) s += x[i]*x[i];
  return s;
}

static void raxpy(double*p, double*q, int n) {
  if (n>0) {
    p[n-1] = p[n-1]*q[0];
    raxpy(p, q, n-1);
    q[n-1] = sin(q[n-1]*p[n-1]);
  }
}

double same_array_in_recursion(double *x, int n) {
  raxpy(x, x, n);
  double s = 0;
  for (int i = 0;i < n;i++) s += x[i]*x[i];
  return s;
}

double overlap_in_recursion(double *x, int n) {
  raxpy(x, x+1, n-1);
  double s = 0;
  for (int i = 0;i < n;i++) s += x[i]*x[i];
  return s;
}

static __attribute__((pure, noinline)) double pur(const double*restrict p, int n) {
  return n <= 0?p[0]:pur(p+1, n-1)*p[0];
}

double pure_function(double *x, int n) {
  double a = pur(x, 3);
  x[0] = a*x[1];
  double b = pur(x, 4);
  return a*b;
}
