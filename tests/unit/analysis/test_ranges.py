"""How great integers get in loops, compared with runs."""

from __future__ import annotations

from math import prod

import pytest

from coenzyme.analysis.affine import Polynomial
from tests.unit.analysis.nests import For, If, Nest, Read, Step, analyse, run

SIZES = {"n": 7, "m": 4}


def nested(inner: str, place: str) -> list[Step]:
    return [For("i", "n", (For("j", inner, (Read("r", "a", place),)),))]


def greatest(steps: list[Step], sign: int = 1) -> Polynomial | None:
    """Return the greatest place that is read; with a negative sign, minus the least."""
    nest = analyse(steps)
    return nest.ranges.greatest(place(nest).scaled(sign), nest.block("r"))


def place(nest: Nest) -> Polynomial:
    """Return the number of the cell that the load reads."""
    address = nest.ranges.polynomials.of(nest["r"].operands[0])
    terms = {m: f // 8 for m, f in address.terms.items() if not any(v.type.is_pointer for v in m)}
    return Polynomial(terms)


def evaluate(nest: Nest, value: Polynomial) -> int:
    known = {nest.values[name]: size for name, size in SIZES.items()}
    return sum(factor * prod(known[v] for v in monomial) for monomial, factor in value.terms.items())


@pytest.mark.parametrize("inner", ["m", "i", "i + 1", "n - i", "3"])
@pytest.mark.parametrize("text", ["i", "j", "i - j", "i + j * 2", "j - i * 3 + 5"])
def test_bounds_are_those_of_a_run(inner: str, text: str) -> None:
    steps = nested(inner, text)
    nest = analyse(steps)
    cells = [access.cell for access in run(steps, SIZES)]
    for sign, exact in ((1, max(cells)), (-1, -min(cells))):
        found = nest.ranges.greatest(place(nest).scaled(sign), nest.block("r"))
        assert found is not None
        # A bound; the loops' corners need not all be reached.
        assert exact <= evaluate(nest, found) <= exact + 3 * 7


def test_bound_of_a_triangle_is_exact() -> None:
    nest = analyse(nested("i", "j"))
    found = nest.ranges.greatest(place(nest), nest.block("r"))
    assert found is not None
    assert found == Polynomial({(nest.values["n"],): 1, (): -2})


def test_products_of_indices_and_unknown_slopes_have_no_bound() -> None:
    assert greatest(nested("m", "i * j")) is None
    assert greatest(nested("m", "i * m")) is None
    assert greatest(nested("m", "i * 4")) is not None


def test_end_that_is_a_product_of_indices_has_no_bound() -> None:
    assert greatest([For("i", "n", (For("k", "i", (For("j", "i * k", (Read("r", "a", "j"),)),)),))]) is None


def test_what_runs_in_every_iteration_but_the_last_is_bounded_by_the_one_before() -> None:
    # With the test at the head, the head runs once more than the body.
    nest = analyse([For("i", "n", (Read("r", "a", "i"),), at_end=False)])
    (loop,) = nest.ranges.nest_of(nest.block("r"))
    inside, at_head = (nest.ranges.bound(loop, block) for block in (nest.block("r"), loop.header))
    assert inside is not None
    assert at_head is not None
    assert (at_head - inside).constant == 1


def test_natural_numbers_are_told_from_others() -> None:
    def is_natural(text: str, inner: str = "i") -> bool:
        nest = analyse(nested(inner, text))
        pointer = nest["r"].operands[0]
        assert hasattr(pointer, "operands")
        return nest.ranges.is_at_least(pointer.operands[1], 0, nest.block("r"))

    assert is_natural("i - j")
    assert is_natural("i - j - 1")  # j < i
    assert not is_natural("i - j - 2")
    assert not is_natural("i - j", inner="n")
    assert not is_natural("i + m")  # m may be negative


def test_a_condition_around_is_not_looked_at() -> None:
    inside = analyse([For("i", "n", (If("i", "m", (Read("r", "a", "i"),)),))])
    found = inside.ranges.greatest(place(inside), inside.block("r"))
    assert found is not None
    assert evaluate(inside, found) == SIZES["n"] - 1
