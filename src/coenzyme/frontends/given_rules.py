"""Functions of numbers whose partial derivatives a user has written, as rows of the rules' table.

Where our target compiles a call of such a function, it becomes one call of a name that has a row
(:mod:`coenzyme.rules.given`). A function that may raise, or loops, is called itself first, as one through
which nothing is differentiated, and the name passes on what it returned.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportIndexIssue=false

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from llvmlite import ir as llvmir
from numba.core import cgutils, types

from coenzyme.codegen import prepare
from coenzyme.errors import CompilationError
from coenzyme.frontends.numba_lower import lower
from coenzyme.frontends.numba_rules import is_ruled, lowered_function
from coenzyme.frontends.numba_target import find_twin
from coenzyme.ir.instructions import Call, Load, Store
from coenzyme.ir.parser import parse_module
from coenzyme.rules.given import GIVEN, Given, Signature, declare_inactive, register_given
from coenzyme.rules.rule import OperandKind, Rule
from coenzyme.rules.symbols import find_call_rule

__all__ = ["Partials", "type_use"]

_Part = tuple[str, str, OperandKind]
"""Name, LLVM type and kind of a number that is passed."""
_POLE = re.compile(r"= (?:fdiv|tail call|call) (?!i32)")
"""What may be infinite where its operands are finite."""
_numbers = count()
_SPELLED = {types.float64: "double", types.float32: "float"}


@dataclass(eq=False)
class Partials:
    """The partial derivatives of a function of numbers.

    Attributes
    ----------
    plain
        A dispatcher of the function that nothing else uses.
    partials
        For each argument a dispatcher, called with the function's value and its arguments.
    """

    plain: Any
    partials: Sequence[Any]

    def __post_init__(self) -> None:
        self.uses: dict[tuple[Any, ...], _Use] = {}

    def use(self, argtypes: tuple[Any, ...]) -> _Use:
        """Return what calls with these types become."""
        if argtypes not in self.uses:
            self.uses[argtypes] = _Use(self, argtypes)
        return self.uses[argtypes]


def type_use(partials: Partials, args: tuple[Any, ...]) -> tuple[Any, Callable[..., Any]]:
    """Return the signature of a call of the function, and what generates it, for an intrinsic."""
    use = partials.use(tuple(types.unliteral(a) for a in args))
    return use.restype(*args), use.generate


class _Use:
    def __init__(self, partials: Partials, argtypes: tuple[Any, ...]) -> None:
        self.partials = partials
        self.argtypes = argtypes
        self.name = str(partials.plain.py_func.__qualname__)
        self.program = lower(partials.plain, argtypes)
        self.restype = types.unliteral(self.program.restype)
        self.real = self.restype.underlying_float if isinstance(self.restype, types.Complex) else self.restype
        if self.real not in _SPELLED:
            raise self._refuse(f"returns {self.restype}", "let it return a float or a complex number")
        for kind in argtypes:
            if not isinstance(kind, (types.Number, types.Boolean)):
                raise self._refuse(f"takes an argument of type {kind}", "give it rules by defvjp and defjvp")
        self.text = prepare(self.program.text, self.program.entry, is_ruled)
        stem = f"{GIVEN}{next(_numbers)}"
        self.is_complex = isinstance(self.restype, types.Complex)
        self.is_simple = not self.is_complex and _is_simple(self.text, self.program.entry)
        self.outputs = [f"{stem}.re", f"{stem}.im"] if self.is_complex else [stem]
        self.float = _SPELLED[self.real]
        for output, symbol in enumerate(self.outputs):
            register_given(symbol, lambda output=output: self._make(output))

    def _refuse(self, message: str, remedy: str) -> CompilationError:
        message = f"{self.name} has partial derivatives, and {message}"
        return CompilationError(message, function=self.name, remedy=remedy)

    # -- the call

    def _parts(self) -> list[_Part]:
        """Return names, LLVM types and kinds of the numbers that are passed."""
        found: list[_Part] = []
        for number, kind in enumerate(self.argtypes):
            if isinstance(kind, types.Complex):
                found += [
                    (f"x{number}re", self.float, OperandKind.REAL),
                    (f"x{number}im", self.float, OperandKind.REAL),
                ]
            elif isinstance(kind, types.Float):
                found.append((f"x{number}", self.float, OperandKind.REAL))
            else:
                width = 1 if isinstance(kind, types.Boolean) else kind.bitwidth
                found.append((f"x{number}", f"i{width}", OperandKind.INTEGER))
        return found

    def generate(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        """Emit the call."""
        passed: list[Any] = []
        for value, given, kind in zip(args, signature.args, self.argtypes, strict=True):
            own = context.cast(builder, value, given, kind)
            if isinstance(kind, types.Complex):
                z = context.make_complex(builder, kind, own)
                passed += [
                    context.cast(builder, part, kind.underlying_float, self.real) for part in (z.real, z.imag)
                ]
            elif isinstance(kind, types.Float):
                passed.append(context.cast(builder, own, kind, self.real))
            else:
                passed.append(own)
        values: list[Any] = []
        if not self.is_simple:
            values = self._call_plain(context, builder, signature, args)
        float_type = context.get_value_type(self.real)
        results: list[Any] = []
        for symbol in self.outputs:
            operands = [*values, *passed]
            kind = llvmir.FunctionType(float_type, [o.type for o in operands])
            function = cgutils.get_or_insert_function(builder.module, kind, symbol)
            function.attributes.add("readnone")
            function.attributes.add("nounwind")
            results.append(builder.call(function, operands))
        if len(results) == 1:
            return results[0]
        z = context.make_complex(builder, self.restype)
        z.real, z.imag = results
        return z._getvalue()

    def _call_plain(self, context: Any, builder: Any, signature: Any, args: Any) -> list[Any]:
        twin = find_twin(self.partials.plain)
        compiled = twin.overloads[self.argtypes]
        declare_inactive(compiled.fndesc.llvm_func_name)
        context.active_code_library.add_linking_library(compiled.library)
        own = [
            context.cast(builder, v, given, kind)
            for v, given, kind in zip(args, signature.args, self.argtypes, strict=True)
        ]
        value = context.call_internal(builder, compiled.fndesc, compiled.signature, own)
        if isinstance(self.restype, types.Complex):
            z = context.make_complex(builder, self.restype, value)
            return [z.real, z.imag]
        return [value]

    # -- the row

    def _make(self, output: int) -> Given:
        families: dict[str, Signature] = {}
        texts: dict[str, str] = {}
        symbol = self.outputs[output]
        passed = self._parts()
        before = [] if self.is_simple else self._value_parts()
        expressions: list[str | None] = ["0"] * len(before)
        for number, kind in enumerate(self.argtypes):
            if isinstance(kind, (types.Float, types.Complex)):
                expressions += self._expressions(output, number, kind, families, texts)
            else:
                expressions.append(None)
        operands = [*before, *passed]
        rule = Rule(
            symbol,
            tuple(name for name, _, _ in operands),
            tuple(expressions),
            (),
            tuple(kind for _, _, kind in operands),
            has_pole=any(_POLE.search(text) for text in texts.values()),
        )
        texts[symbol] = self._definition(symbol, output)
        return Given(rule, self.float, families, texts)

    def _value_parts(self) -> list[_Part]:
        """Return what partials are told of the value."""
        if self.is_complex:
            return [(name, self.float, OperandKind.REAL) for name in ("v0", "v1")]
        return [("r" if self.is_simple else "v0", self.float, OperandKind.REAL)]

    def _value_in_row(self, output: int, families: dict[str, Signature]) -> list[str]:
        """Return the parts of the value as differentiable expressions: what is passed on is a constant."""
        if not self.is_complex:
            return ["r"]
        operands = [*self._value_parts(), *self._parts()]
        symbol = self.outputs[1 - output]
        family = symbol.replace(".", "_")
        families[family] = (symbol, tuple(t for _, t, _ in operands), self.float)
        other = f"{family}({', '.join(name for name, _, _ in operands)})"
        return [other, "r"] if output else ["r", other]

    def _expressions(
        self, output: int, number: int, kind: Any, families: dict[str, Signature], texts: dict[str, str]
    ) -> list[str]:
        """Return the partials in the parts of an argument, and add what they call."""
        function, produced = lowered_function(self.partials.partials[number], (self.restype, *self.argtypes))
        produced = types.unliteral(produced)
        if isinstance(produced, types.NoneType):
            return ["0", "0"] if isinstance(kind, types.Complex) else ["0"]
        is_complex = isinstance(produced, types.Complex)
        self._check_partial(number, kind, produced)
        stem = f"{self.outputs[0].removesuffix('.re')}.{output}.{number}"
        operands = [*self._value_parts(), *self._parts()]
        listed = ", ".join([*self._value_in_row(output, families), *(name for name, _, _ in self._parts())])
        calls: list[str] = []
        for part in range(2 if is_complex else 1):
            symbol = f"{stem}.d{part}"
            family = symbol.replace(".", "_")
            families[family] = (symbol, tuple(t for _, t, _ in operands), self.float)
            kinds = (self.restype, *self.argtypes)
            texts[symbol] = self._wrapped(symbol, (function.text, function.entry), kinds, produced, part)
            calls.append(f"{family}({listed})")
        real, imaginary = calls[0], calls[1] if is_complex else "0"
        if not isinstance(kind, types.Complex):
            return [imaginary if output else real]
        # Holomorphic: the Cauchy-Riemann equations.
        minus = f"-{imaginary}" if is_complex else "0"
        return [imaginary, real] if output else [real, minus]

    def _check_partial(self, number: int, kind: Any, produced: Any) -> None:
        if not isinstance(produced, (types.Number, types.Boolean)):
            raise self._refuse(
                f"its partial in argument {number} is of type {produced}", "let it return a number, or None"
            )
        if isinstance(produced, types.Complex) and not self.is_complex:
            raise self._refuse(
                f"its partial in argument {number} is complex and its value is not", "let it return a float"
            )
        if isinstance(kind, types.Complex) and not self.is_complex:
            raise self._refuse(
                "its value is real and an argument complex",
                "give it rules by defvjp and defjvp: it has no complex derivative",
            )

    def _definition(self, symbol: str, output: int) -> str:
        """Return what the name stands for in code that is not differentiated again."""
        if self.is_simple:
            own = (self.text, self.program.entry)
            return self._wrapped(symbol, own, self.argtypes, self.restype, output)
        operands = [*self._value_parts(), *self._parts()]
        parameters = ", ".join(f"{type} %{name}" for name, type, _ in operands)
        return (
            f'define {self.float} @"{symbol}"({parameters}) {{\nentry:\n  ret {self.float} %v{output}\n}}\n'
        )

    def _wrapped(
        self, symbol: str, own: tuple[str, str], kinds: tuple[Any, ...], produced: Any, part: int
    ) -> str:
        """Return text with a function of rows that calls one of Numba's; where that raises, it is NaN."""
        text, entry = own
        head = re.compile(rf'^define (?:dso_local )?(i32 @"?{re.escape(entry)}"?\()', re.MULTILINE)
        text = head.sub(r"define internal \1", text)
        given = self._parts() if kinds is self.argtypes else [*self._value_parts(), *self._parts()]
        parameters = ", ".join(f"{type} %{name}" for name, type, _ in given)
        wanted = [t for kind in kinds for t in _llvm_types(kind)]
        lines: list[str] = []
        passed: list[str] = []
        for (name, type, _), target in zip(given, wanted, strict=True):
            lines += _converted(f"%{name}", type, f"%p.{name}", target)
            passed.append(f"{target} {f'%{name}' if type == target else f'%p.{name}'}")
        place = _llvm_types(produced)
        slot = place[0] if len(place) == 1 else f"{{ {place[0]}, {place[1]} }}"
        stored = "i8" if isinstance(produced, types.Boolean) else place[0]
        slot = stored if isinstance(produced, types.Boolean) else slot
        index = f", i32 {part}" if len(place) == 2 else ""
        lines += [
            f"%slot = alloca {slot}",
            "%error = alloca ptr",
            f"store {slot} zeroinitializer, ptr %slot",
            f'%status = call i32 @"{entry}"(ptr %slot, ptr %error, {", ".join(passed)})',
            f"%place = getelementptr {slot}, ptr %slot, i32 0{index}",
            f"%raw = load {stored}, ptr %place",
            *_converted("%raw", stored, "%value", self.float),
            "%fine = icmp eq i32 %status, 0",
            f"%result = select i1 %fine, {self.float} {'%raw' if stored == self.float else '%value'}, "
            f"{self.float} 0x7FF8000000000000",
            f"ret {self.float} %result",
        ]
        body = "\n".join(f"  {line}" for line in lines)
        return f'{text}\ndefine {self.float} @"{symbol}"({parameters}) {{\nentry:\n{body}\n}}\n'


def _llvm_types(kind: Any) -> list[str]:
    """Return the LLVM types of the parts of a number."""
    match kind:
        case types.Complex():
            return [_SPELLED[kind.underlying_float]] * 2
        case types.Float():
            return [_SPELLED[kind]]
        case types.Boolean():
            return ["i1"]
        case _:
            return [f"i{kind.bitwidth}"]


def _converted(value: str, source: str, name: str, target: str) -> list[str]:
    """Return the instruction that makes `name` of another type from `value`, if it has another."""
    if source == target:
        return []
    if source.startswith("i"):
        return [f"{name} = sitofp {source} {value} to {target}"]
    return [f"{name} = {'fpext' if target == 'double' else 'fptrunc'} {source} {value} to {target}"]


def _is_simple(text: str, entry: str) -> bool:
    """Whether a prepared function of numbers computes without loops, and cannot fail."""
    function = parse_module(text).functions[entry]
    order = {block: number for number, block in enumerate(function.blocks)}
    for block in function.blocks:
        if any(order[s] <= order[block] for s in block.successors):
            return False
        for instruction in block.instructions:
            match instruction:
                case Store() if instruction.pointer is not function.arguments[0]:
                    return False
                case Call() if find_call_rule(instruction.callee_name or "") is None:
                    return False
                case Load():
                    return False
                case _ if instruction.opcode == "ret" and str(instruction.operands[0]) != "i32 0":
                    if getattr(instruction.operands[0], "value", None) != 0:
                        return False
                case _:
                    pass
    return True
