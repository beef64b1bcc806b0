"""Problems of the other modules written in C: the same mathematics, with and without ``restrict``.

The adjoints by hand, and what is asked for, are those of the rows in Python. Without clang there are no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import coenzyme as cz
from benchmarks.model import Array, Group, Quoted, Row
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


def _rows() -> Iterator[Row]:
    try:
        find_clang()
    except BackendUnavailableError:
        return
    for build, module, title in _PROBLEMS:
        row = next(r for r in module.ROWS if r.title == title)
        plain = replace(row, title=f"{title}, in C", group=Group.IN_C, peers=(), quoted=_enzyme(row))
        yield replace(plain, build=partial(build, ()))
        yield replace(
            plain,
            title=f"{title}, in C with restrict",
            build=partial(build, _RESTRICT),
            variant_of=plain.title,
        )


def _enzyme(row: Row) -> Quoted:
    return Quoted(enzyme=row.quoted.enzyme)


ROWS = tuple(_rows())
