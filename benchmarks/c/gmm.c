/* ADBench's Gaussian mixture: the log posterior, as coenzyme.problems.gmm has it. */
#include <math.h>
#include <stdlib.h>

#ifndef RESTRICT
#define RESTRICT
#endif

static double log_sum_exp(const double *terms, int n)
{
    double largest = -INFINITY;
    for (int k = 0; k < n; k++)
        largest = terms[k] > largest ? terms[k] : largest;
    double sum = 0.0;
    for (int k = 0; k < n; k++)
        sum += exp(terms[k] - largest);
    return largest + log(sum);
}

/* The logarithm of the multivariate gamma function. */
static double log_gamma(double a, int d)
{
    double sum = 0.25 * d * (d - 1) * log(M_PI);
    for (int j = 0; j < d; j++)
        sum += lgamma(a - 0.5 * j);
    return sum;
}

double gmm(const double *RESTRICT alphas, const double *RESTRICT means, const double *RESTRICT icf,
           const double *RESTRICT x, int n, int d, int components, double gamma, int m)
{
    const int entries = d + d * (d - 1) / 2;
    double *diagonal = malloc(components * d * sizeof(double));
    double *determinant = malloc(components * sizeof(double));
    double *centred = malloc(d * sizeof(double));
    double *scaled = malloc(d * sizeof(double));
    double *terms = malloc(components * sizeof(double));

    for (int k = 0; k < components; k++) {
        determinant[k] = 0.0;
        for (int j = 0; j < d; j++) {
            determinant[k] += icf[k * entries + j];
            diagonal[k * d + j] = exp(icf[k * entries + j]);
        }
    }

    double total = 0.0;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < components; k++) {
            for (int j = 0; j < d; j++) {
                centred[j] = x[i * d + j] - means[k * d + j];
                scaled[j] = diagonal[k * d + j] * centred[j];
            }
            int entry = k * entries + d;
            for (int column = 0; column < d; column++)
                for (int row = column + 1; row < d; row++)
                    scaled[row] += icf[entry++] * centred[column];
            double distance = 0.0;
            for (int j = 0; j < d; j++)
                distance += scaled[j] * scaled[j];
            terms[k] = alphas[k] + determinant[k] - 0.5 * distance;
        }
        total += log_sum_exp(terms, components);
    }
    total -= n * log_sum_exp(alphas, components);
    total -= 0.5 * n * d * log(2.0 * M_PI);

    const int freedom = d + m + 1;
    double prior = -components * (freedom * d * (log(gamma) - 0.5 * log(2.0)) - log_gamma(0.5 * freedom, d));
    for (int k = 0; k < components; k++) {
        double squares = 0.0;
        for (int j = 0; j < d; j++)
            squares += diagonal[k * d + j] * diagonal[k * d + j];
        for (int j = d; j < entries; j++)
            squares += icf[k * entries + j] * icf[k * entries + j];
        prior += 0.5 * gamma * gamma * squares - m * determinant[k];
    }

    free(terms);
    free(scaled);
    free(centred);
    free(determinant);
    free(diagonal);
    return total + prior;
}
