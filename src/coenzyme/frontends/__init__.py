"""Frontends: from a user's function to a `Program` the engine can differentiate."""

from coenzyme.frontends.program import (
    ArgumentActivity,
    ArgumentLayout,
    Component,
    ComponentActivity,
    Mode,
    Program,
    ResultLayout,
    Role,
    component_activities,
)

__all__ = [
    "ArgumentActivity",
    "ArgumentLayout",
    "Component",
    "ComponentActivity",
    "Mode",
    "Program",
    "ResultLayout",
    "Role",
    "component_activities",
]
