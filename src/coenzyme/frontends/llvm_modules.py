"""Modules of LLVM, as text or bitcode of any version that can be read: verified, and fit for this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from coenzyme.codegen.c_library import substitute_runtimes
from coenzyme.codegen.symbols import is_linked
from coenzyme.errors import ParseError, UnsupportedIRError

__all__ = ["host_layout", "parse_apart", "read_module"]

_MAGIC = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")  # bitcode, and its wrapper
_MADE_BY = re.compile(r'= !\{!"[^"]*?\b(?:clang|rustc|flang|LLVM)[^"]*? version[^"0-9]*(\d+)[^"]*"\}')
_OUTDATED = re.compile(r"unsupported constant expression|constexprs? (?:is|are) no longer supported")
_DOCUMENTED = "produce it with clang -S -emit-llvm, or what your compiler has for that"


def read_module(given: str | bytes | os.PathLike[str]) -> str:
    """Return a module of LLVM as the text that our LLVM prints, verified.

    Parameters
    ----------
    given
        LLVM assembly as a string; bitcode as bytes; or the path of a file with either, whose contents tell
        which it is. A string with a line break is assembly.

    Raises
    ------
    ParseError
        Where LLVM cannot read it, with what it says and what the reason may be; or there is no such file.
    UnsupportedIRError
        Where it was made for another kind of machine than this one.

    Notes
    -----
    LLVM reads the bitcode of all earlier versions, and the assembly of most.
    """
    name, data = _contents(given)
    if isinstance(data, bytes) and data.startswith(_MAGIC):
        module = _read_bitcode(data, name)
    else:
        text = data if isinstance(data, str) else _decode(data, name)
        module = _read_assembly(text, name)
    try:
        module.verify()
    except RuntimeError as problem:
        raise ParseError(f"{name} is not valid LLVM: {problem}", remedy=_DOCUMENTED) from problem
    _check_machine(module, name)
    return substitute_runtimes(str(module), _ending(module))


def _ending(module: Any) -> list[str]:
    """Return the functions that do not return and that neither the module nor the process has."""
    return [
        function.name
        for function in module.functions
        if function.is_declaration
        and any(b"noreturn" in attributes.split() for attributes in function.attributes)
        and not is_linked(function.name)
    ]


def _contents(given: str | bytes | os.PathLike[str]) -> tuple[str, str | bytes]:
    if isinstance(given, bytes):
        return "the bitcode", given
    if isinstance(given, str) and "\n" in given:
        return "the LLVM assembly", given
    path = Path(given)
    try:
        return str(path), path.read_bytes()
    except OSError as problem:
        raise ParseError(
            f"cannot read {path}: {problem.strerror or problem}",
            remedy="pass the path of a .ll or .bc file, assembly as text, or bitcode as bytes",
        ) from problem


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        raise ParseError(f"{name} is neither bitcode nor text", remedy=_DOCUMENTED) from problem


def _read_bitcode(data: bytes, name: str) -> Any:
    try:
        return llvm.parse_bitcode(data, llvm.create_context())
    except RuntimeError as problem:
        ours = llvm.llvm_version_info[0]
        _refuse_outdated(name, problem)
        raise ParseError(
            f"LLVM cannot read {name}: {str(problem).strip()}",
            remedy=f"it may come from a newer LLVM than {ours}, which llvmlite has: compile it with "
            f"clang-{ours} or older",
        ) from problem


def _read_assembly(text: str, name: str) -> Any:
    try:
        return parse_apart(text)
    except RuntimeError as problem:
        _refuse_outdated(name, problem)
        ours = llvm.llvm_version_info[0]
        made_by = [int(found) for found in _MADE_BY.findall(text)]
        remedy = _DOCUMENTED
        if any(version > ours for version in made_by):
            remedy = (
                f"it comes from LLVM {max(made_by)}, and llvmlite has LLVM {ours}: compile it with "
                f"clang-{ours} or older, or install a newer llvmlite"
            )
        raise ParseError(f"LLVM cannot read {name}: {str(problem).strip()}", remedy=remedy) from problem


def parse_apart(text: str) -> Any:
    """Return LLVM assembly as a module of llvmlite whose named types nothing that was read before renames.

    The text of a module is what it is known by.
    """
    return llvm.parse_assembly(text, llvm.create_context())


def _refuse_outdated(name: str, problem: RuntimeError) -> None:
    if _OUTDATED.search(str(problem)):
        raise ParseError(
            f"LLVM {llvm.llvm_version_info[0]}, which llvmlite has, does not know constants any more that "
            f"{name} has: {str(problem).strip()[:500]}",
            remedy="compile it with optimisation, -O1, which settles most of them, or with a newer compiler",
        ) from problem


def host_layout() -> str:
    """Return how this machine lays out data, in LLVM's notation."""
    llvm.initialize_native_target()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
    return str(machine.target_data)


def _check_machine(module: Any, name: str) -> None:
    ours, theirs = llvm.get_process_triple(), module.triple
    if theirs and _architecture(ours) != _architecture(theirs):
        raise UnsupportedIRError(
            f"{name} is for {theirs}, and this machine is {ours}",
            remedy=f"compile it with clang --target={ours}",
        )
    here, there = _facts(host_layout()), _facts(module.data_layout)
    different = sorted(kind for kind in here.keys() & there.keys() if here[kind] != there[kind])
    if different:
        raise UnsupportedIRError(
            f"{name} lays out data in another way than this machine: "
            + ", ".join(f"{there[kind]} instead of {here[kind]}" for kind in different),
            operation=f"target datalayout = {module.data_layout!r}",
            remedy=f"compile it with clang --target={ours}",
        )


def _architecture(triple: str) -> tuple[str, str]:
    """Return the processor and the system of a triple, without versions, vendor and other decoration."""
    machine, *rest = triple.split("-")
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)
    systems = ("linux", "darwin", "macosx", "windows", "freebsd", "none", "unknown")
    system = next((s for s in systems for part in rest if part.startswith(s)), "")
    return machine, {"macosx": "darwin", "none": "", "unknown": ""}.get(system, system)


def _facts(layout: str) -> dict[str, str]:
    """Return what a data layout says of byte order, pointers, and the numbers that C code passes around."""
    found: dict[str, str] = {}
    for part in layout.split("-") if layout else ():
        if part in {"e", "E"}:
            found["order"] = part
        elif part.startswith(("p:", "i64:", "f64:", "i32:", "f32:")):
            found[part.split(":", 1)[0]] = part
    return found
