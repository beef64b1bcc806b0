/* __enzyme_augmentfwd and __enzyme_reverse: the two sweeps run apart. */
#include "check.h"

typedef struct { void *tape; double value; } Augmented;
typedef struct { void *tape; double *value, *shadow; } AugmentedPointer;

extern void *__enzyme_augmentfwd(void *, ...);
extern Augmented __enzyme_augmentfwd_value(void *, ...);
extern AugmentedPointer __enzyme_augmentfwd_pointer(void *, ...);
extern void __enzyme_reverse(void *, ...);
extern double __enzyme_reverse_value(void *, ...);
extern int __enzyme_augmentsize(void *, ...);

static void step(double *x, int n) {
    for (int i = 0; i < n; i++)
        x[i] = sin(x[i]) * x[i];
}
static double energy(const double *x, double mass, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += mass * x[i] * x[i];
    return sum;
}
static double *doubled(double *x) {
    x[0] = x[0] * x[0];
    x[1] = 2.0 * x[1];
    return x + 1;
}

static double slope(double x) { return sin(x) + x * cos(x); }

int main(void) {
    double x[2] = {0.5, 0.7}, dx[2] = {0.0, 0.0};
    void *tape = __enzyme_augmentfwd((void *)step, x, dx, 2);
    CHECK(x[1], sin(0.7) * 0.7);
    x[0] = x[1] = -100.0; /* who runs the sweeps may change what they have written */
    dx[0] = 1.0;
    dx[1] = 2.0;
    __enzyme_reverse((void *)step, x, dx, 2, tape);
    CHECK(dx[0], slope(0.5));
    CHECK(dx[1], 2.0 * slope(0.7));

    double y[2] = {3.0, 4.0}, dy[2] = {0.0, 0.0};
    Augmented first = __enzyme_augmentfwd_value((void *)energy, enzyme_dup, y, dy, enzyme_out, 0.5, enzyme_const, 2);
    CHECK(first.value, 12.5);
    double mass = __enzyme_reverse_value((void *)energy, enzyme_dup, y, dy, enzyme_out, 0.5, enzyme_const, 2, 10.0,
                                         first.tape);
    CHECK(mass, 250.0);
    CHECK(dy[0], 30.0);
    CHECK(dy[1], 40.0);
    void *unused = __enzyme_augmentfwd((void *)energy, enzyme_noret, y, dy, 0.5, 2);
    dy[0] = dy[1] = 0.0;
    __enzyme_reverse_value((void *)energy, y, dy, 0.5, 2, 1.0, unused);
    CHECK(dy[0], 3.0);

    /* two tapes are alive at once, and go in any order */
    double u[1] = {0.3}, du[1] = {1.0}, v[1] = {0.9}, dv[1] = {1.0};
    void *of_u = __enzyme_augmentfwd((void *)step, u, du, 1);
    void *of_v = __enzyme_augmentfwd((void *)step, v, dv, 1);
    __enzyme_reverse((void *)step, u, du, 1, of_u);
    __enzyme_reverse((void *)step, v, dv, 1, of_v);
    CHECK(du[0], slope(0.3));
    CHECK(dv[0], slope(0.9));

    /* a pointer that is returned has a shadow, which the caller fills */
    double z[2] = {3.0, 4.0}, dz[2] = {0.0, 0.0};
    AugmentedPointer p = __enzyme_augmentfwd_pointer((void *)doubled, z, dz);
    CHECK(*p.value, 8.0);
    CHECK(p.shadow == dz + 1, 1);
    *p.shadow = 5.0;
    dz[0] = 1.0;
    __enzyme_reverse((void *)doubled, z, dz, p.tape);
    CHECK(dz[0], 6.0);
    CHECK(dz[1], 10.0);

    /* the caller's own memory holds the tape */
    CHECK(__enzyme_augmentsize((void *)step, enzyme_dup, enzyme_const) <= 32, 1);
    char memory[32];
    double w[1] = {0.4}, dw[1] = {2.0};
    __enzyme_augmentfwd((void *)step, enzyme_allocated, 32, enzyme_tape, memory, enzyme_dup, w, dw, enzyme_const, 1);
    __enzyme_reverse((void *)step, enzyme_dup, w, dw, enzyme_const, 1, enzyme_allocated, 32, enzyme_tape, memory);
    CHECK(dw[0], 2.0 * slope(0.4));
    dw[0] = 0.0;
    double seeded[1] = {0.0};
    __enzyme_augmentfwd((void *)energy, enzyme_dup, w, dw, 3.0, 1, enzyme_allocated, 32, enzyme_tape, memory);
    seeded[0] = __enzyme_reverse_value((void *)energy, enzyme_dup, w, dw, 3.0, 1, enzyme_allocated, 32, enzyme_tape,
                                       memory);
    CHECK(seeded[0], w[0] * w[0]);
    CHECK(dw[0], 6.0 * w[0]);
    return 0;
}
