"""Instructions, blocks, functions and modules.

One class for each shape of instruction; `opcode` tells instructions of one shape apart. Operands are
values; what is not a value (types, flags, predicates, targets) is an attribute.
Source: LLVM Language Reference Manual, "Instruction Reference".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coenzyme.ir.types import LABEL, PTR, VOID, FunctionType, Type
from coenzyme.ir.values import Argument, Constant, Global, Value

__all__ = [
    "Alloca",
    "AtomicReadModifyWrite",
    "Binary",
    "Block",
    "Branch",
    "Call",
    "Calling",
    "Cast",
    "Compare",
    "CompareExchange",
    "ExtractElement",
    "ExtractValue",
    "Fence",
    "Freeze",
    "Function",
    "GetElementPtr",
    "GlobalVariable",
    "InsertElement",
    "InsertValue",
    "Instruction",
    "Load",
    "Module",
    "Phi",
    "Return",
    "Select",
    "ShuffleVector",
    "Store",
    "Switch",
    "Unary",
    "Unreachable",
]


class Instruction(Value):
    """Base of all instructions.

    Attributes
    ----------
    opcode
        LLVM's name of the operation.
    operands
        The values used; change them with :meth:`set_operand` or :meth:`replace_operand`.
    flags
        Words after the opcode: ``nuw``, ``fast``, ``inbounds``, ``volatile`` …
    metadata
        Attachments: kind (``dbg``, ``tbaa`` …) to LLVM's text (``!12``).
    block
        The block the instruction stands in.
    """

    __slots__ = ("block", "flags", "metadata", "opcode", "operands")

    def __init__(
        self, opcode: str, type: Type, operands: Sequence[Value], name: str = "", flags: tuple[str, ...] = ()
    ) -> None:
        super().__init__(type, name)
        self.opcode = opcode
        self.operands: list[Value] = []
        self.flags = flags
        self.metadata: dict[str, str] = {}
        self.block: Block | None = None
        for operand in operands:
            self.add_operand(operand)

    def add_operand(self, value: Value) -> None:
        """Append an operand."""
        self.operands.append(value)
        if not isinstance(value, Constant):
            value.users[self] = value.users.get(self, 0) + 1

    def set_operand(self, index: int, value: Value) -> None:
        """Replace the operand at `index`."""
        self._forget(self.operands[index])
        self.operands[index] = value
        if not isinstance(value, Constant):
            value.users[self] = value.users.get(self, 0) + 1

    def replace_operand(self, old: Value, new: Value) -> None:
        """Replace every operand that is `old` by `new`."""
        for index, operand in enumerate(self.operands):
            if operand is old:
                self.set_operand(index, new)

    def drop_operands(self) -> None:
        """Use nothing any more; done before an instruction is thrown away."""
        for operand in self.operands:
            self._forget(operand)
        self.operands.clear()

    def _forget(self, value: Value) -> None:
        if isinstance(value, Constant):
            return
        count = value.users[self] - 1
        if count:
            value.users[self] = count
        else:
            del value.users[self]

    def erase(self) -> None:
        """Take the instruction out of its block and drop its operands."""
        assert self.block is not None
        self.block.instructions.remove(self)
        self.block = None
        self.drop_operands()

    @property
    def is_terminator(self) -> bool:
        """Whether the instruction ends a block."""
        return isinstance(self, Terminator)


class Unary(Instruction):
    """``fneg x``."""

    __slots__ = ()


class Binary(Instruction):
    """``add``, ``fmul``, ``shl`` … of two operands of the result's type."""

    __slots__ = ()


class Compare(Instruction):
    """``icmp`` or ``fcmp`` with a predicate."""

    __slots__ = ("predicate",)

    def __init__(
        self,
        opcode: str,
        predicate: str,
        type: Type,
        operands: Sequence[Value],
        name: str = "",
        flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__(opcode, type, operands, name, flags)
        self.predicate = predicate


class Cast(Instruction):
    """``sext``, ``fptosi``, ``bitcast`` …: one operand, converted to the result's type."""

    __slots__ = ()


class Select(Instruction):
    """``select cond, a, b``: operands in that order."""

    __slots__ = ()


class Freeze(Instruction):
    """``freeze x``."""

    __slots__ = ()


class Phi(Instruction):
    """``phi``: ``operands[i]`` comes in from ``incoming[i]``."""

    __slots__ = ("incoming",)

    def __init__(
        self,
        type: Type,
        pairs: Sequence[tuple[Value, Block]] = (),
        name: str = "",
        flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__("phi", type, [v for v, _ in pairs], name, flags)
        self.incoming: list[Block] = [b for _, b in pairs]

    def add_incoming(self, value: Value, block: Block) -> None:
        """Add the value that comes in from `block`."""
        self.add_operand(value)
        self.incoming.append(block)

    def value_from(self, block: Block) -> Value:
        """Return the value that comes in from `block`."""
        return self.operands[self.incoming.index(block)]

    @property
    def pairs(self) -> list[tuple[Value, Block]]:
        """The incoming (value, block) pairs."""
        return list(zip(self.operands, self.incoming, strict=True))


class Alloca(Instruction):
    """``alloca``: the only operand is the element count."""

    __slots__ = ("align", "allocated_type")

    def __init__(
        self,
        allocated_type: Type,
        count: Value,
        name: str = "",
        align: int = 0,
        flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__("alloca", PTR, [count], name, flags)
        self.allocated_type = allocated_type
        self.align = align


class Load(Instruction):
    """``load``: the operand is the pointer; `ordering` is LLVM's text for atomics, else empty."""

    __slots__ = ("align", "ordering")

    def __init__(
        self,
        type: Type,
        pointer: Value,
        name: str = "",
        align: int = 0,
        flags: tuple[str, ...] = (),
        ordering: str = "",
    ) -> None:
        super().__init__("load", type, [pointer], name, flags)
        self.align = align
        self.ordering = ordering

    @property
    def pointer(self) -> Value:
        """The address read."""
        return self.operands[0]


class Store(Instruction):
    """``store value, pointer``: operands in that order."""

    __slots__ = ("align", "ordering")

    def __init__(
        self,
        value: Value,
        pointer: Value,
        align: int = 0,
        flags: tuple[str, ...] = (),
        ordering: str = "",
    ) -> None:
        super().__init__("store", VOID, [value, pointer], "", flags)
        self.align = align
        self.ordering = ordering

    @property
    def value(self) -> Value:
        """The value written."""
        return self.operands[0]

    @property
    def pointer(self) -> Value:
        """The address written."""
        return self.operands[1]


class GetElementPtr(Instruction):
    """``getelementptr source_type, base, indices…``: operands are base, then indices."""

    __slots__ = ("source_type",)

    def __init__(
        self,
        source_type: Type,
        base: Value,
        indices: Sequence[Value],
        name: str = "",
        flags: tuple[str, ...] = (),
        type: Type = PTR,
    ) -> None:
        super().__init__("getelementptr", type, [base, *indices], name, flags)
        self.source_type = source_type


class ExtractValue(Instruction):
    """``extractvalue aggregate, indices``."""

    __slots__ = ("indices",)

    def __init__(self, type: Type, aggregate: Value, indices: tuple[int, ...], name: str = "") -> None:
        super().__init__("extractvalue", type, [aggregate], name)
        self.indices = indices


class InsertValue(Instruction):
    """``insertvalue aggregate, element, indices``."""

    __slots__ = ("indices",)

    def __init__(self, aggregate: Value, element: Value, indices: tuple[int, ...], name: str = "") -> None:
        super().__init__("insertvalue", aggregate.type, [aggregate, element], name)
        self.indices = indices


class ExtractElement(Instruction):
    """``extractelement vector, index``: operands in that order."""

    __slots__ = ()


class InsertElement(Instruction):
    """``insertelement vector, element, index``: operands in that order."""

    __slots__ = ()


class ShuffleVector(Instruction):
    """``shufflevector a, b, mask``: operands in that order."""

    __slots__ = ()


class Calling(Instruction):
    """What calls a function: operands are the arguments, then the callee last."""

    __slots__ = ()

    @property
    def callee(self) -> Value:
        """The function called."""
        return self.operands[-1]

    @property
    def arguments(self) -> list[Value]:
        """The actual arguments."""
        return self.operands[:-1]

    @property
    def callee_name(self) -> str | None:
        """The symbol called, or None for an indirect call."""
        callee = self.operands[-1]
        return callee.name if isinstance(callee, Global) else None


class Call(Calling):
    """``call``: operands are the arguments, then the callee last.

    `tail` is ``""``, ``tail``, ``musttail`` or ``notail``; `convention`, `return_attributes`,
    `argument_attributes` (one text an argument), `function_attributes` (text after the arguments:
    ``#3`` or words) and `bundles` are LLVM's text.
    """

    __slots__ = (
        "argument_attributes",
        "bundles",
        "convention",
        "function_attributes",
        "function_type",
        "return_attributes",
        "tail",
    )

    def __init__(
        self,
        function_type: FunctionType,
        callee: Value,
        arguments: Sequence[Value],
        name: str = "",
        flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__("call", function_type.result, [*arguments, callee], name, flags)
        self.function_type = function_type
        self.tail = ""
        self.convention = ""
        self.return_attributes = ""
        self.argument_attributes: list[str] = [""] * len(arguments)
        self.function_attributes = ""
        self.bundles = ""


class AtomicReadModifyWrite(Instruction):
    """``atomicrmw operation pointer, value``; `tail_text` is ordering and alignment."""

    __slots__ = ("operation", "tail_text")

    def __init__(
        self,
        operation: str,
        pointer: Value,
        value: Value,
        tail_text: str,
        name: str = "",
        flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__("atomicrmw", value.type, [pointer, value], name, flags)
        self.operation = operation
        self.tail_text = tail_text


class CompareExchange(Instruction):
    """``cmpxchg pointer, expected, new``; `tail_text` is orderings and alignment."""

    __slots__ = ("tail_text",)

    def __init__(
        self,
        type: Type,
        operands: Sequence[Value],
        tail_text: str,
        name: str = "",
        flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__("cmpxchg", type, operands, name, flags)
        self.tail_text = tail_text


class Fence(Instruction):
    """``fence``; `tail_text` is scope and ordering."""

    __slots__ = ("tail_text",)

    def __init__(self, tail_text: str) -> None:
        super().__init__("fence", VOID, [])
        self.tail_text = tail_text


class Terminator(Instruction):
    """An instruction that ends a block; `targets` are its successors, with repetitions."""

    __slots__ = ("targets",)

    def __init__(self, opcode: str, operands: Sequence[Value], targets: Sequence[Block]) -> None:
        super().__init__(opcode, VOID, operands)
        self.targets: list[Block] = list(targets)

    def replace_target(self, old: Block, new: Block) -> None:
        """Go to `new` wherever this went to `old`."""
        self.targets = [new if t is old else t for t in self.targets]


class Branch(Terminator):
    """``br label %a`` (no operand) or ``br i1 %c, label %a, label %b``."""

    __slots__ = ()

    def __init__(self, targets: Sequence[Block], condition: Value | None = None) -> None:
        super().__init__("br", [] if condition is None else [condition], targets)


class Switch(Terminator):
    """``switch value, default [cases]``.

    ``targets[0]`` is the default, ``targets[i + 1]`` goes with ``cases[i]``.
    """

    __slots__ = ("cases",)

    def __init__(self, value: Value, default: Block, cases: Sequence[tuple[Constant, Block]]) -> None:
        super().__init__("switch", [value], [default, *(b for _, b in cases)])
        self.cases: list[Constant] = [c for c, _ in cases]


class Return(Terminator):
    """``ret void`` (no operand) or ``ret value``."""

    __slots__ = ()

    def __init__(self, value: Value | None = None) -> None:
        super().__init__("ret", [] if value is None else [value], [])


class Unreachable(Terminator):
    """``unreachable``."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("unreachable", [], [])


class Block(Value):
    """A basic block: a name and instructions, the last of which is a terminator."""

    __slots__ = ("function", "instructions")

    def __init__(self, name: str) -> None:
        super().__init__(LABEL, name)
        self.instructions: list[Instruction] = []
        self.function: Function | None = None

    def append(self, instruction: Instruction) -> Instruction:
        """Add `instruction` at the end."""
        instruction.block = self
        self.instructions.append(instruction)
        return instruction

    def insert(self, index: int, instruction: Instruction) -> Instruction:
        """Insert `instruction` before the one at `index`."""
        instruction.block = self
        self.instructions.insert(index, instruction)
        return instruction

    @property
    def terminator(self) -> Terminator:
        """The last instruction."""
        last = self.instructions[-1]
        assert isinstance(last, Terminator), f"block {self.name} has no terminator"
        return last

    @property
    def successors(self) -> list[Block]:
        """The blocks control can go to, each once."""
        return list(dict.fromkeys(self.terminator.targets))

    @property
    def phis(self) -> list[Phi]:
        """The phis at the head of the block."""
        found: list[Phi] = []
        for instruction in self.instructions:
            if not isinstance(instruction, Phi):
                break
            found.append(instruction)
        return found


class Function(Global):
    """A function, defined (it has blocks) or declared.

    `prefix` is LLVM's text between ``define``/``declare`` and the return type (linkage, convention,
    return attributes); `suffix` the text between the closing parenthesis of the parameters and the
    body (``unnamed_addr #0 !dbg !4`` …). `ruled` says that derivatives come from a rule, not from the
    body, and that all a call writes is its result, behind the first parameter. `spared`, where it is not
    None, lists pointer parameters behind which a call writes nothing, and says that it stores no pointers.
    `custom` says that derivatives come from a user's rule; where `spared` is not None then, what the result
    leads to is new memory.
    `replayed` says that the reverse sweep runs a call again, for what that reads is then as it was.
    `is_foreign` says that it comes from code of which nobody declares what lies in its memory.
    """

    __slots__ = (
        "arguments",
        "blocks",
        "custom",
        "function_type",
        "is_foreign",
        "prefix",
        "replayed",
        "ruled",
        "spared",
        "suffix",
    )

    def __init__(
        self,
        name: str,
        function_type: FunctionType,
        arguments: Sequence[Argument] = (),
        prefix: str = "",
        suffix: str = "",
    ) -> None:
        super().__init__(name)
        self.function_type = function_type
        self.arguments: list[Argument] = list(arguments)
        self.blocks: list[Block] = []
        self.prefix = prefix
        self.suffix = suffix
        self.ruled = False
        self.custom = False
        self.replayed = False
        self.is_foreign = False
        self.spared: frozenset[int] | None = None

    @property
    def is_declaration(self) -> bool:
        """Whether the function has no body here."""
        return not self.blocks

    @property
    def entry(self) -> Block:
        """The block control enters by."""
        return self.blocks[0]

    def add_block(self, block: Block) -> Block:
        """Append `block`."""
        block.function = self
        self.blocks.append(block)
        return block

    def instructions(self) -> Iterator[Instruction]:
        """Iterate over all instructions in the order of the text."""
        for block in self.blocks:
            yield from block.instructions


class GlobalVariable(Global):
    """A global variable or alias; `text` is LLVM's line after ``@name = ``."""

    __slots__ = ("text",)

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name)
        self.text = text

    @property
    def is_constant(self) -> bool:
        """Whether the variable is declared ``constant``."""
        return " constant " in f" {self.text.split(chr(34))[0]} "


class Module:
    """A translation unit: types, globals, functions, attribute groups and metadata.

    What we do not change (data layout, attribute groups, metadata nodes) is kept as LLVM's text:
    `header` lines, `attributes` (``#3`` → body) and `metadata` (``!12`` → text after `` = ``), in order.
    """

    def __init__(self) -> None:
        self.header: list[str] = []
        self.named_types: dict[str, Type | None] = {}
        self.comdats: dict[str, str] = {}
        self.globals: dict[str, GlobalVariable] = {}
        self.functions: dict[str, Function] = {}
        self.attributes: dict[str, str] = {}
        self.metadata: dict[str, str] = {}

    def add_function(self, function: Function) -> Function:
        """Add `function`; its name must be new."""
        assert function.name not in self.functions, function.name
        self.functions[function.name] = function
        return function

    def declare(self, name: str, function_type: FunctionType, suffix: str = "") -> Function:
        """Return the function called `name`, declaring it where it is not known."""
        found = self.functions.get(name)
        if found is None:
            arguments = [Argument(t, "", i) for i, t in enumerate(function_type.parameters)]
            found = self.add_function(Function(name, function_type, arguments, suffix=suffix))
        return found
