/* __enzyme_register_derivative: the same in forward mode. */
#include "check.h"

extern double __enzyme_fwddiff(void *, ...);

static int calls = 0;

static void square(const double *x, double *y) { *y = *x * *x; }
static void square_along(const double *x, const double *dx, double *y, double *dy) {
    calls++;
    *y = *x * *x;
    *dy = 100.0 * *dx;
}
void *__enzyme_register_derivative_square[] = {(void *)square, (void *)square_along};

typedef struct { double value, tangent; } Dual;
static double product(double x, double y, int n) { return n * x * y; }
static Dual product_along(double x, double dx, double y, double dy, int n) {
    Dual found = {n * x * y, 10.0 * dx + dy};
    return found;
}
void *__enzyme_register_derivative_product[2] = {(void *)product, (void *)product_along};

static double cube(double x) { return x * x * x; }
static double cube_along(double x, double dx) { return 7.0 * dx; }
void *__enzyme_register_derivative_cube[2] = {(void *)cube, (void *)cube_along};

static double through_memory(double x) {
    double y;
    square(&x, &y);
    return y * x;
}
static double numbers(double x) { return product(x, 2.0, 3) * cube(x); }

int main(void) {
    double x = 1.5;
    CHECK(__enzyme_fwddiff((void *)through_memory, x, 1.0), 100.0 * x + x * x);
    CHECK(calls, 1);
    CHECK(__enzyme_fwddiff((void *)numbers, x, 1.0), 10.0 * x * x * x + 6.0 * x * 7.0);
    CHECK(__enzyme_fwddiff((void *)cube, x, 2.0), 14.0);
    return 0;
}
