/* Loops that converge: their derivatives are those of what they converge to, whatever they begin with. */
#include "check.h"

typedef long long integer;
extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);
extern void __enzyme_fixed_point(void *, ...);
extern void __enzyme_set_fixed_point(double reduction, integer most, void *control, ...);
extern int enzyme_fp_state, enzyme_fp_reduction, enzyme_fp_max_iters, enzyme_fp_control, enzyme_checkpoint_region;

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

/* x₀ = a + x₁/4, x₁ = b + x₀/4; the output is the square of the one before. */
static int linear_step(integer i, double *x, const double *ab, double *out, const double *tolerance) {
    double first = ab[0] + 0.25 * x[1], second = ab[1] + 0.25 * x[0];
    double error = fmax(fabs(first - x[0]), fabs(second - x[1]));
    *out = first * first;
    x[0] = first;
    x[1] = second;
    return error > *tolerance;
}
static void linear(double *x, const double *ab, double *out, const double *tolerance) {
    __enzyme_fixed_point((void *)linear_step, enzyme_fp_state, x, (integer)(2 * sizeof(double)),
                         enzyme_fp_reduction, 1e-30, x, ab, out, tolerance);
}
static double linear_result(const double *ab, const double *tolerance) {
    double x[2] = {0.0, 0.0}, out = 0.0;
    linear(x, ab, &out, tolerance);
    x[1] *= x[0];
    return x[1] + out;
}
/* with x₀ = (16a + 4b)/15 and x₁ = (16b + 4a)/15 */
static double solution(int i, double a, double b) { return (16.0 * (i ? b : a) + 4.0 * (i ? a : b)) / 15.0; }

static int asked;
static int three_times(double *cumul, double *reduction) {
    if (*cumul < 0.0)
        asked = 0;
    return asked++ < 3;
}
static void stopped(double *x, const double *ab, double *out, const double *tolerance) {
    __enzyme_fixed_point((void *)linear_step, enzyme_fp_state, x, (integer)(2 * sizeof(double)),
                         enzyme_fp_control, three_times, x, ab, out, tolerance);
}
static void limited(double *x, const double *ab, double *out, const double *tolerance) {
    __enzyme_fixed_point((void *)linear_step, enzyme_fp_state, x, (integer)(2 * sizeof(double)),
                         enzyme_fp_max_iters, (integer)3, x, ab, out, tolerance);
}

/* State and coefficient are variables; the coefficient is changed afterwards, and is therefore named. */
static double state = 0.0, coefficient;
static int shared_step(int i) {
    double next = coefficient + 0.5 * sin(state);
    int more = fabs(next - state) > 1e-15;
    state = next;
    return more;
}
static double shared(double c) {
    coefficient = c;
    state = 0.0;
    __enzyme_fixed_point((void *)shared_step, enzyme_fp_state, &state, (integer)sizeof state,
                         enzyme_fp_reduction, 1e-30, enzyme_checkpoint_region, &coefficient,
                         (integer)sizeof coefficient);
    double result = state * coefficient;
    coefficient = -7.0;
    return result;
}

static void check_forward(void) {
    double tolerance = 1e-15, ab[2] = {0.7, -0.3}, dab[2] = {1.0, 2.0};
    double x[2] = {0.0, 0.0}, dx[2] = {9.0, 9.0}, out = 0.0, dout = 0.0;
    __enzyme_fwddiff((void *)linear, enzyme_dup, x, dx, enzyme_dup, ab, dab, enzyme_dup, &out, &dout,
                     enzyme_const, &tolerance);
    for (int i = 0; i < 2; i++) {
        CHECK(x[i], solution(i, 0.7, -0.3));
        CHECK(dx[i], solution(i, 1.0, 2.0));
    }
    CHECK(dout, 2.0 * solution(0, 0.7, -0.3) * solution(0, 1.0, 2.0));
    double y = 0.5 * (solution(0, 1.0, 2.0) * x[1] + x[0] * solution(1, 1.0, 2.0)) * 2.0 + dout;
    CHECK(__enzyme_fwddiff((void *)linear_result, enzyme_dup, ab, dab, enzyme_const, &tolerance), y);
    dx[0] = dx[1] = 0.0;
    __enzyme_fwddiff((void *)stopped, enzyme_dup, x, dx, enzyme_dup, ab, dab, enzyme_dup, &out, &dout,
                     enzyme_const, &tolerance);
    CHECK(asked, 4.0);
    CHECK(dx[0], 1.0 + 0.25 * (2.0 + 0.25));
}

static void check_reverse(void) {
    double tolerance = 1e-15, ab[2] = {0.7, -0.3}, dab[2] = {0.0, 0.0};
    double x[2] = {0.0, 0.0}, dx[2] = {1.0, 3.0}, out = 0.0, dout = 0.0;
    __enzyme_autodiff((void *)linear, enzyme_dup, x, dx, enzyme_dup, ab, dab, enzyme_dup, &out, &dout,
                      enzyme_const, &tolerance);
    for (int i = 0; i < 2; i++) {
        CHECK(x[i], solution(i, 0.7, -0.3));
        CHECK(dab[i], solution(i, 1.0, 3.0));
        CHECK(dx[i], 0.0);
        dab[i] = 0.0;
    }
    dout = 1.0;
    __enzyme_autodiff((void *)linear, enzyme_dup, x, dx, enzyme_dup, ab, dab, enzyme_dup, &out, &dout,
                      enzyme_const, &tolerance);
    CHECK(dout, 0.0);
    CHECK(dab[0], 2.0 * x[0] * 16.0 / 15.0);
    CHECK(dab[1], 2.0 * x[0] * 4.0 / 15.0);
    dab[0] = dab[1] = 0.0;
    CHECK(linear_result(ab, &tolerance), x[0] * x[1] + x[0] * x[0]);
    __enzyme_autodiff((void *)linear_result, enzyme_dup, ab, dab, enzyme_const, &tolerance);
    CHECK(dab[0], (16.0 * x[1] + 4.0 * x[0] + 2.0 * x[0] * 16.0) / 15.0);
    CHECK(dab[1], (4.0 * x[1] + 16.0 * x[0] + 2.0 * x[0] * 4.0) / 15.0);
    for (int i = 0; i < 2; i++) {
        dab[0] = dab[1] = dx[1] = 0.0;
        dx[0] = 1.0;
        __enzyme_autodiff((void *)(i ? stopped : limited), enzyme_dup, x, dx, enzyme_dup, ab, dab, enzyme_dup,
                          &out, &dout, enzyme_const, &tolerance);
        CHECK(dab[0], 1.0 + 0.0625);
        CHECK(dab[1], 0.25);
    }
}

int main(void) {
    CHECK(__enzyme_autodiff((void *)by_hint, 4.0), 0.25);
    CHECK(__enzyme_fwddiff((void *)by_hint, 4.0, 2.0), 0.5);
    check_forward();
    check_reverse();
    double value = shared(0.4), s = value / 0.4, slope = 1.0 / (1.0 - 0.5 * cos(s));
    CHECK(__enzyme_autodiff((void *)shared, 0.4), s + 0.4 * slope);
    CHECK(coefficient, -7.0);
    CHECK(state, s);
    CHECK(__enzyme_fwddiff((void *)shared, 0.4, 1.0), s + 0.4 * slope);
    return 0;
}
