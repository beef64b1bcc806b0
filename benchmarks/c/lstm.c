/* ADBench's LSTM whose gates see one unit each: the loss, as coenzyme.problems.lstm has it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef RESTRICT
#define RESTRICT
#endif

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* Replaces the hidden values and the cells of a layer, each (b,), by those after one more character. */
static void advance_layer(const double *RESTRICT weights, const double *RESTRICT biases, double *RESTRICT hidden,
                          double *RESTRICT cell, const double *RESTRICT inputs, int b)
{
    for (int j = 0; j < b; j++) {
        double forget = sigmoid(inputs[j] * weights[j] + biases[j]);
        double ingate = sigmoid(hidden[j] * weights[b + j] + biases[b + j]);
        double outgate = sigmoid(inputs[j] * weights[2 * b + j] + biases[2 * b + j]);
        double change = tanh(hidden[j] * weights[3 * b + j] + biases[3 * b + j]);
        cell[j] = cell[j] * forget + ingate * change;
        hidden[j] = outgate * tanh(cell[j]);
    }
}

double lstm(const double *RESTRICT main_params, const double *RESTRICT extra_params, const double *RESTRICT state,
            const double *RESTRICT sequence, int layers, int characters, int b)
{
    double *current = malloc(2 * layers * b * sizeof(double));
    double *prediction = malloc(b * sizeof(double));
    memcpy(current, state, 2 * layers * b * sizeof(double));

    double total = 0.0;
    for (int t = 0; t < characters - 1; t++) {
        for (int j = 0; j < b; j++)
            prediction[j] = sequence[t * b + j] * extra_params[j];
        const double *inputs = prediction;
        for (int layer = 0; layer < layers; layer++) {
            const double *weights = main_params + 8 * layer * b;
            double *hidden = current + 2 * layer * b;
            advance_layer(weights, weights + 4 * b, hidden, hidden + b, inputs, b);
            inputs = hidden;
        }
        double weight = 2.0;
        for (int j = 0; j < b; j++) {
            prediction[j] = inputs[j] * extra_params[b + j] + extra_params[2 * b + j];
            weight += exp(prediction[j]);
        }
        double log_weight = log(weight);
        for (int j = 0; j < b; j++)
            total += sequence[(t + 1) * b + j] * (prediction[j] - log_weight);
    }

    free(prediction);
    free(current);
    return -total / (b * (characters - 1));
}
