/* __enzyme_register_gradient: what the user gives for a function is used wherever it is called. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);

static int augmented = 0, reversed = 0;

/* The derivatives are wrong on purpose, so that it is seen that they are used. */
static void square(const double *x, double *y) { *y = *x * *x; }
static void *augment_square(const double *x, double *dx, double *y, double *dy) {
    augmented++;
    double *tape = malloc(sizeof *tape);
    *tape = *x;
    *y = *x * *x;
    return tape;
}
static void gradient_square(const double *x, double *dx, double *y, double *dy, void *tape) {
    reversed++;
    *dx += 100.0 * *(double *)tape * *dy;
    *dy = 0.0;
    free(tape);
}
void *__enzyme_register_gradient_square[] = {(void *)square, (void *)augment_square, (void *)gradient_square};

static double product(double x, double y) { return x * y; }
typedef struct { float kept; double value; } Augmented;
static Augmented augment_product(double x, double y) {
    Augmented found = {(float)(x + y), x * y};
    return found;
}
typedef struct { double x, y; } Pair;
static Pair gradient_product(double x, double y, double seed, float kept) {
    Pair found = {seed * 10.0 * kept, seed * y};
    return found;
}
void *__enzyme_register_gradient_product[3] = {(void *)product, (void *)augment_product, (void *)gradient_product};

static float cube(float x) { return x * x * x; }
static void augment_cube(float x) {}
static float gradient_cube(float x, float seed) { return 7.0f * seed; }
void *__enzyme_register_gradient_cube[3] = {(void *)cube, (void *)augment_cube, (void *)gradient_cube};

static double through_memory(double x) {
    double y, z;
    square(&x, &y);
    square(&y, &z);
    return z;
}
static double in_a_loop(double x, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += product(x, i) * x;
    return sum;
}
static double single(double x) { return x * cube((float)x); }

int main(void) {
    double x = 1.5;
    CHECK(__enzyme_autodiff((void *)through_memory, x), 100.0 * x * x * 100.0 * x);
    CHECK(augmented, 2);
    CHECK(reversed, 2);

    double expected = 0.0;
    for (int i = 0; i < 4; i++)
        expected += x * i + x * 10.0 * (x + i);
    CHECK(__enzyme_autodiff((void *)in_a_loop, x, 4), expected);
    CHECK(__enzyme_autodiff((void *)product, 2.0, 3.0), 50.0);
    CHECK_SINGLE(__enzyme_autodiff((void *)single, x), x * x * x + 7.0 * x);
    /* outside of derivatives the function is what it was */
    CHECK(through_memory(x), x * x * x * x);
    CHECK(augmented, 2);
    return 0;
}
