/* Functions and values through which no derivative passes. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);
extern double __enzyme_ignore_derivatives(double);

static double listed(double x) { return x * x; }
void *__enzyme_inactivefn[1] = {(void *)listed};
__attribute__((annotate("enzyme_inactive"))) static double annotated(double x) { return x * x * x; }
__attribute__((enzyme_inactive)) static double attributed(double x) { return 2.0 * x; }

static int logged = 0;
__attribute__((enzyme_inactive)) static void record(const double *x, int n) { logged += n; }

static double f(double x) { return x * listed(x) + x * annotated(x) + x * attributed(x); }
static double g(double x) { return x * __enzyme_ignore_derivatives(x); }
static double h(const double *x, int n) {
    double sum = 0.0;
    record(x, n);
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

int main(void) {
    double x = 1.5;
    CHECK(__enzyme_autodiff((void *)f, x), x * x + x * x * x + 2.0 * x);
    CHECK(__enzyme_fwddiff((void *)f, x, 1.0), x * x + x * x * x + 2.0 * x);
    CHECK(__enzyme_autodiff((void *)g, x), x);
    double y[2] = {1.0, 2.0}, dy[2] = {0.0, 0.0};
    __enzyme_autodiff((void *)h, y, dy, 2);
    CHECK(dy[1], 4.0);
    CHECK(logged, 2);
    return 0;
}
