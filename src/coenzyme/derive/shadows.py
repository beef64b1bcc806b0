"""Give every pointer to differentiated memory its shadow pointer: the augmented primal.

A shadow is computed beside its primal by the same operation on shadows: a ``getelementptr`` with the same
indices, a phi of shadows, a load of the pointer stored at the same place in shadow memory. Both sweeps start
from here; in the reverse sweep a shadow pointer is a value like any other, recomputed or taped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.content import Contents
from coenzyme.analysis.layouts import Layout
from coenzyme.analysis.objects import (
    MemoryObject,
    Storage,
    called_effect,
    holds_pointers,
    is_described,
    is_growth,
    is_internal_call,
    passed_pointers,
)
from coenzyme.analysis.places import WORD
from coenzyme.derive.context import Context
from coenzyme.derive.interleaving import NOT_INTERLEAVED, TRANSFERS, Interleaving
from coenzyme.derive.runtime import field_function
from coenzyme.errors import ActivityError
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import (
    Alloca,
    Block,
    Call,
    Cast,
    Freeze,
    Function,
    GetElementPtr,
    Instruction,
    Load,
    Module,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.types import I1, I8, I64, PTR, VOID, FunctionType
from coenzyme.ir.values import (
    Constant,
    ConstantExpression,
    ConstantNull,
    ConstantZero,
    Poison,
    Undef,
    Value,
)
from coenzyme.rules import Deallocation, Effect, find_memory_rule
from coenzyme.rules.carrying import CARRIED, CARRY

__all__ = ["Shadows", "add_shadows", "declare_carried", "fill_bytes", "reach_of"]


@dataclass
class Shadows:
    """Result of :func:`add_shadows`.

    Attributes
    ----------
    pointers
        Each pointer that has a shadow, with the shadow.
    allocations
        Each allocating call whose memory has a shadow, with the shadow's allocating call.
    mirrored
        Instructions of the augmented primal that act on shadow memory beside the primal ones.
    """

    pointers: dict[Value, Value]
    allocations: dict[Call, Call]
    mirrored: set[Instruction]
    growths: list[Call] = field(default_factory=list[Call])
    """The calls that make shadow containers, or give the payloads of shadow blocks another size."""
    lane: int = 0
    """Which of the directions of a sweep these are the shadows of."""
    interleaving: Interleaving = NOT_INTERLEAVED
    """Which memory has one shadow for all directions."""

    def of(self, pointer: Value) -> Value:
        """Return the shadow of `pointer`."""
        match pointer:
            case ConstantNull() | Undef() | Poison():
                return pointer
            case _:
                return self.pointers[pointer]


def fill_bytes(module: Module, at: Builder, target: Value, byte: Value, size: Value) -> Call:
    """Emit ``memset(target, byte, size)``."""
    kind = FunctionType(VOID, (PTR, I8, I64, I1))
    call = at.call(module.declare("llvm.memset.p0.i64", kind), [target, byte, size, const_int(I1, 0)])
    assert isinstance(call, Call)
    return call


def declare_carried(module: Module) -> Function:
    """Return the function that says how much of a block is carried over to another one."""
    return module.declare(CARRIED, FunctionType(I64, (PTR, I64)))


def reach_of(at: Builder, size: Value, offset: int, width: int, step: int) -> Value:
    """Return for how many bytes of records there is a field of `width` bytes in each, of `size` bytes."""
    end = const_int(I64, offset + width)
    whole = at.add(size, const_int(I64, step - offset - width))
    return at.select(at.icmp("uge", size, end), whole, const_int(I64, 0))


def add_shadows(  # noqa: PLR0913 - what the shadows of one lane depend on
    context: Context,
    blocks: Iterable[Block],
    activity: Activity,
    contents: Contents,
    arguments: dict[Value, Value],
    *,
    mirror_floats: bool,
    others: Sequence[Shadows] = (),
    interleaving: Interleaving = NOT_INTERLEAVED,
) -> Shadows:
    """Insert the shadow instructions into `blocks` and return what shadows what.

    Parameters
    ----------
    blocks
        The blocks that matter, in reverse postorder.
    arguments
        The shadows of pointer parameters.
    mirror_floats
        Whether block transfers of floats act on shadows at once (forward mode) or in the reverse sweep.
    others
        The shadows of other directions, added before.
    interleaving
        Which memory has one shadow for all directions; the first adds it.
    """
    mirrored = others[0].mirrored if others else set[Instruction]()
    shadows = Shadows(dict(arguments), {}, mirrored, lane=len(others), interleaving=interleaving)
    augmenter = _Augmenter(context, activity, contents, shadows, mirror_floats, others[0] if others else None)
    return augmenter.run(list(blocks))


class _Augmenter:
    def __init__(
        self,
        context: Context,
        activity: Activity,
        contents: Contents,
        shadows: Shadows,
        mirror_floats: bool,
        first: Shadows | None,
    ) -> None:
        self.context = context
        self.first = first
        self.module = context.module
        self.activity = activity
        self.contents = contents
        self.mirror_floats = mirror_floats
        self.result = shadows
        self.seen: set[MemoryObject] = set()

    def run(self, blocks: list[Block]) -> Shadows:
        pending: list[tuple[Phi, Phi]] = []
        for block in blocks:
            for instruction in block.instructions:
                if is_internal_call(instruction):
                    assert isinstance(instruction, Call)
                    self.seen |= self.activity.objects.reachable(passed_pointers(instruction))
        for block in blocks:
            for instruction in list(block.instructions):
                if instruction in self.result.mirrored:
                    continue
                if self._has_been_shadowed(instruction):
                    continue
                if isinstance(instruction, Phi):
                    if self._is_shadowed(instruction):
                        if not instruction.type.is_pointer:
                            message = "a struct with pointers is handled as a whole"
                            raise self.context.unsupported(instruction, message)
                        twin = Phi(instruction.type, (), f"{instruction.name}.shadow")
                        self._insert_after(instruction, twin)
                        self.result.pointers[instruction] = twin
                        pending.append((instruction, twin))
                else:
                    self._visit(instruction)
                    if self.result.interleaving.serves_all(instruction):
                        self._interleave(instruction)
        for phi, twin in pending:
            for value, block in phi.pairs:
                twin.add_incoming(self.shadow(value, phi), block)
        self._let_go_where_it_fails(set(blocks))
        return self.result

    def _has_been_shadowed(self, instruction: Instruction) -> bool:
        """Whether one shadow of what `instruction` is about serves all lanes, and is there already."""
        if self.first is None or not self.result.interleaving.serves_all(instruction):
            return False
        if instruction in self.first.pointers:
            self.result.pointers[instruction] = self.first.pointers[instruction]
        return True

    def _interleave(self, instruction: Instruction) -> None:
        """Let the shadow of `instruction`, which has just been added, be as large as those of all lanes."""
        twin: Value | None = self.result.pointers.get(instruction)
        if twin is None and isinstance(instruction, Call) and called_effect(instruction) in TRANSFERS:
            block = instruction.block
            assert block is not None
            twin = block.instructions[block.instructions.index(instruction) + 1]
            assert twin in self.result.mirrored
        if isinstance(twin, Instruction) and not isinstance(twin, Alloca):
            self.result.mirrored.update(self.result.interleaving.widen(twin))

    def _visit_mixed_transfer(self, call: Call) -> None:
        """Copy the shadow of one lane from where lanes lie side by side to where they do not, or back."""
        interleaving = self.result.interleaving
        type = self.contents.behind(call.operands[0]).only_float
        assert type is not None
        at = self._after(call)
        ends: list[Value] = []
        for pointer in call.operands[:2]:
            joint = interleaving.has(pointer)
            shadow = self.shadow(pointer, call)
            ends.append(at.gep(type, shadow, [self.result.lane]) if joint else shadow)
            ends.append(const_int(I64, interleaving.width if joint else 1))
        new = at.call(self.context.require(f"coenzyme.strided.{type}"), [*ends, call.operands[2]])
        for value in (*ends, new):
            if isinstance(value, Instruction):
                self.result.mirrored.add(value)

    def _let_go_where_it_fails(self, live: set[Block]) -> None:
        """Let go of shadows on the way out with an error, as the primal does of its blocks."""
        function = next(iter(live)).function
        assert function is not None
        for block in function.blocks:
            if block in live:
                continue
            for call in list(block.instructions):
                if (
                    isinstance(call, Call)
                    and call not in self.result.mirrored
                    and called_effect(call) is Effect.REFERENCE_COUNT
                    and call.operands[0] in self.result.pointers
                    and not self._has_been_shadowed(call)
                ):
                    twin = clone_instruction(call, {})
                    twin.set_operand(0, self.result.pointers[call.operands[0]])
                    self._insert_after(call, twin)

    # -- what has a shadow

    def _is_shadowed(self, value: Value) -> bool:
        return holds_pointers(value.type) and self.activity.has_shadow(value)

    def shadow(self, pointer: Value, user: Instruction) -> Value:
        """Return the shadow of `pointer`; of one that has none, null where it is never followed."""
        if pointer in self.result.pointers:
            if self.first is not None and self._serves_all_lanes(pointer, user):
                return ConstantNull()
            return self.result.pointers[pointer]
        if isinstance(pointer, ConstantNull | Undef | Poison):
            return pointer
        if isinstance(pointer, ConstantExpression | Constant):
            return ConstantNull()
        for item in self.activity.objects.of(pointer):
            if item.storage is Storage.ARGUMENT and item.group is not None and self._hands_out(user):
                raise ActivityError(
                    "an array marked Const is returned or stored where a differentiated one is expected",
                    function=self.context.function_name,
                    argument=item.label,
                    operation=user.opcode,
                    remedy="mark the array Duplicated, or return a copy of it",
                )
        return ConstantNull()

    def _serves_all_lanes(self, pointer: Value, user: Instruction) -> bool:
        """Whether the shadow of `pointer` is the first lane's, where `user` chooses between it and others."""
        interleaving = self.result.interleaving
        return isinstance(user, Phi | Select) and interleaving.has(pointer) and not interleaving.has(user)

    def _hands_out(self, user: Instruction) -> bool:
        """Whether `user` stores a pointer where the caller will find it."""
        return isinstance(user, Store) and any(
            o.storage in (Storage.ARGUMENT, Storage.REACHED) for o in self.activity.objects.of(user.pointer)
        )

    def _insert_after(self, instruction: Instruction, new: Instruction) -> None:
        block = instruction.block
        assert block is not None
        block.insert(block.instructions.index(instruction) + 1, new)
        self.result.mirrored.add(new)

    def _after(self, instruction: Instruction) -> Builder:
        block = instruction.block
        assert block is not None
        return Builder(block, block.instructions.index(instruction) + 1)

    def _adopt(self, primal: Instruction, twin: Instruction) -> None:
        self.result.pointers[primal] = twin

    # -- one instruction

    def _visit(self, instruction: Instruction) -> None:
        match instruction:
            case Alloca() if self._is_shadowed(instruction):
                self._visit_alloca(instruction)
            case _ if self._is_shadowed(instruction) and not instruction.type.is_pointer:
                raise self.context.unsupported(instruction, "a struct with pointers is handled as a whole")
            case GetElementPtr() | Cast() | Freeze() if self._is_shadowed(instruction):
                twin = clone_instruction(instruction, {})
                twin.name = f"{instruction.name}.shadow"
                twin.set_operand(0, self.shadow(instruction.operands[0], instruction))
                self._insert_after(instruction, twin)
                self._adopt(instruction, self._null_kept(instruction, twin))
            case Select() if self._is_shadowed(instruction):
                twin = clone_instruction(instruction, {})
                twin.name = f"{instruction.name}.shadow"
                for index in (1, 2):
                    twin.set_operand(index, self.shadow(instruction.operands[index], instruction))
                self._place(instruction, twin)
            case Load() if self._is_shadowed(instruction):
                self._require_whole(instruction, instruction.pointer)
                twin = clone_instruction(instruction, {})
                twin.name = f"{instruction.name}.shadow"
                twin.set_operand(0, self.shadow(instruction.pointer, instruction))
                self._place(instruction, twin)
            case Store() if self._is_shadowed(instruction.pointer):
                self._visit_store(instruction)
            case Call():
                self._visit_call(instruction)
            case _ if self._is_shadowed(instruction):
                raise self.context.unsupported(
                    instruction, "a pointer to differentiated memory is made by this operation"
                )
            case _:
                pass

    def _place(self, primal: Instruction, twin: Instruction) -> None:
        self._insert_after(primal, twin)
        self._adopt(primal, twin)

    def _visit_alloca(self, instruction: Alloca) -> None:
        block = instruction.block
        assert block is not None
        assert block.function is not None
        if block is not block.function.entry or not isinstance(instruction.operands[0], Constant):
            raise self.context.unsupported(
                instruction, "differentiated memory is taken from the stack in a loop or branch"
            )
        twin = Alloca(
            instruction.allocated_type,
            instruction.operands[0],
            f"{instruction.name}.shadow",
            instruction.align,
        )
        if self.result.interleaving.has(instruction):
            self.result.interleaving.widen(twin)
        self._place(instruction, twin)
        clear = Store(ConstantZero(twin.allocated_type), twin, instruction.align)
        self._insert_after(twin, clear)

    def _visit_store(self, instruction: Store) -> None:
        value = instruction.value
        if holds_pointers(value.type) and not value.type.is_pointer:
            raise self.context.unsupported(instruction, "a struct with pointers is stored as a whole")
        if value.type.is_pointer:
            twin = clone_instruction(instruction, {})
            twin.set_operand(0, self.shadow(value, instruction))
        elif value.type.is_int and self._mirrors_integers(instruction):
            twin = clone_instruction(instruction, {})
        elif value.type.is_int and self.mirror_floats:
            # Whatever bits these are, they do not depend on what is differentiated.
            twin = clone_instruction(instruction, {})
            twin.set_operand(0, zero(value.type))
        else:
            return
        self._require_whole(instruction, instruction.pointer)
        twin.set_operand(1, self.shadow(instruction.pointer, instruction))
        self._insert_after(instruction, twin)

    def _null_kept(self, primal: Instruction, twin: Instruction) -> Instruction:
        """Return `twin`, an address computed from a shadow; null where that shadow may be null and is."""
        if not self.activity.is_partial(primal):
            return twin
        twin.flags = ()
        at = self._after(twin)
        null = at.icmp("eq", twin.operands[0], ConstantNull())
        kept = at.select(null, ConstantNull(), twin, name=twin.name)
        for new in (null, kept):
            assert isinstance(new, Instruction)
            self.result.mirrored.add(new)
        assert isinstance(kept, Instruction)
        return kept

    def _require_whole(self, instruction: Instruction, *pointers: Value) -> None:
        """Refuse `instruction` where a shadow it would follow may be null."""
        for pointer in pointers:
            if pointer.type.is_pointer and self.activity.is_partial(pointer):
                raise self.context.partial(instruction, self.activity.unshadowed(pointer))

    def _mirrors_integers(self, instruction: Store) -> bool:
        content = self.contents.behind(instruction.pointer)
        return content.pointers or not self.contents.accesses_floats(instruction)

    def _visit_call(self, call: Call) -> None:
        effect = called_effect(call)
        if effect is not Effect.REFERENCE_COUNT:
            self._require_whole(call, *call.arguments)
        if is_internal_call(call):
            return
        match effect:
            case Effect.ALLOCATION if self._is_shadowed(call):
                self._visit_allocation(call)
            case Effect.OUTSIDE if any(self._is_shadowed(a) for a in call.arguments):
                raise self.context.unsupported(
                    call,
                    "differentiated numbers go through a block of object mode, or into an array that it sees",
                    "move the block out of the function, or give it copies and take nothing out of it",
                )
            case Effect.CONTAINER if self._is_shadowed(call):
                self.result.growths.append(self._place_twin(call))
            case Effect.REALLOCATION if is_growth(call) and self._is_shadowed(call.operands[0]):
                self.result.growths.append(self._place_twin(call, of=call.operands[0]))
            case Effect.MEMINFO_DATA if self._is_shadowed(call):
                self._place_twin(call, of=call.operands[0])
            case Effect.REFERENCE_COUNT | Effect.STRUCTURE if self._is_shadowed(call.operands[0]):
                twin = clone_instruction(call, {})
                twin.set_operand(0, self.shadow(call.operands[0], call))
                self._insert_after(call, twin)
            case Effect.MEMCPY | Effect.MEMMOVE | Effect.MEMSET if self._is_shadowed(call.operands[0]):
                self._visit_transfer(call, effect)
            case Effect.DEALLOCATION if self.mirror_floats:
                # In reverse mode the block outlives the forward sweep: the plan takes the call out.
                rule = find_memory_rule(call.callee_name or "")
                assert isinstance(rule, Deallocation)
                if self._is_shadowed(call.operands[rule.block]):
                    twin = clone_instruction(call, {})
                    twin.set_operand(rule.block, self.shadow(call.operands[rule.block], call))
                    self._insert_after(call, twin)
            case _ if self._is_shadowed(call):
                raise self.context.unsupported(call, "differentiated memory comes out of this call")
            case _:
                pass

    def _place_twin(self, call: Call, of: Value | None = None) -> Call:
        """Make the call again for the shadow, of what it is given first, and let that be its result's."""
        twin = clone_instruction(call, {})
        assert isinstance(twin, Call)
        twin.name = f"{call.name}.shadow"
        if of is not None:
            twin.set_operand(0, self.shadow(of, call))
        self._place(call, twin)
        return twin

    def _visit_allocation(self, call: Call) -> None:
        """Allocate the shadow and clear it; the check for null comes with the sweep."""
        twin = clone_instruction(call, {})
        twin.name = f"{call.name}.shadow"
        self._place(call, twin)
        self.result.allocations[call] = twin

    def _visit_transfer(self, call: Call, effect: Effect) -> None:
        if self.result.interleaving.is_mixed(call):
            self._visit_mixed_transfer(call)
            return
        content = self.contents.behind(call.operands[0])
        if not self.mirror_floats and not self._holds_one_kind(call, effect):
            layout = Layout.attached_to(call)
            if layout is not None:
                self._mirror_pointers(call, effect, layout)
                return
            if not self._is_seen(call, effect):
                raise self.context.unsupported(
                    call,
                    "a block of data is moved of which nothing tells whether it holds numbers",
                    "copy it element by element",
                )
        if content.floats and not self.mirror_floats:
            if not (content.pointers or content.integers):
                return
            moved = call.operands[:1] if effect is Effect.MEMSET else call.operands[:2]
            if not content.pointers and all(self._is_private(pointer) for pointer in moved):
                return  # in such a shadow, what is no float is zero
            if effect is not Effect.MEMSET or not self._is_fresh(call.operands[0]):
                raise self.context.unsupported(call, "a block of floats mixed with other data is moved")
            # The shadow of local memory holds no cotangents yet: clearing all of it clears the rest.
        twin = clone_instruction(call, {})
        twin.set_operand(0, self.shadow(call.operands[0], call))
        if effect is Effect.MEMSET:
            twin.set_operand(1, const_int(I8, 0) if content.floats else call.operands[1])
        elif self._is_shadowed(call.operands[1]):
            twin.set_operand(1, self.shadow(call.operands[1], call))
        elif content.floats:
            at = self._after(call)
            self.result.mirrored.add(
                fill_bytes(
                    self.module, at, self.shadow(call.operands[0], call), const_int(I8, 0), call.operands[2]
                )
            )
            return
        self._insert_after(call, twin)

    def _holds_one_kind(self, call: Call, effect: Effect) -> bool:
        """Whether the whole of the memory in which a block is moved is known to hold floats of one type."""
        layout = Layout.attached_to(call)
        if self.contents.behind(call.operands[0]).only_float is None:
            return False
        if layout is not None:
            return layout.only_type is not None
        return self._is_seen(call, effect)

    def _is_seen(self, call: Call, effect: Effect) -> bool:
        """Whether what accesses show of one side of a move is all that there is."""
        moved = call.operands[:1] if effect is Effect.MEMSET else call.operands[:2]
        objects = self.activity.objects
        return any(
            self._is_private(pointer) or all(is_described(o, objects) for o in objects.of(pointer))
            for pointer in moved
        )

    def _mirror_pointers(self, call: Call, effect: Effect, layout: Layout) -> None:
        """Move the shadows of the pointers among the fields of a block: the reverse sweep follows them."""
        at = self._after(call)
        cleared = effect is Effect.MEMSET or not self._is_shadowed(call.operands[1])
        target = self.shadow(call.operands[0], call)
        source = target if cleared else self.shadow(call.operands[1], call)
        size = call.operands[2]
        if call.callee_name == CARRY and not cleared:
            size = at.call(declare_carried(self.module), [source, size])
            assert isinstance(size, Call)
            self.result.mirrored.add(size)
        for offset, type in layout.fields:
            if not type.is_pointer:
                continue
            ends = [at.gep(I8, end, [offset]) for end in (target, source)]
            function = self.context.require(field_function("clear" if cleared else "copy", type))
            before = at.index or 0
            reach = reach_of(at, size, offset, WORD, layout.step)
            self.result.mirrored.update(at.block.instructions[before : at.index])
            new = at.call(function, [*ends, reach, const_int(I64, layout.step)])
            self.result.mirrored.update((*ends, new))

    def _is_private(self, pointer: Value) -> bool:
        """Whether `pointer` leads to memory of this call that no function kept out of line has seen."""
        return all(
            o.storage in (Storage.STACK, Storage.HEAP) and o not in self.seen
            for o in self.activity.objects.of(pointer)
        )

    def _is_fresh(self, pointer: Value) -> bool:
        """Whether `pointer` leads to memory of this call only."""
        return all(
            o.storage in (Storage.STACK, Storage.HEAP, Storage.RETURNED)
            for o in self.activity.objects.of(pointer)
        )
