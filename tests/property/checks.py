"""Checks one program: forward, reverse and finite differences must agree on its whole Jacobian matrix."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from coenzyme.errors import CoenzymeError, GeneratedIRError
from coenzyme.frontends.program import Mode, Status
from coenzyme.testing.differences import agrees, directional_difference
from tests.property.lower import RAISED
from tests.property.machine import Call, Layout, Machine, Vector
from tests.property.programs import PRELUDE, SIZE, Program, Single, python_source, uses

__all__ = ["Outcome", "Verdict", "check", "check_by_numba"]


class Verdict(Enum):
    """What came of a program."""

    PASSED = "passed"
    RAISED = "raised, as it was asked to"
    INCONCLUSIVE = "inconclusive"
    """Reverse agrees with forward; finite differences could not say."""
    SKIPPED = "skipped"
    """Not finite at its point."""
    REFUSED = "refused"
    FAILED = "failed"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Outcome:
    """A verdict, the check that came to it, and the figures."""

    verdict: Verdict
    check: str = ""
    details: str = ""

    @property
    def bad(self) -> bool:
        """Whether a test must fail."""
        return self.verdict in (Verdict.FAILED, Verdict.CRASHED)


class _Failure(Exception):
    def __init__(self, check: str, details: str = "") -> None:
        super().__init__(check)
        self.check = check
        self.details = details


def check(program: Program) -> Outcome:
    """Return what came of compiling `program` from LLVM text with its derivatives and comparing them."""
    return _check(program, Machine)


def check_by_numba(program: Program) -> Outcome:
    """Return what came of compiling `program` from Python source with its derivatives and comparing them."""
    from tests.property.numba_machine import NumbaMachine

    return _check(program, NumbaMachine)


def _check(program: Program, make: Callable[[Program], Any]) -> Outcome:
    machine = None
    layout = Layout(program)
    try:
        with np.errstate(all="ignore"):
            run_python(program, layout, layout.point)
    except (IndexError, NameError, RecursionError) as error:
        return Outcome(Verdict.SKIPPED, f"the program itself gives a {type(error).__name__}")
    try:
        machine = make(program)
        return _compare(machine)
    except GeneratedIRError as error:
        return Outcome(Verdict.FAILED, "LLVM accepts the derivative", str(error))
    except CoenzymeError as error:
        about = f" ({error.argument})" if error.argument else ""
        return Outcome(Verdict.REFUSED, f"{type(error).__name__}: {error}".split("\n")[0] + about)
    except _Failure as failure:
        return Outcome(Verdict.FAILED, failure.check, failure.details)
    except Exception as error:
        return Outcome(Verdict.FAILED, f"no {type(error).__name__} inside the engine", traceback.format_exc())
    finally:
        if machine is not None:
            machine.close()


def _compare(machine: Any) -> Outcome:
    program, x = machine.program, machine.point
    rng = np.random.default_rng(program.seed + 1)
    primal = machine.primal(x)
    if primal.status == RAISED:
        _check_errors(machine)
        return Outcome(Verdict.RAISED)
    _require_no_leak("the program", primal)
    rough = uses((program.body, program.result, program.helpers), Single)
    with np.errstate(all="ignore"):
        expected = run_python(program, machine, x, rounded=True)
        smooth = run_python(program, machine, x)
    if expected is None or not np.all(np.isfinite(expected)):
        return Outcome(Verdict.SKIPPED)
    _require_close("the program does what its Python source says", primal.outputs, expected, 1e-9)
    if rough and not np.allclose(expected, smooth, 1e-6, 1e-6):
        return Outcome(Verdict.SKIPPED, "a rounding to single precision decides")
    jacobian = _forward(machine, primal)
    if not np.all(np.isfinite(jacobian)):
        return Outcome(Verdict.SKIPPED, "the Jacobian matrix is not finite")
    for name, build in machine.builds.items():
        relative = 1e-5 if rough else 1e-9
        if build.mode is Mode.REVERSE:
            _check_reverse(machine, name, primal, jacobian, relative)
            _check_exhaustion(machine, name)
        elif name != "forward":
            _check_forward(machine, name, primal, jacobian, relative)
    if program.second:
        _check_second(machine, primal, jacobian)
    return _check_differences(machine, jacobian, rng, rough)


def _forward(machine: Any, primal: Call) -> Vector:
    """Return the Jacobian matrix, a column for each input."""
    columns: list[Vector] = []
    for i in range(machine.size):
        x_dot = np.zeros(machine.size)
        if machine.active[i]:
            x_dot[i] = 1.0
            call = machine.forward(machine.point, x_dot)
            _require_no_leak("forward", call)
            _require_same_run("forward", call, primal)
            columns.append(np.append(call.shadows[: machine.cells], call.shadows[-1]))
        else:
            columns.append(np.zeros(machine.cells + 1))
    return np.stack(columns, axis=1)


def _directions(machine: Any, name: str) -> Vector:
    """Return as many random directions as a derivative follows, a row for each of several."""
    build = machine.builds[name]
    rng = np.random.default_rng([machine.program.seed, build.width])
    taken = machine.active if build.mode is Mode.FORWARD else machine.written
    made = np.where(taken, rng.uniform(0.5, 1.5, (build.width, len(taken))), 0.0)
    return made if build.width > 1 else made[0]


def _check_forward(machine: Any, name: str, primal: Call, jacobian: Vector, relative: float) -> None:
    """Compare another forward derivative with the Jacobian matrix."""
    x_dot = _directions(machine, name)
    call = machine.forward(machine.point, x_dot, name=name)
    _require_no_leak(name, call)
    _require_same_run(name, call, primal)
    found = np.concatenate([call.shadows[..., : machine.cells], call.shadows[..., -1:]], axis=-1)
    scale = float(np.max(np.abs(x_dot) @ np.abs(jacobian.T), initial=0.0)) + 1e-3
    _require_equal(f"{name} agrees with forward", "output", found, x_dot @ jacobian.T, relative * scale)


def _check_reverse(machine: Any, name: str, primal: Call, jacobian: Vector, relative: float) -> None:
    y_bar = _directions(machine, name)
    scale = float(np.max(np.abs(y_bar) @ np.abs(jacobian), initial=0.0)) + 1e-3
    call = machine.reverse(machine.point, y_bar, name=name)
    _require_no_leak(name, call)
    if machine.builds[name].needed:
        _require_same_run(name, call, primal)
    elif call.status != primal.status:
        raise _Failure(f"{name} returns the program's status", f"{call.status}, not {primal.status}")
    if np.any(call.shadows[..., -1] != 0.0):
        raise _Failure(f"{name}: the seed of the result is taken out", repr(call.shadows[..., -1]))
    x_bar = call.shadows[..., : machine.size]
    _require_equal(f"{name} agrees with forward", "input", x_bar, y_bar @ jacobian, relative * scale)
    again = machine.reverse(machine.point, y_bar, name=name, fresh=False)
    _require_no_leak(f"{name}, called again,", again)
    if not np.array_equal(again.shadows, call.shadows):
        raise _Failure(f"{name} gives the same when called again")


def _check_errors(machine: Any) -> None:
    for name, build in machine.builds.items():
        follow = machine.forward if build.mode is Mode.FORWARD else machine.reverse
        call = follow(machine.point, _directions(machine, name), name=name)
        # Local arrays stay behind: Numba does not free those of the program either.
        if call.leaked:
            raise _Failure(
                f"{name} frees its tape where the program raises", f"{call.leaked} blocks are left"
            )
        _require_raised(name, call)
    if machine.program.second:
        direction, weights = _directions(machine, "forward"), _directions(machine, "reverse")
        _require_raised(machine.program.second, machine.second(machine.point, direction, weights))


def _require_raised(name: str, call: Call) -> None:
    if call.status != RAISED:
        raise _Failure(f"{name} raises where the program does", f"status {call.status}")


def _check_exhaustion(machine: Any, name: str) -> None:
    """Let each allocation of the tape fail in turn."""
    y_bar = _directions(machine, name)
    asked = machine.reverse(machine.point, y_bar, name=name).asked
    for number in range(min(asked, 4)):
        call = machine.reverse(machine.point, y_bar, name=name, fails=number)
        if call.leaked:
            raise _Failure(
                f"{name} frees its tape when memory is exhausted", f"{call.leaked} blocks are left"
            )
        if call.status != Status.TAPE_EXHAUSTED:
            raise _Failure(f"{name} says that memory is exhausted", f"status {call.status}")


def _check_differences(machine: Any, jacobian: Vector, rng: Any, rough: bool) -> Outcome:
    """Compare with finite differences of the compiled program, or of its Python source in double."""

    def outputs(x: Vector) -> Vector:
        if rough:
            found = run_python(machine.program, machine, x)
            return np.full(machine.cells + 1, np.nan) if found is None else found
        call = machine.primal(x)
        return call.outputs if call.status == 0 else np.full(machine.cells + 1, np.nan)

    x_dot = np.where(machine.active, rng.uniform(0.5, 1.5, machine.size), 0.0)
    slack = 1e-5 if rough else 1e-9
    conclusive = _compare_with_differences("forward", outputs, machine.point, x_dot, jacobian, slack)
    return Outcome(Verdict.PASSED if conclusive else Verdict.INCONCLUSIVE)


def _check_second(machine: Any, primal: Call, jacobian: Vector) -> None:
    """Compare a second derivative with the first ones, with its transpose and with finite differences."""
    name = machine.program.second
    y_bar = _directions(machine, "reverse")
    columns: list[Vector] = []
    expected = y_bar @ jacobian
    slack = 1e-9 * (float(np.max(np.abs(y_bar) @ np.abs(jacobian), initial=0.0)) + 1e-3)
    for x_dot in np.eye(machine.size)[machine.active]:
        call = machine.second(machine.point, x_dot, y_bar)
        _require_no_leak(name, call)
        _require_same_run(name, call, primal)
        ahead = jacobian @ x_dot
        _require_equal(f"{name} agrees with forward", "output", call.tangent, ahead, slack)
        _require_equal(f"{name} agrees with reverse", "input", call.gradient, expected, slack)
        columns.append(call.shadows)
    hessian = np.zeros((machine.size, machine.size))
    hessian[:, machine.active] = np.stack(columns, axis=1)
    if not np.all(np.isfinite(hessian)):
        raise _Failure(f"{name} is finite")
    slack = 1e-8 * (float(np.max(np.abs(hessian))) + 1e-3)
    _require_equal(f"{name} is symmetric", "inputs", hessian, hessian.T, slack)

    def gradient(x: Vector) -> Vector:
        call = machine.reverse(x, y_bar)
        return call.shadows[: machine.size] if call.status == 0 else np.full(machine.size, np.nan)

    rng = np.random.default_rng(machine.program.seed)
    x_dot = np.where(machine.active, rng.uniform(0.5, 1.5, machine.size), 0.0)
    _compare_with_differences(name, gradient, machine.point, x_dot, hessian, 1e-8)
    _check_exhaustion_of_second(machine, y_bar)


def _check_exhaustion_of_second(machine: Any, y_bar: Vector) -> None:
    name, direction = machine.program.second, np.where(machine.active, 1.0, 0.0)
    asked = machine.second(machine.point, direction, y_bar).asked
    for number in range(min(asked, 6)):
        # The derivative of a derivative abandons what that had allocated, as it does the arrays of a program.
        status = machine.second(machine.point, direction, y_bar, fails=number).status
        if status != Status.TAPE_EXHAUSTED:
            raise _Failure(f"{name} says that memory is exhausted", f"status {status}")


def _compare_with_differences(
    name: str, f: Callable[[Vector], Vector], x: Vector, x_dot: Vector, jacobian: Vector, slack: float
) -> bool:
    """Return whether finite differences of `f` could say that its Jacobian matrix is right."""
    tangent = jacobian @ x_dot
    size = np.abs(jacobian) @ np.abs(x_dot)
    # Steps of one length may all straddle the same kink: what disagrees must do so whatever the step.
    for step in (0.081, 0.0137, 0.00219, 1e-4):
        estimate, error = directional_difference(f, x, x_dot, step=step)
        error = np.where(np.isfinite(error), error, np.inf)
        estimate = np.where(np.isfinite(estimate), estimate, 0.0)
        if agrees(tangent, estimate, error + slack * (size + 1e-3)):
            return bool(np.all(10.0 * error <= 1e-4 * (np.abs(tangent) + size + 1e-2)))
    if _is_kinked(f, x, x_dot):
        return False
    wrong = ~(np.abs(tangent - estimate) <= 10.0 * error + 1e-8 * np.abs(estimate) + slack * (size + 1e-3))
    rows = [
        f"  {i}: {tangent[i]!r}, differences {estimate[i]!r} ± {error[i]:.1e}" for i in np.flatnonzero(wrong)
    ]
    raise _Failure(f"{name} agrees with finite differences", "\n".join(rows))


def _is_kinked(f: Callable[[Vector], Vector], x: Vector, x_dot: Vector) -> bool:
    """Return whether the slopes ahead and behind differ at some small step."""
    here = f(x)
    for h in (1e-4, 1e-5, 1e-6, 1e-7):
        ahead, behind = (f(x + h * x_dot) - here) / h, (here - f(x - h * x_dot)) / h
        rounding = 1e-14 * (1.0 + np.abs(here)) / h
        if not np.all(np.abs(ahead - behind) <= 1e-2 * (np.abs(ahead) + np.abs(behind)) + 1e-3 + rounding):
            return True
    return False


def _require_no_leak(name: str, call: Call) -> None:
    if call.leaked or call.held:
        details = f"{call.leaked} blocks of the tape and {call.held} arrays are left"
        raise _Failure(f"{name} frees what it allocates", details)


def _require_same_run(name: str, call: Call, primal: Call) -> None:
    if call.status != primal.status:
        raise _Failure(f"{name} returns the program's status", f"{call.status}, not {primal.status}")
    _require_close(f"{name} computes what the program does", call.outputs, primal.outputs, 1e-9)


def _require_equal(name: str, kind: str, got: Vector, expected: Vector, slack: float) -> None:
    """Compare what two derivatives say, a row for each of several directions."""
    wrong = ~(np.abs(got - expected) <= slack)
    if np.any(wrong):
        rows = [
            f"  {kind} {', '.join(map(str, place))}: {got[tuple(place)]!r}, not {expected[tuple(place)]!r}"
            for place in np.argwhere(wrong)
        ]
        raise _Failure(name, "\n".join(rows))


def _require_close(name: str, got: Vector, expected: Vector, relative: float) -> None:
    scale = 1.0 + np.abs(expected)
    wrong = ~(np.abs(got - expected) <= relative * scale)
    if np.any(wrong):
        rows = [f"  output {i}: {got[i]!r}, not {expected[i]!r}" for i in np.flatnonzero(wrong)]
        raise _Failure(name, "\n".join(rows))


def run_python(program: Program, machine: Any, x: Vector, *, rounded: bool = False) -> Vector | None:
    """Return the outputs as the interpreter computes them; None where it raises.

    Everything is double, what the program rounds to single precision too, unless `rounded`.
    """
    names: dict[str, Any] = {}
    exec(_compiled(program), names)
    if not rounded:
        names["float32"] = float
    cells = x[: machine.cells].copy()
    a, b, c = machine.arrays(cells)
    s, t = (float(v) for v in x[machine.cells :])
    try:
        result = names["program"](a, b, c, machine.table.copy(), s, t, program.n, program.m, SIZE)
    except (ValueError, OverflowError, ZeroDivisionError, FloatingPointError):
        return None
    return np.append(cells, result if math.isfinite(result) else np.nan)


def _compiled(program: Program) -> Any:
    return compile(PRELUDE + python_source(program), "program", "exec")


def evidence(program: Program) -> Iterator[str]:
    """Yield what a report shows of a program."""
    yield repr(program)
    yield python_source(program)
