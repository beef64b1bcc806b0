"""From the LLVM text of a derivative back to a function that Numba code and Python can call.

The text defines a symbol with the raw convention of the engine::

    i32 symbol(retptr, excinfo, components..., one extra for each parameter that is not CONST[, seed])

`link` gives its dispatcher this Python face, for arguments `a0..an`:

- positional arguments: `a0..an` (omitted defaults left out), then one shadow for each `DUPLICATED` argument
  in order (a tangent, in forward mode), of the primal's type but writable, then in reverse mode, if the
  return is active, its seed, of the return's type.
- result: forward `(primal, tangent)`, the tangent None if the return is not active; reverse `(primal,
  adjoints)`, a tuple with the adjoint of each argument that holds floats by value and is not `CONST`.
- the adjoint of a tuple has the tuple's shape, with None where no float is.  A tuple that holds floats and
  arrays is `DUPLICATED`: its shadow has the tuple's type, the floats in that shadow are ignored in reverse
  mode, and its adjoint is returned as well.
- for a return that holds array memory, the shadow behind `retptr` is scratch, zero on entry; the seed struct
  comes as one more pointer parameter, the last.
- for several directions, those shadows and extras come once for each, all of the first direction first, and
  then the seeds; the tangent, or the tuple of adjoints, becomes a tuple with one such for each direction.

A status that is an error becomes the same Python exception as in the primal; two codes of our own
(`coenzyme.frontends.program.Status`) become MemoryError and ValueError.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

import functools
import hashlib
import itertools
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir as llvmir
from numba.core import cgutils, codegen, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.imputils import fix_returning_optional, lower_constant
from numba.core.registry import CPUDispatcher, cpu_target
from numba.extending import intrinsic, models, register_model, typeof_impl

from coenzyme.codegen.verify import verify
from coenzyme.errors import GeneratedIRError, MemoryLimitError
from coenzyme.frontends.numba_parallel import provide_threads, uses_threads
from coenzyme.frontends.numba_signature import LinkedSignature, adjoint_type
from coenzyme.frontends.numba_target import IRContext, compiled_rules
from coenzyme.frontends.program import ArgumentActivity, ComponentActivity, Mode, Program, Status

__all__ = ["EmittedCall", "Linked", "LinkedType", "link", "make_library", "set_environments"]

_STATUS_ERRORS: dict[Status, tuple[type[Exception], str]] = {
    Status.TAPE_EXHAUSTED: (MemoryError, "the tape of the reverse sweep does not fit into memory"),
    Status.SEED_MISMATCH: (ValueError, "the seed does not have the shape of the function's result"),
    Status.RULE_MISMATCH: (
        RuntimeError,
        "a rule gave a derivative with another shape or other strides than its function's result",
    ),
    Status.RULE_FAILED: (
        RuntimeError,
        "a rule raised an error in the reverse sweep: a matrix has no derivative here, or memory ran out",
    ),
    Status.UNKNOWN_FUNCTION: (
        RuntimeError,
        "a function was called by its address that is none of those whose addresses its code takes",
    ),
}


class _DerivativeLibrary(codegen.JITCodeLibrary):
    """Code that is compiled as part of its callers: optimising it alone first would only cost time."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalized = True


@dataclass(eq=False)  # compared by identity: it is kept in a weak table
class Linked:
    """A derivative as code to be compiled with its callers; `link` makes it.

    A generated function that has one among its globals can pass it to an intrinsic, which finds it in the
    `LinkedType`, and emits the call there by `EmittedCall`.
    """

    signature: LinkedSignature
    symbol: str
    name: str
    library: Any
    make_again: Callable[[], Any] | None = None
    again: Any = None

    def emit_call(
        self, context: Any, builder: Any, given: list[tuple[Any, Any]], release: Callable[[], None]
    ) -> Any:
        """Emit a call, and return what the dispatcher would; the parameters are those of `EmittedCall`."""
        context.active_code_library.add_linking_library(self.library_for(context))
        return EmittedCall(context, builder, self.symbol, self.signature, given, release).emit()

    @cached_property
    def dispatcher(self) -> CPUDispatcher:
        """The derivative as a function of its own, compiled for exactly one signature.

        Other argument types are converted as Numba converts them for a function with a declared signature, or
        refused with TypeError.
        """
        with global_compiler_lock:
            number = next(_numbers)
            _linked[number] = self
            wrapper = _make_wrapper(self, number, self.name)
            nogil = self.signature.program.nogil
            dispatcher = numba.njit(nogil=nogil, no_cfunc_wrapper=True)(wrapper)
            dispatcher.compile(self.signature.argument_types)
            dispatcher.disable_compile()
        return dispatcher

    def library_for(self, context: Any) -> Any:
        """Return the code to link into a module of `context`: machine code, or something to differentiate."""
        if self.make_again is None or not isinstance(context, IRContext):
            return self.library
        if self.again is None:
            self.again = self.make_again()
        return self.again


class LinkedType(types.Type):
    """The Numba type of one `Linked`."""

    def __init__(self, linked: Linked) -> None:
        self.linked = linked
        super().__init__(name=f"coenzyme.Linked({linked.symbol})")


register_model(LinkedType)(models.OpaqueModel)


@typeof_impl.register(Linked)
def _type_of_linked(linked: Linked, context: Any) -> LinkedType:
    return LinkedType(linked)


@lower_constant(LinkedType)
def _constant_linked(context: Any, builder: Any, kind: LinkedType, linked: Linked) -> Any:
    return context.get_dummy_value()


# Wrappers refer to their derivative by number: one intrinsic serves all, and a derivative that nobody refers
# to goes.
_linked: weakref.WeakValueDictionary[int, Linked] = weakref.WeakValueDictionary()
_numbers = itertools.count(1)
_environment_libraries: list[Any] = []


def link(  # noqa: PLR0913 - the parts of one calling convention
    text: str,
    symbol: str,
    program: Program,
    activities: Sequence[ArgumentActivity],
    mode: Mode,
    name: str,
    *,
    return_active: bool = False,
    width: int = 1,
    memory_limit: int | None = None,
    text_again: Callable[[], str] | None = None,
) -> Linked:
    """Return the function `symbol` of LLVM text as something that Numba code can call.

    Parameters
    ----------
    text
        LLVM module that defines `symbol` with the raw convention described above.
    symbol
        The function in it.
    program
        The primal, as lowered.
    activities
        One activity for each entry of `program.arguments`.
    mode
        `PRIMAL` takes a function with the primal's own convention.
    name
        Python name of the dispatcher.
    return_active
        Whether the result is differentiated.
    width
        How many directions the derivative follows.
    memory_limit
        How many bytes its tape may hold, for the error that says that they do not suffice.
    text_again
        Makes the text to use where the caller is itself going to be differentiated.

    Raises
    ------
    ActivityError
        For activities that do not fit the types.
    GeneratedIRError
        When the text is not valid LLVM or has another signature.

    Notes
    -----
    The code is optimised and vectorised with its caller, and can be inlined there.  Callers may use
    `cache=True`: the symbol is named after the content, so that it cannot be taken for another derivative in
    another process.
    """
    signature = LinkedSignature(program, tuple(activities), mode, return_active, width, memory_limit)
    with global_compiler_lock:
        linked = _make_linked(text, symbol, name, signature)
        if text_again is not None:
            linked.make_again = functools.partial(_make_again, linked, text_again, symbol)
    return linked


def _make_linked(text: str, symbol: str, name: str, signature: LinkedSignature) -> Linked:
    digest = hashlib.sha256(f"{symbol}\n{text}".encode()).hexdigest()[:24]
    unique = f"coenzyme.{re.sub(r'[^A-Za-z0-9_]', '_', name)}.{digest}"
    renamed = re.sub(rf'@(?:"{re.escape(symbol)}"|{re.escape(symbol)}(?![-\w.$]))', f"@{unique}", text)
    # The engine's reasons not to let LLVM invent memset and memcpy end here.
    module = verify(renamed.replace(' "no-builtins"', ""), signature.program.qualname)
    module.name = unique
    _check_parameters(module, unique, signature)
    _set_linkage(module, unique)
    _provide_environments(module, signature.program, unique)
    return Linked(signature, unique, name, make_library(module, unique))


def _set_linkage(module: Any, symbol: str, *, again: bool = False) -> None:
    """Let one function be seen from outside; in a module to differentiate, those with rules too."""
    for function in module.functions:
        if function.is_declaration:
            continue
        if again and function.name in compiled_rules:
            # One definition for all, under the name by which its rule is known. Not so in machine code: there
            # the name might be found in a module in which it was specialised.
            function.linkage = "linkonce_odr"
        else:
            # Whatever else is defined may have been specialised for this derivative: it is nobody else's.
            function.linkage = "external" if function.name == symbol else "internal"


def _make_again(linked: Linked, text: Callable[[], str], symbol: str) -> Any:
    """Return a library like that of `linked`, with the other text for the same symbol."""
    renamed = re.sub(
        rf'@(?:"{re.escape(symbol)}"|{re.escape(symbol)}(?![-\w.$]))', f"@{linked.symbol}", text()
    )
    module = verify(renamed, linked.signature.program.qualname)
    module.name = linked.symbol
    _set_linkage(module, linked.symbol, again=True)
    return make_library(module, linked.symbol)


def make_library(module: Any, symbol: str) -> Any:
    """Return a module as a library that is compiled as part of its callers."""
    library = _DerivativeLibrary(cpu_target.target_context.codegen(), symbol)
    if uses_threads(module):
        library._reload_init.add(provide_threads)
    library.add_llvm_module(module)
    library.finalize()
    return library


def _check_parameters(module: Any, symbol: str, signature: LinkedSignature) -> None:
    """Refuse code whose parameters are not those the caller will pass: calling it would crash."""
    try:
        found = [str(p.type) for p in module.get_function(symbol).arguments]
    except NameError as problem:
        raise GeneratedIRError(
            f"the generated code does not define {symbol}", function=signature.program.qualname
        ) from problem
    primal = signature.program.parameter_types
    extras: list[str] = []
    for llvm_type, activity in zip(primal, signature.components, strict=True):
        if activity is ComponentActivity.ACTIVE:
            extras.append("ptr")
        elif activity is ComponentActivity.DUPLICATED:
            extras.append(llvm_type)
    wanted = [*primal, *extras * signature.width]
    if signature.seed_in_memory:
        wanted += ["ptr"] * signature.width
    if found != wanted:
        raise GeneratedIRError(
            f"the generated code has parameters ({', '.join(found)}), not ({', '.join(wanted)})",
            function=signature.program.qualname,
            remedy="this is a bug in Coenzyme: please report it",
        )


def _make_wrapper(linked: Linked, number: int, name: str) -> Any:
    """Return the Python function that Numba compiles: all it does is to call the intrinsic.

    It is made from source because a fixed number of named arguments costs less per call than `*args`.
    """
    identifier = name if name.isidentifier() else "derivative"
    arguments = ", ".join(linked.signature.argument_names)
    packed = f"({arguments},)" if arguments else "()"
    source = f"def {identifier}({arguments}):\n    return _call_linked({number}, {packed})\n"
    program = linked.signature.program
    namespace: dict[str, Any] = {
        "__name__": program.module,
        "_call_linked": _call_linked,
        "_linked": linked,  # keeps what `number` stands for alive
    }
    exec(compile(source, f"<coenzyme {name}>", "exec"), namespace)
    function = namespace[identifier]
    function.__doc__ = f"{linked.signature.mode.value} derivative of {program.module}.{program.qualname}"
    return function


def set_environments(library: Any, program: Program) -> None:
    """Point the environment cells of compiled code to the program's environments."""
    # Asking the engine for a symbol it does not know ends the process.
    present = {cell.name for cell in library._final_module.global_variables}
    for symbol, environment in program.environments.items():
        if symbol in present:
            library.codegen.set_env(symbol, environment)


def _provide_environments(module: Any, program: Program, symbol: str) -> None:
    """Define the environment cells that code refers to, before any caller is compiled with that code.

    The engine takes the first definition of such a cell for those of all modules.
    """
    lines = [line for line in str(module).splitlines() if line.startswith("@_ZN08NumbaEnv")]
    known = [line for line in lines if line[1:].split(" ", 1)[0] in program.environments]
    if known:
        library = cpu_target.target_context.codegen().create_library(f"{symbol}.environments")
        library.add_llvm_module(llvm.parse_assembly("\n".join(known)))
        library.finalize()
        set_environments(library, program)
        _environment_libraries.append(library)


# --- the call -----------------------------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def _call_linked(typingctx: Any, number: Any, arguments: Any) -> Any:
    if not isinstance(number, types.IntegerLiteral):
        return None
    linked = _linked[number.literal_value]
    signature = linked.signature.result_type(number, arguments)
    key = number.literal_value

    def emit(context: Any, builder: Any, sig: Any, llvm_arguments: Any) -> Any:
        linked = _linked[key]
        _, packed = llvm_arguments
        given = [builder.extract_value(packed, i) for i in range(len(sig.args[1]))]

        def release() -> None:
            # Numba's raise does not release what the frame holds. Our wrapper's frame holds one thing: this
            # tuple.
            context.nrt.decref(builder, sig.args[1], packed)

        return linked.emit_call(context, builder, list(zip(given, sig.args[1], strict=True)), release)

    return signature, emit


class EmittedCall:
    """Emits one call of a linked derivative.

    Parameters
    ----------
    context, builder
        Where to emit.
    symbol, signature
        What to call.
    given
        The LLVM values that the caller gave, each with its Numba type.
    release
        Emits what lets go of them before an exception is raised.
    """

    def __init__(
        self,
        context: Any,
        builder: Any,
        symbol: str,
        signature: LinkedSignature,
        given: list[tuple[Any, Any]],
        release: Callable[[], None],
    ) -> None:
        self.context = context
        self.builder = builder
        self.symbol = symbol
        self.signature = signature
        self.program = signature.program
        self.given = given
        self.release = release
        self.extra_types: list[Any] = []
        self.extra_values: list[Any] = []
        self.slots: dict[tuple[int, int], list[Any]] = {}
        """Where the adjoints of floats are, by lane and position of the argument."""
        self.return_shadows: list[Any] = []

    def emit(self) -> Any:
        """Emit the call, and return what the dispatcher returns."""
        signature, program = self.signature, self.program
        primal = self._primal_values()
        self._pass_shadows()
        restype = program.restype
        raw_types = (*program.argtypes, *self.extra_types)
        call_conv = self.context.call_conv
        function = cgutils.get_or_insert_function(
            self.builder.module, call_conv.get_function_type(restype, raw_types), self.symbol
        )
        status, value = call_conv.call_function(
            self.builder, function, restype, raw_types, [*primal, *self.extra_values]
        )
        self._raise_errors(status)
        value = fix_returning_optional(self.context, self.builder, restype(), status, value)
        match signature.mode:
            case Mode.PRIMAL:
                return value
            case Mode.FORWARD:
                second = self._tangent()
            case Mode.REVERSE:
                second = self._adjoints()
        return self.context.make_tuple(self.builder, signature.result_type, (value, second))

    def _primal_values(self) -> list[Any]:
        values = [self.context.get_dummy_value() for _ in self.program.argtypes]
        for place, position in enumerate(self.signature.passed):
            values[position] = self._convert(place, self.program.argtypes[position])
        return values

    def _pass_shadows(self) -> None:
        signature = self.signature
        for lane in range(signature.width):
            if signature.return_active:
                self._pass_return_shadow(lane)
            self._pass_argument_shadows(lane)
        if signature.seed_in_memory:
            for lane in range(signature.width):
                self._pass_pointer(self._store_return(self._seed(lane)))

    def _pass_argument_shadows(self, lane: int) -> None:
        signature = self.signature
        first_shadow = len(signature.passed) + lane * len(signature.shadowed)
        component = 2  # after retptr and excinfo
        for position, argument in enumerate(self.program.arguments):
            shadow: list[Any] = []
            if position in signature.shadowed:
                place = first_shadow + signature.shadowed.index(position)
                numba_type = self.program.argtypes[position]
                packer = self.context.get_arg_packer((numba_type,))
                shadow = list(packer.as_arguments(self.builder, (self._convert(place, numba_type),)))
            for index in range(len(argument.components)):
                match signature.components[component]:
                    case ComponentActivity.DUPLICATED:
                        self._pass_value(shadow[index])
                    case ComponentActivity.ACTIVE:
                        self._pass_slot(lane, position, argument.components[index].llvm_type)
                    case ComponentActivity.CONST:
                        pass
                component += 1

    def _pass_return_shadow(self, lane: int) -> None:
        signature = self.signature
        if signature.takes_seed and not signature.seed_in_memory:
            shadow = self._store_return(self._seed(lane))
        else:
            llvm_type = self.context.call_conv.get_return_type(self.program.restype).pointee
            shadow = self._zeroed(llvm_type)
        self.return_shadows.append(shadow)
        self._pass_pointer(shadow)

    def _seed(self, lane: int) -> Any:
        place = len(self.given) - self.signature.width + lane
        return self._convert(place, self.signature.return_value_type)

    def _store_return(self, value: Any) -> Any:
        stored = self.context.get_return_value(self.builder, self.signature.return_value_type, value)
        slot = self._zeroed(stored.type)
        self.builder.store(stored, slot)
        return slot

    def _zeroed(self, llvm_type: Any) -> Any:
        slot = cgutils.alloca_once(self.builder, llvm_type)
        self.builder.store(cgutils.get_null_value(llvm_type), slot)
        return slot

    def _pass_slot(self, lane: int, position: int, llvm_type: str) -> None:
        slot = self._zeroed(self.context.get_value_type(_FLOATS[llvm_type]))
        self.slots.setdefault((lane, position), []).append(slot)
        self._pass_pointer(slot)

    def _pass_value(self, value: Any) -> None:
        if isinstance(value.type, llvmir.PointerType):
            self._pass_pointer(value)
        else:
            self.extra_types.append(_FLOATS[str(value.type)])
            self.extra_values.append(value)

    def _pass_pointer(self, pointer: Any) -> None:
        self.extra_types.append(types.voidptr)
        self.extra_values.append(self.builder.bitcast(pointer, cgutils.voidptr_t))

    def _raise_errors(self, status: Any) -> None:
        call_conv = self.context.call_conv
        for code, (error, message) in _STATUS_ERRORS.items():
            hit = self.builder.icmp_signed("==", status.code, status.code.type(code.value))
            with cgutils.if_unlikely(self.builder, hit):
                self.release()
                call_conv.return_user_exc(self.builder, error, (message,))
        if self.signature.memory_limit is not None:
            self._raise_limit(status, self.signature.memory_limit)
        with cgutils.if_unlikely(self.builder, status.is_error):
            self.release()
            call_conv.return_status_propagate(self.builder, status)

    def _raise_limit(self, status: Any, limit: int) -> None:
        builder = self.builder
        hit = builder.icmp_signed("==", status.code, status.code.type(Status.TAPE_LIMIT.value))
        with cgutils.if_unlikely(builder, hit):
            # How many bytes were asked for stands where the error would be.
            asked = builder.ptrtoint(status.excinfoptr, llvmir.IntType(64))
            self.release()
            self.context.call_conv.return_dynamic_user_exc(
                builder, MemoryLimitError, (asked, limit, self.program.qualname), (types.int64,)
            )

    def _tangent(self) -> Any:
        if not self.signature.return_active:
            return self.context.get_dummy_value()
        kind = self.signature.return_value_type
        return self._for_lanes(
            self.context.get_returned_value(self.builder, kind, self.builder.load(shadow))
            for shadow in self.return_shadows
        )

    def _adjoints(self) -> Any:
        argtypes = self.program.argtypes
        positions = self.signature.adjoints
        kind = types.BaseTuple.from_types([adjoint_type(argtypes[i]) for i in positions])
        return self._for_lanes(
            self.context.make_tuple(
                self.builder, kind, [self._adjoint(argtypes[i], iter(self.slots[lane, i])) for i in positions]
            )
            for lane in range(self.signature.width)
        )

    def _for_lanes(self, values: Iterable[Any]) -> Any:
        """Return the one value, or the tuple of the values of several lanes."""
        found = list(values)
        if len(found) == 1:
            return found[0]
        return self.context.make_tuple(self.builder, self.signature.result_type[1], found)

    def _adjoint(self, numba_type: Any, slots: Iterator[Any]) -> Any:
        """Return the adjoint of a value of `numba_type`, taking its floats from `slots`."""
        match numba_type:
            case types.Float():
                return self.builder.load(next(slots))
            case types.Complex():
                number = self.context.make_complex(self.builder, numba_type)
                number.real = self.builder.load(next(slots))
                number.imag = self.builder.load(next(slots))
                return number._getvalue()
            case types.Optional():
                return self._adjoint(numba_type.type, slots)
            case types.BaseTuple():
                items = [self._adjoint(item, slots) for item in numba_type]
                return self.context.make_tuple(self.builder, adjoint_type(numba_type), items)
            case _:
                return self.context.get_dummy_value()

    def _convert(self, place: int, wanted: Any) -> Any:
        """Return the given value at `place` as a value of the primal's own type."""
        value, found = self.given[place]
        if isinstance(wanted, types.StarArgTuple | types.StarArgUniTuple):
            items = [self.builder.extract_value(value, i) for i in range(len(wanted))]
            return self.context.make_tuple(self.builder, wanted, items)
        if self.context.get_value_type(found) == self.context.get_value_type(wanted):
            return value
        return self.context.cast(self.builder, value, found, wanted)


_FLOATS = {"float": types.float32, "double": types.float64}
