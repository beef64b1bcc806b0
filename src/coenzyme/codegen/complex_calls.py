"""Functions of complex numbers in C, as arithmetic on real and imaginary parts.

What C passes as one number arrives as two, as a vector of two, as an array or in memory; so does what it
returns. Beside infinities the functions may return NaN where C's return an infinity; products and quotients
do not.
Source: Abramowitz & Stegun, sections 4.3 and 4.5; ISO C, annex G (products and quotients); R. L. Smith,
"Algorithm 116: Complex division", Communications of the ACM 5 (1962).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from coenzyme.codegen.real_calls import Reals
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.cfg import split_block_at
from coenzyme.ir.instructions import Block, Call, ExtractElement, InsertElement, Module
from coenzyme.ir.types import I32, I64, ArrayType, FloatType, StructType, Type, VectorType
from coenzyme.ir.values import Poison, Value

__all__ = ["COMPLEX", "expand_complex"]

Parts: TypeAlias = tuple[Value, Value]
_Function: TypeAlias = Callable[["_Complex", list[Parts]], Parts | Value]


class _Complex:
    """Emits in front of a call."""

    def __init__(self, to: Reals, call: Call) -> None:
        self.to = to
        self.call = call

    @property
    def at(self) -> Builder:
        """Where to emit."""
        return self.to.at

    def choose(self, condition: Value, then: Callable[[], Parts], otherwise: Callable[[], Parts]) -> Parts:
        """Return what one of two functions emits, each in a block of its own."""
        before = self.call.block
        assert before is not None
        assert before.function is not None
        after = split_block_at(before, before.instructions.index(self.call))
        arms: list[tuple[Block, Parts]] = []
        starts: list[Block] = []
        for emit in (then, otherwise):
            start = Block(f"{before.name}.arm")
            start.function = before.function
            before.function.blocks.insert(before.function.blocks.index(after), start)
            starts.append(start)
            self.to.at.position_at_end(start)
            values = emit()
            self.at.branch(after)
            arms.append((self.at.block, values))
        Builder(before).cond_branch(condition, *starts)
        self.to.at = Builder(after, 0)
        merged = [self.at.phi(self.to.type, [(values[k], block) for block, values in arms]) for k in range(2)]
        self.to.restart(self.call)
        return merged[0], merged[1]

    def is_nan(self, x: Value) -> Value:
        return self.at.fcmp("uno", x, x)

    def is_infinite(self, x: Value) -> Value:
        return self.at.fcmp("oeq", self.to.call("llvm.fabs", x), self.to.number(float("inf")))

    def sign_of(self, x: Value) -> Value:
        return self.to.call("llvm.copysign", self.to.number(1.0), x)

    def boxed(self, x: Value) -> Value:
        """Return ±1 for an infinity, ±0 for anything else."""
        size = self.at.select(self.is_infinite(x), self.to.number(1.0), self.to.number(0.0))
        return self.to.call("llvm.copysign", size, x)

    def unless_nan(self, x: Value) -> Value:
        zero = self.to.call("llvm.copysign", self.to.number(0.0), x)
        return self.at.select(self.is_nan(x), zero, x)

    def any_of(self, *conditions: Value) -> Value:
        found = conditions[0]
        for condition in conditions[1:]:
            found = self.at.or_(found, condition)
        return found

    def product(self, a: Value, b: Value, c: Value, d: Value) -> Parts:
        at = self.at
        return at.fsub(at.fmul(a, c), at.fmul(b, d)), at.fadd(at.fmul(a, d), at.fmul(b, c))

    def is_lost(self, parts: Parts) -> Value:
        return self.at.and_(self.is_nan(parts[0]), self.is_nan(parts[1]))


def _multiply(z: _Complex, numbers: list[Parts]) -> Parts:
    (a, b), (c, d) = numbers
    plain = z.product(a, b, c, d)
    return z.choose(z.is_lost(plain), lambda: _multiply_infinite(z, numbers, plain), lambda: plain)


def _multiply_infinite(z: _Complex, numbers: list[Parts], plain: Parts) -> Parts:
    """Return the product where infinities have made a NaN of it."""
    at = z.at
    (a, b), (c, d) = numbers
    terms = [at.fmul(x, y) for x, y in ((a, c), (b, d), (a, d), (b, c))]
    overflows = z.any_of(*(z.is_infinite(t) for t in terms))
    first = at.or_(z.is_infinite(a), z.is_infinite(b))
    a, b = (at.select(first, z.boxed(x), x) for x in (a, b))
    c, d = (at.select(first, z.unless_nan(x), x) for x in (c, d))
    second = at.or_(z.is_infinite(c), z.is_infinite(d))
    c, d = (at.select(second, z.boxed(x), x) for x in (c, d))
    a, b = (at.select(second, z.unless_nan(x), x) for x in (a, b))
    either = at.or_(first, second)
    kept = [at.select(either, x, z.unless_nan(x)) for x in (a, b, c, d)]
    infinity = z.to.number(float("inf"))
    real, imaginary = (at.fmul(infinity, part) for part in z.product(*kept))
    recovered = at.or_(either, overflows)
    return at.select(recovered, real, plain[0]), at.select(recovered, imaginary, plain[1])


def _divide(z: _Complex, numbers: list[Parts]) -> Parts:
    at = z.at
    (a, b), (c, d) = numbers
    larger = at.fcmp("oge", z.to.call("llvm.fabs", c), z.to.call("llvm.fabs", d))
    most, least = at.select(larger, c, d), at.select(larger, d, c)
    u, v = at.select(larger, a, b), at.select(larger, b, a)
    ratio = at.fdiv(least, most)
    denominator = at.fadd(most, at.fmul(least, ratio))
    real = at.fdiv(at.fadd(u, at.fmul(v, ratio)), denominator)
    other = at.fdiv(at.fsub(v, at.fmul(u, ratio)), denominator)
    plain = (real, at.select(larger, other, at.fneg(other)))
    return z.choose(z.is_lost(plain), lambda: _divide_infinite(z, numbers, plain), lambda: plain)


def _divide_infinite(z: _Complex, numbers: list[Parts], plain: Parts) -> Parts:
    """Return the quotient where a zero or infinities have made a NaN of it."""
    at = z.at
    (a, b), (c, d) = numbers
    zero, infinity = z.to.number(0.0), z.to.number(float("inf"))
    by_zero = at.and_(at.fcmp("oeq", c, zero), at.fcmp("oeq", d, zero))
    pole = z.to.call("llvm.copysign", infinity, c)
    found = (at.fmul(pole, a), at.fmul(pole, b))
    above = at.or_(z.is_infinite(a), z.is_infinite(b))
    below = at.or_(z.is_infinite(c), z.is_infinite(d))
    size = at.select(above, infinity, zero)
    boxed = [at.select(above, z.boxed(x), x) for x in (a, b)] + [
        at.select(below, z.boxed(x), x) for x in (c, d)
    ]
    real, imaginary = z.product(boxed[0], boxed[1], boxed[2], at.fneg(boxed[3]))
    ends = at.xor(above, below)
    result: list[Value] = []
    for polar, part, lost in zip(found, (real, imaginary), plain, strict=True):
        result.append(at.select(by_zero, polar, at.select(ends, at.fmul(size, part), lost)))
    return result[0], result[1]


def _abs(z: _Complex, numbers: list[Parts]) -> Value:
    return z.to.call("hypot", *numbers[0])


def _arg(z: _Complex, numbers: list[Parts]) -> Value:
    x, y = numbers[0]
    return z.to.call("atan2", y, x)


def _real(_: _Complex, numbers: list[Parts]) -> Value:
    return numbers[0][0]


def _imaginary(_: _Complex, numbers: list[Parts]) -> Value:
    return numbers[0][1]


def _conjugate(z: _Complex, numbers: list[Parts]) -> Parts:
    return numbers[0][0], z.at.fneg(numbers[0][1])


def _exp(z: _Complex, numbers: list[Parts]) -> Parts:
    x, y = numbers[0]
    size = z.to.call("llvm.exp", x)
    return z.at.fmul(size, z.to.call("llvm.cos", y)), z.at.fmul(size, z.to.call("llvm.sin", y))


def _log(z: _Complex, numbers: list[Parts]) -> Parts:
    return z.to.call("llvm.log", _abs(z, numbers)), _arg(z, numbers)


def _sqrt(z: _Complex, numbers: list[Parts]) -> Parts:
    at = z.at
    x, y = numbers[0]
    half, zero = z.to.number(0.5), z.to.number(0.0)
    across, up = z.sign_of(x), z.sign_of(y)
    # The larger part of the root, of which the other follows.
    root = z.to.call("llvm.sqrt", at.fmul(half, at.fadd(_abs(z, numbers), at.fmul(across, x))))
    safe = at.select(at.fcmp("oeq", root, zero), z.to.number(1.0), root)
    other = at.fdiv(at.fmul(half, y), safe)
    right = at.fcmp("oge", across, zero)
    return at.select(right, root, at.fmul(up, other)), at.select(right, other, at.fmul(up, root))


def _waves(z: _Complex, x: Value, y: Value) -> tuple[Value, Value, Value, Value]:
    """Return cosh x, sinh x, cos y, sin y."""
    call = z.to.call
    return call("cosh", x), call("sinh", x), call("llvm.cos", y), call("llvm.sin", y)


def _cosh(z: _Complex, numbers: list[Parts]) -> Parts:
    even, odd, cosine, sine = _waves(z, *numbers[0])
    return z.at.fmul(even, cosine), z.at.fmul(odd, sine)


def _sinh(z: _Complex, numbers: list[Parts]) -> Parts:
    even, odd, cosine, sine = _waves(z, *numbers[0])
    return z.at.fmul(odd, cosine), z.at.fmul(even, sine)


def _tanh(z: _Complex, numbers: list[Parts]) -> Parts:
    # With e = exp(-2|x|): (1 - e⁴, 2 e sin 2y) / (1 + 2 e cos 2y + e²), of which nothing overflows.
    at, number = z.at, z.to.number
    x, y = numbers[0]
    side = z.sign_of(x)
    size = at.fmul(side, x)
    e = z.to.call("llvm.exp", at.fmul(number(-2.0), size))
    twice_e, angle = at.fmul(number(2.0), e), at.fmul(number(2.0), y)
    rest = at.fmul(e, e)
    below = at.fadd(at.fadd(number(1.0), at.fmul(twice_e, z.to.call("llvm.cos", angle))), rest)
    above = at.fneg(z.to.call("expm1", at.fmul(number(-4.0), size)))
    real = at.fmul(side, at.fdiv(above, below))
    return real, at.fdiv(at.fmul(twice_e, z.to.call("llvm.sin", angle)), below)


def _turned(function: Callable[[_Complex, list[Parts]], Parts], *, back: bool) -> _Function:
    """Return z ↦ f(iz), times -i where it is turned back: trigonometric functions from hyperbolic ones."""

    def turned(z: _Complex, numbers: list[Parts]) -> Parts:
        x, y = numbers[0]
        real, imaginary = function(z, [(z.at.fneg(y), x)])
        return (imaginary, z.at.fneg(real)) if back else (real, imaginary)

    return turned


def _pow(z: _Complex, numbers: list[Parts]) -> Parts:
    base, exponent = numbers
    zero = z.to.number(0.0)
    nothing = z.at.and_(z.at.fcmp("oeq", base[0], zero), z.at.fcmp("oeq", base[1], zero))
    return z.choose(nothing, lambda: _pow_of_zero(z, base, exponent), lambda: _pow_of(z, base, exponent))


def _pow_of(z: _Complex, base: Parts, exponent: Parts) -> Parts:
    return _exp(z, [z.product(*exponent, *_log(z, [base]))])


def _pow_of_zero(z: _Complex, base: Parts, exponent: Parts) -> Parts:
    """Return 1 for the exponent 0, else 0, with the slope that the power has there: 0, 1 or infinite."""
    zero = z.to.number(0.0)
    real, imaginary = (z.to.call("llvm.pow", part, exponent[0]) for part in base)
    return real, z.at.select(z.at.fcmp("oeq", exponent[0], zero), zero, imaginary)


_FUNCTIONS: dict[str, tuple[_Function, int]] = {
    "creal": (_real, 1),
    "cimag": (_imaginary, 1),
    "conj": (_conjugate, 1),
    "cabs": (_abs, 1),
    "carg": (_arg, 1),
    "cexp": (_exp, 1),
    "clog": (_log, 1),
    "csqrt": (_sqrt, 1),
    "cpow": (_pow, 2),
    "csinh": (_sinh, 1),
    "ccosh": (_cosh, 1),
    "ctanh": (_tanh, 1),
    "csin": (_turned(_sinh, back=True), 1),
    "ccos": (_turned(_cosh, back=False), 1),
    "ctan": (_turned(_tanh, back=True), 1),
}
COMPLEX: dict[str, tuple[_Function, int]] = {
    **{name + suffix: how for name, how in _FUNCTIONS.items() for suffix in ("", "f", "l")},
    **{f"__mul{kind}c3": (_multiply, 2) for kind in "sdxt"},
    **{f"__div{kind}c3": (_divide, 2) for kind in "sdxt"},
}
"""What to emit for the functions, and of how many complex numbers they are."""


def expand_complex(module: Module, call: Call) -> bool:
    """Replace a call of one of these functions; return whether its arguments are understood."""
    assert call.callee_name is not None
    function, count = COMPLEX[call.callee_name]
    kind = _real_type(call.type)
    if kind is None or str(kind) not in ("float", "double", "x86_fp80"):
        return False
    to = Reals(module, call, kind)
    numbers: list[Value] = []
    for argument, attributes in zip(call.arguments, call.argument_attributes, strict=True):
        parts = _parts(to.at, argument, attributes, kind)
        if parts is None:
            return False
        numbers += parts
    if len(numbers) != 2 * count or any(n.type != kind for n in numbers):
        return False
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    result = function(_Complex(to, call), pairs)
    call.replace_all_uses_with(result if isinstance(result, Value) else _whole(to.at, result, call.type))
    call.erase()
    return True


def _real_type(type: Type) -> FloatType | None:
    match type:
        case FloatType():
            return type
        case StructType(elements=(FloatType() as first, FloatType() as second)) if first == second:
            return first
        case ArrayType(count=2, element=FloatType() as element):
            return element
        case VectorType(count=2, element=FloatType() as element):
            return element
        case _:
            return None


def _parts(at: Builder, value: Value, attributes: str, kind: FloatType) -> list[Value] | None:
    """Return the numbers that an argument consists of."""
    match value.type:
        case FloatType():
            return [value]
        case VectorType(count=2):
            return [
                at.insert(ExtractElement("extractelement", kind, [value, const_int(I32, k)]))
                for k in range(2)
            ]
        case ArrayType(count=2) | StructType(elements=(_, _)):
            return [at.extract_value(value, (k,)) for k in range(2)]
        case _ if "byval" in attributes:
            places = [value, at.gep(kind, value, [const_int(I64, 1)])]
            return [at.load(kind, place) for place in places]
        case _:
            return None


def _whole(at: Builder, parts: Parts, type: Type) -> Value:
    """Return two numbers as what a call returns."""
    whole: Value = Poison(type)
    for k, part in enumerate(parts):
        if isinstance(type, VectorType):
            index = const_int(I32, k)
            whole = at.insert(InsertElement("insertelement", type, [whole, part, index]))
        else:
            whole = at.insert_value(whole, part, (k,))
    return whole
