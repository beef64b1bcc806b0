/* A sweep that is run twice with one tape ends the program. */
#include "check.h"

extern void *__enzyme_augmentfwd(void *, ...);
extern void __enzyme_reverse(void *, ...);

static void step(double *x) { *x = sin(*x) * *x; }

int main(void) {
    double x = 0.5, dx = 1.0;
    void *tape = __enzyme_augmentfwd((void *)step, &x, &dx);
    __enzyme_reverse((void *)step, enzyme_nofree, &x, &dx, tape);
    printf("once\n");
    fflush(stdout);
    __enzyme_reverse((void *)step, &x, &dx, tape);
    printf("twice\n");
    return 0;
}
