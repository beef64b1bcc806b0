/* A global variable leads to memory of which no derivative knows a shadow. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);

static double *factor;
static double scaled(double x) { return *factor * x; }

int main(void) {
    factor = malloc(sizeof *factor);
    *factor = 2.0;
    CHECK(__enzyme_autodiff((void *)scaled, 3.0), 2.0);
    return 0;
}
