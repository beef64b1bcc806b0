/* Shadows of global variables that the program looks at, in contexts. */
#include "check.h"

typedef struct { double first, second; } Pair;
extern void *__enzyme_context(int);
extern void *__enzyme_shadow(void *, void *, int);
extern void __enzyme_zero_shadows(void *);
extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);
extern Pair __enzyme_fwddiff_pair(void *, ...);
extern Pair __enzyme_autodiff_pair(void *, ...);
extern void *__enzyme_augmentfwd(void *, ...);
extern double __enzyme_reverse(void *, ...);
extern int enzyme_context;

static double gain = 2.0, unused = 5.0;
static double weights[3] = {1.0, 3.0, 5.0};
static struct { int count; float bias; double *chosen; } model = {3, 0.5f, &weights[1]};
static double *block;
static double state;

static double linear(double x) { return gain * x * x + weights[2] * x; }
static double through(double x) { return model.chosen[0] * x + model.bias; }
static double summed(double x) {
    double sum = 0.0;
    for (int i = 0; i < 4; i++)
        sum += block[i] * block[i];
    return sum * x;
}
static void keep(double x) { state = gain * x; }
static double kept(double x) {
    keep(x);
    return state * state;
}
static double slope(double x) {
    void *inner = __enzyme_context(1);
    return __enzyme_autodiff((void *)linear, enzyme_context, inner, x);
}
static double sensitivity(double x) {
    void *inner = __enzyme_context(1);
    double *dgain = __enzyme_shadow(inner, &gain, 0);
    *dgain = 0.0;
    __enzyme_autodiff((void *)linear, enzyme_context, inner, x);
    return *dgain;
}

__attribute__((noinline)) static Pair in_both(void *context, double x) {
    return __enzyme_fwddiff_pair((void *)linear, enzyme_width, 2, enzyme_context, context, x, 1.0, 0.0);
}

static void check_reading(void) {
    void *context = __enzyme_context(1);
    double *dgain = __enzyme_shadow(context, &gain, 0), *dweights = __enzyme_shadow(context, weights, 0);
    for (int i = 0; i < 3; i++)
        CHECK(*(double *)__enzyme_shadow(context, &weights[i], 0), 0.0);
    for (int times = 1; times <= 2; times++) {
        CHECK(__enzyme_autodiff((void *)linear, enzyme_context, context, 3.0), 17.0);
        CHECK(*dgain, 9.0 * times);
        CHECK(dweights[2], 3.0 * times);
    }
    CHECK(*(double *)__enzyme_shadow(context, &unused, 0), 0.0);
    __enzyme_zero_shadows(context);
    CHECK(*dgain + dweights[2], 0.0);
    void *tape = __enzyme_augmentfwd((void *)linear, enzyme_context, context, 3.0);
    CHECK(__enzyme_reverse((void *)linear, enzyme_context, context, 3.0, 2.0, tape), 34.0);
    CHECK(*dgain, 18.0);
    __enzyme_zero_shadows(context);
    dweights[2] = 1.0;
    CHECK(__enzyme_fwddiff((void *)linear, enzyme_context, context, 3.0, 0.0), 3.0);
    CHECK(__enzyme_fwddiff((void *)linear, enzyme_context, context, 3.0, 1.0), 20.0);
    /* Without the context, variables that are only read are constants. */
    CHECK(__enzyme_fwddiff((void *)linear, 3.0, 1.0), 17.0);
    CHECK(__enzyme_autodiff((void *)linear, 3.0), 17.0);
    CHECK(dweights[2], 1.0);
}

static void check_pointers(void) {
    void *context = __enzyme_context(2);
    for (int lane = 0; lane < 2; lane++) {
        double *dweights = __enzyme_shadow(context, weights, lane);
        CHECK(*(int *)__enzyme_shadow(context, &model.count, lane), 3.0);
        CHECK(*(float *)__enzyme_shadow(context, &model.bias, lane), 0.0);
        CHECK(*(double **)__enzyme_shadow(context, &model.chosen, lane) == dweights + 1, 1.0);
        dweights[1] = 1.0 + lane;
    }
    *(float *)__enzyme_shadow(context, &model.bias, 1) = 0.25f;
    Pair both = __enzyme_fwddiff_pair((void *)through, enzyme_context, context, 3.0, 0.0, 1.0);
    CHECK(both.first, 3.0);
    CHECK(both.second, 6.0 + 3.0 + 0.25);
    __enzyme_zero_shadows(context);
    *(double *)__enzyme_shadow(context, &gain, 1) = 1.0;
    CHECK(in_both(context, 3.0).first, 17.0);
    CHECK(in_both(context, 3.0).second, 9.0);
    __enzyme_zero_shadows(context);
    both = __enzyme_autodiff_pair((void *)through, enzyme_context, context, 3.0);
    CHECK(both.first + both.second, 6.0);
    for (int lane = 0; lane < 2; lane++) {
        CHECK(((double *)__enzyme_shadow(context, weights, lane))[1], 3.0);
        CHECK(*(int *)__enzyme_shadow(context, &model.count, lane), 3.0);
        CHECK(*(float *)__enzyme_shadow(context, &model.bias, lane), 1.0);
    }
}

static void check_blocks(void) {
    void *context = __enzyme_context(1);
    double **shadow = __enzyme_shadow(context, &block, 0);
    for (int size = 4; size <= 4096; size *= 4) {
        block = realloc(block, size * sizeof *block);
        for (int i = 0; i < size; i++)
            block[i] = i + 1.0;
        __enzyme_zero_shadows(context);
        CHECK(__enzyme_autodiff((void *)summed, enzyme_context, context, 2.0), 30.0);
        shadow = __enzyme_shadow(context, &block, 0);
        for (int i = 0; i < size; i++)
            CHECK((*shadow)[i], i < 4 ? 4.0 * (i + 1) : 0.0);
    }
    free(block);
    block = NULL;
}

static void check_writing_and_higher_orders(void) {
    void *context = __enzyme_context(1);
    CHECK(__enzyme_autodiff((void *)kept, enzyme_context, context, 3.0), 24.0);
    CHECK(*(double *)__enzyme_shadow(context, &gain, 0), 36.0);
    CHECK(*(double *)__enzyme_shadow(context, &state, 0), 0.0);
    __enzyme_zero_shadows(context);
    *(double *)__enzyme_shadow(context, &gain, 0) = 1.0;
    CHECK(__enzyme_fwddiff((void *)kept, enzyme_context, context, 3.0, 0.0), 36.0);
    CHECK(__enzyme_fwddiff((void *)slope, enzyme_context, context, 3.0, 0.0), 6.0);
    CHECK(__enzyme_fwddiff((void *)slope, enzyme_context, context, 3.0, 1.0), 10.0);
    CHECK(__enzyme_fwddiff((void *)sensitivity, enzyme_context, context, 3.0, 1.0), 6.0);
    __enzyme_zero_shadows(context);
    CHECK(__enzyme_autodiff((void *)slope, enzyme_context, context, 3.0), 4.0);
    CHECK(*(double *)__enzyme_shadow(context, &gain, 0), 6.0);
    CHECK(*(double *)__enzyme_shadow(context, &weights[2], 0), 1.0);
}

int main(void) {
    check_reading();
    check_pointers();
    check_blocks();
    check_writing_and_higher_orders();
    return 0;
}
