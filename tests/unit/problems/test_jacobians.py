"""Jacobians of the benchmark's residuals: dense for the hand, in blocks for the bundle."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose

import coenzyme as cz
from coenzyme.problems.ba import ba_residuals, load_ba, reprojection_error
from coenzyme.problems.hand import hand_residuals, load_hand


def _differences(f, x, h=1e-3):
    """Return the Jacobian of f by differences of the sixth order, a column for each entry of x."""
    columns = []
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = h
        near, far, farther = (f(x + k * e) - f(x - k * e) for k in (1, 2, 3))
        columns.append((45 * near - 9 * far + farther) / (60 * h))
    return np.stack(columns, axis=-1)


def test_the_jacobian_of_the_hand_is_right_by_columns_and_by_rows() -> None:
    data = load_hand()
    few = data._replace(correspondences=data.correspondences[:7], points=data.points[:7])
    by_columns = cz.jacobian(hand_residuals, mode="forward")(*data)
    assert by_columns.shape == (100, 3, 26)
    by_rows = cz.jacobian(hand_residuals, mode="reverse")(*few)
    assert_allclose(by_rows, by_columns[:7], atol=1e-14)
    compiled = njit(hand_residuals)
    assert_allclose(by_columns, _differences(lambda t: compiled(t, *data[1:]), data.theta), atol=1e-11)


def test_each_residual_of_the_bundle_has_a_block_of_its_own() -> None:
    cameras, points, weights, observations, features = load_ba()

    def residual(camera, point, weight, feature):
        error = np.empty(2)
        reprojection_error(camera, point, weight, feature, error)
        return error

    blocks = cz.jacobian(residual, argnums=(0, 1, 2), mode="forward")
    rng = np.random.default_rng(8)
    for i in (0, 17, 31842):
        camera = cameras[observations[i, 0]] + 0.01 * rng.uniform(-1, 1, 11)
        point = points[observations[i, 1]]
        of_camera, of_point, of_weight = blocks(camera, point, weights[i], features[i])
        assert (of_camera.shape, of_point.shape, of_weight.shape) == ((2, 11), (2, 3), (2,))

        def along(z, feature=features[i]):
            return residual(z[:11], z[11:14], z[14], feature)

        expected = _differences(along, np.concatenate([camera, point, weights[i : i + 1]]), 1e-5)
        found = np.column_stack([of_camera, of_point, of_weight])
        assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("row", [0, 1])
def test_one_reverse_sweep_gives_a_row_of_every_block_of_the_bundle(row: int) -> None:
    data = load_ba()
    p = 500
    cameras, points, weights, observations, features = data
    observations, features, weights = observations[:p], features[:p], weights[:p].copy()
    shadows = [np.zeros_like(x) for x in (cameras, points, weights)]
    errors, of_weights = np.zeros((p, 2)), np.zeros(p)
    seed = np.zeros((p, 2))
    seed[:, row] = 1.0
    cz.autodiff(
        cz.Reverse,
        ba_residuals,
        *(cz.Duplicated(x, dx) for x, dx in zip((cameras, points, weights), shadows, strict=True)),
        cz.Const(observations),
        cz.Const(features),
        cz.Duplicated(errors, seed),
        cz.Duplicated(of_weights, np.ones(p)),
    )

    def residual(camera, point, weight, feature):
        error = np.empty(2)
        reprojection_error(camera, point, weight, feature, error)
        return error[row]

    gradient = cz.grad(residual, argnums=(0, 1, 2))
    expected = [np.zeros_like(x) for x in (cameras, points, weights)]
    for i, (camera, point) in enumerate(observations):
        blocks = gradient(cameras[camera], points[point], weights[i], features[i])
        expected[0][camera] += blocks[0]
        expected[1][point] += blocks[1]
        expected[2][i] += blocks[2] - 2.0 * weights[i]
    for found, wanted in zip(shadows, expected, strict=True):
        assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)
