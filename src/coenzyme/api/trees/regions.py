"""Arrays in one memory: shadows that lie to each other as the arrays do.

Views of one array get views of one buffer, whether they overlap or not; so do arrays that overlap in some
other way. An array that nobody shares memory with has a shadow of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

__all__ = ["Region", "extent", "overlaps_itself", "regions_of"]

Array: TypeAlias = npt.NDArray[Any]


def extent(x: Array) -> tuple[int, int]:
    """Return the first address of an array, and the one after its last."""
    start = int(x.__array_interface__["data"][0])
    if x.size == 0:
        return start, start
    reach = [(n - 1) * step for n, step in zip(x.shape, x.strides, strict=True)]
    return start + sum(r for r in reach if r < 0), start + sum(r for r in reach if r > 0) + x.itemsize


def overlaps_itself(x: Array) -> bool:
    """Return whether two indices of an array mean the same memory, as in broadcast arrays."""
    if x.size < 2 or x.flags.c_contiguous or x.flags.f_contiguous:
        return False
    covered = x.itemsize
    for stride, n in sorted((abs(s), n) for n, s in zip(x.shape, x.strides, strict=True) if n > 1):
        if stride < covered:
            return True
        covered += (n - 1) * stride
    return False


class Region:
    """The memory of some arrays, and shadows in memory that is laid out in the same way.

    Parameters
    ----------
    arrays
        The arrays.
    low, high
        The first address of the memory and the one after its last.
    """

    def __init__(self, arrays: Sequence[Array], low: int, high: int) -> None:
        self.arrays = list(arrays)
        self.low, self.high = low, high

    def zeros(self) -> list[Array]:
        """Return a zero shadow for each of the arrays, all of them views of one buffer."""
        kinds = {x.dtype for x in self.arrays}
        only = next(iter(kinds)) if len(kinds) == 1 else None
        size = self.high - self.low
        if only is not None and size % only.itemsize == 0:
            buffer = np.zeros(size // only.itemsize, only)
        else:
            buffer = np.zeros(size, np.uint8)
        return [self._view(x, buffer) for x in self.arrays]

    def _view(self, x: Array, buffer: Array) -> Array:
        start = int(x.__array_interface__["data"][0])
        return np.ndarray(x.shape, x.dtype, buffer, start - self.low if x.size else 0, x.strides)


def regions_of(arrays: Sequence[Array]) -> list[Region]:
    """Return the regions that arrays lie in; arrays in the memory of one owner are in one region."""
    spans = [(*_memory_of(x), x) for x in arrays]
    spans.sort(key=lambda span: span[:2])
    found: list[Region] = []
    for low, high, x in spans:
        if found and low < found[-1].high and x.size > 0:
            found[-1].arrays.append(x)
            found[-1].high = max(found[-1].high, high)
        else:
            found.append(Region([x], low, high))
    for region in found:
        if len(region.arrays) == 1:
            region.low, region.high = extent(region.arrays[0])
    return found


def _memory_of(x: Array) -> tuple[int, int]:
    """Return the extent of the array that a view is one of, or that of the array itself."""
    own = extent(x)
    base = x.base
    while isinstance(base, np.ndarray) and isinstance(cast(Any, base).base, np.ndarray):
        base = cast(Any, base).base
    if not isinstance(base, np.ndarray) or x.size == 0:
        return own
    whole = extent(base)
    return whole if whole[0] <= own[0] and own[1] <= whole[1] else own
