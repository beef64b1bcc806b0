"""What clang prints is read, printed and read by LLVM again without a difference."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from coenzyme.errors import ParseError
from coenzyme.frontends.clang import find_clang
from coenzyme.ir import parse_module, print_module
from tests.unit.frontends.c_code import needs_clang
from tests.unit.ir.c_sources import SOURCES

CONSTRUCTS = (
    "blockaddress(|indirectbr |callbr |invoke |landingpad |resume |switch |fence |atomicrmw |cmpxchg "
    "|asm sideeffect|module asm| alias | ifunc |comdat|section |thread_local|sret(|byval(|#dbg_declare"
    "|0xK|0xL|0xH|i128|i37|va_start|(ptr, ...)|<{ i8, double, i16 }>|insertelement|shufflevector|personality"
    "|!tbaa|llvm.loop|llvm.masked.|llvm.vector.reduce|range(i32"
)
"""What LLVM's text of the corpus must hold, between bars."""


def compiled(name: str, folder: Path, *flags: str) -> str:
    """Return the LLVM text of one of the sources, as clang prints it."""
    source = folder / (name if "." in name else f"{name}.c")
    source.write_text(SOURCES[name])
    command = [find_clang().path, *flags, "-S", "-emit-llvm", "-w", str(source), "-o", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def through_llvm(text: str) -> str:
    module = llvm.parse_assembly(text, llvm.create_context())
    module.verify()
    return str(module)


def essence(text: str) -> list[str]:
    """Return the lines of LLVM's `text` but what reading drops: comments, debug records, numbers."""
    found: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith((";", "#dbg_", "!")) or re.match(r"b?\d+:", line):
            continue
        kept = re.sub(r"\s*; (preds = |No predecessors).*", "", line)
        kept = re.sub(r'(@llvm\.assume\(i1 true\)) \[ "align".*?\]', r"\1", kept)
        found.append(re.sub(r"!\d+", "!#", re.sub(r"%[vb]?\d+\b", "%#", kept)))
    return [line for line in found if line.strip()]


@needs_clang
@pytest.mark.parametrize("flags", [("-O0", "-g"), ("-O2",)], ids=["unoptimised", "optimised"])
@pytest.mark.parametrize("name", SOURCES)
def test_c_survives_reading_and_printing(name: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    text = compiled(name, tmp_path, *flags)
    as_llvm_prints = through_llvm(text)
    expected = essence(as_llvm_prints)
    assert len(expected) > 40
    for given in (text, as_llvm_prints):  # clang's own LLVM may be older than the installed one
        once = print_module(parse_module(given))
        assert essence(through_llvm(once)) == expected
        assert print_module(parse_module(once)) == once


@needs_clang
def test_the_corpus_provokes_what_it_is_for(tmp_path: Path) -> None:
    unoptimised = "".join(compiled(name, tmp_path, "-O0", "-g") for name in SOURCES)
    optimised = "".join(compiled(name, tmp_path, "-O2") for name in SOURCES)
    missing = [c for c in CONSTRUCTS.split("|") if c not in unoptimised + optimised]
    assert not missing


def test_variadic_arguments_are_printed_as_they_were_read() -> None:
    text = """
define double @f(ptr %list) {
entry:
  %a = va_arg ptr %list, double
  %b = va_arg ptr %list, { i64, ptr }
  ret double %a
}
"""
    printed = print_module(parse_module(text))
    assert "%a = va_arg ptr %list, double" in printed
    assert essence(through_llvm(printed)) == essence(through_llvm(text))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("%a = catchswitch within none [label %b] unwind to caller", "catchswitch"),
        ('%a = alloca target("spirv.Image", void)', "target"),
        ("indirectbr ptr %p, [label b]", "expected"),
        ("%a = landingpad catch ptr null", "expected a type"),
        ("store ptr blockaddress(@f, entry), ptr %p", "expected the name of a block"),
    ],
)
def test_what_is_not_understood_is_shown_with_a_caret(line: str, shown: str) -> None:
    with pytest.raises(ParseError) as refusal:
        parse_module(f"define void @f(ptr %p) {{\nentry:\n  {line}\n  ret void\n}}\n")
    assert shown in str(refusal.value)
    assert "line 3" in str(refusal.value)
    assert re.search(r"^ +\^$", str(refusal.value), re.MULTILINE)
