/* enzyme_width: several directions at once. */
#include "check.h"

typedef struct { double d[3]; } Directions;
typedef struct { double value, first, second; } WithValue;

extern Directions __enzyme_fwddiff_three(void *, ...);
extern WithValue __enzyme_fwddiff_value(void *, ...);
extern void __enzyme_fwddiff(void *, ...);
extern double __enzyme_autodiff(void *, ...);
extern Directions __enzyme_autodiff_three(void *, ...);

static double f(double x, double y) { return x * x * y; }
static void squares(const double *x, double *y, int n) {
    for (int i = 0; i < n; i++)
        y[i] = x[i] * x[i];
}

int main(void) {
    Directions a = __enzyme_fwddiff_three((void *)f, enzyme_width, 3, 3.0, 1.0, 0.0, 2.0, 2.0, 0.0, 1.0, 1.0);
    CHECK(a.d[0], 12.0);
    CHECK(a.d[1], 9.0);
    CHECK(a.d[2], 33.0);
    WithValue b = __enzyme_fwddiff_value((void *)f, enzyme_width, 2, enzyme_primal_return, enzyme_dup, 3.0, 1.0,
                                         2.0, enzyme_const, 2.0);
    CHECK(b.value, 18.0);
    CHECK(b.first, 12.0);
    CHECK(b.second, 24.0);

    double x[2] = {3.0, 4.0}, dx[2][2] = {{1.0, 0.0}, {0.0, 1.0}}, y[2], dy[2][2];
    __enzyme_fwddiff((void *)squares, enzyme_width, 2, enzyme_dup, x, dx[0], dx[1], enzyme_dupv, sizeof dy[0], y, dy,
                     2);
    CHECK(dy[0][0], 6.0);
    CHECK(dy[0][1], 0.0);
    CHECK(dy[1][0], 0.0);
    CHECK(dy[1][1], 8.0);

    /* reverse mode: the seeds of two outputs */
    double sx[2][2] = {{0.0, 0.0}, {0.0, 0.0}}, sy[2][2] = {{1.0, 0.0}, {1.0, 5.0}};
    __enzyme_autodiff((void *)squares, enzyme_width, 2, enzyme_dup, x, sx[0], sx[1], enzyme_dup, y, sy[0], sy[1], 2);
    CHECK(sx[0][0], 6.0);
    CHECK(sx[0][1], 0.0);
    CHECK(sx[1][0], 6.0);
    CHECK(sx[1][1], 40.0);
    return 0;
}
