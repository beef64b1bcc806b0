"""Calls of derivatives, as functions that Numba compiles: one generated body for each choice of types.

A `Call` says what is to be computed from which arguments: a gradient, a pushforward, an annotated call. While
Numba types ``apply(call, args)`` it asks the call for a body that fits the types of the arguments; the body
gets the derivative from the engine, makes the shadows, and puts the results together. The same code serves
Python, ``@njit`` callers, and the engine itself when a derivative is differentiated again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from inspect import Parameter
from itertools import count
from types import FunctionType
from typing import Any, ClassVar, TypeVar

import numba
from numba.core import cgutils, compiler, types
from numba.core.dispatcher import _FunctionCompiler  # pyright: ignore[reportAttributeAccessIssue]
from numba.core.errors import NumbaExperimentalFeatureWarning
from numba.core.imputils import lower_constant
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic, models, register_model, typeof_impl

from coenzyme import engine
from coenzyme.analysis.passes import Pass, passes_in_force, put_in_force
from coenzyme.api.functions import Compiled, name_of, parameters_of
from coenzyme.api.kept import CallCache
from coenzyme.api.memory import as_type, call_derivative, emit_call, writable, zero_like
from coenzyme.api.sharing import Sharing
from coenzyme.api.source import Source, tuple_of
from coenzyme.api.structure import Arrangement, Leaf
from coenzyme.errors import ActivityError
from coenzyme.frontends.numba_cache import EntryLibrary
from coenzyme.frontends.program import ArgumentActivity, Mode

__all__ = [
    "Call",
    "CallType",
    "Operands",
    "Outcome",
    "add_batch",
    "add_derivative",
    "apply",
    "call_of",
    "cast",
    "entry_of",
    "implementation",
    "in_force",
    "with_scratch",
]

_serial = count()
D = TypeVar("D")


@dataclass(frozen=True)
class Call:
    """What to compute, as a constant of compiled code.

    Parameters
    ----------
    function
        The user's function.
    passes
        The passes by which derivatives are made for it.
    """

    function: Compiled
    passes: frozenset[Pass] = field(default_factory=passes_in_force, kw_only=True)
    label: ClassVar[str]

    def parameters(self) -> Sequence[Parameter]:
        """Return the parameters of the compiled function; by default those of the user's function."""
        return parameters_of(self.function)

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types, a function of as many arguments."""
        raise NotImplementedError

    def primals(self, argtypes: tuple[types.Type, ...]) -> int | None:
        """Return how many of the arguments come first, for the user's function.

        None where the body depends on more than the code of that function and the fields of the call.
        """
        return None


class CallType(types.Type):
    """The Numba type of one `Call`."""

    def __init__(self, call: Call) -> None:
        self.call = call
        super().__init__(name=f"coenzyme.{type(call).__name__}.{next(_serial)}")

    @property
    def key(self) -> Call:
        """Equal calls have one type."""
        return self.call


register_model(CallType)(models.OpaqueModel)


@typeof_impl.register(Call)
def _type_of_call(call: Call, context: Any) -> CallType:
    return CallType(call)


@lower_constant(CallType)
def _constant_call(context: Any, builder: Any, kind: CallType, call: Call) -> Any:
    return context.get_dummy_value()


@cache
def _implementation_of(call: Call, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
    with put_in_force(call.passes):
        return call.implement(argtypes)


@cache
def _body_of(call: Call, argtypes: tuple[types.Type, ...]) -> Compiled:
    # Called from compiled code alone: wrappers for other callers would take longer to compile than the body.
    njit: Any = numba.njit
    return njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)(_implementation_of(call, argtypes))


@intrinsic
def apply(typing_context: Any, call: Any, args: Any) -> Any:
    """Return what a call computes from its arguments, which come in a temporary tuple."""
    argtypes = tuple(types.unliteral(kind) for kind in args.types)
    callee = typing_context.resolve_value_type(_body_of(call.call, argtypes))
    body = callee.get_call_type(typing_context, argtypes, {})

    def generate(context: Any, builder: Any, signature: Any, llvm_args: Any) -> Any:
        packed = llvm_args[1]
        values = [
            context.cast(builder, value, given, wanted)
            for value, given, wanted in zip(
                cgutils.unpack_tuple(builder, packed), args.types, body.args, strict=True
            )
        ]
        return emit_call(
            context,
            builder,
            callee,
            body,
            values,
            lambda: context.nrt.decref(builder, signature.args[1], packed),
        )

    return body.return_type(call, args), generate


@cache
def entry_of(call: Call) -> Compiled:
    """Return the compiled function of a call, with the call's parameters and defaults."""
    source = Source()
    parameters = call.parameters()
    variable = [p.name for p in parameters if p.kind is Parameter.VAR_POSITIONAL]
    named = [p.name for p in parameters if p.kind is not Parameter.VAR_POSITIONAL]
    given = " + ".join([tuple_of(named), *variable])
    source.add(f"return {source.name('apply', apply)}({source.name('call', call)}, {given})")
    name = f"{call.label}_of_{name_of(call.function).rpartition('.')[2]}"
    entry = source.function(name, ", ".join([*named, *(f"*{rest}" for rest in variable)]))
    defaults = tuple(p.default for p in parameters if p.default is not p.empty)
    entry.__defaults__ = defaults or None
    return _EntryDispatcher(entry, call)


def in_force(call: Call) -> Call:
    """Return a call, and so the calls that it is made of, by no other passes than those in force."""
    passes = call.passes & passes_in_force()
    if passes == call.passes:
        return call
    changes: dict[str, Any] = {"passes": passes}
    inner = call_of(call.function)
    if inner is not None:
        changes["function"] = entry_of(in_force(inner))
    return replace(call, **changes)


def call_of(function: Compiled) -> Call | None:
    """Return the call that a function was made for by `entry_of`, None if it was not."""
    return function.call if isinstance(function, _EntryDispatcher) else None


class _EntryCompiler(_FunctionCompiler):  # pyright: ignore[reportUntypedBaseClass]
    """Compiles the body of a call in the place of the function that applies it.

    Numba optimises a function again in each of its callers: one level less is a third of the time to compile.
    """

    def __init__(self, base: _FunctionCompiler, call: Call, cache: CallCache) -> None:
        super().__init__(base.py_func, base.targetdescr, base.targetoptions, base.locals, base.pipeline_class)
        self._call = call
        self._cache = cache

    def _get_implementation(self, args: Sequence[types.Type], kws: Mapping[str, types.Type]) -> Any:
        variable = any(p.kind is Parameter.VAR_POSITIONAL for p in self._call.parameters())
        # What Numba has no type for is refused by Numba, in the words that callers know.
        if variable or not all(kind.is_precise() for kind in args):
            return self.py_func
        argtypes = (
            numba.typeof(k.value) if isinstance(k, types.Omitted) else types.unliteral(k) for k in args
        )
        return _implementation_of(self._call, tuple(argtypes))

    def _compile_core(self, args: Any, return_type: Any) -> Any:
        key = self._cache.key(tuple(args))
        if key is None:
            return super()._compile_core(args, return_type)
        # As Numba does it, but for the library, and for a name that means the same in every process.
        flags = compiler.Flags()
        self.targetdescr.options.parse_as_flags(flags, self.targetoptions)
        body = self._get_implementation(args, {})
        name = f"{self._call.label}_{key[:32]}"
        body = FunctionType(body.__code__, body.__globals__, body.__name__, body.__defaults__)
        body.__qualname__ = name
        context = self.targetdescr.target_context
        return compiler.compile_extra(
            self.targetdescr.typing_context,
            context,
            body,
            args=args,
            return_type=return_type,
            flags=self._customize_flags(flags),
            locals=self.locals,
            library=EntryLibrary(context.codegen(), name),
            pipeline_class=self.pipeline_class,
        )


class _EntryDispatcher(CPUDispatcher):
    def __init__(self, entry: Callable[..., Any], call: Call) -> None:
        nogil = bool(call.function.targetoptions.get("nogil"))
        super().__init__(entry, targetoptions={"nopython": True, "boundscheck": None, "nogil": nogil})
        self._cache = CallCache(call, call_of)
        self._compiler = _EntryCompiler(self._compiler, call, self._cache)
        self.call = call

    def compile(self, sig: Any) -> Any:
        """Compile for a signature, without the warning of Numba that tuples with functions are experimental.

        The tuples are those that arguments are passed in; in the user's own code Numba warns of them anyway.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NumbaExperimentalFeatureWarning)
            return super().compile(sig)


def implementation(source: Source, function: Compiled, count: int) -> Callable[..., Any]:
    """Return the body of a call with `count` arguments from its lines."""
    return source.function(name_of(function).rpartition(".")[2], ", ".join(f"a{i}" for i in range(count)))


@dataclass(frozen=True)
class Outcome:
    """What the call of a derivative gives, as expressions.

    Parameters
    ----------
    primal
        The value of the function.
    tangent
        In forward mode the tangent of the value, None if it has none.
    active
        In reverse mode, the paths of the leaves whose derivatives are returned, in order.
    shadows
        The shadows of the other leaves.
    """

    primal: str
    tangent: str
    active: tuple[str, ...]
    shadows: Mapping[str, str]

    def adjoint(self, leaf: Leaf) -> str:
        """Return the derivative with respect to a leaf, or the leaf itself if it has none."""
        if leaf.path in self.active:
            return f"{self.tangent}[{self.active.index(leaf.path)}]"
        return self.shadows.get(leaf.path, leaf.path)


@dataclass(frozen=True)
class Operands:
    """What a derivative takes beside the values of the arguments, as expressions.

    Parameters
    ----------
    shadows
        For the path of each leaf with a shadow or tangent, the expression of it; None where zeros are to
        be made, in reverse mode.
    seed
        The cotangent of an active return, in reverse mode.
    values
        For the paths of leaves whose value is to be replaced, the expression to use instead.
    """

    shadows: Mapping[str, str] | None = None
    seed: str | None = None
    values: Mapping[str, str] = field(default_factory=dict[str, str])


def add_derivative(  # noqa: PLR0913 - what one call of a derivative is made of
    source: Source,
    arrangement: Arrangement,
    mode: Mode,
    operands: Operands,
    *,
    return_active: bool,
    sharing: Sharing = Sharing.READ,
    strong_zero: bool = False,
    memory_limit: int | None = None,
    unneeded: frozenset[int] = frozenset(),
    result_needed: bool = True,
    depth: int = 0,
) -> Outcome:
    """Add the call of a derivative in one direction to a body, as `add_batch` does for several."""
    (outcome,) = add_batch(
        source,
        arrangement,
        mode,
        [operands],
        return_active=return_active,
        sharing=sharing,
        strong_zero=strong_zero,
        memory_limit=memory_limit,
        unneeded=unneeded,
        result_needed=result_needed,
        depth=depth,
    )
    return outcome


def add_batch(  # noqa: PLR0913 - what one call of a derivative is made of
    source: Source,
    arrangement: Arrangement,
    mode: Mode,
    lanes: Sequence[Operands],
    *,
    return_active: bool,
    sharing: Sharing = Sharing.READ,
    strong_zero: bool = False,
    memory_limit: int | None = None,
    unneeded: frozenset[int] = frozenset(),
    result_needed: bool = True,
    depth: int = 0,
) -> list[Outcome]:
    """Add the call of a derivative to a body.

    Parameters
    ----------
    source
        The body.
    arrangement
        The function and its arguments.
    mode
        Forward or reverse.
    lanes
        For each direction that the sweep follows, shadows and seed; replaced values are those of the first.
    return_active
        Whether the return is differentiated.
    sharing
        What is known of arguments in one memory.
    strong_zero
        A zero tangent or adjoint contributes zero whatever the slope.
    memory_limit
        How many bytes the tape may hold.
    unneeded
        Numbers of the leaves of which nobody needs to know what the function leaves in them (reverse mode).
    result_needed
        Whether the result is used beside the derivative (reverse mode).
    depth
        Indentation of the added lines.

    Returns
    -------
    list of Outcome
        For each direction, the names of what the call gives.
    """
    width = len(lanes)
    leaves, activities = arrangement.leaves, arrangement.activities(mode)
    options = engine.Options(
        arguments_disjoint=sharing.is_disjoint,
        strong_zero=strong_zero,
        width=width,
        memory_limit=memory_limit if mode is Mode.REVERSE else None,
        unneeded=unneeded if mode is Mode.REVERSE else frozenset(),
        result_needed=result_needed or mode is not Mode.REVERSE,
    )
    function, kinds = arrangement.function, arrangement.types
    derivative, activities = with_scratch(
        arrangement,
        activities,
        lambda a: engine.derivative(function, kinds, a, mode, return_active, options),
    )
    values = [lanes[0].values.get(leaf.path, leaf.path) for leaf in leaves]
    seeds = [lane.seed for lane in lanes if lane.seed is not None and return_active]
    primal, tangent = source.variable("primal"), source.variable("derivative")
    linked = source.name("engine", derivative.linked)
    shadowed = [leaf for leaf, a in zip(leaves, activities, strict=True) if a is ArgumentActivity.DUPLICATED]
    made = source.variable("shadows")
    arrays: list[str] = []
    others: list[str] = []
    shadows: list[Mapping[str, str]] = []
    for operands in lanes:
        if operands.shadows is None:
            shadows.append({leaf.path: f"{made}[{k}]" for k, leaf in enumerate(shadowed, start=len(arrays))})
            arrays += [leaf.path for leaf in shadowed]
            continue
        given = dict(operands.shadows)
        for leaf in shadowed:
            if leaf.path not in given:
                given[leaf.path] = f"{source.name('zero_like', zero_like)}({leaf.path})"
        shadows.append(given)
        others += [cast(source, given[leaf.path], writable(leaf.kind)) for leaf in shadowed]
    others += seeds
    groups = ", ".join(tuple_of(group) for group in (values, arrays, others))
    call = source.name("call_derivative", call_derivative)
    source.add(f"{primal}, {tangent}, {made} = {call}({linked}, {groups})", depth=depth)
    active = [leaf.path for leaf, a in zip(leaves, activities, strict=True) if a is ArgumentActivity.ACTIVE]
    tangents = [tangent] if width == 1 else [f"{tangent}[{k}]" for k in range(width)]
    return [Outcome(primal, dy, tuple(active), dx) for dy, dx in zip(tangents, shadows, strict=True)]


def with_scratch(
    arrangement: Arrangement,
    activities: tuple[ArgumentActivity, ...],
    derive: Callable[[tuple[ArgumentActivity, ...]], D],
) -> tuple[D, tuple[ArgumentActivity, ...]]:
    """Return a derivative, and what it was told of the arguments.

    A constant array that active data passes through gets a shadow of its own, which nobody else sees.

    Parameters
    ----------
    arrangement
        The function and its arguments.
    activities
        What is known of the arguments to begin with.
    derive
        Makes the derivative.
    """
    function, kinds = arrangement.function, arrangement.types
    while True:
        try:
            return derive(activities), activities
        except ActivityError as error:
            names = [a.name for a in engine.lowered(function, kinds).arguments]
            position = names.index(error.argument) if error.argument in names else -1
            if position < 0 or not _may_have_shadow(kinds[position], activities[position]):
                raise
            changed = list(activities)
            changed[position] = ArgumentActivity.DUPLICATED
            activities = tuple(changed)


def _may_have_shadow(kind: types.Type, activity: ArgumentActivity) -> bool:
    return (
        activity is ArgumentActivity.CONST
        and isinstance(kind, types.Array)
        and isinstance(kind.dtype, (types.Float, types.Complex))
    )


def cast(source: Source, expression: str, kind: types.Type) -> str:
    """Return the expression of a value as another Numba type."""
    return f"{source.name('as_type', as_type)}({expression}, {source.name('kind', kind)})"
