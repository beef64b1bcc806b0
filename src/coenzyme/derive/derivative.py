"""From a function of a module to its derivative in the same module: the order of the passes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from coenzyme.analysis.activity import Activity, find_activity
from coenzyme.analysis.content import Contents, find_contents
from coenzyme.analysis.objects import Objects, Storage, called_effect
from coenzyme.analysis.overwritten import Aliasing
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.analysis.points_to import find_objects
from coenzyme.derive.border_text import take_borders_apart
from coenzyme.derive.borders import find_borders
from coenzyme.derive.calls import CallTable, Derivatives, replace_calls, replace_forward_call
from coenzyme.derive.context import Context
from coenzyme.derive.contraction import contract_temporaries
from coenzyme.derive.custom import fill_from_custom
from coenzyme.derive.forward import emit_forward
from coenzyme.derive.interleaving import NOT_INTERLEAVED
from coenzyme.derive.invariant_loads import hoist_invariant_loads
from coenzyme.derive.lane_costs import plan_interleaving
from coenzyme.derive.launches import fill_launch, run_launches
from coenzyme.derive.normalise import Shape, normalise
from coenzyme.derive.plan import ReversePlan, make_plan
from coenzyme.derive.refused import refuse_what_cannot_be_derived
from coenzyme.derive.registered import Registered, fill_registered
from coenzyme.derive.replay import drop_hidden_stores, outline_iterations
from coenzyme.derive.reread import reread_carried_loads
from coenzyme.derive.reverse import Seed, emit_reverse
from coenzyme.derive.round_trips import resolve_round_trips
from coenzyme.derive.ruled import fill_from_rule
from coenzyme.derive.runtime import TapeMemory
from coenzyme.derive.seeds import ResultPlaces
from coenzyme.derive.shadows import Shadows, add_shadows
from coenzyme.derive.split import Halves, SplitFunctions, declare_halves, split_function
from coenzyme.derive.subscripts import drop_wraparounds
from coenzyme.errors import CoenzymeError, Location, UnsupportedIRError
from coenzyme.frontends.launch import LaunchProvider, no_launch
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.frontends.rule_code import CustomProvider, RuleProvider
from coenzyme.frontends.structs import NO_STRUCTS, Structs
from coenzyme.ir.clone import clone_function
from coenzyme.ir.devirtualise import is_indirect
from coenzyme.ir.instructions import Block, Call, Function, Instruction, Module
from coenzyme.ir.types import PTR, Type
from coenzyme.ir.values import Argument, ConstantNull, Value
from coenzyme.rules import Effect

__all__ = ["Request", "derive", "derive_split"]


_MOST_NESTS = 40
"""How many nests there may be, those taken apart counted by their parts, for more to be taken apart."""


@dataclass(frozen=True)
class Request:
    """What is to be derived.

    Attributes
    ----------
    activities
        One for each parameter of the function.
    elements
        Element types of the memory behind pointer parameters, by parameter number.
    groups
        Numbers shared by pointer parameters that are parts of one array, by parameter number.
    has_status
        Whether the function returns Numba's status code.
    """

    mode: Mode
    activities: Sequence[ComponentActivity]
    elements: Mapping[int, Type]
    groups: Mapping[int, int]
    has_status: bool = True
    aliasing: Aliasing = Aliasing()  # noqa: RUF009 - frozen
    passes: frozenset[Pass] = ALL_PASSES
    memory: TapeMemory = TapeMemory.POOLED
    result: ResultPlaces | None = None
    """In reverse mode, a result that holds arrays: its seed is one more parameter, the last."""
    strong_zero: bool = False
    guards_tangents: bool = False
    """Whether a zero tangent times an infinite partial is zero in forward mode, too."""
    width: int = 1
    """How many directions one sweep follows."""
    memory_limit: int | None = None
    """How many bytes the tapes that are alive at one time may hold."""
    moves_bits: bool = True
    """Whether there may be code that moves numbers and pointers as integers, as C's may."""
    is_callee: bool = False
    """Whether the function is one that is kept out of line in the one to differentiate."""
    provide: RuleProvider | None = None
    provide_custom: CustomProvider | None = None
    """Gives the code of functions that have a rule."""
    relocated: frozenset[int] = frozenset()
    """The pointer parameters whose shadows are elsewhere in the reverse sweep."""
    unneeded: frozenset[int] = frozenset()
    """The pointer parameters of which nobody needs to know what the function leaves behind them."""
    launches: LaunchProvider = no_launch
    """Knows the launchers of parallel loops."""
    observe: Callable[[str, ReversePlan], None] | None = None
    """Is shown each plan before it is carried out, with the name of what it is a plan for."""
    structs: Structs = NO_STRUCTS
    """The instances of classes that the module handles."""
    registered: Mapping[str, Registered] = field(default_factory=dict[str, Registered])
    """Functions that the user has written derivatives of, by the names of what stands for them."""


@dataclass
class Derived:
    """A derivative function, and the plan it was emitted from (reverse mode)."""

    function: Function
    plan: ReversePlan | None


def derive(
    module: Module,
    function: Function,
    request: Request,
    name: str,
    locate: Callable[[Instruction], Location | None],
    display_name: str,
) -> Derived:
    """Add the derivative of `function` to `module` under `name`, and return it.

    The derivative has the parameters of `function`, then one for each that is not constant: the shadow
    of a pointer, the tangent of a scalar, or a pointer to where a scalar's adjoint is stored. Where several
    directions are followed, all those of the first come first.
    """
    context = _context(module, request, locate, display_name)
    with _described(context):
        derived = _Deriver(context, request).derive(function, request, name)
        run_launches(module, request.launches)
        return derived


def derive_split(
    module: Module,
    function: Function,
    request: Request,
    name: str,
    locate: Callable[[Instruction], Location | None],
    display_name: str,
) -> tuple[SplitFunctions, ReversePlan]:
    """Add the reverse derivative of `function` to `module` in two halves, and return them and their plan.

    The parameters are those of :func:`derive`; the halves are those of :mod:`coenzyme.derive.split`. The
    forward half has no parameters for the adjoints of scalars.
    """
    context = _context(module, request, locate, display_name)
    with _described(context):
        made = _Deriver(context, request).split(function, request, name)
        run_launches(module, request.launches)
        return made


def _context(
    module: Module, request: Request, locate: Callable[[Instruction], Location | None], name: str
) -> Context:
    memory, limit = request.memory, request.memory_limit
    zeros = request.strong_zero, request.guards_tangents
    return Context(module, locate, name, memory, *zeros, request.width, limit)


@contextmanager
def _described(context: Context) -> Generator[None, None, None]:
    """Let errors name the user's function and line."""
    try:
        yield
    except CoenzymeError as error:
        error.function = context.function_name
        if error.location is None and isinstance(error.culprit, Instruction):
            error.location = context.locate(error.culprit)
        error.culprit = None
        error.args = (error.describe(),)
        raise


@dataclass
class _Draft:
    """A private copy of a function, normalised, analysed and augmented."""

    function: Function
    shape: Shape
    activity: Activity
    contents: Contents
    lanes: tuple[Shadows, ...]
    scalars: tuple[Mapping[Argument, Argument], ...]
    """For each lane, the tangents of scalar parameters, or where their adjoints are stored."""
    pointers: tuple[Mapping[Value, Value], ...]
    """For each lane, the shadows of pointer parameters."""


class _Deriver:
    def __init__(self, context: Context, request: Request) -> None:
        self.provide = request.provide
        self.provide_custom = request.provide_custom
        self.launches = request.launches
        self.context = context
        self.module = context.module
        self.passes = request.passes
        self.structs = request.structs
        self.registered = request.registered
        self.observe = request.observe
        self.moves_bits = request.moves_bits
        self.table = CallTable(context, self.fill)
        self.numbers = count()
        self.disjoint = request.aliasing.arguments_disjoint

    def derive(self, function: Function, request: Request, name: str) -> Derived:
        draft = self.draft(function, request, name, replays=self.replays(request))
        self.module.add_function(draft.function)
        if request.aliasing.arguments_disjoint:
            _mark_disjoint(draft)
        if request.mode is Mode.FORWARD:
            self.emit_forward(draft, request)
            return Derived(draft.function, None)
        seeds: list[Seed] = []
        if request.result is not None:
            result = draft.function.arguments[0]
            given = draft.function.arguments[-request.width :]
            seeds = [
                Seed(request.result, result, pointers[result], seed)
                for pointers, seed in zip(draft.pointers, given, strict=True)
            ]
        plan, _ = self.emit_reverse(draft, request, seeds, whole=True)
        return Derived(draft.function, plan)

    def split(self, function: Function, request: Request, name: str) -> tuple[SplitFunctions, ReversePlan]:
        draft = self.draft(function, request, f"{name}.draft")
        if request.aliasing.arguments_disjoint:
            _mark_disjoint(draft)
        plan, halves = self.emit_reverse(draft, request)
        made = declare_halves(self.module, draft.function, halves, name)
        split_function(self.context, draft.function, halves, made.augmented, made.reverse, made.discard)
        return made, plan

    def replays(self, request: Request) -> bool:
        """Whether iterations may be run again in the reverse sweep."""
        plain = Pass.REPLAY in request.passes and request.memory is TapeMemory.POOLED
        return request.mode is Mode.REVERSE and plain and request.aliasing.caller_keeps

    def copy(self, function: Function, name: str, extras: Sequence[Argument]) -> Function:
        """Return a copy of what is to be derived, if there is nothing in it that has no derivative."""
        refuse_what_cannot_be_derived(self.context, function)
        return clone_function(function, name, extras)[0]

    def draft(self, function: Function, request: Request, name: str, *, replays: bool = False) -> _Draft:
        extras, twins = _extra_parameters(function, request)
        derivative = self.copy(function, name, extras)
        formals = derivative.arguments[: len(function.arguments)]
        parameters = dict(zip(formals, request.activities, strict=True))
        elements: dict[Argument, Type] = {formals[i]: t for i, t in request.elements.items()}
        groups = {formals[i]: g for i, g in request.groups.items()}
        named = self.structs.parameters.get(function.name, {})
        structs = {formals[i]: name for i, name in named.items() if i < len(formals)}
        apart: set[Block] = set()
        while True:
            shape = normalise(derivative, elements, request.has_status, request.passes)
            if Pass.ROUND_TRIPS in request.passes:
                resolve_round_trips(shape)
            if Pass.WRAPAROUND in request.passes:
                drop_wraparounds(shape)
            _refuse_indirect_calls(self.context, shape)
            objects = find_objects(derivative, groups, elements, self.structs, structs, parameters)
            if request.mode is Mode.REVERSE and _rearrange(shape, objects, request, apart):
                continue
            if Pass.CONTRACT in request.passes and contract_temporaries(
                shape, objects, request.aliasing, in_reverse=request.mode is Mode.REVERSE
            ):
                objects = find_objects(derivative, groups, elements, self.structs, structs, parameters)
            contents = _hoist(shape, objects, request, elements)
            activity = find_activity(
                derivative, shape.exits.live, parameters, objects, contents, moves_bits=self.moves_bits
            )
            if not replays or not outline_iterations(
                self.module, shape, activity, request.aliasing, request.passes, self.numbers
            ):
                break
            replays = False
        lanes: list[Shadows] = []
        scalars: list[Mapping[Argument, Argument]] = []
        pointers: list[Mapping[Value, Value]] = []
        interleaving = NOT_INTERLEAVED
        if Pass.LANES in request.passes and request.width > 1 and request.mode is Mode.FORWARD:
            interleaving = plan_interleaving(shape, activity, contents, request.width)
        for twin_of in twins:
            shadow_of = {formals[index]: extra for index, extra in twin_of.items()}
            given = _pointer_shadows(formals, shadow_of, groups)
            in_forward = request.mode is Mode.FORWARD
            live = shape.exits.live
            new = add_shadows(
                self.context,
                live,
                activity,
                contents,
                given,
                mirror_floats=in_forward,
                others=lanes,
                interleaving=interleaving,
            )
            lanes.append(new)
            pointers.append(given)
            scalars.append({a: s for a, s in shadow_of.items() if not a.type.is_pointer})
        return _Draft(derivative, shape, activity, contents, tuple(lanes), tuple(scalars), tuple(pointers))

    def emit_forward(self, draft: _Draft, request: Request) -> None:
        def forward_call(call: Call, tangents: Sequence[Callable[[Value], Value]]) -> None:
            replace_forward_call(call, draft.activity, draft.contents, draft.lanes, self.table, tangents)

        emit_forward(
            self.context,
            draft.shape,
            draft.activity,
            draft.lanes,
            draft.scalars,
            request.aliasing,
            forward_call,
        )

    def emit_reverse(
        self, draft: _Draft, request: Request, seeds: Sequence[Seed] = (), *, whole: bool = False
    ) -> tuple[ReversePlan, Halves]:
        calls = replace_calls(
            draft.shape, draft.activity, draft.contents, draft.lanes, self.table, request.aliasing
        )
        plan = make_plan(
            draft.shape,
            draft.activity,
            draft.contents,
            draft.lanes,
            request.aliasing,
            self.passes,
            calls.pair_of.keys(),
            calls.read_again,
            self.context,
            [
                pointers[draft.function.arguments[i]]
                for pointers in draft.pointers
                for i in sorted(request.relocated)
            ],
            [draft.function.arguments[i] for i in sorted(request.unneeded)],
            is_callee=request.is_callee,
        )
        if self.observe is not None:
            self.observe(draft.function.name, plan)
        # A limit counts what is taken from the pool.
        pooled = self.context.memory is TapeMemory.POOLED and self.context.memory_limit is None
        nearby = whole and pooled and Pass.NEARBY in self.passes
        halves = emit_reverse(self.context, plan, draft.scalars, calls, seeds, nearby=nearby)
        return plan, halves

    def fill(self, callee: Function, entry: Derivatives, mode: Mode, number: int) -> None:
        """Give the functions of a new entry of the call table their bodies."""
        if callee.ruled:
            assert self.provide is not None
            fill_from_rule(self.context, callee, entry, mode, self.provide, number)
            return
        if callee.custom:
            assert self.provide_custom is not None
            fill_from_custom(self.context, callee, entry, mode, self.provide_custom, number)
            return
        if callee.name in self.registered:
            fill_registered(self.context, self.registered[callee.name], entry, mode)
            return
        launch = self.launches(callee.name)
        if launch is not None:
            fill_launch(self.table, callee, entry, mode, launch)
            return
        request = Request(
            mode=mode,
            activities=entry.activities,
            elements={i: t for i, t in enumerate(entry.passed.elements) if t is not None},
            groups={i: g for i, g in enumerate(entry.passed.groups) if g is not None},
            aliasing=Aliasing(arguments_disjoint=False, caller_keeps=False, kept=entry.passed.kept),
            passes=self.passes,
            width=self.context.width,
            relocated=entry.passed.relocated,
            is_callee=True,
        )
        if callee.replayed:
            aliasing = Aliasing(arguments_disjoint=self.disjoint)
            request = replace(request, aliasing=aliasing, is_callee=False)
            draft = self.draft(callee, request, f"{entry.reverse.name}.draft")
            self.emit_reverse(draft, request, whole=True)
            drop_hidden_stores(draft.function)
            _move_body(draft.function, entry.reverse)
            return
        draft = self.draft(callee, request, f"{entry.augmented.name}.draft")
        if mode is Mode.FORWARD:
            self.emit_forward(draft, request)
            _move_body(draft.function, entry.augmented)
            return
        _, halves = self.emit_reverse(draft, request)
        split_function(self.context, draft.function, halves, entry.augmented, entry.reverse, entry.discard)


def _rearrange(shape: Shape, objects: Objects, request: Request, apart: set[Block]) -> bool:
    """Bring loops into a form with a simpler adjoint, in place; return whether anything has changed.

    `apart` holds the headers of nests that have been taken apart.
    """
    if Pass.REREAD in request.passes and reread_carried_loads(shape, objects, request.aliasing):
        return True
    borders = None
    if Pass.BORDERS in request.passes and len(apart) < _MOST_NESTS:
        borders = find_borders(shape, objects, request.aliasing, apart)
    if borders is not None:
        apart |= take_borders_apart(borders, shape)
    return borders is not None


def _hoist(shape: Shape, objects: Objects, request: Request, elements: dict[Argument, Type]) -> Contents:
    """Move loads out of loops, and return what memory holds."""
    if Pass.INVARIANT in request.passes:
        hoist_invariant_loads(shape, objects, request.aliasing)
    return find_contents(shape.function, objects, elements)


def _refuse_indirect_calls(context: Context, shape: Shape) -> None:
    for block in shape.exits.live:
        for instruction in block.instructions:
            if isinstance(instruction, Call) and is_indirect(instruction):
                raise UnsupportedIRError(
                    "a function is called that is known at run time only",
                    function=context.function_name,
                    operation="call by address",
                    location=context.locate(instruction),
                    remedy="pass an @njit function as an argument of its own, or choose by if among functions"
                    " called by name",
                )


def _mark_disjoint(draft: _Draft) -> None:
    """Tell LLVM that the data of distinct arrays, and their shadows, do not overlap.

    Only of pointers that are the one way to their memory: where a payload is also fetched through its
    memory-info block, nothing is said.
    """
    fetched = any(
        isinstance(i, Call) and called_effect(i) is Effect.MEMINFO_DATA and not is_local(draft, i)
        for i in draft.function.instructions()
    )
    shared = any(
        o.storage is Storage.REACHED for a in draft.function.arguments for o in draft.activity.objects.of(a)
    )
    if fetched or shared:
        return
    for argument in draft.function.arguments:
        if argument.type.is_pointer and "noalias" not in argument.attributes:
            argument.attributes = f"noalias {argument.attributes}".strip()


def is_local(draft: _Draft, call: Call) -> bool:
    """Whether the payload that `call` fetches belongs to memory allocated here."""
    block = call.operands[0]
    pairs = (pair for shadows in draft.lanes for pair in shadows.pointers.items())
    primal = next((p for p, s in pairs if s is block), block)
    return all(o.storage is Storage.HEAP for o in draft.activity.objects.of(primal))


def _move_body(source: Function, target: Function) -> None:
    target.blocks.clear()
    for block in source.blocks:
        target.add_block(block)
    for old, new in zip(source.arguments, target.arguments, strict=True):
        old.replace_all_uses_with(new)


def _extra_parameters(
    function: Function, request: Request
) -> tuple[list[Argument], list[dict[int, Argument]]]:
    """Return the parameters that come with those of `function`, and for each lane whose they are."""
    extras: list[Argument] = []
    twins: list[dict[int, Argument]] = []
    for _ in range(request.width):
        twins.append({})
        for index, (argument, activity) in enumerate(
            zip(function.arguments, request.activities, strict=True)
        ):
            if activity is ComponentActivity.CONST:
                continue
            in_reverse = activity is ComponentActivity.ACTIVE
            type = PTR if in_reverse or argument.type.is_pointer else argument.type
            extra = Argument(type, f"{argument.name}.{'bar' if in_reverse else 'shadow'}", 0)
            extras.append(extra)
            twins[-1][index] = extra
    if request.result is not None:
        extras.extend(Argument(PTR, "seed", 0) for _ in range(request.width))
    return extras, twins


def _pointer_shadows(
    formals: Sequence[Argument], shadow_of: Mapping[Argument, Argument], groups: Mapping[Argument, int]
) -> dict[Value, Value]:
    """Return the shadows of pointer parameters in one lane."""
    found: dict[Value, Value] = {a: s for a, s in shadow_of.items() if a.type.is_pointer}
    shadowed_groups = {groups[a] for a in shadow_of if a.type.is_pointer and a in groups}
    for argument in formals:
        if argument not in shadow_of and groups.get(argument) in shadowed_groups:
            # The owner of an array's memory goes along with it; its shadow has no owner.
            found[argument] = ConstantNull()
    return found
