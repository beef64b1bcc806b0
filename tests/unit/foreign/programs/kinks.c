/* Absolute values at zeros of either sign, and roots of zero, in derivatives of first and second order. */
#include "check.h"

typedef struct { double x, y; } Pair;
extern double __enzyme_autodiff(void *, ...);
extern Pair __enzyme_autodiff_pair(void *, ...);
extern double __enzyme_fwddiff(void *, ...);

static double size(double x) { return fabs(x); }
static float size_single(float x) { return fabsf(x); }
static double signed_as(double x, double y) { return copysign(x, y); }
/* x⁴ and −x⁴, of an argument that is −0 and +0 where x is 0 */
static double fourth(double x) { return fabs(-x * x) * x * x; }
static double below(double x) { return -fabs(x * x) * x * x; }
static double slope_on(double x) { return __enzyme_fwddiff((void *)fourth, x, 1.0); }
static double slope_back(double x) { return __enzyme_autodiff((void *)fourth, x); }
static double square_of_size(double x) { return fabs(-(x * x)); }
static double square_on(double x) { return __enzyme_fwddiff((void *)square_of_size, x, 1.0); }
static double square_back(double x) { return __enzyme_autodiff((void *)square_of_size, x); }

static double length(double x, double y) { return sqrt(x * x + y * y); }
static double floored(double x, double y) { return x / fmax(length(x, y), 1e-3); }
static double floored_on(double x, double y) { return __enzyme_fwddiff((void *)floored, x, 1.0, y, 0.0); }
static double floored_back(double x, double y) { return __enzyme_autodiff_pair((void *)floored, x, y).x; }
static double root(double x) { return sqrt(x); }

static double scaled_root(double x, double y) { return y * sqrt(x); }
static double by_x_back(double x, double y) { return __enzyme_autodiff_pair((void *)scaled_root, x, y).x; }
static double by_x_on(double x, double y, double dx) {
    return __enzyme_fwddiff((void *)scaled_root, x, dx, y, 0.0);
}

static void check_sizes(void) {
    CHECK(__enzyme_fwddiff((void *)size, 0.0, 1.0), 1.0);
    CHECK(__enzyme_fwddiff((void *)size, -0.0, 1.0), -1.0);
    CHECK(__enzyme_fwddiff((void *)size, -3.0, 2.0), -2.0);
    CHECK(__enzyme_autodiff((void *)size, 0.0), 1.0);
    CHECK(__enzyme_autodiff((void *)size, -0.0), -1.0);
    CHECK(__enzyme_autodiff((void *)size, -3.0), -1.0);
    CHECK(__enzyme_autodiff_pair((void *)signed_as, 0.0, -2.0).x, -1.0);
    CHECK(__enzyme_autodiff_pair((void *)signed_as, -0.0, -2.0).x, 1.0);
    CHECK(__enzyme_autodiff_pair((void *)signed_as, -5.0, 2.0).x, -1.0);
    for (double x = -1.5; x <= 1.5; x += 0.75) {
        CHECK(__enzyme_fwddiff((void *)slope_on, x, 1.0), 12.0 * x * x);
        CHECK(__enzyme_autodiff((void *)slope_on, x), 12.0 * x * x);
        CHECK(__enzyme_fwddiff((void *)slope_back, x, 1.0), 12.0 * x * x);
        CHECK(__enzyme_autodiff((void *)slope_back, x), 12.0 * x * x);
        CHECK(__enzyme_autodiff((void *)below, x), -4.0 * x * x * x);
        CHECK(__enzyme_fwddiff((void *)square_on, x, 1.0), 2.0);
        CHECK(__enzyme_autodiff((void *)square_on, x), 2.0);
        CHECK(__enzyme_fwddiff((void *)square_back, x, 1.0), 2.0);
        CHECK(__enzyme_autodiff((void *)square_back, x), 2.0);
    }
}

static void check_roots(void) {
    CHECK(floored_on(0.0, 0.0), 1e3);
    CHECK(floored_back(0.0, 0.0), 1e3);
    CHECK(__enzyme_fwddiff((void *)floored_on, 0.0, 1.0, 0.0, 1.0), 0.0);
    CHECK(__enzyme_fwddiff((void *)floored_back, 0.0, 1.0, 0.0, 1.0), 0.0);
    CHECK(__enzyme_autodiff_pair((void *)floored_on, 0.0, 0.0).x, 0.0);
    CHECK(__enzyme_autodiff_pair((void *)floored_back, 0.0, 0.0).y, 0.0);
    CHECK(__enzyme_fwddiff((void *)root, 0.0, 0.0), 0.0);
    CHECK(isinf(__enzyme_fwddiff((void *)root, 0.0, 1.0)), 1.0);
    CHECK(isinf(__enzyme_autodiff((void *)root, 0.0)), 1.0);
}

/* What a derivative is multiplied by may be zero here and have a derivative. */
static void check_zero_factors(void) {
    CHECK(by_x_back(4.0, 0.0), 0.0);
    CHECK(__enzyme_fwddiff((void *)by_x_back, 4.0, 0.0, 0.0, 1.0), 0.25);
    CHECK(__enzyme_autodiff_pair((void *)by_x_back, 4.0, 0.0).y, 0.25);
    CHECK(__enzyme_fwddiff((void *)by_x_on, 4.0, 0.0, 3.0, 0.0, 0.0, 1.0), 0.75);
    CHECK(__enzyme_fwddiff((void *)by_x_on, 4.0, 0.0, 0.0, 1.0, 1.0, 0.0), 0.25);
}

int main(void) {
    check_sizes();
    check_roots();
    check_zero_factors();
    CHECK_SINGLE(__enzyme_fwddiff((void *)size_single, -0.0f, 1.0f), -1.0);
    return 0;
}
