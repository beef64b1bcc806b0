"""ADBench's Gaussian mixture: gradient with respect to weights, means and inverse covariance factors."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from benchmarks.model import Array, Group, Library, Peer, Quoted, Row
from benchmarks.peers import autograd_gradient, jax_gradient, torch_gradient
from coenzyme.problems.gmm import GmmData, gmm, load_gmm

__all__ = ["ROWS", "gmm_adjoint", "random_gmm"]


@njit
def gmm_adjoint(
    alphas: Array,
    means: Array,
    icf: Array,
    x: Array,
    gamma: float,
    m: int,
    d_alphas: Array,
    d_means: Array,
    d_icf: Array,
) -> None:
    """Add the gradients of `gmm` by alphas, means and icf to the shadows.

    Notes
    -----
    One pass over the points: the responsibilities that weigh a point's adjoint are known as soon as its own
    terms are, so nothing outlives the iteration.
    """
    n, d = x.shape
    components = alphas.size
    entries = icf.shape[1]
    q_diagonal = np.empty((components, d))
    log_determinant = np.zeros(components)
    for k in range(components):
        for j in range(d):
            log_determinant[k] += icf[k, j]
            q_diagonal[k, j] = math.exp(icf[k, j])

    centred = np.empty((components, d))
    scaled = np.empty((components, d))
    terms = np.empty(components)
    for i in range(n):
        largest = -math.inf
        for k in range(components):
            for j in range(d):
                centred[k, j] = x[i, j] - means[k, j]
                scaled[k, j] = q_diagonal[k, j] * centred[k, j]
            entry = d
            for column in range(d):
                for row in range(column + 1, d):
                    scaled[k, row] += icf[k, entry] * centred[k, column]
                    entry += 1
            distance = 0.0
            for j in range(d):
                distance += scaled[k, j] * scaled[k, j]
            terms[k] = alphas[k] + log_determinant[k] - 0.5 * distance
            largest = max(largest, terms[k])
        weight = 0.0
        for k in range(components):
            terms[k] = math.exp(terms[k] - largest)
            weight += terms[k]
        for k in range(components):
            responsibility = terms[k] / weight
            d_alphas[k] += responsibility
            entry = d
            for column in range(d):
                scaled_bar = -responsibility * scaled[k, column]
                centred_bar = scaled_bar * q_diagonal[k, column]
                d_icf[k, column] += responsibility + centred_bar * centred[k, column]
                for row in range(column + 1, d):
                    row_bar = -responsibility * scaled[k, row]
                    d_icf[k, entry] += row_bar * centred[k, column]
                    centred_bar += row_bar * icf[k, entry]
                    entry += 1
                d_means[k, column] -= centred_bar

    largest = alphas.max()
    weight = 0.0
    for k in range(components):
        weight += math.exp(alphas[k] - largest)
    for k in range(components):
        d_alphas[k] -= n * math.exp(alphas[k] - largest) / weight
        for j in range(d):
            d_icf[k, j] += gamma * gamma * q_diagonal[k, j] * q_diagonal[k, j] - m
        for j in range(d, entries):
            d_icf[k, j] += gamma * gamma * icf[k, j]


# --- other packages ----------------------------------------------------------------------------------------


def lower_entries(d: int) -> tuple[Array, Array]:
    """Return the rows and columns of the entries below the diagonal, by columns."""
    columns, rows = np.triu_indices(d, 1)
    return rows, columns


def jax_parts(icf: Any, d: int) -> tuple[Any, Any]:
    """Return the triangular factors, (K, d, d), and the prior's sum of squares."""
    import jax.numpy as jnp

    diagonal = jnp.exp(icf[:, :d])
    rows, columns = lower_entries(d)
    factors = jnp.zeros((icf.shape[0], d, d)).at[:, rows, columns].set(icf[:, d:])
    factors = factors.at[:, np.arange(d), np.arange(d)].set(diagonal)
    return factors, (diagonal**2).sum() + (icf[:, d:] ** 2).sum()


def jax_scan(alphas: Any, means: Any, icf: Any, x: Any, gamma: float, m: int) -> Any:
    """Return the posterior, less constants: point by point."""
    import jax
    import jax.numpy as jnp

    n, d = x.shape
    factors, squares = jax_parts(icf, d)
    determinants = icf[:, :d].sum(1)

    def add(total: Any, point: Any) -> Any:
        scaled = jnp.einsum("kij,kj->ki", factors, point - means)
        terms = alphas + determinants - 0.5 * (scaled**2).sum(1)
        return total + jax.nn.logsumexp(terms), None

    total, _ = jax.lax.scan(add, 0.0, x)
    prior = 0.5 * gamma**2 * squares - m * determinants.sum()
    return total - n * jax.nn.logsumexp(alphas) + prior


def jax_components(alphas: Any, means: Any, icf: Any, x: Any, gamma: float, m: int) -> Any:
    """Return the posterior, less constants: component by component, all points at once."""
    import jax

    n, d = x.shape
    factors, squares = jax_parts(icf, d)
    determinants = icf[:, :d].sum(1)

    def terms_of(parameters: Any) -> Any:
        alpha, mean, factor, determinant = parameters
        return alpha + determinant - 0.5 * (((x - mean) @ factor.T) ** 2).sum(1)

    terms = jax.lax.map(terms_of, (alphas, means, factors, determinants))
    total = jax.nn.logsumexp(terms, axis=0).sum()
    prior = 0.5 * gamma**2 * squares - m * determinants.sum()
    return total - n * jax.nn.logsumexp(alphas) + prior


def torch_whole(alphas: Any, means: Any, icf: Any, x: Any, gamma: float, m: int) -> Any:
    """Return the posterior, less constants: all at once."""
    import torch

    n, d = x.shape
    diagonal = torch.exp(icf[:, :d])
    factors = torch.diag_embed(diagonal)
    rows, columns = lower_entries(d)
    factors[:, rows, columns] = icf[:, d:]
    determinants = icf[:, :d].sum(1)
    scaled = torch.matmul(x - means[:, None], factors.transpose(1, 2))
    terms = (alphas + determinants)[:, None] - 0.5 * (scaled**2).sum(2)
    squares = (diagonal**2).sum() + (icf[:, d:] ** 2).sum()
    prior = 0.5 * gamma**2 * squares - m * determinants.sum()
    return torch.logsumexp(terms, 0).sum() - n * torch.logsumexp(alphas, 0) + prior


def autograd_whole(alphas: Any, means: Any, icf: Any, x: Any, gamma: float, m: int) -> Any:
    """Return the posterior, less constants: all at once."""
    import autograd.numpy as anp
    from autograd.scipy.special import logsumexp

    n, d = x.shape
    rows, columns = lower_entries(d)
    place = np.zeros((d * (d + 1) // 2, d * d))
    place[np.arange(d), np.arange(d) * (d + 1)] = 1.0
    place[np.arange(d, len(place)), rows * d + columns] = 1.0
    diagonal = anp.exp(icf[:, :d])
    factors = anp.dot(anp.concatenate((diagonal, icf[:, d:]), 1), place).reshape(-1, d, d)
    determinants = anp.sum(icf[:, :d], 1)
    scaled = anp.matmul(x - means[:, None], anp.transpose(factors, (0, 2, 1)))
    terms = (alphas + determinants)[:, None] - 0.5 * anp.sum(scaled**2, 2)
    squares = anp.sum(diagonal**2) + anp.sum(icf[:, d:] ** 2)
    prior = 0.5 * gamma**2 * squares - m * anp.sum(determinants)
    return anp.sum(logsumexp(terms, 0)) - n * logsumexp(alphas) + prior


JAX = (
    Peer(Library.JAX, "scan", lambda case: jax_gradient(case, jax_scan)),
    Peer(Library.JAX, "map", lambda case: jax_gradient(case, jax_components)),
)
OTHERS = (
    Peer(Library.TORCH, "whole", lambda case: torch_gradient(case, torch_whole)),
    Peer(Library.AUTOGRAD, "whole", lambda case: autograd_gradient(case, autograd_whole)),
)

# --- data --------------------------------------------------------------------------------------------------


def random_gmm(d: int, components: int, n: int) -> GmmData:
    """Return data as ADBench makes it: all numbers normal, except for means between 0 and 1."""
    rng = np.random.default_rng(1)
    alphas = rng.standard_normal(components)
    means = rng.random((components, d))
    icf = rng.standard_normal((components, d * (d + 1) // 2))
    return GmmData(alphas, means, icf, rng.standard_normal((n, d)), 1.0, 0)


def few_points() -> GmmData:
    """Return small data, with a prior whose every term counts."""
    return random_gmm(3, 4, 5)._replace(gamma=1.4, m=3)


def slices_of_one_vector(data: GmmData) -> GmmData:
    """Return the data with all parameters in one vector, as optimisers have them."""
    parameters = data[:3]
    vector = np.concatenate([x.ravel() for x in parameters])
    pieces = np.split(vector, np.cumsum([x.size for x in parameters])[:-1])
    alphas, means, icf = (p.reshape(x.shape) for p, x in zip(pieces, parameters, strict=True))
    return data._replace(alphas=alphas, means=means, icf=icf)


def columns_of_one_table(data: GmmData) -> GmmData:
    """Return the data with a row of one table for each component: views whose extents meet."""
    table = np.concatenate((data.alphas[:, None], data.means, data.icf), axis=1)
    d = data.means.shape[1]
    return data._replace(alphas=table[:, 0], means=table[:, 1 : d + 1], icf=table[:, d + 1 :])


def by_columns(data: GmmData) -> GmmData:
    """Return the data in Fortran's order."""
    means, icf, x = (np.asfortranarray(part) for part in (data.means, data.icf, data.x))
    return data._replace(means=means, icf=icf, x=x)


# --- rows --------------------------------------------------------------------------------------------------

BASE = Row(
    title="GMM d10 K25 n1000",
    group=Group.ADBENCH,
    function=gmm,
    arguments=load_gmm,
    small=few_points,
    active=(0, 1, 2),
    by_hand=gmm_adjoint,
    hand_bytes=lambda *_: 0,
    peers=JAX + OTHERS,
    bar=2.0,
    quoted=Quoted(hand=1.74, enzyme=2.0, peer="JAX scan 0.83"),
)


def of_size(title: str, d: int, components: int, n: int, **changes: Any) -> Row:
    """Return the row at another size."""
    return replace(BASE, title=title, arguments=partial(random_gmm, d, components, n), **changes)


def laid_out(name: str, lay_out: Any) -> Row:
    """Return the row with its arguments laid out in memory in another way."""
    return replace(
        BASE,
        title=f"GMM d10 K25 n1000, {name}",
        group=Group.LAYOUTS,
        arguments=lambda: lay_out(load_gmm()),
        small=lambda: lay_out(few_points()),
        peers=(),
        bar=None,
        variant_of=BASE.title,
        quoted=Quoted(),
    )


ROWS = (
    of_size("GMM d2 K5 n1000", 2, 5, 1000, quoted=Quoted()),
    BASE,
    of_size(
        "GMM d10 K25 n10k",
        10,
        25,
        10_000,
        quoted=Quoted(hand=1.75, enzyme=2.8, peer="JAX scan 0.82"),
        peers=JAX,
    ),
    of_size("GMM d64 K25 n1000", 64, 25, 1000, bar=2.8, quoted=Quoted(enzyme=2.8), peers=(*JAX, OTHERS[0])),
    of_size("GMM d10 K200 n10k", 10, 200, 10_000, quoted=Quoted(), peers=JAX),
    laid_out("slices of one vector", slices_of_one_vector),
    laid_out("columns of one table", columns_of_one_table),
    laid_out("Fortran order", by_columns),
)
