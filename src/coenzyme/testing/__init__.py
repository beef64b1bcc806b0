"""Checks that users run on their own functions.

`check_derivatives` compares modes with oracles; `check_rule` does so in every way that a rule may be used.
"""

from coenzyme.testing.arguments import Arguments
from coenzyme.testing.checks import (
    Comparison,
    DerivativeMismatchError,
    DerivativeReport,
    check_derivatives,
)
from coenzyme.testing.rule_checks import RuleReport, check_rule

__all__ = [
    "Arguments",
    "Comparison",
    "DerivativeMismatchError",
    "DerivativeReport",
    "RuleReport",
    "check_derivatives",
    "check_rule",
]
