"""Hand tracking: how far the vertices of a posed hand are from points that were measured (ADBench's Hand)."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from coenzyme.errors import ParseError
from coenzyme.problems.datafiles import Floats, Integers, NumberReader

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["HandData", "hand_residuals", "load_hand"]

PARAMETERS = 26
_FINGERS = 5
_PER_FINGER = 4
_FIRST_FINGER = 6
_SMALLEST_ANGLE = 1e-4
_INFLUENCES = 8
"""Where in the description of a vertex the number of bones stands that move it."""


class HandData(NamedTuple):
    """The inputs of `hand_residuals`, in order: b bones, v vertices, n measured points."""

    theta: Floats
    """(26,) rotation vector (3) and translation (3) of the hand, then for each finger four angles"""
    parents: Integers
    """(b,) the bone that each bone hangs on, a former one; −1 for the wrist"""
    relatives: Floats
    """(b, 4, 4) from the coordinates of a bone to those of its parent, in the pose of rest"""
    inverse_absolutes: Floats
    """(b, 4, 4) from the coordinates of the hand to those of each bone, in the pose of rest"""
    positions: Floats
    """(v, 3) the vertices in the pose of rest"""
    weights: Floats
    """(v, b) how much each bone moves each vertex"""
    correspondences: Integers
    """(n,) the vertex that each point was measured of"""
    points: Floats
    """(n, 3)"""


@njit
def _euler_rotation(x: float, y: float, z: float, rotation: Floats) -> None:
    """Write the product of rotations about the x, y and z axes, the first applied first, into (3, 3)."""
    cx, sx = math.cos(x), math.sin(x)
    cy, sy = math.cos(y), math.sin(y)
    cz, sz = math.cos(z), math.sin(z)
    rotation[0, 0] = cy * cz
    rotation[0, 1] = sx * sy * cz - cx * sz
    rotation[0, 2] = cx * sy * cz + sx * sz
    rotation[1, 0] = cy * sz
    rotation[1, 1] = sx * sy * sz + cx * cz
    rotation[1, 2] = cx * sy * sz - sx * cz
    rotation[2, 0] = -sy
    rotation[2, 1] = sx * cy
    rotation[2, 2] = cx * cy


@njit
def _axis_rotation(vector: Floats, rotation: Floats) -> None:
    """Write the rotation by a rotation vector (axis times angle) into (3, 3): Rodrigues' formula.

    Up to an angle of 1e-4 it is the identity, as in the benchmark.
    """
    angle = math.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
    rotation[:] = 0.0
    if angle < _SMALLEST_ANGLE:
        for i in range(3):
            rotation[i, i] = 1.0
        return
    x, y, z = vector[0] / angle, vector[1] / angle, vector[2] / angle
    c, s = math.cos(angle), math.sin(angle)
    axis = (x, y, z)
    for i in range(3):
        for j in range(3):
            rotation[i, j] = axis[i] * axis[j] * (1.0 - c)
        rotation[i, i] += c
    rotation[0, 1] -= z * s
    rotation[1, 0] += z * s
    rotation[0, 2] += y * s
    rotation[2, 0] -= y * s
    rotation[1, 2] -= x * s
    rotation[2, 1] += x * s


@njit
def _bone_angles(theta: Floats, angles: Floats) -> None:
    """Write the angles about x and z of each bone, (b, 2): a finger's first joint bends in two directions."""
    angles[:] = 0.0
    for finger in range(_FINGERS):
        first = _FIRST_FINGER + _PER_FINGER * finger
        bone = 2 + 4 * finger
        angles[bone, 0] = theta[first]
        angles[bone, 1] = theta[first + 1]
        angles[bone + 1, 0] = theta[first + 2]
        angles[bone + 2, 0] = theta[first + 3]


@njit
def _multiply(a: Floats, b: Floats, product: Floats) -> None:
    """Write the product of two (4, 4) matrices."""
    for i in range(4):
        for j in range(4):
            total = 0.0
            for k in range(4):
                total += a[i, k] * b[k, j]
            product[i, j] = total


@njit
def _bone_transforms(
    theta: Floats, parents: Integers, relatives: Floats, inverse_absolutes: Floats, transforms: Floats
) -> None:
    """Write how each bone moves what hangs on it, (b, 4, 4)."""
    bones = parents.size
    angles = np.empty((bones, 2))
    _bone_angles(theta, angles)
    absolutes = np.empty((bones, 4, 4))
    turned = np.empty((4, 4))
    turn = np.zeros((4, 4))
    turn[3, 3] = 1.0
    for bone in range(bones):
        _euler_rotation(angles[bone, 0], 0.0, angles[bone, 1], turn[:3, :3])
        if parents[bone] < 0:
            _multiply(relatives[bone], turn, absolutes[bone])
        else:
            _multiply(relatives[bone], turn, turned)
            _multiply(absolutes[parents[bone]], turned, absolutes[bone])
        _multiply(absolutes[bone], inverse_absolutes[bone], transforms[bone])


def hand_residuals(  # noqa: PLR0917 - the inputs of the benchmark
    theta: Floats,
    parents: Integers,
    relatives: Floats,
    inverse_absolutes: Floats,
    positions: Floats,
    weights: Floats,
    correspondences: Integers,
    points: Floats,
) -> Floats:
    """Return the measured points minus the vertices of the hand in the pose theta, (n, 3).

    Parameters
    ----------
    theta, parents, relatives, inverse_absolutes, positions, weights, correspondences, points
        As in `HandData`.

    Notes
    -----
    O(b + n b) operations. Source: ADBench, Šrajer et al. (2018); linear blend skinning.
    """
    bones, count = parents.size, correspondences.size
    transforms = np.empty((bones, 4, 4))
    _bone_transforms(theta, parents, relatives, inverse_absolutes, transforms)
    rotation = np.empty((3, 3))
    _axis_rotation(theta[:3], rotation)
    residuals = np.empty((count, 3))
    skinned = np.empty(3)
    for n in range(count):
        vertex = correspondences[n]
        skinned[:] = 0.0
        for bone in range(bones):
            weight = weights[vertex, bone]
            if weight != 0.0:
                for i in range(3):
                    moved = transforms[bone, i, 3]
                    for j in range(3):
                        moved += transforms[bone, i, j] * positions[vertex, j]
                    skinned[i] += weight * moved
        for i in range(3):
            placed = theta[3 + i]
            for j in range(3):
                placed += rotation[i, j] * skinned[j]
            residuals[n, i] = points[n, i] - placed
    return residuals


def load_hand(path: str | PathLike[str] | None = None, model: str | PathLike[str] | None = None) -> HandData:
    """Return the inputs of `hand_residuals` read from ADBench files.

    Parameters
    ----------
    path
        A file that states n and 26, then in n rows a vertex and a point, then theta. By default the data set
        shipped with the package: n = 100.
    model
        The folder of a model with ``bones.txt`` and ``vertices.txt``, the items of whose rows are separated
        by colons: name, parent and two matrices of each bone; position, normal and texture coordinates of
        each vertex, then how many bones move it, and which, by how much. By default the model shipped with
        the package.

    Raises
    ------
    ParseError
        If a file does not hold these numbers.

    Examples
    --------
    >>> data = load_hand()
    >>> data.parents.size, data.positions.shape, data.points.shape
    (22, (544, 3), (100, 3))
    """
    bones = [_numbers(row.split(":")[1:], "bones.txt") for row in _rows(model, "bones.txt")]
    vertices = [_numbers(row.split(":"), "vertices.txt") for row in _rows(model, "vertices.txt")]
    if any(row.size != 1 + 2 * 16 for row in bones):
        raise _refuse("bones.txt should state a parent and two matrices of each bone")
    weights = np.zeros((len(vertices), len(bones)))
    for vertex, row in enumerate(vertices):
        influences = row[_INFLUENCES + 1 :].reshape(-1, 2) if row.size % 2 else np.zeros((0, 2))
        if row.size <= _INFLUENCES or len(influences) != row[_INFLUENCES]:
            raise _refuse(f"row {vertex + 1} of vertices.txt should state which bones move the vertex")
        weights[vertex, influences[:, 0].astype(np.int64)] = influences[:, 1]
    numbers = NumberReader(path, shipped="hand1_t26_c100.txt")
    count, parameters = numbers.counts(2)
    if parameters != PARAMETERS:
        raise _refuse(f"a hand has {PARAMETERS} parameters, not {parameters}")
    rows = numbers.array(count, 4)
    theta = numbers.array(PARAMETERS)
    numbers.finish()
    return HandData(
        theta,
        np.array([row[0] for row in bones], dtype=np.int64),
        np.array([row[1:17].reshape(4, 4) for row in bones]),
        np.array([row[17:].reshape(4, 4) for row in bones]),
        np.array([row[:3] for row in vertices]),
        weights,
        rows[:, 0].astype(np.int64),
        np.ascontiguousarray(rows[:, 1:]),
    )


def _rows(model: str | PathLike[str] | None, name: str) -> list[str]:
    if model is None:
        text = (resources.files("coenzyme.problems") / "data" / f"hand_{name}").read_text(encoding="ascii")
    else:
        text = (Path(model) / name).read_text(encoding="ascii")
    return text.split()


def _numbers(parts: list[str], name: str) -> Floats:
    try:
        return np.array(parts, dtype=np.float64)
    except ValueError as error:
        raise _refuse(f"{name} holds something that is not a number: {error}") from error


def _refuse(message: str) -> ParseError:
    return ParseError(message, remedy="check the file against the format that the loader's docstring states")
