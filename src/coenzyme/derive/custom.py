"""Derivatives of functions that have a user's rule: the rule's functions in the convention of the call table.

They differ from the rules of :mod:`coenzyme.derive.ruled` in what the function may do: take numbers that
vary, and write to its arguments. So the rule's own code runs once for all directions. What the function
writes is what :attr:`Function.spared` leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coenzyme.derive.adopted import adopt_prepared
from coenzyme.derive.calls import Derivatives
from coenzyme.derive.context import Context
from coenzyme.derive.emission import type_named, type_spelled
from coenzyme.derive.ruled import address, narrowed, start
from coenzyme.derive.runtime import RECORD_HEADER
from coenzyme.derive.split import byte_size
from coenzyme.frontends.program import Component, ComponentActivity, Mode, Role, Status
from coenzyme.frontends.rule_code import CustomCode, CustomProvider, RuleFunction, RuleUse
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.instructions import Block, Function
from coenzyme.ir.types import I8, I32, I64, PTR, VOID, FunctionType, Type
from coenzyme.ir.values import ConstantNull, Value

__all__ = ["fill_from_custom"]

Path = tuple[int, ...]
_RESULT_PARAMETERS = 2
_RESULT, _SHADOWS = 0, 1


def fill_from_custom(
    context: Context, callee: Function, entry: Derivatives, mode: Mode, provide: CustomProvider, number: int
) -> None:
    """Give the functions of a new entry of the call table their bodies."""
    use = RuleUse(entry.activities, entry.passed.kept, context.width)
    _Writer(context, entry, provide(callee.name, use, mode), number).write(mode)


class _Writer:
    def __init__(self, context: Context, entry: Derivatives, code: CustomCode, number: int) -> None:
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
        assert self.code.release is not None
        reverse, release = self._adopt(self.code.reverse), self._adopt(self.code.release)
        self._write_augmented()
        self._write_reverse(reverse, release)
        self._write_discard(release)

    def _adopt(self, function: RuleFunction) -> Function:
        adopt_prepared(self.module, function.text, self.number)
        entry = self.module.functions[function.entry]
        entry.prefix = "internal"
        return entry

    # -- what the rule returned

    def _parts(self, first: int, last: int | None = None) -> Iterator[tuple[Path, Component]]:
        """Yield the places of some items of the tuple that the rule returned."""
        for path, component in self.code.first.result.components:
            if path[0] >= first and (last is None or path[0] < last):
                yield path, component

    def _load(self, at: Builder, base: Value, path: Path, component: Component) -> Value:
        return at.load(type_named(component.llvm_type), address(at, self.tuple_type, base, path))

    def _hand_over(self, at: Builder, values: Value, part: int, target: Value) -> None:
        """Copy one item of the tuple at `values` to where a result of that type is expected."""
        if not self.code.result.components:
            at.store(ConstantNull(), target)  # None
            return
        parts = self._parts(part, part + 1)
        for (source, component), (path, _) in zip(parts, self.code.result.components, strict=True):
            value = self._load(at, values, source, component)
            at.store(value, address(at, self.result_type, target, path))

    def _hold(self, at: Builder, values: Value, part: int) -> None:
        """Count a reference to the arrays of one item."""
        function = self.module.declare("NRT_incref", FunctionType(VOID, (PTR,)))
        parts = self._parts(part, part + 1)
        # Beside what it saves, the rule's own result may be of a type whose parts have no known roles.
        for (path, component), (_, known) in zip(parts, self.code.result.components, strict=False):
            if known.role is Role.MEMINFO:
                at.call(function, [self._load(at, values, path, component)])

    # -- arguments

    def _extras(self, function: Function, *, in_reverse: bool) -> list[dict[int, Value]]:
        """Return for each lane the shadow, tangent or place of the adjoint of each parameter that has one."""
        left_out = {ComponentActivity.CONST}
        if not in_reverse:
            left_out.add(ComponentActivity.ACTIVE)
        numbers = [n for n, a in enumerate(self.entry.activities) if a not in left_out]
        given = iter(function.arguments[len(self.entry.activities) :])
        return [{n: next(given) for n in numbers} for _ in range(self.width)]

    def _arguments(
        self, function: Function, extras: Sequence[dict[int, Value]], wanted: Sequence[Type]
    ) -> list[Value]:
        """Return the primal arguments, then the shadows of each lane, as the rule's functions take them.

        In a reverse sweep, which arrays are no more than their types and shapes, they may have been freed.
        """
        found = self._primals(function, in_reverse=function is self.entry.reverse is not self.entry.augmented)
        for shadow_of in extras:
            position = _RESULT_PARAMETERS
            for argument, shadowed in zip(self.code.arguments, self.code.shadowed, strict=True):
                for component in argument.components:
                    if shadowed:
                        found.append(self._shadow(function, shadow_of, position, component))
                    position += 1
                if not shadowed:
                    found.append(ConstantNull())
        assert len(found) <= len(wanted)
        return found

    def _primals(self, function: Function, *, in_reverse: bool) -> list[Value]:
        found: list[Value] = list(function.arguments[_RESULT_PARAMETERS : len(self.entry.activities)])
        components = [c for argument in self.code.arguments for c in argument.components]
        if in_reverse:
            found = [
                ConstantNull() if c.llvm_type == "ptr" else v for v, c in zip(found, components, strict=True)
            ]
        return found

    def _shadow(
        self, function: Function, shadow_of: dict[int, Value], position: int, component: Component
    ) -> Value:
        if position in shadow_of and self.entry.activities[position] is not ComponentActivity.ACTIVE:
            return shadow_of[position]
        if component.llvm_type == "ptr":
            return ConstantNull()
        own = function.arguments[position]
        return zero(own.type) if component.role is Role.FLOAT else own

    # -- the functions

    def _run_first(
        self, at: Builder, function: Function, extras: Sequence[dict[int, Value]], values: Value
    ) -> tuple[Builder, Builder]:
        """Emit the call of the rule, and return where to go on after it has succeeded and where it fails."""
        wanted = self.first.function_type.parameters[_RESULT_PARAMETERS:]
        arguments = self._arguments(function, extras, wanted)
        status = at.call(self.first, [values, function.arguments[1], *arguments])
        done, failed = Block("done"), Block("failed")
        at.cond_branch(at.icmp("eq", status, const_int(I32, 0)), done, failed)
        failing = Builder(function.add_block(failed))
        self.failure = status
        return Builder(function.add_block(done)), failing

    def _write_forward(self) -> None:
        function = self.entry.augmented
        at = start(function)
        values = at.alloca(self.tuple_type, 1, name="values")
        extras = self._extras(function, in_reverse=False)
        at, failing = self._run_first(at, function, extras, values)
        failing.ret(self.failure)
        self._hand_over(at, values, _RESULT, function.arguments[0])
        for lane, shadow_of in enumerate(extras):
            if 0 in shadow_of:
                self._hand_over(at, values, _SHADOWS + lane, shadow_of[0])
        at.ret(const_int(I32, 0))

    def _values_in(self, at: Builder, record: Value) -> Value:
        return at.gep(I8, record, [const_int(I64, RECORD_HEADER)])

    def _free(self, at: Builder, record: Value) -> None:
        at.call(self.module.declare("free", FunctionType(VOID, (PTR,))), [record])

    def _write_augmented(self) -> None:
        function = self.entry.augmented
        at = start(function)
        calloc = self.module.declare("calloc", FunctionType(PTR, (I64, I64)))
        size = RECORD_HEADER + byte_size(self.tuple_type)
        record = at.call(calloc, [const_int(I64, 1), const_int(I64, size)])
        exhausted, run = Block("exhausted"), Block("run")
        at.cond_branch(at.icmp("eq", record, ConstantNull()), exhausted, run)
        Builder(function.add_block(exhausted)).ret(const_int(I32, int(Status.TAPE_EXHAUSTED)))
        at = Builder(function.add_block(run))
        values = self._values_in(at, record)
        extras = self._extras(function, in_reverse=False)
        at, failing = self._run_first(at, function, extras, values)
        self._free(failing, record)
        failing.ret(self.failure)
        self._hand_over(at, values, _RESULT, function.arguments[0])
        for lane, shadow_of in enumerate(extras):
            if 0 in shadow_of:
                # The record holds a reference of its own to what is handed over.
                self._hold(at, values, _SHADOWS + lane)
                self._hand_over(at, values, _SHADOWS + lane, shadow_of[0])
        at.store(record, function.arguments[-1])
        at.ret(const_int(I32, 0))

    def _write_reverse(self, called: Function, release: Function) -> None:
        assert self.code.reverse is not None
        function = self.entry.reverse
        at = start(function)
        record = function.arguments[-1]
        adjoint_type = type_spelled(self.code.reverse.result.llvm_type)
        adjoints = at.alloca(adjoint_type, 1, name="adjoints")
        error = at.alloca(PTR, 1, name="error")
        values = self._values_in(at, record)
        wanted = called.function_type.parameters[_RESULT_PARAMETERS:]
        extras = self._extras(function, in_reverse=True)
        arguments = self._arguments(function, extras, wanted)
        for lane, shadow_of in enumerate(extras):
            arguments += self._cotangent(at, values, lane, shadow_of.get(0))
        arguments += self._saved(at, values)
        passed = [narrowed(at, a, t) for a, t in zip(arguments, wanted, strict=True)]
        status = at.call(called, [adjoints, error, *passed])
        self._release(at, release, values, error)
        self._free(at, record)
        done, failed = Block("done"), Block("failed")
        at.cond_branch(at.icmp("eq", status, const_int(I32, 0)), done, failed)
        failing = Builder(function.add_block(failed))
        self._store_adjoints(failing, extras, None, adjoint_type)
        failing.ret(const_int(I32, int(Status.RULE_FAILED)))
        at = Builder(function.add_block(done))
        self._store_adjoints(at, extras, adjoints, adjoint_type)
        at.ret(const_int(I32, 0))

    def _cotangent(self, at: Builder, values: Value, lane: int, seed: Value | None) -> list[Value]:
        """Return the components of the cotangent of the result; those of numbers are taken out."""
        found: list[Value] = []
        if not self.code.result.components:
            return [ConstantNull()]  # None
        parts = self._parts(_SHADOWS + lane, _SHADOWS + lane + 1)
        for (path, component), (place, known) in zip(parts, self.code.result.components, strict=True):
            if known.role is Role.FLOAT:
                type = type_named(component.llvm_type)
                if seed is None:
                    found.append(zero(type))
                    continue
                source = address(at, self.result_type, seed, place)
                found.append(at.load(type, source))
                at.store(zero(type), source)
            else:
                found.append(self._load(at, values, path, component))
        return found

    def _saved(self, at: Builder, values: Value) -> list[Value]:
        parts = list(self._parts(_SHADOWS + self.width))
        return [self._load(at, values, path, component) for path, component in parts]

    def _store_adjoints(
        self, at: Builder, extras: Sequence[dict[int, Value]], adjoints: Value | None, layout: Type
    ) -> None:
        """Store the adjoints of numbers where the caller looks for them; zeros where the rule has failed."""
        assert self.code.reverse is not None
        components = self.code.reverse.result.components
        starts = self._starts()
        for lane, shadow_of in enumerate(extras):
            for entry, number in enumerate(self.code.returned):
                own = [(p, c) for p, c in components if p[:2] == (lane, entry)]
                for position, (path, component) in enumerate(own, starts[number]):
                    if self.entry.activities[position] is not ComponentActivity.ACTIVE:
                        continue
                    type = type_named(component.llvm_type)
                    value = (
                        zero(type) if adjoints is None else at.load(type, address(at, layout, adjoints, path))
                    )
                    at.store(value, shadow_of[position])

    def _starts(self) -> list[int]:
        """Return the number of the first parameter of each argument."""
        found = [_RESULT_PARAMETERS]
        for argument in self.code.arguments:
            found.append(found[-1] + len(argument.components))
        return found

    def _release(self, at: Builder, release: Function, values: Value, error: Value) -> None:
        arguments: list[Value] = []
        for lane in range(self.width):
            parts = list(self._parts(_SHADOWS + lane, _SHADOWS + lane + 1))
            arguments += [self._load(at, values, path, component) for path, component in parts]
        arguments += self._saved(at, values)
        wanted = release.function_type.parameters[_RESULT_PARAMETERS:]
        passed = [narrowed(at, a, t) for a, t in zip(arguments, wanted, strict=True)]
        nothing = at.alloca(PTR, 1, name="nothing")
        at.call(release, [nothing, error, *passed])

    def _write_discard(self, release: Function) -> None:
        function = self.entry.discard
        assert function is not None
        at = start(function)
        record = function.arguments[0]
        error = at.alloca(PTR, 1, name="error")
        self._release(at, release, self._values_in(at, record), error)
        self._free(at, record)
        at.ret()
