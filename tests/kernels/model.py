"""What a kernel is: a compiled function, and a point at which its derivatives are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Draw", "Kernel", "well_conditioned"]


class Draw:
    """Random arguments of one kernel, the same in every run."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def array(self, *shape: int, low: float = 0.5, high: float = 1.5, dtype: Any = np.float64) -> Any:
        """Return an array of independent numbers between `low` and `high`."""
        return self._rng.uniform(low, high, shape).astype(dtype)

    def signed(self, *shape: int, dtype: Any = np.float64) -> Any:
        """Return an array of independent numbers between -1 and 1."""
        return self.array(*shape, low=-1.0, high=1.0, dtype=dtype)

    def number(self, low: float = 0.5, high: float = 1.5) -> float:
        """Return one number."""
        return float(self._rng.uniform(low, high))


def well_conditioned(draw: Draw, n: int) -> Any:
    """Return a symmetric positive definite matrix, far from singular."""
    half = draw.signed(n, n)
    return half @ half.T + n * np.eye(n)


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes
    ----------
    function
        Compiled by Numba. What it returns and what it writes into its arguments is its output.
    arguments
        Makes the arguments of one call.
    argnums
        The differentiated arguments; by default all that hold floats.
    single
        Whether the arguments are single precision: finite differences then use the function in double.
    """

    function: Callable[..., Any]
    arguments: Callable[[Draw], tuple[Any, ...]]
    argnums: tuple[int, ...] | None = None
    single: bool = False

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__
