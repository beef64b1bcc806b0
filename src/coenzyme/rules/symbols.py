"""From LLVM's names to rows of the table, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from coenzyme.errors import MissingRuleError
from coenzyme.rules import special
from coenzyme.rules.given import GIVEN, find_given, find_given_family
from coenzyme.rules.rule import OperandKind, Rule
from coenzyme.rules.table import FUNCTIONS, INSTRUCTIONS

__all__ = ["FLOAT_TYPES", "RULES", "Symbol", "find_call_rule", "find_rule", "symbol_for"]

FLOAT_TYPES: Final = ("double", "float", "x86_fp80")
"""The types that have rules, as LLVM writes them."""

_OVERLOAD: Mapping[str, str] = {"double": "f64", "float": "f32", "x86_fp80": "f80"}
_LIBM_SUFFIX: Mapping[str, str] = {"double": "", "float": "f", "x86_fp80": "l"}
_REENTRANT = "_r"

RULES: Mapping[str, Rule] = {rule.name: rule for rule in (*INSTRUCTIONS, *FUNCTIONS)}
"""Every row, by family."""

_BY_OPCODE: Mapping[str, Rule] = {rule.name: rule for rule in INSTRUCTIONS}


@dataclass(frozen=True)
class Symbol:
    """How a family is called.

    Attributes
    ----------
    name
        LLVM's name for the function, without ``@``.
    parameter_types, return_type
        Its type, as LLVM writes it.
    defined
        Whether :func:`coenzyme.rules.definitions` has its body; it is a declaration otherwise.
    """

    name: str
    parameter_types: tuple[str, ...]
    return_type: str
    defined: bool = False


def _spell(rule: Rule, callee: str, float_type: str) -> str:
    if callee.startswith("coenzyme."):
        return special.name_of(rule.name, float_type)
    if not callee.startswith("llvm."):
        stem = callee.removesuffix(_REENTRANT)
        return stem + _LIBM_SUFFIX[float_type] + callee[len(stem) :]
    integers = [kind.value for kind in rule.kinds if kind is OperandKind.INTEGER]
    return ".".join((callee, _OVERLOAD[float_type], *integers))


_BY_CALLEE: Mapping[str, tuple[Rule, str]] = {
    _spell(rule, callee, float_type): (rule, float_type)
    for rule in FUNCTIONS
    for callee in rule.callees
    for float_type in FLOAT_TYPES
}


def find_rule(callee: str) -> tuple[Rule, str | None] | None:
    """Return the row of an operation and the type it works in, or None if there is no row.

    Parameters
    ----------
    callee
        The name of a function (``"llvm.sin.f64"``, ``"sinf"``) or the opcode of an instruction
        (``"fmul"``). An instruction works in any type: the second entry is None.

    Examples
    --------
    >>> rule, float_type = find_rule("atan2f")
    >>> rule.name, float_type
    ('atan2', 'float')

    Where C's ``long double`` is another type than ``x86_fp80``, functions with names in l work in that.
    """
    if callee in _BY_OPCODE:
        return _BY_OPCODE[callee], None
    return _BY_CALLEE.get(callee)


def find_call_rule(callee: str) -> tuple[Rule, str] | None:
    """Return the row of a function and the type it works in, or None if there is no row.

    Unlike :func:`find_rule` it does not take the name of a function for that of an instruction: C has an
    ``fmul`` of its own.
    """
    found = _BY_CALLEE.get(callee)
    if found is None and callee.startswith(GIVEN):
        given = find_given(callee)
        return None if given is None else (given.rule, given.float_type)
    return found


def symbol_for(family: str, float_type: str) -> Symbol:
    """Return how to call a family in double (``"double"``), single (``"float"``) or extended precision.

    Raises
    ------
    MissingRuleError
        If no function of that name is known.

    Examples
    --------
    >>> symbol_for("ldexp", "double")
    Symbol(name='llvm.ldexp.f64.i32', parameter_types=('double', 'i32'), return_type='double', defined=False)
    """
    rule = RULES.get(family)
    given = find_given_family(family) if rule is None else None
    if given is not None:
        return Symbol(*given)
    if float_type in FLOAT_TYPES and family in special.FAMILIES:
        types = _types(special.FAMILIES[family].kinds, float_type)
        return Symbol(special.name_of(family, float_type), types, float_type, defined=True)
    if float_type not in FLOAT_TYPES or rule is None or not rule.callees:
        raise MissingRuleError(
            "a derivative calls a function that is not known",
            operation=f"{family} ({float_type})",
            remedy="add a row to coenzyme/rules/table.py",
        )
    return Symbol(_spell(rule, rule.callees[0], float_type), _types(rule.kinds, float_type), float_type)


def _types(kinds: tuple[OperandKind, ...], float_type: str) -> tuple[str, ...]:
    return tuple(float_type if kind is OperandKind.REAL else kind.value for kind in kinds)
