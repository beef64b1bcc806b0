/* The Brusselator on a periodic square, stepped by Euler's method in place. */
#include <stdlib.h>

#ifndef RESTRICT
#define RESTRICT
#endif

static const double A = 3.4, B = 1.0;

static void rates(const double *RESTRICT u, const double *RESTRICT v, double *RESTRICT u_rate,
                  double *RESTRICT v_rate, double alpha, int n)
{
    for (int i = 0; i < n; i++) {
        int above = i > 0 ? i - 1 : n - 1;
        int below = i < n - 1 ? i + 1 : 0;
        for (int j = 0; j < n; j++) {
            int left = j > 0 ? j - 1 : n - 1;
            int right = j < n - 1 ? j + 1 : 0;
            double here = u[i * n + j], there = v[i * n + j];
            double reaction = here * here * there;
            double u_spread = u[above * n + j] + u[below * n + j] + u[i * n + left] + u[i * n + right] - 4.0 * here;
            double v_spread = v[above * n + j] + v[below * n + j] + v[i * n + left] + v[i * n + right] - 4.0 * there;
            u_rate[i * n + j] = B + reaction - (A + 1.0) * here + alpha * u_spread;
            v_rate[i * n + j] = A * here - reaction + alpha * v_spread;
        }
    }
}

void euler(double *RESTRICT u, double *RESTRICT v, double alpha, double dt, int steps, int n)
{
    double *u_rate = malloc(n * n * sizeof(double));
    double *v_rate = malloc(n * n * sizeof(double));
    for (int step = 0; step < steps; step++) {
        rates(u, v, u_rate, v_rate, alpha, n);
        for (int i = 0; i < n * n; i++) {
            u[i] += dt * u_rate[i];
            v[i] += dt * v_rate[i];
        }
    }
    free(v_rate);
    free(u_rate);
}
