"""What a call means to differentiation, by the name of what is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache

from coenzyme.rules.containers import ContainerAct, find_container_rule
from coenzyme.rules.given import is_declared_inactive
from coenzyme.rules.memory import (
    Allocation,
    Deallocation,
    MemInfoData,
    MemoryRule,
    Reallocation,
    ReferenceCount,
    Transfer,
    TransferKind,
    find_memory_rule,
)
from coenzyme.rules.symbols import find_call_rule

__all__ = ["OUTSIDE", "Effect", "classify", "is_inactive"]


OUTSIDE = "coenzyme.outside."
"""What the names of blocks of object mode begin with."""


class Effect(Enum):
    """What a call means to differentiation."""

    DIFFERENTIABLE = "differentiable"
    """A row of the table states its partial derivatives."""
    ZERO_DERIVATIVE = "zero derivative"
    """A real function whose derivative is zero: floor, rint. Its row says so too."""
    INACTIVE = "inactive"
    """Nothing that can carry a derivative goes in and out: integers, hints, errors, printing."""
    ALLOCATION = "allocation"
    REALLOCATION = "reallocation"
    DEALLOCATION = "deallocation"
    REFERENCE_COUNT = "reference count"
    MEMINFO_DATA = "payload of a meminfo"
    MEMCPY = "memcpy"
    MEMMOVE = "memmove"
    MEMSET = "memset"
    CONTAINER = "new container"
    """A typed list or dictionary, whose items lie in a payload of its own."""
    STRUCTURE = "structure of a container"
    """Length, keys or methods of a typed container change: its shadow changes likewise."""
    BLAS = "blas"
    """Linear algebra with a closed-form derivative: products, norms."""
    LAPACK = "lapack"
    """Factorisations and solves."""
    OUTSIDE = "block of object mode"
    """Python code, called by Numba's convention, through which nothing differentiated may go."""
    UNKNOWN = "unknown"
    """Nothing is known: an active call has to be refused."""


def _words(text: str) -> str:
    return "|".join(re.escape(word) for word in text.split())


_INTRINSICS = r"""
    # integers
    smax|smin|umax|umin|abs|scmp|ucmp|ctpop|ctlz|cttz|bswap|bitreverse|fshl|fshr
    |[su](add|sub|mul)\.with\.overflow|[su](add|sub|shl)\.sat|[su]mul\.fix(\.sat)?
    # from real numbers to integers
    |is\.fpclass|lround|llround|lrint|llrint|fpto[su]i\.sat|get\.rounding
    # hints and bookkeeping
    |assume|expect(\.with\.probability)?|is\.constant|objectsize|allow\.\w+\.check|donothing|sideeffect
    |lifetime\.(start|end)|invariant\.(start|end)|experimental\.noalias\.scope\.decl|fake\.use
    |dbg\.\w+|pseudoprobe|var\.annotation|prefetch|stacksave|stackrestore|readcyclecounter
    |trap|debugtrap|ubsantrap
"""

# Those of Numba's C functions that neither take nor return anything real. Its containers (numba_list_*,
# numba_dict_*, numba_set_*) move bytes of real numbers about and are not among them; neither is numba_cpow.
_NUMBA = _words("""
    gil_ensure gil_release fatal_error do_raise unpickle runtime_build_excinfo_struct attempt_nocopy_reshape
    get_py_random_state get_np_random_state get_internal_random_state rnd_shuffle rnd_init poisson_ptrs
    set_fnclex sdiv srem udiv urem fptoui fptouif py_type gdb_breakpoint unpack_slice
    extract_unicode gettyperecord get_PyUnicode_ExtendedCase
""")

# Errors, printing, strings. PyFloat_FromDouble is how a number is printed; PyFloat_AsDouble, by which one
# would come back from Python, is not here.
_PYTHON = _words("""
    Py_IncRef Py_DecRef Py_FatalError PyObject_Str PyObject_Repr PyObject_Hash PyFloat_FromDouble PyTuple_Pack
    PyBool_FromLong PyGILState_Ensure PyGILState_Release PyEval_SaveThread PyEval_RestoreThread
    PySys_FormatStdout PySys_WriteStdout
""")

# Those that return a pointer into what they are given (strchr) are not among them: who writes through it
# would not be seen; neither are those that read numbers into memory (scanf, fread), or move them (qsort).
_C = _words("""
    get_num_threads set_num_threads get_thread_id nrt_unresolved_abort NRT_get_api NRT_MemInfo_size
    NRT_MemInfo_refcount malloc_usable_size malloc_size _msize coenzyme.carried
    printf fprintf dprintf sprintf snprintf vprintf vfprintf vsprintf vsnprintf puts putchar putc fputs fputc
    fwrite putchar_unlocked fputc_unlocked fputs_unlocked fwrite_unlocked perror
    __printf_chk __fprintf_chk __sprintf_chk __snprintf_chk __vprintf_chk __vfprintf_chk __vsprintf_chk
    __vsnprintf_chk
    fopen fopen64 fdopen fclose fflush feof ferror clearerr fileno remove setvbuf setbuf getchar getc fgetc
    ungetc fseek ftell rewind
    strlen strnlen strcmp strncmp strcasecmp strncasecmp strcoll strspn strcspn strerror memcmp bcmp
    atoi atol atoll atof strtol strtoul strtoll strtoull strtod strtof strtold __isoc23_strtol
    __isoc23_strtoul __isoc23_strtoll __isoc23_strtoull
    isalnum isalpha isblank iscntrl isdigit isgraph islower isprint ispunct isspace isupper isxdigit tolower
    toupper __ctype_b_loc __ctype_tolower_loc __ctype_toupper_loc
    abort exit _exit _Exit quick_exit __assert_fail __assert_rtn __assert __stack_chk_fail getenv getpid
    isatty __errno_location __error
    abs labs llabs div ldiv lldiv rand srand rand_r random srandom drand48 erand48 lrand48 nrand48 mrand48
    jrand48 srand48
    time clock difftime gettimeofday clock_gettime clock_getres getrusage sleep usleep nanosleep
    sched_yield
    fegetround fesetround feclearexcept feraiseexcept fetestexcept fegetexceptflag fesetexceptflag
    feholdexcept fegetenv fesetenv feupdateenv
""")

# From real numbers to integers, or from texts to constants: in three precisions, with f, l or nothing behind.
_C_IN_PRECISIONS = _words("""
    isnan isinf isfinite finite signbit __isnan __isinf __finite __signbit __fpclassify ilogb llogb lround
    llround lrint llrint nan issignaling __issignaling iszero
""")

_INACTIVE = re.compile(
    rf"""
    llvm\.({_INTRINSICS})(\..+)?
    |numba_({_NUMBA})
    # Which element is the largest, and BLAS's complaints
    |(scipy_)?(cblas_i[sdcz]am(ax|in)(_?64_?)?|i[sdcz]am(ax|in)(__?|_?64_)|(cblas_)?xerbla(_?64)?_?)
    |{_PYTHON}|Py(Err|Unicode|Bytes|Exc)_\w+|PyLong_From\w+
    |{_C}
    |({_C_IN_PRECISIONS})[fl]?
    # What the user declares to be a constant
    |coenzyme\.constant\.f(32|64|80)
    # Numba's own functions that only ever raise, under their mangled names
    |.*(ol_raise_with_shape_context|__excinfo_unwrap_args).*
    """,
    re.VERBOSE,
)

_BLAS = re.compile(r"numba_xx(gemm|gemv|dot|nrm2)(\.[\w.$]+)?")
_LAPACK = re.compile(r"numba_(xxgetrf|xxpotrf|xgesv|ez_\w+)")

_MEMORY: Mapping[type[MemoryRule], Effect] = {
    Allocation: Effect.ALLOCATION,
    Reallocation: Effect.REALLOCATION,
    Deallocation: Effect.DEALLOCATION,
    ReferenceCount: Effect.REFERENCE_COUNT,
    MemInfoData: Effect.MEMINFO_DATA,
}
_CONTAINERS: Mapping[ContainerAct, Effect] = {
    ContainerAct.CREATE: Effect.CONTAINER,
    ContainerAct.CHANGE: Effect.STRUCTURE,
    ContainerAct.ASK: Effect.INACTIVE,
}
_TRANSFERS: Mapping[TransferKind, Effect] = {
    TransferKind.COPY: Effect.MEMCPY,
    TransferKind.MOVE: Effect.MEMMOVE,
    TransferKind.SET: Effect.MEMSET,
}


@cache
def classify(callee: str) -> Effect:
    """Return what a call of ``callee`` means to differentiation.

    Parameters
    ----------
    callee
        LLVM's name of the function, without ``@``. A function whose body is at hand is better
        differentiated than classified.

    Examples
    --------
    >>> classify("llvm.floor.f64"), classify("NRT_incref"), classify("qsort")
    (<Effect.ZERO_DERIVATIVE: 'zero derivative'>, <Effect.REFERENCE_COUNT: 'reference count'>,
    <Effect.UNKNOWN: 'unknown'>)
    """
    found = find_call_rule(callee)
    if found is not None:
        return Effect.ZERO_DERIVATIVE if found[0].is_zero else Effect.DIFFERENTIABLE
    memory = _effect_on_memory(callee)
    if memory is not None:
        return memory
    if callee.startswith(OUTSIDE):
        return Effect.OUTSIDE
    container = find_container_rule(callee)
    if container is not None:
        return _CONTAINERS[container.act]
    if is_declared_inactive(callee) or _INACTIVE.fullmatch(callee):
        return Effect.INACTIVE
    if _BLAS.fullmatch(callee):
        return Effect.BLAS
    return Effect.LAPACK if _LAPACK.fullmatch(callee) else Effect.UNKNOWN


def _effect_on_memory(callee: str) -> Effect | None:
    rule = find_memory_rule(callee)
    if rule is None:
        return None
    return _TRANSFERS[rule.kind] if isinstance(rule, Transfer) else _MEMORY[type(rule)]


def is_inactive(callee: str) -> bool:
    """Return whether no derivative passes through a call: the result is constant, memory keeps its shadow."""
    return classify(callee) in {Effect.INACTIVE, Effect.ZERO_DERIVATIVE}
