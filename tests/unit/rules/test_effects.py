"""What calls mean: by every name that Numba's lowering of ``math`` and NumPy was seen to call."""

import pytest

from coenzyme.rules import (
    Allocation,
    BlockKind,
    Effect,
    Reallocation,
    ReferenceCount,
    TransferKind,
    classify,
    find_memory_rule,
    is_inactive,
)


def words(text: str) -> list[str]:
    return text.split()


# From lowering every function of math and every ufunc of NumPy, in both precisions, with numba 0.68.
DIFFERENTIABLE_IN_BOTH_PRECISIONS = words("""
    acos acosh asin asinh atan atan2 atanh cosh erf erfc expm1 hypot lgamma log1p log2 nextafter numba_frexp
    numba_gamma numba_ldexp numba_nextafter sinh sqrt tan tanh
""")
DIFFERENTIABLE_INTRINSICS = words("copysign cos exp exp2 fabs log log10 log2 pow sin sqrt")
STEPS = words("ceil floor trunc")
STEP_INTRINSICS = words("ceil floor rint trunc")

INACTIVE = words("""
    PyErr_SetString PyErr_WriteUnraisable PyFloat_FromDouble PyObject_Hash PyObject_Str PySys_FormatStdout
    PyTuple_Pack PyUnicode_AsUTF8 PyUnicode_FromKindAndData PyUnicode_FromString Py_DecRef Py_FatalError
    llvm.abs.i64 llvm.assume llvm.lifetime.end.p0 llvm.lifetime.start.p0 llvm.sadd.with.overflow.i64
    llvm.smax.i64 llvm.smin.i64 llvm.smul.with.overflow.i64 llvm.umin.i64 llvm.usub.sat.i64
    llvm.umul.with.overflow.i64 llvm.is.fpclass.f64 llvm.experimental.noalias.scope.decl llvm.dbg.value
    llvm.ctpop.i64 llvm.trap
    numba_attempt_nocopy_reshape numba_fatal_error numba_get_np_random_state numba_gil_ensure
    numba_gil_release numba_rnd_shuffle numba_unpickle printf isnan ilogbf isinfl lrintl nan drand48 strtod
    __assert_fail exit fopen fflush getenv clock_gettime toupper __errno_location
    _ZN5numba2np6linalg27ol_raise_with_shape_contextB2v1
""")

BLAS = words("numba_xxgemm numba_xxgemv numba_xxdot numba_xxnrm2")
LAPACK = words("""
    numba_xxgetrf numba_xxpotrf numba_xgesv numba_ez_xxgetri numba_ez_gelsd numba_ez_geqrf numba_ez_gesdd
    numba_ez_rgeev numba_ez_cgeev numba_ez_xxgqr numba_ez_xxxevd
""")

# Bytes of real numbers go through these, or real numbers that have no row.
UNKNOWN = words("""
    numba_cpow numba_list_append numba_list_getitem numba_dict_insert numba_dict_lookup numba_parallel_for
    PyFloat_AsDouble PyObject_Call llvm.modf.f64 llvm.sincos.f64 llvm.sin.v2f64 llvm.fma.f16
    llvm.vector.reduce.fadd llvm.masked.load.v4f64.p0 qsort modf main llvm.absolute sinh2 numba_
    fadd fsub fmul fdiv fneg frem sscanf fread strchr strcpy sinf128 setjmp
""")


@pytest.mark.parametrize("name", DIFFERENTIABLE_IN_BOTH_PRECISIONS)
def test_library_functions_are_differentiable(name):
    assert classify(name) is classify(name + "f") is Effect.DIFFERENTIABLE


@pytest.mark.parametrize("name", DIFFERENTIABLE_INTRINSICS)
def test_intrinsics_are_differentiable(name):
    assert classify(f"llvm.{name}.f64") is classify(f"llvm.{name}.f32") is Effect.DIFFERENTIABLE


def test_rounding_has_a_zero_derivative_and_is_inactive():
    names = [*STEPS, *(f"{s}f" for s in STEPS), *(f"llvm.{s}.f32" for s in STEP_INTRINSICS)]
    assert {classify(name) for name in names} == {Effect.ZERO_DERIVATIVE}
    assert all(is_inactive(name) for name in names)


@pytest.mark.parametrize("name", INACTIVE)
def test_integers_hints_errors_and_printing_are_inactive(name):
    assert classify(name) is Effect.INACTIVE
    assert is_inactive(name)


def test_linear_algebra_is_recognised():
    assert {classify(name) for name in BLAS} == {Effect.BLAS}
    assert {classify(name) for name in LAPACK} == {Effect.LAPACK}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_might_carry_a_derivative_is_unknown_rather_than_inactive(name):
    assert classify(name) is Effect.UNKNOWN
    assert not is_inactive(name)


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("NRT_MemInfo_alloc_aligned", Effect.ALLOCATION),
        ("NRT_Allocate", Effect.ALLOCATION),
        ("calloc", Effect.ALLOCATION),
        ("NRT_MemInfo_varsize_realloc", Effect.REALLOCATION),
        ("NRT_Free", Effect.DEALLOCATION),
        ("NRT_incref", Effect.REFERENCE_COUNT),
        ("NRT_decref", Effect.REFERENCE_COUNT),
        ("NRT_MemInfo_data_fast", Effect.MEMINFO_DATA),
        ("llvm.memcpy.p0.p0.i64", Effect.MEMCPY),
        ("llvm.memcpy.inline.p0.p0.i64", Effect.MEMCPY),
        ("memmove", Effect.MEMMOVE),
        ("llvm.memset.p0.i64", Effect.MEMSET),
    ],
)
def test_memory_functions_are_neither_inactive_nor_unknown(name, effect):
    assert classify(name) is effect
    assert not is_inactive(name)


def test_an_allocation_names_its_operands():
    match find_memory_rule("NRT_MemInfo_alloc_aligned"):
        case Allocation(size=(0,), kind=BlockKind.MEMINFO, release="NRT_decref", alignment=1, zeroed=False):
            pass
        case other:
            pytest.fail(f"{other}")
    match find_memory_rule("calloc"):
        case Allocation(size=(0, 1), kind=BlockKind.RAW, release="free", zeroed=True):
            pass
        case other:
            pytest.fail(f"{other}")


def test_counts_go_up_and_down():
    match find_memory_rule("NRT_incref"), find_memory_rule("NRT_decref"):
        case ReferenceCount(change=1), ReferenceCount(change=-1):
            pass
        case other:
            pytest.fail(f"{other}")


def test_transfers_name_source_or_value():
    copy, fill = find_memory_rule("llvm.memcpy.p0.p0.i64"), find_memory_rule("llvm.memset.p0.i64")
    assert (copy.kind, copy.destination, copy.source, copy.value, copy.size) == (
        TransferKind.COPY,
        0,
        1,
        None,
        2,
    )
    assert (fill.kind, fill.destination, fill.source, fill.value, fill.size) == (
        TransferKind.SET,
        0,
        None,
        1,
        2,
    )


def test_a_reallocation_says_whether_the_content_stays():
    assert find_memory_rule("realloc") == Reallocation("realloc", 0, 1, BlockKind.RAW)
    assert not find_memory_rule("NRT_MemInfo_varsize_alloc").keeps_content
