#include <stdlib.h>
#include <string.h>
#include <math.h>
double variable_matrix(double *x, int n) {
  double t[n][2];
  for (int i = 0;i < n;i++) {
    t[i][0] = x[i]*x[i];
    t[i][1] = x[i];
  }
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i][0]*t[0][1];
  return s;
}

double left_early(double *x, int n) {
  double s = 0;
  for (int k = 1;k <= n;k++) {
    double t[k];
    if (k == 3) continue;
    for (int i = 0;i < k;i++) t[i] = x[i]*x[i];
    if (k == 5) break;
    for (int j = 1;j < k;j++) {
      double u[j];
      for (int i = 0;i < j;i++) u[i] = t[i]*t[j];
      s += u[j-1];
    }
  }
  return s;
}

double after_a_return(double *x, int n) {
  if (x[0]>100) return 0;
  double t[n];
  for (int i = 0;i < n;i++) t[i] = sin(x[i]);
  if (x[1]>50) return t[0];
  for (int k = 0;k < 3;k++) for (int i = 0;i < n;i++) t[i] *= t[(i+k)%n];
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i];
  return s;
}

static double in(double*x, int n) {
  double *t = __builtin_alloca(n*sizeof(double));
  for (int i = 0;i < n;i++) t[i] = x[i]*x[i];
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*t[0];
  return s;
}

double inlined_alloca(double *x, int n) {
  double s = 0;
  for (int k = 1;k < n;k++) s += in(x, k)*x[k];
  return s;
}

static double rc(double*x, int n) {
  if (n == 0) return 1;
  double t[n];
  for (int i = 0;i < n;i++) t[i] = x[i]*x[n-1];
  return rc(t, n-1)+t[0];
}

double recursive_arrays(double *x, int n) {
  return rc(x, n);
}

double array_of_indices(double *x, int n) {
  int idx[n];
  for (int i = 0;i < n;i++) idx[i] = (i*5+2)%n;
  double s = 0;
  for (int i = 0;i < n;i++) s += x[idx[i]]*x[i]*(i+1);
  return s;
}

struct m {
  double a;
  int k;
};

double variable_array_of_structs(double *x, int n) {
  struct m t[n];
  for (int i = 0;i < n;i++) {
    t[i].a = x[i]*x[i];
    t[i].k = i;
  }
  struct m u[n];
  memcpy(u, t, sizeof t);
  double s = 0;
  for (int i = 0;i < n;i++) s += u[i].a*t[n-1-i].a*u[i].k;
  return s;
}

double jump_to_before(double *x, int n) {
  double s = 0;
  int k = 0;
  again: {
    double t[n];
    for (int i = 0;i < n;i++) t[i] = x[i]*x[k];
    s += t[k]*t[0];
    if (++k < 4) goto again;
  }
  return s;
}
