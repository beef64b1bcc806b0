"""The loss of a character LSTM whose gates see one unit each (ADBench's LSTM)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from coenzyme.problems.datafiles import Floats, NumberReader

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["LstmData", "load_lstm", "lstm"]


class LstmData(NamedTuple):
    """The arguments of `lstm`, in order: l layers, b bits a character, c characters."""

    main_params: Floats
    """(2l, 4b) weights (even rows) and biases (odd rows) of forget gate, input gate, output gate, change"""
    extra_params: Floats
    """(3, b) input weights, output weights, output biases"""
    state: Floats
    """(2l, b) hidden values (even rows) and cells (odd rows) before the first character"""
    sequence: Floats
    """(c, b) characters"""


@njit
def sigmoid(x: float) -> float:
    """Return 1/(1 + exp(-x))."""
    return 1.0 / (1.0 + math.exp(-x))


@njit
def advance_layer(weights: Floats, biases: Floats, hidden: Floats, cell: Floats, inputs: Floats) -> None:
    """Update hidden and cell, each (b,), in place by one character."""
    b = hidden.size
    for j in range(b):
        forget = sigmoid(inputs[j] * weights[j] + biases[j])
        ingate = sigmoid(hidden[j] * weights[b + j] + biases[b + j])
        outgate = sigmoid(inputs[j] * weights[2 * b + j] + biases[2 * b + j])
        change = math.tanh(hidden[j] * weights[3 * b + j] + biases[3 * b + j])
        cell[j] = cell[j] * forget + ingate * change
        hidden[j] = outgate * math.tanh(cell[j])


def lstm(main_params: Floats, extra_params: Floats, state: Floats, sequence: Floats) -> float:
    """Return the mean log loss of predicting each character of the sequence from those before it.

    Parameters
    ----------
    main_params, extra_params, state, sequence
        As in `LstmData`. The state is carried from character to character in a copy.

    Notes
    -----
    O(c l b) operations. The normaliser is log(2 + Σ exp), as ADBench has it.
    Source: ADBench, Šrajer et al. (2018).
    """
    layers = main_params.shape[0] // 2
    characters, b = sequence.shape
    current = state.copy()
    prediction = np.empty(b)
    total = 0.0
    for t in range(characters - 1):
        for j in range(b):
            prediction[j] = sequence[t, j] * extra_params[0, j]
        inputs = prediction
        for layer in range(layers):
            hidden = current[2 * layer]
            advance_layer(
                main_params[2 * layer], main_params[2 * layer + 1], hidden, current[2 * layer + 1], inputs
            )
            inputs = hidden
        weight = 2.0
        for j in range(b):
            prediction[j] = inputs[j] * extra_params[1, j] + extra_params[2, j]
            weight += math.exp(prediction[j])
        log_weight = math.log(weight)
        for j in range(b):
            total += sequence[t + 1, j] * (prediction[j] - log_weight)
    return -total / (b * (characters - 1))


def load_lstm(path: str | PathLike[str] | None = None) -> LstmData:
    """Return the arguments of `lstm` read from an ADBench file.

    Parameters
    ----------
    path
        A file that states l, c and b, then the four arrays row by row. By default the data set shipped with
        the package: l = 2, c = 1024, b = 14.

    Raises
    ------
    ParseError
        If the file does not hold exactly these numbers.

    Examples
    --------
    >>> [array.shape for array in load_lstm()]
    [(4, 56), (3, 14), (4, 14), (1024, 14)]
    """
    numbers = NumberReader(path, shipped="lstm_l2_c1024.txt")
    layers, characters, b = numbers.counts(3)
    main_params = numbers.array(2 * layers, 4 * b)
    extra_params = numbers.array(3, b)
    state = numbers.array(2 * layers, b)
    sequence = numbers.array(characters, b)
    numbers.finish()
    return LstmData(main_params, extra_params, state, sequence)
