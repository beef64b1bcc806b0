"""Natural gradients G: ⟨G, δ⟩ is the derivative along δ, for each δ in the tangent space, and G is in it."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import coenzyme as cz
from coenzyme.errors import ActivityError, ShadowError
from coenzyme.testing.differences import directional_difference

trees = cz.trees
N = 4


def noise(rng: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def transposed(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def adjoint(a: Any) -> Any:
    return transposed(a).conj()


def half(whole: Any, options: dict[str, Any]) -> Any:
    """Return what is stored of a matrix, one number at a time."""
    lower = options.get("lower")
    stored = whole.copy()
    for i in range(whole.shape[-2]):
        for j in range(whole.shape[-1]):
            if lower is not None and ((j > i) if lower else (i > j)):
                stored[..., i, j] = 0
    return stored


def only(whole: Any, keep: Any) -> Any:
    out = np.zeros_like(whole)
    for i in range(whole.shape[-2]):
        for j in range(whole.shape[-1]):
            if keep(i, j):
                out[..., i, j] = whole[..., i, j]
    return out


# Each: declaration, options, and a random tangent (the whole matrix) from noise at the array.
KINDS: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "symmetric": (trees.Symmetric, {}, lambda b, a: b + transposed(b)),
    "symmetric, lower": (trees.Symmetric, {"lower": True}, lambda b, a: b + transposed(b)),
    "symmetric, upper": (trees.Symmetric, {"lower": False}, lambda b, a: b + transposed(b)),
    "Hermitian": (trees.Hermitian, {}, lambda b, a: b + adjoint(b)),
    "Hermitian, lower": (trees.Hermitian, {"lower": True}, lambda b, a: b + adjoint(b)),
    "Hermitian, upper": (trees.Hermitian, {"lower": False}, lambda b, a: b + adjoint(b)),
    "positive definite": (trees.PositiveDefinite, {}, lambda b, a: b + adjoint(b)),
    "skew": (trees.SkewSymmetric, {}, lambda b, a: b - transposed(b)),
    "skew, lower": (trees.SkewSymmetric, {"lower": True}, lambda b, a: b - transposed(b)),
    "skew-Hermitian": (trees.SkewHermitian, {}, lambda b, a: b - adjoint(b)),
    "skew-Hermitian, upper": (trees.SkewHermitian, {"lower": False}, lambda b, a: b - adjoint(b)),
    "lower triangular": (trees.Triangular, {}, lambda b, a: only(b, lambda i, j: i >= j)),
    "upper triangular": (trees.Triangular, {"lower": False}, lambda b, a: only(b, lambda i, j: i <= j)),
    "unit lower": (trees.Triangular, {"unit_diagonal": True}, lambda b, a: only(b, lambda i, j: i > j)),
    "unit upper": (
        trees.Triangular,
        {"lower": False, "unit_diagonal": True},
        lambda b, a: only(b, lambda i, j: i < j),
    ),
    "diagonal": (trees.Diagonal, {}, lambda b, a: only(b, lambda i, j: i == j)),
    "banded": (
        trees.Banded,
        {"lower": 2, "upper": 1},
        lambda b, a: only(b, lambda i, j: -1 <= i - j <= 2),
    ),
    "orthonormal": (trees.Orthonormal, {}, lambda b, a: a @ (b - adjoint(b))),
}


def inner(a: Any, b: Any) -> float:
    return float(np.sum((a.conj() * b).real))


def point(kind: type, a: Any) -> Any:
    return np.linalg.qr(a)[0] if kind is trees.Orthonormal else a


@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32])
@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), stack=st.booleans())
def test_inner_products_with_tangents_are_derivatives(name: str, dtype: Any, seed: int, stack: bool) -> None:
    kind, options, tangent = KINDS[name]
    rng = np.random.default_rng(seed)
    shape = (2, N, N) if stack else (N, N)
    declared = kind(point(kind, noise(rng, shape, dtype)), **options)
    stored = options if issubclass(kind, (trees.Symmetric, trees.Hermitian, trees.SkewSymmetric)) else {}
    stored = options if kind is trees.SkewHermitian else stored
    # Of a matrix stored by one triangle, no function reads the other one.
    structural = half(noise(rng, shape, dtype), stored)
    natural = declared.natural(structural)
    assert natural.dtype == dtype
    tolerance = 1e3 * float(np.finfo(dtype).eps)
    for _ in range(3):
        delta = tangent(noise(rng, shape, dtype), declared.array)
        along = inner(structural, half(delta, stored))
        assert inner(declared.whole(natural), delta) == pytest.approx(along, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("name", KINDS)
def test_a_natural_gradient_is_a_tangent(name: str, dtype: Any) -> None:
    kind, options, tangent = KINDS[name]
    rng = np.random.default_rng(11)
    declared = kind(point(kind, noise(rng, (3, 3), dtype)), **options)
    whole = declared.whole(declared.natural(noise(rng, (3, 3), dtype))).ravel()
    basis = _span(tangent, declared, rng)
    np.testing.assert_allclose(whole, _onto(basis, whole), atol=1e-12)
    assert np.any(np.abs(whole) > 0.1)


def _span(tangent: Any, declared: Any, rng: Any) -> Any:
    """Return an orthonormal basis, over the reals, of random tangents: more than there are dimensions."""
    shape, dtype = declared.shape, declared.dtype
    count = 3 * declared.array.size
    found = [tangent(noise(rng, shape, dtype), declared.array).ravel() for _ in range(count)]
    real = np.array([np.concatenate([v.real, v.imag]) for v in found], dtype=np.float64)
    u, s, _ = np.linalg.svd(real.T, full_matrices=False)
    return u[:, s > 1e-8 * s[0]]


def _onto(basis: Any, v: Any) -> Any:
    parts = basis @ (basis.T @ np.concatenate([v.real, v.imag]).astype(np.float64))
    return parts[: v.size] + 1j * parts[v.size :]


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("name", [name for name, (_, options, _) in KINDS.items() if "lower" not in options])
def test_a_projection_of_a_projection_is_the_same(name: str, dtype: Any) -> None:
    kind, options, _ = KINDS[name]
    rng = np.random.default_rng(3)
    declared = kind(point(kind, noise(rng, (N, N), dtype)), **options)
    once = declared.natural(noise(rng, (N, N), dtype))
    np.testing.assert_allclose(declared.natural(once), once, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_tangents_at_unit_vectors_are_orthogonal_to_them(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    q, structural = noise(rng, (3, N), dtype), noise(rng, (3, N), dtype)
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    natural = trees.Unit(q).natural(structural)
    np.testing.assert_allclose(np.sum((q.conj() * natural).real, axis=-1), 0, atol=1e-14)
    delta = noise(rng, (3, N), dtype)
    delta -= q * np.sum((q.conj() * delta).real, axis=-1, keepdims=True)
    assert inner(natural, delta) == pytest.approx(inner(structural, delta))
    np.testing.assert_allclose(trees.Unit(q).natural(natural), natural, atol=1e-14)


def test_columns_may_be_fewer_than_rows() -> None:
    rng = np.random.default_rng(2)
    q, structural = np.linalg.qr(rng.normal(size=(5, 2)))[0], rng.normal(size=(5, 2))
    natural = trees.Orthonormal(q).natural(structural)
    np.testing.assert_allclose(q.T @ natural + natural.T @ q, 0, atol=1e-14)
    b, c = rng.normal(size=(2, 2)), rng.normal(size=(5, 2))
    delta = q @ (b - b.T) + c - q @ (q.T @ c)
    assert inner(natural, delta) == pytest.approx(inner(structural, delta))


@nb.njit
def logarithm(a, c):
    """Read the lower triangle alone, as LAPACK does."""
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(i + 1):
            total += c[i, j] * a[i, j] ** 2 + np.sin(a[i, 0] * a[i, j])
    return total


@nb.njit
def mixed(a, c):
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            z = c[i, j] * a[i, j] * a[j, j]
            total += z.real + (a[i, j] * a[i, j].conjugate()).real ** 2 * c[j, i].imag
    return total


@pytest.mark.parametrize("lower", [True, None])
def test_a_symmetric_gradient_is_the_derivative_along_symmetric_matrices(lower: bool | None) -> None:
    rng = np.random.default_rng(7)
    a, c, delta = (b + b.T for b in rng.normal(size=(3, N, N)))
    value, found = cz.value_and_grad(logarithm, tangent="natural")(trees.Symmetric(a, lower=lower), c)
    assert isinstance(found, trees.Symmetric)
    assert found.lower is lower
    assert value == logarithm(a, c)
    whole = found.whole(found.array)
    expected, error = directional_difference(lambda x: logarithm(x, c), a, delta)
    assert abs(inner(whole, delta) - expected) <= 10 * error + 1e-8 * abs(expected)
    np.testing.assert_array_equal(whole, whole.T)


def test_a_hermitian_gradient_is_the_derivative_along_hermitian_matrices() -> None:
    rng = np.random.default_rng(8)
    a, c, delta = (b + adjoint(b) for b in noise(rng, (3, N, N), np.complex128))
    (found,) = cz.grad(mixed, argnums=(0,), tangent="natural")(trees.Hermitian(a), c)
    expected, error = directional_difference(lambda t: mixed(a + float(t) * delta, c), 0.0, 1.0)
    assert abs(inner(found.array, delta) - expected) <= 10 * error + 1e-8 * abs(expected)
    np.testing.assert_allclose(found.array, adjoint(found.array))


def test_a_gradient_by_a_rotation_is_the_derivative_along_rotations() -> None:
    rng = np.random.default_rng(9)
    q, c = np.linalg.qr(rng.normal(size=(N, N)))[0], rng.normal(size=(N, N))
    turn = rng.normal(size=(N, N))
    turn = turn - turn.T
    found = cz.grad(logarithm, tangent="natural")(trees.Orthonormal(q), c).array

    def along(t: Any) -> float:
        return logarithm(np.ascontiguousarray(q @ scipy.linalg.expm(float(t) * turn)), c)

    expected, error = directional_difference(along, 0.0, 1.0)
    assert abs(inner(found, q @ turn) - expected) <= 10 * error + 1e-8 * abs(expected)


def test_a_rotation_that_is_overwritten_is_projected_at_as_it_was() -> None:
    def turn(q):
        value = q[0, 0] + 2.0 * q[0, 1]
        q[:] = 0.0
        return value

    q = np.array([[0.6, -0.8], [0.8, 0.6]])
    expected = trees.Orthonormal(q.copy()).natural(np.array([[1.0, 2.0], [0.0, 0.0]]))
    np.testing.assert_allclose(cz.grad(turn, tangent="natural")(trees.Orthonormal(q)).array, expected)


def test_an_array_in_two_places_is_projected_once() -> None:
    a = trees.Symmetric(np.arange(4.0).reshape(2, 2), lower=True)

    def f(model):
        return 3.0 * model["first"][1, 0] + 5.0 * model["second"][1][1, 0]

    found = cz.grad(f, tangent="natural")({"first": a, "second": (2.0, a)})
    assert found["first"].array is found["second"][1].array
    np.testing.assert_array_equal(found["first"].array, [[0, 0], [4, 0]])


def test_an_array_that_is_declared_in_one_place_is_so_in_the_other() -> None:
    a = np.arange(4.0).reshape(2, 2)
    found = cz.grad(lambda m: m[0][1, 0] + m[1][1, 0], tangent="natural")([a, trees.Symmetric(a)])
    assert found[0] is found[1].array
    np.testing.assert_array_equal(found[0], [[0, 1], [1, 0]])


def test_an_array_that_is_declared_to_be_two_things_is_refused() -> None:
    a = np.eye(2)
    with pytest.raises(ActivityError, match=r"Symmetric\(lower=None\) and SkewSymmetric\(lower=None\)"):
        cz.grad(lambda m: m[0][0, 0], tangent="natural")([trees.Symmetric(a), trees.SkewSymmetric(a)])


def test_a_structural_gradient_is_that_by_the_numbers_stored() -> None:
    a = np.eye(2)
    found = cz.grad(lambda a: a[1, 0])(trees.Symmetric(a))
    np.testing.assert_array_equal(found.array, [[0, 0], [1, 0]])


def test_pullbacks_are_natural_on_request() -> None:
    a, x = trees.Symmetric(np.eye(2)), np.array([1.0, 2.0])
    y, pullback = cz.vjp(lambda a, x: a @ x, a, x, tangent="natural")
    for _ in range(2):
        a_bar, x_bar = pullback(np.array([1.0, 0.0]))
        np.testing.assert_array_equal(a_bar.array, [[1, 1], [1, 0]])
        np.testing.assert_array_equal(x_bar, [1, 0])
    np.testing.assert_array_equal(y, x)


def test_a_tangent_is_declared_as_its_primal_is() -> None:
    a, direction = trees.Symmetric(np.eye(2)), np.ones((2, 2))
    value, tangent = cz.jvp(lambda a: a[0, 0] + 6.0 * a[1, 0], (a,), (trees.Symmetric(direction),))
    assert (value, tangent) == (1.0, 7.0)
    with pytest.raises(ShadowError, match="the primal is a Symmetric"):
        cz.jvp(lambda a: a[0, 0], (a,), (direction,))


def test_shadows_of_declared_arrays_are_declared() -> None:
    a = trees.Symmetric(np.eye(2), lower=True)
    da = cz.make_zero(a)
    assert isinstance(da, trees.Symmetric)
    assert da.lower is True
    cz.autodiff(cz.Reverse, lambda a: a[1, 0] ** 2 + a[0, 0], cz.Duplicated(a, da))
    np.testing.assert_array_equal(da.array, [[1, 0], [0, 0]])


def test_natural_gradients_stay_out_of_compiled_code() -> None:
    natural = cz.grad(lambda x: x * x, tangent="natural")
    assert natural(3.0) == 6.0
    with pytest.raises(ActivityError, match="called from Python only"):
        cz.grad(natural)
    with pytest.raises(ActivityError, match='pass "structural" or "natural"'):
        cz.grad(lambda x: x, tangent="riemannian")


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda: trees.Symmetric(np.zeros((2, 3))), "not square"),
        (lambda: trees.Hermitian(np.zeros(3)), "holds no matrix"),
        (lambda: trees.Orthonormal(np.zeros((2, 3))), "more columns than rows"),
        (lambda: trees.Banded(np.zeros((2, 2)), lower=-1), "not counts"),
        (lambda: trees.Unit(np.array(1.0)), "no vector"),
        (lambda: trees.Symmetric([[1.0]]), "given a list"),
    ],
)
def test_what_cannot_be_so_declared_is_refused(made: Any, problem: str) -> None:
    with pytest.raises(ActivityError, match=problem):
        made()


def test_masked_entries_have_no_derivative() -> None:
    value = np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[False, True, False])
    gradient = np.ma.MaskedArray([4.0, 5.0, 6.0], mask=value.mask)
    assert trees.make_natural(value, gradient) is gradient
    np.testing.assert_array_equal(gradient.data, [4, 0, 6])


@pytest.mark.parametrize("sort", ["array", "matrix"])
@pytest.mark.parametrize("name", ["csr", "csc", "coo", "bsr", "dia"])
def test_gradients_of_sparse_matrices_are_on_their_pattern(name: str, sort: str) -> None:
    rng = np.random.default_rng(4)
    dense = rng.normal(size=(6, 4)) * (rng.uniform(size=(6, 4)) < 0.4)
    value = getattr(scipy.sparse, f"{name}_{sort}")(dense)
    structural = value.copy()
    structural.data = rng.normal(size=value.data.shape)
    delta = value.copy()
    delta.data = rng.normal(size=value.data.shape)
    along = structural.data.copy()
    if name == "dia":  # what lies outside of the matrix is read by nobody
        inside = value.copy()
        inside.data = np.ones_like(value.data)
        columns, rows = np.arange(value.data.shape[1]), np.arange(6)[:, None]
        for k, offset in enumerate(value.offsets):
            seen = [any((r + offset == c) for r in rows[:, 0]) and c < 4 for c in columns]
            along[k] *= seen
        structural.data[...] = along
    expected = float(np.sum(along * delta.data))
    natural = trees.make_natural(value, structural)
    assert natural is structural
    got = float(np.sum(np.asarray(natural.todense()) * np.asarray(delta.todense())))
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("name", ["csr", "coo", "bsr"])
def test_numbers_that_add_up_to_one_entry_share_its_derivative(name: str) -> None:
    rows, columns = np.array([0, 0, 1, 0]), np.array([1, 1, 0, 1])
    data = np.array([1.0, 2.0, 3.0, 4.0])
    if name == "bsr":
        blocks = (rows[[0, 1, 3, 2]], columns[[0, 1, 3, 2]])
        value = scipy.sparse.bsr_array((np.ones((4, 2, 2)), blocks[1], np.array([0, 3, 4])), shape=(4, 4))
    elif name == "csr":
        value = scipy.sparse.csr_array((data, columns[[0, 1, 3, 2]], np.array([0, 3, 4])), shape=(2, 2))
    else:
        value = scipy.sparse.coo_array((data, (rows, columns)), shape=(2, 2))
    c = np.random.default_rng(5).normal(size=value.shape)
    # The structural gradient of Σ C M: each stored number is worth the entry it is added to.
    structural = value.copy()
    unit = value.copy()
    for index in np.ndindex(value.data.shape):
        unit.data = np.zeros_like(value.data)
        unit.data[index] = 1.0
        structural.data[index] = np.sum(c * unit.toarray())
    pattern = value.toarray() != 0
    np.testing.assert_allclose(trees.make_natural(value, structural).toarray(), np.where(pattern, c, 0.0))


@nb.njit
def times_twice(m, x):
    """Return the sum of the squares of M (M x), read from what CSR stores."""
    y = np.zeros(m.shape[0])
    for i in range(m.shape[0]):
        for k in range(m.indptr[i], m.indptr[i + 1]):
            y[i] += m.data[k] * x[m.indices[k]]
    total = 0.0
    for i in range(m.shape[0]):
        z = 0.0
        for k in range(m.indptr[i], m.indptr[i + 1]):
            z += m.data[k] * y[m.indices[k]]
        total += z * z
    return total


@pytest.mark.parametrize("repeated", [False, True])
def test_a_gradient_by_a_sparse_matrix_is_the_derivative_on_its_pattern(repeated: bool) -> None:
    rng = np.random.default_rng(6)
    if repeated:  # two numbers add up to one entry
        indices, indptr = np.array([1, 2, 1, 0]), np.array([0, 3, 4, 4])
        value = scipy.sparse.csr_array((rng.normal(size=4), indices, indptr), shape=(3, 3))
    else:
        dense = rng.normal(size=(3, 3)) * np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]])
        value = scipy.sparse.csr_array(dense)
    x = rng.normal(size=3)
    found = cz.grad(times_twice, tangent="natural")(value, x)
    assert type(found) is type(value)
    delta = np.where(value.toarray() != 0, rng.normal(size=(3, 3)), 0.0)
    a = value.toarray()
    expected, error = directional_difference(
        lambda t: float(np.sum(((a + float(t) * delta) @ (a + float(t) * delta) @ x) ** 2)), 0.0, 1.0
    )
    got = float(np.sum(found.toarray() * delta))
    assert abs(got - expected) <= 10 * error + 1e-8 * abs(expected)


def test_a_gradient_by_a_masked_array_is_masked() -> None:
    value = np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[False, True, False])
    found = cz.grad(lambda m: (m.data * m.data).sum(), tangent="natural")(value)
    assert isinstance(found, np.ma.MaskedArray)
    np.testing.assert_array_equal(found.data, [2, 0, 6])
    np.testing.assert_array_equal(found.mask, value.mask)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_gradient_by_a_matrix_is_a_matrix() -> None:
    value = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    found = cz.grad(lambda m: m[0, 1] ** 2, tangent="natural")(value)
    assert isinstance(found, np.matrix)
    np.testing.assert_array_equal(np.asarray(found), [[0, 4], [0, 0]])


def test_a_gradient_that_cannot_be_written_is_refused() -> None:
    s = np.eye(2)
    s.flags.writeable = False
    with pytest.raises(ShadowError, match="read-only"):
        trees.make_natural(trees.Symmetric(np.eye(2)), trees.Symmetric(s))


def test_a_gradient_of_another_structure_is_refused() -> None:
    with pytest.raises(ShadowError, match="by a list is a tuple"):
        trees.make_natural([1.0, 2.0], (1.0,))
