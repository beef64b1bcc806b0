"""Check the derivatives of one function in every way that a program may use them: what a rule must survive.

A rule written by hand can be wrong where derived code cannot: it may forget to save what is overwritten, not
do what the function does to its arguments, write a cotangent where it should add one, or take one direction
for all of several. Each of these is provoked here. What is compared with what, and by which tolerance, is as
in `check_derivatives`: ⟨w, J v⟩ = ⟨Jᵀ w, v⟩ and finite differences with error estimates.

Blind spots: a derivative wrong only at other points, shapes or types, or by less than the tolerance printed;
of the value, what is neither a floating-point number nor an array of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coenzyme.api.functions import name_of
from coenzyme.errors import ActivityError
from coenzyme.testing.checks import Comparison, DerivativeMismatchError, DerivativeReport, argument_names
from coenzyme.testing.harness import Harness
from coenzyme.testing.modes import MODES, ModeCheck

__all__ = ["RuleReport", "check_rule"]

_RELATIVE = 1e-8


@dataclass(frozen=True)
class RuleReport(DerivativeReport):
    """Everything that `check_rule` compared; `str(report)` is a readable table.

    Attributes
    ----------
    seed
        Of the random directions and weights: pass it to `check_rule` to repeat the check.
    missing
        What could not be checked, and why: there is no rule for it, or nothing that it could be checked on.
    """

    seed: int = 0
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.function}: {len(self.comparisons)} comparisons, {len(self.mismatches)} wrong"]
        lines[0] += f" (seed={self.seed})"
        lines += [f"  not checked: {m}" for m in self.missing]
        if self.mismatches:
            return "\n".join([*lines, *(f"  {c}" for c in self.mismatches)])
        by_check: dict[str, list[Comparison]] = {}
        for c in self.comparisons:
            by_check.setdefault(c.check, []).append(c)
        return "\n".join([*lines, *(f"  {_summary(check, found)}" for check, found in by_check.items())])


def _summary(check: str, found: Sequence[Comparison]) -> str:
    """Return one line for comparisons that have all gone well."""
    used = [abs(c.got - c.expected) / c.tolerance for c in found if c.got != c.expected and c.tolerance > 0]
    part = f"differences up to {100 * max(used, default=0.0):.1f}% of the tolerance"
    noisy = sum(not c.conclusive for c in found)
    return f"ok     {check}: {len(found)} compared, {part}" + (f", {noisy} inconclusive" if noisy else "")


def check_rule(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Iterable[int] | None = None,
    seed: int | None = None,
    widths: Sequence[int] = (1, 3),
    modes: Sequence[str] | None = None,
    relative: float = _RELATIVE,
    reference: Callable[..., Any] | None = None,
) -> RuleReport:
    """Return a report that the derivatives of `f` at `args` are right however they are asked for.

    Parameters
    ----------
    f
        The function, with a rule or without. It is called on copies of `args`.
    *args
        The point: numbers and arrays in single or double precision, real or complex, tuples of them, and
        constants.
    argnums
        The arguments to differentiate; by default every one that holds floats.
    seed
        Of the random directions; drawn, and reported, if None.
    widths
        How many directions one sweep follows.
    modes
        Which of these to check; by default all, apart from those that there is no rule for, which the report
        names:

        - ``"forward"``: tangents, against finite differences, at each of the widths;
        - ``"reverse"``: cotangents, against tangents, at each of the widths;
        - ``"split"``: the two halves of a reverse derivative, in between which all arguments and results are
          overwritten from outside, at the last of the widths;
        - ``"overwritten"``: the function in a function that overwrites all arguments after the call;
        - ``"unused"``: the function in a function that drops its value, so that nothing but what it does to
          its arguments is needed;
        - ``"constant"``: each argument in turn is a constant, so that it has no shadow.
    relative
        Relative tolerance against finite differences, beside ten times their own error estimate.
    reference
        What finite differences evaluate instead of `f`: the same mathematics, called with float64 in place of
        float32.

    Returns
    -------
    RuleReport
        Every comparison made. `report.conclusive` is False where finite differences were too noisy to judge.

    Raises
    ------
    DerivativeMismatchError
        If any comparison fails. It names the argument and the entry, the output that differs most, the
        expected number, the one found, and the estimated error.
    MissingRuleError
        If there is no rule for a mode that `modes` names, or for none at all.
    ActivityError
        If there is nothing to differentiate or to compare, a mode is unknown, or an argument is a list or
        dictionary of numbers.

    Notes
    -----
    In every mode the value, and the arrays among the arguments on exit, are compared with those of a plain
    call. Shadows are not zero on entry, so that a cotangent that is written instead of added shows.

    The derivative of `f` is compiled for each mode and width: that takes longer than everything else.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> def scale(x, a):
    ...     for i in range(x.size):
    ...         x[i] *= a
    >>> report = cz.testing.check_rule(scale, np.array([1.0, 2.0]), 3.0, seed=1, modes=("forward", "split"))
    >>> bool(report), report.conclusive
    (True, True)
    """
    asked = MODES if modes is None else tuple(modes)
    unknown = [mode for mode in asked if mode not in MODES]
    if unknown or not asked:
        raise ActivityError(
            f"there is no mode {unknown[0]!r}" if unknown else "no mode was asked for",
            function="check_rule",
            argument="modes",
            remedy=f"choose from {', '.join(MODES)}",
        )
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    chosen = (argnums,) if isinstance(argnums, int) else None if argnums is None else tuple(argnums)
    names = argument_names(f, len(args))
    harness = Harness(f, args, chosen, names, np.random.default_rng((seed, 0)))
    if not harness.arguments.visible.any():
        raise ActivityError(
            "there is nothing to differentiate",
            function=name_of(f),
            remedy="pass numbers or arrays in floating point, and their positions as argnums",
        )
    check = ModeCheck(harness, seed, tuple(widths), relative, reference)
    missing = check.run(asked, required=modes is not None)
    if not check.found:
        raise ActivityError(
            f"nothing was compared: {'; '.join(missing)}",
            function=name_of(f),
            argument="modes",
            remedy="add other modes",
        )
    report = RuleReport(name_of(f), tuple(check.found), seed, tuple(missing))
    if not report:
        worst = report.mismatches[0]
        raise DerivativeMismatchError(
            str(report),
            report=report,
            function=report.function,
            argument=worst.argument or None,
            remedy="put the rule right; where f has a kink at this point, choose another one",
        )
    return report
