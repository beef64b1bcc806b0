"""From objects to LLVM's text.

Names are settled at printing: what has no name, or one that is taken, gets one that is unique in its
function. The objects are left as they are, and equal input gives equal text.
"""

from __future__ import annotations

from collections.abc import Callable

from coenzyme.ir.instructions import (
    Alloca,
    AtomicReadModifyWrite,
    Block,
    Branch,
    Call,
    Compare,
    CompareExchange,
    ExtractValue,
    Fence,
    Function,
    GetElementPtr,
    InsertValue,
    Instruction,
    Load,
    Module,
    Phi,
    Store,
    Switch,
)
from coenzyme.ir.jumps import CallingJump, IndirectBranch, LandingPad
from coenzyme.ir.opcodes import BINARIES, CASTS
from coenzyme.ir.types import I1, VOID, ArrayType, NamedType, StructType, Type, spell_name
from coenzyme.ir.values import (
    BlockAddress,
    Constant,
    ConstantAggregate,
    ConstantBytes,
    ConstantExpression,
    ConstantFloat,
    ConstantInt,
    ConstantNull,
    ConstantZero,
    Global,
    InlineAssembly,
    MetadataValue,
    Poison,
    Undef,
    Value,
)

__all__ = ["print_constant", "print_function", "print_instruction", "print_module"]

_LONGEST_NAME = 240
"""LLVM refuses local names of more than 1024 characters; Numba spells types in names, which makes them so."""


def print_module(module: Module) -> str:
    """Return LLVM's text of `module`, ready to be assembled."""
    parts: list[str] = [*module.header, ""]
    parts += [
        f"%{spell_name(name)} = type {'opaque' if body is None else body}"
        for name, body in module.named_types.items()
    ]
    parts += [f"${spell_name(name)} = {text}" for name, text in module.comdats.items()]
    parts += [f"@{spell_name(name)} = {g.text}" for name, g in module.globals.items()]
    for function in module.functions.values():
        parts += ["", print_function(function)]
    parts.append("")
    parts += [f"attributes {key} = {body}" for key, body in module.attributes.items()]
    parts += [f"{key} = {text}" for key, text in module.metadata.items()]
    return "\n".join(parts) + "\n"


def print_function(function: Function) -> str:
    """Return LLVM's text of `function`, a definition or a declaration."""
    names = {} if function.is_declaration else _settle_names(function)
    parameters = [_words(str(a.type), a.attributes, names.get(a, "")) for a in function.arguments]
    if function.function_type.variadic:
        parameters.append("...")
    head = _words(
        "declare" if function.is_declaration else "define",
        function.prefix,
        str(function.function_type.result),
        f"@{spell_name(function.name)}({', '.join(parameters)})",
        function.suffix,
    )
    if function.is_declaration:
        return head
    writer = _Writer(names)
    lines = [f"{head} {{"]
    for index, block in enumerate(function.blocks):
        if index:
            lines.append("")
        lines.append(f"{names[block][1:]}:")
        lines += [f"  {writer.line(i)}" for i in block.instructions]
    lines.append("}")
    return "\n".join(lines)


def print_instruction(instruction: Instruction) -> str:
    """Return LLVM's text of one instruction, with the names it has in its function."""
    function = instruction.block.function if instruction.block is not None else None
    return _Writer({} if function is None else _settle_names(function)).line(instruction)


def print_constant(constant: Constant) -> str:  # noqa: PLR0911 - one return for each kind
    """Return LLVM's text of `constant`, without its type."""
    match constant:
        case ConstantInt():
            if constant.type == I1:
                return "true" if constant.value else "false"
            return str(constant.value)
        case ConstantFloat():
            return constant.text
        case Global():
            return f"@{spell_name(constant.name)}"
        case ConstantNull():
            return "null"
        case ConstantZero():
            return "zeroinitializer"
        case Poison():
            return "poison"
        case Undef():
            return "undef"
        case ConstantAggregate():
            return _print_aggregate(constant)
        case ConstantBytes():
            return f'c"{constant.text}"'
        case ConstantExpression():
            return _print_expression(constant)
        case BlockAddress():
            return f"blockaddress(@{spell_name(constant.function.name)}, %{spell_name(constant.block)})"
        case InlineAssembly() | MetadataValue():
            return constant.text
        case _:
            raise TypeError(f"no spelling for {type(constant).__name__}")


def _print_aggregate(constant: ConstantAggregate) -> str:
    inner = ", ".join(f"{e.type} {print_constant(e)}" for e in constant.elements)
    match constant.type:
        case ArrayType():
            return f"[{inner}]"
        case StructType(packed=packed):
            body = f"{{ {inner} }}" if inner else "{}"
            return f"<{body}>" if packed else body
        case NamedType():
            body = f"{{ {inner} }}" if inner else "{}"
            return f"<{body}>" if constant.packed else body
        case _:
            return f"<{inner}>"


def _print_expression(constant: ConstantExpression) -> str:
    operands = ", ".join(f"{o.type} {print_constant(o)}" for o in constant.operands)
    opcode = " ".join((constant.opcode, *constant.flags))
    if constant.source_type is not None:
        return f"{opcode} ({constant.source_type}, {operands})"
    if constant.opcode in CASTS:
        return f"{opcode} ({operands} to {constant.type})"
    return f"{opcode} ({operands})"


def _shorten(name: str) -> str:
    """Return `name`, its middle left out where LLVM might find it too long for a local name."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}...{name[-half:]}"


def _settle_names(function: Function) -> dict[Value, str]:
    """Return the name, with sigil, of every argument, block and valued instruction of `function`."""
    values: list[Value] = list(function.arguments)
    for block in function.blocks:
        values.append(block)
        values += [i for i in block.instructions if i.type is not VOID and i.type != VOID]
    names: dict[Value, str] = {}
    taken: set[str] = set()
    clashing: list[Value] = []
    for value in values:
        name = _shorten(value.name)
        if name and name not in taken:
            taken.add(name)
            names[value] = f"%{spell_name(name)}"
        else:
            clashing.append(value)
    # A given name always wins over a made one, wherever it stands.
    counts: dict[str, int] = {}
    for value in clashing:
        stem = f"{_shorten(value.name)}." if value.name else "b" if isinstance(value, Block) else "v"
        number = counts.get(stem, 0)
        while f"{stem}{number}" in taken:
            number += 1
        counts[stem] = number + 1
        taken.add(f"{stem}{number}")
        names[value] = f"%{spell_name(f'{stem}{number}')}"
    return names


def _words(*parts: str) -> str:
    return " ".join(p for p in parts if p)


class _Writer:
    """Writes instructions with settled names; a value without one is spelled ``%<unknown name>``."""

    def __init__(self, names: dict[Value, str]) -> None:
        self.names = names
        self.types: dict[Type, str] = {}

    def type(self, type: Type) -> str:
        text = self.types.get(type)
        if text is None:
            text = self.types[type] = str(type)
        return text

    def value(self, value: Value) -> str:
        name = self.names.get(value)
        if name is not None:
            return name
        if isinstance(value, Constant):
            return print_constant(value)
        return f"%{spell_name(value.name or '<unnamed>')}"

    def typed(self, value: Value) -> str:
        return f"{self.type(value.type)} {self.value(value)}"

    def label(self, block: Block) -> str:
        return f"label {self.value(block)}"

    def line(self, instruction: Instruction) -> str:
        write = _WRITERS.get(instruction.opcode, _Writer.write_plain)
        text = write(self, instruction)
        if instruction.type != VOID:
            text = f"{self.value(instruction)} = {text}"
        for kind, node in instruction.metadata.items():
            text += f", !{kind} {node}"
        return text

    def head(self, instruction: Instruction) -> str:
        return " ".join((instruction.opcode, *instruction.flags)) if instruction.flags else instruction.opcode

    def write_plain(self, i: Instruction) -> str:
        """Return the form of ``select``, ``freeze``, ``fneg``, ``ret`` …: every operand with its type."""
        if not i.operands:
            return f"{i.opcode} void" if i.opcode == "ret" else i.opcode
        return f"{self.head(i)} {', '.join([self.typed(o) for o in i.operands])}"

    def write_binary(self, i: Instruction) -> str:
        a, b = i.operands
        return f"{self.head(i)} {self.type(a.type)} {self.value(a)}, {self.value(b)}"

    def write_compare(self, i: Instruction) -> str:
        assert isinstance(i, Compare)
        a, b = i.operands
        return f"{self.head(i)} {i.predicate} {self.type(a.type)} {self.value(a)}, {self.value(b)}"

    def write_cast(self, i: Instruction) -> str:
        return f"{self.head(i)} {self.typed(i.operands[0])} to {self.type(i.type)}"

    def write_phi(self, i: Instruction) -> str:
        assert isinstance(i, Phi)
        pairs = [f"[ {self.value(v)}, {self.value(b)} ]" for v, b in i.pairs]
        return f"{self.head(i)} {self.type(i.type)} {', '.join(pairs)}"

    def write_alloca(self, i: Instruction) -> str:
        assert isinstance(i, Alloca)
        count = i.operands[0]
        single = isinstance(count, ConstantInt) and count.value == 1
        text = f"{self.head(i)} {self.type(i.allocated_type)}" + ("" if single else f", {self.typed(count)}")
        return text + _align(i.align) + _address_space(i.type)

    def write_load(self, i: Instruction) -> str:
        assert isinstance(i, Load)
        ordering = f" {i.ordering}" if i.ordering else ""
        return f"{self.head(i)} {self.type(i.type)}, {self.typed(i.operands[0])}{ordering}{_align(i.align)}"

    def write_store(self, i: Instruction) -> str:
        assert isinstance(i, Store)
        value, pointer = i.operands
        ordering = f" {i.ordering}" if i.ordering else ""
        return f"{self.head(i)} {self.typed(value)}, {self.typed(pointer)}{ordering}{_align(i.align)}"

    def write_gep(self, i: Instruction) -> str:
        assert isinstance(i, GetElementPtr)
        operands = ", ".join([self.typed(o) for o in i.operands])
        return f"{self.head(i)} {self.type(i.source_type)}, {operands}"

    def write_extract_value(self, i: Instruction) -> str:
        assert isinstance(i, (ExtractValue, InsertValue))
        operands = ", ".join([self.typed(o) for o in i.operands])
        return f"{i.opcode} {operands}, {', '.join(map(str, i.indices))}"

    def write_call(self, i: Instruction) -> str:
        assert isinstance(i, Call | CallingJump)
        arguments: list[str] = []
        for value, attributes in zip(i.arguments, i.argument_attributes, strict=True):
            spelled = self.typed(value) if not attributes else None
            arguments.append(spelled or f"{self.type(value.type)} {attributes} {self.value(value)}")
        called = self.type(i.function_type if i.function_type.variadic else i.function_type.result)
        return _words(
            i.tail,
            i.opcode,
            *i.flags,
            i.convention,
            i.return_attributes,
            called,
            f"{self.value(i.callee)}({', '.join(arguments)})",
            i.function_attributes,
            i.bundles,
        )

    def write_calling_jump(self, i: Instruction) -> str:
        assert isinstance(i, CallingJump)
        back, *others = map(self.label, i.targets)
        rest = f"unwind {others[0]}" if i.opcode == "invoke" else f"[{', '.join(others)}]"
        return f"{self.write_call(i)} to {back} {rest}"

    def write_indirect_branch(self, i: Instruction) -> str:
        assert isinstance(i, IndirectBranch)
        return f"indirectbr {self.typed(i.operands[0])}, [{', '.join(map(self.label, i.targets))}]"

    def write_landing_pad(self, i: Instruction) -> str:
        assert isinstance(i, LandingPad)
        clauses = [f"{kind} {self.typed(o)}" for kind, o in zip(i.kinds, i.operands, strict=True)]
        return _words(f"landingpad {self.type(i.type)}", "cleanup" if i.is_cleanup else "", *clauses)

    def write_variadic(self, i: Instruction) -> str:
        return f"va_arg {self.typed(i.operands[0])}, {self.type(i.type)}"

    def write_atomic(self, i: Instruction) -> str:
        assert isinstance(i, AtomicReadModifyWrite)
        pointer, value = i.operands
        return f"{self.head(i)} {i.operation} {self.typed(pointer)}, {self.typed(value)} {i.tail_text}"

    def write_exchange(self, i: Instruction) -> str:
        assert isinstance(i, CompareExchange)
        return f"{self.head(i)} {', '.join([self.typed(o) for o in i.operands])} {i.tail_text}"

    def write_fence(self, i: Instruction) -> str:
        assert isinstance(i, Fence)
        return f"fence {i.tail_text}"

    def write_branch(self, i: Instruction) -> str:
        assert isinstance(i, Branch)
        return f"br {', '.join([*map(self.typed, i.operands), *map(self.label, i.targets)])}"

    def write_switch(self, i: Instruction) -> str:
        assert isinstance(i, Switch)
        cases = [
            f"\n    {self.typed(case)}, {self.label(target)}"
            for case, target in zip(i.cases, i.targets[1:], strict=True)
        ]
        return f"switch {self.typed(i.operands[0])}, {self.label(i.targets[0])} [{''.join(cases)}\n  ]"


def _align(align: int) -> str:
    return f", align {align}" if align else ""


def _address_space(type: Type) -> str:
    text = str(type)
    return f", {text[4:]}" if text.startswith("ptr a") else ""


_WRITERS: dict[str, Callable[[_Writer, Instruction], str]] = {
    **dict.fromkeys(BINARIES, _Writer.write_binary),
    **dict.fromkeys(CASTS, _Writer.write_cast),
    "icmp": _Writer.write_compare,
    "fcmp": _Writer.write_compare,
    "phi": _Writer.write_phi,
    "alloca": _Writer.write_alloca,
    "load": _Writer.write_load,
    "store": _Writer.write_store,
    "getelementptr": _Writer.write_gep,
    "extractvalue": _Writer.write_extract_value,
    "insertvalue": _Writer.write_extract_value,
    "call": _Writer.write_call,
    "atomicrmw": _Writer.write_atomic,
    "cmpxchg": _Writer.write_exchange,
    "fence": _Writer.write_fence,
    "invoke": _Writer.write_calling_jump,
    "callbr": _Writer.write_calling_jump,
    "indirectbr": _Writer.write_indirect_branch,
    "landingpad": _Writer.write_landing_pad,
    "va_arg": _Writer.write_variadic,
    "br": _Writer.write_branch,
    "switch": _Writer.write_switch,
}
