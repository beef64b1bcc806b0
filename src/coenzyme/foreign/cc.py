"""From C files to a module whose derivatives are there: what ``coenzyme cc`` does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

from coenzyme.foreign.enzyme import Resolution, resolve_enzyme
from coenzyme.foreign.linking import free_to_be_optimised, link_modules
from coenzyme.frontends.clang import compile_c
from coenzyme.frontends.llvm_modules import read_module

__all__ = ["compile_and_resolve"]

Source: TypeAlias = str | os.PathLike[str]
_MODULES = (".ll", ".bc")

# The attributes that Enzyme's plugin adds to clang; to the compiler these are annotations.
_ATTRIBUTES = (
    '-Denzyme_inactive=annotate("enzyme_inactive")',
    '-Denzyme_inactive_noblock=annotate("enzyme_inactive_noblock")',
    '-Denzyme_function_like(name)=annotate("enzyme_function_like=" name)',
)


def compile_and_resolve(
    sources: Source | Sequence[Source], flags: Sequence[str] = (), *, level: int = 2
) -> Resolution:
    """Return C code compiled, with derivatives in the place of calls of Enzyme's functions.

    Parameters
    ----------
    sources
        The code, or the path of a file with it; or several of these, which make one program. Files that end
        in ``.ll`` or ``.bc`` are modules of LLVM, not optimised.
    flags
        Further arguments for clang.
    level
        For which optimisation, 0 to 3, code is generated; nothing is optimised here.

    Raises
    ------
    BackendUnavailableError
        Where there is no clang.
    CompilationError
        Where clang refuses the code, or what several files define does not go together.
    ParseError
        Where LLVM cannot read a module.
    ActivityError, MissingRuleError, UnsupportedIRError
        Where a call cannot be resolved, or a function has no derivative.
    """
    given = [sources] if isinstance(sources, str | os.PathLike) else sources
    return resolve_enzyme(link_modules([(str(one), _read(one, flags, level)) for one in given]))


def _read(source: Source, flags: Sequence[str], level: int) -> str:
    """Return one file as LLVM text."""
    if str(source).endswith(_MODULES):
        return free_to_be_optimised(read_module(source))
    return compile_c(source, (*_ATTRIBUTES, *flags), level=level)
