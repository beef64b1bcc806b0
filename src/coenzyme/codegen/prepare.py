"""From a linked, unoptimised module to the scalar text that the engine differentiates.

What is wanted is simple code, not fast code: everything inlined, values in registers, loops in canonical form
with visible trip counts; no vectors and no copies of loop bodies, which would be differentiated one by one
and vectorised again afterwards anyway.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from coenzyme.codegen import passes
from coenzyme.codegen.c_library import substitute_library
from coenzyme.codegen.library_calls import expand_library_calls, holds_library_calls
from coenzyme.codegen.marking import mark, state_results
from coenzyme.codegen.verify import verify
from coenzyme.ir.aliases import holds_aliases, resolve_aliases
from coenzyme.ir.barriers import drop_barriers, holds_barriers
from coenzyme.ir.instructions import Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.scalarise import holds_vectors, scalarise
from coenzyme.ir.stack_arrays import holds_stack_arrays, move_stack_arrays
from coenzyme.ir.widening import holds_narrow_subscripts, widen_subscripts

__all__ = ["canonicalise_loops", "optimise", "prepare", "spell_out_types"]

_ENVIRONMENT = re.compile(r"@_ZN08NumbaEnv[-\w.$]*")
_SCOPE_CALL = re.compile(
    r"^  (?:tail )?call void @llvm\.experimental\.noalias\.scope\.decl\(.*\n", re.MULTILINE
)
_SCOPE_MARK = re.compile(r", !(?:noalias|alias\.scope) !\d+")
_NAMED = re.compile(r'^(%(?:[-\w.$]+|"[^"\n]+")) = type ([<{].*)\n', re.MULTILINE)
_NODE = re.compile(r"!(\d+)")
_NODE_LINE = re.compile(r"^!(\d+) = ")


def _inline_everything(_: str) -> bool:
    return False


def prepare(
    module: Any,
    entry: str,
    keep_out_of_line: Callable[[str], bool] = _inline_everything,
    apart: Collection[int] = (),
) -> str:
    """Return the text of `module` with `entry` simplified and what it calls inlined where that is legal.

    Parameters
    ----------
    module
        LLVM text, or a module of llvmlite (which is not changed).
    entry
        Symbol of the function to keep.
    keep_out_of_line
        Says of a symbol whether its calls must survive: functions that have derivative rules.  Functions that
        can reach themselves and functions that only raise stay out of line anyway.
    apart
        Numbers of the entry's pointer parameters that lead to memory which no other pointer leads to: arrays
        of which it is known that they do not overlap.

    Returns
    -------
    str
        Verified LLVM text: every loop in loop-simplify and LCSSA form, every value named, no vectors.  `!dbg`
        of an instruction leads to the user's file and line through its `inlinedAt` chain.

    Raises
    ------
    GeneratedIRError
        When the text is not valid LLVM, which the frontends never produce.

    Notes
    -----
    Cost: about 0.2 s for a typical array kernel, a sixth of lowering it.  Preparing twice is allowed: a
    derivative is prepared again before it is differentiated.
    """
    text = _in_scalars(substitute_library(module if isinstance(module, str) else str(module)))
    prepared = _with_wide_subscripts(verify(mark(text, entry, keep_out_of_line, apart)))
    # Simplifying before inlining makes less to inline; after each step that brings code together, simplify
    # again.
    passes.simplify_functions(prepared)
    passes.inline_marked(prepared)
    passes.simplify_functions(prepared)
    simplified = str(prepared)
    # Those that were passed to functions have become values only now.
    stated = _in_scalars(state_results(simplified))
    if stated != simplified:
        prepared = verify(stated)
    passes.prune_reference_counts(prepared)
    passes.propagate_constants(prepared)
    passes.simplify_functions(prepared)
    passes.drop_dead_globals(prepared)
    passes.canonicalise(prepared)
    prepared.verify()
    return _drop_unused_environments(_drop_alias_scopes(spell_out_types(str(prepared))))


def _with_wide_subscripts(module: Any) -> Any:
    """Return a module whose subscripts are computed in 64 bits, everything that may be inlined being so."""
    if not holds_narrow_subscripts(str(module)):
        return module
    passes.promote(module)
    passes.inline_marked(module)
    passes.promote(module)
    wide = parse_module(str(module))
    return verify(print_module(wide)) if widen_subscripts(wide) else module


def _in_scalars(text: str) -> str:
    """Return LLVM text without what languages other than Python have and differentiation need not know.

    That is vectors, functions of several results, arrays of variable length on the stack, aliases.
    """
    wanted = [change for holds, change in _CHANGES if holds(text)]
    if not wanted:
        return text
    module = parse_module(str(verify(text)))  # as the LLVM that is there prints it
    changed = [change(module) for change in wanted]
    return print_module(module) if any(changed) else text


_CHANGES: tuple[tuple[Callable[[str], bool], Callable[[Module], bool]], ...] = (
    (holds_aliases, resolve_aliases),
    (holds_barriers, drop_barriers),
    (holds_stack_arrays, move_stack_arrays),
    (holds_library_calls, expand_library_calls),
    # Last: the calls may take their numbers as vectors.
    (holds_vectors, scalarise),
)
"""Quick looks at a text for what is to be replaced, and what replaces it."""


def canonicalise_loops(text: str) -> str:
    """Return LLVM text with every loop in canonical form again, after a change of its cycles."""
    module = verify(text)
    passes.canonicalise_loops(module)
    return str(module)


def optimise(text: str, level: int = 3) -> str:
    """Return LLVM text optimised as for execution, vectorised from level 2 on: for tests and explanations."""
    module = verify(text)
    passes.optimise_module(module, level)
    return str(module)


def spell_out_types(text: str) -> str:
    """Return LLVM text with the bodies of types where their names, or numbers, stood."""
    while (found := _NAMED.search(text)) is not None:
        name, body = found.groups()
        use = re.compile(rf"{re.escape(name)}(?![-\w.$])")
        text = use.sub(lambda _, body=body: body, text[: found.start()] + text[found.end() :])
    return text


def _drop_unused_environments(text: str) -> str:
    """Remove the environment cells of functions that are gone; to LLVM, others might share them."""
    mentions = Counter(_ENVIRONMENT.findall(text))
    lines = text.split("\n")

    def unused(line: str) -> bool:
        match = _ENVIRONMENT.match(line)
        return match is not None and mentions[match.group(0)] == 1

    return "\n".join(line for line in lines if not unused(line))


def _drop_alias_scopes(text: str) -> str:
    """Remove `!noalias` scopes: true within one iteration, they are wrong about a reversed loop."""
    text = _SCOPE_MARK.sub("", _SCOPE_CALL.sub("", text))
    lines = text.split("\n")
    nodes = {m.group(1): line for line in lines if (m := _NODE_LINE.match(line))}
    pending = [n for line in lines if not _NODE_LINE.match(line) for n in _NODE.findall(line)]
    used: set[str] = set()
    while pending:
        node = pending.pop()
        if node not in used:
            used.add(node)
            pending.extend(_NODE.findall(nodes[node]))
    return "\n".join(line for line in lines if not (m := _NODE_LINE.match(line)) or m.group(1) in used)
