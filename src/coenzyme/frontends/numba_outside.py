"""Blocks of object mode: compiled for the CPU as they are, and called from the code that is differentiated.

A block becomes a function of its own that has no body here, only an address. Nothing differentiated may go
through it: the engine refuses that where it happens.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from __future__ import annotations

import weakref
from itertools import count
from typing import Any

import numba
from llvmlite import binding
from numba.core import cgutils, types
from numba.core.dispatcher import ObjModeLiftedWith
from numba.core.registry import cpu_target
from numba.core.target_extension import target_override
from numba.core.typing.templates import make_concrete_template

from coenzyme.rules import OUTSIDE

__all__ = ["Outside", "is_outside", "lower_outside", "outside_type"]

_numbers = count()


class Outside:
    """A block of object mode, as Numba's typing sees it: a function that is typed by compiling it."""

    def __init__(self, block: Any) -> None:
        contexts = cpu_target.typing_context, cpu_target.target_context
        lifted = ObjModeLiftedWith(
            block.func_ir, *contexts, block.flags, block.locals, output_types=block.output_types
        )
        names = ", ".join(f"a{i}" for i in range(block.func_ir.arg_count))
        namespace: dict[str, Any] = {"_block": lifted}
        exec(f"def block({names}):\n    return _block({names})\n", namespace)
        self._function = numba.njit(namespace["block"])
        self._compiled: dict[tuple[Any, ...], tuple[str, Any]] = {}

    def __repr__(self) -> str:
        return "block of object mode"

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Return how Numba types a call of the block."""
        signature = self._compile(tuple(types.unliteral(kind) for kind in args))[1].signature
        template = make_concrete_template(repr(self), key=self, signatures=[signature])
        return template, None, args, kws

    def _compile(self, argtypes: tuple[Any, ...]) -> tuple[str, Any]:
        if argtypes not in self._compiled:
            with target_override("cpu"):
                self._function.compile(argtypes)
            result = self._function.overloads[argtypes]
            symbol = f"{OUTSIDE}{next(_numbers)}"
            address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
            binding.add_symbol(symbol, address)
            self._compiled[argtypes] = symbol, result
        return self._compiled[argtypes]

    def symbol(self, argtypes: tuple[Any, ...]) -> str:
        """Return the name by which compiled code calls the block."""
        return self._compile(argtypes)[0]


_blocks: weakref.WeakKeyDictionary[Any, Outside] = weakref.WeakKeyDictionary()
_alive: list[Outside] = []
"""Compiled code knows blocks by address, and nobody knows when the last of it is gone."""


def outside_type(block: ObjModeLiftedWith) -> types.Dispatcher:
    """Return the Numba type of a block of object mode in our target."""
    if block not in _blocks:
        _blocks[block] = Outside(block)
        _alive.append(_blocks[block])
    return types.Dispatcher(_blocks[block])


def is_outside(function: Any) -> bool:
    """Return whether a function is a block of object mode."""
    return isinstance(function, types.Dispatcher) and isinstance(function.dispatcher, Outside)


def lower_outside(function: Any) -> Any:
    """Return how a call of a block is lowered: by Numba's calling convention, to a name without a body."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        call_conv = context.call_conv
        kind = call_conv.get_function_type(sig.return_type, sig.args)
        symbol = function.dispatcher.symbol(tuple(sig.args))
        callee = cgutils.get_or_insert_function(builder.module, kind, symbol)
        status, value = call_conv.call_function(builder, callee, sig.return_type, sig.args, args)
        with cgutils.if_unlikely(builder, status.is_error):
            call_conv.return_status_propagate(builder, status)
        return value

    return lower
