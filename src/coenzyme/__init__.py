"""Derivatives of compiled code: Numba functions as they are, with loops, branches and in-place writes.

Names are imported when they are first used, so that ``import coenzyme`` costs nothing.

Examples
--------
>>> import coenzyme as cz
>>> cz.grad(lambda x: x * x)(3.0)
6.0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coenzyme import errors as errors
    from coenzyme.api import c as c
    from coenzyme.api import cache as cache
    from coenzyme.api import debug as debug
    from coenzyme.api import llvm as llvm
    from coenzyme.api import trees as trees
    from coenzyme.api.annotations import (
        Active,
        BatchDuplicated,
        BatchDuplicatedNoNeed,
        Const,
        DerivativeMode,
        Duplicated,
        DuplicatedNoNeed,
        Forward,
        ForwardWithPrimal,
        MixedDuplicated,
        Reverse,
        ReverseSplitNoPrimal,
        ReverseSplitWithPrimal,
        ReverseWithPrimal,
    )
    from coenzyme.api.autodiff import autodiff
    from coenzyme.api.checkpoint import checkpoint
    from coenzyme.api.explain import explain
    from coenzyme.api.ignore import ignore_derivatives
    from coenzyme.api.jacobian import jacfwd, jacobian, jacrev
    from coenzyme.api.rules.inactive import inactive
    from coenzyme.api.rules.rule import rule
    from coenzyme.api.second_order import gradient_and_hvp, hessian, hvp, hvp_into, linearize
    from coenzyme.api.split import autodiff_thunk
    from coenzyme.api.transforms import grad, jvp, value_and_grad, vjp
    from coenzyme.api.zero import make_zero, make_zero_into

__version__ = "0.1.0"

_HOMES = {
    "Active": "api.annotations",
    "BatchDuplicated": "api.annotations",
    "BatchDuplicatedNoNeed": "api.annotations",
    "Const": "api.annotations",
    "DerivativeMode": "api.annotations",
    "Duplicated": "api.annotations",
    "DuplicatedNoNeed": "api.annotations",
    "Forward": "api.annotations",
    "ForwardWithPrimal": "api.annotations",
    "MixedDuplicated": "api.annotations",
    "Reverse": "api.annotations",
    "ReverseSplitNoPrimal": "api.annotations",
    "ReverseSplitWithPrimal": "api.annotations",
    "ReverseWithPrimal": "api.annotations",
    "autodiff": "api.autodiff",
    "autodiff_thunk": "api.split",
    "checkpoint": "api.checkpoint",
    "explain": "api.explain",
    "grad": "api.transforms",
    "gradient_and_hvp": "api.second_order",
    "hessian": "api.second_order",
    "hvp": "api.second_order",
    "hvp_into": "api.second_order",
    "ignore_derivatives": "api.ignore",
    "inactive": "api.rules.inactive",
    "jacfwd": "api.jacobian",
    "jacobian": "api.jacobian",
    "jacrev": "api.jacobian",
    "jvp": "api.transforms",
    "linearize": "api.second_order",
    "make_zero": "api.zero",
    "make_zero_into": "api.zero",
    "rule": "api.rules.rule",
    "value_and_grad": "api.transforms",
    "vjp": "api.transforms",
}
_SUBMODULES = {
    "c": "api.c",
    "cache": "api.cache",
    "debug": "api.debug",
    "errors": "errors",
    "llvm": "api.llvm",
    "rules": "rules",
    "testing": "testing",
    "trees": "api.trees",
}

__all__ = [
    "Active",
    "BatchDuplicated",
    "BatchDuplicatedNoNeed",
    "Const",
    "DerivativeMode",
    "Duplicated",
    "DuplicatedNoNeed",
    "Forward",
    "ForwardWithPrimal",
    "MixedDuplicated",
    "Reverse",
    "ReverseSplitNoPrimal",
    "ReverseSplitWithPrimal",
    "ReverseWithPrimal",
    "autodiff",
    "autodiff_thunk",
    "checkpoint",
    "errors",
    "explain",
    "grad",
    "gradient_and_hvp",
    "hessian",
    "hvp",
    "hvp_into",
    "ignore_derivatives",
    "inactive",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "linearize",
    "make_zero",
    "make_zero_into",
    "rule",
    "value_and_grad",
    "vjp",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"coenzyme.{_SUBMODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module 'coenzyme' has no attribute {name!r}")
    # Numba must have its view of the public names before compiled code can mention them.
    import_module("coenzyme.api.in_numba")
    value = globals()[name] = getattr(import_module(f"coenzyme.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
