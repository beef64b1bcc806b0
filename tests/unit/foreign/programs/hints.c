/* Hints do nothing; names may have suffixes; the shadow of a function pointer. */
#include <stdint.h>

#include "check.h"

extern double __enzyme_autodiff1(void *, ...);
extern double my__enzyme_fwddiff_foo(void *, ...);
extern uint64_t __enzyme_iter(uint64_t, uint64_t);
extern void __enzyme_double(void *);
extern void *__enzyme_virtualreverse(void *);
extern void __enzyme_autodiff_memory(void *, ...);

/* One more power counts in each derivative. */
static double powers(double x) {
    uint64_t n = __enzyme_iter(3, 1);
    double sum = 0.0, power = 1.0;
    for (uint64_t i = 0; i < n; i++) {
        power *= x;
        sum += power;
    }
    return sum;
}
static double slope_of_powers(double x) { return __enzyme_autodiff1((void *)powers, x); }
typedef struct { double (*apply)(double); double at; } Object;
static double square(double x) { return x * x; }
static double cube(double x) { return x * x * x; }
static void call(Object *object, double *result) {
    __enzyme_double(&object->at);
    *result = object->apply(object->at);
}

int main(void) {
    double x = 1.5, slope = 1.0 + 2.0 * x + 3.0 * x * x + 4.0 * x * x * x;
    CHECK(powers(x), x + x * x + x * x * x);
    CHECK(slope_of_powers(x), slope);
    CHECK(__enzyme_autodiff1((void *)slope_of_powers, x), 2.0 + 6.0 * x + 12.0 * x * x + 20.0 * x * x * x);
    CHECK(my__enzyme_fwddiff_foo((void *)powers, x, 1.0), slope);
    Object object = {cube, x};
    Object shadow = {(double (*)(double))__enzyme_virtualreverse((void *)object.apply), 0.0};
    double result, seed = 1.0;
    __enzyme_autodiff_memory((void *)call, &object, &shadow, &result, &seed);
    CHECK(shadow.at, 3.0 * x * x);
    object.apply = square;
    shadow.at = 0.0;
    seed = 1.0;
    __enzyme_autodiff_memory((void *)call, &object, &shadow, &result, &seed);
    CHECK(shadow.at, 2.0 * x);
    return 0;
}
