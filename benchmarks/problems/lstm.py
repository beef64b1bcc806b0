"""ADBench's LSTM: gradient with respect to the main and the extra parameters."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from benchmarks.model import Array, Group, Library, Peer, Quoted, Row
from benchmarks.peers import autograd_gradient, jax_gradient, torch_gradient
from coenzyme.problems.lstm import LstmData, load_lstm, lstm, sigmoid

__all__ = ["ROWS"]

FORGET, IN, OUT, CHANGE, CELL, HIDDEN = range(6)
"""What the adjoint by hand keeps of each unit."""


@njit
def forward_sweep(main_params: Array, extra_params: Array, sequence: Array, kept: Array) -> None:
    """Fill ``kept[t, layer, what, j]``, whose row t = 0 holds the state before the first character."""
    layers = main_params.shape[0] // 2
    characters, b = sequence.shape
    for t in range(characters - 1):
        for layer in range(layers):
            weights, biases = main_params[2 * layer], main_params[2 * layer + 1]
            before, after = kept[t, layer], kept[t + 1, layer]
            for j in range(b):
                x = sequence[t, j] * extra_params[0, j] if layer == 0 else kept[t + 1, layer - 1, HIDDEN, j]
                h = before[HIDDEN, j]
                forget = sigmoid(x * weights[j] + biases[j])
                ingate = sigmoid(h * weights[b + j] + biases[b + j])
                outgate = sigmoid(x * weights[2 * b + j] + biases[2 * b + j])
                change = math.tanh(h * weights[3 * b + j] + biases[3 * b + j])
                cell = before[CELL, j] * forget + ingate * change
                after[FORGET, j] = forget
                after[IN, j] = ingate
                after[OUT, j] = outgate
                after[CHANGE, j] = change
                after[CELL, j] = cell
                after[HIDDEN, j] = outgate * math.tanh(cell)


@njit
def lstm_adjoint(
    main_params: Array,
    extra_params: Array,
    state: Array,
    sequence: Array,
    d_main: Array,
    d_extra: Array,
) -> None:
    """Add the gradients of `lstm` by main and extra parameters to the shadows."""
    layers = main_params.shape[0] // 2
    characters, b = sequence.shape
    kept = np.empty((characters, layers, 6, b))
    for layer in range(layers):
        for j in range(b):
            kept[0, layer, HIDDEN, j] = state[2 * layer, j]
            kept[0, layer, CELL, j] = state[2 * layer + 1, j]
    forward_sweep(main_params, extra_params, sequence, kept)

    scale = -1.0 / (b * (characters - 1))
    d_hidden = np.zeros((layers, b))
    d_cell = np.zeros((layers, b))
    exponentials = np.empty(b)
    for t in range(characters - 2, -1, -1):
        weight, demand = 2.0, 0.0
        for j in range(b):
            h = kept[t + 1, layers - 1, HIDDEN, j]
            exponentials[j] = math.exp(h * extra_params[1, j] + extra_params[2, j])
            weight += exponentials[j]
            demand += sequence[t + 1, j]
        for j in range(b):
            d_prediction = scale * (sequence[t + 1, j] - demand * exponentials[j] / weight)
            d_extra[1, j] += d_prediction * kept[t + 1, layers - 1, HIDDEN, j]
            d_extra[2, j] += d_prediction
            d_hidden[layers - 1, j] += d_prediction * extra_params[1, j]
        for layer in range(layers - 1, -1, -1):
            weights, d_weights, d_biases = (
                main_params[2 * layer],
                d_main[2 * layer],
                d_main[2 * layer + 1],
            )
            before, after = kept[t, layer], kept[t + 1, layer]
            for j in range(b):
                forget, ingate = after[FORGET, j], after[IN, j]
                outgate, change = after[OUT, j], after[CHANGE, j]
                cell, h = before[CELL, j], before[HIDDEN, j]
                x = sequence[t, j] * extra_params[0, j] if layer == 0 else kept[t + 1, layer - 1, HIDDEN, j]
                bar = d_hidden[layer, j]
                squashed = after[HIDDEN, j] / outgate
                cell_bar = d_cell[layer, j] + bar * outgate * (1.0 - squashed * squashed)
                forget_bar = cell_bar * cell * forget * (1.0 - forget)
                in_bar = cell_bar * change * ingate * (1.0 - ingate)
                out_bar = bar * squashed * outgate * (1.0 - outgate)
                change_bar = cell_bar * ingate * (1.0 - change * change)
                d_cell[layer, j] = cell_bar * forget
                d_hidden[layer, j] = in_bar * weights[b + j] + change_bar * weights[3 * b + j]
                x_bar = forget_bar * weights[j] + out_bar * weights[2 * b + j]
                d_weights[j] += forget_bar * x
                d_weights[b + j] += in_bar * h
                d_weights[2 * b + j] += out_bar * x
                d_weights[3 * b + j] += change_bar * h
                d_biases[j] += forget_bar
                d_biases[b + j] += in_bar
                d_biases[2 * b + j] += out_bar
                d_biases[3 * b + j] += change_bar
                if layer == 0:
                    d_extra[0, j] += x_bar * sequence[t, j]
                else:
                    d_hidden[layer - 1, j] += x_bar


def hand_bytes(main_params: Array, extra_params: Array, state: Array, sequence: Array) -> int:
    """Return the bytes that the adjoint by hand keeps."""
    return 8 * 6 * (main_params.shape[0] // 2) * sequence.size


# --- other packages ----------------------------------------------------------------------------------------


def advance(numpy: Any, parameters: Any, hidden: Any, cell: Any, inputs: Any) -> tuple[Any, Any]:
    """Return hidden value and cell after one character, in terms of whole vectors."""
    (weights, biases), b = parameters, inputs.shape[0]

    def gate(x: Any, k: int) -> Any:
        return x * weights[k * b : (k + 1) * b] + biases[k * b : (k + 1) * b]

    forget, out = _sigmoid(numpy, gate(inputs, 0)), _sigmoid(numpy, gate(inputs, 2))
    ingate, change = _sigmoid(numpy, gate(hidden, 1)), numpy.tanh(gate(hidden, 3))
    cell = cell * forget + ingate * change
    return out * numpy.tanh(cell), cell


def _sigmoid(numpy: Any, x: Any) -> Any:
    return 1.0 / (1.0 + numpy.exp(-x))


def loss_after(
    numpy: Any, main: Any, extra: Any, states: list[Any], pair: tuple[Any, Any]
) -> tuple[Any, Any]:
    """Return the states after one character, and the logarithm of the next one's probability."""
    character, following = pair
    inputs, new = character * extra[0], []
    for layer in range(len(states)):
        parameters = (main[2 * layer], main[2 * layer + 1])
        new.append(advance(numpy, parameters, *states[layer], inputs))
        inputs = new[-1][0]
    prediction = inputs * extra[1] + extra[2]
    log_weight = numpy.log(2.0 + numpy.exp(prediction).sum())
    return new, (following * (prediction - log_weight)).sum()


def jax_scan(main: Any, extra: Any, state: Any, sequence: Any) -> Any:
    """Return the loss as a scan over the characters."""
    import jax

    states = [(state[2 * layer], state[2 * layer + 1]) for layer in range(main.shape[0] // 2)]
    step = partial(loss_after, jax.numpy, main, extra)
    _, terms = jax.lax.scan(step, states, (sequence[:-1], sequence[1:]))
    return -terms.mean() / sequence.shape[1]


def in_a_loop(numpy: Any, main: Any, extra: Any, state: Any, sequence: Any) -> Any:
    """Return the loss by a loop over the characters."""
    states: Any = [(state[2 * layer], state[2 * layer + 1]) for layer in range(main.shape[0] // 2)]
    total: Any = 0.0
    for t in range(len(sequence) - 1):
        states, term = loss_after(numpy, main, extra, states, (sequence[t], sequence[t + 1]))
        total = total + term
    return -total / (sequence.shape[1] * (len(sequence) - 1))


def torch_loop(*arguments: Any) -> Any:
    """Return the loss by a loop over the characters."""
    import torch

    return in_a_loop(torch, *arguments)


def autograd_loop(*arguments: Any) -> Any:
    """Return the loss by a loop over the characters."""
    import autograd.numpy

    return in_a_loop(autograd.numpy, *arguments)


JAX = Peer(Library.JAX, "scan", lambda case: jax_gradient(case, jax_scan))
OTHERS = (
    Peer(Library.TORCH, "loop", lambda case: torch_gradient(case, torch_loop)),
    Peer(Library.AUTOGRAD, "loop", lambda case: autograd_gradient(case, autograd_loop)),
)


def random_lstm(layers: int, characters: int, b: int = 14) -> LstmData:
    """Return data as ADBench makes it: numbers between 0 and 1, characters as bits."""
    rng = np.random.default_rng(2)
    sequence = rng.integers(0, 2, size=(characters, b)).astype(np.float64)
    return LstmData(
        rng.random((2 * layers, 4 * b)), rng.random((3, b)), rng.random((2 * layers, b)), sequence
    )


SMALLER = Row(
    title="LSTM l2 c1024",
    group=Group.ADBENCH,
    function=lstm,
    arguments=load_lstm,
    small=partial(random_lstm, 2, 5, 3),
    active=(0, 1),
    by_hand=lstm_adjoint,
    hand_bytes=hand_bytes,
    peers=(JAX, *OTHERS),
    bar=1.4,
    quoted=Quoted(hand=1.12, enzyme=2.0, peer="JAX 3.0"),
)

ROWS = (
    SMALLER,
    replace(
        SMALLER,
        title="LSTM l4 c4096",
        arguments=partial(random_lstm, 4, 4096),
        peers=(JAX,),
        bar=1.5,
        quoted=Quoted(hand=1.21, enzyme=2.4, peer="JAX 5.7"),
    ),
)
