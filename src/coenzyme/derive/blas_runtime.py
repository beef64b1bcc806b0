"""The few loops that derivatives of BLAS calls need beside BLAS itself. LLVM text.

Matrices lie column by column, columns `leading` elements apart. The loops are inlined, so that they are
vectorised where they are used and can be differentiated again.
"""

from __future__ import annotations

from coenzyme.derive.adopted import adopt
from coenzyme.ir.instructions import Function, GlobalVariable, Module
from coenzyme.ir.types import FloatType
from coenzyme.ir.values import spell_float

__all__ = ["constant_variable", "require_loop"]

_OVER_MATRIX = """
define internal void @coenzyme.blas.KIND.{type}(PARAMETERS) alwaysinline nounwind {{
entry:
  %no.rows = icmp sle i64 %rows, 0
  %no.columns = icmp sle i64 %columns, 0
  %nothing = or i1 %no.rows, %no.columns
  br i1 %nothing, label %out, label %column

column:
  %j = phi i64 [ 0, %entry ], [ %j.next, %column.end ]
  %start = mul i64 %j, %leading
  COLUMN
  br label %row

row:
  %i = phi i64 [ 0, %column ], [ %i.next, %row ]
  %offset = add i64 %start, %i
  %address = getelementptr {type}, ptr %matrix, i64 %offset
  ELEMENT
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


def _over_matrix(kind: str, more_parameters: str, element: str, column: str = "") -> str:
    """Return a loop over the elements of a matrix, with what it does at each, and for each column."""
    parameters = "ptr %matrix, i64 %rows, i64 %columns, i64 %leading" + more_parameters
    text = _OVER_MATRIX.replace("KIND", kind).replace("PARAMETERS", parameters)
    return text.replace("COLUMN", column.strip()).replace("ELEMENT", element.strip())


_CLEAR = _over_matrix("clear", "", "store {type} 0.0, ptr %address, align {size}")

_SCALE = _over_matrix(
    "scale",
    ", {type} %factor",
    """
  %old = load {type}, ptr %address, align {size}
  %new = fmul {type} %old, %factor
  store {type} %new, ptr %address, align {size}
""",
)

_PACK = _over_matrix(
    "pack",
    ", ptr %packed",
    """
  %value = load {type}, ptr %address, align {size}
  %packed.offset = add i64 %packed.start, %i
  %packed.address = getelementptr {type}, ptr %packed, i64 %packed.offset
  store {type} %value, ptr %packed.address, align {size}
""",
    "%packed.start = mul i64 %j, %rows",
)

_OUTER = _over_matrix(
    "outer",
    ", {type} %factor, ptr %left, ptr %right",
    """
  %left.address = getelementptr {type}, ptr %left, i64 %i
  %left.i = load {type}, ptr %left.address, align {size}
  %term = fmul {type} %left.i, %right.scaled
  %old = load {type}, ptr %address, align {size}
  %new = fadd {type} %old, %term
  store {type} %new, ptr %address, align {size}
""",
    """
  %right.address = getelementptr {type}, ptr %right, i64 %j
  %right.j = load {type}, ptr %right.address, align {size}
  %right.scaled = fmul {type} %factor, %right.j
""",
)

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

_LOOPS = {
    "clear": _CLEAR,
    "scale": _SCALE,
    "pack": _PACK,
    "outer": _OUTER,
    "add": _ADD,
    "inner": _INNER,
}
_SIZES = {"double": 8, "float": 4}


def require_loop(module: Module, kind: str, type: FloatType) -> Function:
    """Return the loop called `kind` over elements of `type`, adding it to `module` where it is new.

    Of a matrix (pointer, rows, columns, leading): ``clear(matrix)``, ``scale(matrix, factor)``,
    ``pack(matrix, packed)`` copies it without gaps, ``outer(matrix, factor, left, right)`` adds a multiple of
    an outer product. Of vectors: ``add(n, factor, source, step, target, step)`` adds a multiple of one to
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
