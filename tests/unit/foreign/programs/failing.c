/* A check that fails ends the program. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);

static double square(double x) { return x * x; }

int main(void) {
    CHECK(__enzyme_autodiff((void *)square, 3.0), 6.000001);
    return 0;
}
