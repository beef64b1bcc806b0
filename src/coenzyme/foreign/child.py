"""A program of its own: compiles LLVM text just in time and runs its ``main`` with the arguments given.

It is run by its path, in a process that may crash, and imports nothing of ours: that takes time.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import llvmlite.binding as llvm


def main(path: str, level: int, arguments: list[str]) -> int:
    """Return what ``main`` of the module in the file `path` returns, code generated at `level`."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(Path(path).read_text(encoding="utf-8"))
    target = llvm.Target.from_triple(llvm.get_process_triple())
    machine = target.create_target_machine(opt=level, codemodel="jitdefault", jit=True)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    engine.run_static_constructors()
    words = [argument.encode() for argument in arguments]
    argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)(engine.get_function_address("main"))
    status = run(len(words), ctypes.addressof(argv))
    # What the program has printed and what it has registered with atexit is its business, not Python's.
    ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None).exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
