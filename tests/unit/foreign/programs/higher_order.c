/* Derivatives of functions that ask for derivatives themselves. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);
extern void __enzyme_autodiff_memory(void *, ...);
extern void __enzyme_fwddiff_memory(void *, ...);

static double f(double x) { return x * x * sin(x); }
static double along(double x) { return __enzyme_fwddiff((void *)f, x, 1.0); }
static double back(double x) { return __enzyme_autodiff((void *)f, x); }
static double back_along(double x) { return __enzyme_autodiff((void *)along, x); }
static double along_back(double x) { return __enzyme_fwddiff((void *)back, x, 1.0); }
static double back_back(double x) { return __enzyme_autodiff((void *)back, x); }
static double second(double x) { return 2.0 * sin(x) + 4.0 * x * cos(x) - x * x * sin(x); }
static double third(double x) { return 6.0 * cos(x) - 6.0 * x * sin(x) - x * x * cos(x); }

static double chain(const double *x, int n) {
    double sum = 0.0;
    for (int i = 0; i + 1 < n; i++)
        sum += x[i] * x[i] * x[i + 1];
    return sum;
}
static void gradient(const double *x, double *g, int n) {
    for (int i = 0; i < n; i++)
        g[i] = 0.0;
    __enzyme_autodiff_memory((void *)chain, enzyme_dup, x, g, n);
}

int main(void) {
    double x = 1.3;
    CHECK(back_along(x), second(x));
    CHECK(along_back(x), second(x));
    CHECK(back_back(x), second(x));
    CHECK(__enzyme_fwddiff((void *)back_back, x, 1.0), third(x));
    CHECK(__enzyme_autodiff((void *)along_back, x), third(x));

    /* a Hessian times a vector */
    double y[3] = {1.0, 2.0, 3.0}, v[3] = {1.0, 10.0, 100.0}, g[3], hv[3];
    __enzyme_fwddiff_memory((void *)gradient, enzyme_dup, y, v, enzyme_dup, g, hv, 3);
    CHECK(g[0], 4.0);
    CHECK(g[1], 1.0 + 12.0);
    CHECK(g[2], 4.0);
    CHECK(hv[0], 2.0 * 2.0 * 1.0 + 2.0 * 10.0);
    CHECK(hv[1], 2.0 * 1.0 + 2.0 * 3.0 * 10.0 + 2.0 * 2.0 * 100.0);
    CHECK(hv[2], 2.0 * 2.0 * 10.0);
    return 0;
}
