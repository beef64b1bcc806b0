/* A fast Fourier transform of radix two and its inverse, in place. Cooley & Tukey (1965). */

#ifndef RESTRICT
#define RESTRICT
#endif

static void transform(double *RESTRICT re, double *RESTRICT im, const double *RESTRICT cosines,
                      const double *RESTRICT sines, double sign, int n)
{
    for (int i = 1, j = 0; i < n; i++) {
        int bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            double x = re[i], y = im[i];
            re[i] = re[j];
            im[i] = im[j];
            re[j] = x;
            im[j] = y;
        }
    }
    for (int half = 1; half < n; half *= 2) {
        int stride = n / (2 * half);
        for (int start = 0; start < n; start += 2 * half) {
            for (int k = 0; k < half; k++) {
                double c = cosines[k * stride], s = sign * sines[k * stride];
                int above = start + k, below = start + k + half;
                double x = c * re[below] - s * im[below];
                double y = c * im[below] + s * re[below];
                re[below] = re[above] - x;
                im[below] = im[above] - y;
                re[above] += x;
                im[above] += y;
            }
        }
    }
}

void there_and_back(double *RESTRICT re, double *RESTRICT im, const double *RESTRICT cosines,
                    const double *RESTRICT sines, int n)
{
    transform(re, im, cosines, sines, -1.0, n);
    transform(re, im, cosines, sines, 1.0, n);
    for (int i = 0; i < n; i++) {
        re[i] /= n;
        im[i] /= n;
    }
}
