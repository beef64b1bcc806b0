"""LLVM's verdict on our text."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from coenzyme.errors import GeneratedIRError

__all__ = ["verify"]


def verify(text: str, function: str | None = None) -> Any:
    """Return the module that `text` spells, parsed and verified by LLVM.

    Parameters
    ----------
    text
        LLVM assembly.
    function
        The user's function it was made from, for the error message.

    Raises
    ------
    GeneratedIRError
        With LLVM's message; the text is saved to a file that the message names.
    """
    try:
        module = llvm.parse_assembly(text)
        module.verify()
    except RuntimeError as problem:
        evidence = _save(text)
        raise GeneratedIRError(
            f"LLVM refuses the code that Coenzyme generated; it is saved in {evidence}\n{problem}",
            function=function,
            operation="verification by LLVM",
            remedy="this is a bug in Coenzyme: please report it and attach that file",
        ) from problem
    return module


def _save(text: str) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix="coenzyme-", suffix=".ll", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    return Path(file.name)
