"""What compiled code may call in this process."""

from __future__ import annotations

import ctypes
from functools import cache

import llvmlite.binding as llvm

__all__ = ["is_linked"]


def is_linked(symbol: str) -> bool:
    """Return whether machine code of this process finds `symbol`: registered with LLVM, or loaded.

    Examples
    --------
    >>> is_linked("nobody_calls_anything_so")
    False
    """
    return bool(llvm.address_of_symbol(symbol)) or hasattr(_process(), symbol)


@cache
def _process() -> object:
    """Return what the process has loaded for all to see; nothing where the system cannot say."""
    try:
        return ctypes.CDLL(None)
    except (TypeError, OSError):
        return None
