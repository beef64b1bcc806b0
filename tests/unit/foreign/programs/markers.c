/* Markers say how arguments take part. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);
extern void __enzyme_autodiff_void(void *, ...);

static double f(const double *x, double a, double *y, double b, const int *n) {
    double sum = 0.0;
    for (int i = 0; i < *n; i++) {
        y[i] = a * x[i] * b;
        sum += y[i] * y[i];
    }
    return sum;
}

int main(void) {
    double x[2] = {1.0, 2.0}, dx[2] = {0.0, 0.0}, y[2], dy[2] = {0.0, 0.0};
    int n = 2;
    /* a²b²Σx² with a = 3, b = 0.5 */
    double a = __enzyme_autodiff((void *)f, enzyme_dup, x, dx, enzyme_out, 3.0, enzyme_dupnoneed, y, dy,
                                 enzyme_const, 0.5, enzyme_const, &n);
    CHECK(a, 2.0 * 3.0 * 0.25 * 5.0);
    CHECK(dx[0], 2.0 * 9.0 * 0.25);
    CHECK(dx[1], 4.0 * 9.0 * 0.25);

    dx[0] = dx[1] = 0.0;
    double b = __enzyme_autodiff((void *)f, enzyme_const, x, enzyme_const, 3.0, enzyme_dup, y, dy, 0.5,
                                 enzyme_const, &n);
    CHECK(b, 2.0 * 9.0 * 0.5 * 5.0);
    CHECK(dx[0], 0.0);

    __enzyme_autodiff_void((void *)f, enzyme_const, 3 ? x : x, enzyme_const, 3.0, enzyme_dup, y, enzyme_const, 0.5,
                           enzyme_const, &n, enzyme_interleave, dy);

    __enzyme_autodiff_void((void *)f, enzyme_dup, x, enzyme_const, 3.0, enzyme_dup, y, enzyme_const, 0.5,
                           enzyme_const, &n, enzyme_interleave, dx, dy);
    CHECK(dx[1], 4.0 * 9.0 * 0.25);
    return 0;
}
