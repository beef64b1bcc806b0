/* Structs and short integers that functions without a derivative, or with one of their own, take by value. */
#include "check.h"

typedef struct {
  double a[5];
  short k;
} block;

extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);

__attribute__((noinline)) static double inactive(block b, short n) { return b.a[0] * b.a[4] * n + b.k; }
void *__enzyme_inactivefn_block[] = {(void *)inactive};

__attribute__((noinline)) static double known(block b, short n) { return b.a[1] * n + b.k; }
static void *known_forward(block b, short n) { return 0; }
static void known_back(block b, short n, double seed, void *tape) {}
void *__enzyme_register_gradient_known[] = {(void *)known, (void *)known_forward, (void *)known_back};

static double of_constants(double x) {
  block b = {{1, 2, 3, 4, 5}, 7};
  return x * x * known(b, -3) * inactive(b, 2);
}

static double of_active_numbers(double x) {
  block b = {{x - 0.5, 2, 3, 4, 5}, 7};
  return x * x * inactive(b, -2);
}

int main(void) {
  CHECK(__enzyme_autodiff((void *)of_constants, enzyme_out, 1.5), 3.0 * 1 * 17);
  CHECK(__enzyme_fwddiff((void *)of_active_numbers, enzyme_dup, 1.5, 1.0), 3.0 * -3);
  CHECK(__enzyme_autodiff((void *)of_active_numbers, enzyme_out, 1.5), 3.0 * -3);
  return 0;
}
