"""Leaves that compiled code would take for separate memory: where they may be, and where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from coenzyme.api.invoke import only_reads
from coenzyme.api.trees.plan import Plan
from coenzyme.api.trees.regions import overlaps_itself
from coenzyme.api.validation import share_memory

__all__ = ["in_common", "only_read", "read_alone"]


def only_read(plan: Plan, leaves: Sequence[Any]) -> bool:
    """Return whether the function writes to none of its arrays."""
    return only_reads(plan.function, tuple(map(numba.typeof, leaves)))


def read_alone(plan: Plan, leaves: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return the leaves, copies of arrays that visit an element several times; None if those are written.

    A copy has a shadow of its own, with an element for each index; what belongs to one element is added up
    later.
    """
    numbers = [i for i in plan.differentiated if plan.leaves[i].is_array and overlaps_itself(leaves[i])]
    if not numbers:
        return leaves
    if any(leaves[i].flags.writeable for i in numbers) and not only_read(plan, leaves):
        return None
    given = list(leaves)
    for i in numbers:
        given[i] = np.array(leaves[i], order="C")
        given[i].flags.writeable = leaves[i].flags.writeable
    return tuple(given)


def in_common(plan: Plan, leaves: Sequence[Any]) -> set[int]:
    """Return the numbers of the differentiated arrays that share an element with one, or with themselves."""
    arrays = [i for i in plan.differentiated if plan.leaves[i].is_array]
    found = {i for i in arrays if overlaps_itself(leaves[i])}
    for k, i in enumerate(arrays):
        for j in arrays[:k]:
            if share_memory(leaves[i], leaves[j]):
                found |= {i, j}
    return found
