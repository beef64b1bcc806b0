"""Derivatives of functions that have a rule: the rule's functions in the convention of the call table.

The augmented primal runs the rule's own and keeps what that returned, the result, its shadow and what was
saved, in a record; references to the arrays in it are held until the reverse sweep has run or the record
is discarded. The cotangent of a number in the result is read from the shadow of the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coenzyme.derive.adopted import adopt_prepared
from coenzyme.derive.calls import Derivatives
from coenzyme.derive.context import Context
from coenzyme.derive.emission import type_named, type_spelled
from coenzyme.derive.runtime import RECORD_HEADER
from coenzyme.derive.split import byte_size
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.program import Component, ComponentActivity, Mode, Role, Status
from coenzyme.frontends.rule_code import RuleCode, RuleFunction, RuleProvider
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.instructions import Block, Function
from coenzyme.ir.types import I1, I8, I32, I64, PTR, VOID, FunctionType, IntType, Type
from coenzyme.ir.values import ConstantNull, Value

__all__ = ["address", "fill_from_rule", "narrowed", "start"]

Path = tuple[int, ...]
_RESULT_PARAMETERS = 2
_RESULT, _SHADOW, _SAVED = 0, 1, 2


def fill_from_rule(
    context: Context, callee: Function, entry: Derivatives, mode: Mode, provide: RuleProvider, number: int
) -> None:
    """Give the functions of a new entry of the call table their bodies."""
    if ComponentActivity.ACTIVE in entry.activities:
        raise UnsupportedIRError(
            "a number is passed to a function with a rule for its array arguments alone",
            function=context.function_name,
            operation=callee.name,
            remedy="pass the number as a constant",
        )
    code = provide(callee.name, entry.activities, mode)
    _Writer(context, entry, code, number).write(mode)


class _Writer:
    def __init__(self, context: Context, entry: Derivatives, code: RuleCode, number: int) -> None:
        self.context = context
        self.module = context.module
        self.entry = entry
        self.code = code
        self.number = number
        self.width = context.width
        self.first = self._adopt(code.first)
        self.tuple_type = type_spelled(code.first.result.llvm_type)
        self.result_type = type_spelled(code.result.llvm_type)

    def write(self, mode: Mode) -> None:
        if mode is Mode.FORWARD:
            self._write_forward()
            return
        assert self.code.reverse is not None
        reverse = self._adopt(self.code.reverse)
        self._write_augmented()
        self._write_reverse(reverse)
        self._write_discard()

    def _adopt(self, function: RuleFunction) -> Function:
        adopt_prepared(self.module, function.text, self.number)
        entry = self.module.functions[function.entry]
        entry.prefix = "internal"
        return entry

    # -- the parts of what the rule returned

    def _parts(self, part: int) -> Iterator[tuple[Path, Component]]:
        """Yield the places of one item of the tuple that the rule returned."""
        for path, component in self.code.first.result.components:
            if path[0] == part:
                yield path, component

    def _load(self, at: Builder, layout: Type, base: Value, path: Path, component: Component) -> Value:
        return at.load(type_named(component.llvm_type), address(at, layout, base, path))

    def _hand_over(self, at: Builder, values: Value, part: int, target: Value) -> None:
        """Copy one item of the tuple at `values` to where a result of that type is expected."""
        for (source, component), (path, _) in zip(
            self._parts(part), self.code.result.components, strict=True
        ):
            value = self._load(at, self.tuple_type, values, source, component)
            at.store(value, address(at, self.result_type, target, path))

    def _count(self, at: Builder, values: Value, parts: Sequence[int], name: str) -> None:
        """Count references to the arrays of some items up or down."""
        function = self.module.declare(name, FunctionType(VOID, (PTR,)))
        for part in parts:
            for path, component in self._parts(part):
                if component.role is Role.MEMINFO:
                    at.call(function, [self._load(at, self.tuple_type, values, path, component)])

    def _require_same_layout(
        self, at: Builder, function: Function, made: Sequence[Value], record: Value | None
    ) -> Builder:
        """Return where to go on if the last result and its derivative have one layout; else fail."""
        same: Value = const_int(I1, 1)
        for (first, component), (second, _) in zip(self._parts(_RESULT), self._parts(_SHADOW), strict=True):
            if component.role is Role.EXTENT:
                sizes = [self._load(at, self.tuple_type, made[-1], p, component) for p in (first, second)]
                same = at.and_(same, at.icmp("eq", sizes[0], sizes[1]))
        fits, mismatch = Block("fits"), Block("mismatch")
        at.cond_branch(same, fits, mismatch)
        failing = Builder(function.add_block(mismatch))
        self._abandon(failing, made, record)
        failing.ret(const_int(I32, int(Status.RULE_MISMATCH)))
        return Builder(function.add_block(fits))

    def _abandon(self, at: Builder, made: Sequence[Value], record: Value | None) -> None:
        """Give back what the rule has returned so far, and the record it may be in."""
        parts = (_RESULT, _SHADOW) if record is None else (_RESULT, _SHADOW, _SAVED)
        for values in made:
            self._count(at, values, parts, "NRT_decref")
        if record is not None:
            at.call(self.module.declare("free", FunctionType(VOID, (PTR,))), [record])

    def _run_first(
        self, at: Builder, function: Function, places: Sequence[Value], record: Value | None
    ) -> Builder:
        """Emit one call of the rule for each lane, and return where to go on after all have succeeded."""
        for lane, values in enumerate(places):
            done, failed = Block("done"), Block("failed")
            arguments = self._arguments(at, function, self.code.first, lane)
            status = at.call(self.first, [values, function.arguments[1], *arguments])
            at.cond_branch(at.icmp("eq", status, const_int(I32, 0)), done, failed)
            at = Builder(function.add_block(failed))
            self._abandon(at, places[:lane], record)
            at.ret(status)
            at = Builder(function.add_block(done))
            at = self._require_same_layout(at, function, places[: lane + 1], record)
        return at

    # -- arguments

    def _primals(self, function: Function) -> list[Value]:
        return list(function.arguments[: len(self.entry.activities)])

    def _shadow_of(self, function: Function, lane: int) -> dict[int, Value]:
        """Return the shadow or tangent of each differentiated parameter in a lane, by position."""
        shadowed = [i for i, a in enumerate(self.entry.activities) if a is not ComponentActivity.CONST]
        extras = function.arguments[len(self.entry.activities) + lane * len(shadowed) :]
        return dict(zip(shadowed, extras, strict=False))

    def _arguments(self, at: Builder, function: Function, called: RuleFunction, lane: int) -> list[Value]:
        """Return the primal arguments, then the shadows of a lane, as the rule's function takes them."""
        primals = self._primals(function)
        shadow_of = self._shadow_of(function, lane)
        found = list(primals[_RESULT_PARAMETERS:])
        position = _RESULT_PARAMETERS
        for argument, shadowed in zip(self.code.arguments, self.code.shadowed, strict=True):
            for component in argument.components:
                if not shadowed:
                    pass
                elif position in shadow_of:
                    found.append(shadow_of[position])
                elif component.llvm_type == "ptr":
                    found.append(ConstantNull())
                else:
                    found.append(primals[position])
                position += 1
            if not shadowed:
                found.append(ConstantNull())
        return found

    # -- the functions

    def _write_forward(self) -> None:
        function = self.entry.augmented
        at = start(function)
        places = [at.alloca(self.tuple_type, 1, name="values") for _ in range(self.width)]
        at = self._run_first(at, function, places, None)
        self._hand_over(at, places[0], _RESULT, function.arguments[0])
        for lane, values in enumerate(places):
            shadow = self._shadow_of(function, lane).get(0)
            if shadow is not None:
                self._hand_over(at, values, _SHADOW, shadow)
            if lane:
                self._count(at, values, (_RESULT,), "NRT_decref")
        at.ret(const_int(I32, 0))

    def _places(self, at: Builder, record: Value) -> list[Value]:
        """Return where a record holds what the rule returned in each lane."""
        size = byte_size(self.tuple_type)
        return [
            at.gep(I8, record, [const_int(I64, RECORD_HEADER + lane * size)]) for lane in range(self.width)
        ]

    def _write_augmented(self) -> None:
        function = self.entry.augmented
        at = start(function)
        calloc = self.module.declare("calloc", FunctionType(PTR, (I64, I64)))
        size = RECORD_HEADER + byte_size(self.tuple_type) * self.width
        record = at.call(calloc, [const_int(I64, 1), const_int(I64, size)])
        exhausted, run = Block("exhausted"), Block("run")
        at.cond_branch(at.icmp("eq", record, ConstantNull()), exhausted, run)
        Builder(function.add_block(exhausted)).ret(const_int(I32, int(Status.TAPE_EXHAUSTED)))
        at = Builder(function.add_block(run))
        places = self._places(at, record)
        at = self._run_first(at, function, places, record)
        self._hand_over(at, places[0], _RESULT, function.arguments[0])
        for lane, values in enumerate(places):
            # The record holds references of its own to all that is handed over.
            self._count(at, values, (_SHADOW,) if lane else (_RESULT, _SHADOW), "NRT_incref")
            self._hand_over(at, values, _SHADOW, self._shadow_of(function, lane)[0])
        at.store(record, function.arguments[-1])
        at.ret(const_int(I32, 0))

    def _write_reverse(self, called: Function) -> None:
        function = self.entry.reverse
        at = start(function)
        record = function.arguments[-1]
        scratch = at.alloca(PTR, 1, name="nothing")
        error = at.alloca(PTR, 1, name="error")
        places = self._places(at, record)
        wanted = called.function_type.parameters[_RESULT_PARAMETERS:]
        fine: Value = const_int(I1, 1)
        for lane, values in enumerate(places):
            arguments = self._reverse_arguments(at, function, values, lane)
            passed = [narrowed(at, a, t) for a, t in zip(arguments, wanted, strict=True)]
            status = at.call(called, [scratch, error, *passed])
            fine = at.and_(fine, at.icmp("eq", status, const_int(I32, 0)))
        self._abandon(at, places, record)
        at.ret(at.select(fine, const_int(I32, 0), const_int(I32, int(Status.RULE_FAILED))))

    def _reverse_arguments(self, at: Builder, function: Function, values: Value, lane: int) -> list[Value]:
        """Return the arguments of the rule's reverse function; the cotangents of numbers are taken out."""
        assert self.code.reverse is not None
        arguments = self._arguments(at, function, self.code.reverse, lane)
        seed = self._shadow_of(function, lane)[0]
        for (path, component), (place, _) in zip(
            self._parts(_SHADOW), self.code.result.components, strict=True
        ):
            if component.role is Role.FLOAT:
                source = address(at, self.result_type, seed, place)
                type = type_named(component.llvm_type)
                arguments.append(at.load(type, source))
                at.store(zero(type), source)
            else:
                arguments.append(self._load(at, self.tuple_type, values, path, component))
        arguments.extend(
            self._load(at, self.tuple_type, values, path, component)
            for path, component in self._parts(_SAVED)
        )
        return arguments

    def _write_discard(self) -> None:
        function = self.entry.discard
        assert function is not None
        at = start(function)
        record = function.arguments[0]
        self._abandon(at, self._places(at, record), record)
        at.ret()


def start(function: Function) -> Builder:
    """Return where to write a function of the call table anew."""
    function.blocks.clear()
    return Builder(function.add_block(Block("entry")))


def address(at: Builder, type: Type, base: Value, path: Path) -> Value:
    """Return where the item at `path` of a value of `type` at `base` lies."""
    return at.gep(type, base, [const_int(I32, 0), *(const_int(I32, i) for i in path)]) if path else base


def narrowed(at: Builder, value: Value, type: Type) -> Value:
    """Return a truth value as it is passed, one bit, where it is stored as a byte."""
    if isinstance(type, IntType) and isinstance(value.type, IntType) and type.width < value.type.width:
        return at.cast("trunc", value, type)
    return value
