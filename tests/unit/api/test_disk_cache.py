"""Derivatives on disk: found by another process, or made again where anything at all is different."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import json, sys
import numba as nb, numpy as np
import coenzyme as cz

@nb.njit(**OPTIONS)
def f(x, y):
    total = 0.0
    for i in range(x.size):
        if x[i] < 0.0:
            raise ValueError("negative")
        total += SCALE * x[i] * y[i] * x[i]
    return total

x, y = np.linspace(1.0, 2.0, 7), np.linspace(3.0, 5.0, 7)
EXTRA
dx = np.zeros(7)
cz.autodiff(cz.Reverse, f, cz.Active, cz.Duplicated(x, dx), cz.Const(y))
results = [cz.grad(f)(x, y), cz.grad(f, 1)(x, y), dx, cz.jvp(f, (x, y), (y, x))]
assert np.allclose(results[0], 2.0 * SCALE * x * y)
for _ in range(2):
    try:
        cz.grad(f)(-x, y)
    except ValueError as error:
        assert str(error) == "negative"
    else:
        raise AssertionError
info = cz.cache.info()
given = [[float(part).hex() for part in np.ravel(one)] for one in results]
json.dump({"hits": info.hits, "misses": info.misses, "refused": info.refused, "files": info.files,
           "results": given}, sys.stdout)
"""
CALLS = 4


class Child:
    """A process that computes derivatives, with a cache of its own in `folder`."""

    def __init__(self, folder, script, scale="1.5", options="{}", extra="", **environment):
        text = PROGRAM.replace("SCALE", scale).replace("OPTIONS", options).replace("EXTRA", extra)
        script.write_text(text)
        surroundings = {**os.environ, "COENZYME_CACHE": "1", "COENZYME_CACHE_DIR": str(folder), **environment}
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def result(self):
        out, err = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, err
        return json.loads(out)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    return tmp_path_factory.mktemp("source") / "program.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "code"


@pytest.fixture(scope="module")
def first(folder, script):
    return Child(folder, script).result()


def test_the_first_process_compiles(first):
    assert (first["hits"], first["misses"], first["files"]) == (0, CALLS, CALLS)
    assert first["refused"] == 0


def test_the_second_process_finds_everything_and_computes_the_same(first, folder, script):
    # Other functions come before, so that whatever is counted in a process stands elsewhere.
    extra = "nb.njit(lambda a: np.sin(a).sum())(x); nb.njit(lambda a: a + 1.0)(2.0)"
    shifted = Child(folder, script, extra=extra).result()
    assert (shifted["hits"], shifted["misses"]) == (CALLS, 0)
    assert shifted["results"] == first["results"]


@pytest.mark.slow
def test_a_function_of_the_same_name_is_another_function(first, folder, script):
    extra = """
def make(k):
    @nb.njit
    def f(x, y):
        total = 0.0
        for i in range(x.size):
            total += k * x[i] * y[i] * x[i]
        return total
    return f
for k in (7.0, 8.0, 9.0):
    assert np.allclose(cz.grad(make(k))(x, y), 2.0 * k * x * y)
"""
    for misses in (3, 0):
        again = Child(folder, script, extra=extra).result()
        assert (again["hits"], again["misses"]) == (CALLS + 3 - misses, misses)
        assert again["results"] == first["results"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"scale": "2.5"},
        {"options": "{'fastmath': True}"},
        {"NUMBA_BOUNDSCHECK": "1"},
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    ],
    ids=["source", "option", "setting", "processor"],
)
def test_whatever_is_changed_is_compiled_again(first, folder, script, change):
    again = Child(folder, script, **change).result()
    assert (again["hits"], again["misses"]) == (0, CALLS)


@pytest.mark.slow
def test_damaged_files_are_ignored_and_written_again(first, tmp_path, folder, script):
    own = tmp_path / "code"
    own.mkdir(mode=0o700)
    files = sorted(folder.glob("*.code"))
    for path in files:
        (own / path.name).write_bytes(path.read_bytes())
        (own / path.name).chmod(0o600)
    target = own / "x"
    for i, path in enumerate(sorted(own.glob("*.code"))):
        data = path.read_bytes()
        target = path
        target.write_bytes([data[: len(data) // 2], b"", data[:-1] + b"?", b"\0" * 1000][i % 4])
    damaged = Child(own, script).result()
    assert damaged["hits"] == 0
    assert damaged["results"] == first["results"]
    assert Child(own, script).result()["hits"] == CALLS


@pytest.mark.slow
def test_two_processes_at_once_do_no_harm(first, tmp_path, script):
    children = [Child(tmp_path / "code", script) for _ in range(2)]
    for child in children:
        assert child.result()["results"] == first["results"]
    after = Child(tmp_path / "code", script).result()
    assert (after["hits"], after["files"]) == (CALLS, CALLS)
    assert after["results"] == first["results"]


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_does_not_matter(first, tmp_path, script):
    (tmp_path / "file").write_text("in the way")
    alone = Child(tmp_path / "file" / "code", script).result()
    assert (alone["hits"], alone["files"]) == (0, 0)
    assert alone["results"] == first["results"]


@pytest.mark.slow
def test_nothing_is_kept_where_the_cache_is_off(tmp_path, script):
    off = Child(tmp_path / "code", script, COENZYME_CACHE="0").result()
    assert off["files"] == 0
    assert not (tmp_path / "code").exists()


@pytest.mark.slow
def test_code_with_addresses_in_it_is_not_kept(tmp_path, script):
    extra = """
places = np.arange(1_000_000)
@nb.njit
def looked_up(x):
    total = 0.0
    for i in range(x.size):
        total += x[places[i]] * x[i]
    return total
@nb.njit
def waiting(x):
    with nb.objmode():
        pass
    return (x * x).sum()
@nb.njit(parallel=True)
def threaded(x):
    total = 0.0
    for i in nb.prange(x.size):
        total += x[i] * x[i]
    return total
before = cz.cache.info().files
for function in (looked_up, waiting, threaded):
    assert np.allclose(cz.grad(function)(x), 2.0 * x)
assert cz.cache.info().files == before
assert cz.cache.info().refused == 3
y2, pull = cz.vjp(f, x, y)
pull(1.0)
assert cz.cache.info().files == before
"""
    for _ in range(2):
        Child(tmp_path / "code", script, extra=extra).result()


@pytest.mark.slow
def test_functions_that_are_passed_to_others_are_part_of_the_code(tmp_path, script):
    extra = """
@nb.njit
def step(z):
    for i in range(z.size):
        z[i] = SCALE * z[i]
@nb.njit
def stepped(z):
    z = z.copy()
    cz.checkpoint(step, z, 3)
    return z.sum()
@nb.njit
def cube(z):
    return SCALE * z[0] ** 3
@nb.njit
def slope(z):
    return cz.grad(cube)(z)[0]
assert np.allclose(cz.grad(stepped)(x), SCALE**3)
assert np.allclose(cz.grad(slope)(x)[0], 6.0 * SCALE * x[0])
"""
    for scale, hits in (("1.5", 0), ("1.5", CALLS + 2), ("2.5", 0)):
        again = Child(tmp_path / "code", script, scale, extra=extra.replace("SCALE", scale)).result()
        assert (again["hits"], again["misses"]) == (hits, CALLS + 2 - hits)


@pytest.mark.slow
def test_functions_that_call_others_are_found(tmp_path):
    # Numba leaves the address of the callee in a global that nothing reads.
    script = tmp_path / "callers.py"
    script.write_text(
        "import json, sys, numba as nb, numpy as np, coenzyme as cz\n"
        "@nb.njit\ndef inner(x): return np.sin(x)\n"
        "def f(u):\n    s = 0.0\n    for i in range(u.size): s += inner(u[i])\n    return s\n"
        "value = cz.grad(f)(np.ones(3)).tolist()\n"
        "info = cz.cache.info()\n"
        "json.dump([value, info.hits, info.refused], sys.stdout)\n"
    )
    environment = {**os.environ, "COENZYME_CACHE": "1", "COENZYME_CACHE_DIR": str(tmp_path / "code")}
    runs = [
        json.loads(subprocess.check_output([sys.executable, str(script)], env=environment, timeout=300))
        for _ in range(2)
    ]
    assert runs[0] == [runs[1][0], 0, 0]
    assert runs[1][1:] == [1, 0]


def test_what_is_not_kept_after_what_is_kept_finds_code_of_its_own(tmp_path):
    # Code that another function keeps to itself was called by the convention that it had before.
    run = """
        import numba, numpy as np, coenzyme as cz
        import coenzyme.api.kept as kept
        x = np.arange(3.0)
        first = cz.jacfwd(numba.njit(lambda x: x * x))(x)
        kept.program_text = lambda *given: None
        print(np.diag(first), np.diag(cz.jacfwd(numba.njit(lambda x: -x * x))(x)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(run)],
        env={**os.environ, "COENZYME_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[0. 2. 4.] [-0. -2. -4.]", done.stderr
