"""What is known about operations: derivatives, effects on memory, definitions.

A rule is a row of :mod:`coenzyme.rules.table`. Forward, reverse, pattern and higher order all derive from it.
"""

from importlib import import_module
from typing import Any

from coenzyme.rules.container_text import container_definitions
from coenzyme.rules.containers import ContainerAct, ContainerRule, find_container_rule
from coenzyme.rules.effects import OUTSIDE, Effect, classify, is_inactive
from coenzyme.rules.evaluation import evaluate
from coenzyme.rules.expression import RESULT, Expression, Target, lower
from coenzyme.rules.given import GIVEN, given_texts, is_declared_inactive
from coenzyme.rules.memory import (
    Allocation,
    BlockKind,
    Deallocation,
    MemInfoData,
    MemoryRule,
    Reallocation,
    ReferenceCount,
    Transfer,
    TransferKind,
    find_memory_rule,
)
from coenzyme.rules.parsing import parse_expression
from coenzyme.rules.rule import OperandKind, Rule
from coenzyme.rules.special import definitions
from coenzyme.rules.symbols import FLOAT_TYPES, RULES, Symbol, find_call_rule, find_rule, symbol_for

__all__ = [
    "FLOAT_TYPES",
    "GIVEN",
    "OUTSIDE",
    "RESULT",
    "RULES",
    "Allocation",
    "BlockKind",
    "ContainerAct",
    "ContainerRule",
    "Deallocation",
    "Effect",
    "Expression",
    "MemInfoData",
    "MemoryRule",
    "OperandKind",
    "Reallocation",
    "ReferenceCount",
    "Rule",
    "Symbol",
    "Target",
    "Transfer",
    "TransferKind",
    "classify",
    "container_definitions",
    "definitions",
    "evaluate",
    "find_call_rule",
    "find_container_rule",
    "find_memory_rule",
    "find_rule",
    "given_texts",
    "is_declared_inactive",
    "is_inactive",
    "lower",
    "parse_expression",
    "symbol_for",
]

_FOR_USERS = {"implicit_function": "coenzyme.api.rules.implicit"}


def __getattr__(name: str) -> Any:
    # Users find their own rules under this name, ``cz.rules``, which this package has had before them.
    if name not in _FOR_USERS:
        raise AttributeError(f"module 'coenzyme.rules' has no attribute {name!r}")
    import_module("coenzyme.api.in_numba")
    return getattr(import_module(_FOR_USERS[name]), name)
