/* What BLAS routines compute, as the engine differentiates it.

   Calls of BLAS become calls of these functions, which are inlined. What is of higher order than their operands
   is left to four routines of a library, which have rules of their own: numba_xxgemm, numba_xxgemv, numba_xxdot,
   numba_xxnrm2. Scratch memory keeps operands apart that BLAS wants apart, so that nothing more is kept of them.

   reference.ll is made of this file by `python -m tests.unit.rules.reference_text`; -DSINGLE is for float.

   Matrices lie column by column, or, where `row` is set, row by row. Flags are 0 or 1. A factor of 0 lets BLAS
   ignore infinities and NaNs; the derivative by that factor is right all the same.

   Source: Lawson et al., "Basic linear algebra subprograms for Fortran usage" (1979); Dongarra et al., "An
   extended set of Fortran basic linear algebra subprograms" (1988) and "A set of level 3 basic linear algebra
   subprograms" (1990). */

#ifdef SINGLE
typedef float T;
#define NAME(routine) coenzyme_blas_s##routine
#define KIND 's'
#define FABS __builtin_fabsf
#define FMAX __builtin_fmaxf
#define SQRT __builtin_sqrtf
#define COPYSIGN __builtin_copysignf
#else
typedef double T;
#define NAME(routine) coenzyme_blas_d##routine
#define KIND 'd'
#define FABS __builtin_fabs
#define FMAX __builtin_fmax
#define SQRT __builtin_sqrt
#define COPYSIGN __builtin_copysign
#endif

typedef long long I;
#define IS_CONSTANT(x) __builtin_constant_p(x)
#define IS(x, value) (IS_CONSTANT(x) && (x) == (value))

void *malloc(unsigned long size);
void free(void *block);
_Noreturn void coenzyme_out_of_memory(void);
int numba_xxgemm(char kind, char transa, char transb, I m, I n, I k, const T *alpha, const T *a, I lda, const T *b,
                 I ldb, const T *beta, T *c, I ldc);
int numba_xxgemv(char kind, char trans, I m, I n, const T *alpha, const T *a, I lda, const T *x, const T *beta,
                 T *y);
int numba_xxdot(char kind, char conjugate, I n, const T *x, const T *y, T *result);
int numba_xxnrm2(char kind, I n, const T *x, I incx, T *result);

static const T zero = 0, one = 1, minus_one = -1;

/* -- parts */

#define SCRATCH NAME(scratch)
T *SCRATCH(I size) {
  T *block = malloc((size > 0 ? size : 1) * sizeof(T));
  if (!block)
    coenzyme_out_of_memory();
  return block;
}

/* Return factor * value, and 0 for a factor of 0 even where the value is infinite or a NaN. */
#define TIMES NAME(times)
T TIMES(T factor, T value) {
  if (factor == 0 && !(value - value == 0))
    value = 0;
  return factor * value;
}

/* Return alpha * value + beta * old. */
#define UPDATED NAME(updated)
T UPDATED(T alpha, T value, T beta, const T *old) {
  T term = TIMES(alpha, value);
  if (IS(beta, 0))
    return term;
  return term + TIMES(beta, *old);
}

/* Return where the first element of a vector lies. */
#define START NAME(start)
I START(I n, I step) { return step < 0 ? (1 - n) * step : 0; }

/* Return a copy of a vector, without gaps. */
#define GATHER NAME(gather)
T *GATHER(I n, const T *x, I step) {
  T *copy = SCRATCH(n);
  I first = START(n, step);
  for (I i = 0; i < n; i++)
    copy[i] = x[first + i * step];
  return copy;
}

#define SCATTER NAME(scatter)
void SCATTER(I n, const T *from, T *x, I step) {
  I first = START(n, step);
  for (I i = 0; i < n; i++)
    x[first + i * step] = from[i];
}

/* y := alpha * t + beta * y */
#define UPDATE_VECTOR NAME(update_vector)
void UPDATE_VECTOR(I n, T alpha, const T *t, T beta, T *y, I step) {
  I first = START(n, step);
  for (I i = 0; i < n; i++)
    y[first + i * step] = UPDATED(alpha, t[i], beta, &y[first + i * step]);
}

/* Return zeros. */
#define ZEROS NAME(zeros)
T *ZEROS(I size) {
  T *block = SCRATCH(size);
  for (I i = 0; i < size; i++)
    block[i] = 0;
  return block;
}

/* -- vectors */

T NAME(dot)(I n, const T *x, I incx, const T *y, I incy) {
  T result = 0;
  if (n <= 0)
    return 0;
  if (incx == 1 && incy == 1) {
    numba_xxdot(KIND, 0, n, x, y, &result);
    return result;
  }
  I i0 = START(n, incx), j0 = START(n, incy);
  for (I i = 0; i < n; i++)
    result += x[i0 + i * incx] * y[j0 + i * incy];
  return result;
}

#ifdef SINGLE
double coenzyme_blas_dsdot(I n, const float *x, I incx, const float *y, I incy) {
  double result = 0;
  I i0 = START(n, incx), j0 = START(n, incy);
  for (I i = 0; i < n; i++)
    result += (double)x[i0 + i * incx] * (double)y[j0 + i * incy];
  return result;
}

float coenzyme_blas_sdsdot(I n, float start, const float *x, I incx, const float *y, I incy) {
  double result = start;
  I i0 = START(n, incx), j0 = START(n, incy);
  for (I i = 0; i < n; i++)
    result += (double)x[i0 + i * incx] * (double)y[j0 + i * incy];
  return (float)result;
}
#endif

T NAME(nrm2)(I n, const T *x, I incx) {
  T result = 0;
  if (n <= 0)
    return 0;
  numba_xxnrm2(KIND, n, x, incx < 0 ? -incx : incx, &result);
  return result;
}

T NAME(asum)(I n, const T *x, I incx) {
  T result = 0;
  if (incx <= 0)
    return 0;
  for (I i = 0; i < n; i++)
    result += FABS(x[i * incx]);
  return result;
}

void NAME(axpy)(I n, T alpha, const T *x, I incx, T *y, I incy) {
  I i0 = START(n, incx), j0 = START(n, incy);
  for (I i = 0; i < n; i++)
    y[j0 + i * incy] += TIMES(alpha, x[i0 + i * incx]);
}

void NAME(axpby)(I n, T alpha, const T *x, I incx, T beta, T *y, I incy) {
  I i0 = START(n, incx), j0 = START(n, incy);
  for (I i = 0; i < n; i++)
    y[j0 + i * incy] = UPDATED(alpha, x[i0 + i * incx], beta, &y[j0 + i * incy]);
}

void NAME(scal)(I n, T alpha, T *x, I incx) {
  if (incx <= 0)
    return;
  for (I i = 0; i < n; i++)
    x[i * incx] *= alpha;
}

void NAME(copy)(I n, const T *x, I incx, T *y, I incy) {
  I i0 = START(n, incx), j0 = START(n, incy);
  for (I i = 0; i < n; i++)
    y[j0 + i * incy] = x[i0 + i * incx];
}

void NAME(swap)(I n, T *x, I incx, T *y, I incy) {
  I i0 = START(n, incx), j0 = START(n, incy);
  for (I i = 0; i < n; i++) {
    T old = x[i0 + i * incx];
    x[i0 + i * incx] = y[j0 + i * incy];
    y[j0 + i * incy] = old;
  }
}

void NAME(rot)(I n, T *x, I incx, T *y, I incy, T c, T s) {
  I i0 = START(n, incx), j0 = START(n, incy);
  for (I i = 0; i < n; i++) {
    T u = x[i0 + i * incx], v = y[j0 + i * incy];
    x[i0 + i * incx] = c * u + s * v;
    y[j0 + i * incy] = c * v - s * u;
  }
}

void NAME(rotg)(T *a, T *b, T *c, T *s) {
  T x = *a, y = *b, u = FABS(x), v = FABS(y);
  if (u == 0 && v == 0) {
    *a = *b = *s = 0;
    *c = 1;
    return;
  }
  T scale = FMAX(u, v), p = x / scale, q = y / scale;
  T r = COPYSIGN(1, u > v ? x : y) * scale * SQRT(p * p + q * q);
  T cosine = x / r, sine = y / r;
  *a = r;
  *b = u > v ? sine : (cosine != 0 ? 1 / cosine : 1);
  *c = cosine;
  *s = sine;
}

/* -- matrices and vectors */

#define SWAP(type, x, y)                                                                                           \
  do {                                                                                                             \
    type swapped = x;                                                                                              \
    x = y;                                                                                                         \
    y = swapped;                                                                                                   \
  } while (0)

void NAME(gemv)(int row, int trans, I m, I n, T alpha, const T *a, I lda, const T *x, I incx, T beta, T *y, I incy) {
  if (row) {
    SWAP(I, m, n);
    trans = !trans;
  }
  if (m <= 0 || n <= 0)
    return;
  I length = trans ? n : m;
  if (incx == 1 && incy == 1) {
    if (IS(alpha, 1) && IS(beta, 0)) {
      numba_xxgemv(KIND, trans ? 't' : 'n', m, n, &one, a, lda, x, &zero, y);
      return;
    }
    if (IS(alpha, 1) && IS(beta, 1)) {
      numba_xxgemv(KIND, trans ? 't' : 'n', m, n, &one, a, lda, x, &one, y);
      return;
    }
    if (IS(alpha, -1) && IS(beta, 1)) {
      numba_xxgemv(KIND, trans ? 't' : 'n', m, n, &minus_one, a, lda, x, &one, y);
      return;
    }
  }
  T *factor = GATHER(trans ? m : n, x, incx), *product = SCRATCH(length);
  numba_xxgemv(KIND, trans ? 't' : 'n', m, n, &one, a, lda, factor, &zero, product);
  UPDATE_VECTOR(length, alpha, product, beta, y, incy);
  free(factor);
  free(product);
}

void NAME(ger)(int row, I m, I n, T alpha, const T *x, I incx, const T *y, I incy, T *a, I lda) {
  if (row) {
    SWAP(I, m, n);
    SWAP(const T *, x, y);
    SWAP(I, incx, incy);
  }
  if (m <= 0 || n <= 0)
    return;
  T *left = GATHER(m, x, incx), *right = GATHER(n, y, incy);
  for (I j = 0; j < n; j++)
    for (I i = 0; i < m; i++)
      a[i + j * lda] += TIMES(alpha, left[i] * right[j]);
  free(left);
  free(right);
}

/* Where the triangle of a matrix lies: column j begins at COLUMN, and has the rows from FIRST to LAST beside the
   diagonal. A band has k diagonals on that side; a packed triangle has no gaps. */
enum { FULL, BAND, PACKED };

#define COLUMN NAME(column)
I COLUMN(int storage, int upper, I n, I k, I lda, I j) {
  if (storage == FULL)
    return j * lda;
  if (storage == BAND)
    return j * lda - j + (upper ? k : 0);
  return upper ? j * (j + 1) / 2 : j * (2 * n - j - 1) / 2;
}

#define FIRST NAME(first)
I FIRST(int storage, int upper, I k, I j) {
  if (!upper)
    return j + 1;
  return storage == BAND && j > k ? j - k : 0;
}

#define LAST NAME(last)
I LAST(int storage, int upper, I n, I k, I j) {
  if (upper)
    return j;
  return storage == BAND && j + k + 1 < n ? j + k + 1 : n;
}

#define SYMMETRIC_VECTOR NAME(symmetric_vector)
void SYMMETRIC_VECTOR(int storage, int row, int upper, I n, I k, T alpha, const T *a, I lda, const T *x, I incx,
                      T beta, T *y, I incy) {
  if (row)
    upper = !upper;
  if (n <= 0)
    return;
  T *factor = GATHER(n, x, incx), *product = ZEROS(n);
  for (I j = 0; j < n; j++) {
    const T *column = a + COLUMN(storage, upper, n, k, lda, j);
    T own = factor[j], sum = column[j] * own;
    I end = LAST(storage, upper, n, k, j);
    for (I i = FIRST(storage, upper, k, j); i < end; i++) {
      T element = column[i];
      product[i] += element * own;
      sum += element * factor[i];
    }
    product[j] += sum;
  }
  UPDATE_VECTOR(n, alpha, product, beta, y, incy);
  free(factor);
  free(product);
}

void NAME(symv)(int row, int upper, I n, T alpha, const T *a, I lda, const T *x, I incx, T beta, T *y, I incy) {
  SYMMETRIC_VECTOR(FULL, row, upper, n, n, alpha, a, lda, x, incx, beta, y, incy);
}

void NAME(sbmv)(int row, int upper, I n, I k, T alpha, const T *a, I lda, const T *x, I incx, T beta, T *y, I incy) {
  SYMMETRIC_VECTOR(BAND, row, upper, n, k, alpha, a, lda, x, incx, beta, y, incy);
}

void NAME(spmv)(int row, int upper, I n, T alpha, const T *a, const T *x, I incx, T beta, T *y, I incy) {
  SYMMETRIC_VECTOR(PACKED, row, upper, n, n, alpha, a, n, x, incx, beta, y, incy);
}

void NAME(gbmv)(int row, int trans, I m, I n, I kl, I ku, T alpha, const T *a, I lda, const T *x, I incx, T beta,
                T *y, I incy) {
  if (row) {
    SWAP(I, m, n);
    SWAP(I, kl, ku);
    trans = !trans;
  }
  if (m <= 0 || n <= 0)
    return;
  I length = trans ? n : m;
  T *factor = GATHER(trans ? m : n, x, incx), *product = ZEROS(length);
  for (I j = 0; j < n; j++) {
    const T *column = a + ku - j + j * lda;
    I first = j > ku ? j - ku : 0, end = j + kl + 1 < m ? j + kl + 1 : m;
    if (trans) {
      T sum = 0;
      for (I i = first; i < end; i++)
        sum += column[i] * factor[i];
      product[j] = sum;
    } else {
      T own = factor[j];
      for (I i = first; i < end; i++)
        product[i] += column[i] * own;
    }
  }
  UPDATE_VECTOR(length, alpha, product, beta, y, incy);
  free(factor);
  free(product);
}

#define SYMMETRIC_UPDATE NAME(symmetric_update)
void SYMMETRIC_UPDATE(int storage, int row, int upper, I n, T alpha, const T *x, I incx, T *a, I lda) {
  if (row)
    upper = !upper;
  if (n <= 0)
    return;
  T *factor = GATHER(n, x, incx);
  for (I j = 0; j < n; j++) {
    T *column = a + COLUMN(storage, upper, n, n, lda, j);
    I end = upper ? j + 1 : n;
    for (I i = upper ? 0 : j; i < end; i++)
      column[i] += TIMES(alpha, factor[i] * factor[j]);
  }
  free(factor);
}

void NAME(syr)(int row, int upper, I n, T alpha, const T *x, I incx, T *a, I lda) {
  SYMMETRIC_UPDATE(FULL, row, upper, n, alpha, x, incx, a, lda);
}

void NAME(spr)(int row, int upper, I n, T alpha, const T *x, I incx, T *a) {
  SYMMETRIC_UPDATE(PACKED, row, upper, n, alpha, x, incx, a, n);
}

#define SYMMETRIC_UPDATE2 NAME(symmetric_update2)
void SYMMETRIC_UPDATE2(int storage, int row, int upper, I n, T alpha, const T *x, I incx, const T *y, I incy, T *a,
                       I lda) {
  if (row)
    upper = !upper;
  if (n <= 0)
    return;
  T *left = GATHER(n, x, incx), *right = GATHER(n, y, incy);
  for (I j = 0; j < n; j++) {
    T *column = a + COLUMN(storage, upper, n, n, lda, j);
    I end = upper ? j + 1 : n;
    for (I i = upper ? 0 : j; i < end; i++)
      column[i] += TIMES(alpha, left[i] * right[j] + right[i] * left[j]);
  }
  free(left);
  free(right);
}

void NAME(syr2)(int row, int upper, I n, T alpha, const T *x, I incx, const T *y, I incy, T *a, I lda) {
  SYMMETRIC_UPDATE2(FULL, row, upper, n, alpha, x, incx, y, incy, a, lda);
}

void NAME(spr2)(int row, int upper, I n, T alpha, const T *x, I incx, const T *y, I incy, T *a) {
  SYMMETRIC_UPDATE2(PACKED, row, upper, n, alpha, x, incx, y, incy, a, n);
}

#define TRIANGLE_VECTOR NAME(triangle_vector)
void TRIANGLE_VECTOR(int storage, int row, int upper, int trans, int unit, I n, I k, const T *a, I lda, T *x, I incx) {
  if (row) {
    upper = !upper;
    trans = !trans;
  }
  if (n <= 0)
    return;
  T *factor = GATHER(n, x, incx), *product = ZEROS(n);
  for (I j = 0; j < n; j++) {
    const T *column = a + COLUMN(storage, upper, n, k, lda, j);
    T own = factor[j], sum = unit ? own : column[j] * own;
    I first = FIRST(storage, upper, k, j), end = LAST(storage, upper, n, k, j);
    if (trans)
      for (I i = first; i < end; i++)
        sum += column[i] * factor[i];
    else
      for (I i = first; i < end; i++)
        product[i] += column[i] * own;
    product[j] += sum;
  }
  SCATTER(n, product, x, incx);
  free(factor);
  free(product);
}

void NAME(trmv)(int row, int upper, int trans, int unit, I n, const T *a, I lda, T *x, I incx) {
  TRIANGLE_VECTOR(FULL, row, upper, trans, unit, n, n, a, lda, x, incx);
}

void NAME(tbmv)(int row, int upper, int trans, int unit, I n, I k, const T *a, I lda, T *x, I incx) {
  TRIANGLE_VECTOR(BAND, row, upper, trans, unit, n, k, a, lda, x, incx);
}

void NAME(tpmv)(int row, int upper, int trans, int unit, I n, const T *a, T *x, I incx) {
  TRIANGLE_VECTOR(PACKED, row, upper, trans, unit, n, n, a, n, x, incx);
}

#define SOLVE_VECTOR NAME(solve_vector)
void SOLVE_VECTOR(int storage, int row, int upper, int trans, int unit, I n, I k, const T *a, I lda, T *x, I incx) {
  if (row) {
    upper = !upper;
    trans = !trans;
  }
  if (n <= 0)
    return;
  T *right = GATHER(n, x, incx), *solution = SCRATCH(n);
  I start = 0, step = 1;
  if (upper != trans) {
    start = n - 1;
    step = -1;
  }
  for (I l = 0; l < n; l++) {
    I j = start + l * step, first = FIRST(storage, upper, k, j), end = LAST(storage, upper, n, k, j);
    const T *column = a + COLUMN(storage, upper, n, k, lda, j);
    T known = right[j];
    if (trans)
      for (I i = first; i < end; i++)
        known -= column[i] * solution[i];
    if (!unit)
      known /= column[j];
    solution[j] = known;
    if (!trans)
      for (I i = first; i < end; i++)
        right[i] -= column[i] * known;
  }
  SCATTER(n, solution, x, incx);
  free(right);
  free(solution);
}

void NAME(trsv)(int row, int upper, int trans, int unit, I n, const T *a, I lda, T *x, I incx) {
  SOLVE_VECTOR(FULL, row, upper, trans, unit, n, n, a, lda, x, incx);
}

void NAME(tbsv)(int row, int upper, int trans, int unit, I n, I k, const T *a, I lda, T *x, I incx) {
  SOLVE_VECTOR(BAND, row, upper, trans, unit, n, k, a, lda, x, incx);
}

void NAME(tpsv)(int row, int upper, int trans, int unit, I n, const T *a, T *x, I incx) {
  SOLVE_VECTOR(PACKED, row, upper, trans, unit, n, n, a, n, x, incx);
}

/* -- matrices */

/* Return a lower triangle without gaps: that of a matrix, of its transpose, or of either turned by 180 degrees. */
#define LOWER NAME(lower)
T *LOWER(I n, const T *a, I lda, int trans, int turned, int unit) {
  T *triangle = SCRATCH(n * n);
  I down = trans ? lda : 1, across = trans ? 1 : lda, first = 0;
  if (turned) {
    first = (n - 1) * (down + across);
    down = -down;
    across = -across;
  }
  for (I j = 0; j < n; j++) {
    triangle[j + j * n] = unit ? 1 : a[first + j * (down + across)];
    for (I i = j + 1; i < n; i++)
      triangle[i + j * n] = a[first + i * down + j * across];
  }
  return triangle;
}

/* x := triangle^-1 x, for the columns of x, block by block. */
#define SOLVE NAME(solve)
void SOLVE(I n, I columns, const T *triangle, T *x) {
  const I size = 16;
  for (I start = 0; start < n; start += size) {
    I end = start + size < n ? start + size : n;
    for (I j = 0; j < columns; j++)
      for (I k = start; k < end; k++) {
        T known = x[k + j * n] / triangle[k + k * n];
        x[k + j * n] = known;
        for (I i = k + 1; i < end; i++)
          x[i + j * n] -= triangle[i + k * n] * known;
      }
    if (end < n)
      numba_xxgemm(KIND, 'n', 'n', n - end, columns, end - start, &minus_one, triangle + end + start * n, n,
                   x + start, n, &one, x + end, n);
  }
}

/* c := alpha * op(a) * op(b) + beta * c, columnwise */
#define PRODUCT NAME(product)
void PRODUCT(int transa, int transb, I m, I n, I k, T alpha, const T *a, I lda, const T *b, I ldb, T beta, T *c,
             I ldc) {
  if (m <= 0 || n <= 0)
    return;
  if (k < 0)
    k = 0;
  char ta = transa ? 't' : 'n', tb = transb ? 't' : 'n';
  if (IS(alpha, 1) && IS(beta, 0)) {
    numba_xxgemm(KIND, ta, tb, m, n, k, &one, a, lda, b, ldb, &zero, c, ldc);
    return;
  }
  if (IS(alpha, 1) && IS(beta, 1)) {
    numba_xxgemm(KIND, ta, tb, m, n, k, &one, a, lda, b, ldb, &one, c, ldc);
    return;
  }
  if (IS(alpha, -1) && IS(beta, 1)) {
    numba_xxgemm(KIND, ta, tb, m, n, k, &minus_one, a, lda, b, ldb, &one, c, ldc);
    return;
  }
  if (IS(alpha, 0))
    k = 0;
  T *product = SCRATCH(m * n);
  numba_xxgemm(KIND, ta, tb, m, n, alpha == 0 && (!a || !b) ? 0 : k, &one, a, lda, b, ldb, &zero, product, m);
  for (I j = 0; j < n; j++)
    for (I i = 0; i < m; i++)
      c[i + j * ldc] = UPDATED(alpha, product[i + j * m], beta, &c[i + j * ldc]);
  free(product);
}

void NAME(gemm)(int row, int transa, int transb, I m, I n, I k, T alpha, const T *a, I lda, const T *b, I ldb,
                T beta, T *c, I ldc) {
  if (row) {
    SWAP(I, m, n);
    SWAP(int, transa, transb);
    SWAP(const T *, a, b);
    SWAP(I, lda, ldb);
  }
  PRODUCT(transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void NAME(symm)(int row, int right, int upper, I m, I n, T alpha, const T *a, I lda, const T *b, I ldb, T beta, T *c,
                I ldc) {
  if (row) {
    SWAP(I, m, n);
    right = !right;
    upper = !upper;
  }
  if (m <= 0 || n <= 0)
    return;
  I order = right ? n : m, down = upper ? lda : 1, across = upper ? 1 : lda;
  T *whole = SCRATCH(order * order);
  for (I j = 0; j < order; j++) {
    whole[j + j * order] = a[j + j * lda];
    for (I i = j + 1; i < order; i++) {
      T element = a[i * down + j * across];
      whole[i + j * order] = element;
      whole[j + i * order] = element;
    }
  }
  if (right)
    PRODUCT(0, 0, m, n, n, alpha, b, ldb, whole, order, beta, c, ldc);
  else
    PRODUCT(0, 0, m, n, m, alpha, whole, order, b, ldb, beta, c, ldc);
  free(whole);
}

void NAME(syrk)(int row, int upper, int trans, I n, I k, T alpha, const T *a, I lda, T beta, T *c, I ldc) {
  if (row) {
    upper = !upper;
    trans = !trans;
  }
  if (n <= 0)
    return;
  if (k < 0 || (alpha == 0 && !a))
    k = 0;
  T *product = SCRATCH(n * n);
  numba_xxgemm(KIND, trans ? 't' : 'n', trans ? 'n' : 't', n, n, k, &one, a, lda, a, lda, &zero, product, n);
  for (I j = 0; j < n; j++) {
    I end = upper ? j + 1 : n;
    for (I i = upper ? 0 : j; i < end; i++)
      c[i + j * ldc] = UPDATED(alpha, product[i + j * n], beta, &c[i + j * ldc]);
  }
  free(product);
}

void NAME(syr2k)(int row, int upper, int trans, I n, I k, T alpha, const T *a, I lda, const T *b, I ldb, T beta,
                 T *c, I ldc) {
  if (row) {
    upper = !upper;
    trans = !trans;
  }
  if (n <= 0)
    return;
  if (k < 0 || (alpha == 0 && (!a || !b)))
    k = 0;
  T *product = SCRATCH(n * n);
  numba_xxgemm(KIND, trans ? 't' : 'n', trans ? 'n' : 't', n, n, k, &one, a, lda, b, ldb, &zero, product, n);
  for (I j = 0; j < n; j++) {
    I end = upper ? j + 1 : n;
    for (I i = upper ? 0 : j; i < end; i++)
      c[i + j * ldc] = UPDATED(alpha, product[i + j * n] + product[j + i * n], beta, &c[i + j * ldc]);
  }
  free(product);
}

void NAME(trmm)(int row, int right, int upper, int trans, int unit, I m, I n, T alpha, const T *a, I lda, T *b,
                I ldb) {
  if (row) {
    SWAP(I, m, n);
    right = !right;
    upper = !upper;
  }
  if (m <= 0 || n <= 0)
    return;
  I order = right ? n : m;
  T *triangle = ZEROS(order * order), *factor = SCRATCH(m * n), *product = SCRATCH(m * n);
  for (I j = 0; j < order; j++) {
    I end = upper ? j : order;
    for (I i = upper ? 0 : j + 1; i < end; i++)
      triangle[i + j * order] = a[i + j * lda];
    triangle[j + j * order] = unit ? 1 : a[j + j * lda];
  }
  for (I j = 0; j < n; j++)
    for (I i = 0; i < m; i++)
      factor[i + j * m] = b[i + j * ldb];
  if (right)
    numba_xxgemm(KIND, 'n', trans ? 't' : 'n', m, n, n, &one, factor, m, triangle, n, &zero, product, m);
  else
    numba_xxgemm(KIND, trans ? 't' : 'n', 'n', m, n, m, &one, triangle, m, factor, m, &zero, product, m);
  for (I j = 0; j < n; j++)
    for (I i = 0; i < m; i++)
      b[i + j * ldb] = TIMES(alpha, product[i + j * m]);
  free(triangle);
  free(factor);
  free(product);
}

void NAME(trsm)(int row, int right, int upper, int trans, int unit, I m, I n, T alpha, const T *a, I lda, T *b,
                I ldb) {
  if (row) {
    SWAP(I, m, n);
    right = !right;
    upper = !upper;
  }
  if (m <= 0 || n <= 0)
    return;
  /* X op(A) = B is op(A)' X' = B'; an upper triangle turned by 180 degrees is a lower one. */
  if (right)
    trans = !trans;
  int turned = upper != trans;
  I order = right ? n : m, others = right ? m : n;
  I down = right ? ldb : 1, across = right ? 1 : ldb, first = 0;
  if (turned) {
    first = (order - 1) * down;
    down = -down;
  }
  T *triangle = LOWER(order, a, lda, trans, turned, unit), *solution = SCRATCH(order * others);
  for (I j = 0; j < others; j++)
    for (I i = 0; i < order; i++)
      solution[i + j * order] = TIMES(alpha, b[first + i * down + j * across]);
  SOLVE(order, others, triangle, solution);
  for (I j = 0; j < others; j++)
    for (I i = 0; i < order; i++)
      b[first + i * down + j * across] = solution[i + j * order];
  free(triangle);
  free(solution);
}

/* -- what stands for a routine of a library that lacks it */

int NAME(gemm_fallback)(char kind, char transa, char transb, I m, I n, I k, const T *alpha, const T *a, I lda, const T *b,
                   I ldb, const T *beta, T *c, I ldc) {
  I down = transa == 'n' ? 1 : lda, inner = transa == 'n' ? lda : 1;
  I depth = transb == 'n' ? 1 : ldb, across = transb == 'n' ? ldb : 1;
  for (I j = 0; j < n; j++) {
    for (I i = 0; i < m; i++)
      c[i + j * ldc] = *beta == 0 ? 0 : *beta * c[i + j * ldc];
    for (I l = 0; l < k; l++) {
      T factor = *alpha * b[l * depth + j * across];
      for (I i = 0; i < m; i++)
        c[i + j * ldc] += factor * a[i * down + l * inner];
    }
  }
  return 0;
}

int NAME(gemv_fallback)(char kind, char trans, I m, I n, const T *alpha, const T *a, I lda, const T *x, const T *beta,
                   T *y) {
  I rows = trans == 'n' ? m : n, columns = trans == 'n' ? n : m;
  return NAME(gemm_fallback)(kind, trans, 'n', rows, 1, columns, alpha, a, lda, x, columns, beta, y, rows);
}

int NAME(dot_fallback)(char kind, char conjugate, I n, const T *x, const T *y, T *result) {
  *result = 0;
  for (I i = 0; i < n; i++)
    *result += x[i] * y[i];
  return 0;
}

int NAME(nrm2_fallback)(char kind, I n, const T *x, I incx, T *result) {
  T largest = 0, sum = 0;
  for (I i = 0; i < n; i++)
    largest = FMAX(largest, FABS(x[i * incx]));
  if (largest > 0 && largest - largest == 0)
    for (I i = 0; i < n; i++)
      sum += (x[i * incx] / largest) * (x[i * incx] / largest);
  else
    for (I i = 0; i < n; i++)
      sum += FABS(x[i * incx]);
  *result = largest > 0 && largest - largest == 0 ? largest * SQRT(sum) : sum;
  return 0;
}
