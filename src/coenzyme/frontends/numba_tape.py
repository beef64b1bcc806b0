"""The tape of a split derivative in memory of Numba's runtime: its layout, and code that reads and frees it.

A tape is one reference-counted block. It holds the record of the forward half, the memory of the result and
of its shadow, which the halves are told the addresses of, and the arguments. Its destructor discards a record
that has not been swept. The record is taken out of the tape atomically, so that it is swept once.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

from llvmlite import ir as llvmir
from numba.core import cgutils, types

from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.numba_roles import float_in
from coenzyme.frontends.numba_signature import LinkedSignature, map_tuple
from coenzyme.frontends.program import Program

__all__ = ["TAPE", "NativeTape", "SplitSignature", "SplitSymbols", "TapeField", "make_destructor"]

TAPE = types.MemInfoPointer(types.voidptr)
"""The Numba type of a tape."""


class TapeField(IntEnum):
    """The fields of a tape's payload."""

    RECORD = 0
    SHADOW = 1
    """The block that holds the shadow of the result, so that arrays can share it."""
    RESULT = 2
    ARGUMENTS = 3


@dataclass(frozen=True)
class SplitSymbols:
    """The functions of the text."""

    augmented: str
    reverse: str
    discard: str


@dataclass(eq=False)  # compared by identity: it is kept in a weak table
class SplitSignature:
    """The Numba types of the two halves of a derivative.

    Parameters
    ----------
    signature
        Those of the derivative in one piece.
    symbols
        The functions to call.
    seeded
        Whether the reverse half takes the cotangent of the result.
    """

    signature: LinkedSignature
    symbols: SplitSymbols
    seeded: bool

    @cached_property
    def given_types(self) -> tuple[Any, ...]:
        """Numba types of the arguments and shadows."""
        found = self.signature.argument_types
        return found[: len(found) - self.signature.seeds]

    @cached_property
    def given_names(self) -> tuple[str, ...]:
        """Names of the arguments and shadows."""
        found = self.signature.argument_names
        return found[: len(found) - self.signature.seeds]

    @cached_property
    def given_tuple(self) -> Any:
        """Numba type of the arguments and shadows as a tape holds them."""
        return types.BaseTuple.from_types(self.given_types)

    @cached_property
    def shadow_type(self) -> Any:
        """Numba type of the shadow of the value."""
        if self.seeded or not self.signature.return_active:
            return types.none
        found = self.lane_shadow_type
        if self.signature.width > 1:
            if isinstance(self.signature.program.restype, types.Optional):
                raise UnsupportedIRError(
                    f"the function returns {self.signature.program.restype}, and the sweep is a batch",
                    function=self.signature.program.qualname,
                    remedy="follow one direction at a time, or return a value in the place of None",
                )
            return self.signature.for_lanes(found)
        return types.Optional(found) if isinstance(self.signature.program.restype, types.Optional) else found

    @property
    def lane_shadow_type(self) -> Any:
        """Numba type of the shadow of the value in one lane; it must not be asked for where there is none."""
        return _shadow_of_result(self.signature.return_value_type, self.signature.program)

    @cached_property
    def forward_type(self) -> Any:
        """Numba type of what the forward half returns."""
        rest = types.Tuple((TAPE, self.shadow_type))
        return types.BaseTuple.from_types((self.signature.program.restype, rest))

    @cached_property
    def reverse_types(self) -> tuple[Any, ...]:
        """Numba types of what the reverse half takes."""
        seeds = self.signature.width if self.seeded else 0
        return (TAPE, *[self.signature.return_value_type] * seeds)

    @property
    def reverse_type(self) -> Any:
        """Numba type of what the reverse half returns."""
        return self.signature.result_type[1]


def _shadow_of_result(numba_type: Any, program: Program) -> Any:
    """Return the type of the shadow of a result of `numba_type`."""
    match types.unliteral(numba_type):
        case types.Array() as array if isinstance(array.dtype, types.Float | types.Complex):
            return array.copy(readonly=False)
        case types.ListType() | types.DictType() as container if float_in(container) is not None:
            return container
        case types.Float() | types.Complex():
            return types.Array(numba_type, 0, "C")
        case types.BaseTuple() as items:
            return map_tuple(items, lambda item: _shadow_of_result(item, program))
        case types.Optional():
            raise UnsupportedIRError(
                f"the function returns {program.restype}, a tuple with a part that may be None",
                function=program.qualname,
                remedy="return the part by itself, or a value in its place",
            )
        case _:
            return types.none


class NativeTape:
    """Emits accesses to the payload of a tape.

    Parameters
    ----------
    context, builder
        Where to emit.
    halves
        What the tape is of.
    address
        Of the payload; any pointer.
    """

    def __init__(self, context: Any, builder: Any, halves: SplitSignature, address: Any) -> None:
        self.context = context
        self.builder = builder
        self.halves = halves
        self.result_type = context.call_conv.get_return_type(halves.signature.program.restype).pointee
        self.payload = builder.bitcast(address, self.layout(context, halves).as_pointer())

    @staticmethod
    def layout(context: Any, halves: SplitSignature) -> Any:
        """Return the LLVM type of the payload."""
        result = context.call_conv.get_return_type(halves.signature.program.restype).pointee
        arguments = context.get_value_type(halves.given_tuple)
        return llvmir.LiteralStructType([cgutils.voidptr_t, cgutils.voidptr_t, result, arguments])

    def field(self, number: int) -> Any:
        """Return the address of a field."""
        return cgutils.gep_inbounds(self.builder, self.payload, 0, number)

    def load(self, number: int) -> Any:
        """Return the value of a field."""
        return self.builder.load(self.field(number))

    def result_shadow(self, lane: int) -> Any:
        """Return the address of a shadow of the result, in a block of its own that arrays can share."""
        data = self.context.nrt.meminfo_data(self.builder, self.load(TapeField.SHADOW))
        first = self.builder.bitcast(data, self.result_type.as_pointer())
        return self.builder.gep(first, [cgutils.intp_t(lane)])

    def take_record(self) -> Any:
        """Return the record, which no one else gets from now on; null where it is gone."""
        word = llvmir.IntType(cgutils.intp_t.width)
        cell = self.builder.bitcast(self.field(TapeField.RECORD), word.as_pointer())
        taken = self.builder.atomic_rmw("xchg", cell, word(0), "acq_rel")
        return self.builder.inttoptr(taken, cgutils.voidptr_t)

    def clear_result(self) -> None:
        """Forget the result and its shadow without letting go of anything."""
        null = cgutils.get_null_value(self.result_type)
        self.builder.store(null, self.field(TapeField.RESULT))
        if self.halves.signature.return_active:
            for lane in range(self.halves.signature.width):
                self.builder.store(null, self.result_shadow(lane))

    def empty(self) -> None:
        """Let go of the arguments, the result and its shadow."""
        context, builder, signature = self.context, self.builder, self.halves.signature
        value_type = signature.return_value_type
        if signature.return_active:
            block = self.load(TapeField.SHADOW)
            with builder.if_then(cgutils.is_not_null(builder, block)):
                for lane in range(signature.width):
                    shadow = builder.load(self.result_shadow(lane))
                    shadow = context.get_returned_value(builder, value_type, shadow)
                    context.nrt.decref(builder, value_type, shadow)
                    builder.store(cgutils.get_null_value(self.result_type), self.result_shadow(lane))
                context.nrt.decref(builder, TAPE, block)
        value = context.get_returned_value(builder, value_type, self.load(TapeField.RESULT))
        context.nrt.decref(builder, value_type, value)
        context.nrt.decref(builder, self.halves.given_tuple, self.load(TapeField.ARGUMENTS))
        builder.store(cgutils.get_null_value(self.payload.type.pointee), self.payload)


def _declare_discard(module: Any, halves: SplitSignature) -> Any:
    kind = llvmir.FunctionType(llvmir.VoidType(), [cgutils.voidptr_t])
    return cgutils.get_or_insert_function(module, kind, halves.symbols.discard)


def make_destructor(context: Any, module: Any, halves: SplitSignature) -> Any:
    """Return the function that Numba's runtime calls before it frees a tape."""
    kind = llvmir.FunctionType(llvmir.VoidType(), [cgutils.voidptr_t, cgutils.intp_t, cgutils.voidptr_t])
    function = cgutils.get_or_insert_function(module, kind, f"{halves.symbols.discard}.tape")
    if function.is_declaration:
        function.linkage = "linkonce_odr"
        builder = llvmir.IRBuilder(function.append_basic_block())
        tape = NativeTape(context, builder, halves, function.args[0])
        record = tape.take_record()
        with builder.if_then(cgutils.is_not_null(builder, record)):
            builder.call(_declare_discard(module, halves), [record])
        tape.empty()
        builder.ret_void()
    return function
