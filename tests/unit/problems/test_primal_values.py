"""Each problem's loops against the same mathematics written with NumPy and SciPy on whole arrays."""

from itertools import pairwise

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation
from scipy.special import expit, logsumexp, multigammaln

from coenzyme.problems.ba import ba_residuals, load_ba, reprojection_error
from coenzyme.problems.gmm import GmmData, gmm, load_gmm
from coenzyme.problems.hand import hand_residuals, load_hand
from coenzyme.problems.lstm import load_lstm, lstm
from coenzyme.problems.ode import rk4_lorenz
from coenzyme.problems.stencil import stencil, stencil_start


def reference_gmm(data):
    """The factors as triangular matrices, all points at once."""
    alphas, means, icf, x, gamma, m = data
    (n, d), components = x.shape, len(alphas)
    columns, rows = np.triu_indices(d, 1)  # row by row above the diagonal is column by column below it
    factors = np.zeros((components, d, d))
    factors[:, np.arange(d), np.arange(d)] = np.exp(icf[:, :d])
    factors[:, rows, columns] = icf[:, d:]
    scaled = np.einsum("kij,nkj->nki", factors, x[:, None, :] - means)
    log_determinants = np.linalg.slogdet(factors).logabsdet
    terms = alphas + log_determinants - 0.5 * (scaled**2).sum(axis=2)
    likelihood = logsumexp(terms, axis=1).sum() - n * logsumexp(alphas) - 0.5 * n * d * np.log(2 * np.pi)
    freedom = d + m + 1
    constant = freedom * d * np.log(gamma / np.sqrt(2)) - multigammaln(0.5 * freedom, d)
    prior = 0.5 * gamma**2 * (factors**2).sum() - m * log_determinants.sum() - components * constant
    return likelihood + prior


def test_gmm_on_the_shipped_data_is_the_log_posterior():
    data = load_gmm()
    assert_allclose(njit(gmm)(*data), reference_gmm(data), rtol=1e-12)


@pytest.mark.parametrize(("d", "components", "n"), [(1, 1, 1), (2, 5, 7), (3, 1, 4), (4, 2, 0)])
def test_gmm_of_every_size_is_the_log_posterior(d, components, n, rng):
    data = GmmData(
        alphas=rng.standard_normal(components),
        means=rng.standard_normal((components, d)),
        icf=rng.standard_normal((components, d * (d + 1) // 2)),
        x=rng.standard_normal((n, d)),
        gamma=1.3,
        m=2,
    )
    assert_allclose(gmm(*data), reference_gmm(data), rtol=1e-12)


def test_lstm_on_the_shipped_data_is_the_mean_log_loss():
    main_params, extra_params, state, sequence = data = load_lstm()
    before = state.copy()
    loss = njit(lstm)(*data)
    assert_allclose(state, before, rtol=0, atol=0)

    hidden, cell = state[0::2].copy(), state[1::2].copy()
    losses = []
    for character, following in pairwise(sequence):
        inputs = character * extra_params[0]
        for layer in range(2):
            both = np.concatenate((inputs, hidden[layer], inputs, hidden[layer]))
            forget, ingate, outgate, change = np.split(
                both * main_params[2 * layer] + main_params[2 * layer + 1], 4
            )
            cell[layer] = cell[layer] * expit(forget) + expit(ingate) * np.tanh(change)
            inputs = hidden[layer] = expit(outgate) * np.tanh(cell[layer])
        prediction = inputs * extra_params[1] + extra_params[2]
        losses.append(following * (prediction - np.log(2 + np.exp(prediction).sum())))
    assert_allclose(loss, -np.mean(losses), rtol=1e-12)


def reference_projection(cameras, points):
    """All observations at once, rotated by SciPy."""
    seen = Rotation.from_rotvec(cameras[:, :3]).apply(points - cameras[:, 3:6])
    plane = seen[:, :2] / seen[:, 2:]
    square = (plane**2).sum(axis=1, keepdims=True)
    distortion = 1 + cameras[:, 9:10] * square + cameras[:, 10:] * square**2
    return plane * distortion * cameras[:, 6:7] + cameras[:, 7:9]


def test_ba_residuals_are_the_weighted_distances_in_the_image(rng):
    cameras, points, weights, observations, features = load_ba()
    # The shipped file repeats one camera and one point: jitter tells them apart.
    cameras = cameras * (1 + 0.1 * rng.standard_normal(cameras.shape))
    points = points * (1 + 0.1 * rng.standard_normal(points.shape))
    weights = weights * (1 + 0.1 * rng.standard_normal(weights.shape))
    errors, weight_errors = np.full((len(weights), 2), np.nan), np.full(len(weights), np.nan)
    njit(ba_residuals)(cameras, points, weights, observations, features, errors, weight_errors)
    projected = reference_projection(cameras[observations[:, 0]], points[observations[:, 1]])
    assert_allclose(errors, weights[:, None] * (projected - features), rtol=1e-7, atol=1e-7)
    assert_allclose(weight_errors, 1 - weights**2, rtol=1e-14)


def test_every_camera_and_point_is_observed():
    data = load_ba()
    assert set(data.observations[:, 0]) == set(range(49))
    assert set(data.observations[:, 1]) == set(range(7776))


def test_a_camera_that_does_not_turn_projects_straight():
    data = load_ba()
    camera, point = data.cameras[0].copy(), data.points[0]
    camera[:3] = 0.0
    error = np.empty(2)
    reprojection_error(camera, point, 2.0, data.features[0], error)
    expected = 2.0 * (reference_projection(camera[None], point[None])[0] - data.features[0])
    assert_allclose(error, expected, rtol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_stencil_sweeps_between_two_arrays(steps):
    u, v = stencil_start(9)
    v[0, 3] = 7.0  # a border that differs tells the two arrays apart
    grids = [u.copy(), v.copy()]
    for step in range(steps):
        old, new = grids[step % 2], grids[1 - step % 2]
        new[1:-1, 1:-1] = 0.2 * (
            old[1:-1, 1:-1] + old[1:-1, :-2] + old[1:-1, 2:] + old[:-2, 1:-1] + old[2:, 1:-1]
        )
    energy = njit(stencil)(u, v, steps)
    assert_allclose(energy, 0.5 * (grids[steps % 2] ** 2).sum(), rtol=1e-13)
    assert_allclose(u, grids[0], rtol=1e-13)
    assert_allclose(v, grids[1], rtol=1e-13)


def test_lorenz_arrives_where_an_adaptive_solver_does():
    from scipy.integrate import solve_ivp

    state, parameters = np.array([1.0, 2.0, 20.0]), np.array([10.0, 28.0, 8.0 / 3.0])
    sigma, rho, beta = parameters

    def rate(_, s):
        return [sigma * (s[1] - s[0]), s[0] * (rho - s[2]) - s[1], s[0] * s[1] - beta * s[2]]

    solution = solve_ivp(rate, (0.0, 1.0), state, rtol=1e-12, atol=1e-12)
    njit(rk4_lorenz)(state, parameters, 1e-4, 10_000)
    assert_allclose(state, solution.y[:, -1], rtol=1e-9)


def test_runge_kutta_is_of_fourth_order():
    parameters = np.array([10.0, 28.0, 8.0 / 3.0])
    advance = njit(rk4_lorenz)

    def after(steps):
        state = np.array([1.0, 2.0, 20.0])
        advance(state, parameters, 0.5 / steps, steps)
        return state

    exact = after(8000)
    ratio = np.linalg.norm(after(200) - exact) / np.linalg.norm(after(400) - exact)
    assert 14 < ratio < 18


def reference_hand(data):
    """All vertices moved by matrices of whole arrays, the rotations from SciPy."""
    theta, parents, relatives, inverse_absolutes, positions, weights, correspondences, points = data
    angles = np.zeros((parents.size, 2))
    for finger in range(5):
        angles[2 + 4 * finger] = theta[6 + 4 * finger : 8 + 4 * finger]
        angles[[3 + 4 * finger, 4 + 4 * finger], 0] = theta[8 + 4 * finger : 10 + 4 * finger]
    turns = np.tile(np.eye(4), (parents.size, 1, 1))
    turns[:, :3, :3] = Rotation.from_euler("xz", angles).as_matrix()
    absolutes = []
    for parent, relative, turn in zip(parents, relatives, turns, strict=True):
        absolutes.append(relative @ turn if parent < 0 else absolutes[parent] @ relative @ turn)
    transforms = np.array(absolutes) @ inverse_absolutes
    homogeneous = np.column_stack([positions, np.ones(len(positions))])
    skinned = np.einsum("vb,bij,vj->vi", weights, transforms, homogeneous)[:, :3]
    placed = skinned @ Rotation.from_rotvec(theta[:3]).as_matrix().T + theta[3:6]
    return points - placed[correspondences]


def test_hand_on_the_shipped_data_is_what_whole_arrays_give():
    data = load_hand()
    assert_allclose(njit(hand_residuals)(*data), reference_hand(data), atol=1e-13)


def test_hand_without_rotation_is_only_moved():
    data = load_hand()
    theta = np.concatenate([np.zeros(3), data.theta[3:]])
    data = data._replace(theta=theta)
    assert_allclose(hand_residuals(*data), reference_hand(data), atol=1e-13)
