"""What `import coenzyme` offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import coenzyme as cz
from coenzyme.api.source import Source
from coenzyme.errors import ActivityError


def loaded_by(code: str, candidates: tuple[str, ...]) -> str:
    """Return which of some modules a new process has loaded after `code`."""
    code = f"import sys; {code}; print([m for m in {candidates} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


OPTIONAL = ("jax", "torch", "matplotlib", "rich", "typer", "click", "pytest", "hypothesis")


def test_import_is_light():
    heavy = ("numba", "llvmlite", "numpy", "scipy", "coenzyme.engine", "coenzyme.api", *OPTIONAL)
    assert loaded_by("import coenzyme", heavy) == "[]"
    # The check itself can fail.
    assert loaded_by("import coenzyme; coenzyme.grad", ("numba",)) == "['numba']"


def test_the_transforms_load_neither_command_line_nor_tests_nor_optional_packages():
    others = ("coenzyme.cli", "coenzyme.testing", "coenzyme.problems", "scipy.optimize", "scipy.sparse")
    code = "import coenzyme as cz; [getattr(cz, n) for n in cz.__all__ if n != 'testing']"
    assert loaded_by(code, (*others, *OPTIONAL)) == "[]"


def test_every_public_name_is_there_and_listed():
    assert all(getattr(cz, name) is not None for name in cz.__all__)
    assert set(cz.__all__) <= set(dir(cz))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = cz.no_such_name


def test_modes_are_values_with_options():
    assert cz.Reverse.replace(with_primal=True) == cz.ReverseWithPrimal
    assert cz.Forward != cz.Reverse
    with pytest.raises(TypeError):
        cz.Reverse.replace(no_such_option=1)


def test_transform_shows_what_it_is():
    def loss(x):
        """Loss."""
        return x

    gradient = cz.grad(loss)
    assert "gradient of" in repr(gradient)
    assert "loss" in repr(gradient)
    assert (gradient.__name__, gradient.__doc__) == ("loss", "Loss.")


@pytest.mark.parametrize("f", [3.0, None, "text", abs, len, type("C", (), {"__call__": lambda s, x: x})()])
def test_what_numba_cannot_compile_is_refused_at_once(f):
    with pytest.raises(ActivityError) as caught:
        cz.grad(f)
    assert caught.value.remedy


@pytest.mark.parametrize("argnums", [2, -3, 1.0, "x", (), (0, 2), (0, True), None])
def test_argnums_must_name_arguments(argnums):
    with pytest.raises(ActivityError, match="argnums"):
        cz.grad(lambda x, y: x * y, argnums)


def test_generated_function_has_an_identifier_for_a_name():
    source = Source()
    source.add(f"return {source.name('c', 2.0)} * x")
    function = source.function("<lambda>", "x")
    assert function.__name__.isidentifier()
    assert function(3.0) == 6.0
