/* Loops of which the program says that they converge. */
#include "check.h"

typedef long long integer;
extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);
extern void __enzyme_set_fixed_point(double reduction, integer most, void *control, ...);

/* x = √a, by Newton's method */
static double by_hint(double a) {
    double x = 1.0, before;
    do {
        __enzyme_set_fixed_point(1e-20, (integer)-1, (void *)0, &x, (integer)sizeof x);
        before = x;
        x = 0.5 * (x + a / x);
    } while (fabs(x - before) > 1e-14);
    return x;
}

int main(void) {
    CHECK(__enzyme_autodiff((void *)by_hint, 4.0), 0.25);
    CHECK(__enzyme_fwddiff((void *)by_hint, 4.0, 2.0), 0.5);
    return 0;
}
