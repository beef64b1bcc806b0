"""Arithmetic on vectors becomes arithmetic on their elements.

A value of a vector type is replaced by one value for each element, its *lanes*; a load or a store by one for
each lane. What is not known to act on each lane by itself (calls of functions that take vectors, instructions
of one machine) stays as it is and is given vectors put together from lanes.

Precondition: bytes lie in memory as on little-endian machines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from coenzyme.ir.bits import alignment_at, bytes_of, from_bits, join_bits, to_bits, width_of
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.cfg import ControlFlow, remove_unreachable
from coenzyme.ir.instructions import (
    Alloca,
    Binary,
    Call,
    Cast,
    Compare,
    ExtractElement,
    Freeze,
    Function,
    GetElementPtr,
    InsertElement,
    Instruction,
    Load,
    Module,
    Phi,
    Select,
    ShuffleVector,
    Store,
    Unary,
)
from coenzyme.ir.types import I32, I64, ArrayType, IntType, Type, VectorType
from coenzyme.ir.values import (
    Argument,
    Constant,
    ConstantAggregate,
    ConstantExpression,
    ConstantInt,
    ConstantZero,
    Poison,
    Undef,
    Value,
)
from coenzyme.ir.vector_calls import scalarise_call

__all__ = ["holds_vectors", "scalarise"]

_VECTOR = re.compile(r"<\d+ x ")


def holds_vectors(text: str) -> bool:
    """Return whether LLVM `text` seems to hold vectors: a quick look, which strings may deceive.

    Examples
    --------
    >>> holds_vectors("%a = fadd <2 x double> %b, %c"), holds_vectors("%a = fadd double %b, %c")
    (True, False)
    """
    return _VECTOR.search(text) is not None


def scalarise(module: Module) -> bool:
    """Take the vectors in the functions of `module` apart, in place, and return whether there were any."""
    found = False
    for function in list(module.functions.values()):
        if not function.is_declaration and any(_touches_vectors(i) for i in function.instructions()):
            remove_unreachable(function)
            Lanes(module, function).take_apart()
            found = True
    return found


def _touches_vectors(instruction: Instruction) -> bool:
    if isinstance(instruction.type, VectorType):
        return True
    if isinstance(instruction, Alloca):
        return _element(instruction.allocated_type) is not None
    if isinstance(instruction, GetElementPtr) and _element(instruction.source_type) is not None:
        return True
    return any(isinstance(o.type, VectorType) for o in instruction.operands)


def _element(type: Type) -> VectorType | None:
    """Return the vectors that `type` is an array of, or `type` itself."""
    while isinstance(type, ArrayType):
        type = type.element
    return type if isinstance(type, VectorType) else None


def _memory_type(type: Type) -> Type:
    """Return the array that lies in memory as `type` does, a vector or an array of vectors."""
    if isinstance(type, ArrayType):
        return ArrayType(type.count, _memory_type(type.element))
    if isinstance(type, VectorType) and not type.scalable and bytes_of(type.element) is not None:
        # A vector takes as many bytes as its alignment, a power of two, says.
        return ArrayType(1 << (type.count - 1).bit_length(), type.element)
    return type


class Lanes:
    """The lanes of the vectors of one function, and the pass that finds them.

    Attributes
    ----------
    module
        Where the intrinsics for scalars are declared.
    """

    def __init__(self, module: Module, function: Function) -> None:
        self.module = module
        self.function = function
        self.lanes: dict[Value, list[Value]] = {}
        self.joined: dict[Value, list[Value]] = {}
        """Scalars that were made of the bits of lanes, with these."""
        self.dead: dict[Instruction, None] = {}

    def take_apart(self) -> None:
        """Replace the vectors in the function."""
        flow = ControlFlow(self.function)
        instructions = [i for block in flow.reverse_postorder for i in block.instructions]
        for instruction in instructions:
            if _touches_vectors(instruction) and self._replace(instruction):
                self.dead[instruction] = None
        for phi in [i for i in self.dead if isinstance(i, Phi)]:
            for value, block in phi.pairs:
                for new, lane in zip(self.lanes[phi], self.of(value), strict=True):
                    assert isinstance(new, Phi)
                    new.add_incoming(lane, block)
        gone = self.dead
        for instruction in gone:
            instruction.drop_operands()
        assert not any(i.users for i in gone)
        for block in self.function.blocks:
            block.instructions = [i for i in block.instructions if i not in gone]

    # -- lanes

    def of(self, value: Value) -> list[Value]:
        """Return the lanes of a vector."""
        found = self.lanes.get(value)
        if found is None:
            type = value.type
            assert isinstance(type, VectorType)
            if isinstance(value, Constant):
                return _constant_lanes(value, type)
            found = self.lanes[value] = self._extract(value, type)
        return found

    def spread(self, value: Value, count: int) -> list[Value]:
        """Return the lanes of a vector, or a scalar as often."""
        return self.of(value) if isinstance(value.type, VectorType) else [value] * count

    def _extract(self, value: Value, type: VectorType) -> list[Value]:
        """Return the lanes of a vector that stays one."""
        if isinstance(value, Argument):
            at = Builder(self.function.entry, 0)
        else:
            assert isinstance(value, Instruction)
            assert value.block is not None
            at = Builder(value.block, value.block.instructions.index(value) + 1)
            at.metadata = _line_of(value)
        numbers = [const_int(I64, k) for k in range(type.count)]
        return [
            at.insert(ExtractElement("extractelement", type.element, [value, k], f"{value.name}.{k.value}"))
            for k in numbers
        ]

    def _put_together(self, value: Value, at: Builder) -> Value:
        """Return the vector of the lanes that `value` was taken apart into."""
        whole: Value = Poison(value.type)
        for k, lane in enumerate(self.lanes[value]):
            name = f"{value.name}.to.{k}"
            whole = at.insert(
                InsertElement("insertelement", value.type, [whole, lane, const_int(I64, k)], name)
            )
        return whole

    # -- instructions

    def _replace(self, instruction: Instruction) -> bool:
        """Make what does the same as `instruction` on lanes; return whether that was possible."""
        operands = [instruction, *instruction.operands]
        if any(isinstance(o.type, VectorType) and o.type.scalable for o in operands):
            return False
        if isinstance(instruction, Alloca):
            instruction.allocated_type = _memory_type(instruction.allocated_type)
            return False
        if isinstance(instruction, GetElementPtr):
            instruction.source_type = _memory_type(instruction.source_type)
            if not isinstance(instruction.type, VectorType):
                return False
        done = self._replace_scalar_wise(instruction)
        if not done:
            at = Builder.before(instruction)
            at.metadata = _line_of(instruction)
            for index, operand in enumerate(instruction.operands):
                if operand in self.lanes and operand in self.dead:
                    instruction.set_operand(index, self._put_together(operand, at))
        return done

    def _replace_scalar_wise(self, instruction: Instruction) -> bool:
        match instruction:
            case Phi():
                self._replace_phi(instruction)
            case Load():
                return self._replace_load(instruction)
            case Store():
                return self._replace_store(instruction)
            case Cast() if instruction.opcode == "bitcast":
                return self._replace_bitcast(instruction)
            case Binary() | Unary() | Compare() | Cast() | Select() | Freeze() | GetElementPtr():
                self._replace_each(instruction)
            case ExtractElement():
                return self._replace_extract(instruction)
            case InsertElement():
                return self._replace_insert(instruction)
            case ShuffleVector():
                return self._replace_shuffle(instruction)
            case Call():
                return scalarise_call(self, instruction)
            case _:
                return False
        return True

    def _replace_phi(self, phi: Phi) -> None:
        assert isinstance(phi.type, VectorType)
        at = Builder.before(phi)
        made: list[Value] = []
        for k in range(phi.type.count):
            new = at.insert(Phi(phi.type.element, (), f"{phi.name}.{k}", phi.flags))
            new.metadata = dict(phi.metadata)
            made.append(new)
        self.lanes[phi] = made

    def _replace_each(self, instruction: Instruction) -> None:
        """Do what `instruction` does to its operands to their lanes."""
        type = instruction.type
        assert isinstance(type, VectorType)
        operands = [self.spread(o, type.count) for o in instruction.operands]
        at = Builder.before(instruction)
        made: list[Value] = []
        for k in range(type.count):
            lane, name = [o[k] for o in operands], f"{instruction.name}.{k}"
            new: Instruction
            if isinstance(instruction, Compare):
                new = Compare(
                    instruction.opcode, instruction.predicate, type.element, lane, name, instruction.flags
                )
            elif isinstance(instruction, GetElementPtr):
                new = GetElementPtr(
                    instruction.source_type, lane[0], lane[1:], name, instruction.flags, type.element
                )
            else:
                kind = instruction.__class__
                new = kind(instruction.opcode, type.element, lane, name, instruction.flags)
            new.metadata = dict(instruction.metadata)
            made.append(at.insert(new))
        self.lanes[instruction] = made

    # -- memory

    def places(self, at: Builder, pointer: Value, type: VectorType) -> list[Value]:
        """Return the addresses of the elements of a vector in memory."""
        return [
            at.gep(type.element, pointer, [const_int(I64, k)], ("inbounds",)) if k else pointer
            for k in range(type.count)
        ]

    def _replace_load(self, load: Load) -> bool:
        type = load.type
        assert isinstance(type, VectorType)
        width = width_of(type.element)
        if width is None or load.ordering:
            return False
        at = Builder.before(load)
        if bytes_of(type.element) is None:
            # The bits lie side by side, as those of an integer.
            whole = at.insert(Load(IntType(width * type.count), load.pointer, "", load.align, load.flags))
            whole.metadata = dict(load.metadata)
            self.lanes[load] = self._split(at, whole, type)
            return True
        self.lanes[load] = self._load_lanes(at, load, type)
        return True

    def _load_lanes(self, at: Builder, load: Load, type: VectorType) -> list[Value]:
        size = bytes_of(type.element) or 1
        found: list[Value] = []
        for k, place in enumerate(self.places(at, load.pointer, type)):
            name, align = f"{load.name}.{k}", alignment_at(load.align, k * size)
            new = at.insert(Load(type.element, place, name, align, load.flags))
            new.metadata = dict(load.metadata)
            found.append(new)
        return found

    def _replace_store(self, store: Store) -> bool:
        type = store.value.type
        assert isinstance(type, VectorType)
        width = width_of(type.element)
        if width is None or store.ordering:
            return False
        lanes = self.of(store.value)
        at = Builder.before(store)
        if bytes_of(type.element) is None:
            whole = join_bits(at, lanes, IntType(width * type.count))
            new = at.insert(Store(whole, store.pointer, store.align, store.flags))
            new.metadata = dict(store.metadata)
            return True
        self._store_lanes(at, store, lanes, type)
        return True

    def _store_lanes(self, at: Builder, store: Store, lanes: Sequence[Value], type: VectorType) -> None:
        size = bytes_of(type.element) or 1
        for k, (lane, place) in enumerate(zip(lanes, self.places(at, store.pointer, type), strict=True)):
            new = at.insert(Store(lane, place, alignment_at(store.align, k * size), store.flags))
            new.metadata = dict(store.metadata)

    # -- parts

    def _replace_extract(self, extract: Instruction) -> bool:
        vector, index = extract.operands
        lanes = self.of(vector)
        extract.replace_all_uses_with(self.pick(Builder.before(extract), lanes, index))
        return True

    def pick(self, at: Builder, lanes: Sequence[Value], index: Value) -> Value:
        """Return the lane of this number."""
        if isinstance(index, ConstantInt):
            return lanes[index.value] if 0 <= index.value < len(lanes) else Poison(lanes[0].type)
        found = lanes[-1]
        for k in range(len(lanes) - 2, -1, -1):
            found = at.select(at.icmp("eq", index, const_int(index.type, k)), lanes[k], found)
        return found

    def _replace_insert(self, insert: Instruction) -> bool:
        vector, element, index = insert.operands
        lanes = list(self.of(vector))
        if isinstance(index, ConstantInt):
            if not 0 <= index.value < len(lanes):
                return False
            lanes[index.value] = element
        else:
            at = Builder.before(insert)
            lanes = [
                at.select(at.icmp("eq", index, const_int(index.type, k)), element, lane)
                for k, lane in enumerate(lanes)
            ]
        self.lanes[insert] = lanes
        return True

    def _replace_shuffle(self, shuffle: Instruction) -> bool:
        a, b, mask = shuffle.operands
        assert isinstance(shuffle.type, VectorType)
        assert isinstance(mask, Constant)
        lanes = [*self.of(a), *self.of(b)]
        element = shuffle.type.element
        self.lanes[shuffle] = [
            lanes[k.value] if isinstance(k, ConstantInt) and 0 <= k.value < len(lanes) else Poison(element)
            for k in self.of(mask)
        ]
        return True

    # -- bits

    def _replace_bitcast(self, cast: Instruction) -> bool:
        source = cast.operands[0]
        before, after = source.type, cast.type
        if isinstance(before, VectorType) and isinstance(after, VectorType):
            return self._recast(cast, before, after)
        if isinstance(after, VectorType):
            if width_of(before) is None or width_of(after.element) is None:
                return False
            self.lanes[cast] = self._split_scalar(cast, source, after)
            return True
        assert isinstance(before, VectorType)
        if width_of(after) is None or width_of(before.element) is None:
            return False
        lanes = self.of(source)
        for user in [u for u in cast.users if isinstance(u, Store) and u.value is cast and not u.ordering]:
            if user.pointer is not cast and bytes_of(before.element) is not None:
                self._store_lanes(Builder.before(user), user, lanes, before)
                user.erase()
        if cast.users:
            whole = join_bits(Builder.before(cast), lanes, after)
            self.joined[whole] = lanes
            cast.replace_all_uses_with(whole)
        return True

    def _recast(self, cast: Instruction, before: VectorType, after: VectorType) -> bool:
        if before.count == after.count:
            lanes = self.of(cast.operands[0])
            at = Builder.before(cast)
            self.lanes[cast] = [at.cast("bitcast", lane, after.element) for lane in lanes]
            return True
        from_width, to_width = width_of(before.element), width_of(after.element)
        if from_width is None or to_width is None:
            return False
        lanes = self.of(cast.operands[0])
        at = Builder.before(cast)
        if from_width % to_width == 0:
            part = VectorType(from_width // to_width, after.element)
            self.lanes[cast] = [piece for lane in lanes for piece in self._split(at, lane, part)]
        elif to_width % from_width == 0:
            step = to_width // from_width
            self.lanes[cast] = [
                join_bits(at, lanes[k : k + step], after.element) for k in range(0, len(lanes), step)
            ]
            for k, whole in enumerate(self.lanes[cast]):
                self.joined[whole] = lanes[k * step : (k + 1) * step]
        else:
            whole = join_bits(at, lanes, IntType(from_width * before.count))
            self.lanes[cast] = self._split(at, whole, after)
        return True

    def _split_scalar(self, cast: Instruction, source: Value, type: VectorType) -> list[Value]:
        alone = isinstance(source, Load) and not source.ordering and list(source.users) == [cast]
        if isinstance(source, Load) and alone and bytes_of(type.element) is not None:
            at = Builder.before(source)
            self.dead[source] = None
            return self._load_lanes(at, source, type)
        return self._split(Builder.before(cast), source, type)

    def _split(self, at: Builder, whole: Value, type: VectorType) -> list[Value]:
        """Return the bits of a scalar as the lanes of a vector of `type`."""
        origin = whole
        while isinstance(origin, Cast | Freeze) and origin not in self.joined:
            if origin.opcode not in ("bitcast", "freeze"):
                break
            origin = origin.operands[0]
        known = self.joined.get(origin)
        if known is not None and len(known) == type.count and known[0].type == type.element:
            return known
        width = width_of(type.element)
        assert width is not None
        bits = to_bits(at, whole)
        found: list[Value] = []
        for k in range(type.count):
            shifted = at.lshr(bits, const_int(bits.type, k * width)) if k else bits
            found.append(from_bits(at, at.cast("trunc", shifted, IntType(width)), type.element))
        return found


def _line_of(instruction: Instruction) -> dict[str, str]:
    return {kind: node for kind, node in instruction.metadata.items() if kind == "dbg"}


def _constant_lanes(value: Constant, type: VectorType) -> list[Value]:
    match value:
        case ConstantAggregate():
            return list(value.elements)
        case ConstantZero():
            return [zero(type.element)] * type.count
        case Undef():
            return [Undef(type.element)] * type.count
        case Poison():
            return [Poison(type.element)] * type.count
        case _:
            return [
                ConstantExpression("extractelement", type.element, (value, ConstantInt(I32, k)))
                for k in range(type.count)
            ]
