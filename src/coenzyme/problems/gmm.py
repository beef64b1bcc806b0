"""The log posterior of a Gaussian mixture with a Wishart prior (ADBench's GMM)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from coenzyme.problems.datafiles import Floats, NumberReader

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["GmmData", "gmm", "load_gmm"]


class GmmData(NamedTuple):
    """The arguments of `gmm`, in order: d dimensions, K components, n points."""

    alphas: Floats
    """(K,) logarithms of the mixture weights, not normalised"""
    means: Floats
    """(K, d)"""
    icf: Floats
    """(K, d + d(d-1)/2) inverse covariance factors: log-diagonal, then the lower triangle by columns"""
    x: Floats
    """(n, d) points"""
    gamma: float
    """precision of the Wishart prior"""
    m: int
    """degrees of freedom of the Wishart prior, less d + 1"""


def gmm(alphas: Floats, means: Floats, icf: Floats, x: Floats, gamma: float, m: int) -> float:
    """Return the log posterior of the mixture at the points x.

    Parameters
    ----------
    alphas, means, icf, x, gamma, m
        As in `GmmData`.

    Returns
    -------
    float
        The objective as ADBench defines it, to be maximised.

    Notes
    -----
    Σᵢ log Σₖ exp(αₖ + log|Qₖ| - ½‖Qₖ(xᵢ - μₖ)‖²) - n log Σₖ exp(αₖ), with the normalising constants and the
    prior. That enters with the sign that ADBench gives it, opposite to that of a Wishart density, so that
    values compare with other implementations of the benchmark. For inference, change that sign.

    O(n K d²) operations. Source: ADBench, Šrajer et al. (2018).
    """
    n, d = x.shape
    components = alphas.size
    q_diagonal = np.empty((components, d))
    log_determinant = np.zeros(components)
    for k in range(components):
        for j in range(d):
            log_determinant[k] += icf[k, j]
            q_diagonal[k, j] = math.exp(icf[k, j])

    centred = np.empty(d)
    scaled = np.empty(d)
    terms = np.empty(components)
    total = 0.0
    for i in range(n):
        for k in range(components):
            for j in range(d):
                centred[j] = x[i, j] - means[k, j]
                scaled[j] = q_diagonal[k, j] * centred[j]
            entry = d
            for column in range(d):
                for row in range(column + 1, d):
                    scaled[row] += icf[k, entry] * centred[column]
                    entry += 1
            distance = 0.0
            for j in range(d):
                distance += scaled[j] * scaled[j]
            terms[k] = alphas[k] + log_determinant[k] - 0.5 * distance
        largest = terms[0]
        for k in range(1, components):
            largest = max(largest, terms[k])
        weight = 0.0
        for k in range(components):
            weight += math.exp(terms[k] - largest)
        total += largest + math.log(weight)

    largest = alphas[0]
    for k in range(1, components):
        largest = max(largest, alphas[k])
    weight = 0.0
    for k in range(components):
        weight += math.exp(alphas[k] - largest)
    total -= n * (largest + math.log(weight))
    total -= 0.5 * n * d * math.log(2.0 * math.pi)

    # log of the multivariate gamma function at half of the degrees of freedom
    freedom = d + m + 1
    log_gamma = 0.25 * d * (d - 1) * math.log(math.pi)
    for j in range(d):
        log_gamma += math.lgamma(0.5 * (freedom - j))
    prior = -components * (freedom * d * (math.log(gamma) - 0.5 * math.log(2.0)) - log_gamma)
    for k in range(components):
        squares = 0.0
        for j in range(d):
            squares += q_diagonal[k, j] * q_diagonal[k, j]
        for j in range(d, icf.shape[1]):
            squares += icf[k, j] * icf[k, j]
        prior += 0.5 * gamma * gamma * squares - m * log_determinant[k]
    return total + prior


def load_gmm(path: str | PathLike[str] | None = None) -> GmmData:
    """Return the arguments of `gmm` read from an ADBench file.

    Parameters
    ----------
    path
        A file that states d, K and n, then alphas, means, icf and x row by row, then gamma and m. By default
        the data set shipped with the package: d = 10, K = 25, n = 1000.

    Raises
    ------
    ParseError
        If the file does not hold exactly these numbers.

    Examples
    --------
    >>> data = load_gmm()
    >>> data.alphas.shape, data.means.shape, data.icf.shape, data.x.shape
    ((25,), (25, 10), (25, 55), (1000, 10))
    """
    numbers = NumberReader(path, shipped="gmm_d10_K25_n1000.txt")
    d, components, n = numbers.counts(3)
    alphas = numbers.array(components)
    means = numbers.array(components, d)
    icf = numbers.array(components, d * (d + 1) // 2)
    x = numbers.array(n, d)
    gamma = float(numbers.array(1)[0])
    (m,) = numbers.counts(1)
    numbers.finish()
    return GmmData(alphas, means, icf, x, gamma, m)
