"""ADBench's hand tracking: the dense Jacobian of 300 residuals by 26 parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

import coenzyme as cz
from benchmarks.model import Array, Call, Case, Group, Library, Peer, Quoted, Row
from coenzyme.problems.hand import HandData, hand_residuals, load_hand

__all__ = ["ROWS"]

GLOBAL = 6
"""Parameters of the whole hand: rotation vector and translation."""
SMALLEST_ANGLE = 1e-4
JOINTS = 4
"""Parameters of a finger: two angles of its first joint, one of each other."""


def dense(case: Case) -> Call:
    """Return a call of the Jacobian in forward mode."""
    jacobian = cz.jacobian(case.function, mode="forward", chunk_size=16)
    return lambda: (jacobian(*case.arguments),)


@njit
def multiply(a: Array, b: Array, product: Array, affine: float) -> None:
    """Write the product of (3, 4) maps, matrices beside translations; affine is 0 where b is a derivative."""
    for i in range(3):
        for j in range(4):
            total = affine * a[i, 3] if j == 3 else 0.0
            for k in range(3):
                total += a[i, k] * b[k, j]
            product[i, j] = total


@njit
def turn_about(x: float, z: float, turns: Array) -> None:
    """Write the rotation about x and then z, and its derivatives by both angles, into (3, 3, 4)."""
    cx, sx, c, s = math.cos(x), math.sin(x), math.cos(z), math.sin(z)
    turns[:] = 0.0
    turns[0, 0, 0], turns[0, 0, 1], turns[0, 0, 2] = c, -cx * s, sx * s
    turns[0, 1, 0], turns[0, 1, 1], turns[0, 1, 2] = s, cx * c, -sx * c
    turns[0, 2, 1], turns[0, 2, 2] = sx, cx
    turns[1, 0, 1], turns[1, 0, 2] = sx * s, cx * s
    turns[1, 1, 1], turns[1, 1, 2] = -sx * c, -cx * c
    turns[1, 2, 1], turns[1, 2, 2] = cx, -sx
    turns[2, 0, 0], turns[2, 0, 1], turns[2, 0, 2] = -s, -cx * c, sx * c
    turns[2, 1, 0], turns[2, 1, 1], turns[2, 1, 2] = c, -cx * s, sx * s


@njit
def differentiate_rotation(vector: Array, rotation: Array, by_vector: Array) -> None:
    """Write the rotation by a rotation vector into (3, 3), its derivatives into (3, 3, 3)."""
    angle = math.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
    by_vector[:] = 0.0
    rotation[:] = 0.0
    if angle < SMALLEST_ANGLE:
        for i in range(3):
            rotation[i, i] = 1.0
        return
    c, s = math.cos(angle), math.sin(angle)
    axis = vector / angle
    for i in range(3):
        rotation[i, i] = c
        for j in range(3):
            rotation[i, j] += axis[i] * axis[j] * (1.0 - c)
        following, last = (i + 1) % 3, (i + 2) % 3
        rotation[last, following] += axis[i] * s
        rotation[following, last] -= axis[i] * s
    for k in range(3):
        by = by_vector[k]
        for i in range(3):
            by[i, i] -= s * axis[k]
            i_dot = ((1.0 if i == k else 0.0) - axis[i] * axis[k]) / angle
            for j in range(3):
                j_dot = ((1.0 if j == k else 0.0) - axis[j] * axis[k]) / angle
                by[i, j] += (i_dot * axis[j] + axis[i] * j_dot) * (1.0 - c) + axis[i] * axis[j] * s * axis[k]
            following, last = (i + 1) % 3, (i + 2) % 3
            turn_dot = i_dot * s + axis[i] * c * axis[k]
            by[last, following] += turn_dot
            by[following, last] -= turn_dot


@njit
def differentiate_bones(
    theta: Array, parents: Array, relatives: Array, inverses: Array, transforms: Array, derivatives: Array
) -> None:
    """Write the map of each bone into (b, 3, 4), its derivatives by its finger's angles into (b, 4, 3, 4)."""
    bones = parents.size
    absolutes = np.empty((bones, 3, 4))
    absolute_dots = np.zeros((bones, JOINTS, 3, 4))
    turns, turned = np.empty((3, 3, 4)), np.empty((3, 4))
    for bone in range(bones):
        parent = parents[bone]
        finger, joint = (bone - 1) // 4, (bone - 1) % 4
        first = GLOBAL + JOINTS * finger
        bends = 0 <= finger < 5 and joint > 0
        x = theta[first + (0 if joint == 1 else joint)] if bends else 0.0
        turn_about(x, theta[first + 1] if bends and joint == 1 else 0.0, turns)
        multiply(relatives[bone], turns[0], turned, 1.0)
        if parent < 0:
            absolutes[bone] = turned
        else:
            multiply(absolutes[parent], turned, absolutes[bone], 1.0)
            if bends:
                for angle in range(joint if joint > 1 else 0):
                    multiply(absolute_dots[parent, angle], turned, absolute_dots[bone, angle], 1.0)
                for angle in range(2 if joint == 1 else 1):
                    multiply(relatives[bone], turns[1 + angle], turned, 0.0)
                    place = angle if joint == 1 else joint
                    multiply(absolutes[parent], turned, absolute_dots[bone, place], 0.0)
        multiply(absolutes[bone], inverses[bone], transforms[bone], 1.0)
        for angle in range(JOINTS):
            multiply(absolute_dots[bone, angle], inverses[bone], derivatives[bone, angle], 1.0)


@njit
def jacobian_by_hand(
    theta: Array,
    parents: Array,
    relatives: Array,
    inverse_absolutes: Array,
    positions: Array,
    weights: Array,
    correspondences: Array,
    points: Array,
) -> Array:
    """Return the derivatives of `hand_residuals` by theta, (n, 3, 26)."""
    bones, count = parents.size, correspondences.size
    transforms, derivatives = np.empty((bones, 3, 4)), np.empty((bones, JOINTS, 3, 4))
    differentiate_bones(theta, parents, relatives, inverse_absolutes, transforms, derivatives)
    rotation, by_vector = np.empty((3, 3)), np.empty((3, 3, 3))
    differentiate_rotation(theta[:3], rotation, by_vector)
    jacobian = np.zeros((count, 3, theta.size))
    skinned, moved = np.empty(3), np.empty(3)
    for n in range(count):
        vertex = correspondences[n]
        position = positions[vertex]
        rows = jacobian[n]
        skinned[:] = 0.0
        for bone in range(bones):
            weight = weights[vertex, bone]
            if weight == 0.0:
                continue
            map = transforms[bone]
            for i in range(3):
                skinned[i] += weight * (
                    map[i, 0] * position[0] + map[i, 1] * position[1] + map[i, 2] * position[2] + map[i, 3]
                )
            finger, joint = (bone - 1) // 4, (bone - 1) % 4
            if bone == 0 or finger >= 5 or joint == 0:
                continue
            for angle in range(joint + 1):
                map = derivatives[bone, angle]
                for i in range(3):
                    moved[i] = -weight * (
                        map[i, 0] * position[0]
                        + map[i, 1] * position[1]
                        + map[i, 2] * position[2]
                        + map[i, 3]
                    )
                column = GLOBAL + JOINTS * finger + angle
                for i in range(3):
                    rows[i, column] += (
                        rotation[i, 0] * moved[0] + rotation[i, 1] * moved[1] + rotation[i, 2] * moved[2]
                    )
        for i in range(3):
            rows[i, 3 + i] = -1.0
            for k in range(3):
                for j in range(3):
                    rows[i, k] -= by_vector[k, i, j] * skinned[j]
    return jacobian


def by_hand(case: Case) -> Call:
    """Return a call of the Jacobian by hand."""
    return lambda: (jacobian_by_hand(*case.arguments),)


# --- other packages ----------------------------------------------------------------------------------------


def jax_euler(angles: Any) -> Any:
    """Return the homogeneous rotation about x and then z."""
    import jax.numpy as jnp

    (cx, cz_), (sx, sz) = jnp.cos(angles), jnp.sin(angles)
    zero, one = jnp.zeros(()), jnp.ones(())
    return jnp.stack(
        (
            jnp.stack((cz_, -cx * sz, sx * sz, zero)),
            jnp.stack((sz, cx * cz_, -sx * cz_, zero)),
            jnp.stack((zero, sx, cx, zero)),
            jnp.stack((zero, zero, zero, one)),
        )
    )


def jax_residuals(theta: Any, hand: Any, parents: Array) -> Any:
    """Return the residuals in terms of whole arrays."""
    import jax
    import jax.numpy as jnp

    relatives, inverses, positions, weights, points = hand
    bent = jnp.zeros((len(parents), 2))
    for finger in range(5):
        first, bone = GLOBAL + JOINTS * finger, 2 + 4 * finger
        bent = bent.at[bone].set(theta[first : first + 2])
        bent = bent.at[bone + 1, 0].set(theta[first + 2]).at[bone + 2, 0].set(theta[first + 3])
    local = relatives @ jax.vmap(jax_euler)(bent)
    absolutes: list[Any] = []
    for bone, parent in enumerate(parents):
        absolutes.append(local[bone] if parent < 0 else absolutes[parent] @ local[bone])
    transforms = jnp.stack(absolutes) @ inverses
    homogeneous = jnp.concatenate((positions, jnp.ones((len(positions), 1))), axis=1)
    skinned = jnp.einsum("nb,bij,nj->ni", weights, transforms[:, :3], homogeneous)
    angle = jnp.sqrt(theta[:3] @ theta[:3])
    x, y, z = axis = theta[:3] / angle
    crossing = jnp.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))
    rotation = (
        jnp.cos(angle) * jnp.eye(3)
        + (1.0 - jnp.cos(angle)) * jnp.outer(axis, axis)
        + jnp.sin(angle) * crossing
    )
    return points - (skinned @ rotation.T + theta[3:6])


def jax_dense(case: Case) -> Call:
    """Return JAX's Jacobian in forward mode."""
    import jax

    jax.config.update("jax_enable_x64", True)
    data = HandData(*case.start)
    seen = data.correspondences
    hand = tuple(
        jax.numpy.asarray(x)
        for x in (
            data.relatives,
            data.inverse_absolutes,
            data.positions[seen],
            data.weights[seen],
            data.points,
        )
    )
    jacobian = jax.jit(jax.jacfwd(lambda theta, hand: jax_residuals(theta, hand, data.parents)))
    theta = jax.numpy.asarray(data.theta)
    return lambda: (jax.block_until_ready(jacobian(theta, hand)),)


def few_points() -> HandData:
    """Return the hand with its first ten points."""
    data = load_hand()
    return data._replace(correspondences=data.correspondences[:10].copy(), points=data.points[:10].copy())


ROWS = (
    Row(
        title="Hand dense Jacobian c100",
        group=Group.ADBENCH,
        function=hand_residuals,
        arguments=load_hand,
        small=few_points,
        active=(),
        derivative=dense,
        hand=by_hand,
        hand_bytes=lambda *_: 0,
        peers=(Peer(Library.JAX, "jacfwd", jax_dense),),
        bar=6.0,
        quoted=Quoted(hand=7.0, peer="JAX 9.1"),
    ),
)
