/* Derivatives that the user has written, in several directions at once. */
#include "check.h"

typedef struct { double first, second; } Pair;
extern Pair __enzyme_fwddiff(void *, ...);
typedef struct { double x[2], y[2]; } Four;
extern Four __enzyme_autodiff(void *, ...);

static int taped = 0;

/* Wrong on purpose, so that it is seen that they are used. */
static double product(double x, double y) { return x * y; }
static Pair along(double x, double dx, double y, double dy) {
    Pair found = {x * y, 10.0 * dx * y + 100.0 * dy * x};
    return found;
}
typedef struct { double *tape, value; } Augmented;
static Augmented augment(double x, double y) {
    Augmented found = {malloc(2 * sizeof(double)), x * y};
    found.tape[0] = 10.0 * y;
    found.tape[1] = 100.0 * x;
    taped++;
    return found;
}
static Pair back(double x, double y, double seed, double *tape) {
    Pair found = {seed * tape[0], seed * tape[1]};
    free(tape);
    taped--;
    return found;
}
void *__enzyme_register_derivative_product[] = {(void *)product, (void *)along};
void *__enzyme_register_gradient_product[] = {(void *)product, (void *)augment, (void *)back};

static double squared(double x, double y) {
    double found = product(x, y);
    return found * found;
}

int main(void) {
    double x = 2.0, y = 3.0, twice = 2.0 * x * y;
    Pair pair = __enzyme_fwddiff((void *)squared, enzyme_width, 2, x, 1.0, 0.0, y, 0.0, 1.0);
    CHECK(pair.first, twice * 10.0 * y);
    CHECK(pair.second, twice * 100.0 * x);
    Four four = __enzyme_autodiff((void *)squared, enzyme_width, 2, x, y);
    for (int lane = 0; lane < 2; lane++) {
        CHECK(four.x[lane], twice * 10.0 * y);
        CHECK(four.y[lane], twice * 100.0 * x);
    }
    CHECK(taped, 0);
    return 0;
}
