"""Arrays of records, as pointers to structs in C: their shadows are arrays of the same records."""

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, ShadowError, UnsupportedIRError
from tests.unit.frontends.c_code import needs_clang

BODY = np.dtype([("x", "f8"), ("kind", "i4"), ("y", "f8"), ("v", "f8", 2)], align=True)
STRUCT = "struct body { double x; int kind; double y; double v[2]; };"
ENERGY = """
double energy(const struct body *p, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += p[i].x * p[i].kind * p[i].y + p[i].v[1] * p[i].v[1];
    return sum;
}
"""


@pytest.fixture
def bodies():
    found = np.zeros(3, BODY)
    found["x"], found["y"], found["kind"] = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [2, 0, 7]
    found["v"] = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    return found


def floats_of(records):
    return np.column_stack([records["x"], records["y"], records["v"]])


@needs_clang
def test_each_field_has_its_own_adjoint(bodies):
    energy, shadow = cz.c.function(STRUCT + ENERGY), cz.make_zero(bodies)
    cz.autodiff(cz.Reverse, energy, cz.Active, cz.Duplicated(bodies, shadow), cz.Const(3))
    wanted = [[8.0, 2.0, 0.0, 4.0], [0.0, 0.0, 0.0, 8.0], [42.0, 21.0, 0.0, 12.0]]
    np.testing.assert_array_equal(floats_of(shadow), wanted)
    np.testing.assert_array_equal(shadow["kind"], bodies["kind"])


@needs_clang
def test_tangents_and_several_directions(bodies):
    energy = cz.c.function(STRUCT + ENERGY)
    one, other = cz.make_zero(bodies), cz.make_zero(bodies)
    one["x"], one["v"], other["y"] = 1.0, [0.0, 1.0], [1.0, 2.0, 3.0]
    found = cz.autodiff(cz.Forward, energy, cz.BatchDuplicated(bodies, (one, other)), cz.Const(3))
    assert found == (8.0 + 42.0 + 24.0, 2.0 + 63.0)


@needs_clang
def test_two_halves(bodies):
    energy, shadow = cz.c.function(STRUCT + ENERGY), cz.make_zero(bodies)
    forward, reverse = cz.autodiff_thunk(
        cz.ReverseSplitWithPrimal, energy, cz.Active, cz.Duplicated, cz.Const
    )
    tape, _, _ = forward(cz.Duplicated(bodies, shadow), cz.Const(3))
    reverse(cz.Duplicated(bodies, shadow), cz.Const(3), 0.5, tape)
    np.testing.assert_array_equal(shadow["v"][:, 1], [2.0, 4.0, 6.0])


@needs_clang
def test_structs_that_are_copied_whole_and_written_to(bodies):
    spread = cz.c.function(
        STRUCT + "void spread(struct body *p, int n)"
        "{ for (int i = 1; i < n; i++) { p[i] = p[0]; p[i].x *= 2; } }"
    )
    values, shadow = bodies.copy(), cz.make_zero(bodies)
    shadow["x"], shadow["v"] = 1.0, [1.0, 3.0]
    cz.autodiff(cz.Reverse, spread, cz.Const, cz.Duplicated(values, shadow), cz.Const(3))
    np.testing.assert_array_equal(values["x"], [1.0, 2.0, 2.0])
    np.testing.assert_array_equal(floats_of(shadow), [[5.0, 0.0, 3.0, 9.0], [0.0] * 4, [0.0] * 4])
    tangent = cz.make_zero(bodies)
    tangent["x"], tangent["y"] = [1.0, 5.0, 7.0], [2.0, 0.0, 0.0]
    cz.autodiff(cz.Forward, spread, cz.Duplicated(bodies.copy(), tangent), cz.Const(3))
    np.testing.assert_array_equal(tangent["x"], [1.0, 2.0, 2.0])
    np.testing.assert_array_equal(tangent["y"], [2.0, 2.0, 2.0])


@needs_clang
def test_records_that_are_scratch_memory_of_a_gradient(bodies):
    f = cz.c.function(
        STRUCT + "double f(struct body *p, double t)"
        "{ p[1].x = t * t; p[1].v[1] = 3 * p[1].x; return p[1].x * p[1].v[1] * p[2].kind; }"
    )
    assert cz.grad(f, argnums=1)(bodies, 2.0) == 4 * 21 * 8.0
    assert cz.jvp(f, (bodies, 2.0), (None, 1.0))[1] == 4 * 21 * 8.0


def test_loops_over_records_in_numba(bodies):
    @nb.njit
    def energy(p):
        total = 0.0
        for body in p:
            total += body.x * body.y * body.kind
        return total

    shadow = cz.make_zero(bodies)
    cz.autodiff(cz.Reverse, energy, cz.Active, cz.Duplicated(bodies, shadow))
    np.testing.assert_array_equal(floats_of(shadow)[:, :2], [[8.0, 2.0], [0.0, 0.0], [42.0, 21.0]])


def test_zeros_keep_what_is_no_float(bodies):
    zero = cz.make_zero(bodies[::2])
    assert not floats_of(zero).any()
    np.testing.assert_array_equal(zero["kind"], [2, 7])
    cz.make_zero_into(bodies)
    assert not floats_of(bodies).any()
    np.testing.assert_array_equal(bodies["kind"], [2, 0, 7])


@needs_clang
def test_gradient_in_records(bodies):
    found = cz.grad(cz.c.function(STRUCT + ENERGY))(bodies, 3)
    np.testing.assert_array_equal(floats_of(found)[0], [8.0, 2.0, 0.0, 4.0])
    np.testing.assert_array_equal(found["kind"], bodies["kind"])


@needs_clang
def test_what_is_not_there_yet_is_refused(bodies):
    energy = cz.c.function(STRUCT + ENERGY)
    for transform in (cz.jacobian, cz.hessian):
        with pytest.raises(ActivityError, match=r"(?s)an array of Record.*has no derivative here.*autodiff"):
            transform(energy)(bodies, 3)
    with pytest.raises(ShadowError, match="dtype"):
        cz.autodiff(cz.Reverse, energy, cz.Active, cz.Duplicated(bodies, np.zeros(3)), cz.Const(3))
    count = cz.c.function(STRUCT + "void count(struct body *p) { p[1].kind++; p[0].x *= p[1].x; }")
    try:
        shadow = cz.make_zero(bodies)
        shadow["x"] = 1.0
        cz.autodiff(cz.Reverse, count, cz.Const, cz.Duplicated(bodies, shadow))
    except UnsupportedIRError as refusal:
        assert "integer bits" in str(refusal)  # noqa: PT017 - or it is right
    else:
        np.testing.assert_array_equal(shadow["x"], [2.0, 2.0, 1.0])
