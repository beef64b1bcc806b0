"""Programs in LLVM text are run: ``main``, compiled just in time, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from coenzyme.codegen import is_linked, optimise
from coenzyme.errors import UnsupportedIRError
from coenzyme.foreign import child

__all__ = ["run_main"]

_SIGNALLED = 128
_DECLARED = re.compile(r'^ *declare [^@\n]*@"?([-\w.$]+)"?\(', re.MULTILINE)
_WITHOUT_AN_ADDRESS = frozenset({"atexit", "at_quick_exit", "stat", "lstat", "fstat", "mknod"})
"""What older C libraries link with each program by itself; LLVM knows these."""
_RUN = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
"""Runs a file whose folder is not looked for modules in."""


def run_main(text: str, level: int, arguments: Sequence[str] = (), *, name: str = "program") -> int:
    """Return the exit status of the program `text`, run with `arguments`.

    Parameters
    ----------
    text
        LLVM text that defines ``main``.
    level
        How much to optimise, 0 (not at all) to 3.
    name
        What the program is told to be called.

    Returns
    -------
    int
        What ``main`` returns or the program exits with; 128 and the number of the signal that ended it.

    Raises
    ------
    UnsupportedIRError
        Where there is no ``main``, or a function is called that is nowhere defined.
    """
    if "define " not in text or "@main(" not in text:
        raise UnsupportedIRError(
            "the module has no function main", remedy="add one, or look at the code with --emit-llvm"
        )
    if level > 0:
        text = optimise(text, level)
    _require_definitions(text)
    with tempfile.TemporaryDirectory(prefix="coenzyme-") as folder:
        path = Path(folder) / "program.ll"
        path.write_text(text, encoding="utf-8")
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        command = [sys.executable, "-c", _RUN, str(child.__file__), str(path), str(level), name, *arguments]
        status = subprocess.run(command, check=False).returncode
    return status if status >= 0 else _SIGNALLED - status


def _require_definitions(text: str) -> None:
    """Refuse a program that calls what is neither in it nor in a library: the address would be 0."""
    for name in _DECLARED.findall(text):
        if name.startswith("llvm.") or name in _WITHOUT_AN_ADDRESS or is_linked(name):
            continue
        if len(re.findall(rf'@"?{re.escape(name)}(?![-\w.$])', text)) > 1:
            raise UnsupportedIRError(
                f"the program calls {name!r}, which is nowhere defined",
                operation=name,
                remedy='compile the code of the function with it (#include "other.c")',
            )
