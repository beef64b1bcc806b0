/* A function that has the derivatives of one of the C library. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);

/* The values are others on purpose, so that it is seen where the derivatives come from. */
static double slow_log1p(double x) { return 2.0 * x; }
void *__enzyme_function_like_log1p[2] = {(void *)slow_log1p, "log1p"};
__attribute__((annotate("enzyme_function_like=pow"))) static double power(double x, double y) { return x - y; }
__attribute__((enzyme_function_like("tanhf"))) static float squash(float x) { return x; }

static double f(double x) { return x * slow_log1p(x); }
static double g(double x, double y) { return power(x, y); }
static float h(float x) { return squash(x); }
typedef struct { double x, y; } Pair;
extern Pair __enzyme_autodiff_pair(void *, ...);
extern float __enzyme_autodiff_single(void *, ...);
static double ff(double x) { return __enzyme_fwddiff((void *)f, x, 1.0); }

int main(void) {
    double x = 1.5;
    CHECK(__enzyme_autodiff((void *)f, x), 2.0 * x + x / (1.0 + x));
    CHECK(__enzyme_fwddiff((void *)f, x, 1.0), 2.0 * x + x / (1.0 + x));
    Pair p = __enzyme_autodiff_pair((void *)g, 2.0, 3.0);
    CHECK(p.x, 12.0);
    CHECK(p.y, 8.0 * log(2.0));
    CHECK_SINGLE(__enzyme_autodiff_single((void *)h, 0.5f), 1.0 - tanh(0.5) * tanh(0.5));
    /* the derivative of the derivative: of what is above, term by term */
    CHECK(__enzyme_autodiff((void *)ff, x), 1.0 / (1.0 + x) + 1.0 / (1.0 + x) - x / ((1.0 + x) * (1.0 + x)));
    return 0;
}
