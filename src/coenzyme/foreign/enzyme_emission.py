"""A function that stands for one call of Enzyme's: it calls the derivative, and hands over what that gives.

It takes the arguments of the call as they are, markers included, and returns what the call returns: the
results side by side, as C lays out a struct of them, read as whatever the caller takes them for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coenzyme.analysis.places import size_of
from coenzyme.errors import ActivityError
from coenzyme.foreign.enzyme_contexts import Contexts
from coenzyme.foreign.enzyme_failure import NARROW, SPENT, emit_failure
from coenzyme.foreign.enzyme_plan import Actual, CallPlan, EnzymeMode, Lane, Parameter
from coenzyme.frontends.program import ComponentActivity, Status
from coenzyme.ir.builder import Builder, const_float, const_int, zero
from coenzyme.ir.instructions import Block, Function, Module
from coenzyme.ir.types import (
    F64,
    I8,
    I32,
    I64,
    PTR,
    VOID,
    ArrayType,
    FloatType,
    FunctionType,
    IntType,
    StructType,
    Type,
    VectorType,
)
from coenzyme.ir.values import Argument, Constant, ConstantAggregate, ConstantNull, Value

__all__ = ["Made", "Standing", "emit_standing"]

_ACTIVE, _CONST = ComponentActivity.ACTIVE, ComponentActivity.CONST


@dataclass(frozen=True)
class Made:
    """A derivative in the module.

    Attributes
    ----------
    symbols
        One, or, of a split one, the augmented primal and the reverse sweep (and what frees a tape).
    in_context
        The variables whose shadows are in a context. Where there are any, it is the first argument.
    """

    symbols: tuple[str, ...]
    in_context: frozenset[str]


@dataclass(frozen=True)
class Standing:
    """What a function that stands for a call is made from.

    Attributes
    ----------
    name
        Of the function.
    plan
        What the call means.
    actuals
        Its arguments.
    returns
        What it returns.
    into
        The type of the memory that its first argument is, where that is for what it returns.
    made
        The derivative.
    place
        What to print where the derivative fails.
    contexts
        What the module's contexts are like, if it has any.
    """

    name: str
    plan: CallPlan
    actuals: tuple[Actual, ...]
    returns: Type
    into: Type | None
    made: Made
    place: str
    contexts: Contexts | None = None


def emit_standing(module: Module, standing: Standing) -> Function:
    """Add the function to `module`, and return it.

    Raises
    ------
    ActivityError
        Where what is passed or expected does not fit.
    """
    types = tuple(actual.type for actual in standing.actuals)
    arguments = [Argument(t, f"a{i}", i) for i, t in enumerate(types)]
    function = Function(
        standing.name, FunctionType(standing.returns, types), arguments, "internal", "alwaysinline"
    )
    function.add_block(Block("entry"))
    module.add_function(function)
    _Writer(module, standing, function).write()
    return function


class _Writer:
    def __init__(self, module: Module, standing: Standing, function: Function) -> None:
        self.module = module
        self.standing = standing
        self.plan = standing.plan
        self.function = function
        self.at = Builder(function.entry)
        self.has_result = self.plan.returns != VOID

    def write(self) -> None:
        match self.plan.mode:
            case EnzymeMode.AUTODIFF:
                found = self._write_autodiff()
            case EnzymeMode.FORWARD:
                found = self._write_forward()
            case EnzymeMode.AUGMENTED:
                found = self._write_augmented()
            case _:
                found = self._write_reverse()
        self._hand_over(found)

    # -- the four kinds of call

    def _write_autodiff(self) -> list[Value]:
        result = self._result_memory()
        seeds = [self._seed_memory(lane) for lane in range(self.plan.width)]
        adjoints = self._adjoint_memory()
        extras = self._extras(seeds, adjoints)
        self._call(self.standing.made.symbols[0], [result, ConstantNull(), *self._primals(), *extras])
        return [*self._primal_result(result), *self._read_adjoints(adjoints)]

    def _write_forward(self) -> list[Value]:
        result = self._result_memory()
        wanted = self.plan.return_activity is not _CONST
        tangents = [
            self._memory(self.plan.returns) if wanted else ConstantNull() for _ in range(self.plan.width)
        ]
        extras = self._extras(tangents, {})
        self._call(self.standing.made.symbols[0], [result, ConstantNull(), *self._primals(), *extras])
        found = self._primal_result(result)
        return [*found, *(self.at.load(self.plan.returns, t) for t in tangents if wanted)]

    def _write_augmented(self) -> list[Value]:
        result = self._result_memory()
        wanted = self.plan.return_activity is not _CONST
        shadows = [
            self._memory(self.plan.returns) if wanted else ConstantNull() for _ in range(self.plan.width)
        ]
        extras = self._extras(shadows, None)
        tape = self._tape_memory()
        primals = self._primals()
        self._call(self.standing.made.symbols[0], [result, ConstantNull(), *primals, *extras, tape])
        found: list[Value] = [] if self.plan.tape_is_memory else [tape]
        found += self._primal_result(result)
        if self.plan.return_activity is ComponentActivity.DUPLICATED:
            found += [self.at.load(self.plan.returns, s) for s in shadows]
        return found

    def _write_reverse(self) -> list[Value]:
        assert self.plan.tape is not None
        result = self._result_memory()
        seeds = [self._seed_memory(lane) for lane in range(self.plan.width)]
        adjoints = self._adjoint_memory()
        extras = self._extras(seeds, adjoints)
        tape = self._argument(self.plan.tape, PTR)
        record = self._take_record(tape)
        self._call(self.standing.made.symbols[1], [result, ConstantNull(), *self._primals(), *extras, record])
        if not self.plan.keeps_tape and not self.plan.tape_is_memory:
            self.at.call(self.module.declare("free", FunctionType(VOID, (PTR,))), [tape])
        return self._read_adjoints(adjoints)

    # -- memory

    def _memory(self, type: Type) -> Value:
        place = self.at.alloca(type, align=16)
        self.at.store(zero(type), place)
        return place

    def _result_memory(self) -> Value:
        return self._memory(self.plan.returns) if self.has_result else ConstantNull()

    def _seed_memory(self, lane: int) -> Value:
        """Return memory that holds the cotangent of the result in one direction."""
        plan = self.plan
        if not self.has_result or plan.return_activity is _CONST:
            return ConstantNull()
        place = self._memory(plan.returns)
        if plan.seeds:
            self.at.store(self._argument(plan.seeds[lane], plan.returns), place)
        elif plan.return_activity is _ACTIVE:
            self.at.store(_ones(plan.returns), place)
        return place

    def _adjoint_memory(self) -> dict[Parameter, list[Value]]:
        plan = self.plan
        active = [p for p in plan.parameters if p.activity is _ACTIVE]
        return {p: [self._memory(p.type) for _ in range(plan.width)] for p in active}

    def _read_adjoints(self, adjoints: dict[Parameter, list[Value]]) -> list[Value]:
        return [
            self.at.load(parameter.type, place) for parameter, lanes in adjoints.items() for place in lanes
        ]

    def _primal_result(self, result: Value) -> list[Value]:
        return [self.at.load(self.plan.returns, result)] if self.plan.primal_return else []

    # -- the tape is memory that holds the address of the record, until its sweep has been run

    def _tape_memory(self) -> Value:
        if self.plan.tape_is_memory:
            assert self.plan.tape is not None
            return self._argument(self.plan.tape, PTR)
        malloc = self.module.declare("malloc", FunctionType(PTR, (I64,)))
        tape = self.at.call(malloc, [const_int(I64, 8)])
        self._require(self.at.icmp("ne", tape, ConstantNull()), const_int(I32, int(Status.TAPE_EXHAUSTED)))
        return tape

    def _take_record(self, tape: Value) -> Value:
        spent = const_int(I32, SPENT)
        self._require(self.at.icmp("ne", tape, ConstantNull()), spent)
        record = self.at.load(PTR, tape)
        self._require(self.at.icmp("ne", record, ConstantNull()), spent)
        self.at.store(ConstantNull(), tape)
        return record

    # -- arguments

    def _primals(self) -> list[Value]:
        found: list[Value] = []
        for parameter in self.plan.parameters:
            if parameter.position is not None:
                found.append(self._argument(parameter.position, parameter.type))
            else:
                assert self.plan.structure is not None
                found.append(self._memory(self.plan.structure))
        return found

    def _extras(
        self, of_result: Sequence[Value], adjoints: dict[Parameter, list[Value]] | None
    ) -> list[Value]:
        """Return what comes with the arguments: for each direction, shadows and places of adjoints."""
        found: list[Value] = []
        for number in range(self.plan.width):
            if self.has_result and self.plan.return_activity is not _CONST:
                found.append(of_result[number])
            for parameter in self.plan.parameters:
                if parameter.shadows:
                    found.append(self._shadow(parameter.shadows[number], parameter.type))
                elif parameter.activity is _ACTIVE and adjoints is not None:
                    found.append(adjoints[parameter][number])
        return found

    def _shadow(self, lane: Lane, type: Type) -> Value:
        value = self._argument(lane.position, type)
        if lane.offset is None or lane.number == 0:
            return value
        distance = self._argument(lane.offset, I64)
        return self.at.gep(I8, value, [self.at.mul(distance, const_int(I64, lane.number))])

    def _argument(self, position: int, type: Type) -> Value:
        """Return an argument of the call as the derivative takes it: C promotes what has no prototype."""
        value = self.function.arguments[position]
        if value.type == type:
            return value
        match value.type, type:
            case IntType(), IntType() if type.width < value.type.width:
                return self.at.cast("trunc", value, type)
            case IntType(), IntType() if self.standing.actuals[position].value is not None:
                return self.at.cast("sext", value, type)
            case IntType(), IntType() if type == I64:
                return self.at.cast("sext", value, type)
            case FloatType(name="double"), FloatType(name="float"):
                return self.at.cast("fptrunc", value, type)
            case FloatType(name="float"), FloatType(name="double"):
                return self.at.cast("fpext", value, type)
            case _:
                raise ActivityError(
                    f"argument {position} is a {value.type}, and the function takes a {type}",
                    argument=f"#{position}",
                    operation=f"__enzyme_{self.plan.mode.value}",
                    remedy="convert the argument to the type of the parameter",
                )

    # -- calls and results

    def _context(self) -> Value:
        """Return the context that the derivative finds the shadows of variables in."""
        contexts, position = self.standing.contexts, self.plan.context
        assert contexts is not None
        if position is None:
            context = contexts.implicit_context(self.module, self.at, self.plan.width)
        else:
            context = self._argument(position, PTR)
            if self.standing.actuals[position].width is None:
                lanes = self.at.load(I64, context)
                fits = self.at.icmp("uge", lanes, const_int(I64, self.plan.width))
                self._require(fits, const_int(I32, NARROW))
        contexts.follow(self.module, self.at, context, self.standing.made.in_context)
        return context

    def _call(self, symbol: str, arguments: Sequence[Value]) -> None:
        if self.standing.made.in_context:
            arguments = [self._context(), *arguments]
        kind = FunctionType(I32, tuple(a.type for a in arguments))
        status = self.at.call(self.module.declare(symbol, kind), list(arguments), name="status")
        self._require(self.at.icmp("eq", status, const_int(I32, 0)), status)

    def _require(self, condition: Value, status: Value) -> None:
        """Go on where `condition` holds; end the program elsewhere."""
        number = len(self.function.blocks)
        failed, rest = Block(f"failed.{number}"), Block(f"go.on.{number}")
        self.at.cond_branch(condition, rest, failed)
        at = Builder(self.function.add_block(failed))
        name = f"{self.standing.name}.place"
        emit_failure(self.module, at, status, name, self.standing.place)
        self.at = Builder(self.function.add_block(rest))

    def _hand_over(self, found: Sequence[Value]) -> None:
        """Return the results as the caller takes them."""
        returns, into = self.standing.returns, self.standing.into
        types = [value.type for value in found]
        if into is None and returns == VOID:
            self.at.ret()
            return
        if into is None and types and returns == types[0]:
            self.at.ret(found[0])  # what else there is, the caller does not ask for
            return
        if into is None and len(types) == 1 and types[0].is_float and returns.is_float:
            self.at.ret(self.at.cast("fpext" if returns == F64 else "fptrunc", found[0], returns))
            return
        if not found:
            # The caller's declaration says more than there is; who reads it shall notice.
            self.at.ret(_nothing(returns) if into is None else None)
            return
        side_by_side = StructType(tuple(types))
        spare = self._room(side_by_side, into if into is not None else returns)
        where: Value = self.function.arguments[0]
        if into is None:
            padded = StructType((side_by_side, ArrayType(spare, I8))) if spare else side_by_side
            where = self.at.alloca(padded, align=16)
        for number, value in enumerate(found):
            place = self.at.gep(side_by_side, where, [const_int(I32, 0), const_int(I32, number)])
            self.at.store(value, place)
        self.at.ret(self.at.load(returns, where) if into is None else None)

    def _room(self, given: StructType, wanted: Type) -> int:
        """Return how many bytes more `wanted` has, in registers; refuse what is of another size."""
        have, room = size_of(given), _bytes(wanted)
        if have is not None and room is not None:
            # A register may be wider than what is returned in it.
            spare = room - have[0]
            if spare == 0 or (self.standing.into is not None and spare > 0) or 0 < spare < 8:
                return spare
        what = ", ".join(map(str, given.elements))
        raise ActivityError(
            f"the call returns {what}, and the caller takes it for a {wanted}",
            operation=f"__enzyme_{self.plan.mode.value}",
            remedy="declare the function with a struct of these as its result; mark arguments whose "
            "derivative is not wanted enzyme_const",
        )


def _bytes(type: Type) -> int | None:
    """Return how many bytes a value of `type` takes, vectors included."""
    match type:
        case VectorType():
            element = size_of(type.element)
            return None if element is None else element[0] * type.count
        case StructType() if any(isinstance(e, VectorType) for e in type.elements):
            inner = [_bytes(element) for element in type.elements]
            return None if None in inner else -(-sum(i for i in inner if i is not None) // 8) * 8
        case _:
            size = size_of(type)
            return None if size is None else size[0]


def _ones(type: Type) -> Constant:
    """Return a value of `type` whose real numbers are 1 and whose other numbers are 0."""
    return _filled(type, lambda real: const_float(real, 1.0))


def _nothing(type: Type) -> Constant:
    """Return a value of `type` whose real numbers are no numbers."""
    return _filled(type, lambda real: const_float(real, math.nan))


def _filled(type: Type, real: Callable[[FloatType], Constant]) -> Constant:
    match type:
        case FloatType(name="double" | "float"):
            return real(type)
        case StructType():
            elements = tuple(_filled(element, real) for element in type.elements)
            return ConstantAggregate(type, elements, packed=type.packed)
        case ArrayType() | VectorType():
            return ConstantAggregate(type, (_filled(type.element, real),) * type.count)
        case _:
            return zero(type)
