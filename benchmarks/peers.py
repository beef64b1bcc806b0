"""Gradients by other packages: each function imports its package, prepares what it can, returns the call.

A loss takes all arguments of the row's function, in the package's own arrays where they are arrays, and
returns the scalar differentiated: the function's value, or its outputs' inner product with `Case.seeds`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from benchmarks.model import Array, Call, Case

__all__ = ["autograd_gradient", "casadi_gradient", "casadi_steps", "jax_gradient", "torch_gradient"]


def jax_gradient(case: Case, loss: Callable[..., Any]) -> Call:
    """Return JAX's gradient, compiled; arguments that are no arrays and not active are constants to it."""
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    traced, place = _traced(case)
    gradient = jax.grad(lambda *x: loss(*place(x)), argnums=_active_among(case, traced))
    compiled = jax.jit(gradient)
    operands = [jax.numpy.asarray(case.start[i]) for i in traced]
    return lambda: jax.block_until_ready(compiled(*operands))


def torch_gradient(case: Case, loss: Callable[..., Any]) -> Call:
    """Return PyTorch's gradient, of a function run eagerly."""
    import torch

    torch.set_num_threads(1)
    traced, place = _traced(case)
    # Contiguous copies: PyTorch has no negative strides, and shares memory with NumPy otherwise.
    operands = [torch.tensor(np.ascontiguousarray(case.start[i])) for i in traced]
    active = [operands[i] for i in _active_among(case, traced)]
    for tensor in active:
        tensor.requires_grad_()
    return lambda: torch.autograd.grad(loss(*place(operands)), active)


def autograd_gradient(case: Case, loss: Callable[..., Any]) -> Call:
    """Return autograd's gradient."""
    import autograd

    gradient = autograd.grad(loss, argnum=case.row.active)
    return lambda: gradient(*case.start)


def casadi_gradient(case: Case, loss: Callable[..., Any]) -> Call:
    """Return CasADi's gradient of a loss written with its SX symbols, with buffers bound beforehand.

    Notes
    -----
    CasADi's matrices are stored by columns: the loss gets an array as one column of all entries in C order.
    """
    import casadi

    active = case.row.active
    starts = [np.ascontiguousarray(case.start[i], dtype=np.float64) for i in active]
    symbols = [casadi.SX.sym(f"x{k}", start.size) for k, start in enumerate(starts)]
    arguments = list(case.start)
    for i, symbol in zip(active, symbols, strict=True):
        arguments[i] = symbol
    value = loss(*arguments)
    gradients = [casadi.densify(casadi.gradient(value, symbol)) for symbol in symbols]
    return _casadi_call(casadi.Function("gradient", symbols, gradients), starts)


def casadi_steps(case: Case, step: Callable[..., Any], steps: int) -> Call:
    """Return CasADi's adjoint of a step, written with SX symbols, that is applied many times to all `active`.

    Notes
    -----
    The step gets each array as one column of all entries in C order, and returns a list of such. Only one
    step is expanded into operations; the loop and its adjoint are CasADi's own.
    """
    import casadi

    starts = [np.ascontiguousarray(case.start[i]) for i in case.row.active]
    ends = np.cumsum([0, *(start.size for start in starts)])
    state = casadi.SX.sym("state", int(ends[-1]))
    parts = [state[int(a) : int(b)] for a, b in pairwise(ends)]
    once = casadi.Function("step", [state], [casadi.vertcat(*step(*parts))])
    columns = [casadi.MX.sym(f"x{k}", start.size) for k, start in enumerate(starts)]
    first = casadi.vertcat(*columns)
    seeds = np.concatenate([case.seeds[i].reshape(-1) for i in case.row.active])
    loss = casadi.dot(casadi.DM(seeds), once.fold(steps)(first))
    whole = casadi.gradient(loss, first)
    gradients = [whole[int(a) : int(b)] for a, b in pairwise(ends)]
    return _casadi_call(casadi.Function("gradient", columns, gradients), starts)


def _casadi_call(function: Any, starts: list[Array]) -> Call:
    """Return the call of a function of CasADi's with buffers for its arguments and results."""
    results = [np.zeros(start.shape) for start in starts]
    buffer, evaluate = function.buffer()
    for k, (start, result) in enumerate(zip(starts, results, strict=True)):
        buffer.set_arg(k, memoryview(start.reshape(-1)))
        buffer.set_res(k, memoryview(result.reshape(-1)))

    def call() -> list[Any]:
        evaluate()
        return results

    # The buffer holds the memory by address alone.
    call.kept = (function, buffer, starts)  # type: ignore[attr-defined]
    return call


def _traced(case: Case) -> tuple[list[int], Callable[[Any], list[Any]]]:
    """Return the positions of what is passed as data, and what puts data back among the constants."""
    traced = [
        i for i, x in enumerate(case.start) if i in case.row.active or isinstance(x, (np.ndarray, np.generic))
    ]

    def place(data: Any) -> list[Any]:
        arguments = list(case.start)
        for i, x in zip(traced, data, strict=True):
            arguments[i] = x
        return arguments

    return traced, place


def _active_among(case: Case, traced: list[int]) -> tuple[int, ...]:
    return tuple(traced.index(i) for i in case.row.active)
