"""Derivatives of small Numba functions, made by all passes or by some, with their plans and their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from coenzyme import engine
from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.derive.plan import ReversePlan
from coenzyme.frontends.program import ArgumentActivity, Mode

__all__ = ["agree", "gradients", "made", "plan_of"]


def made(
    f: Callable[..., Any],
    *args: Any,
    passes: frozenset[Pass] = ALL_PASSES,
    unneeded: frozenset[int] = frozenset(),
    result_needed: bool = True,
    disjoint: bool = True,
) -> engine.Derivative:
    """Return the reverse derivative by all arrays among `args`, not compiled yet."""
    kinds = tuple(map(nb.typeof, args))
    activities = tuple(
        ArgumentActivity.DUPLICATED if isinstance(a, np.ndarray) else ArgumentActivity.CONST for a in args
    )
    options = engine.Options(
        passes=passes, unneeded=unneeded, result_needed=result_needed, arguments_disjoint=disjoint
    )
    returns = isinstance(engine.primal(f, kinds), nb.types.Float)
    return engine.derivative(f, kinds, activities, Mode.REVERSE, returns, options)


def plan_of(f: Callable[..., Any], *args: Any, **options: Any) -> ReversePlan:
    """Return the plan of the derivative that `made` returns."""
    plan = made(f, *args, **options).plan
    assert plan is not None
    return plan


def gradients(f: Callable[..., Any], *args: Any, **options: Any) -> list[NDArray[Any]]:
    """Return shadows after a call whose arrays all have other cotangents, then the arrays it leaves."""
    derivative = made(f, *args, **options)
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    arrays = [a for a in copies if isinstance(a, np.ndarray)]
    rng = np.random.default_rng(0)
    shadows = [rng.uniform(0.5, 1.5, a.shape).astype(a.dtype) for a in arrays]
    seeds = () if isinstance(derivative.restype, nb.types.NoneType) else (1.0,)
    value, _ = derivative.dispatcher(*copies, *shadows, *seeds)
    spared = options.get("unneeded", ())
    left = [a for n, a in enumerate(copies) if isinstance(a, np.ndarray) and n not in spared]
    result = [] if value is None or not options.get("result_needed", True) else [np.array(value)]
    return [*shadows, *left, *result]


def agree(f: Callable[..., Any], *args: Any, **options: Any) -> None:
    """Compare the derivative by all passes with the plain one, and what both leave in the arguments."""
    quick = gradients(f, *args, **options)
    plain = gradients(f, *args, **{**options, "passes": NO_PASSES})
    for a, b in zip(quick, plain, strict=True):
        assert np.isfinite(b).all()
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
