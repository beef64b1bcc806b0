/* What the step of a fixed-point iteration reads is overwritten before the reverse sweep, and nobody says so. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);
extern void __enzyme_fixed_point(void *, ...);
extern int enzyme_fp_state;

static double state, coefficient;
static int step(long long i) {
    double next = coefficient + 0.5 * sin(state);
    int more = fabs(next - state) > 1e-15;
    state = next;
    return more;
}
static double converged(double c) {
    coefficient = c;
    state = 0.0;
    __enzyme_fixed_point((void *)step, enzyme_fp_state, &state, (long long)sizeof state);
    coefficient = -7.0;
    return state;
}

int main(void) { return (int)__enzyme_autodiff((void *)converged, 0.4); }
