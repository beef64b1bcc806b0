"""Functions of LLVM modules, as functions that take NumPy arrays and can be differentiated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from coenzyme.foreign.enzyme import resolve_enzyme
from coenzyme.frontends.llvm_modules import read_module
from coenzyme.frontends.native import make_function
from coenzyme.frontends.native_module import isolate
from coenzyme.frontends.native_signature import DERIVED, Signature, find_name, find_signature

__all__ = ["function"]


def function(
    ir_or_bitcode: str | bytes | os.PathLike[str],
    name: str | None = None,
    restype: Any = DERIVED,
    argtypes: Sequence[Any] | Any = DERIVED,
) -> Any:
    """Return a function of an LLVM module as a Numba function, which everything here differentiates.

    Parameters
    ----------
    ir_or_bitcode
        Assembly as text, bitcode as bytes, or the path of a ``.ll`` or ``.bc`` file, from any language that
        has a compiler with LLVM. Bitcode of older versions of LLVM is upgraded.
    name
        The name of the function in the module; may be left out where only one can be seen.
    restype, argtypes
        The types of its result and of its parameters, as `coenzyme.c.function` takes them. They may be left
        out where the module has debug information, or the function takes numbers alone; integers are taken
        to have a sign then.

    Returns
    -------
    function
        As `coenzyme.c.function` returns it.

    Raises
    ------
    ParseError
        Where LLVM cannot read the module.
    CompilationError, UnsupportedIRError
        As `coenzyme.c.function` does; and where the module is for another kind of machine.

    Notes
    -----
    Code that is not optimised differentiates best: vectors and unrolled loops are harder to take apart.
    Calls of Enzyme's functions (``__enzyme_autodiff`` and so on) in the module become derivatives first.

    Examples
    --------
    >>> import coenzyme as cz
    >>> square = cz.llvm.function('''
    ...     define double @square(double %x) {
    ...       %y = fmul double %x, %x
    ...       ret double %y
    ...     }''')
    >>> square(3.0), cz.grad(square)(3.0)
    (9.0, 6.0)
    """
    text = resolved(read_module(ir_or_bitcode))
    name = find_name(text, name)
    return bind(text, name, name, find_signature(text, name, restype, argtypes))


def resolved(text: str) -> str:
    """Return a module with derivatives in the place of calls of Enzyme's functions, if there are any."""
    return resolve_enzyme(text).text if "@__enzyme_" in text else text


def bind(text: str, symbol: str, name: str, signature: Signature) -> Any:
    """Return the function `symbol` of a module as a Numba function called `name`."""
    code = isolate(text, symbol)
    return make_function(code, name, signature.result, signature.parameters, signature.describe(name))
