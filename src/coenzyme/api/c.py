"""Functions written in C, as functions that take NumPy arrays and can be differentiated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from coenzyme.api.llvm import bind, resolved
from coenzyme.frontends.c_wrapper import WRAPPED, by_pointers, wrapper_of
from coenzyme.frontends.clang import compile_c
from coenzyme.frontends.debug_types import DebugTypes
from coenzyme.frontends.llvm_modules import read_module
from coenzyme.frontends.native_signature import DERIVED, find_name, find_signature

__all__ = ["function"]


def function(
    source_or_path: str | os.PathLike[str],
    name: str | None = None,
    restype: Any = DERIVED,
    argtypes: Sequence[Any] | Any = DERIVED,
    flags: Sequence[str] = (),
    *,
    level: int = 2,
) -> Any:
    """Return a function written in C as a Numba function, which everything here differentiates.

    It can be called from Python and from `@njit` code; `grad`, `autodiff` and the rest take it as they take
    any other compiled function, alone or called by one.

    Parameters
    ----------
    source_or_path
        The code, or the path of a file with it. It is compiled as one file: what the function calls must be
        in it, or in a library that is loaded (libm and libc are).
    name
        The name of the function; may be left out where only one function is not ``static``.
    restype, argtypes
        The types of its result and of its parameters, where the code does not say enough (``void *``): in C
        (``"const double *"``, ``"int"``), or as types of NumPy, Numba or ctypes; None for ``void``.
    flags
        Further arguments for clang: ``-I…``, ``-D…``, ``-ffast-math``.
    level
        The level of optimisation that the code sees: at 0, ``__OPTIMIZE__`` is not defined.

    Returns
    -------
    function
        For a pointer it takes an array of exactly that type, of any number of dimensions, contiguous and
        aligned, and writable unless the pointer is to ``const``; or None, the null pointer. Pointers to
        structs take arrays of a structured dtype made with ``align=True``. Numbers are converted; integers
        that do not fit are an OverflowError. A struct by value is a tuple of the numbers in it. Parameters
        have the names that they have in C.

    Raises
    ------
    BackendUnavailableError
        Where there is no clang.
    CompilationError
        Where clang refuses the code, or its types cannot be passed from Python. The function itself raises it
        (it is a TypeError) when it is called with arguments that do not fit.
    UnsupportedIRError
        Where the code needs what cannot be linked: a function that is nowhere defined, variables of threads.

    Notes
    -----
    As always in C, nobody checks that a pointer leads to enough elements. Functions from one text, compiled
    in the same way, share the variables of the file.

    Examples
    --------
    >>> import numpy as np
    >>> import coenzyme as cz
    >>> energy = cz.c.function('''
    ...     double energy(const double *x, int n) {
    ...         double sum = 0;
    ...         for (int i = 1; i < n; i++)
    ...             sum += (x[i] - x[i - 1]) * (x[i] - x[i - 1]);
    ...         return sum;
    ...     }''')
    >>> x = np.array([0.0, 1.0, 3.0])
    >>> energy(x, 3)
    5.0
    >>> cz.grad(energy)(x, 3)
    array([-2., -2.,  4.])
    """
    text = resolved(read_module(compile_c(source_or_path, flags, level=level)))
    symbol = name = find_name(text, name)
    prototype = DebugTypes(text).prototype(name)
    prototype = None if prototype is None else by_pointers(prototype)
    if prototype is not None:
        more = wrapper_of(name, prototype)
        text = resolved(read_module(compile_c(source_or_path, flags, level=level, more=more)))
        symbol = f"{WRAPPED}{name}"
    return bind(text, symbol, name, find_signature(text, symbol, restype, argtypes, prototype))
