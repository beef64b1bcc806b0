"""What functions do to memory: allocation, release, reference counts, block transfers.

Numba's runtime (NRT) hands out *meminfo* objects: a reference count, a destructor, and the address of the
payload that arrays live in. C hands out the payload itself. The rows say which operand is which; what
happens to shadows is the engine's to decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from coenzyme.rules.carrying import CARRY

__all__ = [
    "Allocation",
    "BlockKind",
    "Deallocation",
    "MemInfoData",
    "MemoryRule",
    "Reallocation",
    "ReferenceCount",
    "Transfer",
    "TransferKind",
    "find_memory_rule",
]


class BlockKind(Enum):
    """What a pointer to allocated memory points to."""

    MEMINFO = "meminfo"
    """Numba's header; the payload is behind ``NRT_MemInfo_data_fast``."""
    RAW = "raw"
    """The payload."""


class TransferKind(Enum):
    """What a block transfer does."""

    COPY = "memcpy"
    MOVE = "memmove"
    SET = "memset"


@dataclass(frozen=True)
class Allocation:
    """A function that returns new memory, or null.

    Attributes
    ----------
    name
        The callee.
    size
        The operands whose product is the size of the payload in bytes.
    kind
        What the result points to.
    release
        The function that gives the memory back.
    alignment
        The operand that holds the alignment in bytes, if any.
    destructor
        The operand that holds a function called with the payload before it is freed, if any.
    zeroed
        Whether the payload is zero; its content is undefined otherwise.
    resizable
        Whether the payload may move later (``NRT_MemInfo_varsize_realloc``).
    """

    name: str
    size: tuple[int, ...]
    kind: BlockKind
    release: str
    alignment: int | None = None
    destructor: int | None = None
    zeroed: bool = False
    resizable: bool = False


@dataclass(frozen=True)
class Reallocation:
    """A function that gives a block another size, and returns where the payload is now.

    Attributes
    ----------
    name
        The callee.
    block
        The operand that says which block: a meminfo, or the payload.
    size
        The operand that holds the new size, in bytes (of a typed list, in items); None for one item more.
    kind
        What ``block`` points to. The result is the payload in both cases.
    keeps_content
        Whether the old content is carried over. If not, the old payload stays allocated beside the new one.
    """

    name: str
    block: int
    size: int | None
    kind: BlockKind
    keeps_content: bool = True


@dataclass(frozen=True)
class Deallocation:
    """A function that frees the block that an operand points to (null is allowed)."""

    name: str
    block: int
    kind: BlockKind


@dataclass(frozen=True)
class ReferenceCount:
    """A function that adds ``change`` to the count of a meminfo (null is allowed), and frees it at zero."""

    name: str
    meminfo: int
    change: int


@dataclass(frozen=True)
class MemInfoData:
    """A function that returns the payload of a meminfo, or of a typed container."""

    name: str
    meminfo: int


@dataclass(frozen=True)
class Transfer:
    """A function that copies or sets a block of ``size`` bytes.

    Attributes
    ----------
    name
        The callee; of an intrinsic, without the suffixes for its types.
    kind
        What it does.
    destination, size
        Operands.
    source
        The operand that is copied from, or None.
    value
        The operand that holds the byte to set, or None.
    returns_destination
        Whether the call's value is the destination, as C's functions return it.
    """

    name: str
    kind: TransferKind
    destination: int = 0
    source: int | None = None
    value: int | None = None
    size: int = 2
    returns_destination: bool = False


MemoryRule: TypeAlias = Allocation | Reallocation | Deallocation | ReferenceCount | MemInfoData | Transfer

_MEMINFO = BlockKind.MEMINFO
_RAW = BlockKind.RAW

_ALLOCATIONS: tuple[Allocation, ...] = (
    Allocation("NRT_MemInfo_alloc", (0,), _MEMINFO, "NRT_decref"),
    Allocation("NRT_MemInfo_alloc_safe", (0,), _MEMINFO, "NRT_decref"),
    Allocation("NRT_MemInfo_alloc_aligned", (0,), _MEMINFO, "NRT_decref", alignment=1),
    Allocation("NRT_MemInfo_alloc_safe_aligned", (0,), _MEMINFO, "NRT_decref", alignment=1),
    Allocation("NRT_MemInfo_alloc_safe_aligned_external", (0,), _MEMINFO, "NRT_decref", alignment=1),
    Allocation("NRT_MemInfo_alloc_external", (0,), _MEMINFO, "NRT_decref"),
    Allocation("NRT_MemInfo_alloc_dtor", (0,), _MEMINFO, "NRT_decref", destructor=1),
    Allocation("NRT_MemInfo_alloc_dtor_safe", (0,), _MEMINFO, "NRT_decref", destructor=1),
    Allocation("NRT_MemInfo_new_varsize", (0,), _MEMINFO, "NRT_decref", resizable=True),
    Allocation("NRT_MemInfo_new_varsize_dtor", (0,), _MEMINFO, "NRT_decref", destructor=1, resizable=True),
    Allocation("NRT_Allocate", (0,), _RAW, "NRT_Free"),
    Allocation("NRT_Allocate_External", (0,), _RAW, "NRT_Free"),
    Allocation("malloc", (0,), _RAW, "free", resizable=True),
    Allocation("calloc", (0, 1), _RAW, "free", zeroed=True, resizable=True),
    Allocation("aligned_alloc", (1,), _RAW, "free", alignment=0),
)

_OTHERS: tuple[MemoryRule, ...] = (
    Reallocation("NRT_MemInfo_varsize_alloc", 0, 1, _MEMINFO, keeps_content=False),
    Reallocation("NRT_MemInfo_varsize_realloc", 0, 1, _MEMINFO),
    Reallocation("coenzyme.list.reserve", 0, 1, _RAW),
    Reallocation("coenzyme.dict.reserve", 0, None, _RAW),
    Reallocation("NRT_Reallocate", 0, 1, _RAW),
    Reallocation("realloc", 0, 1, _RAW),
    Deallocation("NRT_MemInfo_call_dtor", 0, _MEMINFO),
    Deallocation("NRT_MemInfo_destroy", 0, _MEMINFO),
    Deallocation("NRT_MemInfo_varsize_free", 1, _RAW),
    Deallocation("NRT_Free", 0, _RAW),
    Deallocation("free", 0, _RAW),
    ReferenceCount("NRT_incref", 0, +1),
    ReferenceCount("NRT_MemInfo_acquire", 0, +1),
    ReferenceCount("NRT_decref", 0, -1),
    ReferenceCount("NRT_MemInfo_release", 0, -1),
    MemInfoData("NRT_MemInfo_data_fast", 0),
    MemInfoData("NRT_MemInfo_data", 0),
    MemInfoData("coenzyme.list.items", 0),
    MemInfoData("coenzyme.dict.entries", 0),
    Transfer("llvm.memcpy", TransferKind.COPY, source=1),
    Transfer("llvm.memcpy.inline", TransferKind.COPY, source=1),
    Transfer("memcpy", TransferKind.COPY, source=1, returns_destination=True),
    Transfer(CARRY, TransferKind.COPY, source=1),
    Transfer("llvm.memmove", TransferKind.MOVE, source=1),
    Transfer("memmove", TransferKind.MOVE, source=1, returns_destination=True),
    Transfer("llvm.memset", TransferKind.SET, value=1),
    Transfer("llvm.memset.inline", TransferKind.SET, value=1),
    Transfer("memset", TransferKind.SET, value=1, returns_destination=True),
)

_ROWS: Mapping[str, MemoryRule] = {rule.name: rule for rule in (*_ALLOCATIONS, *_OTHERS)}

_TYPES_OF_INTRINSIC = re.compile(r"(?<=\w)(\.p\d+|\.i\d+)+$")


def find_memory_rule(callee: str) -> MemoryRule | None:
    """Return what a function does to memory, or None if it has no row.

    Examples
    --------
    >>> find_memory_rule("llvm.memset.p0.i64").kind
    <TransferKind.SET: 'memset'>
    """
    if callee.startswith("llvm."):
        callee = _TYPES_OF_INTRINSIC.sub("", callee)
    return _ROWS.get(callee)
