"""Structs and complex numbers that C functions take and return by value, however the platform does it."""

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import CompilationError
from coenzyme.frontends.clang import compile_c
from tests.unit.frontends.c_code import needs_clang

pytestmark = needs_clang

# The conventions of most platforms differ for structs of these kinds: in one register, in two of one sort or
# of two, in vectors of floats, in memory.
STRUCTS = {
    "struct one { double a; }": (1.5,),
    "struct two { double a, b; }": (1.5, -2.0),
    "struct four { float a, b, c, d; }": (1.5, -2.0, 0.5, 3.0),
    "struct three { float a, b, c; }": (1.5, -2.0, 0.5),
    "struct mixed { double a; int b; }": (1.5, -2),
    "struct small { int b; float a; }": (3, 1.5),
    "struct large { double a[3]; int n; float b[2]; }": (1.5, -2.0, 0.5, 3, 4.0, 0.25),
    "struct nested { struct { short k; double x; } in[2]; char c; }": (2, 1.5, 3, -2.0, 65),
}


def fields_of(struct):
    """Return how C code names the numbers in a struct."""
    return {
        "one": ["a"], "two": ["a", "b"], "four": ["a", "b", "c", "d"], "three": ["a", "b", "c"],
        "mixed": ["a", "b"], "small": ["b", "a"],
        "large": ["a[0]", "a[1]", "a[2]", "n", "b[0]", "b[1]"],
        "nested": ["in[0].k", "in[0].x", "in[1].k", "in[1].x", "c"],
    }[struct.split()[1]]  # fmt: skip


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda s: s.split()[1])
def test_each_number_of_a_struct_arrives_and_comes_back(struct):
    name = "struct " + struct.split()[1]
    fields = fields_of(struct)
    weighted = " + ".join(f"{i + 2} * p.{f}" for i, f in enumerate(fields))
    swapped = " ".join(f"q.{f} = s * p.{f};" for f in fields)
    source = f"""{struct};
    double sum(double s, {name} p, double t) {{ return s * ({weighted}) + t; }}
    {name} scaled({name} p, int s) {{ {name} q; {swapped} return q; }}
    """
    total, scaled = cz.c.function(source, "sum"), cz.c.function(source, "scaled")
    given = STRUCTS[struct]
    wanted = sum((i + 2) * v for i, v in enumerate(given))
    assert total(3.0, given, 0.5) == 3.0 * wanted + 0.5
    assert scaled(given, 2) == tuple(2 * v if v != 65 else -126 for v in given)
    slope = cz.grad(total, argnums=1)(3.0, given, 0.5)
    for i, (one, value) in enumerate(zip(slope, given, strict=True)):
        assert not isinstance(value, float) or one == 3.0 * (i + 2)


SPRING = """
typedef struct { double x, y; } point;
static double pull(point a, point b) { return (a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y); }
point middle(point a, const point *b, double weight)
{
    point m = {a.x * (1 - weight) + b->x * weight, a.y * pull(a, *b)};
    return m;
}
"""
POINT = np.dtype([("x", "f8"), ("y", "f8")], align=True)


def test_derivatives_go_through_structs_by_value():
    middle = cz.c.function(SPRING, "middle")
    b = np.array([(2.0, 5.0)], POINT)

    def total(a, weight):
        m = middle(a, b_of(), weight)
        return m[0] * m[1]

    @nb.njit
    def b_of():
        return b

    a, h = (1.0, -3.0), 1e-6
    slope, by_weight = cz.grad(total, argnums=(0, 1))(a, 0.25)
    for i in range(2):
        up, down = list(a), list(a)
        up[i], down[i] = a[i] + h, a[i] - h
        around = (total(tuple(up), 0.25) - total(tuple(down), 0.25)) / (2 * h)
        assert slope[i] == pytest.approx(around, rel=1e-8)
    around = (total(a, 0.25 + h) - total(a, 0.25 - h)) / (2 * h)
    assert by_weight == pytest.approx(around, rel=1e-8)
    _, tangent = cz.jvp(total, (a, 0.25), ((1.0, 0.5), 2.0))
    assert tangent == pytest.approx(slope[0] + 0.5 * slope[1] + 2.0 * by_weight, rel=1e-12)


def test_a_record_of_the_structs_dtype_is_one_too():
    middle = cz.c.function(SPRING, "middle")
    points = np.array([(1.0, -3.0), (2.0, 5.0)], POINT)
    assert middle(points[0], points[1:], 0.25) == middle((1.0, -3.0), points[1:], 0.25)


def test_code_from_a_file_is_taken_as_it_is(tmp_path):
    (tmp_path / "part.h").write_text("#define HALF 0.5\n")
    (tmp_path / "spring.c").write_text('#include "part.h"\n' + SPRING.replace("1 - weight", "HALF - weight"))
    middle = cz.c.function(tmp_path / "spring.c", "middle")
    assert middle((1.0, 0.0), np.array([(2.0, 5.0)], POINT), 0.25) == (0.75, 0.0)


def test_complex_numbers_by_value():
    source = """
    double _Complex square(double _Complex z, float _Complex w) { return z * z + w; }
    float _Complex half(float _Complex z) { return z / 2; }
    """
    square = cz.c.function(source, "square", flags=["-fcx-limited-range"])
    assert square(1 + 2j, 3j) == (1 + 2j) ** 2 + 3j
    assert square(2, 1.0) == 5.0
    assert cz.grad(square, holomorphic=True)(1 + 2j, 0.5 + 0j) == 2 * (1 + 2j)
    half = cz.c.function(source, "half", flags=["-fcx-limited-range"])
    assert half(np.complex64(1 + 2j)) == 0.5 + 1j


@pytest.mark.parametrize(
    "given", [(1.0,), (1.0, 2.0, 3.0), 1.0, np.zeros(2), (1.0, 2j), np.zeros(1, "f8,i8")[0]]
)
def test_what_is_not_the_struct_is_refused_with_what_to_pass(given):
    length = cz.c.function("struct two { double a, b; }; double length(struct two p) { return p.a * p.b; }")
    with pytest.raises(CompilationError, match=r"(?s)struct two by value for 'p'.*(float64, float64)|dtype"):
        length(given)


def test_ctypes_may_describe_the_struct():
    from ctypes import Structure, c_double, c_int

    class Two(Structure):
        _fields_ = (("a", c_double), ("b", c_double))

    class Other(Structure):
        _fields_ = (("a", c_double), ("b", c_int))

    source = "struct two { double a, b; }; double product(struct two p) { return p.a * p.b; }"
    assert cz.c.function(source, argtypes=[Two])((2.0, 3.0)) == 6.0
    with pytest.raises(CompilationError, match="has type struct two, not struct"):
        cz.c.function(source, argtypes=[Other])


def test_llvm_alone_does_not_know_how_structs_are_passed():
    text = compile_c("struct two { double a, b; }; double product(struct two p) { return p.a * p.b; }")
    with pytest.raises(CompilationError, match=r"(?s)struct two by value.*coenzyme\.c\.function does it"):
        cz.llvm.function(text)


def test_complex_products_and_quotients_need_no_flags():
    source = """
    #include <complex.h>
    double _Complex f(double _Complex z, double _Complex w) { return z * w / (w * w + z); }
    float _Complex g(float _Complex z) { return csqrtf(z) / (z + 1.0f) * cexpf(z); }
    double h(double a, double b) { long double _Complex z = a + b * 1.0i; return creall(z * z / (z + 2)); }
    """
    f = cz.c.function(source, "f")
    z, w = 1.5 + 2j, 0.5 - 1j
    assert f(z, w) == pytest.approx(z * w / (w * w + z), rel=1e-14)
    gradient = cz.grad(f, holomorphic=True)(z, w)
    assert gradient == pytest.approx(w**3 / (w * w + z) ** 2, rel=1e-13)
    g = cz.c.function(source, "g")
    z32 = np.complex64(1.5 + 0.5j)
    assert g(z32) == pytest.approx(complex(np.sqrt(z32) / (z32 + 1) * np.exp(z32)), rel=1e-5)
    h = cz.c.function(source, "h")
    slope = 2 * (1 + 2j) / (3 + 2j) - (1 + 2j) ** 2 / (3 + 2j) ** 2
    assert cz.grad(h, argnums=(0, 1))(1.0, 2.0) == pytest.approx((slope.real, -slope.imag), rel=1e-13)
