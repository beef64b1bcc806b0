/* ADBench's bundle adjustment: every residual, as coenzyme.problems.ba has it. */
#include <math.h>
#include <stdint.h>

#ifndef RESTRICT
#define RESTRICT
#endif

/* Writes `vector` turned by a rotation vector, axis times angle, into `turned`. */
static void rotate(const double *RESTRICT rotation, const double *RESTRICT vector, double *RESTRICT turned)
{
    double square = rotation[0] * rotation[0] + rotation[1] * rotation[1] + rotation[2] * rotation[2];
    if (square > 0.0) {
        double angle = sqrt(square), cosine = cos(angle), sine = sin(angle);
        double axis[3];
        for (int j = 0; j < 3; j++)
            axis[j] = rotation[j] / angle;
        double along = (axis[0] * vector[0] + axis[1] * vector[1] + axis[2] * vector[2]) * (1.0 - cosine);
        for (int j = 0; j < 3; j++) {
            int k = (j + 1) % 3, l = (j + 2) % 3;
            turned[j] = vector[j] * cosine + (axis[k] * vector[l] - axis[l] * vector[k]) * sine + axis[j] * along;
        }
    } else {
        for (int j = 0; j < 3; j++) {
            int k = (j + 1) % 3, l = (j + 2) % 3;
            turned[j] = vector[j] + rotation[k] * vector[l] - rotation[l] * vector[k];
        }
    }
}

static void reprojection_error(const double *RESTRICT camera, const double *RESTRICT point, double weight,
                               const double *RESTRICT feature, double *RESTRICT error)
{
    double centred[3], seen[3];
    for (int j = 0; j < 3; j++)
        centred[j] = point[j] - camera[3 + j];
    rotate(camera, centred, seen);
    double x = seen[0] / seen[2], y = seen[1] / seen[2];
    double square = x * x + y * y;
    double distortion = 1.0 + camera[9] * square + camera[10] * square * square;
    error[0] = weight * (x * distortion * camera[6] + camera[7] - feature[0]);
    error[1] = weight * (y * distortion * camera[6] + camera[8] - feature[1]);
}

void reprojection_errors(const double *RESTRICT cameras, const double *RESTRICT points,
                         const double *RESTRICT weights, const int64_t *RESTRICT observations,
                         const double *RESTRICT features, double *RESTRICT errors, int p)
{
    for (int i = 0; i < p; i++) {
        const double *camera = cameras + 11 * observations[2 * i];
        const double *point = points + 3 * observations[2 * i + 1];
        reprojection_error(camera, point, weights[i], features + 2 * i, errors + 2 * i);
    }
}

void weight_errors(const double *RESTRICT weights, double *RESTRICT errors, int p)
{
    for (int i = 0; i < p; i++)
        errors[i] = 1.0 - weights[i] * weights[i];
}

void ba_residuals(const double *RESTRICT cameras, const double *RESTRICT points, const double *RESTRICT weights,
                  const int64_t *RESTRICT observations, const double *RESTRICT features, double *RESTRICT errors,
                  double *RESTRICT of_weights, int p)
{
    reprojection_errors(cameras, points, weights, observations, features, errors, p);
    weight_errors(weights, of_weights, p);
}
