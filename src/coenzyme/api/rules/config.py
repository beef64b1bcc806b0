"""What a rule is told of the place it is used at, as constants of the compiled code."""

# Numba's own annotations are partial.
# pyright: basic

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numba.core import types
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.extending import intrinsic, overload_attribute, overload_method

from coenzyme.errors import ActivityError

__all__ = ["Config", "ConfigType", "config_of"]


@dataclass(frozen=True)
class Config:
    """What the functions of a rule may ask for, where their first parameter is called ``config``.

    Attributes
    ----------
    needs_primal
        Whether the value of the function may be used. What the function writes to its arguments must be
        written in any case.
    needs_shadow
        Whether the derivative of the result is asked for.
    width
        How many directions one sweep follows. The functions of the rule are called for one of them at a time.
    names
        The names of the arguments.
    unsafe
        The names of those whose memory may be written before the reverse sweep.
    """

    needs_primal: bool
    needs_shadow: bool
    width: int
    names: tuple[str, ...]
    unsafe: frozenset[str]

    def overwritten(self, name: str) -> bool:
        """Return whether the memory of an argument may be written before the reverse sweep."""
        if name not in self.names:
            raise ActivityError(
                f"there is no argument called {name!r}", remedy=f"ask for one of {', '.join(self.names)}"
            )
        return name in self.unsafe


class ConfigType(types.Type):
    """The Numba type of a config: it has no data, all of it is in the type."""

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(name=f"coenzyme.{config}")


register_default(ConfigType)(models.OpaqueModel)


@intrinsic(prefer_literal=True)
def config_of(typing_context: Any, kind: Any) -> Any:
    """Return the config whose type is given."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return kind.instance_type(kind), generate


def _constant(value: Any) -> Any:
    return lambda config: value


@overload_attribute(ConfigType, "needs_primal")
def _needs_primal(config):
    return _constant(config.config.needs_primal)


@overload_attribute(ConfigType, "needs_shadow")
def _needs_shadow(config):
    return _constant(config.config.needs_shadow)


@overload_attribute(ConfigType, "width")
def _width(config):
    return _constant(config.config.width)


@overload_method(ConfigType, "overwritten", prefer_literal=True)
def _overwritten(config, name):  # Numba compares annotations
    if not isinstance(name, types.StringLiteral):
        return None
    found = config.config.overwritten(name.literal_value)
    return lambda config, name: found
