"""Bundle adjustment: reprojection and weight residuals written into arrays (ADBench's BA)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from coenzyme.problems.datafiles import Floats, Integers, NumberReader

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["BaData", "ba_residuals", "load_ba", "reprojection_error"]


class BaData(NamedTuple):
    """The inputs of `ba_residuals`, in order: n cameras, m points, p observations."""

    cameras: Floats
    """(n, 11) rotation vector (3), centre (3), focal length, principal point (2), radial distortion (2)"""
    points: Floats
    """(m, 3)"""
    weights: Floats
    """(p,) one weight for each observation"""
    observations: Integers
    """(p, 2) which camera sees which point"""
    features: Floats
    """(p, 2) where the camera sees it, in pixels"""


@njit
def rotate(rotation: Floats, vector: Floats, rotated: Floats) -> None:
    """Write the vector turned by the rotation vector (axis times angle) into rotated, each (3,).

    Notes
    -----
    Rodrigues' formula; at angle zero its first-order expansion, so that the derivative is right there too.
    """
    square = rotation[0] * rotation[0] + rotation[1] * rotation[1] + rotation[2] * rotation[2]
    if square > 0.0:
        angle = math.sqrt(square)
        cosine = math.cos(angle)
        sine = math.sin(angle)
        ax = rotation[0] / angle
        ay = rotation[1] / angle
        az = rotation[2] / angle
        along = (ax * vector[0] + ay * vector[1] + az * vector[2]) * (1.0 - cosine)
        rotated[0] = vector[0] * cosine + (ay * vector[2] - az * vector[1]) * sine + ax * along
        rotated[1] = vector[1] * cosine + (az * vector[0] - ax * vector[2]) * sine + ay * along
        rotated[2] = vector[2] * cosine + (ax * vector[1] - ay * vector[0]) * sine + az * along
    else:
        rotated[0] = vector[0] + rotation[1] * vector[2] - rotation[2] * vector[1]
        rotated[1] = vector[1] + rotation[2] * vector[0] - rotation[0] * vector[2]
        rotated[2] = vector[2] + rotation[0] * vector[1] - rotation[1] * vector[0]


@njit
def reprojection_error(camera: Floats, point: Floats, weight: float, feature: Floats, error: Floats) -> None:
    """Write the weighted distance between where the camera sees the point and the feature into error.

    Parameters
    ----------
    camera
        (11,), as in `BaData`.
    point
        (3,)
    weight
        The observation's weight.
    feature, error
        (2,) in pixels
    """
    centred = np.empty(3)
    for j in range(3):
        centred[j] = point[j] - camera[3 + j]
    seen = np.empty(3)
    rotate(camera[:3], centred, seen)
    x = seen[0] / seen[2]
    y = seen[1] / seen[2]
    square = x * x + y * y
    distortion = 1.0 + camera[9] * square + camera[10] * square * square
    error[0] = weight * (x * distortion * camera[6] + camera[7] - feature[0])
    error[1] = weight * (y * distortion * camera[6] + camera[8] - feature[1])


def ba_residuals(
    cameras: Floats,
    points: Floats,
    weights: Floats,
    observations: Integers,
    features: Floats,
    errors: Floats,
    weight_errors: Floats,
) -> None:
    """Write every residual of the bundle into errors, (p, 2), and weight_errors, (p,).

    Parameters
    ----------
    cameras, points, weights, observations, features
        As in `BaData`.
    errors, weight_errors
        The outputs: weighted reprojection errors, and one minus the square of each weight.

    Notes
    -----
    O(p) operations. Source: ADBench, Šrajer et al. (2018).
    """
    for i in range(observations.shape[0]):
        camera = cameras[observations[i, 0]]
        point = points[observations[i, 1]]
        reprojection_error(camera, point, weights[i], features[i], errors[i])
    for i in range(weights.size):
        weight_errors[i] = 1.0 - weights[i] * weights[i]


def load_ba(path: str | PathLike[str] | None = None) -> BaData:
    """Return the inputs of `ba_residuals` read from an ADBench file.

    Parameters
    ----------
    path
        A file that states n, m and p, then one camera, one point, one weight and one feature, which all
        cameras, points, weights and features repeat; observation i is of point i mod m by camera i mod n. By
        default the data set shipped with the package: n = 49, m = 7776, p = 31843.

    Raises
    ------
    ParseError
        If the file does not hold exactly these numbers.

    Examples
    --------
    >>> data = load_ba()
    >>> data.cameras.shape, data.points.shape, data.observations.shape
    ((49, 11), (7776, 3), (31843, 2))
    """
    numbers = NumberReader(path, shipped="ba1_n49_m7776_p31843.txt")
    n, m, p = numbers.counts(3)
    cameras = np.tile(numbers.array(11), (n, 1))
    points = np.tile(numbers.array(3), (m, 1))
    weights = np.tile(numbers.array(1), p)
    features = np.tile(numbers.array(2), (p, 1))
    numbers.finish()
    order = np.arange(p)
    observations = np.stack((order % n, order % m), axis=1)
    return BaData(cameras, points, weights, observations, features)
