"""Derivatives of functions that write to global variables: the shadows of the variables live for one call.

The variables are parameters by now (:mod:`coenzyme.derive.global_memory`). What is made here has the
parameters that a derivative without variables has, and hands over the variables, and shadows that are zero
when the call begins: threads do not share them. The halves of a split derivative share theirs through a block
of memory that stands in for the record, which it begins with the address of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coenzyme.analysis.places import size_of
from coenzyme.derive.global_memory import PassedGlobals
from coenzyme.derive.split import SplitFunctions
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.instructions import Block, Function, Module
from coenzyme.ir.types import I1, I8, I32, I64, PTR, VOID, FunctionType
from coenzyme.ir.values import Argument, ConstantNull, Value

__all__ = ["OwnShadows"]

_MOST_ON_STACK = 1 << 14
"""Bytes of shadows in one stack frame; more come from the heap."""
_ALIGNMENT = 16


@dataclass(frozen=True)
class OwnShadows:
    """Closes derivatives of `variables.entry`.

    Attributes
    ----------
    width
        How many directions one sweep follows.
    last
        How many parameters of a derivative follow the shadows: seeds, and a record.
    """

    module: Module
    variables: PassedGlobals
    width: int
    last: int

    def close(self, derivative: Function, name: str) -> Function:
        """Return the function `name`, new in the module, that calls a whole `derivative`."""
        function, at, given = self._begin(derivative, name)
        sizes = self._sizes
        if sum(sizes) * self.width <= _MOST_ON_STACK:
            shadows = [[self._on_stack(at, n) for n in range(len(sizes))] for _ in range(self.width)]
            at.ret(at.call(derivative, self._passed(derivative, given, shadows)))
            return function
        block, at = self._allocate(function, at, 0)
        status = at.call(derivative, self._passed(derivative, given, self._within(at, block, 0)))
        self._free(at, block)
        at.ret(status)
        return function

    def close_halves(self, halves: SplitFunctions, name: str) -> SplitFunctions:
        """Return new functions, with names that begin with `name`, that call the halves of a derivative."""
        return SplitFunctions(
            self._close_augmented(halves.augmented, f"{name}.augmented"),
            self._close_reverse(halves.reverse, f"{name}.reverse"),
            self._close_discard(halves.discard, f"{name}.discard"),
        )

    def _close_augmented(self, half: Function, name: str) -> Function:
        function, at, given = self._begin(half, name)
        where = function.arguments[-1]
        at.store(ConstantNull(), where)
        block, at = self._allocate(function, at, _ALIGNMENT)
        passed = self._passed(half, given, self._within(at, block, _ALIGNMENT))
        status = at.call(half, [*passed[:-1], block])
        done, failed = Block("done"), Block("failed")
        at.cond_branch(at.icmp("eq", status, const_int(I32, 0)), done, failed)
        at = Builder(function.add_block(done))
        at.store(block, where)
        at.ret(const_int(I32, 0))
        at = Builder(function.add_block(failed))
        self._free(at, block)
        at.ret(status)
        return function

    def _close_reverse(self, half: Function, name: str) -> Function:
        function, at, given = self._begin(half, name)
        block = function.arguments[-1]
        record = at.load(PTR, block)
        passed = self._passed(half, given, self._within(at, block, _ALIGNMENT))
        status = at.call(half, [*passed[:-1], record])
        self._free(at, block)
        at.ret(status)
        return function

    def _close_discard(self, discard: Function, name: str) -> Function:
        block = Argument(PTR, "record", 0)
        function = Function(name, FunctionType(VOID, (PTR,)), [block], "", "nounwind")
        at = Builder(function.add_block(Block("entry")))
        at.call(discard, [at.load(PTR, block)])
        self._free(at, block)
        at.ret()
        return self.module.add_function(function)

    # -- parameters

    def _begin(self, derivative: Function, name: str) -> tuple[Function, Builder, list[Argument]]:
        """Return a function with the parameters of `derivative` that are not the variables', and these."""
        own = [a for i, a in enumerate(derivative.arguments) if i not in self._places(derivative)]
        arguments = [Argument(a.type, a.name, i) for i, a in enumerate(own)]
        kind = FunctionType(I32, tuple(a.type for a in arguments))
        function = Function(name, kind, arguments, "", "nounwind")
        at = Builder(function.add_block(Block("entry")))
        self.module.add_function(function)
        return function, at, arguments

    def _places(self, derivative: Function) -> dict[int, tuple[int, int]]:
        """Return which parameters are variables, in direction -1, and their shadows in which direction."""
        count, formals = len(self.variables.variables), len(self.variables.entry.arguments)
        extras = len(derivative.arguments) - formals - self.last
        lane = extras // self.width
        found: dict[int, tuple[int, int]] = {}
        for direction in range(-1, self.width):
            end = formals + (direction + 1) * lane
            found |= {end - count + number: (direction, number) for number in range(count)}
        return found

    def _passed(
        self, derivative: Function, given: Sequence[Argument], shadows: Sequence[Sequence[Value]]
    ) -> list[Value]:
        places, rest = self._places(derivative), iter(given)
        passed: list[Value] = []
        for index in range(len(derivative.arguments)):
            if index not in places:
                passed.append(next(rest))
                continue
            direction, number = places[index]
            variable = self.variables.variables[number]
            passed.append(variable if direction < 0 else shadows[direction][number])
        return passed

    # -- memory

    @property
    def _sizes(self) -> list[int]:
        """How many bytes the shadow of each variable takes in a block."""
        found: list[int] = []
        for variable, type in zip(self.variables.variables, self.variables.types, strict=True):
            known = size_of(type)
            if known is None:
                raise UnsupportedIRError(
                    f"a global variable of the type {type} is written with active data",
                    argument=variable.name,
                    remedy="let it hold numbers, integers and pointers",
                )
            found.append(-(-known[0] // _ALIGNMENT) * _ALIGNMENT)
        return found

    def _on_stack(self, at: Builder, number: int) -> Value:
        shadow = at.alloca(self.variables.types[number], name="own.shadow", align=_ALIGNMENT)
        kind = FunctionType(VOID, (PTR, I8, I64, I1))
        clear = self.module.declare("llvm.memset.p0.i64", kind)
        size = size_of(self.variables.types[number])
        assert size is not None
        at.call(clear, [shadow, const_int(I8, 0), const_int(I64, size[0]), const_int(I1, 0)])
        return shadow

    def _allocate(self, function: Function, at: Builder, header: int) -> tuple[Value, Builder]:
        """Return a block for all shadows, cleared, and where to go on."""
        size = header + sum(self._sizes) * self.width
        calloc = self.module.declare("calloc", FunctionType(PTR, (I64, I64)))
        block = at.call(calloc, [const_int(I64, 1), const_int(I64, size)])
        exhausted, granted = Block("exhausted"), Block("granted")
        at.cond_branch(at.icmp("eq", block, ConstantNull()), exhausted, granted)
        Builder(function.add_block(exhausted)).ret(const_int(I32, int(Status.TAPE_EXHAUSTED)))
        return block, Builder(function.add_block(granted))

    def _within(self, at: Builder, block: Value, header: int) -> list[list[Value]]:
        """Return where the shadows lie in a block: those of each direction."""
        found: list[list[Value]] = []
        offset = header
        for _ in range(self.width):
            found.append([])
            for size in self._sizes:
                found[-1].append(at.gep(I8, block, [offset]) if offset else block)
                offset += size
        return found

    def _free(self, at: Builder, block: Value) -> None:
        at.call(self.module.declare("free", FunctionType(VOID, (PTR,))), [block])
