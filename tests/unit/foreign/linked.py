"""Derivatives of functions of LLVM modules as machine code, beside the module they were made from."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

import llvmlite.binding as llvm

from coenzyme.codegen import is_linked, optimise, verify
from coenzyme.foreign.derivatives import ForeignRequest, derive_foreign, share_globals

__all__ = ["Linked", "link"]


class Linked:
    """Machine code of a module and of derivatives of its functions."""

    def __init__(self, text: str, requests: Mapping[str, tuple[str, ForeignRequest]], level: int) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        text = share_globals(str(verify(text)))
        self.derived = {n: derive_foreign(text, s, request, n) for n, (s, request) in requests.items()}
        whole = verify(text)
        for derived in self.derived.values():
            whole.link_in(verify(derived.text))
        if level:
            whole = llvm.parse_assembly(optimise(str(whole), level))
        # MCJIT calls address 0 for all symbols where it does not find one.
        declared = [f.name for f in whole.functions if f.is_declaration and not f.name.startswith("llvm.")]
        missing = [name for name in declared if not is_linked(name)]
        assert not missing, missing
        machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
        self.engine = llvm.create_mcjit_compiler(whole, machine)
        self.engine.finalize_object()

    def function(self, symbol: str, result: Any, *parameters: Any) -> Callable[..., Any]:
        """Return a function of the module, or a derivative, to be called from Python."""
        address = self.engine.get_function_address(symbol)
        assert address, symbol
        return ctypes.CFUNCTYPE(result, *parameters)(address)


def link(text: str, requests: Mapping[str, tuple[str, ForeignRequest]], level: int = 2) -> Linked:
    """Return the module `text` with derivatives: for the name of each, what of, and which."""
    return Linked(text, requests, level)
