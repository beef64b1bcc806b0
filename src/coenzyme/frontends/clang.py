"""From C to LLVM text: the clang that is there, and how it is asked.

What is wanted is the front end's own output, each variable a stack slot and each expression an instruction,
with what only the front end knows: types of memory (TBAA), lines, names, types of parameters. Optimising it
is the engine's affair, which knows what differentiation needs.
"""

from __future__ import annotations

import hashlib
import linecache
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import llvmlite.binding as llvm

from coenzyme.codegen.c_library import substitute_runtimes
from coenzyme.errors import BackendUnavailableError, CompilationError

__all__ = ["Clang", "compile_c", "find_clang"]

_VARIABLE = "COENZYME_CLANG"
_OLDEST = 14
"""The oldest major version that has been tried."""
_INSTALL = (
    "install clang (Debian and Ubuntu: apt install clang-19; Fedora: dnf install clang; macOS: "
    "xcode-select --install; conda: conda install -c conda-forge clang; Windows: winget install LLVM.LLVM), "
    f"or let the environment variable {_VARIABLE} name one"
)
_VERSION = re.compile(r"^(.*?)\bclang version (\d+)\.(\d+)\.(\d+)", re.MULTILINE)
_RECORD = re.compile(
    r"^ +(?:#dbg_\w+\(.*\)|(?:tail )?call void @llvm\.dbg\.\w+\(metadata .*)\n", re.MULTILINE
)
_DIALECT = "-std=gnu17"

_ALWAYS = (
    "-S",
    "-emit-llvm",
    "-o",
    "-",
    "-Xclang",
    "-disable-llvm-passes",
    "-fno-discard-value-names",
    # Lines for errors, types of parameters for who calls the function.
    "-g",
    "-fdebug-compilation-dir=.",  # the text does not depend on where it was made
    # The code is loaded anywhere in memory.
    "-fPIC",
    # What some distributions switch on for programs that are run by others.
    "-fno-stack-protector",
    "-U_FORTIFY_SOURCE",
    "-fno-asynchronous-unwind-tables",
)
_CPP = (
    # What is thrown nothing here could catch, and each call would have a second way out.
    "-fno-exceptions",
    "-fno-rtti",
)
_CPP_SUFFIXES = frozenset({".cc", ".cp", ".cpp", ".cxx", ".c++", ".C"})


@dataclass(frozen=True)
class Clang:
    """A clang that has been found.

    Attributes
    ----------
    path
        The program.
    version
        Major, minor, patch. Apple counts its own versions.
    is_apple
        Whether it is Apple's.
    """

    path: str
    version: tuple[int, int, int]
    is_apple: bool = False

    def __str__(self) -> str:
        return f"{'Apple ' if self.is_apple else ''}clang {'.'.join(map(str, self.version))} ({self.path})"


def find_clang() -> Clang:
    """Return the clang to compile C with; what was found is remembered.

    That is the one that the environment variable ``COENZYME_CLANG`` names (a path, or a name on the path),
    or ``clang``, or the newest of ``clang-20``, ``clang-19`` and so on. One newer than the LLVM of llvmlite,
    which may not be able to read what it prints, is taken only where there is no other.

    Raises
    ------
    BackendUnavailableError
        Where there is none, or the one that was named is not one; it says how to install it.
    """
    return _find_clang(os.environ.get(_VARIABLE, "").strip(), os.environ.get("PATH", ""))


@lru_cache(maxsize=16)
def _find_clang(named: str, path: str) -> Clang:
    if named:
        found = _ask(named, path)
        if found is None:
            raise BackendUnavailableError(
                f"{named!r}, which {_VARIABLE} names, is not a clang that can be run", remedy=_INSTALL
            )
        _refuse_old(found)
        return found
    newest = llvm.llvm_version_info[0]
    old = newer = None
    for found in _on_path(path):
        if not found.is_apple and found.version[0] < _OLDEST:
            old = old or found
        elif not found.is_apple and found.version[0] > newest:
            newer = newer or found
        else:
            return found
    if newer is not None:
        return newer
    if old is not None:
        _refuse_old(old)
    raise BackendUnavailableError("C code is compiled by clang, and there is none", remedy=_INSTALL)


def _on_path(path: str) -> Iterator[Clang]:
    for name in ("clang", *(f"clang-{major}" for major in range(40, _OLDEST - 1, -1))):
        found = _ask(name, path)
        if found is not None:
            yield found


def _ask(name: str, path: str) -> Clang | None:
    """Return the clang of this name or path, None if it is none."""
    program = shutil.which(name, path=path)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=60, check=False, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(done.stdout)
    if done.returncode != 0 or match is None:
        return None
    major, minor, patch = map(int, match.groups()[1:])
    return Clang(program, (major, minor, patch), "Apple" in match.group(1))


def _refuse_old(found: Clang) -> None:
    if not found.is_apple and found.version[0] < _OLDEST:
        raise BackendUnavailableError(
            f"{found} is too old: Coenzyme needs clang {_OLDEST} or newer", remedy=_INSTALL
        )


def compile_c(
    source_or_path: str | os.PathLike[str], flags: Sequence[str] = (), *, level: int = 2, more: str = ""
) -> str:
    """Return C code as LLVM text as clang's front end makes it: not optimised, and free to be.

    Parameters
    ----------
    source_or_path
        The code itself, or the path of a file with it. A string with a line break, a semicolon or a brace is
        code. Files are taken for what their suffix says, C++ included.
    flags
        Further arguments for clang, after ours: ``-I…``, ``-D…``, ``-std=…``, ``-ffast-math``. ``-O0`` stands
        for level 0.
    level
        For which optimisation, 0 to 3, code is generated. The types of memory (TBAA) are noted at every
        level; 0 differs in that ``__OPTIMIZE__`` is not defined.

    more
        C code to compile after the other, as one file with it.

    Returns
    -------
    str
        LLVM text with TBAA, and lines on instructions. C's semantics are as clang has them for a user:
        ``errno`` is set by mathematics, ``a*b + c`` may be contracted.

    Raises
    ------
    BackendUnavailableError
        Where there is no clang.
    CompilationError
        Where clang refuses the code, with what it says, or there is no such file.

    Notes
    -----
    With ``-fmath-errno``, as it is the default on Linux, calls of libm stay calls: ``sin`` is ``@sin`` with
    an effect, not an intrinsic. Derivative rules know both; flags that turn it off (``-fno-math-errno``) let
    LLVM simplify more in code that is not differentiated.

    Examples
    --------
    >>> text = compile_c("double twice(double x) { return 2*x; }")
    >>> "define double @twice(double noundef %x)" in text
    True
    """
    clang = find_clang()
    path = _as_path(source_or_path)
    if "-O0" in flags:
        # clang would leave out the types of memory, and forbid to inline.
        flags, level = [flag for flag in flags if flag != "-O0"], 0
    command = [clang.path, *_ALWAYS, f"-O{max(level, 2)}"]
    if level == 0:
        command.append("-U__OPTIMIZE__")
    code, where = more, str(path)
    if path is None:
        where = _name_of(str(source_or_path))
        code = f'#line 1 "{where}"\n{source_or_path}\n{more}'
    elif more:
        code = f'#include "{path}"\n{more}'
    if path is None or code:
        command += [_DIALECT, *flags, "-x", "c", "-"]
    else:
        ours = [_DIALECT] if path.suffix == ".c" else _CPP if path.suffix in _CPP_SUFFIXES else []
        command += [*ours, *flags, str(path)]
    done = subprocess.run(command, input=code.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise CompilationError(
            f"clang cannot compile {where}:\n{said}",
            operation=" ".join(command),
            remedy="make the code compile with this command",
        )
    # What variables are called and where they are lives in records of their own, which nothing here reads.
    text = _RECORD.sub("", done.stdout.decode(errors="replace"))
    return text if path is None or path.suffix == ".c" else substitute_runtimes(text)


def _name_of(source: str) -> str:
    """Return what stands for the file of code that comes from none, by which its lines can be shown."""
    name = f"<C source {hashlib.sha256(source.encode()).hexdigest()[:6]}>"
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    return name


def _as_path(source_or_path: str | os.PathLike[str]) -> Path | None:
    """Return the absolute path that was given, None if it was code."""
    if isinstance(source_or_path, str) and any(c in source_or_path for c in "\n;{}"):
        return None
    path = Path(source_or_path).absolute()
    if not path.is_file():
        raise CompilationError(
            f"there is no file {path}",
            remedy="pass the path of a file with C code, or the code itself",
        )
    return path
