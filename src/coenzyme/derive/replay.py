"""Loops whose iterations the reverse sweep runs again, one by one, instead of taping them all.

Each iteration of ``for i in range(n)`` that fills scratch arrays, computes in inner loops, and leaves nothing
behind but outputs and a term of a sum can be run by itself. Its body becomes a function; the reverse sweep
calls that function's derivative for one iteration after another. What the inner loops tape is read while it
is in the cache, and takes the room of one iteration instead of n.

What must hold: all that an iteration reads is, when the reverse sweep comes to it, what it was, or is written
by the same iteration before; what an iteration writes beside scratch, it does not read.
Source: Griewank & Walther, "Evaluating Derivatives" (2008), ch. 12, for the trade of a recomputation for
memory; Hascoët, Fidanova & Held, "Adjoining independent computations" (2001), for independent iterations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.coverage import Coverage
from coenzyme.analysis.dependence import Dependences
from coenzyme.analysis.induction import Recurrence
from coenzyme.analysis.loop_sums import LoopSum, find_loop_sums
from coenzyme.analysis.objects import MemoryObject, Objects, Storage, called_effect
from coenzyme.analysis.overwritten import Aliasing, Overwrites, find_overwrites
from coenzyme.analysis.passes import Pass
from coenzyme.analysis.ranges import Ranges
from coenzyme.derive.normalise import Shape
from coenzyme.derive.subscripts import find_ranges, find_recurrences
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import (
    Alloca,
    Block,
    Call,
    Function,
    Instruction,
    Load,
    Module,
    Phi,
    Return,
    Store,
)
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I32, I64, PTR, FunctionType, IntType, Type
from coenzyme.ir.values import Argument, Constant, ConstantNull, Value
from coenzyme.rules import Allocation, Effect, find_memory_rule

__all__ = ["drop_hidden_stores", "outline_iterations", "stands_alone"]

HIDDEN = "coenzyme.hidden"
"""Marks stores that a repeated iteration does not do again."""

_READING_NOTHING = (
    Effect.ALLOCATION,
    Effect.DEALLOCATION,
    Effect.REFERENCE_COUNT,
    Effect.MEMINFO_DATA,
    Effect.MEMSET,
)
_KNOWN = (Storage.ARGUMENT, Storage.STACK, Storage.HEAP, Storage.GLOBAL)


@dataclass(frozen=True)
class _Body:
    """A loop whose body can be a function.

    Attributes
    ----------
    sums
        Header phis that add up one term of each iteration.
    hidden
        Stores whose place is seen outside: they are not done again.
    """

    loop: Loop
    recurrences: Mapping[Phi, Recurrence]
    sums: Mapping[Phi, LoopSum]
    hidden: frozenset[Store]


def outline_iterations(
    module: Module,
    shape: Shape,
    activity: Activity,
    aliasing: Aliasing,
    passes: frozenset[Pass],
    numbers: count[int],
) -> bool:
    """Make functions of the bodies of loops whose iterations can be run again; say whether there are any.

    The function of `shape`, a private copy, is changed in place and has to be normalised again.
    """
    search = _Search(shape, activity, aliasing, passes)
    bodies = [body for loop in shape.counted if (body := search.find(loop)) is not None]
    for body in bodies:
        _outline(module, shape, activity.objects, body, next(numbers))
    return bool(bodies)


class _Search:
    def __init__(self, shape: Shape, activity: Activity, aliasing: Aliasing, passes: frozenset[Pass]) -> None:
        self.shape = shape
        self.activity = activity
        self.objects = activity.objects
        self.recurrences = find_recurrences(shape)
        self.ranges: Ranges = find_ranges(shape, self.recurrences)
        self.coverage = Coverage(self.ranges, shape.flow, shape.dominators)
        live = shape.exits.live
        dependences = Dependences(self.ranges, live) if Pass.SURVIVAL in passes else None
        self.overwrites: Overwrites = find_overwrites(live, self.objects, aliasing, dependences)

    def find(self, loop: Loop) -> _Body | None:
        """Return how `loop` is outlined, or None where it cannot be, or need not."""
        counted = self.shape.counted[loop]
        if loop.parent is not None or not loop.children or counted.last is None:
            return None
        if [a for a, _ in loop.exiting_edges] != [loop.latch] or not loop.blocks <= self.shape.live:
            return None
        instructions = [i for block in loop.ordered_blocks for i in block.instructions]
        if not all(self._is_plain(i) for i in instructions) or not self._tapes_much(loop):
            return None
        sums = self._sums(loop)
        if sums is None:
            return None
        hidden = self._hidden(loop, instructions)
        if hidden is None:
            return None
        recurrences = {p: self.recurrences[p] for p in loop.header.phis if p in self.recurrences}
        return _Body(loop, recurrences, sums, hidden)

    def _is_plain(self, instruction: Instruction) -> bool:
        """Whether `instruction` handles numbers in memory that is known, and has no other effect."""
        match instruction:
            case Load() | Store():
                value = instruction if isinstance(instruction, Load) else instruction.value
                targets = self.objects.of(instruction.pointer)
                return not value.type.is_pointer and all(o.storage in _KNOWN for o in targets)
            case Call():
                return _is_pure(instruction)
            case _:
                return instruction.opcode not in ("alloca", "atomicrmw", "cmpxchg", "fence")

    def _tapes_much(self, loop: Loop) -> bool:
        """Whether inner loops read what they or others overwrite: each iteration would tape as much."""
        return any(
            isinstance(i, Load) and self.activity.is_active(i) and i in self.overwrites.loads
            for child in loop.children
            for block in child.blocks
            for i in block.instructions
        )

    def _sums(self, loop: Loop) -> dict[Phi, LoopSum] | None:
        """Return the sums over the iterations, where nothing else goes from one to the next or outside."""
        sums = {phi: found for phi, found in find_loop_sums(loop).items() if found.total.opcode == "fadd"}
        counter = self.shape.counted[loop].index
        carried = [phi for phi in loop.header.phis if phi is not counter and phi not in self.recurrences]
        if any(phi not in sums for phi in carried):
            return None
        additions = {sums[phi].total for phi in carried}
        for block in loop.blocks:
            for instruction in block.instructions:
                if instruction in additions or instruction is counter:
                    continue
                if any(
                    user.block is not None and user.block not in loop.blocks for user in instruction.users
                ):
                    return None
        return {phi: sums[phi] for phi in carried}

    def _hidden(self, loop: Loop, instructions: Iterable[Instruction]) -> frozenset[Store] | None:
        """Return the stores not to be done again, or None where an iteration cannot be run again."""
        stores = [i for i in instructions if isinstance(i, Store)]
        written = {o for store in stores for o in self.objects.of(store.pointer)}
        scratch = {o for o in written if self._is_seen_inside_only(o, loop)}
        hidden: set[Store] = set()
        for store in stores:
            targets = set(self.objects.of(store.pointer))
            if not targets or not (targets <= scratch or targets.isdisjoint(scratch)):
                return None
            if targets.isdisjoint(scratch):
                hidden.add(store)
        for block in loop.ordered_blocks:
            for instruction in block.instructions:
                if not isinstance(instruction, Load):
                    continue
                targets = set(self.objects.of(instruction.pointer))
                if not targets:
                    return None
                stays = instruction not in (*self.overwrites.loads, *self.overwrites.conditional)
                if stays and targets.isdisjoint(written):
                    continue
                if not targets <= scratch or not self._is_covered(instruction, stores):
                    return None
        return frozenset(hidden)

    def _is_seen_inside_only(self, item: MemoryObject, loop: Loop) -> bool:
        """Whether `item` is local and what is in it is read in `loop` alone."""
        if item.storage not in (Storage.STACK, Storage.HEAP) or self.objects.contents.get(item):
            return False
        if any(item in held for held in self.objects.contents.values()):
            # A block's payload, and nothing else, may lead there.
            return False
        for block in self.shape.exits.live:
            if block in loop.blocks:
                continue
            for instruction in block.instructions:
                if isinstance(instruction, Load) and item in self.objects.of(instruction.pointer):
                    return False
                if isinstance(instruction, Call) and self._may_read(instruction, item):
                    return False
        return True

    def _may_read(self, call: Call, item: MemoryObject) -> bool:
        return called_effect(call) not in _READING_NOTHING and any(
            item in self.objects.of(a) for a in call.arguments if a.type.is_pointer
        )

    def _is_covered(self, load: Load, stores: Iterable[Store]) -> bool:
        extent = self._extent(load)
        return any(self.coverage.covers(store, load, extent) for store in stores)

    def _extent(self, load: Load) -> Polynomial | None:
        """Return the bytes of the block that `load` reads from its start on, where that is plain."""
        targets = self.objects.of(load.pointer)
        pointers = [v for v in self.ranges.polynomials.of(load.pointer).values if v.type.is_pointer]
        if len(targets) != 1 or len(pointers) != 1:
            return None
        (item,) = targets
        origin, start = item.origin, pointers[0]
        if isinstance(start, Call) and start is not origin:
            start = start.arguments[0]
        if not isinstance(origin, Call) or start is not origin:
            return None
        rule = find_memory_rule(origin.callee_name or "")
        if not isinstance(rule, Allocation):
            return None
        size = Polynomial({(): 1})
        for number in rule.size:
            size *= self.ranges.polynomials.of(origin.arguments[number])
        return size


def _is_pure(call: Call) -> bool:
    """Whether `call` does nothing but compute a number: it draws no random one, and prints none."""
    match called_effect(call):
        case Effect.DIFFERENTIABLE | Effect.ZERO_DERIVATIVE:
            return True
        case Effect.INACTIVE:
            intrinsic = (call.callee_name or "").startswith("llvm.")
            return intrinsic and not any(a.type.is_pointer for a in call.arguments)
        case _:
            return False


def _outline(module: Module, shape: Shape, objects: Objects, body: _Body, number: int) -> None:
    """Make a function of one iteration, and a call of it the whole body of the loop."""
    loop = body.loop
    inside: set[Value] = {i for block in loop.blocks for i in block.instructions}
    used = [v for r in body.recurrences.values() for v in (r.start, r.step)]
    kept = [i for block in loop.ordered_blocks for i in block.instructions if i not in body.sums]
    used += [o for i in kept for o in i.operands]
    captured = [v for v in dict.fromkeys(used) if not isinstance(v, Constant) and v not in inside]
    parameters = [Argument(PTR, "result", 0), Argument(PTR, "excinfo", 1), Argument(I64, "index", 2)]
    parameters += [Argument(PTR, f"term.{n}", 0) for n in range(len(body.sums))]
    parameters += [Argument(v.type, f"outer.{n}", 0) for n, v in enumerate(captured)]
    for position, parameter in enumerate(parameters):
        parameter.index = position
    function = module.add_function(
        Function(
            f"{shape.function.name}.iteration.{number}",
            FunctionType(I32, tuple(p.type for p in parameters)),
            parameters,
            "internal",
            "nounwind",
        )
    )
    first = 3 + len(body.sums)
    _fill(function, shape, body, dict(zip(captured, parameters[first:], strict=True)))
    written = {o for i in inside if isinstance(i, Store) for o in objects.of(i.pointer)}
    pointers = [(n, v) for n, v in enumerate(captured, first) if v.type.is_pointer]
    spared = [n for n, v in pointers if written.isdisjoint(objects.of(v))]
    function.spared = frozenset([0, 1, *spared])
    function.replayed = True
    function.is_foreign = shape.function.is_foreign
    _replace_body(shape, body, function, captured)


def _fill(function: Function, shape: Shape, body: _Body, mapping: dict[Value, Value]) -> None:
    """Give `function` the body of one iteration."""
    loop = body.loop
    index = function.arguments[2]
    mapping[shape.counted[loop].index] = index
    entry = function.add_block(Block("entry"))
    at = Builder(entry)
    for phi, recurrence in body.recurrences.items():
        start, step = (mapping.get(v, v) for v in (recurrence.start, recurrence.step))
        steps: Value = at.mul(_as_type(at, index, step.type), step)
        if recurrence.element is None:
            mapping[phi] = at.add(start, steps)
        else:
            mapping[phi] = at.gep(recurrence.element, start, [steps])
    blocks = {block: function.add_block(Block(block.name)) for block in loop.ordered_blocks}
    at.branch(blocks[loop.header])
    term_of: dict[Instruction, tuple[int, Value]] = {
        found.total: (n, found.term) for n, found in enumerate(body.sums.values())
    }
    clones: list[Instruction] = []
    for block, twin in blocks.items():
        for instruction in block.instructions:
            if instruction in mapping or instruction in body.sums:
                continue
            if block is loop.latch and instruction.is_terminator:
                new: Instruction = Return(const_int(I32, 0))
            elif instruction in term_of:
                number, term = term_of[instruction]
                new = Store(mapping.get(term, term), function.arguments[3 + number])
            else:
                new = clone_instruction(instruction, mapping, blocks)
                mapping[instruction] = new
            if instruction in body.hidden:
                new.metadata[HIDDEN] = ""
            twin.append(new)
            clones.append(new)
    for new in clones:
        for position, operand in enumerate(new.operands):
            if operand in mapping:
                new.set_operand(position, mapping[operand])


def _as_type(at: Builder, index: Value, type: Type) -> Value:
    assert isinstance(type, IntType)
    if type.width == I64.width:
        return index
    return at.cast("trunc" if type.width < I64.width else "zext", index, type)


def _replace_body(shape: Shape, body: _Body, function: Function, captured: Sequence[Value]) -> None:
    """Make a call of `function` the body of the loop."""
    loop = body.loop
    header, latch, preheader = loop.header, loop.latch, loop.preheader
    counted = shape.counted[loop]
    assert latch is not None
    assert preheader is not None
    assert counted.last is not None
    (target,) = loop.exit_blocks
    entry = shape.function.entry
    slots = [Alloca(phi.type, const_int(I32, 1), f"{phi.name}.term") for phi in body.sums]
    for slot in slots:
        entry.insert(0, slot)
    excinfo = shape.function.arguments[1]
    repeated = shape.function.add_block(Block(f"{header.name}.repeated"))
    phis = [counted.index, *body.sums]
    twins = [Phi(phi.type, [(phi.value_from(preheader), preheader)], phi.name) for phi in phis]
    for phi, twin in zip(phis, twins, strict=True):
        repeated.append(twin)
        phi.replace_all_uses_with(twin)
    index = twins[0]
    at = Builder(repeated)
    at.call(function, [ConstantNull(), excinfo, index, *slots, *captured])
    for slot, twin, found in zip(slots, twins[1:], body.sums.values(), strict=True):
        total = at.fadd(twin, at.load(twin.type, slot), flags=found.total.flags)
        found.total.replace_all_uses_with(total)
        twin.add_incoming(total, repeated)
    following = at.add(index, const_int(I64, 1), flags=("nuw", "nsw"))
    index.add_incoming(following, repeated)
    at.cond_branch(at.icmp("eq", index, counted.last), target, repeated)
    preheader.terminator.replace_target(header, repeated)
    for phi in target.phis:
        phi.incoming = [repeated if b is latch else b for b in phi.incoming]
    for block in loop.ordered_blocks:
        for instruction in block.instructions:
            instruction.drop_operands()
    for block in loop.ordered_blocks:
        shape.function.blocks.remove(block)


def stands_alone(call: Call) -> bool:
    """Whether `call` is run again in the reverse sweep, and leaves its caller nothing but terms of sums."""
    callee = call.callee
    if not isinstance(callee, Function) or not callee.replayed:
        return False
    return not any(HIDDEN in i.metadata for i in callee.instructions())


def drop_hidden_stores(function: Function) -> None:
    """Remove from a repeated iteration the stores whose place is seen outside: they have been done."""
    for block in function.blocks:
        for instruction in list(block.instructions):
            if HIDDEN in instruction.metadata:
                instruction.erase()
