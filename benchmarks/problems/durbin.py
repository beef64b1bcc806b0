"""PolyBench's durbin: a Toeplitz system of the Yule–Walker kind, by its recursion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers, jax_peer
from benchmarks.model import Group, Library, Quoted, Row
from tests.kernels.model import Draw
from tests.kernels.solvers import durbin_loops

__all__ = ["ROWS"]


@njit
def durbin_adjoint(r, y, r_bar, y_bar):
    """Tape y before each step, N²/2 numbers in all, and the N reflections and powers."""
    n = r.size
    tape = np.empty(n * (n - 1) // 2)
    alphas, betas = np.empty(n), np.empty(n)
    y[0] = -r[0]
    beta = 1.0
    alpha = -r[0]
    alphas[0], betas[0] = alpha, beta
    start = 0
    for k in range(1, n):
        beta = (1 - alpha * alpha) * beta
        before = tape[start : start + k]
        total = 0.0
        for i in range(k):
            before[i] = y[i]
            total += r[k - i - 1] * y[i]
        alpha = -(r[k] + total) / beta
        for i in range(k):
            y[i] = before[i] + alpha * before[k - i - 1]
        y[k] = alpha
        alphas[k], betas[k] = alpha, beta
        start += k
    alpha_bar = beta_bar = 0.0
    z_bar = np.empty(n)
    for k in range(n - 1, 0, -1):
        start -= k
        before = tape[start : start + k]
        alpha, beta = alphas[k], betas[k]
        alpha_bar += y_bar[k]
        y_bar[k] = 0.0
        for i in range(k):
            z_bar[i] = y_bar[i]
            alpha_bar += y_bar[i] * before[k - i - 1]
        total_bar = -alpha_bar / beta
        beta_bar += total_bar * alpha
        r_bar[k] += total_bar
        for i in range(k):
            y_bar[i] = z_bar[i] + alpha * z_bar[k - i - 1] + total_bar * r[k - i - 1]
        for i in range(k):
            r_bar[k - i - 1] += total_bar * before[i]
        alpha_bar = -2.0 * alphas[k - 1] * betas[k - 1] * beta_bar
        beta_bar *= 1 - alphas[k - 1] * alphas[k - 1]
    r_bar[0] -= y_bar[0] + alpha_bar
    y_bar[0] = 0.0


def masked(package: Package, r: Any, y: Any) -> Any:
    """Return the solution by a scan over orders, of arrays of full length with zeros behind."""
    import jax

    numpy, n = package.np, r.size
    positions = numpy.arange(n)
    zeros = numpy.zeros(n)
    backwards = numpy.concatenate((r[::-1], zeros))

    def step(carry: Any, slices: Any) -> Any:
        y, alpha, beta = carry
        k, r_k = slices
        beta = beta * (1.0 - alpha * alpha)
        alpha = -(r_k + jax.lax.dynamic_slice(backwards, (n - k,), (n,)) @ y) / beta
        turned = jax.lax.dynamic_slice(numpy.concatenate((y[::-1], zeros)), (n - k,), (n,))
        return (y + alpha * (turned + (positions == k)), alpha, beta), None

    begin = (zeros.at[0].set(-r[0]), -r[0], 1.0 + 0.0 * r[0])
    return (jax.lax.scan(step, begin, (positions[1:], r[1:]))[0][0],)


def grown(package: Package, r: Any, y: Any) -> Any:
    """Return the solution by a loop in Python over arrays that grow."""
    numpy = package.np
    turn = numpy.flipud if hasattr(numpy, "as_tensor") else lambda x: x[::-1]
    y = alpha = -r[:1]
    beta = 1.0
    for k in range(1, len(r)):
        beta = beta * (1.0 - alpha * alpha)
        turned = turn(r[:k])
        alpha = -(r[k] + numpy.dot(turned, y)) / beta
        y = numpy.concatenate((y + alpha * turn(y), alpha))
    return (y,)


def start(n: int) -> tuple[Any, ...]:
    """Return arguments of order n; the coefficients decay, or the system would be singular."""
    draw = Draw(1)
    return 0.4 * draw.signed(n) / (1.0 + np.arange(n)), draw.signed(n)


ROWS = (
    Row(
        title="durbin 2000",
        group=Group.LINEAR_ALGEBRA,
        function=durbin_loops.py_func,
        arguments=lambda: start(2000),
        small=lambda: start(7),
        active=(0,),
        outputs=(1,),
        by_hand=durbin_adjoint,
        hand_bytes=lambda r, y: 4 * r.size * (r.size - 1) + 16 * r.size,
        peers=(
            jax_peer(masked, "scan with masks"),
            *array_peers(grown, "loop", (Library.TORCH, Library.AUTOGRAD)),
        ),
        bar=16.0,
        quoted=Quoted(14.5, 16.9, "JAX 134"),
    ),
)
