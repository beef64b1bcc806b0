"""What LLVM must be told before it may simplify: who is internal, what to inline, what run-time functions do.

llvmlite has no interface to string attributes or to the attributes of declarations, so the marks are written
into the text.  A line that starts with `define` or `declare` is all that is read; bodies are only scanned for
the names they mention.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

__all__ = ["find_recursive", "mark", "state_results"]

_SYMBOL = r'@(?:"([^"]+)"|([-\w.$]+))'
_MENTION = re.compile(_SYMBOL)
_DEFINITION = re.compile(r"^define [^@\n]*" + _SYMBOL + r"\(", re.MULTILINE)
_DECLARATION = re.compile(r"^declare ([^@\n]*)" + _SYMBOL + r"(\([^\n]*)$", re.MULTILINE)
_LINKAGE = re.compile(
    r"^define (?:(?:linkonce_odr|linkonce|internal|private|external|weak_odr|weak|available_externally"
    r"|hidden|protected|default|dso_local|dso_preemptable) )*"
)
_CELL = re.compile(r'^@"?\.numba\.unresolved\$([^"\s]+)"? = external global ptr.*$', re.MULTILINE)
_CELL_PREFIX = ".numba.unresolved$"
_TAIL = re.compile(
    r"(?: (?:section|partition|gc) \"[^\"]*\"| comdat(?:\([^)]*\))?| align \d+"
    r"| (?:prefix|prologue|personality) .*?| ![\w.]+ !\d+)*\s*\{$"
)
_COMDAT = re.compile(r" comdat(?:\([^)]*\))?")  # of which one copy is kept: there is one
_KEPT_ATTRIBUTES = re.compile(r"\b(?:noinline|optnone|alwaysinline)\b ?")

# Functions that build an exception and nothing else: inlined, they are most of an array kernel's blocks.
_RAISES = re.compile(r"ol_raise_with_shape_context|__excinfo_unwrap_args")

_RETURN = re.compile(r"^  ret i32 ([^\s,]+)", re.MULTILINE)

_ALLOCATES = "nounwind willreturn memory(inaccessiblemem: readwrite)"
_READS = "nounwind willreturn memory(read)"
_PURE = "nounwind willreturn memory(none)"
_MATHEMATICS = (
    "sqrt|cbrt|exp|exp2|exp10|expm1|log|log2|log10|log1p|pow|hypot|fmod|remainder|copysign|nextafter"
    "|sin|cos|tan|asin|acos|atan|atan2|sinh|cosh|tanh|asinh|acosh|atanh|erf|erfc|tgamma|lgamma"
    "|floor|ceil|trunc|round|rint|nearbyint|fabs|fmin|fmax|fma"
)

# Facts about run-time functions that LLVM cannot see: pattern of the name, attributes of the function.
_FACTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), attributes)
    for pattern, attributes in (
        # A reference count is read by nothing but the run-time system itself.
        (r"NRT_incref", _ALLOCATES),
        (r"NRT_decref", "nounwind"),
        (r"NRT_MemInfo_data_fast", "nounwind willreturn memory(argmem: read)"),
        (r"NRT_MemInfo_alloc\w*|NRT_Allocate\w*", _ALLOCATES),
        (r"coenzyme\.(?:list|dict)\.(?:items|entries|size|capacity|mutable|find|next|last|hash)", _READS),
        (r"coenzyme\.(?:list|dict)\.new", _ALLOCATES),
        (
            r"numba_xx[\w.$]+|numba_ez_\w+|numba_x\w+",
            "nounwind willreturn memory(argmem: readwrite, inaccessiblemem: readwrite)",
        ),
        (r"numba_attempt_nocopy_reshape", "nounwind willreturn memory(argmem: readwrite)"),
        (r"coenzyme\.constant\.f(?:32|64)", _PURE),
        # errno is not read by Numba's code.
        (rf"(?:{_MATHEMATICS})[fl]?|numba_gammaf?|numba_lgammaf?|numba_fixed_fmodf?", _PURE),
    )
)
_FRESH = re.compile(r"NRT_MemInfo_alloc\w*|NRT_Allocate\w*|coenzyme\.(?:list|dict)\.new")


def mark(text: str, entry: str, keep_out_of_line: Callable[[str], bool], apart: Collection[int] = ()) -> str:
    """Return `text` with linkage, inlining and run-time facts written into it.

    Parameters
    ----------
    text
        A linked module.
    entry
        Symbol of the one function that stays visible.
    keep_out_of_line
        Says of a symbol whether it must survive as a call.
    apart
        Numbers of the entry's pointer parameters that lead to memory which no other pointer leads to.
    """
    text = _resolve_cells(text)
    recursive = find_recursive(text)

    def out_of_line(name: str) -> bool:
        return name in recursive or _RAISES.search(name) is not None or keep_out_of_line(name)

    lines = text.split("\n")
    for index, line in enumerate(lines):
        if line.startswith("define "):
            lines[index] = _mark_definition(line, entry, out_of_line, apart)
        elif line.startswith("declare "):
            lines[index] = _DECLARATION.sub(_annotate, line)
        elif line.startswith("attributes #"):
            lines[index] = _mark_group(line)
    return "\n".join(lines)


def state_results(text: str) -> str:
    """Return `text` with what each function that only raises returns, where it is one number, written to it.

    LLVM does not look into a function that another copy may stand for, and takes for possible that an error
    is none: the code after the call then goes on with an array that there is not.
    """
    found: list[str] = []
    end = 0
    for match in _DEFINITION.finditer(text):
        if not _RAISES.search(_name(match)):
            continue
        last = text.find("\n}", match.start())
        results = set(_RETURN.findall(text, match.start(), last))
        begin = text.find("i32 @", match.start(), match.end())
        if begin < 0 or len(results) != 1 or "range(" in text[match.start() : begin]:
            continue
        result = results.pop()
        if result.isdecimal():
            found += [text[end:begin], f"range(i32 {result}, {int(result) + 1}) "]
            end = begin
    return "".join([*found, text[end:]])


def find_recursive(text: str) -> frozenset[str]:
    """Return the functions defined in `text` that can reach themselves through calls or addresses."""
    return frozenset(_cyclic(_mentions(text)))


def _name(match: re.Match[str], first: int = 1) -> str:
    return match.group(first) or match.group(first + 1)


def _resolve_cells(text: str) -> str:
    """Point each cell of a recursive call at its target, so that LLVM can see through it."""
    defined = {_name(m) for m in _DEFINITION.finditer(text)}

    def resolved(match: re.Match[str]) -> str:
        target = match.group(1)
        if target not in defined:
            return match.group(0)
        return f'@"{_CELL_PREFIX}{target}" = internal constant ptr @"{target}"'

    return _CELL.sub(resolved, text)


def _mentions(text: str) -> dict[str, set[str]]:
    """Return, for each function defined in `text`, the defined functions its body names."""
    heads = [(m.start(), _name(m)) for m in _DEFINITION.finditer(text)]
    defined = {name for _, name in heads}
    graph: dict[str, set[str]] = {}
    for start, name in heads:
        end = text.find("\n}", start)
        first_line_end = text.find("\n", start)
        named = (_name(m).removeprefix(_CELL_PREFIX) for m in _MENTION.finditer(text, first_line_end, end))
        graph[name] = {n for n in named if n in defined}
    return graph


def _cyclic(graph: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Yield the nodes on cycles (Tarjan, Depth-first search and linear graph algorithms, 1972; iterative)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for root in graph:
        if root in order:
            continue
        work: list[tuple[str, Iterator[str]]] = [(root, iter(graph[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, successors = work[-1]
            unseen = None
            for succ in successors:
                if succ not in order:
                    unseen = succ
                    break
                if succ in on_stack:
                    low[node] = min(low[node], order[succ])
            if unseen is not None:
                order[unseen] = low[unseen] = len(order)
                stack.append(unseen)
                on_stack.add(unseen)
                work.append((unseen, iter(graph[unseen])))
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == order[node]:
                component = _pop_until(stack, node)
                on_stack.difference_update(component)
                if len(component) > 1 or node in graph[node]:
                    yield from component


def _pop_until(stack: list[str], node: str) -> list[str]:
    component = [stack.pop()]
    while component[-1] != node:
        component.append(stack.pop())
    return component


def _mark_definition(
    line: str, entry: str, out_of_line: Callable[[str], bool], apart: Collection[int]
) -> str:
    match = _DEFINITION.match(line)
    assert match is not None, line
    name = _name(match)
    # linkonce_odr, not internal: LLVM may change the calling convention and the arguments of internal
    # functions.
    if name == entry:
        linkage, inlining = "", ""
    elif out_of_line(name):
        linkage, inlining = "linkonce_odr ", " noinline"
    else:
        linkage, inlining = "internal ", " alwaysinline"
    head = f"define {linkage}" + _LINKAGE.sub("", line)
    head, tail = _split_tail(head)
    # Attributes written on the line itself come after the parameter list.
    opening = _DEFINITION.match(head)
    assert opening is not None, head
    begin = opening.end() - 1
    cut = _end_of_parameters(head, begin)
    parameters = _set_apart(head[begin:cut], apart) if name == entry and apart else head[begin:cut]
    head = head[:begin] + parameters + _KEPT_ATTRIBUTES.sub("", head[cut:])
    # no-builtins keeps loops from turning into calls of memset and memcpy. Numba's code never unwinds.
    return f'{head.rstrip()} nounwind "no-builtins"{inlining}{tail}'


def _set_apart(parameters: str, apart: Collection[int]) -> str:
    """Return a parameter list in parentheses with `noalias` on the pointers of these numbers."""
    parts = _split_parameters(parameters[1:-1])
    for number in apart:
        assert parts[number].startswith("ptr"), parameters
        if "noalias" not in parts[number]:
            parts[number] = f"ptr noalias{parts[number].removeprefix('ptr')}"
    return f"({', '.join(parts)})"


def _split_parameters(text: str) -> list[str]:
    """Return the parameters in `text`, split at the commas outside quotes and brackets."""
    depth = 0
    quoted = False
    parts = [""]
    for char in text:
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "([{<":
            depth += 1
        elif not quoted and char in ")]}>":
            depth -= 1
        if char == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def _split_tail(line: str) -> tuple[str, str]:
    """Split a definition before what attributes may not follow: alignment, metadata, the brace."""
    match = _TAIL.search(line)
    assert match is not None, line
    return line[: match.start()], _COMDAT.sub("", line[match.start() :])


def _end_of_parameters(line: str, start: int) -> int:
    """Return the position after the parenthesis that closes the one at or after `start`."""
    depth = 0
    quoted = False
    for index in range(start, len(line)):
        char = line[index]
        if char == '"':
            quoted = not quoted
        elif not quoted and char == "(":
            depth += 1
        elif not quoted and char == ")":
            depth -= 1
            if depth == 0:
                return index + 1
    raise AssertionError(f"unbalanced parameter list: {line}")


def _annotate(match: re.Match[str]) -> str:
    result, name, rest = match.group(1), _name(match, 2), match.group(4)
    for pattern, attributes in _FACTS:
        if pattern.fullmatch(name):
            parameters = rest[: _end_of_parameters(rest, 0)]
            if _FRESH.fullmatch(name) and "noalias" not in result:
                result = f"noalias {result}"
            return f"declare {result}@{name}{parameters} {attributes}"
    return match.group(0)


def _mark_group(line: str) -> str:
    line = _KEPT_ATTRIBUTES.sub("", line)
    # LLVM refuses an attribute group without attributes.
    return re.sub(r"= \{\s*\}", "= { nounwind }", line)
