"""Functions of C's library that return several numbers, as functions that return one each.

``sincos(x, &s, &c)`` becomes a sine, a cosine and two stores; a product of complex numbers that the compiler
left to its run-time library becomes arithmetic. Rules of differentiation are for functions of one result.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from coenzyme.codegen.complex_calls import COMPLEX, expand_complex
from coenzyme.codegen.real_calls import Reals, spell_type
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.instructions import Call, ExtractValue, Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.types import I32, IntType, StructType
from coenzyme.ir.values import Poison, Value

__all__ = ["expand_library_calls", "holds_library_calls", "without_run_time_library"]

_Handler: TypeAlias = Callable[[Reals, Call], Value | None]


def _modf(to: Reals, call: Call) -> Value:
    x, whole = call.arguments
    to.at.store(to.call("llvm.trunc", x), whole)
    return _fraction(to, x)


def _fraction(to: Reals, x: Value) -> Value:
    # A remainder has the sign of x where it is zero, and the slope 1 there.
    infinite = to.at.fcmp("oeq", to.call("llvm.fabs", x), to.number(float("inf")))
    nothing = to.call("llvm.copysign", to.number(0.0), x)
    return to.at.select(infinite, nothing, to.at.frem(x, to.number(1.0)))


def _sincos(to: Reals, call: Call) -> None:
    x, sine, cosine = call.arguments
    to.at.store(to.call("llvm.sin", x), sine)
    to.at.store(to.call("llvm.cos", x), cosine)


def _scalbln(to: Reals, call: Call) -> Value:
    x, n = call.arguments
    if n.type != I32:
        # Beyond these, all is zero or infinite.
        assert isinstance(n.type, IntType)
        name = f"i{n.type.width}"
        for function, bound in (("llvm.smin", 1 << 20), ("llvm.smax", -(1 << 20))):
            n = to.invoke(f"{function}.{name}", n.type, [n, const_int(n.type, bound)])
        n = to.at.cast("trunc", n, I32)
    return to.invoke(f"llvm.ldexp.{spell_type(x.type)}.i32", x.type, [x, n])


def _modf_pair(to: Reals, call: Call) -> Value:
    x = call.arguments[0]
    return _pair(to, call, _fraction(to, x), to.call("llvm.trunc", x))


def _sincos_pair(to: Reals, call: Call) -> Value:
    x = call.arguments[0]
    return _pair(to, call, to.call("llvm.sin", x), to.call("llvm.cos", x))


def _frexp_pair(to: Reals, call: Call) -> Value:
    x = call.arguments[0]
    assert isinstance(call.type, StructType)
    assert call.block is not None
    assert call.block.function is not None
    exponent = Builder(call.block.function.entry, 0).alloca(I32, name="exponent")
    to.restart(call)
    fraction = to.invoke(f"frexp{to.suffix}", x.type, [x, exponent])
    found: Value = to.at.load(I32, exponent)
    wanted = call.type.elements[1]
    assert isinstance(wanted, IntType)
    return _pair(
        to, call, fraction, to.at.cast("sext" if wanted.width > I32.width else "trunc", found, wanted)
    )


def _pair(to: Reals, call: Call, first: Value, second: Value) -> Value:
    """Return two values as the struct that `call` returns, where anybody needs it as a whole."""
    for user in [u for u in call.users if isinstance(u, ExtractValue) and len(u.indices) == 1]:
        user.replace_all_uses_with((first, second)[user.indices[0]])
        user.erase()
    whole: Value = Poison(call.type)
    if call.users:
        for index, value in enumerate((first, second)):
            whole = to.at.insert_value(whole, value, (index,))
    return whole


_WITH_SUFFIX: dict[str, tuple[_Handler, int]] = {
    "modf": (_modf, 2),
    "sincos": (_sincos, 3),
    "scalbln": (_scalbln, 2),
}
"""What to do with functions that C has in three precisions, and how many parameters they have."""

_INTRINSICS: dict[str, _Handler] = {
    "modf": _modf_pair,
    "sincos": _sincos_pair,
    "frexp": _frexp_pair,
}
_NAMES: dict[str, tuple[_Handler, int]] = {
    name + suffix: how for name, how in _WITH_SUFFIX.items() for suffix in ("", "f", "l")
}
_CALLED = re.compile(
    rf"@(?:(?:{'|'.join(map(re.escape, [*_NAMES, *COMPLEX]))})\(|llvm\.(?:{'|'.join(_INTRINSICS)})\.f)"
)
_RUN_TIME = re.compile(r"@__(?:mul|div)[sdx]c3\(")
_INTRINSIC = re.compile(rf"llvm\.({'|'.join(_INTRINSICS)})\.(?:f16|bf16|f32|f64|f80|f128)(?:\.i\d+)?\Z")


def holds_library_calls(text: str) -> bool:
    """Return whether LLVM `text` calls one of these functions.

    Examples
    --------
    >>> holds_library_calls("call double @modf(double %x, ptr %p)"), holds_library_calls("@modify(")
    (True, False)
    """
    return _CALLED.search(text) is not None


def without_run_time_library(text: str) -> str:
    """Return LLVM text with arithmetic where it called the compiler's run-time library for complex numbers.

    A process that compiles code at run time need not have that library.
    """
    if _RUN_TIME.search(text) is None:
        return text
    module = parse_module(text)
    kept: set[Function] = set()
    for call in _calls(module):
        callee = call.callee
        if isinstance(callee, Function) and callee.name.startswith("__") and not _expand(module, call):
            kept.add(callee)
    for function in [f for f in module.functions.values() if f.name in COMPLEX and f.name.startswith("__")]:
        if function.is_declaration and function not in kept:
            del module.functions[function.name]
    return print_module(module)


def expand_library_calls(module: Module) -> bool:
    """Replace the calls of these functions in `module`, and return whether there were any.

    Functions that the module defines itself are its own, whatever they are called.
    """
    return any([_expand(module, call) for call in _calls(module)])


def _calls(module: Module) -> list[Call]:
    defined = [f for f in module.functions.values() if not f.is_declaration]
    return [i for f in defined for i in f.instructions() if isinstance(i, Call)]


def _expand(module: Module, call: Call) -> bool:
    callee = call.callee
    if not isinstance(callee, Function) or not callee.is_declaration:
        return False
    if callee.name in COMPLEX:
        return expand_complex(module, call)
    intrinsic = _INTRINSIC.match(callee.name)
    if intrinsic is not None:
        handler = _INTRINSICS[intrinsic.group(1)]
    else:
        named, count = _NAMES.get(callee.name, (None, 0))
        if named is None or len(call.arguments) != count or not call.arguments[0].type.is_float:
            return False
        handler = named
    result = handler(Reals(module, call, call.arguments[0].type), call)
    if result is not None:
        call.replace_all_uses_with(result)
    call.erase()
    return True
