"""From the LLVM text of a reverse derivative cut in two to two functions that Python can call.

The text defines three symbols, with the raw conventions of :mod:`coenzyme.derive.split`::

    i32 augmented(retptr, excinfo, components..., shadows..., ptr where)
    i32 reverse(retptr, excinfo, components..., shadows or outputs..., ptr record)
    void discard(ptr record)

`link_split` gives the halves these Python faces, for arguments `a0..an`:

- ``forward(a0..an, shadows...)`` takes a shadow for each `DUPLICATED` argument, and returns ``(value, (tape,
  shadow))``. The shadow of the value has its structure: a zero array where an array of floats is, an array
  without dimensions where a float is, None elsewhere.
- ``reverse(tape)`` returns the adjoints of the arguments that hold floats by value. If the result is seeded,
  there is no shadow of the value, and it is ``reverse(tape, seed)``.

A tape (:mod:`coenzyme.frontends.numba_tape`) is swept once.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numba
from llvmlite import binding
from numba.core import cgutils, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.imputils import fix_returning_optional
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.runtime.nrt import rtsys
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from coenzyme.codegen.verify import verify
from coenzyme.errors import TapeError, UnsupportedIRError
from coenzyme.frontends.numba_link import EmittedCall, set_environments
from coenzyme.frontends.numba_signature import LinkedSignature
from coenzyme.frontends.numba_tape import (
    TAPE,
    NativeTape,
    SplitSignature,
    SplitSymbols,
    TapeField,
    make_destructor,
)
from coenzyme.frontends.numba_target import IRContext
from coenzyme.frontends.program import ArgumentActivity, Mode, Program

__all__ = ["LinkedHalves", "SplitSymbols", "link_split"]


@dataclass(frozen=True)
class LinkedHalves:
    """The two halves as dispatchers."""

    forward: CPUDispatcher
    reverse: CPUDispatcher


# As for whole derivatives, wrappers refer to their halves by number.
_halves: weakref.WeakValueDictionary[int, SplitSignature] = weakref.WeakValueDictionary()
_numbers = itertools.count(1)


def link_split(  # noqa: PLR0913 - the parts of one calling convention
    text: str,
    symbols: SplitSymbols,
    program: Program,
    activities: Sequence[ArgumentActivity],
    name: str,
    *,
    return_active: bool,
    seeded: bool,
    width: int = 1,
    memory_limit: int | None = None,
) -> LinkedHalves:
    """Return the two halves of a reverse derivative as Numba dispatchers, compiled.

    Parameters
    ----------
    text
        LLVM module that defines the symbols with the raw conventions described above. The names must be
        new in this process.
    symbols
        The functions in it.
    program
        The primal, as lowered.
    activities
        One activity for each entry of `program.arguments`.
    name
        Python name of the dispatchers.
    return_active
        Whether the result is differentiated.
    seeded
        Whether the reverse half takes the cotangent of the result, which holds no arrays then.
    width
        How many directions the sweep follows. There are that many shadows of each argument, those of the
        first direction first, that many seeds, and a tuple of shadows or adjoints in the place of one.
    memory_limit
        How many bytes the tapes alive at one time may hold, for the error that says that they do not suffice.

    Notes
    -----
    The halves and the function that discards are one module of machine code, for they share the pool that
    tape memory comes from and goes back to. Their callers call them by address; nothing is inlined.
    """
    signature = LinkedSignature(program, tuple(activities), Mode.REVERSE, return_active, width, memory_limit)
    with global_compiler_lock:
        halves = SplitSignature(signature, symbols, seeded and return_active)
        _compile(text, symbols, program)
        number = next(_numbers)
        _halves[number] = halves
        forward = _make_wrapper(halves, number, f"{name}_forward", halves.given_names, "_call_forward")
        names = ["tape", *(f"seed{lane}" for lane in range(len(halves.reverse_types) - 1))]
        reverse = _make_wrapper(halves, number, f"{name}_reverse", names, "_call_reverse")
        for dispatcher, argtypes in ((forward, halves.given_types), (reverse, halves.reverse_types)):
            dispatcher.compile(argtypes)
            dispatcher.disable_compile()
    return LinkedHalves(forward, reverse)


def _compile(text: str, symbols: SplitSymbols, program: Program) -> None:
    """Turn the text into machine code, whose addresses other code finds by name."""
    module = verify(text.replace(' "no-builtins"', ""), program.qualname)
    exported = {symbols.augmented, symbols.reverse, symbols.discard}
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "external" if function.name in exported else "internal"
    module.name = symbols.augmented
    library = cpu_target.target_context.codegen().create_library(symbols.augmented)
    library.add_linking_library(rtsys.library)
    library.add_llvm_module(module)
    library.finalize()
    set_environments(library, program)
    for symbol in exported:
        binding.add_symbol(symbol, library.get_pointer_to_function(symbol))


def _make_wrapper(
    halves: SplitSignature, number: int, name: str, names: Sequence[str], intrinsic_name: str
) -> Any:
    identifier = name if name.isidentifier() else "half"
    parameters = ", ".join(names)
    packed = f"({parameters},)" if names else "()"
    source = f"def {identifier}({parameters}):\n    return {intrinsic_name}({number}, {packed})\n"
    program = halves.signature.program
    namespace: dict[str, Any] = {
        "__name__": program.module,
        "_call_forward": _call_forward,
        "_call_reverse": _call_reverse,
        "_halves": halves,  # keeps what `number` stands for alive
    }
    exec(compile(source, f"<coenzyme {name}>", "exec"), namespace)
    return numba.njit(nogil=program.nogil, no_cfunc_wrapper=True)(namespace[identifier])


# --- the calls ----------------------------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def _call_forward(typingctx: Any, number: Any, arguments: Any) -> Any:
    return _type_call(_ForwardHalf, number, arguments)


@intrinsic(prefer_literal=True)
def _call_reverse(typingctx: Any, number: Any, arguments: Any) -> Any:
    return _type_call(_ReverseHalf, number, arguments)


def _type_call(half: type[_ForwardHalf | _ReverseHalf], number: Any, arguments: Any) -> Any:
    if not isinstance(number, types.IntegerLiteral):
        return None
    key = number.literal_value
    halves = _halves[key]
    result = halves.forward_type if half is _ForwardHalf else halves.reverse_type

    def emit(context: Any, builder: Any, sig: Any, llvm_arguments: Any) -> Any:
        halves = _halves[key]
        if isinstance(context, IRContext):
            raise UnsupportedIRError(
                "the halves of a split derivative are differentiated",
                function=halves.signature.program.qualname,
                remedy="differentiate a function that calls grad or autodiff",
            )
        packed = llvm_arguments[1]

        def release() -> None:
            # Numba's raise does not release what the frame holds. Our wrapper's frame holds one thing: this
            # tuple.
            context.nrt.decref(builder, sig.args[1], packed)

        values = [builder.extract_value(packed, i) for i in range(len(sig.args[1]))]
        return half(context, builder, halves, list(zip(values, sig.args[1], strict=True)), release).emit()

    return result(number, arguments), emit


class _Half(EmittedCall):
    """What the calls of both halves have in common."""

    def __init__(
        self,
        context: Any,
        builder: Any,
        halves: SplitSignature,
        given: list[tuple[Any, Any]],
        release: Callable[[], None],
    ) -> None:
        super().__init__(context, builder, "", halves.signature, given, release)
        self.halves = halves

    def _call(self, symbol: str, tape: NativeTape, last: Any) -> Any:
        """Emit the call of a half, and return its status."""
        primal = self._primal_values()
        for lane in range(self.signature.width):
            if self.signature.return_active:
                self._pass_pointer(tape.result_shadow(lane))
            self._pass_argument_shadows(lane)
        self._pass_pointer(last)
        raw_types = (*self.program.argtypes, *self.extra_types)
        call_conv, builder = self.context.call_conv, self.builder
        kind = call_conv.get_function_type(self.program.restype, raw_types)
        function = cgutils.get_or_insert_function(builder.module, kind, symbol)
        packer = self.context.get_arg_packer(raw_types)
        arguments = packer.as_arguments(builder, [*primal, *self.extra_values])
        error = cgutils.alloca_once(builder, kind.args[1].pointee)
        builder.store(cgutils.get_null_value(kind.args[1].pointee), error)
        code = builder.call(function, [tape.field(TapeField.RESULT), error, *arguments])
        return call_conv._get_return_status(builder, code, builder.load(error))

    def _raise(self, error: type[Exception], message: str) -> None:
        self.release()
        self.context.call_conv.return_user_exc(self.builder, error, (message,))


class _ForwardHalf(_Half):
    """Emits a call of the forward half."""

    def emit(self) -> Any:
        context, builder, halves = self.context, self.builder, self.halves
        layout = NativeTape.layout(context, halves)
        size = context.get_constant(types.uintp, context.get_abi_sizeof(layout))
        destructor = make_destructor(context, builder.module, halves)
        block = context.nrt.meminfo_alloc_dtor_unchecked(builder, size, destructor)
        self._require(block)
        tape = NativeTape(context, builder, halves, context.nrt.meminfo_data(builder, block))
        builder.store(cgutils.get_null_value(layout), tape.payload)
        let_go = self.release

        def release() -> None:
            context.nrt.decref(builder, TAPE, block)
            let_go()

        self.release = release
        if self.signature.return_active:
            bytes_needed = context.get_abi_sizeof(tape.result_type) * self.signature.width
            size = context.get_constant(types.uintp, bytes_needed)
            shadow = context.nrt.meminfo_alloc_unchecked(builder, size)
            self._require(shadow)
            builder.store(shadow, tape.field(TapeField.SHADOW))
        tape.clear_result()
        self._hold_arguments(tape)
        status = self._call(halves.symbols.augmented, tape, tape.field(TapeField.RECORD))
        with cgutils.if_unlikely(builder, status.is_error):
            # Whatever stands there, Numba abandons what is alive when an exception passes.
            tape.clear_result()
        self._raise_errors(status)
        value_type = self.signature.return_value_type
        value = context.get_returned_value(builder, value_type, tape.load(TapeField.RESULT))
        context.nrt.incref(builder, value_type, value)
        value = fix_returning_optional(context, builder, self.program.restype(), status, value)
        shadow = self._result_shadow(tape, status)
        rest = context.make_tuple(builder, halves.forward_type[1], (block, shadow))
        return context.make_tuple(builder, halves.forward_type, (value, rest))

    def _require(self, block: Any) -> None:
        with cgutils.if_unlikely(self.builder, cgutils.is_null(self.builder, block)):
            self._raise(MemoryError, "no memory for a tape")

    def _hold_arguments(self, tape: NativeTape) -> None:
        kinds = self.halves.given_types
        values = [
            value if found == wanted else self.context.cast(self.builder, value, found, wanted)
            for (value, found), wanted in zip(self.given, kinds, strict=True)
        ]
        held = self.context.make_tuple(self.builder, self.halves.given_tuple, values)
        self.context.nrt.incref(self.builder, self.halves.given_tuple, held)
        self.builder.store(held, tape.field(TapeField.ARGUMENTS))

    def _pass_slot(self, lane: int, position: int, llvm_type: str) -> None:
        """Pass nothing: adjoints leave by the reverse half."""

    def _result_shadow(self, tape: NativeTape, status: Any) -> Any:
        """Return the shadow of the value, with a reference of its own."""
        shadow_type = self.halves.shadow_type
        if isinstance(shadow_type, types.NoneType):
            return self.context.get_dummy_value()
        if self.signature.width > 1:
            kind, value_type = self.halves.lane_shadow_type, self.signature.return_value_type
            lanes = [
                self._shadow_at(tape, value_type, kind, tape.result_shadow(lane))
                for lane in range(self.signature.width)
            ]
            return self.context.make_tuple(self.builder, shadow_type, lanes)
        inner = shadow_type.type if isinstance(shadow_type, types.Optional) else shadow_type
        shadow = self._shadow_at(tape, self.signature.return_value_type, inner, tape.result_shadow(0))
        if not isinstance(shadow_type, types.Optional):
            return shadow
        with self.builder.if_then(status.is_none):
            self.context.nrt.decref(self.builder, inner, shadow)
        return fix_returning_optional(self.context, self.builder, shadow_type(), status, shadow)

    def _shadow_at(self, tape: NativeTape, numba_type: Any, shadow_type: Any, address: Any) -> Any:
        """Return the shadow of the part of the result whose shadow memory is at `address`."""
        context, builder = self.context, self.builder
        match shadow_type:
            case types.BaseTuple():
                parts = [
                    self._shadow_at(tape, item, part, cgutils.gep_inbounds(builder, address, 0, i))
                    for i, (item, part) in enumerate(zip(numba_type, cast(Any, shadow_type), strict=True))
                ]
                return context.make_tuple(builder, shadow_type, parts)
            case types.ListType() | types.DictType():
                value = context.get_returned_value(builder, numba_type, builder.load(address))
                context.nrt.incref(builder, numba_type, value)
                return value
            case types.Array() if isinstance(types.unliteral(numba_type), types.Array):
                value = context.get_returned_value(builder, numba_type, builder.load(address))
                context.nrt.incref(builder, numba_type, value)
                return value
            case types.Array():
                array = make_array(shadow_type)(context, builder)
                data = builder.bitcast(address, array.data.type)
                itemsize = context.get_abi_sizeof(context.get_data_type(shadow_type.dtype))
                block = tape.load(TapeField.SHADOW)
                context.nrt.incref(builder, TAPE, block)
                populate_array(array, data, (), (), itemsize, block)
                return array._getvalue()
            case _:
                return context.get_dummy_value()


class _ReverseHalf(_Half):
    """Emits a call of the reverse half."""

    def emit(self) -> Any:
        context, builder, halves = self.context, self.builder, self.halves
        block = self.given[0][0]
        tape = NativeTape(context, builder, halves, context.nrt.meminfo_data(builder, block))
        record = tape.take_record()
        with cgutils.if_unlikely(builder, cgutils.is_null(builder, record)):
            self._raise(TapeError, "the tape has been used already")
        if halves.seeded:
            kind = self.signature.return_value_type
            for lane in range(self.signature.width):
                stored = context.get_return_value(builder, kind, self._convert(1 + lane, kind))
                builder.store(stored, tape.result_shadow(lane))
        held = tape.load(TapeField.ARGUMENTS)
        kinds = halves.given_types
        self.given = [(builder.extract_value(held, i), kind) for i, kind in enumerate(kinds)]
        status = self._call(halves.symbols.reverse, tape, record)
        tape.empty()
        self._raise_errors(status)
        return self._adjoints()
