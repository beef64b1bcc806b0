"""Compiled functions on disk: what another process needs to know of one to use it.

A function is kept as the machine code and the bitcode that Numba made of it, under a digest of all that goes
into it: the unoptimised code of the primal, what is derived from it and how, this library's own sources, the
versions of everything else, the processor and its settings. The code of a process has names and addresses in
it that mean nothing, or something else, in another one. Names are numbered anew before they go into the
digest; functions with addresses in them are not kept.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import codegen, config, types
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

from coenzyme.codegen.store import Store
from coenzyme.frontends.numba_rules import NumbaRule
from coenzyme.frontends.numba_target import compiled_rules
from coenzyme.frontends.program import Program
from coenzyme.rules import GIVEN
from coenzyme.rules.given import holds_inactive

__all__ = [
    "EntryLibrary",
    "counts",
    "digest_of",
    "is_plain_type",
    "load_compiled",
    "program_text",
    "save_compiled",
    "store",
]

_DEFAULT_MEGABYTES = 512
_PACKAGE = Path(__file__).parent.parent
_OWN = "COENZYME_CACHE"

# Names with a number in them that is counted up, an address, or a digest of what holds one.
_SERIAL = re.compile(
    r"B\d+v\d+|(?:array_expr_|at_20)0x[0-9a-f]+|\.const\.pickle(?:data|buf)\.[0-9a-f]{40}|\.bytes\.-?\d+"
    r"|coenzyme\.\w+\.\d+\."
)
_DIGEST_LINE = re.compile(r"^@\.const\.pickledata\.[0-9a-f]{40}\.sha1.*$", re.MULTILINE)
_ADDRESS = re.compile(r"inttoptr \(i64 -?\d{4,} to|numba\.dynamic\.globals|\.numba\.unresolved")
_NAMED_FUNCTION = re.compile(r"^(@numba\.dynamic\.globals\.[\w.$]+) = .*$", re.MULTILINE)
_ENVIRONMENT = re.compile(r"@(_ZN08NumbaEnv[\w.$]+)")

counts: Counter[str] = Counter()
"""How often code was found on disk (``hits``), was not found (``misses``), or is never kept (``refused``)."""


def store() -> Store | None:
    """Return where compiled code is kept, as the environment has it now; None where nowhere."""
    if os.environ.get(_OWN, "").strip().lower() in {"0", "off", "no", "false"}:
        return None
    folder = os.environ.get(f"{_OWN}_DIR")
    if not folder:
        folder = AppDirs(appname="coenzyme", appauthor=False).user_cache_dir
    try:
        megabytes = float(os.environ.get(f"{_OWN}_MB", _DEFAULT_MEGABYTES))
    except ValueError:
        megabytes = _DEFAULT_MEGABYTES
    return Store(Path(folder), int(megabytes * 2**20))


# --- keys ---------------------------------------------------------------------------------------------------


def digest_of(*parts: str) -> str:
    """Return the key of what is made from these parts by this library on this machine."""
    return hashlib.sha256("\0".join((_surroundings(), _settings(), *parts)).encode()).hexdigest()


@cache
def _surroundings() -> str:
    """Return what does not change while the process runs."""
    sources = hashlib.sha256()
    for path in sorted((*_PACKAGE.rglob("*.py"), *_PACKAGE.rglob("*.ll"))):
        sources.update(f"{path.relative_to(_PACKAGE)}\0".encode())
        sources.update(path.read_bytes())
    versions = (
        numba.__version__,
        llvmlite.__version__,
        llvm.llvm_version_info,
        np.__version__,
        platform.python_implementation(),
        platform.python_version(),
        platform.platform(),
    )
    machine = cpu_target.target_context.codegen().magic_tuple()
    return f"{sources.hexdigest()}\0{versions}\0{machine}"


def _settings() -> str:
    """Return the settings of Numba, and of this library, that may change what code is made."""
    plain = {
        name: value
        for name, value in vars(config).items()
        if name.isupper() and isinstance(value, (bool, int, float, str, type(None)))
    }
    own = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("COENZYME_") and not name.startswith(_OWN)
    }
    return repr((sorted(plain.items()), sorted(own.items())))


def program_text(program: Program, prepared: Callable[[], str]) -> str | None:
    """Return the code of a program as it is in every process; None where it holds for this one alone.

    Parameters
    ----------
    program
        The program.
    prepared
        Simplifies its code. Functions that are passed to others have addresses in the code as it was lowered,
        which nothing uses.
    """
    text = program.text
    if program.is_parallel:
        return None
    if _holds_addresses(text):
        text = prepared()
        if _holds_addresses(text):
            return None
    for symbol, (rule, _, _) in compiled_rules.items():
        functions = (rule.forward, rule.augmented, rule.reverse) if isinstance(rule, NumbaRule) else ()
        known = functions and all(
            f.__module__.startswith("coenzyme.") and f.__closure__ is None for f in functions
        )
        if not known and symbol in text:
            return None  # the code of the rule is not in that of the program
    if GIVEN in text or holds_inactive(text):
        return None
    numbers: dict[str, str] = {}
    return _SERIAL.sub(
        lambda found: numbers.setdefault(found.group(), f"<{len(numbers)}>"), _DIGEST_LINE.sub("", text)
    )


def _holds_addresses(text: str) -> bool:
    """Return whether LLVM text depends on where things are in this process.

    For each dispatcher that a function names Numba leaves a global with its address, which nothing reads.
    """
    for found in _NAMED_FUNCTION.finditer(text):
        if len(re.findall(rf"{re.escape(found.group(1))}(?![\w.$])", text)) == 1:
            text = text.replace(found.group(), "")
    return _ADDRESS.search(text) is not None


def is_plain_type(kind: types.Type) -> bool:
    """Return whether the name of a type says all about it, in every process."""
    match kind:
        case types.Array():
            return isinstance(kind.dtype, (types.Number, types.Boolean))
        case types.BaseNamedTuple():
            return False
        case types.BaseTuple():
            return all(map(is_plain_type, kind.types))
        case types.Number() | types.Boolean() | types.NoneType() | types.UnicodeType():
            return True
        case _:
            return False


# --- code ---------------------------------------------------------------------------------------------------


class EntryLibrary(codegen.JITCodeLibrary):
    """The code of a function that may be kept on disk.

    Parameters
    ----------
    code
        Numba's code generator.
    name
        The name of the function; the names of what it exports contain it.

    Notes
    -----
    Whatever else is in it cannot be seen from outside. The same name may stand for something else in the
    process that loads it.
    """

    def __init__(self, code: Any, name: str) -> None:
        super().__init__(code, name)
        self.enable_object_caching()

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and self.name not in function.name:
                function.linkage = "internal"
                # The linker of the process finds what is internal, too, where it looks for code of that name;
                # and how that is called, is changed by the optimiser.
                function.name = f"{self.name}.{function.name}"
        super()._optimize_final_module()


def save_compiled(key: str, compiled: Any) -> None:
    """Keep what Numba has compiled, an `EntryLibrary` in it, if another process can use it."""
    kept = store()
    if kept is None:
        return
    externals = _externals(compiled)
    if externals is None:
        counts["refused"] += 1
        return
    try:
        payload = dumps((externals, dumps(compiled._reduce())))
    except Exception:  # whatever a type or a constant that cannot be pickled raises
        counts["refused"] += 1
        return
    kept.save(key, payload)


def load_compiled(key: str, target_context: Any) -> Any:
    """Return what `save_compiled` has kept, ready to be called; None if there is nothing."""
    kept = store()
    payload = None if kept is None else kept.load(key)
    if payload is None:
        counts["misses"] += 1
        return None
    try:
        externals, reduced = pickle.loads(payload)
        # Code that refers to a symbol that is not there would end the process.
        if all(llvm.address_of_symbol(name) is not None for name in externals):
            compiled = CompileResult._rebuild(target_context, *pickle.loads(reduced))
            counts["hits"] += 1
            return compiled
    except Exception:  # a class or module of the process that saved it is not here, say
        counts["broken"] += 1
    counts["misses"] += 1
    return None


def _externals(compiled: Any) -> list[str] | None:
    """Return the symbols that code refers to and does not define; None where they are this process's own."""
    library = compiled.library
    if library._reload_init or library.has_dynamic_globals or compiled.lifted or compiled.objectmode:
        return None
    module = library._final_module
    text = str(module)
    if _holds_addresses(text):
        return None
    mentions = Counter(_ENVIRONMENT.findall(text))
    if any(count > 1 and library.name not in name for name, count in mentions.items()):
        return None  # an environment of another function: its name may be taken
    names = [
        symbol.name
        for symbol in (*module.functions, *module.global_variables)
        if symbol.is_declaration and not symbol.name.startswith("llvm.")
    ]
    if any(name.startswith("coenzyme") or llvm.address_of_symbol(name) is None for name in names):
        return None
    return names
