"""Functions whose derivatives the user has written, in C's calling convention: they enter the call table.

What is called by its address alone is not looked into. Each pointer parameter of a user's function is
followed by its shadow; in forward mode each real number is followed by its tangent. What the augmented primal
hands to the reverse sweep, its *tape*, lies in a record of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from coenzyme.analysis.objects import holds_pointers
from coenzyme.analysis.places import size_of
from coenzyme.derive.calls import Derivatives
from coenzyme.derive.context import Context
from coenzyme.derive.runtime import RECORD_HEADER
from coenzyme.errors import ActivityError, MissingRuleError, UnsupportedIRError
from coenzyme.frontends.program import ComponentActivity, Mode, Status
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.instructions import Block, Function
from coenzyme.ir.types import I8, I32, I64, PTR, VOID, FunctionType, StructType, Type
from coenzyme.ir.values import ConstantNull, Value

__all__ = ["Registered", "Role", "fill_registered"]

_CONST, _ACTIVE = ComponentActivity.CONST, ComponentActivity.ACTIVE
_FIRST = 2
"""The parameters before those of the function: where its result goes, and errors."""


class Role(Enum):
    """What is known of a function."""

    DIFFERENTIATED = auto()
    """Its derivatives are given."""
    INACTIVE = auto()
    """No derivative passes through it."""
    ALLOCATES = auto()
    """It returns new memory, and the same call returns memory for the shadow."""
    RELEASES = auto()
    """It gives such memory back."""


@dataclass(frozen=True)
class Registered:
    """A function of which the user says what its derivatives are.

    Attributes
    ----------
    name, type
        The function.
    role
        What is known of it.
    derivative
        Its forward derivative, a name and a type.
    augmented, gradient
        Its augmented primal and its reverse sweep.
    size
        Which parameter is the size in bytes of what is allocated.
    release
        What gives back what is allocated, and what it takes: numbers of parameters of the allocation, −1 for
        the memory.
    tailored
        Whether derivatives are made for what a call passes: they are given the shadows that there are, and
        their names end with a letter for each parameter, d with a shadow and c without. The function returns
        nothing, and its augmented primal, which needs no shadows, a pointer.
    """

    name: str
    type: FunctionType
    role: Role = Role.DIFFERENTIATED
    derivative: tuple[str, FunctionType] | None = None
    augmented: tuple[str, FunctionType] | None = None
    gradient: tuple[str, FunctionType] | None = None
    size: int = 0
    release: tuple[tuple[str, FunctionType], tuple[int, ...]] | None = None
    tailored: bool = False


def fill_registered(context: Context, registered: Registered, entry: Derivatives, mode: Mode) -> None:
    """Give the functions of a new entry of the call table their bodies.

    Raises
    ------
    MissingRuleError
        Where there is no derivative for this mode.
    ActivityError
        Where what the user has written is not the derivative of such a function.
    UnsupportedIRError
        Where the derivative needs more than the call gives.
    """
    kind = registered.type
    on_memory = registered.tailored or any(holds_pointers(t) for t in (kind.result, *kind.parameters))
    if context.width > 1 and registered.role is Role.DIFFERENTIATED and on_memory:
        # A derivative is called for each direction, and would change the memory each time.
        raise UnsupportedIRError(
            "a function on memory with a derivative of its own is followed in several directions at once",
            function=context.function_name,
            operation=registered.name,
            remedy="ask for one direction at a time",
        )
    writer = _Writer(context, registered, entry)
    if mode is Mode.FORWARD:
        writer.write_forward()
    else:
        writer.write_augmented()
        writer.write_reverse()
        writer.write_discard()


class _Writer:
    def __init__(self, context: Context, registered: Registered, entry: Derivatives) -> None:
        self.context = context
        self.module = context.module
        self.registered = registered
        self.entry = entry
        self.width = context.width
        self.lane = 0
        """The direction that a user's derivative is called for."""
        self.result = registered.type.result
        self.tape = self._tape_type()

    # -- the functions

    def write_forward(self) -> None:
        function = self.entry.augmented
        at = _start(function)
        registered = self.registered
        match registered.role:
            case Role.INACTIVE:
                self._keep(at, function, self._call_primal(at, function))
                self._clear_shadows(at, function)
            case Role.ALLOCATES:
                self._allocate(at, function)
            case Role.RELEASES:
                self._call_primal(at, function)
                self._release_shadows(at, function)
            case Role.DIFFERENTIATED:
                for lane in range(self.width):
                    self.lane = lane
                    self._call_derivative(at, function)
        at.ret(const_int(I32, 0))

    def write_augmented(self) -> None:
        function = self.entry.augmented
        at = _start(function)
        calloc = self.module.declare("calloc", FunctionType(PTR, (I64, I64)))
        size = const_int(I64, RECORD_HEADER + self._record_size())
        record = at.call(calloc, [const_int(I64, 1), size])
        exhausted, run = Block("exhausted"), Block("run")
        at.cond_branch(at.icmp("eq", record, ConstantNull()), exhausted, run)
        Builder(function.add_block(exhausted)).ret(const_int(I32, int(Status.TAPE_EXHAUSTED)))
        at = Builder(function.add_block(run))
        match self.registered.role:
            case Role.INACTIVE:
                self._keep(at, function, self._call_primal(at, function))
            case Role.ALLOCATES:
                for number, shadow in enumerate(self._allocate(at, function)):
                    at.store(shadow, self._in_record(at, record, 8 * number))
            case Role.RELEASES:
                pass  # what the reverse sweep reads again must stay
            case Role.DIFFERENTIATED:
                for lane in range(self.width):
                    self.lane = lane
                    self._call_augmented(at, function, record)
        at.store(record, function.arguments[-1])
        at.ret(const_int(I32, 0))

    def write_reverse(self) -> None:
        function = self.entry.reverse
        at = _start(function)
        record = function.arguments[-1]
        match self.registered.role:
            case Role.INACTIVE:
                self._clear_shadows(at, function)
            case Role.ALLOCATES:
                self._release(at, function, record)
            case Role.RELEASES:
                pass
            case Role.DIFFERENTIATED:
                for lane in range(self.width):
                    self.lane = lane
                    self._call_gradient(at, function, record)
        self._free(at, record)
        at.ret(const_int(I32, 0))

    def write_discard(self) -> None:
        function = self.entry.discard
        assert function is not None
        at = _start(function)
        self._free(at, function.arguments[0])
        at.ret()

    # -- what the call passes

    def _shadow_of(self, function: Function, lane: int = 0) -> dict[int, Value]:
        """Return the shadow, tangent or place of the adjoint of each parameter in a lane, by number."""
        augmented = function is self.entry.augmented and self.entry.augmented is not self.entry.reverse
        shadowed = [
            number
            for number, how in enumerate(self.entry.activities)
            if how is not _CONST and not (augmented and how is _ACTIVE)
        ]
        first = len(self.entry.activities) + lane * len(shadowed)
        return dict(zip(shadowed, function.arguments[first:], strict=False))

    def _result_shadows(self, function: Function) -> list[Value]:
        """Return where the shadow of the result is, in each lane; none where it has none."""
        found = (self._shadow_of(function, lane).get(0) for lane in range(self.width))
        return [shadow for shadow in found if shadow is not None] if self.result != VOID else []

    def _result_shadow(self, function: Function) -> list[Value]:
        """Return where the shadow of the result is in the present lane, if it has one."""
        return self._result_shadows(function)[self.lane :][:1]

    def _clear_shadows(self, at: Builder, function: Function) -> None:
        """Let the result have no derivative."""
        shadows = self._result_shadows(function)
        if shadows and holds_pointers(self.result):
            raise UnsupportedIRError(
                "a function that is declared inactive returns a pointer to what may be active",
                function=self.context.function_name,
                operation=self.registered.name,
                remedy="let the function return numbers, or write them to memory that it is given",
            )
        for shadow in shadows:
            at.store(zero(self.result), shadow)

    def _primals(self, function: Function) -> list[Value]:
        return list(function.arguments[_FIRST : len(self.entry.activities)])

    def _arguments(self, function: Function, *, tangents: bool) -> list[Value]:
        """Return the arguments as a user's function takes them: shadows beside pointers."""
        shadow_of = self._shadow_of(function, self.lane)
        found: list[Value] = []
        for number, value in enumerate(self._primals(function), _FIRST):
            found.append(value)
            if value.type.is_pointer:
                found.append(shadow_of.get(number) or self._shadow_of_constant(number, value))
            elif tangents and value.type.is_float:
                found.append(shadow_of.get(number) or zero(value.type))
        return found

    def _shadow_of_constant(self, number: int, value: Value) -> Value:
        """Return what goes for the shadow of memory that has none, where nothing can be read from it."""
        if self.entry.passed.groups[number] == -1:
            return ConstantNull()
        element = self.entry.passed.elements[number]
        if element is not None and element.is_int:
            return value  # integers are what they are
        raise UnsupportedIRError(
            f"argument {number - _FIRST} is constant, and the derivative that is registered wants its shadow",
            function=self.context.function_name,
            operation=self.registered.name,
            remedy="let the memory hold something differentiated, or copy it to memory that does",
        )

    # -- calls

    def _call(self, at: Builder, called: tuple[str, FunctionType], arguments: Sequence[Value]) -> Value:
        name, kind = called
        if kind.variadic or tuple(a.type for a in arguments) != kind.parameters:
            wanted = ", ".join(str(a.type) for a in arguments)
            raise ActivityError(
                f"{name} takes ({', '.join(map(str, kind.parameters))}), and would be passed ({wanted})",
                function=self.context.function_name,
                operation=self.registered.name,
                remedy="let it take each argument, each pointer followed by its shadow (in a forward "
                "derivative each real number too), then, in a reverse sweep, the derivative of the result, "
                "then the tape",
            )
        function = self.module.declare(name, kind)
        call = at.call(function, list(arguments))
        # How a struct or a short integer is passed is part of C's convention.
        call.argument_attributes = [a.attributes for a in function.arguments]
        return call

    def _call_primal(self, at: Builder, function: Function) -> Value:
        return self._call(at, (self.registered.name, self.registered.type), self._primals(function))

    def _keep(self, at: Builder, function: Function, value: Value) -> None:
        if self.result != VOID:
            at.store(value, function.arguments[0])

    def _call_derivative(self, at: Builder, function: Function) -> None:
        if self.registered.tailored:
            self._call_tailored(at, function, "derivative")
            return
        called = self._given(self.registered.derivative, "__enzyme_register_derivative")
        returned = self._call(at, called, self._arguments(function, tangents=True))
        if self.result == VOID:
            return
        if returned.type == StructType((self.result, self.result)):
            value, tangent = (at.extract_value(returned, n, self.result) for n in range(2))
        elif returned.type == self.result:
            value, tangent = self._value_of_primal(at, function, called[0]), returned
        else:
            raise self._misfit(called, StructType((self.result, self.result)))
        self._keep(at, function, value)
        for shadow in self._result_shadow(function):
            at.store(tangent, shadow)

    def _value_of_primal(self, at: Builder, function: Function, name: str) -> Value:
        """Return what the function itself returns, where running it has no other effect."""
        if any(p.is_pointer for p in self.registered.type.parameters):
            raise ActivityError(
                f"{name} does not return the value of {self.registered.name}",
                function=self.context.function_name,
                operation=self.registered.name,
                remedy="let it return a struct of the value and of what it returns now",
            )
        return self._call_primal(at, function)

    def _tape_type(self) -> Type | None:
        """Return the type of what the augmented primal hands to the reverse sweep."""
        if self.registered.augmented is None:
            return None
        returned = self.registered.augmented[1].result
        if returned in (VOID, self.result) or self._parts(returned) == ("value", "shadow"):
            return None
        if self._parts(returned):
            assert isinstance(returned, StructType)
            return returned.elements[0]
        return returned

    def _parts(self, returned: Type) -> tuple[str, ...]:
        """Return what the parts of what the augmented primal returns are; none where all of it is tape."""
        if self.result == VOID or not isinstance(returned, StructType):
            return ()
        match returned.elements:
            case (_, second, third) if second == third == self.result:
                return ("tape", "value", "shadow")
            case (first, second) if first == second == self.result:
                return ("value", "shadow")
            case (_, second) if second == self.result:
                return ("tape", "value")
            case _:
                return ()

    def _call_tailored(self, at: Builder, function: Function, what: str, *tape: Value) -> None:
        """Call a derivative that is made for what the call passes."""
        shadow_of = self._shadow_of(function)
        arguments: list[Value] = []
        letters = ""
        for number, value in enumerate(self._primals(function), _FIRST):
            shadow = shadow_of.get(number)
            arguments += [value] if shadow is None else [value, shadow]
            letters += "c" if shadow is None else "d"
            if shadow is not None and not value.type.is_pointer:
                raise UnsupportedIRError(
                    f"argument {number - _FIRST} is a number that varies",
                    function=self.context.function_name,
                    operation=self.registered.name,
                    remedy="pass a pointer to it",
                )
        arguments += tape
        kind = FunctionType(VOID, tuple(a.type for a in arguments))
        name = f"{self.registered.name}.{what}.{letters}"
        at.call(self.module.declare(name, kind), arguments)

    def _call_augmented(self, at: Builder, function: Function, record: Value) -> None:
        if self.registered.tailored:
            assert self.registered.augmented is not None
            tape = self._call(at, self.registered.augmented, self._primals(function))
            at.store(tape, self._tape_place(at, record))
            return
        called = self._given(self.registered.augmented, "__enzyme_register_gradient")
        returned = self._call(at, called, self._arguments(function, tangents=False))
        parts: dict[str, Value] = {}
        names = self._parts(returned.type)
        if names:
            assert isinstance(returned.type, StructType)
            for number, (name, type) in enumerate(zip(names, returned.type.elements, strict=True)):
                parts[name] = at.extract_value(returned, number, type)
        elif returned.type == self.result:
            parts["value"] = returned
        elif returned.type != VOID:
            parts["tape"] = returned
        if "tape" in parts:
            at.store(parts["tape"], self._tape_place(at, record))
        if self.result == VOID:
            return
        value = parts.get("value") or self._value_of_primal(at, function, called[0])
        self._keep(at, function, value)
        if self.result.is_pointer:
            for shadow in self._result_shadow(function):
                if "shadow" not in parts:
                    raise self._misfit(called, StructType((self.result, self.result)))
                at.store(parts["shadow"], shadow)

    def _call_gradient(self, at: Builder, function: Function, record: Value) -> None:
        if self.registered.tailored:
            tape = at.load(PTR, self._tape_place(at, record))
            self._call_tailored(at, function, "gradient", tape)
            return
        called = self._given(self.registered.gradient, "__enzyme_register_gradient")
        arguments = self._arguments(function, tangents=False)
        if self.result.is_float:
            seed: Value = zero(self.result)
            for shadow in self._result_shadow(function):
                seed = at.load(self.result, shadow)
                at.store(zero(self.result), shadow)
            arguments.append(seed)
        if self.tape is not None and len(called[1].parameters) > len(arguments):
            arguments.append(at.load(self.tape, self._tape_place(at, record)))
        elif self.tape is None and called[1].parameters[len(arguments) :] == (PTR,):
            arguments.append(ConstantNull())
        returned = self._call(at, called, arguments)
        floats = [n for n, a in enumerate(self._primals(function), _FIRST) if a.type.is_float]
        types = tuple(function.arguments[n].type for n in floats)
        if not floats:
            return
        if len(floats) == 1 and returned.type == types[0]:
            adjoints = [returned]
        elif returned.type == StructType(types):
            adjoints = [at.extract_value(returned, n, t) for n, t in enumerate(types)]
        else:
            raise self._misfit(called, types[0] if len(types) == 1 else StructType(types))
        shadow_of = self._shadow_of(function, self.lane)
        for number, adjoint in zip(floats, adjoints, strict=True):
            place = shadow_of.get(number)
            if place is not None:
                at.store(adjoint, place)

    def _given(self, function: tuple[str, FunctionType] | None, how: str) -> tuple[str, FunctionType]:
        if function is None:
            raise MissingRuleError(
                f"{self.registered.name} has a derivative of its own, but none for this mode",
                function=self.context.function_name,
                operation=self.registered.name,
                remedy=f"register one by {how}…",
            )
        return function

    def _misfit(self, called: tuple[str, FunctionType], wanted: Type) -> ActivityError:
        return ActivityError(
            f"{called[0]} returns {called[1].result}, and should return {wanted}",
            function=self.context.function_name,
            operation=self.registered.name,
            remedy="change what it returns",
        )

    # -- memory

    def _record_size(self) -> int:
        if self.registered.role is Role.ALLOCATES:
            return 8 * self.width
        size = None if self.tape is None else size_of(self.tape)
        if self.tape is not None and size is None:
            raise UnsupportedIRError(
                f"the tape of {self.registered.name} is a {self.tape}",
                function=self.context.function_name,
                operation=self.registered.name,
                remedy="hand over a pointer",
            )
        return self.width * _stride(size)

    def _tape_place(self, at: Builder, record: Value) -> Value:
        """Return where the tape of the present lane is."""
        size = None if self.tape is None else size_of(self.tape)
        return self._in_record(at, record, self.lane * _stride(size))

    def _in_record(self, at: Builder, record: Value, offset: int) -> Value:
        return at.gep(I8, record, [const_int(I64, RECORD_HEADER + offset)])

    def _free(self, at: Builder, record: Value) -> None:
        at.call(self.module.declare("free", FunctionType(VOID, (PTR,))), [record])

    def _allocate(self, at: Builder, function: Function) -> list[Value]:
        """Emit the allocation, and one of zeros for each shadow; return these."""
        self._keep(at, function, self._call_primal(at, function))
        size = self._primals(function)[self.registered.size]
        if size.type != I64:
            size = at.cast("zext", size, I64)
        memset = self.module.declare("memset", FunctionType(PTR, (PTR, I32, I64)))
        found: list[Value] = []
        for where in self._result_shadows(function):
            shadow = self._call_primal(at, function)
            at.call(memset, [shadow, const_int(I32, 0), size])
            at.store(shadow, where)
            found.append(shadow)
        return found

    def _release(self, at: Builder, function: Function, record: Value) -> None:
        """Give back the shadows of what was allocated."""
        if self.registered.release is None:
            return
        called, numbers = self.registered.release
        for lane in range(len(self._result_shadows(function))):
            shadow = at.load(PTR, self._in_record(at, record, 8 * lane))
            primals = self._primals(function)
            self._call(at, called, [shadow if n < 0 else primals[n] for n in numbers])

    def _release_shadows(self, at: Builder, function: Function) -> None:
        """Give back the shadow of what is given back, in each lane."""
        for lane in range(self.width):
            shadow_of = self._shadow_of(function, lane)
            if not shadow_of:
                return
            arguments = [
                shadow_of.get(n, value) if n == self._released() else value
                for n, value in enumerate(self._primals(function), _FIRST)
            ]
            self._call(at, (self.registered.name, self.registered.type), arguments)

    def _released(self) -> int:
        return _FIRST + self.registered.size


def _stride(size: tuple[int, int] | None) -> int:
    """Return how far apart the tapes of two lanes are."""
    return 0 if size is None else -(-size[0] // 16) * 16


def _start(function: Function) -> Builder:
    function.blocks.clear()
    return Builder(function.add_block(Block("entry")))
