/* __enzyme_fwddiff: tangents follow values and memory, the tangent of the result is returned. */
#include "check.h"

typedef struct { double value, tangent; } Dual;
typedef struct { double x, y, z; } Point;
typedef struct { double x, y; } Pair;

extern double __enzyme_fwddiff(void *, ...);
extern Dual __enzyme_fwddiff_dual(void *, ...);
extern Point __enzyme_fwddiff_point(void *, ...);
extern Pair __enzyme_fwddiff_pair(void *, ...);

static double f(double x, double y) { return x * x * y; }
static void scale(const double *x, double *y, int n, double factor) {
    for (int i = 0; i < n; i++)
        y[i] = factor * x[i] * x[i];
}
static Point curve(double t) {
    Point p = {t, t * t, sin(t)};
    return p;
}
static Pair plane(double t) {
    Pair p = {t * t, exp(t)};
    return p;
}
static double *shifted(double *x) { return x + 1; }

int main(void) {
    CHECK(__enzyme_fwddiff((void *)f, 3.0, 1.0, 2.0, 10.0), 12.0 + 90.0);
    CHECK(__enzyme_fwddiff((void *)f, enzyme_dup, 3.0, 1.0, enzyme_const, 2.0), 12.0);
    Dual d = __enzyme_fwddiff_dual((void *)f, enzyme_primal_return, 3.0, 1.0, 2.0, 0.0);
    CHECK(d.value, 18.0);
    CHECK(d.tangent, 12.0);

    double x[2] = {1.0, 2.0}, dx[2] = {1.0, 0.5}, y[2], dy[2] = {9.0, 9.0};
    __enzyme_fwddiff((void *)scale, x, dx, y, dy, 2, 3.0, 1.0);
    CHECK(y[1], 12.0);
    CHECK(dy[0], 6.0 + 1.0);
    CHECK(dy[1], 6.0 + 4.0);

    Point p = __enzyme_fwddiff_point((void *)curve, 0.5, 2.0);
    CHECK(p.x, 2.0);
    CHECK(p.y, 2.0);
    CHECK(p.z, 2.0 * cos(0.5));
    Pair q = __enzyme_fwddiff_pair((void *)plane, 0.5, 2.0);
    CHECK(q.x, 2.0);
    CHECK(q.y, 2.0 * exp(0.5));
    double *shadow = ((double *(*)(void *, ...))__enzyme_fwddiff)((void *)shifted, x, dx);
    CHECK(shadow == dx + 1, 1);
    return 0;
}
