/* __enzyme_autodiff: derivatives of numbers are returned, those of memory added to its shadow. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);
extern float __enzyme_autodiff_single(void *, ...) __asm__("__enzyme_autodiff");
extern void __enzyme_autodiff_memory(void *, ...);

static double wave(double x) { return x * x * sin(x); }
static float wave_single(float x) { return x * x * sinf(x); }
static double weighted(const double *x, double factor, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i] * factor;
    return sum;
}
static void square(double *x, double *y, int n) {
    for (int i = 0; i < n; i++) {
        y[i] = x[i] * x[i];
        x[i] = 3.0 * x[i];
    }
}

int main(void) {
    CHECK(__enzyme_autodiff((void *)wave, 2.0), 4.0 * sin(2.0) + 4.0 * cos(2.0));
    CHECK_SINGLE(__enzyme_autodiff_single((void *)wave_single, 2.0f), 4.0 * sin(2.0) + 4.0 * cos(2.0));

    double x[3] = {1.0, 2.0, 3.0}, dx[3] = {0.5, 0.0, 0.0};
    double factor = __enzyme_autodiff((void *)weighted, x, dx, 5.0, 3);
    CHECK(factor, 14.0);
    CHECK(dx[0], 10.5);
    CHECK(dx[1], 20.0);
    CHECK(dx[2], 30.0);

    double y[2], dy[2] = {1.0, 10.0}, dz[2] = {1.0, 1.0};
    __enzyme_autodiff_memory((void *)square, x, dz, y, dy, 2);
    CHECK(x[1], 6.0);
    CHECK(y[1], 4.0);
    CHECK(dz[0], 3.0 + 2.0);
    CHECK(dz[1], 3.0 + 40.0);
    CHECK(dy[0] + dy[1], 0.0);
    return 0;
}
