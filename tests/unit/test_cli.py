"""The command line's own checks pass a right gradient and reject a wrong one, whatever computed it."""

import re
import subprocess

import numpy as np
import pytest
from typer.testing import CliRunner

import coenzyme as cz
from benchmarks.problems.gmm import gmm_adjoint
from coenzyme import cli
from coenzyme.errors import BackendUnavailableError, CompilationError
from coenzyme.frontends import numba_cache
from coenzyme.frontends.clang import find_clang


def run(*arguments):
    return CliRunner().invoke(cli.app, arguments)


@pytest.fixture
def gradient_by_hand(monkeypatch):
    """Replace value_and_grad by adjoints derived by hand, the mixture's multiplied by a factor."""

    def install(factor=1.0, value_factor=1.0):
        def value_and_grad(f, argnums=0):
            if f is cli.sum_of_running_products:
                return lambda _: (32.0, np.array([16.0, 10.0, 6.0]))

            def by_hand(*arguments):
                gradients = [np.zeros_like(x) for x in arguments[:3]]
                gmm_adjoint(*arguments, *gradients)
                return f(*arguments) * value_factor, tuple(factor * part for part in gradients)

            return by_hand

        monkeypatch.setattr(cz, "value_and_grad", value_and_grad, raising=False)

    return install


def test_demo_passes_with_a_right_gradient(gradient_by_hand):
    gradient_by_hand()
    result = run("demo", "--steps", "2")
    assert result.exit_code == 0, result.output
    assert "log posterior            -25649.652621" in result.output
    assert re.search(r"ratio +\d+\.\d\d", result.output)
    assert "the log posterior rose from -25649.653" in result.output


@pytest.mark.parametrize(
    "factors", [(1.0 + 1e-6, 1.0), (-1.0, 1.0), (0.0, 1.0), (np.nan, 1.0), (1.0, 1.0 + 1e-9)]
)
def test_demo_fails_with_a_wrong_gradient_or_value(gradient_by_hand, factors):
    gradient_by_hand(*factors)
    result = run("demo", "--steps", "2")
    assert result.exit_code == 1
    assert "✗" in result.output


def test_demo_refuses_a_missing_file_with_advice():
    result = run("demo", "--data", "nowhere.txt")
    assert result.exit_code == 1
    assert "nowhere.txt" in result.output
    assert "remedy" in result.output


def test_what_coenzyme_refuses_is_printed_as_advice(monkeypatch, capsys, tmp_path):
    (tmp_path / "words.txt").write_text("not a mixture")
    monkeypatch.setattr("sys.argv", ["coenzyme", "demo", "--data", str(tmp_path / "words.txt")])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    assert ending.value.code == 1
    output = capsys.readouterr().out
    assert "not a number" in output
    assert "remedy" in output


def test_doctor_prints_versions_and_passes_its_self_test(gradient_by_hand):
    gradient_by_hand()
    result = run("doctor")
    assert result.exit_code == 0, result.output
    for name in ("python", "coenzyme", "numba", "llvmlite", "LLVM"):
        assert name in result.output


def test_doctor_fails_when_its_self_test_does(monkeypatch):
    monkeypatch.setattr(
        cz,
        "value_and_grad",
        lambda f, argnums=0: lambda x: (32.0, np.array([16.0, 10.0, 6.0 + 1e-9])),
        raising=False,
    )
    result = run("doctor")
    assert result.exit_code == 1
    assert "self-test: expected" in result.output


def test_cache_shows_and_removes_what_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("COENZYME_CACHE", "1")
    monkeypatch.setenv("COENZYME_CACHE_DIR", str(tmp_path / "code"))
    store = numba_cache.store()
    assert store is not None
    store.save("a" * 64, b"code")
    assert "1 derivatives" in run("cache").output
    assert "removed 1 derivatives" in run("cache", "--clear").output
    assert "0 derivatives" in run("cache").output
    monkeypatch.setenv("COENZYME_CACHE", "off")
    assert "nothing is kept" in run("cache").output


EXPLAINED = """
import numpy as np

def product(x):
    p = 1.0
    for i in range(x.size):
        p *= np.sin(x[i])
    return p
"""


@pytest.fixture
def explained_module(tmp_path, monkeypatch):
    (tmp_path / "explained_here.py").write_text(EXPLAINED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.sys, "path", [*cli.sys.path])
    yield tmp_path
    cli.sys.modules.pop("explained_here", None)


def test_explain_prints_the_source_with_its_tape_and_writes_a_page(explained_module):
    for target in ("explained_here:product", "explained_here.py:product"):
        result = run("explain", target, "float64[::1]", "--html", "page.html", "--argnums", "0")
        assert result.exit_code == 0, result.output
        assert "p *= np.sin(x[i])" in result.output
        assert re.search(r"tape: \d+·x\.size", result.output)
        assert "<svg" in (explained_module / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("explained_here", "float64[::1]"),
        ("explained_here:nothing", "float64[::1]"),
        ("nowhere:f", "float64[::1]"),
        ("explained_here:product", "float64[:"),
        ("explained_here:product", "floaty"),
        ("explained_here:product", "float64[::1]", "--argnums", "x"),
        ("explained_here:product", "float64[::1]", "--html", "no/such/folder/page.html"),
    ],
)
def test_explain_refuses_what_it_does_not_understand_with_advice(explained_module, arguments):
    result = run("explain", *arguments)
    assert result.exit_code == 1
    assert "✗" in result.output


@pytest.fixture
def square(tmp_path):
    """Return a C program that asks for a derivative and returns it."""
    try:
        find_clang()
    except BackendUnavailableError as error:
        pytest.skip(error.message)
    path = tmp_path / "square.c"
    path.write_text(
        "double __enzyme_autodiff(void *, ...);\n"
        "static double square(double x) { return x * x; }\n"
        "int main(int count, char **words) { return (int)__enzyme_autodiff(square, FACTOR * count); }\n"
    )
    return str(path)


def test_cc_runs_a_program_and_exits_with_its_status(square):
    for level in ("-O0", "-O2"):
        result = run("cc", square, level, "-D", "FACTOR=1.5", "--run", "--", "one", "two")
        assert result.exit_code == 9, result.output


def test_cc_writes_a_module_without_calls_of_enzyme(square, tmp_path):
    printed = run("cc", square, "-DFACTOR=1.5", "--emit-llvm", "-")
    assert printed.exit_code == 0
    assert "define i32 @main" in printed.output.replace("dso_local ", "")
    assert not re.search(r"call .*@__enzyme", printed.output)
    path = tmp_path / "out.ll"
    assert run("cc", square, "-DFACTOR=1.5", "--emit-llvm", str(path)).exit_code == 0
    assert path.read_text() in printed.output


def test_cc_says_what_the_calls_mean(square):
    result = run("cc", square, "-DFACTOR=1.5", "-std=c11")
    assert result.exit_code == 0
    assert re.search(r"__enzyme_autodiff +square.c:3 +square +autodiff +double #1 active", result.output)


def test_cc_makes_one_program_of_several_files(square, tmp_path):
    split = tmp_path / "main.c"
    split.write_text(
        "double __enzyme_autodiff(void *, ...);\nextern double cube(double);\n"
        "int main(int count, char **words) { return (int)__enzyme_autodiff(cube, (double)count); }\n"
    )
    cube = tmp_path / "cube.c"
    cube.write_text(
        "static double square(double x) { return x * x; } double cube(double x) { return x*square(x); }"
    )
    program = (str(split), str(cube))
    assert run("cc", *program, "--run", "--", "one", "two").exit_code == 27
    # As compilers write it for a debugger: nothing in it may be optimised.
    module = str(tmp_path / "cube.bc")
    clang = find_clang().path
    subprocess.run([clang, "-O0", "-emit-llvm", "-c", str(cube), "-o", module], check=True)
    assert run("cc", str(split), module, "-O1", "--run", "--", "one").exit_code == 12
    with pytest.raises(CompilationError, match="main"):
        CliRunner().invoke(cli.app, ["cc", square, str(split), "-DFACTOR=1"], catch_exceptions=False)


def test_cc_shows_what_clang_says(square):
    with pytest.raises(CompilationError, match="FACTOR"):
        CliRunner().invoke(cli.app, ["cc", square], catch_exceptions=False)
