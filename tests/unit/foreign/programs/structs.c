/* Several derivatives come in a struct, however the machine returns it. */
#include "check.h"

typedef struct { double x, y; } Two;
typedef struct { double x, y, z; } Three;
typedef struct { float x, y; } TwoSingle;
typedef struct { float x, y, z; } ThreeSingle;
typedef struct { double x; float y; } Mixed;
typedef struct { double value, x, y; } WithValue;
typedef struct { double d[4]; } Four;

extern Two __enzyme_autodiff_two(void *, ...);
extern Three __enzyme_autodiff_three(void *, ...);
extern TwoSingle __enzyme_autodiff_two_single(void *, ...);
extern ThreeSingle __enzyme_autodiff_three_single(void *, ...);
extern Mixed __enzyme_autodiff_mixed(void *, ...);
extern WithValue __enzyme_autodiff_value(void *, ...);
extern Four __enzyme_autodiff_four(void *, ...);
extern double __enzyme_autodiff(void *, ...);

static double two(double x, double y) { return x * y * y; }
static double three(double x, double y, double z) { return x * y * y * exp(z); }
static float two_single(float x, float y) { return x * y * y; }
static float three_single(float x, float y, float z) { return x * y * y + z * x; }
static double mixed(double x, float y) { return x * y * y; }
static double four(double a, double b, double c, double d) { return a * b * c * d; }
static double squares(Two pair) { return pair.x * pair.x * pair.y; }
static Two turned(double x) {
    Two pair = {x * x, x * x * x};
    return pair;
}

int main(void) {
    Two a = __enzyme_autodiff_two((void *)two, 3.0, 2.0);
    CHECK(a.x, 4.0);
    CHECK(a.y, 12.0);
    Three b = __enzyme_autodiff_three((void *)three, 3.0, 2.0, 0.5);
    CHECK(b.x, 4.0 * exp(0.5));
    CHECK(b.y, 12.0 * exp(0.5));
    CHECK(b.z, 12.0 * exp(0.5));
    TwoSingle c = __enzyme_autodiff_two_single((void *)two_single, 3.0f, 2.0f);
    CHECK_SINGLE(c.x, 4.0);
    CHECK_SINGLE(c.y, 12.0);
    ThreeSingle d = __enzyme_autodiff_three_single((void *)three_single, 3.0f, 2.0f, 7.0f);
    CHECK_SINGLE(d.x, 11.0);
    CHECK_SINGLE(d.y, 12.0);
    CHECK_SINGLE(d.z, 3.0);
    Mixed e = __enzyme_autodiff_mixed((void *)mixed, 3.0, 2.0f);
    CHECK(e.x, 4.0);
    CHECK_SINGLE(e.y, 12.0);
    WithValue f = __enzyme_autodiff_value((void *)two, enzyme_primal_return, 3.0, 2.0);
    CHECK(f.value, 12.0);
    CHECK(f.x, 4.0);
    CHECK(f.y, 12.0);
    Four g = __enzyme_autodiff_four((void *)four, 2.0, 3.0, 5.0, 7.0);
    CHECK(g.d[0], 105.0);
    CHECK(g.d[3], 30.0);
    /* who declares one number takes the first */
    CHECK(__enzyme_autodiff((void *)two, 3.0, 2.0), 4.0);
    /* a struct that is passed in registers is its members */
    Two pair = {3.0, 2.0};
    Two h = __enzyme_autodiff_two((void *)squares, pair);
    CHECK(h.x, 12.0);
    CHECK(h.y, 9.0);
    /* each number that is returned counts once */
    CHECK(__enzyme_autodiff((void *)turned, 2.0), 4.0 + 12.0);
    return 0;
}
