"""C programs that allocate, link, move and sort what they compute with; each in a process of its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from ctypes import c_double, c_int, c_void_p
from pathlib import Path

import pytest

from coenzyme.analysis.passes import ALL_PASSES
from coenzyme.errors import BackendUnavailableError, UnsupportedIRError
from coenzyme.foreign.derivatives import ForeignRequest, derive_foreign, share_globals
from coenzyme.frontends.clang import compile_c, find_clang
from coenzyme.frontends.program import ComponentActivity, Mode
from tests.unit.foreign.linked import link

PROGRAMS = Path(__file__).parent / "memory"
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def clang() -> None:
    try:
        find_clang()
    except BackendUnavailableError as error:
        pytest.skip(str(error))


def complaints(file: str, extent: str, *names: str) -> str:
    """Return what the process says that checks the functions of `file`."""
    command = [sys.executable, "-m", "tests.unit.foreign.programs", PROGRAMS / file, extent, *names]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout + (done.stderr[-2000:] if done.returncode else "")


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(path.name for path in PROGRAMS.glob("*.c")))
def test_derivatives_are_the_differences_in_all_modes(file: str) -> None:
    assert complaints(file, "full") == ""


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("allocation.c", ["grows_by_a_struct", "tree_with_counts"]),
        ("structs.c", ["copied_array", "by_value_in_recursion"]),
        ("sorting.c", ["sorted_records"]),
        ("stack_arrays.c", ["left_early"]),
        ("lists.c", ["set_by_callee"]),
        ("globals.c", ["pointer_to_another", "changed_by_two"]),
    ],
)
def test_derivatives_are_the_differences(file: str, names: list[str]) -> None:
    assert complaints(file, "quick", *names) == ""


def test_wrong_derivatives_are_complained_about(tmp_path: Path) -> None:
    # In what differences are taken of, the factor is 8.
    program = tmp_path / "rounded.c"
    program.write_text("double f(double *x, int n) { return x[2] * sizeof(float); }")
    assert "f (clever, forward, width 1)" in complaints(str(program), "quick")


def derive(source: str, symbol: str, *activities: ComponentActivity, mode: Mode = Mode.REVERSE) -> None:
    text = share_globals(compile_c(source))
    derive_foreign(text, symbol, ForeignRequest(mode, activities, True, passes=ALL_PASSES), "derivative")


DUPLICATED = ComponentActivity.DUPLICATED


def test_bits_of_a_union_are_refused() -> None:
    source = """
    union Bits { double d; long l; };
    double next(double *x) { union Bits u; u.d = *x; u.l += 1; return u.d; }
    """
    with pytest.raises(UnsupportedIRError, match="integer bits"):
        derive(source, "next", DUPLICATED)


def test_blocks_of_which_nothing_is_known_are_refused_in_reverse() -> None:
    source = """
    #include <string.h>
    struct Record { double value; struct Record *next; };
    double move(struct Record *to, const struct Record *from, long bytes) {
      memcpy(to, from, bytes);
      return to->next->value;
    }
    """
    with pytest.raises(UnsupportedIRError, match="nothing tells whether it holds numbers"):
        derive(source, "move", DUPLICATED, DUPLICATED, ComponentActivity.CONST)


def test_stack_memory_without_an_end_in_a_loop_is_refused() -> None:
    source = """
    double pile(double *x, int n) {
      double *last = x, sum = 0;
      for (int k = 1; k < n; k++) {
        double *next = __builtin_alloca(k * sizeof(double));
        for (int i = 0; i < k; i++) next[i] = last[i / 2] * x[i];
        for (int i = 0; i < k; i++) sum += next[i] * next[0];
        last = next;
      }
      return sum;
    }
    """
    with pytest.raises(UnsupportedIRError, match="taken from the stack in a loop"):
        derive(source, "pile", DUPLICATED, ComponentActivity.CONST)


COUNTING = """
double sum = 1;
double count(double x) { sum = sum * x; return sum * sum; }
"""


@pytest.mark.parametrize("continues", [False, True])
def test_shadows_of_variables_are_zero_or_as_they_were_left(continues: bool) -> None:
    request = ForeignRequest(Mode.FORWARD, (DUPLICATED,), True, continues=continues)
    linked = link(compile_c(COUNTING), {"derivative": ("count", request)})
    result, tangent = c_double(), c_double()
    derivative = linked.function("derivative", c_int, *[c_void_p] * 2, c_double, c_void_p, c_double)
    for _ in range(2):
        assert derivative(ctypes.addressof(result), None, 3.0, ctypes.addressof(tangent), 1.0) == 0
    # The second call finds sum = 3, of which the slope is 1 where it is known.
    assert result.value == 81
    assert tangent.value == (4 * 3.0**3 if continues else 2 * 9 * 3.0)
