#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <malloc.h>
double scratch(double *x, int n) {
  double *t = malloc(n * sizeof(double));
  for (int i = 0;i < n;i++) t[i] = sin(x[i]);
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*t[(i+1)%n];
  free(t);
  return s;
}

double cleared_scratch(double *x, int n) {
  double *t = calloc(n, sizeof(double));
  for (int k = 0;k < 3;k++) for (int i = 0;i < n;i++) t[i] += x[i]*x[i]*t[i]+x[i];
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i];
  free(t);
  return s;
}

double aligned_through_pointer(double *x, int n) {
  void *p;
  if (posix_memalign(&p, 64, n*sizeof(double))) return 0;
  double *t = p;
  for (int i = 0;i < n;i++) t[i] = x[i]*x[i];
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*x[i];
  free(t);
  return s;
}

double aligned_through_cast(double *x, int n) {
  double *t;
  posix_memalign((void**)&t, 64, n*sizeof(double));
  for (int i = 0;i < n;i++) t[i] = x[i]*x[i];
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*x[i];
  free(t);
  return s;
}

double aligned(double *x, int n) {
  double *t = aligned_alloc(64, 512);
  for (int i = 0;i < n;i++) t[i] = x[i]*x[i];
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*x[i];
  free(t);
  return s;
}

double aligned_by_memalign(double *x, int n) {
  double *t = memalign(64, 512);
  for (int i = 0;i < n;i++) t[i] = x[i]*x[i];
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*x[i];
  free(t);
  return s;
}

double grows_by_one(double *x, int n) {
  double *t = malloc(sizeof(double));
  t[0] = x[0];
  for (int i = 1;i < n;i++) {
    t = realloc(t, (i+1)*sizeof(double));
    t[i] = t[i-1]*x[i];
  }
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*t[i];
  free(t);
  return s;
}

double grows_from_null(double *x, int n) {
  double *t = 0;
  int cap = 0;
  double s = 0;
  for (int i = 0;i < n;i++) {
    if (i >= cap) {
      cap = cap?2*cap:1;
      t = realloc(t, cap*sizeof(double));
    }
    t[i] = exp(x[i]);
  }
  for (int i = 0;i < n;i++) s += t[i]*t[n-1-i];
  free(t);
  return s;
}

double shrinks(double *x, int n) {
  double *t = malloc(n*sizeof(double));
  for (int i = 0;i < n;i++) t[i] = x[i]*x[i];
  t = realloc(t, 3*sizeof(double));
  double s = t[0]*t[1]*t[2];
  free(t);
  return s;
}

double never_freed(double *x, int n) {
  double *t = malloc(n*sizeof(double));
  for (int i = 0;i < n;i++) t[i] = x[i]*x[i];
  return t[1]*t[2];
}

static double *mk(int n, double v) {
  double *t = malloc(n*sizeof(double));
  for (int i = 0;i < n;i++) t[i] = v*(i+1);
  return t;
}

static double sum(double*t, int n) {
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*t[i];
  free(t);
  return s;
}

double freed_elsewhere(double *x, int n) {
  return sum(mk(n, x[0]), n)*sum(mk(3, x[1]), 3);
}

double rows_of_a_matrix(double *x, int n) {
  double **a = malloc(n*sizeof(double*));
  for (int i = 0;i < n;i++) {
    a[i] = malloc(n*sizeof(double));
    for (int j = 0;j < n;j++) a[i][j] = x[i]*x[j];
  }
  double s = 0;
  for (int i = 0;i < n;i++) for (int j = 0;j < n;j++) s += a[i][j]*a[j][(i+1)%n];
  for (int i = 0;i < n;i++) free(a[i]);
  free(a);
  return s;
}

double swapped_buffers(double *x, int n) {
  double *u = malloc(n*sizeof(double)), *v = malloc(n*sizeof(double));
  for (int i = 0;i < n;i++) u[i] = x[i];
  for (int k = 0;k < 3;k++) {
    for (int i = 0;i < n;i++) v[i] = u[i]*u[(i+1)%n];
    double*t = u;
    u = v;
    v = t;
  }
  double s = 0;
  for (int i = 0;i < n;i++) s += u[i];
  free(u);
  free(v);
  return s;
}

double pointer_cursor(double *x, int n) {
  double *p = x, *e = x+n;
  double s = 1;
  while (p < e) {
    s = s* *p + sin(*p);
    *p++ = s;
  }
  return s;
}

struct node {
  double v;
  struct node *next;
};

double linked_list(double *x, int n) {
  struct node *h = 0;
  for (int i = 0;i < n;i++) {
    struct node *q = malloc(sizeof *q);
    q->v = x[i]*x[i];
    q->next = h;
    h = q;
  }
  double s = 0;
  for (struct node*q = h;q;q = q->next) s = s*0.5+q->v*q->v;
  while (h) {
    struct node*q = h->next;
    free(h);
    h = q;
  }
  return s;
}

struct inode {
  int k;
  double v;
  struct inode *next;
};

double list_with_counts(double *x, int n) {
  struct inode *h = 0;
  for (int i = 0;i < n;i++) {
    struct inode *q = malloc(sizeof *q);
    q->v = x[i]*x[i];
    q->k = i;
    q->next = h;
    h = q;
  }
  double s = 0;
  for (struct inode*q = h;q;q = q->next) s = s*0.5+q->v*q->v*q->k;
  while (h) {
    struct inode*q = h->next;
    free(h);
    h = q;
  }
  return s;
}

double variable_length(double *x, int n) {
  double t[n];
  for (int i = 0;i < n;i++) t[i] = x[i]*x[i];
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*t[0];
  return s;
}

double variable_length_in_loop(double *x, int n) {
  double s = 0;
  for (int k = 1;k <= n;k++) {
    double t[k];
    for (int i = 0;i < k;i++) t[i] = x[i]*x[i];
    for (int i = 0;i < k;i++) s += t[i]*t[0];
  }
  return s;
}

double stack_matrix(double *x, int n) {
  double t[4][4];
  for (int i = 0;i < 4;i++) for (int j = 0;j < 4;j++) t[i][j] = x[i]*x[j];
  double s = 0;
  for (int i = 0;i < 4;i++) for (int j = 0;j < 4;j++) s += t[i][j]*t[j][3-i];
  return s;
}

double one_of_two_arrays(double *x, int n) {
  double s = 0;
  for (int k = 0;k < 3;k++) {
    double t[3];
    for (int i = 0;i < 3;i++) t[i] = x[i]*x[k];
    double *p = k&1 ? t : x;
    for (int i = 0;i < 3;i++) s += p[i]*t[2];
  }
  return s;
}

struct vec {
  double *d;
  int n;
};

static struct vec mkv(double *x, int n) {
  struct vec v;
  v.d = malloc(n*sizeof(double));
  v.n = n;
  for (int i = 0;i < n;i++) v.d[i] = x[i]*x[i];
  return v;
}

double returned_in_struct(double *x, int n) {
  struct vec v = mkv(x, n);
  double s = 0;
  for (int i = 0;i < v.n;i++) s += v.d[i]*v.d[0];
  free(v.d);
  return s;
}

struct tree {
  double key;
  struct tree *l, *r;
};

static struct tree *insert(struct tree *t, double k) {
  if (!t) {
    t = malloc(sizeof *t);
    t->key = k;
    t->l = t->r = 0;
    return t;
  }
  if (k < t->key) t->l = insert(t->l, k);
  else t->r = insert(t->r, k);
  return t;
}

static double tsum(struct tree*t, int d) {
  return t? t->key*t->key*d+tsum(t->l, d+1)+tsum(t->r, d+1):0;
}

static void tfree(struct tree*t) {
  if (t) {
    tfree(t->l);
    tfree(t->r);
    free(t);
  }
}

double search_tree(double *x, int n) {
  struct tree*t = 0;
  for (int i = 0;i < n;i++) t = insert(t, sin(x[i]));
  double s = tsum(t, 1);
  tfree(t);
  return s;
}

struct itree {
  int count;
  double key;
  struct itree *l, *r;
};

static struct itree *iinsert(struct itree *t, double k) {
  if (!t) {
    t = malloc(sizeof *t);
    t->key = k;
    t->count = 1;
    t->l = t->r = 0;
    return t;
  }
  t->count++;
  if (k < t->key) t->l = iinsert(t->l, k);
  else t->r = iinsert(t->r, k);
  return t;
}

static double itsum(struct itree*t, int d) {
  return t? t->count*t->key*t->key*d+itsum(t->l, d+1)+itsum(t->r, d+1):0;
}

static void itfree(struct itree*t) {
  if (t) {
    itfree(t->l);
    itfree(t->r);
    free(t);
  }
}

double tree_with_counts(double *x, int n) {
  struct itree*t = 0;
  for (int i = 0;i < n;i++) t = iinsert(t, sin(x[i]));
  double s = itsum(t, 1);
  itfree(t);
  return s;
}

static double *recalloc(double *x, int n) {
  if (n == 0) return malloc(6*sizeof(double));
  double*t = recalloc(x, n-1);
  t[n-1] = x[n-1]*x[n-1];
  return t;
}

double allocated_by_recursion(double *x, int n) {
  double*t = recalloc(x, n);
  double s = 0;
  for (int i = 0;i < n;i++) s += t[i]*t[0];
  free(t);
  return s;
}

struct counted {
  double v;
  int n;
};

double grows_by_a_struct(double *x, int n) {
  struct counted *t = realloc(0, sizeof *t);
  t[0].v = x[0] * x[0];
  t[0].n = 2;
  t = realloc(t, 2 * sizeof *t);
  t[1].v = x[1] * t[0].v;
  t[1].n = 3;
  double s = t[0].v * t[0].n + t[1].v * t[1].n;
  free(t);
  return s;
}

double grows_a_hundredfold(double *x, int n) {
  double *t = malloc(sizeof *t);
  t[0] = x[0] * x[0];
  t = realloc(t, 100 * sizeof *t);
  t[1] = x[1] * t[0];
  double s = t[0] * t[1];
  free(t);
  return s;
}
