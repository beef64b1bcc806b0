"""Checks programs in a child process, which may crash or hang without harm."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tests.property.checks import Outcome, Verdict
from tests.property.programs import Program

__all__ = ["Workshop"]

_SECONDS = 60.0
_PROGRAMS_PER_CHILD = 300
"""Machine code is not given back entirely: a child that has compiled much is replaced."""


def _serve(connection: Connection, check: Callable[[Program], Outcome]) -> None:
    while True:
        try:
            program = connection.recv()
        except EOFError:
            return
        connection.send(check(program))


class Workshop:
    """A child process that checks one program after another.

    Parameters
    ----------
    check
        A function of a module, which the child imports.
    """

    def __init__(self, check: Callable[[Program], Outcome]) -> None:
        self._check = check
        self._context = multiprocessing.get_context("spawn")
        self._child: Any = None
        self._connection: Any = None
        self._done = 0

    def check(self, program: Program) -> Outcome:
        """Return the outcome; that the child has died is one."""
        if self._child is None:
            self._connection, theirs = self._context.Pipe()
            self._child = self._context.Process(target=_serve, args=(theirs, self._check), daemon=True)
            self._child.start()
            theirs.close()
        self._connection.send(program)
        try:
            if not self._connection.poll(_SECONDS):
                self.close()
                return Outcome(Verdict.CRASHED, "ends", f"still at work after {_SECONDS:.0f} s")
            outcome = self._connection.recv()
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self._child.join()
            code = self._child.exitcode
            self.close()
            return Outcome(Verdict.CRASHED, "does not crash", f"the process ended with code {code}")
        self._done += 1
        if self._done >= _PROGRAMS_PER_CHILD:
            self.close()
        return outcome

    def close(self) -> None:
        """End the child process."""
        if self._child is not None:
            self._connection.close()
            self._child.kill()
            self._child.join()
            self._child.close()
        self._child, self._done = None, 0
