"""Compile LLVM text and call it: how the tests of the tables reach machine code."""

import ctypes

import llvmlite.binding as llvm

from coenzyme.ir.types import FloatType
from coenzyme.ir.values import spell_float
from coenzyme.rules import Expression, definitions, lower, symbol_for

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

C_TYPES = {
    "double": ctypes.c_double,
    "float": ctypes.c_float,
    "x86_fp80": ctypes.c_longdouble,
    "i32": ctypes.c_int,
}


class Compiled:
    """A module's machine code, and its functions as Python callables."""

    def __init__(self, text: str) -> None:
        module = llvm.parse_assembly(text)
        module.verify()
        machine = llvm.Target.from_default_triple().create_target_machine()
        self.engine = llvm.create_mcjit_compiler(module, machine)
        self.engine.finalize_object()

    def function(self, name: str, *types: str):
        """Return the function of that name; ``types`` are those of the result, then of the parameters."""
        prototype = ctypes.CFUNCTYPE(*(C_TYPES[t] for t in types))
        return prototype(self.engine.get_function_address(name))


class TextTarget:
    """The target of :func:`coenzyme.rules.lower` whose values are LLVM's names and constants."""

    def __init__(self, float_type: str) -> None:
        self.float_type = float_type
        self.lines: list[str] = []
        self.symbols = set()

    def _emit(self, text: str) -> str:
        name = f"%v{len(self.lines)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def constant(self, value):
        return spell_float(value, FloatType(self.float_type))

    def binary(self, opcode, a, b):
        return self._emit(f"{opcode} {self.float_type} {a}, {b}")

    def negate(self, a):
        return self._emit(f"fneg {self.float_type} {a}")

    def compare(self, predicate, a, b):
        return self._emit(f"fcmp {predicate} {self.float_type} {a}, {b}")

    def logical(self, op, a, b):
        return self._emit(f"{op} i1 {a}, {b}")

    def logical_not(self, a):
        return self._emit(f"xor i1 {a}, true")

    def select(self, c, a, b):
        return self._emit(f"select i1 {c}, {self.float_type} {a}, {self.float_type} {b}")

    def call(self, family, args):
        symbol = symbol_for(family, self.float_type)
        self.symbols.add(symbol)
        given = ", ".join(f"{t} {a}" for t, a in zip(symbol.parameter_types, args, strict=True))
        return self._emit(f"call {symbol.return_type} @{symbol.name}({given})")

    def integer_constant(self, value):
        return str(value)

    def integer_binary(self, opcode, a, b):
        return self._emit(f"{opcode} i32 {a}, {b}")

    def to_float(self, a):
        return self._emit(f"sitofp i32 {a} to {self.float_type}")


def declaration(symbol) -> str:
    return f"declare {symbol.return_type} @{symbol.name}({', '.join(symbol.parameter_types)})"


def function_of(expression: Expression, operands: dict[str, str], float_type: str) -> Compiled:
    """Return ``@f``, which computes an expression of operands of the given types."""
    target = TextTarget(float_type)
    result = lower(expression, {name: f"%{name}" for name in operands}, target)
    parameters = ", ".join(f"{t} %{name}" for name, t in operands.items())
    defined = definitions(symbol.name for symbol in target.symbols)
    lines = [
        defined,
        *(declaration(s) for s in target.symbols if not s.defined and f"@{s.name}(" not in defined),
        f"define {float_type} @f({parameters}) {{",
        *target.lines,
        f"  ret {float_type} {result}",
        "}",
    ]
    return Compiled("\n".join(lines))
