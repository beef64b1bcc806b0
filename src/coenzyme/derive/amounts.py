"""How many: polynomials in what the caller knows, such as the extents of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coenzyme.frontends.program import ArgumentLayout, Role
from coenzyme.ir.instructions import Binary, Call, Cast, ExtractValue, Freeze, Select
from coenzyme.ir.values import Argument, ConstantInt, Value

__all__ = ["Amount", "amount_of", "extents_of"]

_MOST_STEPS = 40
_CHECKED = ("llvm.smul.with.overflow.", "llvm.umul.with.overflow.")


@dataclass(frozen=True)
class Amount:
    """A polynomial with integer coefficients: for each product of names its factor.

    Examples
    --------
    >>> n = Amount.of("n")
    >>> str((n + Amount.number(-1)) * n * Amount.number(8))
    '8·n·n - 8·n'
    >>> (n * n).evaluate({"n": 3})
    9
    """

    terms: tuple[tuple[tuple[str, ...], int], ...] = ()

    @classmethod
    def of(cls, name: str) -> Amount:
        """Return what a name stands for."""
        return cls((((name,), 1),))

    @classmethod
    def number(cls, value: int) -> Amount:
        """Return a number."""
        return cls((((), value),)) if value else cls()

    @classmethod
    def _collect(cls, pairs: list[tuple[tuple[str, ...], int]]) -> Amount:
        found: dict[tuple[str, ...], int] = {}
        for names, factor in pairs:
            key = tuple(sorted(names))
            found[key] = found.get(key, 0) + factor
        ordered = sorted(found.items(), key=lambda item: (-len(item[0]), item[0]))
        return cls(tuple((names, factor) for names, factor in ordered if factor))

    def __add__(self, other: Amount) -> Amount:
        return self._collect([*self.terms, *other.terms])

    def __mul__(self, other: Amount) -> Amount:
        return self._collect([(a + b, x * y) for a, x in self.terms for b, y in other.terms])

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        parts: list[str] = []
        for names, factor in self.terms:
            size = abs(factor)
            text = "·".join([*([str(size)] if size != 1 or not names else []), *names])
            sign = "-" if factor < 0 else "+"
            parts.append(f" {sign} {text}" if parts else text if factor > 0 else f"-{text}")
        return "".join(parts) or "0"

    def evaluate(self, known: Mapping[str, int]) -> int | None:
        """Return the value where these names have these values; None where some have none."""
        total = 0
        for names, factor in self.terms:
            for name in names:
                if name not in known:
                    return None
                factor *= known[name]  # noqa: PLW2901 - the product so far
            total += factor
        return total


def amount_of(
    value: Value, name_of: Callable[[Argument], Amount | None], steps: int = _MOST_STEPS
) -> Amount | None:
    """Return an integer of a function as an amount of its arguments, None where it is another one.

    Parameters
    ----------
    name_of
        A parameter in the user's terms.
    steps
        How far to look.

    Notes
    -----
    A choice between a number of iterations and a constant, for a loop not entered, counts as the first.
    """
    if steps == 0:
        return None

    def inner(operand: Value) -> Amount | None:
        return amount_of(operand, name_of, steps - 1)

    match value:
        case ConstantInt():
            return Amount.number(value.value)
        case Argument():
            return name_of(value)
        case Cast() | Freeze() if value.opcode in ("sext", "zext", "trunc", "freeze"):
            return inner(value.operands[0])
        case Binary() if value.opcode in ("add", "sub", "mul", "shl"):
            return _combined(value, inner)
        case ExtractValue() if value.indices == (0,):
            return _checked_product(value.operands[0], inner)
        case Select():
            return _chosen(value.operands[1:], inner)
        case Call() if (value.callee_name or "").startswith(("llvm.smax.", "llvm.umax.")):
            return _chosen(value.arguments, inner)
        case _:
            return None


def _combined(value: Binary, inner: Callable[[Value], Amount | None]) -> Amount | None:
    a, b = (inner(operand) for operand in value.operands)
    if a is None or b is None:
        return None
    match value.opcode:
        case "add":
            return a + b
        case "sub":
            return a + b * Amount.number(-1)
        case "mul":
            return a * b
        case _:
            shift = b.evaluate({})
            return None if shift is None else a * Amount.number(1 << shift)


def _checked_product(checked: Value, inner: Callable[[Value], Amount | None]) -> Amount | None:
    """Return a product that comes with a word on whether it is too large a number."""
    if not isinstance(checked, Call) or not (checked.callee_name or "").startswith(_CHECKED):
        return None
    a, b = (inner(operand) for operand in checked.arguments)
    return None if a is None or b is None else a * b


def _chosen(arms: Sequence[Value], inner: Callable[[Value], Amount | None]) -> Amount | None:
    amounts = [inner(arm) for arm in arms]
    variable = [a for a in amounts if a is None or a.evaluate({}) is None]
    return variable[0] if len(variable) == 1 else None


_BYTES = {"double": 8, "float": 4, "i64": 8, "i32": 4, "i16": 2, "i8": 1}
_SHAPE = 5
"""An array's first components: block, owner, entries, bytes of one, data; then come its shape and strides."""


def extents_of(arguments: Sequence[ArgumentLayout], names: Sequence[str], first: int) -> dict[int, Amount]:
    """Return what integer parameters are to the user, by their numbers.

    Parameters
    ----------
    arguments
        The arguments.
    names
        What the user calls them.
    first
        The number of the first parameter of the first argument.
    """
    found: dict[int, Amount] = {}
    for argument, name in zip(arguments, names, strict=True):
        roles = [component.role for component in argument.components]
        if roles == [Role.INTEGER]:
            found[first] = Amount.of(name)
        elif Role.DATA in roles[:_SHAPE] and roles[0] is Role.MEMINFO:
            data = argument.components[_SHAPE - 1]
            dimensions = (len(roles) - _SHAPE) // 2
            found[first + 2] = Amount.of(f"{name}.size")
            if data.element in _BYTES:
                found[first + 3] = Amount.number(_BYTES[data.element] * data.lanes)
            for i in range(dimensions):
                extent = f"{name}.size" if dimensions == 1 else f"{name}.shape[{i}]"
                found[first + _SHAPE + i] = Amount.of(extent)
        first += len(roles)
    return found
