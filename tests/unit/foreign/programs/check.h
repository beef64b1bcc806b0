#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int enzyme_allocated, enzyme_const, enzyme_dup, enzyme_dupnoneed, enzyme_dupv, enzyme_interleave,
    enzyme_nofree, enzyme_noret, enzyme_out, enzyme_primal_return, enzyme_tape, enzyme_width;

/* The whole of what differs is said before the program ends. */
#define CHECK(found, expected) check((found), (expected), 1e-9, #found, __FILE__, __LINE__)
#define CHECK_SINGLE(found, expected) check((found), (expected), 1e-5, #found, __FILE__, __LINE__)

static void check(double found, double expected, double tolerance, const char *what, const char *file,
                  int line) {
    if (fabs(found - expected) <= tolerance * (1.0 + fabs(expected)))
        return;
    fprintf(stderr, "%s:%d: %s is %.17g, expected %.17g\n", file, line, what, found, expected);
    abort();
}
