"""What programs in C++, Rust and Fortran need of their run-time libraries, to do without them.

Memory comes from C's library: ``new`` and ``delete``, and what Rust calls for its vectors. Functions that
never return, which report an index out of range or a lost exception, end the process where no library has
them, as they would in the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

__all__ = ["end_process_in_calls", "runtime_functions", "without_unused_personalities"]

_MALLOC, _FREE = "declare ptr @malloc(i64)", "declare void @free(ptr)"
_REALLOC = "declare ptr @realloc(ptr, i64)"
_ALIGNED, _ABORT = "declare ptr @aligned_alloc(i64, i64)", "declare void @abort()"
_UMAX = "declare i64 @llvm.umax.i64(i64, i64)"
_MEMSET = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"

_DEFINITION = re.compile(r"^define [^\n]*?( personality ptr @[-\w.$]+)[^\n]*\n(?:.*\n)*?^}", re.MULTILINE)
_LANDS = re.compile(
    r"^ *(?:%\S+ = )?(?:landingpad|cleanuppad|catchpad|catchswitch|invoke|resume)\b", re.MULTILINE
)

_NOT_NULL = """
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %fail, label %out

fail:
  call void @abort()
  unreachable

out:
  ret ptr %new
}
"""
_ALIGNED_NEW = """
entry:
  %least = sub i64 %alignment, 1
  %more = add i64 %size, %least
  %mask = xor i64 %least, -1
  %whole = and i64 %more, %mask
  %new = call ptr @aligned_alloc(i64 %alignment, i64 %whole)"""

Function = tuple[str, tuple[str, ...]]
"""The text of a function, and what it declares."""


def _new(name: str) -> Function:
    text = f"""
define internal ptr @{name}(i64 %size) {{
entry:
  %least = call i64 @llvm.umax.i64(i64 %size, i64 1)
  %new = call ptr @malloc(i64 %least){_NOT_NULL}"""
    return text, (_MALLOC, _ABORT, _UMAX)


def _aligned_new(name: str) -> Function:
    text = f"define internal ptr @{name}(i64 %size, i64 %alignment) {{{_ALIGNED_NEW}{_NOT_NULL}"
    return text, (_ALIGNED, _ABORT)


def _delete(parameters: str) -> Callable[[str], Function]:
    def made(name: str) -> Function:
        body = "  call void @free(ptr %old)\n  ret void\n}\n"
        return f"\ndefine internal void @{name}(ptr %old{parameters}) {{\n{body}", (_FREE,)

    return made


def _pure_virtual(name: str) -> Function:
    return f"\ndefine internal void @{name}() {{\n  call void @abort()\n  unreachable\n}}\n", (_ABORT,)


def _rust_alloc(name: str) -> Function:
    text = f"define internal ptr @{name}(i64 %size, i64 %alignment) {{{_ALIGNED_NEW}\n  ret ptr %new\n}}\n"
    return text, (_ALIGNED,)


def _rust_alloc_zeroed(name: str) -> Function:
    clear = "  call void @llvm.memset.p0.i64(ptr %new, i8 0, i64 %whole, i1 false)\n  br label %out\n"
    text = f"""
define internal ptr @{name}(i64 %size, i64 %alignment) {{{_ALIGNED_NEW}
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %out, label %clear

clear:
{clear}
out:
  ret ptr %new
}}
"""
    return text, (_ALIGNED, _MEMSET)


def _rust_realloc(name: str) -> Function:
    # C's keeps alignments up to that of the largest number; others go without their vectors.
    text = f"""
define internal ptr @{name}(ptr %old, i64 %before, i64 %alignment, i64 %size) {{
entry:
  %wide = icmp ugt i64 %alignment, 16
  br i1 %wide, label %fail, label %move

fail:
  call void @abort()
  unreachable

move:
  %new = call ptr @realloc(ptr %old, i64 %size)
  ret ptr %new
}}
"""
    return text, (_REALLOC, _ABORT)


def _nothing(name: str) -> Function:
    return f"\ndefine internal void @{name}() {{\n  ret void\n}}\n", ()


_RUST = r"(?:_R\w*\d)?_*"
_FUNCTIONS: tuple[tuple[str, Callable[[str], Function]], ...] = (
    (r"_Zn[wa]m", _new),
    (r"_Zn[wa]mSt11align_val_t", _aligned_new),
    (r"_Zd[la]Pv", _delete("")),
    (r"_Zd[la]Pvm", _delete(", i64 %size")),
    (r"_Zd[la]PvSt11align_val_t", _delete(", i64 %alignment")),
    (r"_Zd[la]PvmSt11align_val_t", _delete(", i64 %size, i64 %alignment")),
    (r"__cxa_pure_virtual", _pure_virtual),
    (rf"{_RUST}__rust_alloc", _rust_alloc),
    (rf"{_RUST}__rust_alloc_zeroed", _rust_alloc_zeroed),
    (rf"{_RUST}__rust_dealloc", _delete(", i64 %size, i64 %alignment")),
    (rf"{_RUST}__rust_realloc", _rust_realloc),
    (rf"{_RUST}__rust_no_alloc_shim_is_unstable\w*", _nothing),
)
"""Symbols as regular expressions, and what makes the function for one."""

_DECLARED = re.compile(
    rf"^declare [^@\n]*@({'|'.join(symbol for symbol, _ in _FUNCTIONS)})\([^\n]*\n", re.MULTILINE
)


def runtime_functions(text: str, name_of: Callable[[str], str]) -> dict[str, Function]:
    """Return what stands for the functions that LLVM `text` declares, by their symbols.

    Parameters
    ----------
    name_of
        Returns what the one that stands for a symbol is called.
    """
    return {
        symbol: make(name_of(symbol))
        for symbol in sorted(set(_DECLARED.findall(text)))
        for pattern, make in _FUNCTIONS
        if re.fullmatch(pattern, symbol)
    }


def end_process_in_calls(text: str, ending: Collection[str] = ()) -> str:
    r"""Return LLVM text in which calls that never return end the process.

    Parameters
    ----------
    ending
        Symbols of functions that do not return and that nobody has, beside those of C++'s library.

    Examples
    --------
    >>> text = "declare void @_ZSt17__throw_bad_allocv()\n\n  call void @_ZSt17__throw_bad_allocv() #3\n"
    >>> print(end_process_in_calls(text))
    <BLANKLINE>
      call void @abort() #3
    <BLANKLINE>
    declare void @abort()
    """
    symbols = "|".join((r"_ZSt\d+__throw_\w+", r"_ZSt9terminatev", *map(re.escape, sorted(ending))))
    call = re.compile(rf'call void (?:\([^()]*\) )?@"?(?:{symbols})"?\(.*\)(?=(?: #\d+)?(?:, !|$))', re.M)
    replaced, calls = call.subn("call void @abort()", text)
    if not calls:
        return text
    declared = re.search(r"^(?:declare|define) [^\n]*@abort\(", replaced, re.MULTILINE)
    replaced = replaced if declared else f"{replaced}\n{_ABORT}"
    return _without_unused(replaced, re.compile(rf'^declare [^@\n]*@"?({symbols})"?\([^\n]*\n', re.MULTILINE))


def without_unused_personalities(text: str) -> str:
    r"""Return LLVM text in which functions that catch nothing do not name who would help them to.

    Examples
    --------
    >>> text = "define void @f() personality ptr @__gxx_personality_v0 {\n  ret void\n}\n"
    >>> print(without_unused_personalities(text + "declare i32 @__gxx_personality_v0(...)\n"))
    define void @f() {
      ret void
    }
    <BLANKLINE>
    """
    if " personality " not in text:
        return text
    text = _DEFINITION.sub(lambda m: m[0] if _LANDS.search(m[0]) else m[0].replace(m[1], "", 1), text)
    return _without_unused(text, re.compile(r"^declare [^@\n]*@(\w+_personality\w*)\([^\n]*\n", re.MULTILINE))


def _without_unused(text: str, declaration: re.Pattern[str]) -> str:
    """Return `text` without those declarations, of functions nobody mentions."""

    def kept(match: re.Match[str]) -> str:
        symbol = re.compile(rf'@"?{re.escape(match[1])}"?(?![-\w.$])')
        return match[0] if len(symbol.findall(text)) > 1 else ""

    return declaration.sub(kept, text)
