"""ADBench's bundle adjustment: every block of the sparse Jacobian."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit

import coenzyme as cz
from benchmarks.model import Array, Call, Case, Group, Library, Peer, Quoted, Row
from coenzyme.problems.ba import BaData, ba_residuals, load_ba, reprojection_error

__all__ = ["ROWS"]

PARAMETERS = 11 + 3 + 1
"""Of an observation: camera, point and weight."""


def in_one_batch(case: Case) -> Call:
    """Return a call of one reverse sweep in three directions over all observations.

    Notes
    -----
    Each observation gets a camera and a point of its own: then residual j of every observation can be seeded
    at once, and a sweep in three directions gives the three rows of every block.
    """
    cameras, points, weights, observations, features, errors, weight_errors = case.arguments
    p = len(weights)
    own = cameras[observations[:, 0]], points[observations[:, 1]], weights
    own_observations = np.stack((np.arange(p), np.arange(p)), axis=1)
    shadows = [np.zeros((3, *x.shape)) for x in own]
    d_errors, d_weight_errors = np.zeros((3, p, 2)), np.zeros((3, p))
    annotated = (
        *(cz.BatchDuplicated(x, tuple(dx)) for x, dx in zip(own, shadows, strict=True)),
        cz.Const(own_observations),
        cz.Const(features),
        cz.BatchDuplicated(errors, tuple(d_errors)),
        cz.BatchDuplicated(weight_errors, tuple(d_weight_errors)),
    )

    def jacobian() -> tuple[Array, Array, Array]:
        for shadow in shadows:
            shadow[...] = 0.0
        d_errors[0, :, 0] = d_errors[1, :, 1] = d_weight_errors[2] = 1.0
        cz.autodiff(cz.Reverse, case.function, cz.Const, *annotated)
        camera, point, weight = shadows
        return camera[:2], point[:2], weight

    return jacobian


@njit
def fill_blocks(
    cameras: Array,
    points: Array,
    weights: Array,
    observations: Array,
    features: Array,
    d_cameras: Array,
    d_points: Array,
    d_weights: Array,
) -> None:
    """Write the derivatives of each observation by its camera, its point and its weight.

    Parameters
    ----------
    cameras, points, weights, observations, features
        As in `BaData`.
    d_cameras, d_points
        (p, 2, 11) and (p, 2, 3)
    d_weights
        (p, 3), the last of them of the weight's own residual
    """
    error = np.empty(2)
    across, down = np.empty(2), np.empty(2)
    for i in range(weights.size):
        across[:] = (1.0, 0.0)
        down[:] = (0.0, 1.0)
        d_cameras[i] = 0.0
        d_points[i] = 0.0
        found = cz.autodiff(
            cz.Reverse,
            reprojection_error,
            cz.BatchDuplicated(cameras[observations[i, 0]], (d_cameras[i, 0], d_cameras[i, 1])),
            cz.BatchDuplicated(points[observations[i, 1]], (d_points[i, 0], d_points[i, 1])),
            cz.Active(weights[i]),
            cz.Const(features[i]),
            cz.BatchDuplicated(error, (across, down)),
        )
        d_weights[i, 0], d_weights[i, 1] = found[2]
        d_weights[i, 2] = -2.0 * weights[i]


def block_by_block(case: Case) -> Call:
    """Return a call of a compiled loop over the observations, with a reverse sweep in two directions each."""
    inputs = case.arguments[:5]
    p = len(inputs[2])
    blocks = np.zeros((p, 2, 11)), np.zeros((p, 2, 3)), np.zeros((p, 3))

    def jacobian() -> tuple[Array, ...]:
        fill_blocks(*inputs, *blocks)
        return tuple(np.moveaxis(block, 0, 1) if block.ndim == 3 else block.T for block in blocks)

    return jacobian


@njit
def jacobian_by_hand(
    cameras: Array,
    points: Array,
    weights: Array,
    observations: Array,
    features: Array,
    blocks: Array,
    of_weights: Array,
) -> None:
    """Write the derivatives of each observation's two errors into (p, 2, 15), of the weights' into (p,)."""
    for i in range(weights.size):
        block_by_hand(
            cameras[observations[i, 0]], points[observations[i, 1]], weights[i], features[i], blocks[i]
        )
        of_weights[i] = -2.0 * weights[i]


@njit
def block_by_hand(camera: Array, point: Array, weight: float, feature: Array, block: Array) -> None:
    """Write the derivatives of the reprojection error by camera, point and weight into (2, 15)."""
    rx, ry, rz = camera[0], camera[1], camera[2]
    px, py, pz = point[0] - camera[3], point[1] - camera[4], point[2] - camera[5]
    angle = math.sqrt(rx * rx + ry * ry + rz * rz)
    cosine, sine = math.cos(angle), math.sin(angle)
    inverse = 1.0 / angle
    ax, ay, az = rx * inverse, ry * inverse, rz * inverse
    crossed_x, crossed_y, crossed_z = ay * pz - az * py, az * px - ax * pz, ax * py - ay * px
    dot = ax * px + ay * py + az * pz
    versed = 1.0 - cosine
    x = px * cosine + crossed_x * sine + ax * dot * versed
    y = py * cosine + crossed_y * sine + ay * dot * versed
    z = pz * cosine + crossed_z * sine + az * dot * versed
    over = 1.0 / z
    u, v = x * over, y * over
    square = u * u + v * v
    distortion = 1.0 + camera[9] * square + camera[10] * square * square
    slope = camera[9] + 2.0 * camera[10] * square
    focus = weight * camera[6]
    for row in range(2):
        seen = u if row == 0 else v
        # By u and v, then by the rotated point.
        u_bar = focus * (2.0 * u * slope * seen + (distortion if row == 0 else 0.0))
        v_bar = focus * (2.0 * v * slope * seen + (distortion if row == 1 else 0.0))
        x_bar, y_bar = u_bar * over, v_bar * over
        z_bar = -(u_bar * u + v_bar * v) * over
        # By the axis, the angle and the point, of Rodrigues' formula.
        dotted = (ax * x_bar + ay * y_bar + az * z_bar) * versed
        sx, sy, sz = sine * x_bar, sine * y_bar, sine * z_bar
        along = dot * versed
        ax_bar = along * x_bar + dotted * px + py * sz - pz * sy
        ay_bar = along * y_bar + dotted * py + pz * sx - px * sz
        az_bar = along * z_bar + dotted * pz + px * sy - py * sx
        px_bar = cosine * x_bar + dotted * ax + az * sy - ay * sz
        py_bar = cosine * y_bar + dotted * ay + ax * sz - az * sx
        pz_bar = cosine * z_bar + dotted * az + ay * sx - ax * sy
        angle_bar = (
            x_bar * (crossed_x * cosine + (ax * dot - px) * sine)
            + y_bar * (crossed_y * cosine + (ay * dot - py) * sine)
            + z_bar * (crossed_z * cosine + (az * dot - pz) * sine)
        )
        radial = angle_bar - (ax * ax_bar + ay * ay_bar + az * az_bar) * inverse
        out = block[row]
        out[0] = ax_bar * inverse + ax * radial
        out[1] = ay_bar * inverse + ay * radial
        out[2] = az_bar * inverse + az * radial
        out[3], out[4], out[5] = -px_bar, -py_bar, -pz_bar
        out[6] = weight * seen * distortion
        out[7] = weight if row == 0 else 0.0
        out[8] = weight if row == 1 else 0.0
        out[9] = focus * seen * square
        out[10] = focus * seen * square * square
        out[11], out[12], out[13] = px_bar, py_bar, pz_bar
        out[14] = seen * distortion * camera[6] + camera[7 + row] - feature[row]


def by_hand(case: Case) -> Call:
    """Return a call of the Jacobian by hand."""
    cameras, points, weights, observations, features, _, _ = case.arguments
    p = len(weights)
    blocks, of_weights = np.zeros((p, 2, PARAMETERS)), np.zeros(p)

    def jacobian() -> tuple[Array, ...]:
        jacobian_by_hand(cameras, points, weights, observations, features, blocks, of_weights)
        rows = np.moveaxis(blocks, 0, 1)
        return rows[:, :, :11], rows[:, :, 11:14], np.stack((rows[0, :, 14], rows[1, :, 14], of_weights))

    return jacobian


# --- other packages ----------------------------------------------------------------------------------------


def jax_error(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
    """Return the reprojection error of one observation, (2,)."""
    import jax.numpy as jnp

    rotation, centred = camera[:3], point - camera[3:6]
    angle = jnp.sqrt(rotation @ rotation)
    axis = rotation / angle
    x, y, z = (
        centred * jnp.cos(angle)
        + jnp.cross(axis, centred) * jnp.sin(angle)
        + axis * (axis @ centred) * (1.0 - jnp.cos(angle))
    )
    seen = jnp.stack((x / z, y / z))
    square = seen @ seen
    distortion = 1.0 + camera[9] * square + camera[10] * square**2
    return weight * (seen * distortion * camera[6] + camera[7:9] - feature)


def jax_blocks(case: Case, transform: str) -> Call:
    """Return JAX's Jacobian of each observation, all at once."""
    import jax

    jax.config.update("jax_enable_x64", True)
    jacobian = jax.vmap(getattr(jax, transform)(jax_error, argnums=(0, 1, 2)))

    @jax.jit
    def blocks(cameras: Any, points: Any, weights: Any, observations: Any, features: Any) -> Any:
        camera, point, weight = jacobian(
            cameras[observations[:, 0]], points[observations[:, 1]], weights, features
        )
        own = jax.numpy.concatenate((weight, -2.0 * weights[:, None]), axis=1)
        return camera, point, own

    operands = [jax.numpy.asarray(x) for x in case.start[:5]]

    def call() -> tuple[Array, ...]:
        found = jax.block_until_ready(blocks(*operands))
        return tuple(np.moveaxis(np.asarray(part), 0, 1) for part in found)

    return call


def casadi_blocks(case: Case) -> Call:
    """Return CasADi's Jacobian of one observation, mapped over all."""
    import casadi

    camera, point, weight = casadi.SX.sym("camera", 11), casadi.SX.sym("point", 3), casadi.SX.sym("weight")
    feature = casadi.SX.sym("feature", 2)
    rotation, centred = camera[:3], point - camera[3:6]
    angle = casadi.sqrt(casadi.dot(rotation, rotation))
    axis = rotation / angle
    turned = (
        centred * casadi.cos(angle)
        + casadi.cross(axis, centred) * casadi.sin(angle)
        + axis * casadi.dot(axis, centred) * (1.0 - casadi.cos(angle))
    )
    seen = turned[:2] / turned[2]
    square = casadi.dot(seen, seen)
    distortion = 1.0 + camera[9] * square + camera[10] * square**2
    error = weight * (seen * distortion * camera[6] + camera[7:9] - feature)
    rows = [
        casadi.densify(casadi.vertcat(casadi.jacobian(error[row], x).T))
        for x in (camera, point, weight)
        for row in range(2)
    ]
    cameras, points, weights, observations, features = case.start[:5]
    p = len(weights)
    inputs = [cameras[observations[:, 0]], points[observations[:, 1]], weights, features]
    function = casadi.Function("blocks", [camera, point, weight, feature], rows).map(p)
    results = [np.zeros((p, n)) for n in (11, 11, 3, 3, 1, 1)]
    buffer, evaluate = function.buffer()
    for k, x in enumerate(inputs):
        buffer.set_arg(k, memoryview(x.reshape(-1)))
    for k, x in enumerate(results):
        buffer.set_res(k, memoryview(x.reshape(-1)))

    def call() -> tuple[Array, ...]:
        evaluate()
        own = np.stack((results[4][:, 0], results[5][:, 0], -2.0 * weights))
        return np.stack(results[:2]), np.stack(results[2:4]), own

    call.kept = (function, buffer, inputs)  # type: ignore[attr-defined]  # the buffer holds addresses alone
    return call


# --- rows --------------------------------------------------------------------------------------------------


def with_outputs(data: BaData) -> tuple[Any, ...]:
    """Return the arguments of `ba_residuals`."""
    p = len(data.weights)
    return (*data, np.zeros((p, 2)), np.zeros(p))


def small_bundle() -> tuple[Any, ...]:
    """Return a bundle of five observations, by two cameras, of three points."""
    data = load_ba()
    rng = np.random.default_rng(3)
    moved = [
        x * rng.uniform(0.8, 1.2, x.shape) for x in (data.cameras[:2], data.points[:3], data.weights[:5])
    ]
    order = np.arange(5)
    seen = np.stack((order % 2, order % 3), axis=1)
    return with_outputs(BaData(*moved, seen, data.features[:5]))


BASE = Row(
    title="BA sparse Jacobian p31843, in one batch",
    group=Group.ADBENCH,
    function=ba_residuals,
    arguments=lambda: with_outputs(load_ba()),
    small=small_bundle,
    active=(),
    derivative=in_one_batch,
    hand=by_hand,
    hand_bytes=lambda *_: 0,
    bar=5.0,
    quoted=Quoted(hand=4.8, enzyme=8.1, peer="JAX 25.6"),
)

ROWS = (
    BASE,
    replace(
        BASE,
        title="BA sparse Jacobian p31843, block by block",
        derivative=block_by_block,
        peers=(
            Peer(Library.JAX, "jacrev", lambda case: jax_blocks(case, "jacrev")),
            Peer(Library.JAX, "jacfwd", lambda case: jax_blocks(case, "jacfwd")),
            Peer(Library.CASADI, "map", casadi_blocks),
        ),
    ),
)
