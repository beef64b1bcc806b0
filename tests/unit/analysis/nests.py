"""Nests of loops over arrays, to analyse as LLVM text and to run in Python, access by access."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coenzyme.analysis.ranges import Ranges
from coenzyme.derive.normalise import Shape, normalise
from coenzyme.derive.subscripts import find_ranges, find_recurrences
from coenzyme.ir.instructions import Block, Instruction
from coenzyme.ir.parser import parse_module
from coenzyme.ir.values import Value

__all__ = ["Access", "For", "If", "Nest", "Read", "Step", "Write", "analyse", "run"]


@dataclass(frozen=True)
class Read:
    """``name = array[place]``; places and all other expressions are written in Python, with + - and *."""

    name: str
    array: str
    place: str


@dataclass(frozen=True)
class Write:
    """``array[place] = value``, a name or 1.0."""

    name: str
    array: str
    place: str
    value: str = "1.0"


@dataclass(frozen=True)
class For:
    """``for index in range(count)``."""

    index: str
    count: str
    body: tuple[Step, ...]
    at_end: bool = True
    """The test is at the end of the body, as LLVM has it, and not at its head."""
    guarded: bool = True
    """A test at the end comes after one before the loop: it may have no iterations."""


@dataclass(frozen=True)
class If:
    """``if left < right``."""

    left: str
    right: str
    body: tuple[Step, ...]


Step = Read | Write | For | If


@dataclass(frozen=True)
class Access:
    """One access of a run."""

    name: str
    array: str
    cell: int


@dataclass
class Nest:
    """What the analyses start from."""

    shape: Shape
    ranges: Ranges
    values: dict[str, Value]

    def __getitem__(self, name: str) -> Instruction:
        """Return the load, the store or the phi called `name`."""
        found = self.values[name]
        assert isinstance(found, Instruction)
        return found

    def block(self, name: str) -> Block:
        """Return where the access called `name` stands."""
        found = self[name].block
        assert found is not None
        return found


class _Text:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.block = "entry"
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def add(self, operation: str) -> str:
        name = self.name()
        self.lines.append(f"  %{name} = {operation}")
        return f"%{name}"

    def start(self, block: str) -> None:
        self.lines.append(f"{block}:")
        self.block = block

    def expression(self, node: ast.expr) -> str:
        match node:
            case ast.Name():
                return f"%{node.id}"
            case ast.Constant():
                return str(node.value)
            case ast.BinOp(op=op):
                a, b = self.expression(node.left), self.expression(node.right)
                opcode = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}[type(op)]
                return self.add(f"{opcode} i64 {a}, {b}")
            case _:
                raise AssertionError(ast.dump(node))

    def of(self, text: str) -> str:
        return self.expression(ast.parse(text, mode="eval").body)

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Read():
                    pointer = self.add(f"getelementptr double, ptr %{step.array}, i64 {self.of(step.place)}")
                    self.lines.append(f"  %{step.name} = load double, ptr {pointer}")
                case Write():
                    pointer = self.add(f"getelementptr double, ptr %{step.array}, i64 {self.of(step.place)}")
                    value = step.value if step.value == "1.0" else f"%{step.value}"
                    self.lines.append(f"  store double {value}, ptr {pointer}")
                case If():
                    inside, after = f"if.{self.name()}", f"end.{self.name()}"
                    test = self.add(f"icmp slt i64 {self.of(step.left)}, {self.of(step.right)}")
                    self.lines.append(f"  br i1 {test}, label %{inside}, label %{after}")
                    self.start(inside)
                    self.steps(step.body)
                    self.lines.append(f"  br label %{after}")
                    self.start(after)
                case For():
                    self.loop(step)

    def loop(self, step: For) -> None:
        i = step.index
        count = self.of(step.count)
        if step.at_end and step.guarded:
            guard = self.add(f"icmp sgt i64 {count}, 0")
            self.lines.append(f"  br i1 {guard}, label %{i}.pre, label %{i}.done")
            self.start(f"{i}.pre")
        else:
            self.lines.append(f"  br label %{i}.pre")
            self.start(f"{i}.pre")
        self.lines.append(f"  br label %{i}.head")
        self.start(f"{i}.head")
        self.lines.append(f"  %{i} = phi i64 [ 0, %{i}.pre ], [ %{i}.next, %{i}.latch ]")
        if not step.at_end:
            test = self.add(f"icmp slt i64 %{i}, {count}")
            self.lines.append(f"  br i1 {test}, label %{i}.body, label %{i}.done")
            self.start(f"{i}.body")
        self.steps(step.body)
        self.lines.append(f"  br label %{i}.latch")
        self.start(f"{i}.latch")
        self.lines.append(f"  %{i}.next = add nsw i64 %{i}, 1")
        if step.at_end:
            test = self.add(f"icmp eq i64 %{i}.next, {count}")
            self.lines.append(f"  br i1 {test}, label %{i}.exit, label %{i}.head")
            self.start(f"{i}.exit")
            self.lines.append(f"  br label %{i}.done")
        else:
            self.lines.append(f"  br label %{i}.head")
        self.start(f"{i}.done")


def analyse(steps: Sequence[Step], arrays: Sequence[str] = ("a", "b"), sizes: Sequence[str] = "nm") -> Nest:
    """Return the shape of a function of arrays and sizes that takes these steps."""
    text = _Text()
    text.start("entry")
    text.steps(steps)
    parameters = ", ".join([*(f"ptr %{a}" for a in arrays), *(f"i64 %{n}" for n in sizes)])
    body = "\n".join(text.lines)
    module = parse_module(f"define void @f({parameters}) {{\n{body}\n  ret void\n}}\n")
    function = module.functions["f"]
    stores = [i for i in function.instructions() if i.opcode == "store"]
    names = [step.name for step in _writes(steps)]
    values: dict[str, Value] = {a.name: a for a in function.arguments}
    values |= dict(zip(names, stores, strict=True))
    shape = normalise(function, {}, has_status=False)
    values |= {i.name: i for i in function.instructions() if i.name}
    return Nest(shape, find_ranges(shape, find_recurrences(shape)), values)


def _writes(steps: Sequence[Step]) -> list[Write]:
    found: list[Write] = []
    for step in steps:
        if isinstance(step, Write):
            found.append(step)
        elif isinstance(step, For | If):
            found += _writes(step.body)
    return found


def run(steps: Sequence[Step], sizes: Mapping[str, int]) -> list[Access]:
    """Return the accesses in order."""
    found: list[Access] = []
    for step in steps:
        match step:
            case Read() | Write():
                found.append(Access(step.name, step.array, _value(step.place, sizes)))
            case If():
                if _value(step.left, sizes) < _value(step.right, sizes):
                    found += run(step.body, sizes)
            case For():
                for i in range(_value(step.count, sizes)):
                    found += run(step.body, {**sizes, step.index: i})
    return found


def _value(text: str, names: Mapping[str, int]) -> int:
    return int(eval(text, {"__builtins__": {}}, dict(names)))
