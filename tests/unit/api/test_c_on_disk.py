"""C functions and other processes: derivatives on disk are found, as long as the code is the same."""

import json
import os
import pickle
import subprocess
import sys

import coenzyme as cz
from tests.unit.frontends.c_code import needs_clang

PROGRAM = """
import json, sys, warnings
import numba as nb, numpy as np
from numba.core.errors import NumbaWarning
import coenzyme as cz

warnings.simplefilter("ignore", NumbaWarning)  # that Numba's own cache is not for functions that call C
f = cz.c.function(sys.argv[1], flags=sys.argv[2:])
scaled = nb.njit(cache=True)(lambda x: 10.0 * f(x, x.size))
x = np.array([1.0, 2.0, 3.0])
found = [f(x, 3), *cz.grad(f)(x, 3), scaled(x), cz.jvp(scaled, (x,), (x,))[1]]
info = cz.cache.info()
print(json.dumps([found, info.hits, info.misses, info.refused]))
"""
SOURCE = """double squares(const double *x, int n)
{
    double s = 0;
    for (int i = 0; i < n; i++) s += FACTOR * x[i] * x[i];
    return s;
}
"""


@needs_clang
def test_another_process_finds_what_is_the_same_and_nothing_else(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(factor, *flags):
        (tmp_path / "squares.c").write_text(f"#define FACTOR {factor}\n" + SOURCE)
        surroundings = {**os.environ, "COENZYME_CACHE": "1", "COENZYME_CACHE_DIR": str(tmp_path / "cache")}
        command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "squares.c"), *flags]
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def results(factor):
        return [14.0 * factor, 2.0 * factor, 4.0 * factor, 6.0 * factor, 140.0 * factor, 280.0 * factor]

    assert run("1.0") == [results(1.0), 0, 2, 0]
    assert run("1.0") == [results(1.0), 2, 0, 0]
    # The text of the program, which Numba's cache would go by, is what it was.
    assert run("3.0") == [results(3.0), 0, 2, 0]


def test_a_function_that_is_sent_to_another_process_is_none_of_the_functions_there(tmp_path):
    one = cz.llvm.function("define double @f(double %x) {\n  %y = fadd double %x, %x\n  ret double %y\n}\n")
    (tmp_path / "one").write_bytes(pickle.dumps(one))
    program = f"""
import pickle, coenzyme as cz
text = "define double @f(double %x) {{\\n  ret double %x\\n}}\\n"
assert cz.llvm.function(text)(2.0) == 2.0
with open({str(tmp_path / "one")!r}, "rb") as file:
    one = pickle.load(file)
try:
    one(2.0)
except TypeError as error:
    assert "another process" in str(error), error
else:
    raise AssertionError
cz.llvm.function(text.replace("ret double %x", "%y = fadd double %x, %x\\n  ret double %y"))
assert one(2.0) == 4.0
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
