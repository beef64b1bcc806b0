"""Whether arrays whose extents meet have an element in common: columns of one matrix, every second entry.

The strides of an array are cut in two, at some size T. Along those below T it fills a block, or less; along
the others the block is repeated at multiples of g, a common divisor of the longer strides of both arrays.
With blocks of sizes a and b, at a distance d from each other, no byte is shared if a <= d mod g and
(d mod g) + b <= g. The test is made for T at every stride. It may miss that arrays are apart, and never says
so of arrays that are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target

__all__ = ["Dimensions", "are_interleaved"]

_SYMBOL = "coenzyme_are_interleaved"
_PAIR = 2
"""A dimension is kept as its step, without sign, and its length."""

_TEXT = f"""
define internal i64 @greatest_common_divisor(i64 %a, i64 %b) nounwind {{
entry:
  br label %loop
loop:
  %x = phi i64 [ %a, %entry ], [ %y, %step ]
  %y = phi i64 [ %b, %entry ], [ %rest, %step ]
  %done = icmp eq i64 %y, 0
  br i1 %done, label %out, label %step
step:
  %rest = urem i64 %x, %y
  br label %loop
out:
  ret i64 %x
}}

define i1 @{_SYMBOL}(ptr %first, ptr %second, i64 %ndim, i64 %a, i64 %b, i64 %distance) noinline nounwind {{
entry:
  %count = mul i64 %ndim, 2
  br label %cuts
cuts:
  %t = phi i64 [ 0, %entry ], [ %t.next, %next ]
  %tried = icmp eq i64 %t, %count
  br i1 %tried, label %unknown, label %cut
cut:
  %cut.own = icmp ult i64 %t, %ndim
  %cut.table = select i1 %cut.own, ptr %first, ptr %second
  %cut.wrapped = sub i64 %t, %ndim
  %cut.index = select i1 %cut.own, i64 %t, i64 %cut.wrapped
  %cut.at = getelementptr [2 x i64], ptr %cut.table, i64 %cut.index
  %size = load i64, ptr %cut.at
  %useless = icmp eq i64 %size, 0
  br i1 %useless, label %next, label %dimensions
dimensions:
  %k = phi i64 [ 0, %cut ], [ %k.next, %dimension ]
  %g = phi i64 [ 0, %cut ], [ %g.next, %dimension ]
  %block.a = phi i64 [ %a, %cut ], [ %block.a.next, %dimension ]
  %block.b = phi i64 [ %b, %cut ], [ %block.b.next, %dimension ]
  %seen = icmp eq i64 %k, %count
  br i1 %seen, label %compare, label %dimension
dimension:
  %own = icmp ult i64 %k, %ndim
  %table = select i1 %own, ptr %first, ptr %second
  %wrapped = sub i64 %k, %ndim
  %index = select i1 %own, i64 %k, i64 %wrapped
  %at = getelementptr [2 x i64], ptr %table, i64 %index
  %stride = load i64, ptr %at
  %at.length = getelementptr i64, ptr %at, i64 1
  %length = load i64, ptr %at.length
  %outer = icmp uge i64 %stride, %size
  %repeat = select i1 %outer, i64 %stride, i64 0
  %g.next = call i64 @greatest_common_divisor(i64 %g, i64 %repeat)
  %steps = sub i64 %length, 1
  %span = mul i64 %steps, %stride
  %reach = select i1 %outer, i64 0, i64 %span
  %reach.a = select i1 %own, i64 %reach, i64 0
  %reach.b = select i1 %own, i64 0, i64 %reach
  %block.a.next = add i64 %block.a, %reach.a
  %block.b.next = add i64 %block.b, %reach.b
  %k.next = add i64 %k, 1
  br label %dimensions
compare:
  %rest = srem i64 %distance, %g
  %negative = icmp slt i64 %rest, 0
  %shifted = add i64 %rest, %g
  %d = select i1 %negative, i64 %shifted, i64 %rest
  %before = icmp ule i64 %block.a, %d
  %end = add i64 %d, %block.b
  %after = icmp ule i64 %end, %g
  %apart = and i1 %before, %after
  br i1 %apart, label %proven, label %next
next:
  %t.next = add i64 %t, 1
  br label %cuts
proven:
  ret i1 true
unknown:
  ret i1 false
}}
"""


@cache
def _library() -> Any:
    context: Any = cpu_target.target_context
    library = context.codegen().create_library(_SYMBOL)
    library.add_llvm_module(llvm.parse_assembly(_TEXT))
    library.finalize()
    return library


class Dimensions:
    """The dimensions of several arrays as a table on the stack, each padded to the same number.

    Parameters
    ----------
    context, builder
        Where to emit.
    arrays
        For each array its shape and its strides, as LLVM values.
    """

    def __init__(self, context: Any, builder: Any, arrays: Sequence[tuple[list[Any], list[Any]]]) -> None:
        self.context, self.builder = context, builder
        self.word = context.get_value_type(types.intp)
        self.ndim = max(len(shape) for shape, _ in arrays)
        row = ir.ArrayType(self.word, _PAIR * self.ndim)
        # Numba's own helper would clear it on every way through the function.
        with builder.goto_entry_block():
            self.table = builder.alloca(ir.ArrayType(row, len(arrays)))
        zero, one = self.word(0), self.word(1)
        for i, (shape, strides) in enumerate(arrays):
            values: list[Any] = []
            for n, step in zip(shape, strides, strict=True):
                backward = builder.icmp_signed("<", step, zero)
                size = builder.select(backward, builder.neg(step), step)
                # A dimension of one entry has a stride that means nothing.
                values += [builder.select(builder.icmp_signed(">", n, one), size, zero), n]
            values += [zero, one] * (self.ndim - len(shape))
            for k, value in enumerate(values):
                builder.store(value, builder.gep(self.table, [self.word(0), self.word(i), self.word(k)]))

    def of(self, index: Any) -> Any:
        """Return the address of the dimensions of one array."""
        at = self.builder.gep(self.table, [self.word(0), index])
        return self.builder.bitcast(at, cgutils.voidptr_t)


def are_interleaved(dimensions: Dimensions, i: Any, j: Any, items: tuple[Any, Any], distance: Any) -> Any:
    """Return, as an LLVM value, whether two arrays are known to share no byte although their extents meet.

    Parameters
    ----------
    dimensions
        Those of all arrays.
    i, j
        Which two of them, as LLVM values.
    items
        How many bytes one element of each has.
    distance
        From the lowest address of the first array to that of the second.
    """
    context, builder, word = dimensions.context, dimensions.builder, dimensions.word
    context.active_code_library.add_linking_library(_library())
    signature = ir.FunctionType(ir.IntType(1), [cgutils.voidptr_t] * 2 + [word] * 4)
    function = cgutils.get_or_insert_function(builder.module, signature, _SYMBOL)
    return builder.call(
        function, [dimensions.of(i), dimensions.of(j), word(dimensions.ndim), *items, distance]
    )
