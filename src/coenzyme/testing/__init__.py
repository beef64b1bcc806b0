"""Checks that users run on their own functions: `check_derivatives` compares modes with oracles."""

from coenzyme.testing.arguments import Arguments
from coenzyme.testing.checks import (
    Comparison,
    DerivativeMismatchError,
    DerivativeReport,
    check_derivatives,
)

__all__ = [
    "Arguments",
    "Comparison",
    "DerivativeMismatchError",
    "DerivativeReport",
    "check_derivatives",
]
