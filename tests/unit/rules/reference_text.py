"""Makes the LLVM text of the reference BLAS from its C source.

Run it after a change of the source: ``python -m tests.unit.rules.reference_text``.
"""

from __future__ import annotations

import hashlib
import re

import llvmlite.binding as llvm

from coenzyme.codegen import verify
from coenzyme.frontends.clang import compile_c
from coenzyme.rules.blas_reference import LETTERS, SOURCE, text_path

_FLAGS = ("-ffp-contract=off", "-fno-builtin", "-fno-math-errno", "-g0")
_LINES = re.compile(
    r"^(?:;.*|source_filename.*|target .*|attributes .*|!.*"
    r"|(?:declare|  (?:tail )?call) void @llvm\.lifetime.*)\n",
    re.MULTILINE,
)
_WORDS = re.compile(
    r", ![\w.]+ !\d+| #\d+|; preds.*| local_unnamed_addr| unnamed_addr| dso_local| noundef| signext"
    r"| captures\(none\)| nocapture| immarg| noalias"
)
_PASSES = ("sroa", "simplify_cfg", "instruction_namer")


def source_digest() -> str:
    """Return what tells one source from another."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def make_text(letter: str) -> str:
    """Return the text for ``"d"`` or ``"s"``: no attributes, no metadata, values in registers."""
    flags = (*_FLAGS, "-DSINGLE") if letter == "s" else _FLAGS
    module = verify(compile_c(SOURCE, flags))
    manager = llvm.create_new_module_pass_manager()
    for name in _PASSES:
        getattr(manager, f"add_{name}_pass")()
    machine = llvm.Target.from_default_triple().create_target_machine()
    manager.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(0)))
    text = _WORDS.sub("", _LINES.sub("", str(module)))
    text = re.sub(r"[ \t]+$", "", re.sub(r"\n{3,}", "\n\n", text), flags=re.MULTILINE)
    return f"; Made of reference.c, sha256 {source_digest()}\n\n{text.strip()}\n"


if __name__ == "__main__":
    llvm.initialize_native_target()
    for kind in LETTERS:
        text_path(kind).write_text(make_text(kind))
