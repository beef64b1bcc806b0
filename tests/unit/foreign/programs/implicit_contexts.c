/* Shadows of global variables that a program asks for by the number of directions. */
#include "check.h"

typedef struct { double first, second; } Pair;
extern void *__enzyme_shadow(void *, int, int);
extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);
extern Pair __enzyme_fwddiff_pair(void *, ...);

double gain = 2.0;
struct { long size; double *first, values[2]; } table = {2, table.values, {3.0, 5.0}};

static double value(double x) {
    double sum = gain * x;
    for (long i = 0; i < table.size; i++)
        sum += table.first[i] * x;
    return sum;
}

int main(void) {
    double *dgain = __enzyme_shadow(&gain, 1, 0), *dvalues = __enzyme_shadow(&table.values, 1, 0);
    CHECK(*(double **)__enzyme_shadow(&table.first, 1, 0) == dvalues, 1.0);
    CHECK(__enzyme_autodiff((void *)value, 3.0), 10.0);
    CHECK(*dgain, 3.0);
    CHECK(dvalues[0] + dvalues[1], 6.0);
    *dgain = 1.0;
    dvalues[0] = dvalues[1] = 0.0;
    CHECK(__enzyme_fwddiff((void *)value, 3.0, 0.0), 3.0);
    for (int lane = 0; lane < 2; lane++)
        ((double *)__enzyme_shadow(table.values, 2, lane))[lane] = 1.0 + lane;
    Pair both = __enzyme_fwddiff_pair((void *)value, enzyme_width, 2, 3.0, 0.0, 0.0);
    CHECK(both.first, 3.0);
    CHECK(both.second, 6.0);
    CHECK(*dgain, 1.0);
    return 0;
}
