"""``__enzyme_fixed_point``: loops that converge, whose derivatives are found by iterations of their own.

A call of it becomes a call of a loop, ``while (step(i++, …));``, that stays out of line and has derivatives
here. They know the last step alone. In forward mode its tangent is computed again and again, beginning with
zeros for the state, until the tangent of the state stands still. In reverse mode its adjoint is: what it
makes of the cotangent of the state is the next one, until that vanishes, while the cotangents of all else add
up: a Neumann series.

Source: B. Christianson, "Reverse accumulation and attractive fixed points", Optimization Methods and Software
3 (1994).
"""

from __future__ import annotations

from collections.abc import Sequence

from coenzyme.derive.adopted import adopt
from coenzyme.derive.global_memory import pass_globals
from coenzyme.derive.registered import Registered
from coenzyme.errors import ActivityError, UnsupportedIRError
from coenzyme.foreign.enzyme_calls import read_actual, without_casts
from coenzyme.foreign.fixed_point_text import (
    TOOLS,
    FixedPoint,
    Sweep,
    loop_text,
    requirement_text,
    sweep_text,
)
from coenzyme.ir.builder import Builder
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.instructions import Call, Function, Load, Module
from coenzyme.ir.types import F32, I64, PTR, VOID, FunctionType, IntType, spell_name
from coenzyme.ir.values import ConstantFloat, ConstantInt, Value

__all__ = ["define_derivatives", "take_fixed_points"]

_NAME = "__enzyme_fixed_point"
_OWN = "coenzyme.fixed"
_REDUCTION = 1e-12
"""How far the squared norm of what an iteration changes must have fallen by default."""


def take_fixed_points(module: Module, registered: dict[str, Registered]) -> list[FixedPoint]:
    """Put loops in the place of calls; what has derivatives of its own is added to `registered`.

    Raises
    ------
    ActivityError
        Where the arguments do not fit the step.
    UnsupportedIRError
        Where something must be known that is not.
    """
    found: list[FixedPoint] = []
    for function in list(module.functions.values()):
        for call in [i for i in function.instructions() if isinstance(i, Call)]:
            if _NAME in (call.callee_name or ""):
                point = _Reader(module, function, call, registered).read(f"{_OWN}.{len(found)}")
                found.append(point)
                kind = FunctionType(VOID, point.types)
                augmented = f"{point.name}.augmented", FunctionType(PTR, point.types)
                registered[point.name] = Registered(point.name, kind, augmented=augmented, tailored=True)
    return found


class _Reader:
    def __init__(self, module: Module, function: Function, call: Call, opaque: dict[str, Registered]) -> None:
        self.module = module
        self.function = function
        self.call = call
        self.opaque = opaque
        self.position = 1
        self.states: list[Value] = []
        self.regions: list[Value] = []
        self.arguments: list[Value] = []
        self.reduction, self.most = _REDUCTION, -1
        self.control: str | None = None

    def read(self, name: str) -> FixedPoint:
        """Put a loop called `name` in the place of the call, and return what it is."""
        step = without_casts(self.call.arguments[0])
        if not isinstance(step, Function) or step.is_declaration:
            raise self._unknown("which function is iterated", "pass the name of a function of this program")
        while self.position < len(self.call.arguments):
            self._read_next()
        self._require_fit(step)
        twin, variables = self._with_variables(step)
        passed = [*self.states, *self.regions, *self.arguments, *variables]
        point = FixedPoint(
            name,
            tuple(v.type for v in passed),
            len(self.states) // 2,
            len(self.regions) // 2,
            (twin.name, twin.function_type),
            self.reduction,
            self.most,
            self.control,
        )
        texts = (_declared(self.module, point), loop_text(point), requirement_text(point), TOOLS)
        adopt(self.module, "\n".join(texts))
        Builder.before(self.call).call(self.module.functions[name], passed)
        self.call.erase()
        return point

    def _read_next(self) -> None:
        """Read an argument, or a marker and what follows it."""
        value = self._take()
        match read_actual(value).marker:
            case "enzyme_fp_state":
                self.states += [self._take(), self._size()]
            case "enzyme_checkpoint_region":
                self.regions += [self._take(), self._size()]
            case "enzyme_fp_reduction" as marker:
                number = self._take()
                if not isinstance(number, ConstantFloat):
                    raise self._unknown(marker, "write a number")
                self.reduction = number.value
            case "enzyme_fp_max_iters" as marker:
                number = self._take()
                if not isinstance(number, ConstantInt):
                    raise self._unknown(marker, "write a number")
                self.most = number.value
            case "enzyme_fp_control" as marker:
                asked = without_casts(self._take())
                if not isinstance(asked, Function):
                    raise self._unknown(marker, "pass the name of a function")
                self.control = asked.name
            case None:
                self.arguments.append(value)
            case marker:
                raise self._unfit(f"the marker {marker} does not belong here")

    def _take(self) -> Value:
        if self.position >= len(self.call.arguments):
            raise self._unfit("something is missing behind a marker")
        self.position += 1
        return self.call.arguments[self.position - 1]

    def _size(self) -> Value:
        size = self._take()
        if size.type != I64:
            raise self._unfit("a size in bytes is no int64_t")
        return size

    def _require_fit(self, step: Function) -> None:
        kind = step.function_type
        if not self.states:
            raise self._unfit("no state is named")
        if not kind.parameters or not isinstance(kind.parameters[0], IntType) or not kind.result.is_int:
            raise self._unfit(f"{step.name} should take the number of the iteration, and return an integer")
        wanted, passed = kind.parameters[1:], tuple(a.type for a in self.arguments)
        if wanted != passed:
            takes, given = (", ".join(map(str, types)) for types in (wanted, passed))
            raise self._unfit(f"{step.name} takes ({takes}) after the iteration, and ({given}) is passed")

    def _with_variables(self, step: Function) -> tuple[Function, list[Value]]:
        """Return a twin of `step` that is given the variables it uses as its last arguments, and these."""
        before = set(self.module.functions)
        passed = pass_globals(self.module, step, self.opaque, every=True)
        if passed is None:
            self._require_doubles(step)
            return step, []
        number = len(before)
        for name in set(self.module.functions) - before:
            twin = self.module.functions.pop(name)
            twin.name = f"{_OWN}.step.{number}.{name}"
            twin.prefix = ""
            self.module.add_function(twin)
        self._require_doubles(passed.entry)
        return passed.entry, list(passed.variables)

    def _unfit(self, why: str) -> ActivityError:
        return ActivityError(
            why,
            function=self.function.name,
            operation=_NAME,
            location=SourceMap(self.module).locate(self.call),
            remedy="docs/enzyme.md says how it is called",
        )

    def _unknown(self, what: str, remedy: str) -> UnsupportedIRError:
        return UnsupportedIRError(
            f"{what} is not known",
            function=self.function.name,
            operation=_NAME,
            location=SourceMap(self.module).locate(self.call),
            remedy=remedy,
        )

    def _require_doubles(self, step: Function) -> None:
        """Refuse iterations in single precision: norms are taken of double."""
        pending, seen = [step], {step}
        while pending:
            for instruction in pending.pop().instructions():
                if isinstance(instruction, Load) and instruction.type == F32:
                    raise self._unknown("what the state is made of", "let all in the step be double")
                called = instruction.callee if isinstance(instruction, Call) else None
                if isinstance(called, Function) and called not in seen and not called.is_declaration:
                    seen.add(called)
                    pending.append(called)


def define_derivatives(module: Module, points: Sequence[FixedPoint]) -> None:
    """Define the derivatives of loops that other derivatives call by now."""
    for point in points:
        for sweep in Sweep:
            prefix = f"{point.name}.{sweep.value}."
            for function in list(module.functions.values()):
                if function.name.startswith(prefix) and function.is_declaration:
                    letters = function.name.removeprefix(prefix)
                    text = sweep_text(point, sweep, letters)
                    adopt(module, _declared(module, point) + text + TOOLS)


def _declared(module: Module, point: FixedPoint) -> str:
    """Return declarations of what the text of a loop and its derivatives calls."""
    names = [point.step[0], *([] if point.control is None else [point.control])]
    own = ("bytes", "save", "load", "run", "require")
    names += [n for n in (f"{point.name}.{word}" for word in own) if n in module.functions]
    lines: list[str] = []
    for name in dict.fromkeys(names):
        kind = module.functions[name].function_type
        lines.append(f"declare {kind.result} @{spell_name(name)}({', '.join(map(str, kind.parameters))})")
    return "\n".join([*lines, ""])
