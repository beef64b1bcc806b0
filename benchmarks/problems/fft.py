"""A fast Fourier transform of radix two and its inverse, in place: linear, so that nothing need be kept."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numba import njit

from benchmarks.model import Array, Case, Group, Library, Peer, Quoted, Row
from benchmarks.peers import jax_gradient, torch_gradient

__all__ = ["ROWS"]


@njit
def transform(re: Array, im: Array, cosines: Array, sines: Array, sign: float) -> None:
    """Replace 2ᵖ complex numbers by their transform; sign is that of the exponent.

    Notes
    -----
    Decimation in time. Source: Cooley & Tukey, Mathematics of Computation 19 (1965).
    """
    n = re.size
    j = 0
    for i in range(1, n):
        bit = n >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j ^= bit
        if i < j:
            re[i], re[j] = re[j], re[i]
            im[i], im[j] = im[j], im[i]
    half = 1
    while half < n:
        stride = n // (2 * half)
        for start in range(0, n, 2 * half):
            for k in range(half):
                c, s = cosines[k * stride], sign * sines[k * stride]
                above, below = start + k, start + k + half
                x = c * re[below] - s * im[below]
                y = c * im[below] + s * re[below]
                re[below] = re[above] - x
                im[below] = im[above] - y
                re[above] += x
                im[above] += y
        half *= 2


def there_and_back(re: Array, im: Array, cosines: Array, sines: Array) -> None:
    """Transform in place, and back."""
    n = re.size
    transform(re, im, cosines, sines, -1.0)
    transform(re, im, cosines, sines, 1.0)
    for i in range(n):
        re[i] /= n
        im[i] /= n


@njit
def there_and_back_adjoint(
    re: Array, im: Array, cosines: Array, sines: Array, d_re: Array, d_im: Array
) -> None:
    """Take the cotangents back: the adjoint of a transform is the one with the other sign."""
    n = re.size
    for i in range(n):
        d_re[i] /= n
        d_im[i] /= n
    transform(d_re, d_im, cosines, sines, -1.0)
    transform(d_re, d_im, cosines, sines, 1.0)


def jax_library(case: Case) -> Any:
    """Return JAX's gradient of its own transform."""
    import jax.numpy as jnp

    def loss(re: Any, im: Any, _c: Any, _s: Any) -> Any:
        z = jnp.fft.ifft(jnp.fft.fft(re + 1j * im))
        return (z.real * case.seeds[0]).sum() + (z.imag * case.seeds[1]).sum()

    return jax_gradient(case, loss)


def torch_library(case: Case) -> Any:
    """Return PyTorch's gradient of its own transform."""
    import torch

    seeds = [torch.tensor(case.seeds[i]) for i in (0, 1)]

    def loss(re: Any, im: Any, _c: Any, _s: Any) -> Any:
        z = torch.fft.ifft(torch.fft.fft(torch.complex(re, im)))
        return (z.real * seeds[0]).sum() + (z.imag * seeds[1]).sum()

    return torch_gradient(case, loss)


def arguments(n: int) -> tuple[Any, ...]:
    """Return n complex numbers, with the tables of the transform."""
    rng = np.random.default_rng(4)
    angles = 2.0 * np.pi * np.arange(n // 2) / n
    return rng.standard_normal(n), rng.standard_normal(n), np.cos(angles), np.sin(angles)


ROWS = (
    Row(
        title="FFT and inverse, n = 65 536",
        group=Group.SIMULATION,
        function=there_and_back,
        arguments=partial(arguments, 65_536),
        small=partial(arguments, 16),
        active=(0, 1),
        outputs=(0, 1),
        by_hand=there_and_back_adjoint,
        hand_bytes=lambda *_: 0,
        peers=(
            Peer(Library.JAX, "library", jax_library),
            Peer(Library.TORCH, "library", torch_library),
        ),
        bar=4.0,
        quoted=Quoted(enzyme=4.9),
    ),
)
