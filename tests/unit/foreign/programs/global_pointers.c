/* Pointers in global variables that the program changes: to integers, to a file, and to what is written first. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);

static int *indices;
static FILE *out;
static double *scratch;

static double by_table(double x) {
    double sum = 0.0;
    for (int i = 0; i < 3; i++)
        sum += indices[i] * x * x;
    return sum;
}
static double printed(double x) {
    fprintf(out, "");
    return x * x;
}
static double by_scratch(double x) {
    scratch = malloc(2 * sizeof *scratch);
    scratch[0] = x;
    scratch[1] = x * scratch[0];
    double result = scratch[0] * scratch[1];
    free(scratch);
    return result;
}

int main(void) {
    double x = 1.5;
    indices = malloc(3 * sizeof *indices);
    for (int i = 0; i < 3; i++)
        indices[i] = i + 1;
    out = stderr;
    for (int times = 0; times < 2; times++) {
        CHECK(__enzyme_autodiff((void *)by_table, x), 12.0 * x);
        CHECK(__enzyme_fwddiff((void *)by_table, x, 1.0), 12.0 * x);
        CHECK(__enzyme_autodiff((void *)printed, x), 2.0 * x);
        CHECK(__enzyme_autodiff((void *)by_scratch, x), 3.0 * x * x);
        CHECK(__enzyme_fwddiff((void *)by_scratch, x, 1.0), 3.0 * x * x);
    }
    free(indices);
    return 0;
}
