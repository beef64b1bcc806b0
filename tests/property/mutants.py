"""The checks of a program, with derivatives that are wrong by one part in a million."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any
from unittest import mock

from coenzyme.derive import adjoints
from coenzyme.ir.builder import const_float
from coenzyme.rules import symbols
from tests.property.checks import Outcome, check
from tests.property.programs import Program

__all__ = [
    "check_with_a_rule_that_is_wrong_at_second_order",
    "check_with_a_wrong_adjoint",
    "check_with_a_wrong_lane",
    "check_with_a_wrong_rule",
    "crash",
]

_ERROR = 1e-6


def check_with_a_wrong_rule(program: Program) -> Outcome:
    """Check `program` where the sine's row of the table is wrong."""
    return _check_with(program, "sin", f"cos(x)*{1.0 + _ERROR!r}")


def check_with_a_rule_that_is_wrong_at_second_order(program: Program) -> Outcome:
    """Check `program` where the row of the cosine is wrong, which first derivatives of sines do without."""
    return _check_with(program, "cos", f"-sin(x)*{1.0 + _ERROR!r}")


def _check_with(program: Program, name: str, partial: str) -> Outcome:
    rows = dict(symbols._BY_CALLEE)
    for callee, (rule, kind) in symbols._BY_CALLEE.items():
        if rule.name == name:
            rows[callee] = replace(rule, partials=(partial,)), kind
    with mock.patch.object(symbols, "_BY_CALLEE", rows):
        return check(program)


def check_with_a_wrong_adjoint(program: Program) -> Outcome:
    """Check `program` where the reverse sweep alone applies the sine's row wrongly."""
    original = adjoints.emit_partial

    def wrong(*given: Any) -> Any:
        emitter, _, rule, *_ = given
        amount = original(*given)
        if rule.name != "sin" or amount is None:
            return amount
        return emitter.binary("fmul", amount, emitter.constant(1.0 + _ERROR))

    with mock.patch.object(adjoints, "emit_partial", wrong):
        return check(program)


def check_with_a_wrong_lane(program: Program) -> Outcome:
    """Check `program` where the second of several directions alone gets wrong adjoints."""
    original = adjoints.Adjoints.add

    def wrong(self: Any, value: Any, amount: Any, at: Any, *more: Any) -> None:
        if self.shadows.lane == 1 and amount is not None:
            amount = at.builder.fmul(amount, const_float(amount.type, 1.0 + _ERROR))
        original(self, value, amount, at, *more)

    with mock.patch.object(adjoints.Adjoints, "add", wrong):
        return check(program)


def crash(_: Program) -> Outcome:
    """Do not come back."""
    os.abort()
