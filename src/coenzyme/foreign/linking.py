"""Several modules become one program, as a linker makes one of object files; nothing is optimised."""

from __future__ import annotations

import re
from collections.abc import Sequence

import llvmlite.binding as llvm

from coenzyme.codegen import verify
from coenzyme.errors import CompilationError

__all__ = ["free_to_be_optimised", "link_modules"]

_ATTRIBUTES = re.compile(r"^attributes #\d+ = \{.*\}$", re.MULTILINE)
_LEFT_ALONE = re.compile(r"\b(?:noinline|optnone) ")


def link_modules(modules: Sequence[tuple[str, str]]) -> str:
    """Return one module in the place of several.

    Parameters
    ----------
    modules
        For each the name of the file it comes from, and its text.

    Raises
    ------
    CompilationError
        Where two define the same symbol.
    """
    (_, first), *others = modules
    if not others:
        return first
    whole = verify(first)
    for name, text in others:
        module = llvm.parse_assembly(text)
        module.triple, module.data_layout = whole.triple, whole.data_layout
        try:
            whole.link_in(module)
        except RuntimeError as problem:
            raise CompilationError(
                f"{name} does not go together with the files before it: {str(problem).strip()}",
                remedy="let each function and variable be defined in one file, or be static in each",
            ) from problem
    return str(whole)


def free_to_be_optimised(text: str) -> str:
    """Return module `text` without what clang says of all functions at -O0: that they be left as they are."""
    return _ATTRIBUTES.sub(
        lambda m: _LEFT_ALONE.sub("", m.group(0)) if " optnone " in m.group(0) else m.group(0), text
    )
