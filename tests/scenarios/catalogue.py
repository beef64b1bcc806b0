"""Every scenario, by name."""

from . import arrays, elementary, linear_algebra, lists, mutation, numerics, scalars, structures
from .model import Scenario

__all__ = ["SCENARIOS"]

_MODULES = (scalars, mutation, arrays, linear_algebra, numerics, structures, lists, elementary)

SCENARIOS: tuple[Scenario, ...] = tuple(scenario for module in _MODULES for scenario in module.SCENARIOS)
