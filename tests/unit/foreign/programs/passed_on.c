/* What is differentiated is found through casts, variables and functions that pass it on. */
#include "check.h"

typedef double (*Function)(double);
extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(double (*)(double), double, double);

static double square(double x) { return x * x; }
double cube(double x) { return x * x * x; }
static Function held = cube;
static Function const fixed = square;

static double derivative(Function f, double x) { return __enzyme_autodiff((void *)f, x); }
double by_two_ways(Function f, double x, int marker) {
    Function again = f;
    return derivative(again, x) + __enzyme_fwddiff(again, x, 1.0);
}

static double scaled(double x, double by) { return x * by; } /* takes another number of arguments */
static double (*const other)(double, double) = scaled;
static double chosen(int n, double x) {
    Function all[] = {square, cube};
    return __enzyme_autodiff((void *)all[n], x);
}

int main(int count, char **words) {
    CHECK(chosen(0, 3.0) + chosen(count, 3.0), 6.0 + 27.0);
    CHECK(__enzyme_autodiff((void *)(count > 1 ? square : cube), 3.0), 27.0);
    CHECK(other(2.0, 3.0), 6.0);
    Function local = square;
    CHECK(__enzyme_autodiff((void *)local, 3.0), 6.0);
    CHECK(__enzyme_autodiff((void *)held, 3.0), 27.0);
    CHECK(__enzyme_autodiff((void *)fixed, 3.0), 6.0);
    CHECK(derivative(square, 3.0), 6.0);
    CHECK(by_two_ways(cube, 3.0, 0), 54.0);
    CHECK(by_two_ways(square, 3.0, 0), 12.0);
    return 0;
}
