"""What the tests of the frontend share: a function lowered, prepared and linked back as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb

from coenzyme.codegen import prepare
from coenzyme.frontends import ArgumentActivity, Mode, Program
from coenzyme.frontends.numba_link import link
from coenzyme.frontends.numba_lower import lower


def prepared(function: Callable[..., Any], *args: Any) -> tuple[Program, str]:
    """Return the program and the prepared text of `function` for arguments like `args`."""
    program = lower(function, tuple(nb.typeof(a) for a in args))
    return program, prepare(program.text, program.entry)


def relinked(function: Callable[..., Any], *args: Any) -> Any:
    """Return `function` after a trip through lowering, preparation and linking."""
    program, text = prepared(function, *args)
    constant = [ArgumentActivity.CONST] * len(program.arguments)
    return link(text, program.entry, program, constant, Mode.PRIMAL, "again").dispatcher
