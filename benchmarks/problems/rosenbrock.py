"""Rosenbrock's function: n = 10, where the call is what costs, and n = 10⁶, where memory is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

import coenzyme as cz
from benchmarks.model import Array, Call, Case, Group, Library, Peer, Row
from benchmarks.peers import autograd_gradient, casadi_gradient, jax_gradient, torch_gradient

__all__ = ["ROWS"]


def rosenbrock(x: Array) -> float:
    """Return Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)²."""
    total = 0.0
    for i in range(x.size - 1):
        total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


@njit
def rosenbrock_adjoint(x: Array, dx: Array) -> None:
    """Add the gradient to dx."""
    for i in range(x.size - 1):
        valley = x[i + 1] - x[i] * x[i]
        dx[i] += -400.0 * valley * x[i] - 2.0 * (1.0 - x[i])
        dx[i + 1] += 200.0 * valley


def whole(x: Any) -> Any:
    """Return Rosenbrock's function in terms of whole arrays."""
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def casadi_whole(x: Any) -> Any:
    """Return Rosenbrock's function of CasADi's symbols."""
    import casadi

    return casadi.sum1(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def start(n: int) -> tuple[Array]:
    """Return a point of n coordinates between 0.5 and 1.5."""
    return (1.0 + 0.5 * np.sin(np.arange(n)),)


PEERS = (
    Peer(Library.JAX, "arrays", lambda case: jax_gradient(case, whole)),
    Peer(Library.TORCH, "arrays", lambda case: torch_gradient(case, whole)),
    Peer(Library.AUTOGRAD, "arrays", lambda case: autograd_gradient(case, whole)),
)
CASADI = Peer(Library.CASADI, "buffers", lambda case: casadi_gradient(case, casadi_whole))


def by_grad(case: Case) -> Call:
    """Return a call of what `grad` returns."""
    gradient = cz.grad(case.function, argnums=(0,))
    return lambda: gradient(*case.arguments)


def by_value_and_grad(case: Case) -> Call:
    """Return a call of what `value_and_grad` returns."""
    gradient = cz.value_and_grad(case.function, argnums=(0,))
    return lambda: gradient(*case.arguments)[1]


def by_autodiff(case: Case) -> Call:
    """Return a call of `autodiff`, which annotates its arguments and adds to a shadow."""
    (x,), dx = case.arguments, case.shadows[0]
    return lambda: cz.autodiff(cz.Reverse, case.function, cz.Duplicated(x, dx)) and (dx,)


def hand_allocating(case: Case) -> Call:
    """Return a call of the adjoint by hand with a fresh gradient."""
    (x,) = case.arguments

    @njit
    def gradient(x: Array) -> tuple[Array]:
        dx = np.zeros_like(x)
        rosenbrock_adjoint(x, dx)
        return (dx,)

    return lambda: gradient(x)


def call_row(name: str, derivative: Any, peers: tuple[Peer, ...] = ()) -> Row:
    """Return the row of one way to call the gradient."""
    return Row(
        title=f"Rosenbrock n = 10, {name}",
        group=Group.CALLS,
        function=rosenbrock,
        arguments=lambda: start(10),
        small=lambda: start(4),
        active=(0,),
        hand=hand_allocating,
        hand_bytes=lambda x: 0,
        peers=peers,
        derivative=derivative,
        bare=True,
    )


ROWS = (
    call_row("grad", by_grad, (*PEERS, CASADI)),
    call_row("value_and_grad", by_value_and_grad),
    call_row("autodiff", by_autodiff),
    Row(
        title="Rosenbrock n = 10⁶",
        group=Group.SIMULATION,
        function=rosenbrock,
        arguments=lambda: start(1_000_000),
        small=lambda: start(7),
        active=(0,),
        by_hand=rosenbrock_adjoint,
        hand_bytes=lambda x: 0,
        peers=PEERS,
        thorough=False,
    ),
)
