"""C and C++ that makes clang print every construct that the reader must know, by topic."""

from __future__ import annotations

__all__ = ["SOURCES"]

_SYMBOLS = r"""
int puts(const char *);
int printf(const char *, ...);
__attribute__((visibility("hidden"))) double hidden_number = 1.5;
static _Thread_local int counter __attribute__((tls_model("local-exec"))) = 3;
__attribute__((section("special"), aligned(64), used)) double placed[4] = {1, 2, 3};
extern __attribute__((weak)) double maybe(double);
double common_table[8];
static const double table[] = {0.5, 1.25, -0.0, 1e300, __builtin_inf(), -1.0};
const char *const names[] = {"one", "tw\"o", "\n\\three", 0};
double *inside = &placed[2];
static double square(double x) { return x * x; }
static double cube(double x) { return x * x * x; }
double (*const functions[2])(double) = {square, cube};
double twice(double x) { return 2 * x; }
extern __typeof(twice) also_twice __attribute__((alias("twice")));
extern double alias_number __attribute__((alias("hidden_number")));
static double (*resolve(void))(double) { return square; }
double chosen(double x) __attribute__((ifunc("resolve")));
__attribute__((constructor(200))) static void start(void) { counter++; }
__attribute__((destructor)) static void finish(void) { counter--; }
__attribute__((cold, noinline, noreturn)) void stop(const char *why) { puts(why); __builtin_trap(); }
double calls(int n, double x) {
  if (n < 0) stop("no");
  double s = maybe ? maybe(x) : 0;
  for (int i = 0; i < n; i++) s += functions[i & 1](x) + table[i % 6] + also_twice(x) + chosen(x);
  printf("%d %g %s\n", counter, s, names[n & 3]);
  return s + *inside + hidden_number + alias_number + common_table[n];
}
"""

_VALUES = r"""
typedef unsigned long u64;
struct pair { double a; float b; };
struct big { double v[6]; int n; };
struct __attribute__((packed)) tight { char c; double d; short s; };
struct bits { unsigned a : 3, b : 7; signed c : 22; };
union either { double d; u64 u; char c[16]; };
struct opaque;
struct nest { struct pair p[2]; struct opaque *o; union either e; };
struct tight packed_global[2] = {{'a', 1.5, 3}, {'b', -2.5, 4}};
struct nest nested = {{{1, 2}, {3, 4}}, 0, {.u = 7}};
struct bits bitty = {1, 2, -3};
union either united = {.c = "text"};
struct pair by_value(struct pair p, struct big b, struct tight t) {
  p.a += b.v[2] * t.d; p.b += b.n; return p;
}
struct big by_memory(struct big b, double x) { b.v[0] = x; return b; }
double use(double x) {
  struct big b = {{x, 2, 3}, 4};
  struct tight t = {1, x, 2};
  struct pair p = {x, 1};
  b = by_memory(b, x);
  p = by_value(p, b, t);
  bitty.b = p.a;
  return p.a + p.b + packed_global[1].d + nested.p[1].b + bitty.c + (double)united.u;
}
long double wide(long double x) { return x * 3.25L + -0.0L - 1e4000L; }
_Float16 halfway(_Float16 x) { return x > 0 ? x : (_Float16)0.1; }
__float128 quad(__float128 x) { return x * 1.25Q + 0.1Q; }
__int128 large(__int128 a, __int128 b) {
  return a * b + (((__int128)0x123456789abcdefULL << 64) | 0xfedcba9876543210ULL);
}
double _Complex product(double _Complex a, double _Complex b) { return a * b + ~a / b; }
float _Complex single_product(float _Complex a, float _Complex b) { return a * b / (1 + 2.0if); }
long double _Complex wide_product(long double _Complex a) { return a * a; }
_Bool logic(double x, double y) { return x < y || x != x; }
_BitInt(37) odd(_BitInt(37) a) { return a * 3; }
"""

_VARIADIC = r"""
int snprintf(char *, unsigned long, const char *, ...);
double total(int n, ...) {
  __builtin_va_list list, copy;
  __builtin_va_start(list, n);
  __builtin_va_copy(copy, list);
  double s = 0;
  for (int i = 0; i < n; i++) s += __builtin_va_arg(list, double);
  long double l = __builtin_va_arg(copy, long double);
  __builtin_va_end(list); __builtin_va_end(copy);
  return s + (double)l;
}
double call(double x) {
  char b[20];
  snprintf(b, sizeof b, "%d %f %Lf", 3, x, (long double)x);
  return total(3, x, 2 * x, 3.0);
}
int indirect(int (*p)(const char *, ...), double x) { return p("%g", x); }
"""

_CONTROL = r"""
double sin(double);
double chosen(int k, double x) {
  switch (k) {
    case 0: return x;
    case 1: case 2: x *= x;
    case 3: x += 1; break;
    case 10 ... 20: return sin(x);
    case -5: goto out;
    default: x = -x;
  }
  return x;
out: return 2 * x;
}
double computed(const unsigned char *code, double x) {
  static const void *const labels[] = {&&stop, &&add, &&mul, &&neg};
  static const int offsets[] = {&&add - &&stop, &&mul - &&stop};
  goto *labels[*code++];
add: x += offsets[0] != 0; goto *labels[*code++];
mul: x *= x; goto *labels[*code++];
neg: x = -x; goto *labels[*code++];
stop: return x;
}
double irreducible(int n, double x) {
  int i = 0;
  if (n & 1) goto middle;
  while (i < n) { x = x * 1.5; middle: x = sin(x); i++; }
  return x;
}
double wide(unsigned long k, double x) {
  switch (k) { case 0x8000000000000000UL: return x; case 7: return 2 * x; case 1UL << 40: return 3 * x; }
  return x * 4;
}
double loops(double *restrict a, const double *restrict b, int n) {
  double s = 0;
#pragma clang loop vectorize(disable) unroll_count(4)
  for (int i = 0; i < n; i++) { a[i] += b[i] * 2; s += a[i]; }
  for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + (b[i] > 0 ? 1 : b[i]);
  int j = n;
  do { s *= a[--j]; } while (j > 0);
  return s;
}
"""

_MACHINE = r"""
typedef unsigned long size;
asm(".globl from_assembly\nfrom_assembly:\n\tret");
_Atomic int counter; _Atomic double shared; volatile double live;
double in_assembly(double x) {
  double r;
  asm volatile("movapd %1, %0" : "=x"(r) : "x"(x) : "memory");
  asm("nop # \"q\"");
  return r;
}
int two_results(int a) { int b, c; asm("cpuid" : "=a"(b), "=b"(c), "+c"(a) : : "edx"); return a + b + c; }
int jumping(int x) {
  asm goto("testl %0, %0; jne %l1" : : "r"(x) : "cc" : away);
  return 0;
away: return 1;
}
int atomics(int *p, long *q, double *d) {
  counter += 3;
  __c11_atomic_fetch_xor(&counter, 5, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  int expected = 3;
  __c11_atomic_compare_exchange_weak(&counter, &expected, 4, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
  long old = __atomic_exchange_n(q, 3, __ATOMIC_ACQ_REL);
  shared = 2.5; shared += 1;
  double fresh = 1;
  __atomic_load(d, &fresh, __ATOMIC_ACQUIRE);
  __atomic_fetch_min(p, 3, __ATOMIC_SEQ_CST);
  return counter + (int)old + (int)fresh;
}
double volatiles(double x) { live = x; return live * live; }
void *memory(size n, void *p) {
  char buffer[100];
  __builtin_memset(buffer, 1, n); __builtin_memcpy(buffer, p, 16); __builtin_memmove(buffer + 1, buffer, 50);
  double *v = __builtin_alloca(n);
  v[0] = 1;
  __builtin_prefetch(v);
  double vla[n];
  vla[n - 1] = v[0];
  __builtin_assume(n > 3);
  double *a = p;
  a[0] += vla[n - 1] + buffer[7];
  if (__builtin_expect(n == 7, 0)) __builtin_unreachable();
  return __builtin_realloc(p, n);
}
unsigned integers(unsigned a, int b, size c) {
  int r;
  if (__builtin_add_overflow(b, 3, &r) || __builtin_mul_overflow(b, b, &r)) return 0;
  return __builtin_popcount(a) + __builtin_clz(a | 1) + __builtin_bswap32(a) + (unsigned)(c >> 7 | c << 57)
    + (a << 3 | a >> 29) + __builtin_abs(b) + (a > 3 ? a : 3) + (unsigned)(c % 7) + (b / 3);
}
void *return_address(void) { return __builtin_return_address(0); }
"""

_VECTORS = r"""
double fabs(double), sqrt(double); float _Complex cexpf(float _Complex);
typedef double v4 __attribute__((vector_size(32)));
typedef float f4 __attribute__((vector_size(16)));
typedef int i4 __attribute__((vector_size(16)));
typedef double e3 __attribute__((ext_vector_type(3)));
v4 table = {1, 2, 3, 4}, ones = {1, 1, 1, 1};
i4 ints = {-1, 0, 1};
v4 arithmetic(v4 a, v4 b, double s) { return a * b + (v4){s, s, s, s} - b / a + ones; }
double parts(v4 a, int k) { a[k] = a[1] * 2; return a[k] + a[0] + a[3]; }
v4 shuffle(v4 a, v4 b) { return __builtin_shufflevector(a, b, 0, 5, -1, 7); }
i4 compare(f4 a, f4 b) { return a < b; }
f4 convert(i4 a) { return __builtin_convertvector(a, f4); }
f4 choose(f4 a, f4 b) { i4 m = a < b; return (f4)((m & (i4)a) | (~m & (i4)b)); }
e3 extended(e3 a) { a.xy = a.yx * 2; return a.zyx + a; }
double reduce(v4 a, i4 k) { return __builtin_reduce_add(k) + __builtin_reduce_max(a); }
f4 functions(f4 a) { return __builtin_elementwise_abs(a) + __builtin_elementwise_fma(a, a, a); }
void loop(double *restrict a, const double *restrict b, const int *restrict k, int n) {
  for (int i = 0; i < n; i++) if (b[i] > 0) a[i] = sqrt(b[i]) * k[i] + fabs(a[i]);
}
__attribute__((target("avx512f")))
void gather(double *restrict a, const double *restrict b, const int *restrict k, int n) {
#pragma clang loop vectorize(enable)
  for (int i = 0; i < n; i++) if (k[i] > 0) a[i] = b[k[i]] * 2;
}
void straight(double *restrict a, const double *restrict b) {
  a[0] = b[0] * 2 + 1; a[1] = b[1] * 2 + 1; a[2] = b[2] * 2 + 1; a[3] = b[3] * 2 + 1;
}
float _Complex singles(float _Complex a, float _Complex b) { return a * b + cexpf(a); }
"""

_EXCEPTIONS = r"""
struct Error { double value; Error(double v); ~Error(); };
struct Guard { int *count; ~Guard(); };
struct Base { virtual ~Base(); virtual double value(double x) const = 0; };
struct Square : Base { double value(double x) const override { return x * x; } };
template <class T> T twice(T x) { return x + x; }
inline double remembered(double x) { static double memory = twice(x); return memory * x; }
double risky(const Base &, double);
double quiet(double) noexcept;
double work(double x, int *count) {
  Guard guard{count};
  try {
    Square s;
    if (x < 0) throw Error(x);
    return twice(risky(s, x)) + remembered(x) + quiet(x);
  }
  catch (const Error &e) { return e.value; }
  catch (...) { throw; }
}
auto lambda = [](double x) { return x * 3; };
double use(double x) { return lambda(x); }
"""

SOURCES: dict[str, str] = {
    "symbols": _SYMBOLS,
    "values": _VALUES,
    "variadic": _VARIADIC,
    "control": _CONTROL,
    "machine": _MACHINE,
    "vectors": _VECTORS,
    "exceptions.cpp": _EXCEPTIONS,
}
