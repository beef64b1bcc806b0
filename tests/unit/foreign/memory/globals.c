#include <stdlib.h>
#include <string.h>
#include <math.h>

static double table[4] = {1, 2, 3, 4};

static const double ctable[3] = {.5, .25, 2};

int counter;

double scale = 2.5;

double reads_constants(double *x, int n) {
  double s = 0;
  for (int i = 0;i < n;i++) s += x[i]*x[i]*table[i&3]*ctable[i%3];
  counter++;
  return s*scale;
}

static double acc;

double accumulates(double *x, int n) {
  acc = 0;
  for (int i = 0;i < n;i++) acc += x[i]*x[i];
  return acc*acc;
}

static double buf[16];

static void fill(double*x, int n) {
  for (int i = 0;i < n;i++) buf[i] = x[i]*x[i];
}

static double total(int n) {
  double s = 0;
  for (int i = 0;i < n;i++) s += buf[i]*buf[0];
  return s;
}

double scratch_array(double *x, int n) {
  fill(x, n);
  return total(n);
}

static double rec(double x, int n) {
  buf[n] = x*x;
  return n? rec(x*buf[n], n-1)+buf[n]:x;
}

double filled_by_recursion(double *x, int n) {
  double r = rec(x[0], 4);
  return r+buf[2]*buf[3];
}

static double *gp;

double pointer_to_new_memory(double *x, int n) {
  gp = malloc(n*sizeof(double));
  for (int i = 0;i < n;i++) gp[i] = x[i]*x[i];
  double s = 0;
  for (int i = 0;i < n;i++) s += gp[i]*gp[0];
  free(gp);
  return s;
}

static double *gq = buf;

double pointer_to_another(double *x, int n) {
  for (int i = 0;i < n;i++) gq[i] = x[i]*x[i];
  double s = 0;
  for (int i = 0;i < n;i++) s += buf[i]*gq[0];
  return s;
}

static double *gx;

static double readg(int i) {
  return gx[i]*gx[i];
}

double pointer_to_argument(double *x, int n) {
  gx = x;
  double s = 0;
  for (int i = 0;i < n;i++) s += readg(i)*x[0];
  return s;
}

double static_local(double *x, int n) {
  static double last;
  static int first;
  last = x[0];
  first = 1;
  for (int i = 0;i < n;i++) last = last*x[i]+sin(last);
  return last;
}

struct cfg {
  double a;
  int n;
  double *w;
};

static struct cfg C = {1.5, 3, 0};

double struct_of_settings(double *x, int n) {
  C.a = x[0];
  C.n = n;
  C.w = x;
  double s = 0;
  for (int i = 0;i < C.n;i++) s += C.a*C.w[i]*C.w[i];
  return s;
}

static double *rowp[3];

static double pool[18];

double table_of_rows(double *x, int n) {
  for (int i = 0;i < 3;i++) rowp[i] = pool+6*i;
  for (int i = 0;i < 3;i++) for (int j = 0;j < n;j++) rowp[i][j] = x[j]*x[i];
  double s = 0;
  for (int j = 0;j < n;j++) s += rowp[0][j]*rowp[1][j]*pool[12+j];
  return s;
}

struct nd {
  double v;
  struct nd *next;
  int k;
};

static struct nd *head;

static int count;

static void push(double v) {
  struct nd*p = malloc(sizeof *p);
  p->v = v;
  p->next = head;
  p->k = count++;
  head = p;
}

static double pop(void) {
  struct nd*p = head;
  double v = p->v*p->k;
  head = p->next;
  free(p);
  count--;
  return v;
}

double stack_of_nodes(double *x, int n) {
  count = 1;
  head = 0;
  for (int i = 0;i < n;i++) push(x[i]*x[i]);
  double s = 0;
  while (head) s = s*.5+pop();
  return s;
}

static double data[3] = {1, 2, 3};

static struct {
  double *base;
  long size;
  double w;
}

desc = {data, 3, 2};

double described_array(double *x, int n) {
  double s = 0;
  for (long i = 0;i < desc.size;i++) s += desc.base[i]*x[i]*desc.w;
  desc.w = x[0];
  for (long i = 0;i < desc.size;i++) {
    s += desc.base[i]*x[i]*desc.w;
  }
  desc.w = 2;
  return s;
}


static float fl[8];

static int cnt;

double chosen_floats(double *x, int n) {
  cnt = 0;
  for (int i = 0;i < n;i++) if (x[i]>.6) fl[cnt++] = x[i]*x[i];
  double s = 0;
  for (int i = 0;i < cnt;i++) s += fl[i]*fl[0]*(i+1);
  return s;
}

static double memo[10];

static int known[10];

static double fib(double x, int n) {
  if (n < 2) return n?x:1;
  if (known[n]) return memo[n];
  known[n] = 1;
  return memo[n] = fib(x, n-1)*x+fib(x, n-2);
}

double memoised(double *x, int n) {
  memset(known, 0, sizeof known);
  return fib(x[0], 8)+fib(x[1], 3);
}

static double even(double x, int n);

static double g2;

static double odd(double x, int n) {
  g2 *= x;
  return n?even(x*1.1, n-1):x;
}

static double even(double x, int n) {
  g2 += x;
  return n?odd(x*x, n-1):g2;
}

double changed_by_two(double *x, int n) {
  g2 = x[1];
  return even(x[0], 5)+g2;
}

static double cells[6], *place;

static void put(double v) {
  *place++=v;
}

double moving_placesor(double *x, int n) {
  place = cells;
  for (int i = 0;i < n;i++) put(x[i]*x[i]);
  double s = 0;
  while (place>cells) {
    --place;
    s += *place * cells[0];
  }
  return s;
}

static struct {
  double m[3][3];
  int n;
}

M;

static void copyin(double*x) {
  for (int i = 0;i < 3;i++) for (int j = 0;j < 3;j++) M.m[i][j] = x[i]*x[j+1];
  M.n = 3;
}

double matrix_in_struct(double *x, int n) {
  copyin(x);
  __typeof__(M) T = M;
  double s = 0;
  for (int i = 0;i < T.n;i++) for (int j = 0;j < M.n;j++) s += T.m[i][j]*M.m[j][i];
  return s;
}

extern double ext;

double ext = 3;

double seen_elsewhere(double *x, int n) {
  ext = x[0]*x[0];
  double s = ext*x[1];
  ext = 3;
  return s;
}

double read_before_written(double *x, int n) {
  static double t = 1;
  double old = t;
  t = t*x[0];
  double r = t*t;
  t = old;
  return r+t*x[1];
}
