"""Derivatives by several views of one memory, brought into one buffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from coenzyme.api.trees.regions import extent, overlaps_itself, regions_of

__all__ = ["add_into", "gathered"]

Array: TypeAlias = npt.NDArray[Any]


def gathered(arrays: Sequence[Array], derivatives: Sequence[Array]) -> list[Array]:
    """Return derivatives that lie in memory as their arrays do: where these overlap they are added up.

    Parameters
    ----------
    arrays
        Arrays, which may be views of one memory, or visit an element several times.
    derivatives
        The derivative by each of them as if it were alone, of the same shape.

    Returns
    -------
    list of ndarray
        For arrays that share memory views of one buffer; for others, what was given.
    """
    given = {id(x): derivative for x, derivative in zip(arrays, derivatives, strict=True)}
    found = dict(given)
    for region in regions_of(arrays):
        if len(region.arrays) == 1 and not overlaps_itself(region.arrays[0]):
            continue
        for x, made in zip(region.arrays, region.zeros(), strict=True):
            found[id(x)] = made
            add_into(made, given[id(x)])
    return [found[id(x)] for x in arrays]


def add_into(x: Array, values: Array) -> None:
    """Add values to an array; an element that is visited several times gets the sum of the visits."""
    if not overlaps_itself(x):
        np.add(x, values, out=x)
        return
    low, high = extent(x)
    window = _Window(x, low, (high - low) // x.itemsize)
    elements = np.asarray(window)
    index = np.full(x.shape, (int(x.__array_interface__["data"][0]) - low) // x.itemsize, np.intp)
    for axis, step in enumerate(x.strides):
        along = [1] * x.ndim
        along[axis] = -1
        index += step // x.itemsize * np.arange(x.shape[axis]).reshape(along)
    np.add.at(elements, index, values)


class _Window:
    """The elements that an array visits, one after the other."""

    def __init__(self, x: Array, start: int, count: int) -> None:
        self.owner = x
        self.__array_interface__ = {
            "version": 3,
            "typestr": x.dtype.str,
            "shape": (count,),
            "data": (start, not x.flags.writeable),
        }
