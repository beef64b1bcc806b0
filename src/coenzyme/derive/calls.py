"""Calls of functions that stay out of line: each has derivatives of its own, kept in one table.

A derivative is keyed by the callee and the activity of its parameters; recursion is a cycle in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.content import Content, Contents
from coenzyme.analysis.objects import (
    MemoryObject,
    Storage,
    is_error_slot,
)
from coenzyme.analysis.overwritten import Aliasing, find_unwritten
from coenzyme.derive.context import Context
from coenzyme.derive.normalise import Shape
from coenzyme.derive.plan import internal_calls
from coenzyme.derive.refused import refuse_variable_arguments
from coenzyme.derive.releasing import releases_only
from coenzyme.derive.shadows import Shadows
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.instructions import Alloca, Block, Call, Function, Unreachable
from coenzyme.ir.types import I8, I32, PTR, VOID, FunctionType, Type
from coenzyme.ir.values import Argument, ConstantNull, Value

__all__ = [
    "CallTable",
    "Derivatives",
    "ReverseCalls",
    "describe_call",
    "replace_calls",
    "replace_forward_call",
]


@dataclass(frozen=True)
class Passed:
    """What one call passes, as far as derivatives of the callee depend on it.

    Attributes
    ----------
    activities
        How each argument takes part.
    groups
        For each pointer a number, the same where two may point into the same memory, −1 for null; None for
        what is no pointer.
    elements
        For each pointer to numbers alone, their type; any integer type where they are no floats.
    relocated
        The pointers whose shadows are elsewhere in the reverse sweep.
    kept
        The pointers behind which nobody writes before the reverse sweep has run.
    """

    activities: tuple[ComponentActivity, ...]
    groups: tuple[int | None, ...]
    elements: tuple[Type | None, ...]
    relocated: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()


Key = tuple[str, Passed, Mode]


@dataclass(frozen=True)
class Derivatives:
    """The derivative functions of one callee for one activity of its parameters.

    In forward mode `augmented` is the forward derivative and `reverse` is the same function. Of a callee
    that is run again, `augmented` is the callee itself, and `reverse` runs it and its adjoint.
    """

    passed: Passed
    augmented: Function
    reverse: Function
    discard: Function | None = None
    """Frees the record of an augmented primal whose reverse sweep is not run."""

    @property
    def activities(self) -> tuple[ComponentActivity, ...]:
        """How each parameter of the callee takes part."""
        return self.passed.activities


@dataclass
class ReverseCalls:
    """The calls of one augmented primal that have derivatives."""

    pair_of: dict[Call, Derivatives] = field(default_factory=dict[Call, Derivatives])
    record_of: dict[Call, Value] = field(default_factory=dict[Call, Value])
    """The record of each call, null where the callee failed; calls that are run again have none."""

    @property
    def read_again(self) -> list[Value]:
        """The pointers behind which the reverse sweeps of the calls read again."""
        return [
            a
            for call, pair in self.pair_of.items()
            for n, a in enumerate(call.arguments)
            if n in pair.passed.kept or (call not in self.record_of and a.type.is_pointer)
        ]


class CallTable:
    """All derivatives of functions kept out of line, in one module.

    Parameters
    ----------
    fill
        Derives the callee into the functions of a new entry.
    """

    def __init__(self, context: Context, fill: Callable[[Function, Derivatives, Mode, int], None]) -> None:
        self.context = context
        self.module = context.module
        self.fill = fill
        self.entries: dict[Key, Derivatives] = {}

    def get(self, callee: Function, passed: Passed, mode: Mode) -> Derivatives:
        """Return the derivatives of `callee`, making them where they are new."""
        key = (callee.name, passed, mode)
        if key in self.entries:
            return self.entries[key]
        number = len(self.entries)
        activities = passed.activities
        extras = _extra_types(callee, activities) * self.context.width
        if mode is Mode.FORWARD:
            function = self._placeholder(f"{callee.name}.forward.{number}", callee, extras, I32)
            entry = Derivatives(passed, function, function)
        else:
            if callee.replayed:
                again = self._placeholder(f"{callee.name}.again.{number}", callee, extras, I32)
                entry = Derivatives(passed, callee, again)
                self.entries[key] = entry
                self.fill(callee, entry, mode, number)
                return entry
            present = _present(activities) * self.context.width
            first = [t for t, a in zip(extras, present, strict=True) if a is ComponentActivity.DUPLICATED]
            augmented = self._placeholder(f"{callee.name}.augmented.{number}", callee, [*first, PTR], I32)
            reverse = self._placeholder(f"{callee.name}.reverse.{number}", callee, [*extras, PTR], I32)
            discard = self._new(f"{callee.name}.discard.{number}", [(PTR, "record")], VOID)
            entry = Derivatives(passed, augmented, reverse, discard)
        self.entries[key] = entry
        self.fill(callee, entry, mode, number)
        return entry

    def _placeholder(self, name: str, callee: Function, extras: Sequence[Type], result: Type) -> Function:
        """Return a function that can be called already and gets its body later."""
        parameters = [(a.type, a.name) for a in callee.arguments]
        parameters += [(t, f"extra.{i}") for i, t in enumerate(extras)]
        return self._new(name, parameters, result)

    def _new(self, name: str, parameters: Sequence[tuple[Type, str]], result: Type) -> Function:
        arguments = [Argument(t, n, i) for i, (t, n) in enumerate(parameters)]
        kind = FunctionType(result, tuple(t for t, _ in parameters))
        function = Function(name, kind, arguments, "internal", "nounwind")
        function.add_block(Block("pending")).append(Unreachable())
        return self.module.add_function(function)


def _present(activities: Sequence[ComponentActivity]) -> list[ComponentActivity]:
    return [a for a in activities if a is not ComponentActivity.CONST]


def _extra_types(callee: Function, activities: Sequence[ComponentActivity]) -> list[Type]:
    return [
        PTR if a is ComponentActivity.ACTIVE or p.type.is_pointer else p.type
        for p, a in zip(callee.arguments, activities, strict=True)
        if a is not ComponentActivity.CONST
    ]


def describe_call(call: Call, activity: Activity, contents: Contents, mode: Mode) -> Passed:
    """Return what `call` passes."""
    targets = {a: set(activity.objects.of(a)) for a in call.arguments if a.type.is_pointer}
    together = _join(targets.values())
    groups: list[int | None] = []
    elements: list[Type | None] = []
    for argument in call.arguments:
        if argument not in targets:
            groups.append(None)
            elements.append(None)
            continue
        number = next((n for n, group in enumerate(together) if not group.isdisjoint(targets[argument])), -1)
        groups.append(number)
        elements.append(_element_of(together[number], activity, contents) if number >= 0 else None)
    return Passed(_call_activities(call, activity, mode), tuple(groups), tuple(elements))


def _with_kept(passed: Passed, unwritten: frozenset[int]) -> Passed:
    """Return `passed` with the pointers in `unwritten` kept, where all pointers of their group are."""
    groups = passed.groups
    others = {g for number, g in enumerate(groups) if g is not None and number not in unwritten}
    return replace(passed, kept=frozenset(n for n in unwritten if groups[n] not in others))


def _element_of(group: set[MemoryObject], activity: Activity, contents: Contents) -> Type | None:
    """Return the type of the numbers that `group` holds, an integer where they are no floats of one type.

    To the callee a group is one piece of memory, so that what is said of it must be true of all of it. What
    this function does with memory that others have filled says nothing of what else is there.
    """
    objects = activity.objects
    for item in group:
        own = item.storage in (Storage.STACK, Storage.HEAP) and not objects.contents.get(item)
        if item not in objects.flat and not own:
            return None
    held = Content()
    for item in group:
        held.merge(contents.of(item))
    return I8 if held.only_float is None and group <= objects.flat else held.only_float


def _join(sets: Iterable[set[MemoryObject]]) -> list[set[MemoryObject]]:
    """Return disjoint sets, in the order of their first parts, after joining those that share an object."""
    found: list[set[MemoryObject]] = []
    for new in sets:
        if not new:
            continue
        touched = [group for group in found if not group.isdisjoint(new)]
        joined = new.union(*touched)
        place = found.index(touched[0]) if touched else len(found)
        found = [group for group in found if group.isdisjoint(new)]
        found.insert(place, joined)
    return found


def _call_activities(call: Call, activity: Activity, mode: Mode) -> tuple[ComponentActivity, ...]:
    callee = call.callee
    assert isinstance(callee, Function)
    found: list[ComponentActivity] = []
    for actual, formal in zip(call.arguments, callee.arguments, strict=True):
        if is_error_slot(formal):
            found.append(ComponentActivity.CONST)
        elif actual.type.is_pointer:
            shadowed = activity.has_shadow(actual)
            found.append(ComponentActivity.DUPLICATED if shadowed else ComponentActivity.CONST)
        elif activity.is_active(actual):
            in_forward = mode is Mode.FORWARD
            found.append(ComponentActivity.DUPLICATED if in_forward else ComponentActivity.ACTIVE)
        else:
            found.append(ComponentActivity.CONST)
    return tuple(found)


def replace_calls(
    shape: Shape,
    activity: Activity,
    contents: Contents,
    lanes: Sequence[Shadows],
    table: CallTable,
    aliasing: Aliasing,
) -> ReverseCalls:
    """Make the calls of an augmented primal call augmented primals, and remember their records."""
    result = ReverseCalls()
    calls = internal_calls(shape, activity)
    unwritten = find_unwritten(shape.exits.live, activity.objects, aliasing, calls)
    for call in calls:
        callee = call.callee
        assert isinstance(callee, Function)
        _require_status(call, callee, table.context)
        passed = describe_call(call, activity, contents, Mode.REVERSE)
        if callee.replayed:
            result.pair_of[call] = table.get(callee, passed, Mode.REVERSE)
            continue
        passed = _with_kept(passed, unwritten.get(call, frozenset()))
        pair = table.get(callee, passed, Mode.REVERSE)
        where = Alloca(PTR, const_int(I32, 1), "record.address")
        shape.function.entry.insert(0, where)
        extras = [
            shadows.of(a)
            for shadows in lanes
            for a, how in zip(call.arguments, pair.activities, strict=True)
            if how is ComponentActivity.DUPLICATED
        ]
        at = Builder.before(call)
        at.store(ConstantNull(), where)
        new = at.call(pair.augmented, [*call.arguments, *extras, where], name=call.name)
        assert isinstance(new, Call)
        new.metadata = dict(call.metadata)
        record = at.load(PTR, where, name=f"{call.name}.record")
        call.replace_all_uses_with(new)
        call.erase()
        result.pair_of[new] = pair
        result.record_of[new] = record
    return result


def replace_forward_call(
    call: Call,
    activity: Activity,
    contents: Contents,
    lanes: Sequence[Shadows],
    table: CallTable,
    tangents: Sequence[Callable[[Value], Value]],
) -> None:
    """Make a call of a function kept out of line call its forward derivative."""
    callee = call.callee
    assert isinstance(callee, Function)
    if releases_only(callee) and all(a.type.is_pointer and activity.has_shadow(a) for a in call.arguments):
        # What is given back with the primal's memory is given back with the shadow's.
        for shadows in lanes:
            Builder.before(call).call(callee, [shadows.of(a) for a in call.arguments])
        return
    _require_status(call, callee, table.context)
    pair = table.get(callee, describe_call(call, activity, contents, Mode.FORWARD), Mode.FORWARD)
    extras = [
        shadows.of(a) if a.type.is_pointer else tangent(a)
        for shadows, tangent in zip(lanes, tangents, strict=True)
        for a, how in zip(call.arguments, pair.activities, strict=True)
        if how is ComponentActivity.DUPLICATED
    ]
    new = Builder.before(call).call(pair.augmented, [*call.arguments, *extras], name=call.name)
    call.replace_all_uses_with(new)
    call.erase()


def _require_status(call: Call, callee: Function, context: Context) -> None:
    refuse_variable_arguments(context, call)
    if callee.function_type.result != I32 or not any(is_error_slot(a) for a in callee.arguments):
        raise UnsupportedIRError(
            "a function kept out of line does not follow Numba's calling convention",
            function=context.function_name,
            operation=callee.name,
            remedy="let it be inlined, or write a rule for it",
        )
