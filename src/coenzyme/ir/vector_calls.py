"""Calls of LLVM's intrinsics for vectors as calls, operations and branches for their lanes.

Source: LLVM Language Reference Manual, "Vector Reduction Intrinsics", "Masked Vector Load and Store
Intrinsics", "Masked Vector Gather and Scatter Intrinsics".
"""

# ruff: noqa: SIM905 - names are easier to compare with the manual as words of a sentence

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from coenzyme.ir.bits import alignment_at, bytes_of
from coenzyme.ir.builder import Builder
from coenzyme.ir.cfg import split_block_at
from coenzyme.ir.instructions import Block, Call, Load, Phi, Store
from coenzyme.ir.types import FunctionType, IntType, Type, VectorType
from coenzyme.ir.values import ConstantInt, Poison, Value

if TYPE_CHECKING:
    from coenzyme.ir.scalarise import Lanes

__all__ = ["scalarise_call"]

_LANE_BY_LANE = frozenset(
    "fabs sqrt sin cos tan asin acos atan atan2 sinh cosh tanh exp exp2 exp10 log log2 log10 pow powi fma"
    " fmuladd minnum maxnum minimum maximum minimumnum maximumnum copysign floor ceil trunc rint nearbyint"
    " round roundeven lrint llrint lround llround ldexp canonicalize is.fpclass fptosi.sat fptoui.sat"
    " abs smax smin umax umin ctpop ctlz cttz bswap bitreverse fshl fshr sadd.sat uadd.sat ssub.sat usub.sat"
    " sshl.sat ushl.sat arithmetic.fence".split()
)
"""Intrinsics that do the same to each lane."""

_FOLDS = frozenset("fadd fmul add mul and or xor".split())
"""Reductions by instructions."""

_FOLD_CALLS = {
    **{name: name for name in "smax smin umax umin".split()},
    "fmax": "maxnum",
    "fmin": "minnum",
    "fmaximum": "maximum",
    "fminimum": "minimum",
}
"""Reductions by intrinsics."""

_ALIGN = re.compile(r"\balign (\d+)")
_SUFFIXES = {"double": "f64", "float": "f32", "half": "f16", "bfloat": "bf16"}
_TYPE_SUFFIX = re.compile(r"(v\d+)?(f\d+|bf16|i\d+|p\d+)\Z")
_X86_EXTREMA = re.compile(r"llvm\.x86\.(?:sse|sse2|avx)\.(max|min)\.p[sd](?:\.256)?\Z")


def scalarise_call(lanes: Lanes, call: Call) -> bool:
    """Replace a call by what it does to lanes, and return whether that is known."""
    name = call.callee_name or ""
    if not name.startswith("llvm."):
        return False
    base, suffixes = _split_name(name)
    if base in _LANE_BY_LANE and isinstance(call.type, VectorType):
        _replace_each(lanes, call, call.type, base, suffixes)
    elif base.startswith("vector.reduce."):
        return _replace_reduction(lanes, call, base.removeprefix("vector.reduce."))
    elif base in ("masked.load", "masked.gather"):
        return _replace_masked_load(lanes, call)
    elif base in ("masked.store", "masked.scatter"):
        return _replace_masked_store(lanes, call)
    elif base in ("vector.extract", "vector.insert"):
        _replace_part(lanes, call)
    elif base in ("vector.reverse", "experimental.vector.reverse"):
        lanes.lanes[call] = lanes.of(call.arguments[0])[::-1]
    elif (extremum := _X86_EXTREMA.match(name)) is not None:
        _replace_extremum(lanes, call, "ogt" if extremum.group(1) == "max" else "olt")
    else:
        return False
    return True


def _split_name(name: str) -> tuple[str, list[str]]:
    """Return the name of an intrinsic without ``llvm.``, and the suffixes for its types."""
    parts = name.split(".")[1:]
    end = len(parts)
    while end > 1 and _TYPE_SUFFIX.match(parts[end - 1]):
        end -= 1
    return ".".join(parts[:end]), parts[end:]


def _replace_each(lanes: Lanes, call: Call, type: VectorType, base: str, suffixes: Sequence[str]) -> None:
    scalar = ".".join(["llvm", base, *(re.sub(r"^v\d+", "", s) for s in suffixes)])
    arguments = [lanes.spread(a, type.count) for a in call.arguments]
    at = Builder.before(call)
    made: list[Value] = []
    for k in range(type.count):
        lane = [a[k] for a in arguments]
        made.append(_call(lanes, at, scalar, type.element, lane, call, f"{call.name}.{k}"))
    lanes.lanes[call] = made


def _call(
    lanes: Lanes, at: Builder, name: str, type: Type, arguments: list[Value], like: Call, result: str = ""
) -> Value:
    signature = FunctionType(type, tuple(a.type for a in arguments))
    new = Call(signature, lanes.module.declare(name, signature), arguments, result, like.flags)
    if len(like.argument_attributes) == len(arguments):
        new.argument_attributes = list(like.argument_attributes)
    new.tail = like.tail
    new.metadata = dict(like.metadata)
    return at.insert(new)


def _replace_reduction(lanes: Lanes, call: Call, what: str) -> bool:
    terms = lanes.of(call.arguments[-1])
    at = Builder.before(call)
    at.metadata = dict(call.metadata)
    if len(call.arguments) > 1:
        terms = [call.arguments[0], *terms]
    total = terms[0]
    if what in _FOLDS:
        for term in terms[1:]:
            total = at.binary(what, total, term, flags=call.flags)
    elif what in _FOLD_CALLS:
        suffix = _SUFFIXES.get(str(call.type), str(call.type))
        if not _TYPE_SUFFIX.match(suffix):
            return False
        for term in terms[1:]:
            name = f"llvm.{_FOLD_CALLS[what]}.{suffix}"
            total = _call(lanes, at, name, call.type, [total, term], call)
    else:
        return False
    call.replace_all_uses_with(total)
    return True


def _replace_extremum(lanes: Lanes, call: Call, predicate: str) -> None:
    first, second = (lanes.of(x) for x in call.arguments)
    at = Builder.before(call)
    at.metadata = dict(call.metadata)
    # Unlike LLVM's own: of equal numbers, and where one is a NaN, the second.
    lanes.lanes[call] = [
        at.select(at.fcmp(predicate, a, b), a, b) for a, b in zip(first, second, strict=True)
    ]


def _replace_part(lanes: Lanes, call: Call) -> None:
    """Take a part out of a vector, or put one into it."""
    index = call.arguments[-1]
    assert isinstance(index, ConstantInt)
    first = index.value
    whole = list(lanes.of(call.arguments[0]))
    assert isinstance(call.type, VectorType)
    if len(call.arguments) == 2:
        lanes.lanes[call] = whole[first : first + call.type.count]
    else:
        part = lanes.of(call.arguments[1])
        whole[first : first + len(part)] = part
        lanes.lanes[call] = whole


# -- where a mask allows


def _without_alignment(call: Call) -> list[Value]:
    """Return the arguments without the alignment, which newer LLVM has as an attribute."""
    return [a for a in call.arguments if not isinstance(a.type, IntType)]


def _alignment(call: Call) -> int:
    given = [a.value for a in call.arguments if isinstance(a, ConstantInt)]
    found = [int(m.group(1)) for a in call.argument_attributes if (m := _ALIGN.search(a)) is not None]
    return [*given, *found, 1][0]


def _places(lanes: Lanes, call: Call, pointer: Value, type: VectorType) -> list[tuple[Value, int]]:
    """Return the addresses of lanes in memory, each with its alignment."""
    align = _alignment(call)
    if isinstance(pointer.type, VectorType):
        return [(place, align) for place in lanes.of(pointer)]
    size = bytes_of(type.element) or 1
    places = lanes.places(Builder.before(call), pointer, type)
    return [(place, alignment_at(align, k * size)) for k, place in enumerate(places)]


def _replace_masked_load(lanes: Lanes, call: Call) -> bool:
    type = call.type
    assert isinstance(type, VectorType)
    if bytes_of(type.element) is None:
        return False
    pointer, mask, otherwise = _without_alignment(call)
    places = _places(lanes, call, pointer, type)
    made: list[Value] = []
    for k, ((place, aligned), allowed, other) in enumerate(
        zip(places, lanes.of(mask), lanes.of(otherwise), strict=True)
    ):
        name = f"{call.name}.{k}"
        load = Load(type.element, place, name, aligned)
        load.metadata = dict(call.metadata)
        if isinstance(allowed, ConstantInt):
            made.append(Builder.before(call).insert(load) if allowed.value else other)
            continue
        before, inside = _branch(call, allowed)
        inside.insert(0, load)
        after = call.block
        assert after is not None
        phi = Phi(type.element, [(load, inside), (other, before)], f"{name}.or")
        after.insert(0, phi)
        made.append(phi)
    lanes.lanes[call] = made
    return True


def _replace_masked_store(lanes: Lanes, call: Call) -> bool:
    value, pointer, mask = _without_alignment(call)
    assert isinstance(value.type, VectorType)
    if bytes_of(value.type.element) is None:
        return False
    places = _places(lanes, call, pointer, value.type)
    for (place, aligned), allowed, lane in zip(places, lanes.of(mask), lanes.of(value), strict=True):
        store = Store(lane, place, aligned)
        store.metadata = dict(call.metadata)
        if isinstance(allowed, Poison):
            continue
        if isinstance(allowed, ConstantInt):
            if allowed.value:
                Builder.before(call).insert(store)
            continue
        _, inside = _branch(call, allowed)
        inside.insert(0, store)
    return True


def _branch(call: Call, condition: Value) -> tuple[Block, Block]:
    """Let `call` stand behind a new block that control goes through where `condition` holds.

    Returns the block that branches, and the new one, which ends already.
    """
    before = call.block
    assert before is not None
    assert before.function is not None
    after = split_block_at(before, before.instructions.index(call))
    inside = Block(f"{before.name}.lane")
    inside.function = before.function
    before.function.blocks.insert(before.function.blocks.index(after), inside)
    Builder(inside).branch(after)
    Builder(before).cond_branch(condition, inside, after)
    return before, inside
