"""The few loops that derivatives of BLAS calls need beside BLAS itself. LLVM text.

Matrices lie column by column, columns `leading` elements apart. The loops are inlined, so that they are
vectorised where they are used and can be differentiated again.
"""

from __future__ import annotations

from coenzyme.derive.runtime import adopt
from coenzyme.ir.instructions import Function, GlobalVariable, Module
from coenzyme.ir.types import FloatType
from coenzyme.ir.values import spell_float

__all__ = ["constant_variable", "require_loop"]

_MATRIX = "ptr %matrix, i64 %rows, i64 %columns, i64 %leading"
_MARKS = "alwaysinline nounwind"

_HEAD = """
entry:
  %no.rows = icmp sle i64 %rows, 0
  %no.columns = icmp sle i64 %columns, 0
  %nothing = or i1 %no.rows, %no.columns
  br i1 %nothing, label %out, label %column

column:
  %j = phi i64 [ 0, %entry ], [ %j.next, %column.end ]
  %start = mul i64 %j, %leading
  br label %row

row:
  %i = phi i64 [ 0, %column ], [ %i.next, %row ]
  %offset = add i64 %start, %i
  %address = getelementptr {type}, ptr %matrix, i64 %offset
"""

_TAIL = """
  %i.next = add nuw nsw i64 %i, 1
  %i.done = icmp eq i64 %i.next, %rows
  br i1 %i.done, label %column.end, label %row

column.end:
  %j.next = add nuw nsw i64 %j, 1
  %j.done = icmp eq i64 %j.next, %columns
  br i1 %j.done, label %out, label %column

out:
  ret void
}}
"""

_FILL = f"""
define internal void @coenzyme.blas.clear.{{type}}({_MATRIX}) {_MARKS} {{{{
{_HEAD}
  store {{type}} 0.0, ptr %address, align {{size}}
{_TAIL}
"""

_SCALE = f"""
define internal void @coenzyme.blas.scale.{{type}}({_MATRIX}, {{type}} %factor) {_MARKS} {{{{
{_HEAD}
  %old = load {{type}}, ptr %address, align {{size}}
  %new = fmul {{type}} %old, %factor
  store {{type}} %new, ptr %address, align {{size}}
{_TAIL}
"""

_PACK = f"""
define internal void @coenzyme.blas.pack.{{type}}({_MATRIX}, ptr %packed) {_MARKS} {{{{
{_HEAD}
  %value = load {{type}}, ptr %address, align {{size}}
  %packed.start = mul i64 %j, %rows
  %packed.offset = add i64 %packed.start, %i
  %packed.address = getelementptr {{type}}, ptr %packed, i64 %packed.offset
  store {{type}} %value, ptr %packed.address, align {{size}}
{_TAIL}
"""

_VECTORS = "i64 %n, {type} %factor, ptr %source, i64 %source.step, ptr %target, i64 %target.step"

_ADD = (
    "define internal void @coenzyme.blas.add.{type}(" + _VECTORS + ") alwaysinline nounwind {{"
    """
entry:
  %none = icmp sle i64 %n, 0
  br i1 %none, label %out, label %body

body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %from.offset = mul i64 %i, %source.step
  %from = getelementptr {type}, ptr %source, i64 %from.offset
  %to.offset = mul i64 %i, %target.step
  %to = getelementptr {type}, ptr %target, i64 %to.offset
  %x = load {type}, ptr %from, align {size}
  %term = fmul {type} %factor, %x
  %old = load {type}, ptr %to, align {size}
  %sum = fadd {type} %old, %term
  store {type} %sum, ptr %to, align {size}
  %next = add nuw nsw i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %out, label %body

out:
  ret void
}}
"""
)

_INNER = (
    "define internal {type} @coenzyme.blas.inner.{type}("
    "i64 %n, ptr %x, i64 %x.step, ptr %y, i64 %y.step) alwaysinline nounwind {{"
    """
entry:
  %none = icmp sle i64 %n, 0
  br i1 %none, label %out, label %body

body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %total = phi {type} [ 0.0, %entry ], [ %sum, %body ]
  %x.offset = mul i64 %i, %x.step
  %x.address = getelementptr {type}, ptr %x, i64 %x.offset
  %y.offset = mul i64 %i, %y.step
  %y.address = getelementptr {type}, ptr %y, i64 %y.offset
  %x.i = load {type}, ptr %x.address, align {size}
  %y.i = load {type}, ptr %y.address, align {size}
  %term = fmul {type} %x.i, %y.i
  %sum = fadd {type} %total, %term
  %next = add nuw nsw i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %out, label %body

out:
  %result = phi {type} [ 0.0, %entry ], [ %sum, %body ]
  ret {type} %result
}}
"""
)

_LOOPS = {"clear": _FILL, "scale": _SCALE, "pack": _PACK, "add": _ADD, "inner": _INNER}
_SIZES = {"double": 8, "float": 4}


def require_loop(module: Module, kind: str, type: FloatType) -> Function:
    """Return the loop called `kind` over elements of `type`, adding it to `module` where it is new.

    ``clear(matrix, rows, columns, leading)`` and ``scale(…, factor)`` change a matrix, ``pack(…, packed)``
    copies it without gaps; ``add(n, factor, source, step, target, step)`` adds a multiple of a vector to
    another, ``inner(n, x, step, y, step)`` returns the inner product.
    """
    name = f"coenzyme.blas.{kind}.{type}"
    if name not in module.functions:
        adopt(module, _LOOPS[kind].format(type=type, size=_SIZES[str(type)]))
    return module.functions[name]


def constant_variable(module: Module, type: FloatType, value: float) -> GlobalVariable:
    """Return a constant in memory, for routines that take their factors by address."""
    spelling = spell_float(value, type)
    name = f"coenzyme.{type}.{spelling}"
    if name not in module.globals:
        module.globals[name] = GlobalVariable(name, f"internal constant {type} {spelling}, align 8")
    return module.globals[name]
