"""What compiled code needs to make and check shadows: allocation, checks of layout, casts.

Everything here is called from compiled code only, from the functions that are generated for each call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, cast

from numba.core import cgutils, types
from numba.core.imputils import fix_returning_optional, impl_ret_borrowed
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from coenzyme.api.containers import is_container_type
from coenzyme.api.interleaved import Dimensions, are_interleaved
from coenzyme.errors import ActivityError, ShadowError
from coenzyme.frontends.numba_link import LinkedType
from coenzyme.frontends.numba_structs import is_instance
from coenzyme.frontends.numba_target import IRContext

__all__ = [
    "any_overlap",
    "as_type",
    "call_derivative",
    "copy_like",
    "emit_call",
    "may_overlap",
    "mirrors",
    "overlap",
    "same_layout",
    "same_shape",
    "visits_once",
    "writable",
    "zero_like",
]

_OVERLAPS_ITSELF = str(
    ActivityError(
        "an array that is differentiated visits the same memory at several indices",
        remedy="pass a copy of it, x.copy()",
    )
)


@intrinsic
def as_type(typing_context: Any, value: Any, kind: Any) -> Any:
    """Return `value` as the Numba type `kind`: a number is cast, an array keeps its memory and strides."""
    target = kind.instance_type
    if isinstance(target, types.Array):
        fits = isinstance(value, types.Array) and value.ndim == target.ndim and value.dtype == target.dtype
    elif is_container_type(target) or is_instance(target):
        fits = value == target
    else:
        numbers = (types.Integer, types.Float, types.Boolean)
        if isinstance(target, types.Complex):
            numbers = (*numbers, types.Complex)
        fits = isinstance(target, (types.Float, types.Complex)) and isinstance(value, numbers)
    if not fits:
        raise ShadowError(
            f"a value of type {value} stands for the shadow of one of type {target}",
            remedy="give the shadow the dtype and the number of dimensions of its primal",
        )

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(target, types.Array) or is_container_type(target) or is_instance(target):
            # Layout and mutability are facts of the type alone: the structure in memory is the same.
            return impl_ret_borrowed(context, builder, target, args[0])
        return context.cast(builder, args[0], signature.args[0], target)

    return target(value, kind), generate


@intrinsic
def zero_like(typing_context: Any, x: Any) -> Any:
    """Return zeros in the shape, dtype and strides of an array, or a zero in the type of a number."""
    if is_instance(x):
        raise ActivityError(
            f"compiled code makes no shadow of an instance, of type {x}",
            remedy="call make_zero from Python, and pass the shadow",
        )
    target = writable(x)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not isinstance(x, types.Array):
            return context.get_constant_null(x)
        _refuse_overlapping_itself(context, builder, x, args[0])
        memory = _Memory(context, builder, x, args[0])
        cgutils.memset(builder, memory.start, memory.size, 0)
        return memory.array()._getvalue()

    return target(x), generate


@intrinsic
def copy_like(typing_context: Any, x: Any) -> Any:
    """Return a copy of an array with its type and strides; what cannot be written is returned."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not isinstance(x, types.Array) or not x.mutable:
            return impl_ret_borrowed(context, builder, x, args[0])
        memory = _Memory(context, builder, x, args[0])
        # Gaps between the entries of a strided array are copied too: they lie within its allocation.
        cgutils.raw_memcpy(builder, memory.start, memory.original, memory.size, 1)
        return memory.array()._getvalue()

    return x(x), generate


@intrinsic(prefer_literal=True)  # the seed of a tuple with a constant in it has that constant's own type
def call_derivative(typing_context: Any, derivative: Any, values: Any, arrays: Any, others: Any) -> Any:
    """Return what a derivative returns, and zero shadows that were made for the call.

    Parameters
    ----------
    derivative
        A dispatcher, or linked code, that takes values, shadows and a seed, and returns a pair.
    values
        The values of the arguments, as a tuple.
    arrays
        The arrays to make shadows for, as a tuple.
    others
        Shadows that exist already, and the seed, as a tuple.

    Notes
    -----
    Numba releases nothing that a frame holds where an exception passes through it. So shadows are
    made here, no frame holds them before the call has succeeded, and they and the tuples are released if it
    fails. The tuples must be temporaries.
    """
    shadow_types = [writable(kind) for kind in arrays.types]
    given_types = (*values.types, *shadow_types, *others.types)
    linked: Any = derivative.linked if isinstance(derivative, LinkedType) else None
    call: Any = None
    if linked is None:
        call = cast(Any, derivative).get_call_type(typing_context, given_types, {})
        if call is None:
            return None
    primal_type, out_type = (call.return_type if linked is None else linked.signature.result_type).types
    result = types.Tuple((primal_type, out_type, types.Tuple(shadow_types)))

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given, primals, rest = (cgutils.unpack_tuple(builder, packed) for packed in args[1:])
        shadows: list[Any] = []

        def release() -> None:
            for kind, shadow in zip(shadow_types, shadows, strict=False):
                context.nrt.decref(builder, kind, shadow)
            for kind, packed in zip(signature.args[1:], args[1:], strict=True):
                context.nrt.decref(builder, kind, packed)

        for kind, primal in zip(arrays.types, primals, strict=True):
            _refuse_overlapping_itself(context, builder, kind, primal, release)
        for kind, primal in zip(arrays.types, primals, strict=True):
            memory = _Memory(context, builder, kind, primal, release)
            cgutils.memset(builder, memory.start, memory.size, 0)
            shadows.append(memory.array()._getvalue())
        operands = [*given, *shadows, *rest]
        if linked is None:
            returned = emit_call(context, builder, signature.args[0], call, operands, release)
        else:
            passed = list(zip(operands, given_types, strict=True))
            returned = linked.emit_call(context, builder, passed, release)
        packed = context.make_tuple(builder, types.Tuple(shadow_types), shadows)
        return context.make_tuple(builder, result, [*cgutils.unpack_tuple(builder, returned), packed])

    return result(derivative, values, arrays, others), generate


def emit_call(
    context: Any, builder: Any, callee: Any, call: Any, values: Sequence[Any], release: Callable[[], None]
) -> Any:
    """Emit the call of a dispatcher, and `release` on the way out where it raises; return its result.

    Parameters
    ----------
    context, builder
        Where to emit.
    callee
        The Numba type of the dispatcher.
    call
        The signature that it was typed with.
    values
        The arguments.
    release
        Emits what releases what the frame holds.
    """
    compiled = callee.dispatcher.overloads[tuple(call.args)]
    context.active_code_library.add_linking_library(compiled.library)
    status, returned = context.call_internal_no_propagate(builder, compiled.fndesc, call, values)
    with cgutils.if_unlikely(builder, status.is_error):
        release()
        context.call_conv.return_status_propagate(builder, status)
    return fix_returning_optional(context, builder, call, status, returned)


class _Memory:
    """Fresh memory in the extent of an array, as LLVM values: emitted when it is made.

    Parameters
    ----------
    context, builder
        Where to emit.
    kind, value
        The array.
    release
        Emits what is to be done before a MemoryError is raised.
    """

    def __init__(
        self,
        context: Any,
        builder: Any,
        kind: types.Array,
        value: Any,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self.context, self.builder, self.kind = context, builder, kind
        self.like = make_array(kind)(context, builder, value)
        low, high, empty = _extent(context, builder, kind, value)
        at = builder.ptrtoint(self.like.data, low.type)
        self.size = builder.select(empty, low.type(0), builder.sub(high, low))
        self.offset = builder.select(empty, low.type(0), builder.sub(at, low))
        # A step from the data, not an address as a number: a derivative must see whose memory this is.
        self.original = cgutils.pointer_add(
            builder, self.like.data, builder.neg(self.offset), cgutils.voidptr_t
        )
        alignment = context.get_preferred_array_alignment(kind.dtype)
        self.meminfo = context.nrt.meminfo_alloc_aligned_unchecked(builder, self.size, alignment)
        with cgutils.if_unlikely(builder, cgutils.is_null(builder, self.meminfo)):
            release()
            context.call_conv.return_user_exc(builder, MemoryError, ("no memory for a shadow",))
        self.start = context.nrt.meminfo_data(builder, self.meminfo)

    def array(self) -> Any:
        """Return a writable array over the memory, laid out like the original."""
        array = make_array(writable(self.kind))(self.context, self.builder)
        data = cgutils.pointer_add(self.builder, self.start, self.offset, array.data.type)
        like = self.like
        populate_array(array, data, like.shape, like.strides, like.itemsize, self.meminfo)
        return array


def writable(kind: types.Type) -> types.Type:
    """Return the type of a shadow of this type: an array's can be written, whether or not its primal can."""
    return kind.copy(readonly=False) if isinstance(kind, types.Array) else kind


def _refuse_overlapping_itself(
    context: Any, builder: Any, kind: types.Array, value: Any, release: Callable[[], None] = lambda: None
) -> None:
    """Emit the check that no two indices share memory."""
    if kind.layout in "CF":
        return
    with cgutils.if_unlikely(builder, _overlaps_itself(context, builder, kind, value)):
        release()
        context.call_conv.return_user_exc(builder, ActivityError, (_OVERLAPS_ITSELF,))


@intrinsic
def visits_once(typing_context: Any, x: Any) -> Any:
    """Return whether no two indices of an array share memory; numbers have no indices."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not isinstance(x, types.Array) or x.layout in "CF":
            return context.get_constant(types.boolean, True)
        return builder.not_(_overlaps_itself(context, builder, x, args[0]))

    return types.boolean(x), generate


def _overlaps_itself(context: Any, builder: Any, kind: types.Array, value: Any) -> Any:
    """Return whether some stride does not step over all that smaller ones cover."""
    shape, strides, _ = _facts(context, builder, kind, value)
    zero, one = context.get_constant(types.intp, 0), context.get_constant(types.intp, 1)
    item = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    sizes = [builder.select(builder.icmp_signed("<", s, zero), builder.neg(s), s) for s in strides]
    long = [builder.icmp_signed(">", n, one) for n in shape]
    tests: list[Any] = []
    for k, stride in enumerate(sizes):
        covered = item
        for j, other in enumerate(sizes):
            if j != k:
                smaller = builder.icmp_signed("<=" if j < k else "<", other, stride)
                reach = builder.mul(builder.sub(shape[j], one), other)
                covered = builder.add(covered, builder.select(builder.and_(smaller, long[j]), reach, zero))
        tests.append(builder.and_(long[k], builder.icmp_signed("<", stride, covered)))
    empty = _any(context, builder, [builder.icmp_signed("<", n, one) for n in shape])
    return builder.and_(builder.not_(empty), _any(context, builder, tests))


@intrinsic
def same_shape(typing_context: Any, x: Any, y: Any) -> Any:
    """Return whether two arrays of equal rank have equal shapes; numbers have none and always agree."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not isinstance(x, types.Array):
            return context.get_constant(types.boolean, True)
        shapes = [_facts(context, builder, kind, value)[0] for kind, value in zip((x, y), args, strict=True)]
        equal = [builder.icmp_signed("==", a, b) for a, b in zip(*shapes, strict=True)]
        return _all(context, builder, equal)

    return types.boolean(x, y), generate


@intrinsic
def same_layout(typing_context: Any, x: Any, y: Any) -> Any:
    """Return whether an index means the same place in two arrays: equal shapes, and strides that matter."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not isinstance(x, types.Array):
            return context.get_constant(types.boolean, True)
        one = context.get_constant(types.intp, 1)
        (x_shape, x_strides, _), (y_shape, y_strides, _) = (
            _facts(context, builder, kind, value) for kind, value in zip((x, y), args, strict=True)
        )
        empty = _any(context, builder, [builder.icmp_signed("<", n, one) for n in x_shape])
        tests: list[Any] = []
        for n, m, s, t in zip(x_shape, y_shape, x_strides, y_strides, strict=True):
            free = builder.or_(empty, builder.icmp_signed("==", n, one))
            tests.append(builder.icmp_signed("==", n, m))
            tests.append(builder.or_(free, builder.icmp_signed("==", s, t)))
        return _all(context, builder, tests)

    return types.boolean(x, y), generate


@intrinsic
def overlap(typing_context: Any, x: Any, y: Any) -> Any:
    """Return whether two arrays may share memory: as `any_overlap` does."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _any_pair(context, builder, list(zip((x, y), args, strict=True)), 1)

    return types.boolean(x, y), generate


@intrinsic
def any_overlap(typing_context: Any, read: Any, others: Any) -> Any:
    """Return whether two arrays may share memory, other than two of those in the first tuple.

    In code that is to be differentiated, arrays whose extents meet count as sharing memory.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _compare_all(context, builder, read, others, args)

    return types.boolean(read, others), generate


@intrinsic
def may_overlap(typing_context: Any, read: Any, others: Any) -> Any:
    """Return what `any_overlap` does; in code that is to be differentiated, always that there is an overlap.

    It chooses between two ways to do the same, of which only one need be differentiated.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(context, IRContext):
            return context.get_constant(types.boolean, True)
        return _compare_all(context, builder, read, others, args)

    return types.boolean(read, others), generate


def _compare_all(context: Any, builder: Any, read: Any, others: Any, args: Any) -> Any:
    arrays = [array for packed in args for array in cgutils.unpack_tuple(builder, packed)]
    kinds = (*read.types, *others.types)
    return _any_pair(context, builder, list(zip(kinds, arrays, strict=True)), len(read.types))


def _any_pair(context: Any, builder: Any, arrays: list[tuple[Any, Any]], first: int) -> Any:
    """Return whether an array, from the one numbered `first` on, may share memory with one before it."""
    # Two loops over a table, because there may be dozens of arrays and a test for each pair of them.
    word = context.get_value_type(types.intp)
    count = len(arrays)
    lows, highs, items = (cgutils.alloca_once(builder, word, size=word(count)) for _ in range(3))
    for i, (kind, array) in enumerate(arrays):
        low, high, empty = _extent(context, builder, kind, array)
        item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        # An extent from 0 to 0 meets no other one.
        builder.store(builder.select(empty, word(0), low), builder.gep(lows, [word(i)]))
        builder.store(builder.select(empty, word(0), high), builder.gep(highs, [word(i)]))
        builder.store(word(item), builder.gep(items, [word(i)]))
    shapes = [_facts(context, builder, kind, array)[:2] for kind, array in arrays]
    yes = context.get_constant(types.boolean, True)
    found = cgutils.alloca_once_value(builder, context.get_constant(types.boolean, False))
    with cgutils.for_range_slice(builder, word(first), word(count), word(1)) as (i, _):
        low, high, item = (builder.load(builder.gep(table, [i])) for table in (lows, highs, items))
        with cgutils.for_range(builder, i) as inner:
            other_low, other_high, other_item = (
                builder.load(builder.gep(table, [inner.index])) for table in (lows, highs, items)
            )
            meet = builder.and_(
                builder.icmp_signed("<", low, other_high), builder.icmp_signed("<", other_low, high)
            )
            with builder.if_then(meet, likely=False):
                if isinstance(context, IRContext):
                    builder.store(yes, found)
                else:
                    # Filled where one hardly gets to: elsewhere, the table would cost more than all else.
                    dimensions = Dimensions(context, builder, shapes)
                    distance = builder.sub(other_low, low)
                    sizes = (item, other_item)
                    apart = are_interleaved(dimensions, i, inner.index, sizes, distance)
                    with builder.if_then(builder.not_(apart)):
                        builder.store(yes, found)
    return builder.load(found)


@intrinsic
def mirrors(typing_context: Any, x: Any, y: Any, dx: Any, dy: Any) -> Any:
    """Return whether two shadows lie to each other in memory as their primals do."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = [
            _facts(context, builder, kind, value)[2] for kind, value in zip((x, y, dx, dy), args, strict=True)
        ]
        return builder.icmp_signed("==", builder.sub(at[1], at[0]), builder.sub(at[3], at[2]))

    return types.boolean(x, y, dx, dy), generate


def _facts(context: Any, builder: Any, kind: types.Array, value: Any) -> tuple[list[Any], list[Any], Any]:
    """Return the shape, the strides and the address of an array as LLVM values."""
    array = make_array(kind)(context, builder, value)
    shape = cgutils.unpack_tuple(builder, array.shape, kind.ndim)
    strides = cgutils.unpack_tuple(builder, array.strides, kind.ndim)
    return shape, strides, builder.ptrtoint(array.data, context.get_value_type(types.intp))


def _extent(context: Any, builder: Any, kind: types.Array, value: Any) -> tuple[Any, Any, Any]:
    """Return the first address of an array, the one after its last, and whether it is empty."""
    shape, strides, low = _facts(context, builder, kind, value)
    zero, one = context.get_constant(types.intp, 0), context.get_constant(types.intp, 1)
    item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    high = builder.add(low, context.get_constant(types.intp, item))
    for n, stride in zip(shape, strides, strict=True):
        step = builder.mul(builder.sub(n, one), stride)
        down = builder.icmp_signed("<", step, zero)
        low = builder.add(low, builder.select(down, step, zero))
        high = builder.add(high, builder.select(down, zero, step))
    return low, high, _any(context, builder, [builder.icmp_signed("<", n, one) for n in shape])


def _all(context: Any, builder: Any, tests: list[Any]) -> Any:
    return reduce(builder.and_, tests, context.get_constant(types.boolean, True))


def _any(context: Any, builder: Any, tests: list[Any]) -> Any:
    return reduce(builder.or_, tests, context.get_constant(types.boolean, False))
