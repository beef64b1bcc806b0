"""What the reverse sweep of a function keeps and why, as data: read off its plan before emission."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from coenzyme.analysis.branches import conditions
from coenzyme.analysis.objects import called_effect
from coenzyme.analysis.tape import Keep, field_size
from coenzyme.derive.amounts import Amount, amount_of
from coenzyme.derive.plan import ReversePlan
from coenzyme.errors import Location
from coenzyme.ir.instructions import Call, Instruction, Load, Module, Phi, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Argument, Value
from coenzyme.rules import Allocation, Effect, find_memory_rule

__all__ = ["Explained", "Item", "KeptLoop", "Kind", "explain_plan"]

Locate = Callable[[Instruction], Sequence[Location]]
_AUGMENTED = ".augmented."
_MOST_USERS = 200


class Kind(Enum):
    """What happens to a value of the primal."""

    TAPED = "taped in each iteration"
    STORED = "stored once"
    BLOCK = "memory kept"
    COPY = "copied"
    AGAIN = "read again"
    RECOMPUTED = "recomputed"
    CALL = "call with derivatives of its own"
    RULE = "call with a rule"


@dataclass(frozen=True)
class KeptLoop:
    """One loop of the function.

    Attributes
    ----------
    location
        Where it is written.
    depth
        1 for an outermost loop.
    parent
        The position of the loop around it, None for an outermost one.
    count
        How often it runs each time it is entered; None where that is not known before.
    frame
        The bytes that one iteration puts on the tape.
    """

    location: Location | None
    depth: int
    parent: int | None
    count: Amount | None
    frame: int


@dataclass(frozen=True)
class Item:
    """One value, or block of memory, that the reverse sweep makes use of.

    Attributes
    ----------
    kind
        How it gets there.
    location
        The line that makes it, inside out where that was inlined.
    name
        What LLVM calls it: often the variable's name, with a number.
    what
        What it is.
    why
        Why it is kept and not computed again.
    needed_by
        The lines whose derivatives use it.
    size
        Bytes: for each iteration, once, or of the block; None where that is not known.
    loop
        The position of the innermost loop around it.
    """

    kind: Kind
    location: tuple[Location, ...]
    name: str
    what: str
    why: str
    needed_by: tuple[Location, ...]
    size: Amount | None
    loop: int | None


@dataclass(frozen=True)
class Explained:
    """Result of :func:`explain_plan`.

    Attributes
    ----------
    name
        The function.
    active
        The lines with differentiated values.
    items
        What the reverse sweep makes use of.
    loops
        The loops, outer ones before those in them.
    """

    name: str
    active: frozenset[Location]
    items: tuple[Item, ...]
    loops: tuple[KeptLoop, ...] = field(default=())


def explain_plan(
    name: str, plan: ReversePlan, module: Module, locate: Locate, name_of: Callable[[Argument], Amount | None]
) -> Explained:
    """Return what a plan says, in terms of the user's lines.

    Parameters
    ----------
    module
        The module that the function is in.
    locate
        Returns the line of an instruction, then those of the calls it was inlined through.
    name_of
        An integer parameter in the user's terms.
    """
    return _Reader(plan, module, locate, name_of).read(name)


class _Reader:
    def __init__(
        self,
        plan: ReversePlan,
        module: Module,
        locate: Locate,
        name_of: Callable[[Argument], Amount | None],
    ) -> None:
        self.plan, self.module, self.name_of = plan, module, name_of
        self._locate = locate
        self.loops = sorted(plan.shape.counted, key=lambda loop: loop.depth)
        self.position = {loop: k for k, loop in enumerate(self.loops)}
        self.users = self._find_users()

    def read(self, name: str) -> Explained:
        items = [*self._kept_values(), *self._blocks(), *self._calls()]
        return Explained(name, self._active_lines(), tuple(items), tuple(map(self._loop, self.loops)))

    # -- places

    def locate(self, instruction: Instruction) -> tuple[Location, ...]:
        """Return where an instruction comes from.

        What LLVM made itself, the phi of a variable say, belongs to what it is made of, else to what uses it.
        """
        if isinstance(instruction, Phi):
            found = self._search(instruction, users=False)
            if found:
                return found
        return self._search(instruction, users=True)

    def _search(self, instruction: Instruction, *, users: bool) -> tuple[Location, ...]:
        seen: set[Value] = {instruction}
        pending: list[Instruction] = [instruction]
        while pending and len(seen) < _MOST_USERS:
            value = pending.pop(0)
            found = tuple(self._locate(value))
            if found:
                return found
            near = [*(value.users if users else ()), *value.operands]
            fresh = [v for v in near if isinstance(v, Instruction) and v not in seen]
            seen.update(fresh)
            pending.extend(fresh)
        return ()

    def _line(self, instruction: Instruction) -> Location | None:
        found = self.locate(instruction)
        return found[0] if found else None

    def _loop_of(self, value: Instruction) -> int | None:
        assert value.block is not None
        loop = self.plan.shape.loop_of(value.block)
        return None if loop is None else self.position[loop]

    def _loop(self, loop: Loop) -> KeptLoop:
        counted = self.plan.shape.counted[loop]
        count = None if counted.last is None else amount_of(counted.last, self.name_of)
        located = [place for i in loop.header.instructions for place in self._locate(i)[:1]]
        frame = self.plan.frame(loop)
        return KeptLoop(
            located[0] if located else None,
            loop.depth,
            None if loop.parent is None else self.position[loop.parent],
            None if count is None else count + Amount.number(1),
            0 if frame is None else frame.size,
        )

    def _active_lines(self) -> frozenset[Location]:
        activity, found = self.plan.activity, set[Location]()
        for block, instructions in self.plan.instructions.items():
            assert block is not None
            for instruction in instructions:
                if instruction in self.plan.mirrored:
                    continue
                moves = isinstance(instruction, Store) and (
                    instruction.value.type.is_float and activity.has_shadow(instruction.pointer)
                )
                if moves or (instruction.type.is_float and activity.is_active(instruction)):
                    found.update(self._locate(instruction)[:1])
        return frozenset(found)

    # -- values

    def _find_users(self) -> dict[Value, list[str | Instruction]]:
        """Return what each stored value is for: instructions whose adjoints use it, or another purpose."""
        plan, users = self.plan, dict[Value, list["str | Instruction"]]()
        uses: list[tuple[Value, str | Instruction]] = [
            (value, instruction) for instruction, values in plan.required.items() for value in values
        ]
        for merge in plan.merges.values():
            asked: Iterable[Value] = (
                conditions(merge.decision) if merge.recorded is None else [merge.recorded]
            )
            uses += [(value, "which branch was taken") for value in asked]
        for loop, counted in plan.shape.counted.items():
            if loop not in plan.idle.loops:
                uses += [(value, "how often the loop ran") for value in counted.ends]
        for value, use in uses:
            pending, seen = [value], set[Value]()
            while pending:
                part = pending.pop()
                if part in seen or part not in plan.tape.keep:
                    continue
                seen.add(part)
                users.setdefault(part, []).append(use)
                if plan.keep(part) in (Keep.RECOMPUTE, Keep.RECURRENCE) and isinstance(part, Instruction):
                    pending.extend(part.operands)
        return users

    def _kept_values(self) -> Iterable[Item]:
        kinds = {Keep.TAPE: Kind.TAPED, Keep.SLOT: Kind.STORED}
        for value, how in self.plan.tape.keep.items():
            if not isinstance(value, Instruction) or value in self.plan.mirrored:
                continue
            again = how in (Keep.RECOMPUTE, Keep.SHARED) and value.type.is_float
            if how not in kinds and not again:
                continue
            kind = kinds.get(how) or (Kind.AGAIN if isinstance(value, Load) else Kind.RECOMPUTED)
            yield Item(
                kind,
                self.locate(value),
                value.name,
                self._what(value),
                "" if again else self._why(value),
                self._needed_by(value),
                None if again else Amount.number(field_size(value.type)),
                self._loop_of(value),
            )

    def _needed_by(self, value: Value) -> tuple[Location, ...]:
        users = [u for u in self.users.get(value, []) if isinstance(u, Instruction)]
        found = [place for user in users if (place := self._line(user)) is not None]
        return tuple(sorted(set(found), key=lambda place: (place.file, place.line)))

    def _what(self, value: Instruction) -> str:
        match value:
            case Load():
                return "an entry of an array" if value.type.is_float else "a value in memory"
            case Phi():
                return "a variable" if value.type.is_float else "a choice"
            case Call() if value.type.is_pointer:
                return "an address"
            case Call():
                name = (value.callee_name or "a function").removeprefix("llvm.").split(".")[0]
                return f"the result of {name}"
            case _:
                words = {"fdiv": "a quotient", "fmul": "a product", "fadd": "a sum", "fsub": "a difference"}
                words |= {"icmp": "a condition", "fcmp": "a condition", "getelementptr": "an address"}
                return words.get(value.opcode, "a number")

    def _why(self, value: Instruction) -> str:
        others = [u for u in self.users.get(value, []) if isinstance(u, str)]
        if others and not self._needed_by(value):
            return f"says {others[0]}"
        if self._loop_of(value) is None:
            return "made once, outside of loops"
        match value:
            case Load():
                return self._overwriting(value)
            case Phi() if value.block in {loop.header for loop in self.loops}:
                return "overwritten by the next iteration"
            case Phi():
                return "depends on the branch taken"
            case Call():
                return "costly to compute again"
            case _ if value.opcode == "fdiv":
                return "costly to compute again"
            case _:
                return "fewer bytes than what it is computed from"

    def _overwriting(self, load: Load) -> str:
        if not self.plan.overwrites.is_overwritten(load):
            return "its place in memory is not known later"
        objects = self.plan.activity.objects
        targets = set(objects.of(load.pointer))
        lines: set[int] = set()
        for instructions in self.plan.instructions.values():
            for store in instructions:
                if isinstance(store, Store) and store not in self.plan.mirrored:
                    place = self._line(store)
                    if place is not None and not targets.isdisjoint(objects.of(store.pointer)):
                        lines.add(place.line)
        if not lines:
            return "may be overwritten before the reverse sweep"
        listed = ", ".join(map(str, sorted(lines)))
        return f"overwritten by line {listed} before the reverse sweep"

    # -- memory and calls

    def _blocks(self) -> Iterable[Item]:
        for call in self.plan.kept:
            twin = call in self.plan.lanes[0].allocations
            what = "memory and its shadow" if twin else "memory"
            size = self._allocated(call)
            why = "its shadow is filled by the reverse sweep" if twin else "read again by the reverse sweep"
            yield Item(
                Kind.BLOCK,
                self.locate(call),
                "",
                what,
                why,
                (),
                None if size is None else size * Amount.number(2 if twin else 1),
                self._loop_of(call),
            )
        for (call, _), copy in self.plan.copies.items():
            why = "overwritten before the reverse sweep"
            size = self._allocated(copy)
            yield Item(Kind.COPY, self.locate(call), "", "an operand", why, (), size, self._loop_of(call))

    def _allocated(self, call: Call) -> Amount | None:
        rule = find_memory_rule(call.callee_name or "")
        if not isinstance(rule, Allocation):
            return None
        size = Amount.number(1)
        for index in rule.size:
            factor = amount_of(call.operands[index], self.name_of)
            if factor is None:
                return None
            size = size * factor
        return size

    def _calls(self) -> Iterable[Item]:
        for instructions in self.plan.instructions.values():
            for call in instructions:
                if not isinstance(call, Call) or called_effect(call) is Effect.DIFFERENTIABLE:
                    continue
                symbol, found, _ = (call.callee_name or "").partition(_AUGMENTED)
                if not found:
                    continue
                callee = self.module.functions.get(symbol)
                ruled = callee is not None and callee.ruled
                what = "what its rule saves" if ruled else "what its own reverse sweep needs"
                kind = Kind.RULE if ruled else Kind.CALL
                yield Item(kind, self.locate(call), symbol, what, "", (), None, self._loop_of(call))
