"""Lowering of parallel loops for our target: a call of a launcher (:mod:`coenzyme.frontends.launch`).

Numba has turned `prange` loops and array expressions into parfors when it lowers. Its own lowering outlines
the body of a parfor into a function, which it hands to its threads, and combines the results of reductions.
Ours does the same, but for the call that starts the threads, which becomes a call of a launcher, and for the
semantics of errors, which are those of the loop in serial code.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import ctypes
import types as python_types
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir as llvmir
from numba.core import cgutils, ir, types
from numba.core.errors import UnsupportedError
from numba.np.ufunc.parallel import _launch_threads
from numba.parfors import parfor_lowering
from numba.parfors.parfor import Parfor

from coenzyme.frontends.launch import CHUNKS, FIRST, LAUNCHER, Launch, LaunchedArray
from coenzyme.frontends.numba_indices import find_divided
from coenzyme.frontends.numba_layout import layout_argument
from coenzyme.frontends.program import Role

__all__ = [
    "count_launches",
    "find_launch",
    "is_launched",
    "lower_parfor",
    "provide_threads",
    "uses_threads",
]

_CHUNK = "coenzyme.chunk."
_WORD = llvmir.IntType(64)
_numbers = count()
_launches: dict[str, Launch] = {}


# Where the launches of all derivatives find each other. LLVM keeps the addresses, so the words stay for good.
_launching = ctypes.c_int64(0)
_count = ctypes.c_int64(0)
llvm.add_symbol("coenzyme_launching", ctypes.addressof(_launching))
llvm.add_symbol("coenzyme_launches", ctypes.addressof(_count))


def provide_threads() -> None:
    """Make what compiled launchers refer to known to LLVM: also when they come from a disk cache."""
    _launch_threads()


def uses_threads(module: Any) -> bool:
    """Whether there are launchers in `module`, one of llvmlite, that start threads."""
    return any(function.name == "numba_parallel_for" for function in module.functions)


def count_launches() -> int:
    """Return how many times chunks of loops have been run on threads so far."""
    return _count.value


def find_launch(symbol: str) -> Launch | None:
    """Return what is known of the launcher `symbol`, or None where it is none."""
    return _launches.get(symbol)


def is_launched(symbol: str) -> bool:
    """Whether `symbol` is a launcher or a chunk function, whose calls must survive until differentiation."""
    return symbol.startswith((_CHUNK, LAUNCHER))


def lower_parfor(lowerer: Any, parfor: Any) -> None:
    """Lower `parfor` to a call of a launcher.

    Raises
    ------
    UnsupportedError
        Where the loop has to stay serial.
    """
    if parfor.races:
        raise UnsupportedError("a variable is overwritten by several iterations", loc=parfor.loc)
    lowering = _Lowering(parfor)
    own = {
        "_create_gufunc_for_parfor_body": lowering.outline,
        "call_parallel_gufunc": lowering.call,
    }
    # Numba's function, but for two of the functions that it calls.
    standard = parfor_lowering._lower_parfor_parallel_std
    adapted = python_types.FunctionType(standard.__code__, {**standard.__globals__, **own})
    adapted(lowerer, parfor)


@dataclass
class _Lowering:
    """One parfor on its way."""

    parfor: Any
    divided: dict[str, int] = field(default_factory=dict[str, int])

    def outline(  # noqa: PLR0913, PLR0917 - Numba's
        self,
        lowerer: Any,
        parfor: Any,
        typemap: Any,
        typingctx: Any,
        targetctx: Any,
        flags: Any,
        local_types: Any,
        has_aliases: bool,
        index_type: Any,
        races: Any,
    ) -> Any:
        """Return what Numba's function of that purpose returns: the body as a compiled function."""
        self.divided = find_divided(parfor, typemap)
        if any(kind == "prange" and rest[0] == "user" for kind, *rest in _patterns(parfor)):
            flags.error_model = parfor.flags.error_model
        # Numba does not know how the function will be called: its arguments may overlap all the same.
        return parfor_lowering._create_gufunc_for_parfor_body(
            lowerer,
            parfor,
            typemap,
            typingctx,
            targetctx,
            flags,
            local_types,
            True,
            index_type,
            races,
        )

    def call(  # noqa: PLR0913, PLR0917 - Numba's
        self,
        lowerer: Any,
        kernel: Any,
        shapes: Any,
        signature: Any,
        names: list[str],
        given_types: list[Any],
        ranges: list[Any],
        reduced: list[str],
        reductions: Any,
        reduced_arrays: dict[str, Any],
        init_block: Any,
        index_type: Any,
        races: Any,
        parts_of_tuples: dict[str, tuple[str, int]],
    ) -> None:
        """Emit the call of a launcher for the outlined body `kernel`."""
        provide_threads()
        context, builder = lowerer.context, lowerer.builder
        if index_type.bitwidth != _WORD.width:
            raise UnsupportedError("the index of a parallel loop is narrow", loc=self.parfor.loc)
        names = names[1:]
        inputs = names[: len(names) - len(reduced)]
        values: list[Any] = []
        for name in inputs:
            if name in parts_of_tuples:
                whole, position = parts_of_tuples[name]
                values.append(builder.extract_value(lowerer.loadvar(whole), position))
            else:
                values.append(lowerer.loadvar(name))
        values.extend(lowerer.loadvar(reduced_arrays[name].name) for name in reduced)
        wanted = signature.args[1:]
        passed = [
            self._pass(context, builder, value, given, kind)
            for value, given, kind in zip(values, given_types, wanted, strict=True)
        ]
        # Of the array of partial results, each chunk has a row.
        axes = [self.divided.get(name) for name in inputs] + [0] * len(reduced)
        bounds: list[Any] = []
        for start, stop, _ in ranges:
            bounds.extend(self._bound(lowerer, value) for value in (start, stop))
        emitter = _Emitter(context, builder.module, kernel, signature.args, len(ranges), index_type)
        emitter.emit_chunk()
        emitter.emit_launcher()
        _launches[emitter.launcher_symbol] = Launch(emitter.chunk_symbol, emitter.arrays(axes))
        context.active_code_library.add_linking_library(kernel.library)
        arguments = [_count_chunks(builder, *bounds[:2]), *bounds, *passed]
        status = emitter.emit_call(builder, arguments)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)

    def _pass(self, context: Any, builder: Any, value: Any, given: Any, wanted: Any) -> Any:
        """Return `value` as a chunk function takes it."""
        if isinstance(wanted, types.Array):
            if not isinstance(wanted.dtype, types.Number | types.Boolean) or not wanted.aligned:
                raise UnsupportedError(
                    f"a parallel loop over an array of {wanted.dtype}", loc=self.parfor.loc
                )
            array = context.make_array(wanted)(context, builder, value)
            # The chunks neither count references nor free what is their caller's.
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            array.parent = cgutils.get_null_value(array.parent.type)
            return array._getvalue()
        if not isinstance(wanted, types.Number | types.Boolean) or isinstance(given, types.Array):
            raise UnsupportedError(f"a parallel loop with a value of type {given}", loc=self.parfor.loc)
        return context.cast(builder, value, given, wanted)

    def _bound(self, lowerer: Any, value: Any) -> Any:
        if not isinstance(value, ir.Var):
            return _WORD(value)
        loaded = lowerer.loadvar(value.name)
        return loaded if loaded.type == _WORD else lowerer.builder.sext(loaded, _WORD)


def _patterns(parfor: Any) -> Iterator[tuple[Any, ...]]:
    """Yield what a parfor, and those in it, were made of."""
    yield from (p if isinstance(p, tuple) else (p, "") for p in parfor.patterns)
    for block in parfor.loop_body.values():
        for statement in block.body:
            if isinstance(statement, Parfor):
                yield from _patterns(statement)


def _count_chunks(builder: Any, start: Any, stop: Any) -> Any:
    """Return how many chunks there are: one for each thread, none without iterations, but at least one."""
    function = cgutils.get_or_insert_function(
        builder.module, llvmir.FunctionType(_WORD, []), "get_num_threads"
    )
    threads = builder.call(function, [])
    iterations = builder.sub(stop, start)
    least = builder.select(builder.icmp_signed(">", iterations, _WORD(1)), iterations, _WORD(1))
    return builder.select(builder.icmp_signed("<", threads, least), threads, least)


# --- the two functions --------------------------------------------------------------------------------------


class _Emitter:
    """Writes a chunk function and its launcher into `module`.

    Parameters
    ----------
    kernel
        The body, ``kernel(schedule, values…)``; the schedule has the first index of each loop, then the last.
    parameters
        Numba's types of what it takes.
    """

    def __init__(
        self, context: Any, module: Any, kernel: Any, parameters: Any, loops: int, index_type: Any
    ) -> None:
        self.context = context
        self.convention = context.call_conv
        self.module = module
        self.kernel = kernel
        self.loops = loops
        self.index_type = index_type
        self.kernel_parameters = tuple(parameters)
        self.values = tuple(parameters[1:])
        self.parameters = (types.intp,) * (1 + 2 * loops) + self.values + (types.intp,)
        number = next(_numbers)
        self.chunk_symbol = f"{_CHUNK}{number}"
        self.launcher_symbol = f"{LAUNCHER}{number}"
        self.chunk = self._define(self.chunk_symbol, self.parameters)
        self.launcher = self._define(self.launcher_symbol, self.parameters[:-1])

    def _define(self, symbol: str, parameters: tuple[Any, ...]) -> Any:
        function = llvmir.Function(
            self.module, self.convention.get_function_type(types.none, parameters), symbol
        )
        names = [f"p{i}" for i in range(len(parameters))]
        self.convention.decorate_function(function, names, parameters)
        function.linkage = "linkonce_odr"
        function.append_basic_block("entry")
        return function

    def emit_chunk(self) -> None:
        """Emit the chunk function: contiguous parts of the first loop, as even as can be."""
        builder = llvmir.IRBuilder(self.chunk.entry_basic_block)
        chunks, *rest = self.convention.decode_arguments(builder, self.parameters, self.chunk)
        bounds, values, number = rest[: 2 * self.loops], rest[2 * self.loops : -1], rest[-1]
        start, stop = bounds[:2]
        iterations = builder.sub(stop, start)
        iterations = builder.select(builder.icmp_signed(">", iterations, _WORD(0)), iterations, _WORD(0))
        share, left = builder.udiv(iterations, chunks), builder.urem(iterations, chunks)

        def begin(of: Any) -> Any:
            extra = builder.select(builder.icmp_unsigned("<", of, left), of, left)
            return builder.add(start, builder.add(builder.mul(share, of), extra))

        bounds[:2] = begin(number), begin(builder.add(number, _WORD(1)))
        firsts = bounds[::2]
        lasts = [builder.sub(bound, _WORD(1)) for bound in bounds[1::2]]
        schedule = self._schedule(builder, [*firsts, *lasts])
        body = self._declare_kernel()
        status, _ = self.convention.call_function(
            builder, body, types.none, self.kernel_parameters, [schedule, *values]
        )
        with cgutils.if_unlikely(builder, status.is_error):
            self.convention.return_status_propagate(builder, status)
        builder.ret(llvmir.IntType(32)(0))

    def _schedule(self, builder: Any, numbers: list[Any]) -> Any:
        """Return an array, of Numba's, of these numbers."""
        memory = cgutils.alloca_once(builder, llvmir.ArrayType(_WORD, len(numbers)))
        for position, number in enumerate(numbers):
            builder.store(number, builder.gep(memory, [_WORD(0), _WORD(position)]))
        kind = types.Array(self.index_type, 1, "C")
        array = self.context.make_array(kind)(self.context, builder)
        array.data = builder.bitcast(memory, array.data.type)
        array.shape = cgutils.pack_array(builder, [_WORD(len(numbers))])
        array.strides = cgutils.pack_array(builder, [_WORD(8)])
        array.nitems = _WORD(len(numbers))
        array.itemsize = _WORD(8)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()

    def _declare_kernel(self) -> Any:
        kind = self.convention.get_function_type(types.none, self.kernel_parameters)
        return cgutils.get_or_insert_function(self.module, kind, self.kernel.fndesc.llvm_func_name)

    def emit_launcher(self) -> None:
        """Emit the launcher as a serial loop, which ends with the first chunk that fails."""
        builder = llvmir.IRBuilder(self.launcher.entry_basic_block)
        entry = builder.block
        chunks = self.launcher.args[CHUNKS]
        head, done, failed = (self.launcher.append_basic_block(n) for n in ("chunks", "done", "failed"))
        following = self.launcher.append_basic_block("next")
        builder.branch(head)
        builder.position_at_end(head)
        number = builder.phi(_WORD)
        status = builder.call(self.chunk, [*self.launcher.args, number])
        builder.cbranch(builder.icmp_unsigned("==", status, status.type(0)), following, failed)
        builder.position_at_end(following)
        more = builder.add(number, _WORD(1))
        number.add_incoming(_WORD(0), entry)
        number.add_incoming(more, following)
        builder.cbranch(builder.icmp_unsigned("<", more, chunks), head, done)
        builder.position_at_end(failed)
        builder.ret(status)
        builder.position_at_end(done)
        builder.ret(llvmir.IntType(32)(0))

    def emit_call(self, builder: Any, values: list[Any]) -> Any:
        """Emit the call of the launcher, and return its status."""
        nowhere = cgutils.get_null_value(self.launcher.args[0].type)
        error = cgutils.alloca_once(builder, self.launcher.args[1].type.pointee, name="excinfo")
        packer = self.context.get_arg_packer(self.parameters[:-1])
        code = builder.call(self.launcher, [nowhere, error, *packer.as_arguments(builder, values)])
        return self.convention._get_return_status(builder, code, builder.load(error))

    def arrays(self, axes: list[int | None]) -> tuple[LaunchedArray, ...]:
        """Return the arrays among the values, by the numbers of their LLVM parameters."""
        found: list[LaunchedArray] = []
        position = FIRST + 2 * self.loops
        for kind, axis in zip(self.values, axes, strict=True):
            components = layout_argument("", kind).components
            if isinstance(kind, types.Array):
                data = position + next(i for i, c in enumerate(components) if c.role is Role.DATA)
                extents = range(data + 1, data + 1 + 2 * kind.ndim)
                element = components[data - position].element
                size = self.context.get_abi_sizeof(self.context.get_data_type(kind.dtype))
                found.append(
                    LaunchedArray(
                        data=data,
                        shape=tuple(extents[: kind.ndim]),
                        strides=tuple(extents[kind.ndim :]),
                        element=element if element in ("float", "double") else None,
                        size=size,
                        axis=axis,
                        contiguous=kind.layout in ("C", "F"),
                    )
                )
            position += len(components)
        return tuple(found)
