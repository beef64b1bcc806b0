"""From a C file to a module whose derivatives are there: what ``coenzyme cc`` does."""

from __future__ import annotations

import os
from collections.abc import Sequence

from coenzyme.foreign.enzyme import Resolution, resolve_enzyme
from coenzyme.frontends.clang import compile_c

__all__ = ["compile_and_resolve"]

# The attributes that Enzyme's plugin adds to clang; to the compiler these are annotations.
_ATTRIBUTES = (
    '-Denzyme_inactive=annotate("enzyme_inactive")',
    '-Denzyme_inactive_noblock=annotate("enzyme_inactive_noblock")',
    '-Denzyme_function_like(name)=annotate("enzyme_function_like=" name)',
)


def compile_and_resolve(
    source_or_path: str | os.PathLike[str], flags: Sequence[str] = (), *, level: int = 2
) -> Resolution:
    """Return C code compiled, with derivatives in the place of calls of Enzyme's functions.

    Parameters
    ----------
    source_or_path
        The code, or the path of a file with it.
    flags
        Further arguments for clang.
    level
        For which optimisation, 0 to 3, code is generated; nothing is optimised here.

    Raises
    ------
    BackendUnavailableError
        Where there is no clang.
    CompilationError
        Where clang refuses the code.
    ActivityError, MissingRuleError, UnsupportedIRError
        Where a call cannot be resolved, or a function has no derivative.
    """
    return resolve_enzyme(compile_c(source_or_path, (*_ATTRIBUTES, *flags), level=level))
