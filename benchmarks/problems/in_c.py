"""Problems of the other modules written in C: the same mathematics, with and without ``restrict``.

The adjoints by hand, and what is asked for, are those of the rows in Python. Without clang there are no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import coenzyme as cz
from benchmarks.model import Array, Call, Case, Group, Quoted, Row
from benchmarks.problems import ba, brusselator, fft, gmm, lstm
from coenzyme.errors import BackendUnavailableError
from coenzyme.frontends.clang import find_clang

__all__ = ["ROWS"]

_SOURCES = Path(__file__).parent.parent / "c"
_RESTRICT = ("-DRESTRICT=restrict",)


def gmm_in_c(flags: tuple[str, ...]) -> Callable[..., Any]:
    """Return the Gaussian mixture's posterior in C."""
    native = cz.c.function(_SOURCES / "gmm.c", "gmm", flags=flags)

    def posterior(alphas: Array, means: Array, icf: Array, x: Array, gamma: float, m: int) -> float:
        return native(alphas, means, icf, x, x.shape[0], x.shape[1], alphas.size, gamma, m)

    return posterior


def lstm_in_c(flags: tuple[str, ...]) -> Callable[..., Any]:
    """Return the LSTM's loss in C."""
    native = cz.c.function(_SOURCES / "lstm.c", "lstm", flags=flags)

    def loss(main_params: Array, extra_params: Array, state: Array, sequence: Array) -> float:
        layers = main_params.shape[0] // 2
        return native(
            main_params, extra_params, state, sequence, layers, sequence.shape[0], sequence.shape[1]
        )

    return loss


def ba_in_c(flags: tuple[str, ...]) -> Callable[..., Any]:
    """Return what writes the residuals of bundle adjustment in C."""
    native = cz.c.function(_SOURCES / "ba.c", "ba_residuals", flags=flags)

    def residuals(
        cameras: Array,
        points: Array,
        weights: Array,
        observations: Array,
        features: Array,
        errors: Array,
        weight_errors: Array,
    ) -> None:
        native(cameras, points, weights, observations, features, errors, weight_errors, weights.size)

    return residuals


def ba_in_two_sweeps(flags: tuple[str, ...], case: Case) -> Call:
    """Return a call that sweeps each of the two functions that make the residuals over all observations.

    Notes
    -----
    As in :func:`benchmarks.problems.ba.in_one_batch`, but the weights' residuals have a sweep of their own,
    so that the other takes two directions instead of three.
    """
    errors_in_c = cz.c.function(_SOURCES / "ba.c", "reprojection_errors", flags=flags)
    weights_in_c = cz.c.function(_SOURCES / "ba.c", "weight_errors", flags=flags)
    cameras, points, weights, observations, features, errors, weight_errors = case.arguments
    p = len(weights)
    own = cameras[observations[:, 0]], points[observations[:, 1]], weights
    own_observations = np.stack((np.arange(p), np.arange(p)), axis=1)
    shadows = [np.zeros((2, *x.shape)) for x in own]
    by_weight = np.zeros((3, p))
    shadows[2] = by_weight[:2]
    d_errors, d_weight_errors = np.zeros((2, p, 2)), np.zeros(p)
    first = (
        *(cz.BatchDuplicated(x, tuple(dx)) for x, dx in zip(own, shadows, strict=True)),
        cz.Const(own_observations),
        cz.Const(features),
        cz.BatchDuplicated(errors, tuple(d_errors)),
        cz.Const(p),
    )
    second = (
        cz.Duplicated(weights, by_weight[2]),
        cz.Duplicated(weight_errors, d_weight_errors),
        cz.Const(p),
    )

    def jacobian() -> tuple[Array, Array, Array]:
        for shadow in (*shadows[:2], by_weight):
            shadow[...] = 0.0
        d_errors[0, :, 0] = d_errors[1, :, 1] = d_weight_errors[:] = 1.0
        cz.autodiff(cz.Reverse, errors_in_c, cz.Const, *first)
        cz.autodiff(cz.Reverse, weights_in_c, cz.Const, *second)
        return shadows[0], shadows[1], by_weight

    return jacobian


def fft_in_c(flags: tuple[str, ...]) -> Callable[..., Any]:
    """Return the transform there and back in C."""
    native = cz.c.function(_SOURCES / "fft.c", "there_and_back", flags=flags)

    def there_and_back(re: Array, im: Array, cosines: Array, sines: Array) -> None:
        native(re, im, cosines, sines, re.size)

    return there_and_back


def euler_in_c(flags: tuple[str, ...]) -> Callable[..., Any]:
    """Return Euler's method for the Brusselator in C."""
    native = cz.c.function(_SOURCES / "brusselator.c", "euler", flags=flags)

    def euler(u: Array, v: Array, alpha: float, dt: float, steps: int) -> None:
        native(u, v, alpha, dt, steps, u.shape[0])

    return euler


_PROBLEMS = (
    (gmm_in_c, gmm, "GMM d10 K25 n1000"),
    (gmm_in_c, gmm, "GMM d10 K25 n10k"),
    (gmm_in_c, gmm, "GMM d64 K25 n1000"),
    (lstm_in_c, lstm, "LSTM l2 c1024"),
    (lstm_in_c, lstm, "LSTM l4 c4096"),
    (ba_in_c, ba, "BA sparse Jacobian p31843, in one batch"),
    (fft_in_c, fft, "FFT and inverse, n = 65 536"),
    (euler_in_c, brusselator, "Brusselator 64², 100 Euler steps in place"),
)

_DERIVATIVES: dict[Callable[..., Any], Callable[..., Call]] = {ba_in_c: ba_in_two_sweeps}
"""Where the derivative in C is called in another way than that in Python."""


def _rows() -> Iterator[Row]:
    try:
        find_clang()
    except BackendUnavailableError:
        return
    for build, module, title in _PROBLEMS:
        row = next(r for r in module.ROWS if r.title == title)
        in_c = f"{title.removesuffix(', in one batch')}, in C"
        plain = replace(row, title=in_c, group=Group.IN_C, peers=(), quoted=_enzyme(row))
        yield _made_with(plain, build, ())
        restricted = _made_with(plain, build, _RESTRICT)
        yield replace(restricted, title=f"{in_c} with restrict", variant_of=plain.title)


def _made_with(row: Row, build: Callable[..., Any], flags: tuple[str, ...]) -> Row:
    row = replace(row, build=partial(build, flags))
    derivative = _DERIVATIVES.get(build)
    return row if derivative is None else replace(row, derivative=partial(derivative, flags))


def _enzyme(row: Row) -> Quoted:
    return Quoted(enzyme=row.quoted.enzyme)


ROWS = tuple(_rows())
