"""Which values and which memory carry derivatives: varied ∩ useful.

*Varied*: depends on something differentiated. *Useful*: influences something whose derivative is asked
for. Computed over SSA values and over memory objects together, on the blocks that can still reach a
normal return.
Source: Hascoët, Naumann & Pascual, "'To be recorded' analysis in reverse-mode automatic
differentiation", Future Generation Computer Systems 21 (2005); Griewank & Walther (2008), ch. 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coenzyme.analysis.content import Contents, carries_floats
from coenzyme.analysis.hidden_bits import HiddenBits, is_bits, is_float_moved
from coenzyme.analysis.objects import (
    MemoryObject,
    Objects,
    Storage,
    blas_pointers,
    called_effect,
    holds_pointers,
    is_described,
    is_growth,
    is_internal_call,
    is_ruled_call,
    passed_pointers,
    written_pointers,
)
from coenzyme.analysis.payload import is_list_header
from coenzyme.analysis.records import find_records
from coenzyme.errors import ActivityError, MissingRuleError, UnsupportedIRError
from coenzyme.frontends.program import ComponentActivity
from coenzyme.ir.instructions import (
    AtomicReadModifyWrite,
    Block,
    Call,
    Cast,
    CompareExchange,
    Freeze,
    Function,
    GetElementPtr,
    Instruction,
    Load,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.tbaa import Accessed, accessed
from coenzyme.ir.values import Argument, Constant, Value
from coenzyme.rules import Effect, find_call_rule

__all__ = ["Activity", "find_activity"]

_AS_WHAT_IT_IS = (
    "assign numbers and pointers as what they are; compile the code so that its types are known: with TBAA, "
    "as clang does above -O0 unless it is told -fno-strict-aliasing"
)
_OURS = (Storage.STACK, Storage.HEAP, Storage.RETURNED, Storage.UNKNOWN)
"""Storage of which a shadow can be made, and unknown memory, which is refused then."""


@dataclass(frozen=True)
class Activity:
    """Result of :func:`find_activity`.

    Attributes
    ----------
    values
        Values that are varied and useful.
    shadowed
        Objects that have a shadow.
    """

    values: frozenset[Value]
    shadowed: frozenset[MemoryObject]
    objects: Objects

    def is_active(self, value: Value) -> bool:
        """Whether `value` carries a derivative."""
        return value in self.values

    def has_shadow(self, pointer: Value) -> bool:
        """Whether the memory behind `pointer` has a shadow."""
        return any(o in self.shadowed for o in self.objects.of(pointer))

    def is_partial(self, pointer: Value) -> bool:
        """Whether the memory behind `pointer` has a shadow in some runs only, and may be null in others."""
        targets = self.objects.of(pointer)
        return any(o in self.shadowed for o in targets) and any(o not in self.shadowed for o in targets)

    def unshadowed(self, pointer: Value) -> list[str]:
        """Return the names of the arguments without shadow whose memory `pointer` may lead to."""
        callers = (Storage.ARGUMENT, Storage.REACHED)
        return [
            o.origin.name
            for o in self.objects.of(pointer)
            if o.storage in callers and o.origin is not None and o not in self.shadowed
        ]


def find_activity(
    function: Function,
    live: Sequence[Block],
    parameters: Mapping[Argument, ComponentActivity],
    objects: Objects,
    contents: Contents,
    *,
    moves_bits: bool = True,
) -> Activity:
    """Return what is active in `function`.

    Parameters
    ----------
    moves_bits
        Whether there may be code in it that moves numbers and pointers as integers, as C's may.
    """
    return _Finder(function, live, parameters, objects, contents, moves_bits).find()


def _operation(instruction: Instruction | None) -> str | None:
    called = instruction.callee_name if isinstance(instruction, Call) else None
    return called or (None if instruction is None else instruction.opcode)


def _handed_on(instructions: Iterable[Instruction], objects: Objects) -> set[MemoryObject]:
    """Return the objects that functions kept out of line get hold of."""
    found: set[MemoryObject] = set()
    for instruction in instructions:
        if is_internal_call(instruction) and not is_ruled_call(instruction):
            assert isinstance(instruction, Call)
            found |= objects.reachable(passed_pointers(instruction))
    return found


class _Finder:
    def __init__(
        self,
        function: Function,
        live: Sequence[Block],
        parameters: Mapping[Argument, ComponentActivity],
        objects: Objects,
        contents: Contents,
        moves_bits: bool,
    ) -> None:
        self.moves_bits = moves_bits
        self.function = function
        self.instructions = [i for block in live for i in block.instructions]
        self.parameters = parameters
        self.objects = objects
        self.contents = contents
        self.records = find_records(self.instructions, objects)
        self.marked: set[Value] = set()
        self.memory: set[MemoryObject] = set()
        self.changed = False
        # The parts of an array share an object: one DUPLICATED part is enough.
        pointers = [a for a, how in parameters.items() if how is ComponentActivity.DUPLICATED]
        self.given = {o for p in pointers for o in objects.of(p)}
        self.given |= {o for o in objects.reached if o.origin in pointers}
        self.handed_on = _handed_on(self.instructions, objects)
        self.bits = HiddenBits(self.instructions, objects, contents, self.handed_on)
        self.filled: set[MemoryObject] = set()
        """The memory into which integers are put that may be bits of active numbers."""
        self.untouched = {
            o for o in objects.reached if o not in contents.by_object and o not in self.handed_on
        }

    def find(self) -> Activity:
        varied, varied_memory = self._varied()
        useful, useful_memory = self._useful()
        values = frozenset(v for v in varied & useful if carries_floats(v.type))
        self._refuse_bit_tricks(varied, useful, varied_memory & useful_memory)
        if self.moves_bits:
            self._refuse_hidden_bits(varied, varied_memory, varied_memory & useful_memory)
        self._refuse_unknown_memory(varied, useful)
        shadowed = self._shadowed((varied_memory & useful_memory) - {self.objects.unknown})
        return Activity(values, frozenset(shadowed), self.objects)

    # -- shared machinery

    def _duplicated_objects(self) -> set[MemoryObject]:
        """Return the objects with a shadow of the caller's, and all that can be reached through them."""
        pointers = [
            argument
            for argument, activity in self.parameters.items()
            if activity is ComponentActivity.DUPLICATED and argument.type.is_pointer
        ]
        found = self.objects.reachable(pointers)
        found |= {o for o in self.objects.reached if o.origin in pointers}
        # What a call may have linked to the caller's constant memory does not make that active.
        theirs = (Storage.ARGUMENT, Storage.REACHED)
        return {o for o in found - self.untouched if o.storage not in theirs or o in self.given}

    def _mark(self, value: Value) -> None:
        if value not in self.marked and not isinstance(value, Constant):
            self.marked.add(value)
            self.changed = True

    def _mark_memory(self, items: Iterable[MemoryObject]) -> None:
        before = len(self.memory)
        self.memory.update(items)
        self.changed |= len(self.memory) != before

    def _touches(self, pointer: Value) -> bool:
        return any(o in self.memory for o in self.objects.of(pointer))

    # -- varied: forwards

    def _varied(self) -> tuple[set[Value], set[MemoryObject]]:
        # Unknown memory may be any memory.
        self.marked, self.memory = set(), self._duplicated_objects() | {self.objects.unknown}
        for argument, activity in self.parameters.items():
            if activity is not ComponentActivity.CONST and not argument.type.is_pointer:
                self.marked.add(argument)
        self.changed = True
        while self.changed:
            self.changed = False
            for instruction in self.instructions:
                self._vary(instruction)
        return self.marked, self.memory

    def _vary(self, instruction: Instruction) -> None:
        marked = self.marked
        match instruction:
            case Load():
                if (
                    not instruction.type.is_pointer
                    and self._touches(instruction.pointer)
                    and not is_list_header(instruction.pointer, self.objects)
                    and self._may_read_floats(instruction)
                    and not self.records.is_integer(instruction, marked)
                ):
                    self._mark(instruction)
            case Store():
                if instruction.value in marked:
                    targets = self.objects.of(instruction.pointer)
                    self._mark_memory(targets)
                    if is_bits(instruction.value.type):
                        self._fill(targets)
            case Call():
                self._vary_call(instruction)
            case _ if instruction.opcode in ("icmp", "fcmp", "sitofp", "uitofp", "fptosi", "fptoui"):
                pass
            case Select():
                if any(o in marked for o in instruction.operands[1:]):
                    self._mark(instruction)
            case _ if not instruction.type.is_pointer:
                if any(o in marked for o in instruction.operands):
                    self._mark(instruction)
            case _:
                pass

    def _may_read_floats(self, load: Load) -> bool:
        return (
            carries_floats(load.type)
            or self.contents.accesses_floats(load)
            or (self.moves_bits and self.bits.may_be_floats(load, self.memory, self.filled))
        )

    def _fill(self, targets: Iterable[MemoryObject]) -> None:
        before = len(self.filled)
        self.filled.update(targets)
        self.changed |= len(self.filled) != before

    def _vary_call(self, call: Call) -> None:
        effect = called_effect(call)
        match effect:
            case Effect.DIFFERENTIABLE:
                rule = find_call_rule(call.callee_name or "")
                assert rule is not None
                for operand, partial in zip(call.arguments, rule[0].partials, strict=False):
                    if partial is not None and operand in self.marked:
                        self._mark(call)
            case Effect.MEMCPY | Effect.MEMMOVE:
                if self._touches(call.arguments[1]):
                    self._mark_memory(self.objects.of(call.arguments[0]))
                    sources = self.objects.of(call.arguments[1])
                    if any(o in self.filled or self.bits.is_open(o) for o in sources):
                        self._fill(self.objects.of(call.arguments[0]))
            case Effect.BLAS:
                inputs, output = blas_pointers(call)
                if any(self._touches(pointer) for pointer in inputs):
                    self._mark_memory(self.objects.of(output))
            case Effect.UNKNOWN | Effect.LAPACK | Effect.OUTSIDE | Effect.REALLOCATION if not is_growth(call):
                self._vary_unknown(call)
            case _:
                pass

    def _vary_unknown(self, call: Call) -> None:
        pointers = passed_pointers(call) if is_internal_call(call) else call.arguments
        pointers = [p for p in pointers if p.type.is_pointer]
        reached = self.objects.reachable(pointers)
        if any(o in self.memory for o in reached) or any(a in self.marked for a in call.arguments):
            if is_internal_call(call):
                reached = self.objects.reachable(written_pointers(call))
            self._mark_memory(o for o in reached if self._may_hold_floats(o))
            if not is_internal_call(call):
                self._mark_memory({self.objects.unknown})
            if carries_floats(call.type):
                self._mark(call)

    def _may_hold_floats(self, item: MemoryObject) -> bool:
        if item.storage is Storage.GLOBAL or item in self.untouched:
            return False
        content = self.contents.of(item)
        if content.floats or not (content.integers or content.pointers):
            return True
        return item in self.handed_on and not is_described(item, self.objects)

    # -- useful: backwards

    def _useful(self) -> tuple[set[Value], set[MemoryObject]]:
        self.marked, self.memory = set(), self._duplicated_objects() | {self.objects.unknown}
        for instruction in self.instructions:
            if instruction.opcode == "ret":
                for operand in instruction.operands:
                    if carries_floats(operand.type):
                        self._mark(operand)
        self.changed = True
        backwards = self.instructions[::-1]
        while self.changed:
            self.changed = False
            for instruction in backwards:
                self._use(instruction)
        return self.marked, self.memory

    def _use(self, instruction: Instruction) -> None:
        match instruction:
            case Store():
                if self._touches(instruction.pointer):
                    self._mark(instruction.value)
            case Load():
                if instruction in self.marked and not instruction.type.is_pointer:
                    self._mark_memory(self.objects.of(instruction.pointer))
            case Call():
                self._use_call(instruction)
            case Select():
                if instruction in self.marked:
                    for operand in instruction.operands[1:]:
                        self._mark(operand)
            case _ if instruction in self.marked and instruction.opcode not in (
                "icmp",
                "fcmp",
                "sitofp",
                "uitofp",
                "fptosi",
                "fptoui",
            ):
                for operand in instruction.operands:
                    if not operand.type.is_pointer:
                        self._mark(operand)
            case _:
                pass

    def _use_call(self, call: Call) -> None:
        match called_effect(call):
            case Effect.DIFFERENTIABLE:
                if call in self.marked:
                    for argument in call.arguments:
                        self._mark(argument)
            case Effect.MEMCPY | Effect.MEMMOVE:
                if self._touches(call.arguments[0]):
                    self._mark_memory(self.objects.of(call.arguments[1]))
            case Effect.BLAS:
                inputs, output = blas_pointers(call)
                if self._touches(output):
                    self._mark_memory(o for pointer in inputs for o in self.objects.of(pointer))
            case Effect.UNKNOWN | Effect.LAPACK | Effect.OUTSIDE | Effect.REALLOCATION if not is_growth(call):
                pointers = passed_pointers(call) if is_internal_call(call) else call.arguments
                reached = self.objects.reachable(p for p in pointers if p.type.is_pointer)
                written = (
                    self.objects.reachable(written_pointers(call)) if is_internal_call(call) else reached
                )
                if call in self.marked or any(o in self.memory for o in written):
                    self._mark_memory(o for o in reached if self._may_hold_floats(o))
                    for argument in call.arguments:
                        if not argument.type.is_pointer:
                            self._mark(argument)
            case _:
                pass

    # -- shadows

    def _shadowed(self, active: set[MemoryObject]) -> set[MemoryObject]:
        """Close `active` under "stored pointers and merged pointers need shadows too"."""
        duplicated = self._duplicated_objects()
        shadowed = active | duplicated
        pointers: list[set[MemoryObject]] = [
            set(self.objects.of(i))
            for i in self.instructions
            if holds_pointers(i.type) and isinstance(i, Phi | Select | Load | Call)
        ]
        changed = True
        while changed:
            changed = False
            for holder, held in self.objects.contents.items():
                if holder not in shadowed and not held.isdisjoint(shadowed):
                    shadowed.add(holder)
                    changed = True
            for targets in pointers:
                # Where one of them may be the caller's constant memory, its shadow pointer is null.
                wanted = {o for o in targets if o.storage in _OURS}
                if not wanted <= shadowed and not targets.isdisjoint(shadowed):
                    shadowed |= wanted
                    changed = True
        for item in shadowed:
            self._require_shadow(item)
        return shadowed

    def _require_shadow(self, item: MemoryObject) -> None:
        if item.storage in (Storage.STACK, Storage.HEAP, Storage.RETURNED):
            return
        if item in self.given:
            return
        unknown = self._unknown_call()
        if unknown is not None:
            raise unknown
        if item.storage is Storage.UNKNOWN or item.origin is None:
            raise self._untraceable(self._first_leading_out())
        raise ActivityError(
            "active data is written to, or returned with, memory marked Const",
            function=self.function.name,
            argument=item.origin.name,
            remedy="pass the argument as Duplicated(x, dx) with a zeroed shadow; a captured array that is "
            "handed to a recursive function, as an argument of the function that is differentiated",
        )

    def _refuse_unknown_memory(self, varied: set[Value], useful: set[Value]) -> None:
        for instruction in self.instructions:
            if isinstance(instruction, Load):
                pointer, value = instruction.pointer, instruction
                through = value in useful and carries_floats(value.type)
            elif isinstance(instruction, Store):
                pointer, value = instruction.pointer, instruction.value
                through = value in varied and carries_floats(value.type)
            else:
                continue
            targets = self.objects.of(pointer)
            if through and (self.objects.unknown in targets or self._is_untraced(pointer)):
                raise self._untraceable(instruction)

    def _is_untraced(self, pointer: Value) -> bool:
        """Whether `pointer` was read where no pointer is known to lie, and so leads nobody knows where."""
        while isinstance(pointer, GetElementPtr | Cast | Freeze):
            pointer = pointer.operands[0]
        if not isinstance(pointer, Load) or self.objects.of(pointer):
            return False
        return any(o.storage is not Storage.GLOBAL for o in self.objects.of(pointer.pointer))

    def _refusal(self, culprit: Instruction, message: str, operation: str, remedy: str) -> UnsupportedIRError:
        error = UnsupportedIRError(message, function=self.function.name, operation=operation, remedy=remedy)
        error.culprit = culprit
        return error

    def _unknown_call(self) -> MissingRuleError | None:
        """Return an error about the first call that may do anything to the memory that is differentiated."""
        for call in self.instructions:
            if not isinstance(call, Call) or is_internal_call(call):
                continue
            reached = (o for a in call.arguments if a.type.is_pointer for o in self.objects.of(a))
            if called_effect(call) in (Effect.UNKNOWN, Effect.LAPACK) and not self.given.isdisjoint(reached):
                error = MissingRuleError(
                    "no derivative is known for a function called with active data",
                    function=self.function.name,
                    operation=call.callee_name,
                    remedy="write a rule for it, or mark the function that does it inactive",
                )
                error.culprit = call
                return error
        return None

    def _first_leading_out(self) -> Instruction | None:
        """Return the first instruction that comes by a pointer to unknown memory, or may put one anywhere."""
        for instruction in self.instructions:
            if isinstance(instruction, Call) and not is_internal_call(instruction):
                if called_effect(instruction) in (Effect.UNKNOWN, Effect.LAPACK):
                    return instruction
            elif instruction.type.is_pointer and self.objects.unknown in self.objects.of(instruction):
                return instruction
        return None

    def _untraceable(self, instruction: Instruction | None) -> UnsupportedIRError:
        error = UnsupportedIRError(
            "active data passes through memory that cannot be traced to an argument or an allocation",
            function=self.function.name,
            operation=_operation(instruction),
            remedy="write a rule for the operation, or mark it inactive",
        )
        error.culprit = instruction
        return error

    def _refuse_bit_tricks(self, varied: set[Value], useful: set[Value], memory: set[MemoryObject]) -> None:
        for instruction in self.instructions:
            if isinstance(instruction, AtomicReadModifyWrite | CompareExchange) and any(
                o in memory and self.contents.of(o).floats for o in self.objects.of(instruction.operands[0])
            ):
                raise self._refusal(
                    instruction,
                    "active floating-point data is changed by an atomic operation",
                    operation=instruction.opcode,
                    remedy="use an ordinary assignment where the loop is not parallel",
                )
            if self._mixes_precisions(instruction, memory):
                raise self._refusal(
                    instruction,
                    "an array of one floating-point type is accessed as another",
                    operation=f"{instruction.opcode} in an array of another type",
                    remedy="convert with astype instead of view",
                )
            if (
                instruction.opcode == "bitcast"
                and instruction in varied
                and instruction in useful
                and carries_floats(instruction.type) != carries_floats(instruction.operands[0].type)
            ):
                raise self._refusal(
                    instruction,
                    "active floating-point data is handled as integer bits",
                    operation=f"bitcast {instruction.operands[0].type} to {instruction.type}",
                    remedy="write a rule for the function that does it",
                )
            if (
                isinstance(instruction, Store)
                and instruction.value.type.is_int
                and instruction.value in varied
                and self.contents.accesses_floats(instruction)
                and any(
                    o in memory and self.contents.of(o).floats for o in self.objects.of(instruction.pointer)
                )
            ):
                raise self._refusal(
                    instruction,
                    "active floating-point data is stored as integer bits",
                    operation=f"store {instruction.value.type}",
                    remedy="write a rule for the function that does it",
                )

    def _refuse_hidden_bits(
        self, varied: set[Value], varied_memory: set[MemoryObject], memory: set[MemoryObject]
    ) -> None:
        """Refuse to move integers that may be bits of what is active."""
        shadowed = varied_memory | self._duplicated_objects()
        for instruction in self.instructions:
            match instruction:
                case Store() if instruction.value in varied and is_bits(instruction.value.type):
                    culprit = instruction if self._puts_bits(instruction, memory) else None
                case Call() if is_internal_call(instruction) and not is_ruled_call(instruction):
                    arguments = (a for a in instruction.arguments if a in varied and is_bits(a.type))
                    lost = any(self.bits.is_let_go(instruction, a) for a in arguments)
                    culprit = instruction if lost else None
                case AtomicReadModifyWrite() | CompareExchange():
                    culprit = instruction if self._exchanges_bits(instruction, memory) else None
                case _:
                    culprit = None
            if culprit is not None:
                raise self._refusal(
                    culprit,
                    "what may be active floating-point data is moved as an integer",
                    operation=f"{culprit.opcode} of bits",
                    remedy=_AS_WHAT_IT_IS,
                )
            if self._may_be_address(instruction, shadowed):
                culprit = self.bits.leaves(instruction)
                if culprit is not None:
                    raise self._refusal(
                        culprit,
                        "what may be a pointer is moved as an integer",
                        operation=f"{instruction.opcode} {instruction.type}",
                        remedy=_AS_WHAT_IT_IS,
                    )

    def _puts_bits(self, store: Store, memory: set[MemoryObject]) -> bool:
        """Whether `store` puts integers that may be bits of floats into active memory, unseen."""
        active = any(
            o in memory and not is_described(o, self.objects) for o in self.objects.of(store.pointer)
        )
        if not active:
            return False
        if accessed(store) is Accessed.INTEGER:
            return is_float_moved(store.value)
        return not self.bits.is_counted(store.value)

    def _exchanges_bits(self, instruction: Instruction, memory: set[MemoryObject]) -> bool:
        if isinstance(instruction, AtomicReadModifyWrite) and instruction.operation != "xchg":
            return False
        return (
            accessed(instruction) is not Accessed.INTEGER
            and not self.bits.is_counted(instruction)
            and any(o in memory and self.bits.is_open(o) for o in self.objects.of(instruction.operands[0]))
        )

    def _may_be_address(self, instruction: Instruction, shadowed: set[MemoryObject]) -> bool:
        if isinstance(instruction, Load):
            return self.bits.may_be_pointers(instruction, shadowed)
        if instruction.opcode != "ptrtoint":
            return False
        targets = shadowed.intersection(self.objects.of(instruction.operands[0]))
        return any(self.objects.is_foreign or not is_described(o, self.objects) for o in targets) or bool(
            targets and any(self._leaves_numba(u, instruction) for u in instruction.users)
        )

    def _leaves_numba(self, user: Instruction, value: Value) -> bool:
        """Whether `user` hands `value` to a C function."""
        foreign = isinstance(user, Call) and isinstance(user.callee, Function) and user.callee.is_foreign
        return foreign and isinstance(user, Call) and self.bits.is_let_go(user, value)

    def _mixes_precisions(self, instruction: Instruction, memory: set[MemoryObject]) -> bool:
        """Whether `instruction` accesses active array memory in which floats of another type live too."""
        if not isinstance(instruction, Load | Store):
            return False
        type = instruction.type if isinstance(instruction, Load) else instruction.value.type
        said = accessed(instruction)
        if said is not None and str(type) == said.value:
            return False  # what is read as one type is written as no other
        if not carries_floats(type) or len(self.contents.at(instruction.pointer).floats) < 2:
            return False
        return any(
            o in memory
            and o not in self.objects.structs  # a field has the type that its class says
            and len(self.contents.of(o).floats) > 1
            and (
                o.storage in (Storage.HEAP, Storage.RETURNED)
                or (o.storage is Storage.ARGUMENT and o.group is not None)
            )
            for o in self.objects.of(instruction.pointer)
        )
