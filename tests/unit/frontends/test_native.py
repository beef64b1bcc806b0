"""What C's types are in Python, what debug information says of them, and functions out of their modules."""

import ctypes
import re

import llvmlite.binding as llvm
import numba as nb
import numpy as np
import pytest

from coenzyme.errors import CompilationError, UnsupportedIRError
from coenzyme.frontends.c_types import CPointer, CScalar, CStruct, Kind, fits_into, read_type
from coenzyme.frontends.clang import compile_c
from coenzyme.frontends.debug_types import DebugTypes
from coenzyme.frontends.llvm_modules import read_module
from coenzyme.frontends.native import parameter_names
from coenzyme.frontends.native_module import is_native, isolate, variable_of, visible_functions
from tests.unit.frontends.c_code import needs_clang

DOUBLE, FLOAT, INT = CScalar(Kind.FLOAT, 8), CScalar(Kind.FLOAT, 4), CScalar(Kind.SIGNED, 4)
LONG = CScalar(Kind.SIGNED, ctypes.sizeof(ctypes.c_long))


class Pair(ctypes.Structure):
    _fields_ = (("a", ctypes.c_double), ("b", ctypes.c_int))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("double", DOUBLE),
        ("const float", FLOAT),
        ("signed", INT),
        ("unsigned int", CScalar(Kind.UNSIGNED, 4)),
        ("long int", LONG),
        ("unsigned long long", CScalar(Kind.UNSIGNED, 8)),
        ("short unsigned", CScalar(Kind.UNSIGNED, 2)),
        ("char", CScalar(Kind.SIGNED, 1)),
        ("_Bool", CScalar(Kind.BOOLEAN, 1)),
        ("double _Complex", CScalar(Kind.COMPLEX, 16)),
        ("uint16_t", CScalar(Kind.UNSIGNED, 2)),
        ("void", None),
        (None, None),
        ("double *", CPointer(DOUBLE)),
        ("const double * restrict", CPointer(DOUBLE, is_constant=True)),
        ("double const *", CPointer(DOUBLE, is_constant=True)),
        ("double * const", CPointer(DOUBLE)),
        ("int []", CPointer(INT)),
        ("const void *", CPointer(None, is_constant=True)),
        (ctypes.c_double, DOUBLE),
        (ctypes.POINTER(ctypes.c_float), CPointer(FLOAT)),
        (ctypes.c_void_p, CPointer(None)),
        (Pair, CStruct("", 16, read_type(Pair).fields)),
        (ctypes.POINTER(Pair), CPointer(read_type(Pair))),
        (np.float32, FLOAT),
        (np.dtype("i4"), INT),
        (np.dtype([("a", "f8"), ("b", "i4")], align=True), CPointer(read_type(Pair))),
        (np.ctypeslib.ndpointer(np.float64, ndim=2), CPointer(DOUBLE)),
        (nb.float64, DOUBLE),
        (nb.float64[:, ::1], CPointer(DOUBLE)),
        (nb.types.Array(nb.float32, 1, "C", readonly=True), CPointer(FLOAT, is_constant=True)),
        (float, DOUBLE),
        (bool, CScalar(Kind.BOOLEAN, 1)),
    ],
)
def test_types_are_read_from_every_spelling(given, wanted):
    assert read_type(given) == wanted


@pytest.mark.parametrize(
    "given",
    ["long double", "double **", "struct s", "void **", "double x", "unsigned double", "int int", "", "*", 3,
     object, ctypes.c_longdouble, np.dtype(">f8"), np.dtype("U3"), nb.types.unicode_type, ctypes.py_object],
)  # fmt: skip
def test_what_is_no_type_of_a_value_is_refused(given):
    with pytest.raises(CompilationError, match="is not the type of something that can be passed"):
        read_type(given)


def test_structs_fit_by_what_is_where_in_them():
    wanted = read_type(Pair)
    assert fits_into(read_type(np.dtype([("x", "f8"), ("y", "i4")], align=True)).target, wanted)
    assert not fits_into(read_type(np.dtype([("x", "f8"), ("y", "i4")])).target, wanted)
    assert not fits_into(read_type(np.dtype([("x", "f8"), ("y", "f4")], align=True)).target, wanted)
    assert not fits_into(DOUBLE, wanted)
    assert fits_into(wanted, None)


TYPES = """
#include <stddef.h>
typedef struct { double x[2]; struct { float a; char b; } in[2]; void *p; } thing;
enum colour { RED, GREEN };
union both { int a; double b; };
const double *many(thing *t, const thing by_value, enum colour c, union both u, const double *restrict r,
                   double (*rows)[4], size_t n, double **pp, void *v, long double l, double (*f)(double),
                   _Bool b, int m, double (*variable)[m])
{ return r; }
void nothing(void) {}
int several(int a, ...) { return a; }
"""


@needs_clang
def test_debug_information_says_what_parameters_are():
    types = DebugTypes(read_module(compile_c(TYPES)))
    found = types.prototype("many")
    assert found.result == CPointer(DOUBLE, is_constant=True)
    thing = found.parameters[1]
    assert found.parameters[0] == CPointer(thing)
    assert [(f.offset, str(f.type)) for f in thing.fields] == [
        (0, "float64"), (8, "float64"), (16, "float32"), (20, "int8"), (24, "float32"), (28, "int8"),
        (32, "void *"),
    ]  # fmt: skip
    assert thing.size == 40
    assert found.parameters[2].is_integer
    assert [str(p) for p in found.parameters[3:]] == [
        "union both", "const float64 *", "float64 *", "uint64", "float64 * *", "void *", "long double",
        "unknown type *", "bool", "int32", "float64 *",
    ]  # fmt: skip
    assert found.spellings[2] == "thing"
    assert found.names[:2] == ("t", "by_value")
    nothing = types.prototype("nothing")
    assert (nothing.result, nothing.parameters) == (None, ())
    assert types.prototype("several") is None
    assert types.prototype("unknown") is None


def test_modules_without_debug_information_say_nothing():
    assert DebugTypes("define double @f(double %x) {\n  ret double %x\n}\n").prototype("f") is None


def test_parameters_have_names_that_python_can_use():
    assert parameter_names(["x", "", "lambda", "x", "q.coerce0"]) == ["x", "a1", "a2", "x_", "a4"]


MODULE = """
@table = internal global [2 x double] [double 1.0, double 2.0]
@flag = global i32 3
@count = internal global i32 0
@unused = global i32 0

define internal double @sin(double %x) {
  %n = load i32, ptr @count
  %m = add i32 %n, 1
  store i32 %m, ptr @count
  %i = and i32 %n, 1
  %at = getelementptr [2 x double], ptr @table, i32 0, i32 %i
  %w = load double, ptr %at
  %y = fmul double %x, %w
  ret double %y
}
define i8 @f(double %x, i8 signext %k) #0 {
  %y = call double @sin(double %x)
  %i = load i32, ptr @flag
  %z = fptosi double %y to i8
  ret i8 %z
}
define void @other() {
  store i32 4, ptr @unused
  ret void
}
attributes #0 = { "target-cpu"="x86-64" "target-features"="+sse2" }
"""


def test_an_isolated_function_shows_one_symbol_and_keeps_no_variables():
    code = isolate(MODULE, "f")
    assert visible_functions(code.text) == [code.symbol]
    assert (code.result, code.parameters) == ("i8", ("double", "i8"))
    module = llvm.parse_assembly(code.text)
    defined = {f.name for f in module.functions if not f.is_declaration}
    assert defined == {code.symbol, "native.f", "native.sin"}
    assert is_native("native.sin")
    assert "target-cpu" not in code.text
    assert "@native.f(double %0, i8 signext %1)" in code.text
    # What nobody writes is a constant of the module; what somebody writes is elsewhere, once.
    assert re.search(r"@table = internal constant", code.text)
    assert re.search(r"@flag = internal constant i32 3", code.text)
    name, state = code.state
    (variable,) = [g.name for g in llvm.parse_assembly(code.text).global_variables if g.is_declaration]
    assert variable.startswith(name)
    assert variable_of(variable) == "count"
    assert re.search(rf'@"?{re.escape(variable)}"? = (?:dso_local )?global i32 0', state)
    assert variable_of("count") is None


def test_functions_of_one_module_share_its_variables_and_others_do_not():
    both = MODULE + "define i32 @calls() {\n  %n = load i32, ptr @count\n  ret i32 %n\n}\n"
    assert isolate(both, "f").state == isolate(both, "calls").state
    assert isolate(both, "f").state[0] != isolate(MODULE, "f").state[0]
    assert isolate(both, "f").symbol != isolate(MODULE, "f").symbol


def test_variables_with_addresses_of_functions_are_refused():
    text = (
        "@hook = global ptr @f\n"
        "define double @f(double %x) {\n  ret double %x\n}\n"
        "define void @set(ptr %p) {\n  store ptr %p, ptr @hook\n  ret void\n}\n"
    )
    with pytest.raises(UnsupportedIRError, match="addresses of functions"):
        isolate(text, "set")
