"""Data that is moved as integers, in code without access types: right or refused, never silently zero."""

from __future__ import annotations

import numpy as np
import pytest

from coenzyme.errors import BackendUnavailableError, UnsupportedIRError
from coenzyme.frontends.clang import find_clang
from coenzyme.frontends.program import Mode
from tests.unit.derive.c_functions import CFunction, from_c

X, Y = np.array([1.3, 0.7, 2.1, 0.4]), np.array([0.2, 0.9, 1.1, 1.7])
HEAD = """
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
typedef long long __attribute__((may_alias)) word;
typedef int __attribute__((may_alias)) half;
typedef __int128 __attribute__((may_alias)) wide;
typedef long long pair __attribute__((vector_size(16), may_alias, aligned(8)));
struct node { double x; struct node *next; };
"""
TYPES = {"no types": ("-fno-strict-aliasing",), "types": ()}


@pytest.fixture(autouse=True)
def clang() -> None:
    try:
        find_clang()
    except BackendUnavailableError as error:
        pytest.skip(str(error))


def function_of(body: str, flags: tuple[str, ...], before: str = "", pointer: str = "double *") -> CFunction:
    source = f"{HEAD}{before}\ndouble f({pointer}a, {pointer}b, int n) {{ {body} }}\n"
    return from_c(source, "f", "dDDi", flags=flags)


_CALLEE = """
static __attribute__((noinline)) void move(word *t, word *s, int n)
{
    for (int i = 0; i < n; i++) t[i] = s[i];
    if (n > 100) move(t, s, n - 1);
}
static __attribute__((noinline)) word read(word *s, int n) { return n > 100 ? read(s, n - 1) : s[n & 1]; }
static __attribute__((noinline)) double follow(word w, int n)
{
    double *p;
    memcpy(&p, &w, 8);
    return n > 100 ? follow(w, n - 1) : p[0] * p[1];
}
"""
MOVED = {
    "numbers as words": "for (int i = 0; i < n; i++) ((word *)b)[i] = ((word *)a)[i]; return b[1] * b[2];",
    "words of declared numbers": "for (int i = 0; i < n; i++) ((word *)b)[i] = ((word *)a)[i]; return 0;",
    "words moved by a callee": "move((word *)b, (word *)a, n); return b[0];",
    "a word that a callee returns": "word w = read((word *)a, n); double d; memcpy(&d, &w, 8); return d * d;",
    "numbers through the heap": """
        word *t = malloc(8 * n);
        for (int i = 0; i < n; i++) t[i] = ((word *)a)[i];
        for (int i = 0; i < n; i++) ((word *)b)[i] = t[n - 1 - i];
        free(t);
        return b[1] * b[2];""",
    "numbers as a vector": "*(pair *)b = *(pair *)a; return b[0] * b[1];",
    "a list linked by words": """
        struct node *head = 0;
        for (int i = 0; i < n; i++) {
            struct node *m = malloc(sizeof *m);
            m->x = a[i];
            *(word *)&m->next = *(word *)&head;
            head = m;
        }
        double r = 0;
        while (head) { struct node *next = head->next; r += head->x * head->x; free(head); head = next; }
        return r;""",
    "pointers as words": """
        double **s = malloc(16), **t = malloc(16);
        s[0] = a; s[1] = b;
        for (int i = 0; i < 2; i++) ((word *)t)[i] = ((word *)s)[i];
        double r = t[n & 1][1] * t[n & 1][1];
        free(s); free(t);
        return r;""",
}


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("types", TYPES)
def test_what_is_moved_as_integers_is_found_to_be_what_it_is(name: str, types: str) -> None:
    function_of(MOVED[name], TYPES[types], _CALLEE).check(X, Y, 3)


REFUSED = {
    "halves": "for (int i = 0; i < 2 * n; i++) ((half *)b)[i] = ((half *)a)[i]; return b[1];",
    "bytes": "for (int i = 0; i < 8 * n; i++) ((char *)b)[i] = ((char *)a)[i]; return b[1];",
    "words of unknown type": "for (int i = 0; i < n; i++) ((word *)b)[i] = ((word *)a)[i]; return 0;",
    "a byte on its way through the heap": """
        char *t = malloc(8 * n);
        for (int i = 0; i < 8 * n; i++) t[i] = ((char *)a)[i];
        double r = ((double *)t)[1];
        free(t);
        return r;""",
    "two numbers in one integer": "wide w; memcpy(&w, a, 16); memcpy(b, &w, 16); return b[0] * b[1];",
    "a sign that is flipped": "((word *)b)[0] = ((word *)a)[0] ^ (1ull << 63); return b[0];",
    "an exponent that is raised": "((word *)b)[0] = ((word *)a)[0] + (1ull << 52); return b[0];",
    "an atomic exchange": """
        word w = __atomic_exchange_n((word *)a, 0, 5);
        ((word *)b)[0] = w;
        return 0;""",
    "words of unknown type moved by a callee": "move((word *)b, (word *)a, n); return *(double *)b;",
    "a word of unknown type that a callee returns": """
        word w = read((word *)a, n);
        double d;
        memcpy(&d, &w, 8);
        return d * d;""",
    "an address that a callee takes": "word w; memcpy(&w, &a, 8); return follow(w, n);",
    "words of pointers moved by a callee": """
        double *s[2] = {a, b}, *t[2];
        move((word *)t, (word *)s, 2);
        return t[n & 1][1];""",
    "bits kept in an integer": """
        struct { long k; double x; } *s = malloc(16);
        memcpy(&s->k, a, 8);
        s->x = a[1];
        double d;
        memcpy(&d, &s->k, 8);
        d *= s->x;
        free(s);
        return d;""",
}


@pytest.mark.parametrize("mode", [Mode.FORWARD, Mode.REVERSE])
@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("name", [n for n in REFUSED if n != "bits kept in an integer"])
def test_bits_of_what_is_active_are_not_lost(name: str, types: str, mode: Mode) -> None:
    pointer = "void *" if "unknown" in name else "double *"
    function = function_of(REFUSED[name], TYPES[types], _CALLEE, pointer)
    with pytest.raises(UnsupportedIRError) as caught:
        function.derived(mode)
    assert caught.value.remedy
    assert caught.value.location is not None


@pytest.mark.parametrize("types", TYPES)
def test_bits_in_an_integer_field_are_right_or_refused(types: str) -> None:
    function = function_of(REFUSED["bits kept in an integer"], TYPES[types])
    try:
        function.derived(Mode.REVERSE)
    except UnsupportedIRError:
        return
    function.check(X, Y, 3)


PLAIN = {
    "an index array": """
        long *k = malloc(8 * n);
        for (int i = 0; i < n; i++) k[i] = n - 1 - i;
        long t = k[0]; k[0] = k[1]; k[1] = t;
        double r = 0;
        for (int i = 0; i < n; i++) r += a[k[i]] * b[i];
        free(k);
        return r;""",
    "counts beside numbers": """
        struct { double x; long k; int j; } *s = malloc(n * sizeof *s);
        for (int i = 0; i < n; i++) { s[i].x = a[i]; s[i].k = n - 1 - i; s[i].j = i; }
        for (int i = 0; i + 1 < n; i++) { long t = s[i].k; s[i].k = s[i + 1].k; s[i + 1].k = t; }
        double r = 0;
        for (int i = 0; i < n; i++) r += s[i].x * b[s[i].k] * s[i].j;
        free(s);
        return r;""",
    "rows of a sparse matrix": """
        struct { long *rows; long n; double *v; } m = {malloc(8 * (n + 1)), n, a};
        m.rows[0] = 0;
        for (int i = 0; i < n; i++) m.rows[i + 1] = m.rows[i] + 1;
        double r = 0;
        for (long i = 0; i < m.n; i++)
            for (long j = m.rows[i]; j < m.rows[i + 1]; j++) r += m.v[j] * b[i];
        free(m.rows);
        return r;""",
    "the distance of two pointers": """
        struct { double x; long n; } *s = malloc(sizeof *s);
        double *end = a + n;
        s->x = b[1];
        s->n = end - a;
        double r = s->x * a[s->n - 1];
        free(s);
        return r;""",
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("types", TYPES)
def test_integers_of_ordinary_code_are_let_through(name: str, types: str) -> None:
    function_of(PLAIN[name], TYPES[types]).check(X, Y, 3)
