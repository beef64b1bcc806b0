"""One formulation in whole arrays for several packages: what they share of NumPy, what each calls its own.

A formulation is a function of a `Package` and of the arguments of the row's function. It returns the row's
outputs in the order of their positions, or the scalar where the function returns one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.model import Library, Peer
from benchmarks.peers import autograd_gradient, jax_gradient, torch_gradient

if TYPE_CHECKING:
    from benchmarks.model import Call, Case

__all__ = ["Package", "array_peers", "jax_peer", "torch_peer"]

Formulation = Callable[..., Any]
ALL = (Library.JAX, Library.TORCH, Library.AUTOGRAD)


@dataclass(frozen=True)
class Package:
    """What a formulation may use.

    Attributes
    ----------
    np
        The package's module of array functions, named as in NumPy.
    array
        Makes a constant of the package from NumPy's array.
    pad
        Puts a frame of zeros, one wide, around an array.
    repeat
        ``repeat(step, carry, n)``: applies a step n times.
    scan
        ``scan(step, carry, slices)``: applies ``step(carry, slice) -> (carry, result)`` to the first slices
        of a tuple of arrays, to the second, and so on; returns the last carry and the results, stacked.
    """

    np: Any
    array: Callable[[Any], Any]
    pad: Callable[[Any], Any]
    repeat: Callable[[Callable[[Any], Any], Any, int], Any]
    scan: Callable[..., Any]


def jax_package() -> Package:
    """Return JAX: loops are scans."""
    import jax

    # Before the first constant is made.
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")

    def repeat(step: Callable[[Any], Any], carry: Any, n: int) -> Any:
        return jax.lax.scan(lambda c, _: (step(c), None), carry, length=n)[0]

    numpy = jax.numpy
    return Package(numpy, numpy.asarray, lambda x: numpy.pad(x, 1), repeat, jax.lax.scan)


def torch_package() -> Package:
    """Return PyTorch: loops are Python's."""
    import torch

    def pad(x: Any) -> Any:
        return torch.nn.functional.pad(x, (1,) * (2 * x.ndim))

    return Package(torch, torch.as_tensor, pad, repeat_in_python, scan_in_python(torch))


def autograd_package() -> Package:
    """Return autograd: loops are Python's."""
    import autograd.numpy

    def pad(x: Any) -> Any:
        return autograd.numpy.pad(x, ((1, 1),) * x.ndim, "constant")

    return Package(autograd.numpy, np.asarray, pad, repeat_in_python, scan_in_python(autograd.numpy))


def repeat_in_python(step: Callable[[Any], Any], carry: Any, n: int) -> Any:
    """Return what n steps make of a carry."""
    for _ in range(n):
        carry = step(carry)
    return carry


def scan_in_python(numpy: Any) -> Callable[..., Any]:
    """Return `Package.scan` as a loop in Python."""

    def scan(
        step: Callable[[Any, Any], Any], carry: Any, slices: Sequence[Any], reverse: bool = False
    ) -> Any:
        n = len(slices[0])
        results: list[Any] = [None] * n
        for k in reversed(range(n)) if reverse else range(n):
            carry, results[k] = step(carry, tuple(s[k] for s in slices))
        return carry, numpy.stack(results)

    return scan


_GRADIENTS: dict[Library, tuple[Callable[[], Package], Callable[[Case, Callable[..., Any]], Call]]] = {
    Library.JAX: (jax_package, jax_gradient),
    Library.TORCH: (torch_package, torch_gradient),
    Library.AUTOGRAD: (autograd_package, autograd_gradient),
}


def array_peers(
    formulation: Formulation, name: str = "arrays", libraries: tuple[Library, ...] = ALL
) -> tuple[Peer, ...]:
    """Return a peer for each of the packages from one formulation."""
    return tuple(_peer(library, formulation, name) for library in libraries)


def jax_peer(formulation: Formulation, name: str) -> Peer:
    """Return a peer for JAX alone."""
    return _peer(Library.JAX, formulation, name)


def torch_peer(formulation: Formulation, name: str) -> Peer:
    """Return a peer for PyTorch alone."""
    return _peer(Library.TORCH, formulation, name)


def _peer(library: Library, formulation: Formulation, name: str) -> Peer:
    def build(case: Case) -> Call:
        make_package, gradient = _GRADIENTS[library]
        package = make_package()
        seeds = [package.array(seed) for seed in case.seeds.values()]

        def loss(*arguments: Any) -> Any:
            result = formulation(package, *arguments)
            if not seeds:
                return result
            return sum((seed * output).sum() for seed, output in zip(seeds, result, strict=True))

        return gradient(case, loss)

    return Peer(library, name, build)
