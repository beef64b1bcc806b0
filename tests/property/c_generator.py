"""Random C programs: structs, pointers, blocks from the heap, copies of blocks, recursion, calls by address.

A program is a function ``double f(double *a, double *b, struct S *s, double t, int n)``, which may write into
all that its pointers lead to. Each array has `CELLS` cells. Whatever a program does is defined by the C
standard: subscripts are masked, pointers lead to whole arrays, what is freed is not used again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["CELLS", "CProgram", "generate_c"]

CELLS = 4

_PRELUDE = """#include <math.h>
#include <stdlib.h>
#include <string.h>

struct S { double x; int k; double v[4]; float w; double *p; struct S *next; };

static double op0(double x) { return sin(x); }
static double op1(double x) { return x * x * 0.5; }
static double op2(double x) { return 1.0 / (2.0 + x * x); }
static double (*const table[3])(double) = {op0, op1, op2};
static const double weights[4] = {0.5, -0.25, 1.5, 0.75};
static int calls = 0;
"""

_LIST = """
static struct S *push(struct S *head, double x, int k)
{
    struct S *node = malloc(sizeof *node);
    node->x = x;
    node->k = k;
    node->v[0] = x * x; node->v[1] = 1.0; node->v[2] = x; node->v[3] = 0.0;
    node->w = 1.0f;
    node->p = node->v;
    node->next = head;
    return node;
}
static double sum(struct S *head)
{
    return head ? head->x * 0.5 + head->p[head->k & 3] + sum(head->next) : 0.0;
}
static void drop(struct S *head)
{
    while (head) {
        struct S *next = head->next;
        free(head);
        head = next;
    }
}
"""


@dataclass(frozen=True)
class CProgram:
    """A program as text, and what it is called with.

    Attributes
    ----------
    level
        The level of optimisation that clang is told.
    same
        Whether `a` and `b` are one array.
    """

    text: str
    seed: int
    n: int
    level: int
    same: bool


class _Scope:
    """What may be named at a place in a program."""

    def __init__(
        self, pointers: list[str], reals: list[str], integers: list[str], structs: list[str]
    ) -> None:
        self.pointers, self.reals, self.integers, self.structs = pointers, reals, integers, structs
        self.depth = 0
        self.in_loop = False
        self.helpers: list[str] = []


class _Generator:
    def __init__(self, choose: Callable[[int], int]) -> None:
        self.below = choose
        self.numbers = 0
        self.scope = _Scope([], [], [], [])

    def chance(self, one_in: int) -> bool:
        return self.below(one_in) == 0

    def pick(self, options: list[str]) -> str:
        return options[self.below(len(options))]

    def name(self, letter: str) -> str:
        self.numbers += 1
        return f"{letter}{self.numbers}"

    @contextmanager
    def inside(self, *, loop: bool = False) -> Iterator[_Scope]:
        before = self.scope
        self.scope = _Scope(
            list(before.pointers), list(before.reals), list(before.integers), list(before.structs)
        )
        self.scope.depth, self.scope.helpers = before.depth + 1, before.helpers
        self.scope.in_loop = before.in_loop or loop
        yield self.scope
        self.scope = before

    # --- expressions

    def index(self) -> str:
        kind = self.below(4)
        if kind == 0 or not self.scope.integers:
            return str(self.below(CELLS))
        if kind == 1:
            return f"({self.pick(self.scope.integers)} + {self.below(4)}) & 3"
        if kind == 2:
            return f"{self.pick(self.scope.structs)}k & 3"
        return f"{self.pick(self.scope.integers)} & 3"

    def pointer(self) -> str:
        if self.chance(4):
            return f"{self.pick(self.scope.structs)}p"
        if self.chance(8):
            return (
                f"({self.condition()} ? {self.pick(self.scope.pointers)} : {self.pick(self.scope.pointers)})"
            )
        return self.pick(self.scope.pointers)

    def place(self) -> str:
        """Return something that holds a number and can be assigned to."""
        kind = self.below(10)
        if kind < 3:
            return self.pick(self.scope.reals)
        if kind < 7:
            return f"{self.pointer()}[{self.index()}]"
        if kind == 7:
            return f"{self.pick(self.scope.structs)}x"
        return f"{self.pick(self.scope.structs)}v[{self.index()}]"

    def real(self, depth: int = 0) -> str:
        if depth > 2 or self.chance(3):
            return self.atom()
        left = self.real(depth + 1)
        options: list[Callable[[], str]] = [
            *[lambda: f"({left} + {self.real(depth + 1)})"] * 3,
            *[lambda: f"({left} - 0.5 * {self.real(depth + 1)})"] * 2,
            *[lambda: f"0.5 * {left} * {self.real(depth + 1)}"] * 2,
            lambda: f"sin({left})",
            lambda: f"{left} / (2.0 + {self.squared(depth)})",
            lambda: f"({self.condition()} ? {left} : {self.real(depth + 1)})",
            lambda: f"table[{self.index()} % 3]({left})",
            lambda: self.call(left),
        ]
        return options[self.below(len(options))]()

    def atom(self) -> str:
        options: list[Callable[[], str]] = [
            lambda: f"{0.25 * (1 + self.below(6))}",
            lambda: f"{self.pick(self.scope.structs)}w",
            lambda: f"0.25 * {self.pick(self.scope.structs)}k",
            lambda: f"weights[{self.index()}]",
            *[self.place] * 4,
        ]
        return options[self.below(len(options))]()

    def squared(self, depth: int) -> str:
        value = self.real(depth + 1)
        return f"{value} * {value}" if len(value) < 40 else "1.0"

    def call(self, argument: str) -> str:
        if not self.scope.helpers:
            return f"exp(-0.1 * {argument} * {argument})" if len(argument) < 40 else f"cos({argument})"
        helper = self.pick(self.scope.helpers)
        structs = [s[:-2] if s.endswith("->") else f"&{s[:-1]}" for s in self.whole_structs()]
        depth = f", {self.below(3)}" if helper.startswith("r") else ""
        return f"{helper}({self.pointer()}, {self.pick(structs)}, {argument}{depth})"

    def condition(self) -> str:
        if self.chance(3):
            return f"{self.place()} > {0.5 * self.below(4)}"
        return f"({self.index()}) {self.pick(['<', '==', '>='])} {self.below(4)}"

    # --- statements

    def body(self, most: int) -> str:
        return "\n".join(self.statement() for _ in range(1 + self.below(most)))

    def statement(self) -> str:
        options: list[Callable[[], str]] = [self.assignment] * 6 + [self.change] * 3
        options += [self.copy_block, self.copy_struct, self.point, self.swap, self.count]
        if self.scope.depth < 4:
            options += [self.loop, self.loop, self.loop_until, self.branch, self.switch]
            options += [
                self.local_array,
                self.heap_array,
                self.local_struct,
                self.listing,
                self.variable_array,
            ]
        if self.scope.in_loop:
            options += [lambda: f"if ({self.condition()}) {self.pick(['break', 'continue'])};"]
        return options[self.below(len(options))]()

    def assignment(self) -> str:
        return f"{self.place()} = {self.real()};"

    def change(self) -> str:
        return f"{self.place()} {self.pick(['+=', '-='])} 0.5 * {self.real(1)};"

    def count(self) -> str:
        return f"calls += {self.below(3)}; {self.pick(self.scope.structs)}k += {self.below(2)};"

    def point(self) -> str:
        own = [p for p in self.scope.pointers if p.startswith("q")]
        if not own:
            return self.assignment()
        return f"{self.pick(own)} = {self.pointer()};"

    def swap(self) -> str:
        own = [p for p in self.scope.pointers if p.startswith("q")]
        if len(own) < 2:
            return self.change()
        first, second, third = self.pick(own), self.pick(own), self.name("h")
        return f"{{ double *{third} = {first}; {first} = {second}; {second} = {third}; }}"

    def copy_block(self) -> str:
        kind = self.below(4)
        if kind == 0:
            return f"memset({self.pick(self.scope.pointers)}, 0, {1 + self.below(CELLS)} * sizeof(double));"
        if kind == 1:
            array = self.pointer()
            return f"memmove({array} + 1, {array}, {1 + self.below(3)} * sizeof(double));"
        target, source = self.pointer(), self.pointer()
        return f"memmove({target}, {source}, {1 + self.below(CELLS)} * sizeof(double));"

    def copy_struct(self) -> str:
        whole = self.whole_structs()
        values = [f"*{s[:-2]}" if s.endswith("->") else s[:-1] for s in whole]
        own = [v for v in values if not v.startswith("*")]
        if not own:
            return self.assignment()
        target, source = self.pick(own), self.pick(values)
        if target == source or self.chance(2):
            return f"{target} = {source};"
        address = source[1:] if source.startswith("*") else f"&{source}"
        return f"memcpy(&{target}, {address}, sizeof {target});"

    def loop(self) -> str:
        i = self.name("i")
        bound = self.pick([str(1 + self.below(CELLS)), "n", f"({self.index()})"])
        with self.inside(loop=True) as scope:
            scope.integers.append(i)
            return f"for (int {i} = 0; {i} < {bound}; {i}++) {{\n{self.body(4)}\n}}"

    def loop_until(self) -> str:
        i = self.name("i")
        with self.inside(loop=True) as scope:
            scope.integers.append(i)
            body = self.body(3)
        if self.chance(2):
            return f"int {i} = 0;\nwhile ({i}++ < 3 && {self.place()} < 2.0) {{\n{body}\n}}"
        return f"int {i} = 0;\ndo {{\n{body}\n}} while (++{i} < {1 + self.below(3)});"

    def branch(self) -> str:
        with self.inside():
            text = f"if ({self.condition()}) {{\n{self.body(3)}\n}}"
        if self.chance(2):
            with self.inside():
                text += f" else {{\n{self.body(3)}\n}}"
        return text

    def switch(self) -> str:
        arms: list[str] = []
        for case in range(1 + self.below(3)):
            with self.inside() as scope:
                scope.in_loop = False
                through = "" if self.chance(4) else "break;"
                arms.append(f"case {case}: {{\n{self.body(2)}\n}} {through}")
        with self.inside() as scope:
            scope.in_loop = False
            rest = f"default: {{\n{self.body(1)}\n}}"
        return f"switch ({self.index()}) {{\n" + "\n".join([*arms, rest]) + "\n}"

    def local_array(self) -> str:
        array, pointer = self.name("l"), self.name("q")
        with self.inside() as scope:
            values = ", ".join(self.real(1) for _ in range(CELLS))
            scope.pointers += [array, pointer]
            scope.in_loop = False
            start = self.pick(scope.pointers[:-1])
            body = self.body(4)
        head = f"double {array}[4] = {{{values}}};\ndouble *{pointer} = {start};"
        return f"{{\n{head}\n{body}\n{self.let_go()}}}"

    def variable_array(self) -> str:
        array, i = self.name("l"), self.name("i")
        with self.inside() as scope:
            value = self.real(1)
            scope.pointers.append(array)
            scope.in_loop = False
            fill = f"for (int {i} = 0; {i} < n + 4; {i}++) {array}[{i}] = {value};"
            body = self.body(3)
        return f"{{\ndouble {array}[n + 4];\n{fill}\n{body}\n{self.let_go()}}}"

    def heap_array(self) -> str:
        array = self.name("m")
        with self.inside() as scope:
            value = self.real(1)
            scope.pointers.append(array)
            scope.in_loop = False
            made = self.pick(["malloc(4 * sizeof(double))", "calloc(4, sizeof(double))"])
            fill = f"for (int i = 0; i < 4; i++) {array}[i] = {value};"
            grow = f"{array} = realloc({array}, 8 * sizeof(double));\n" if self.chance(4) else ""
            body = self.body(4)
        return f"{{\ndouble *{array} = {made};\n{fill}\n{grow}{body}\n{self.let_go()}free({array});\n}}"

    def whole_structs(self) -> list[str]:
        """Return the structs behind which there is another one; the last of a list has none."""
        return [s for s in self.scope.structs if not s.startswith("g")]

    def let_go(self) -> str:
        """Return what lets nothing that lives longer lead to memory that is about to go."""
        pointers = [p for p in self.scope.pointers if p.startswith("q")]
        pointers += [f"{s}p" for s in self.scope.structs if s.startswith("w")]
        return "".join(f"{p} = a;\n" for p in pointers)

    def local_struct(self) -> str:
        name = self.name("w")
        with self.inside() as scope:
            source = self.pick([s[:-2] for s in self.whole_structs() if s.endswith("->")])
            scope.structs.append(f"{name}.")
            scope.in_loop = False
            own = f"{name}.p = {name}.v;\n" if self.chance(3) else ""
            body = self.body(4)
        return f"{{\nstruct S {name} = *{source};\n{own}{body}\n{self.let_go()}}}"

    def listing(self) -> str:
        head, i = self.name("g"), self.name("i")
        with self.inside() as scope:
            scope.integers.append(i)
            value = self.real(1)
        fill = f"for (int {i} = 0; {i} < {1 + self.below(4)}; {i}++) {head} = push({head}, {value}, {i});"
        with self.inside() as scope:
            scope.structs.append(f"{head}->")
            scope.in_loop = False
            body = self.body(3)
        use = f"{self.place()} += 0.25 * sum({head});"
        return f"{{\nstruct S *{head} = NULL;\n{fill}\n{body}\n{use}\ndrop({head});\n{self.let_go()}}}"

    # --- functions

    def helper(self, name: str) -> str:
        recursive = name.startswith("r")
        self.scope = _Scope(["q"], ["u", "x"], ["n"], ["s->", "s->next->"])
        self.scope.depth = 2
        depth = ", int d" if recursive else ""
        text = f"static double {name}(double *q, struct S *s, double u{depth})\n{{\n"
        text += "const int n = 3;\ndouble x = 0.5 * u;\ndouble *a = q;\n(void)a; (void)n;\n"
        if recursive:
            text += f"if (d <= 0) return {self.real(1)};\n"
        text += self.body(3)
        value = self.real(1)
        if recursive:
            value = f"0.5 * {name}(q, s->next, {value}, d - 1) + x"
        return f"{text}\nreturn {value};\n}}\n"

    def program(self) -> str:
        names = [self.pick(["h", "r"]) + str(i) for i in range(self.below(3))]
        helpers: list[str] = []
        for name in names:
            helpers.append(self.helper(name))
        self.scope = _Scope(["a", "b"], ["x", "y", "t"], ["n"], ["s->", "s->next->"])
        self.scope.helpers = names
        head = "double f(double *a, double *b, struct S *s, double t, int n)\n{\ndouble x = t, y = 0.5;\n"
        body = "\n".join(self.statement() for _ in range(2 + self.below(5)))
        return f"{_PRELUDE}{_LIST}\n" + "\n".join(helpers) + f"\n{head}{body}\nreturn {self.real()};\n}}\n"


def generate_c(choose: Callable[[int], int]) -> CProgram:
    """Return a program made by `choose`, which returns a number in range(its argument)."""
    generator = _Generator(choose)
    text = generator.program()
    return CProgram(text, choose(1 << 16), 1 + choose(4), choose(3), choose(6) == 0)
