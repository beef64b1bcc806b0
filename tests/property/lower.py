"""Programs as LLVM modules, through Coenzyme's own builder.

The code is what a compiler makes before it optimises: every local in a stack slot. Functions are called as
Numba calls
them: ``i32 f(ptr retptr, ptr excinfo, …)`` returns a status, and no array is freed where it is that of
an error.
"""

from __future__ import annotations

from collections.abc import Callable

from coenzyme.ir.builder import Builder, const_float, const_int
from coenzyme.ir.instructions import Block, Function, Module
from coenzyme.ir.printer import print_module
from coenzyme.ir.types import F32, F64, I1, I8, I32, I64, PTR, VOID, FunctionType, Type
from coenzyme.ir.values import Argument, ConstantNull, Value
from tests.property.programs import (
    SIZE,
    Array,
    Binary,
    Body,
    Break,
    Choice,
    Clear,
    Compare,
    CompareIntegers,
    Condition,
    Continue,
    Counter,
    Either,
    Element,
    Entry,
    For,
    FromInteger,
    Fused,
    Helper,
    If,
    Integer,
    IntegerOperation,
    Invoke,
    Junction,
    Length,
    Local,
    Move,
    Number,
    Point,
    Pointer,
    Program,
    Raise,
    Real,
    Return,
    Reversed,
    Row,
    Scope,
    SetElement,
    SetEntry,
    SetInteger,
    SetLocal,
    Single,
    Statement,
    Swap,
    Switch,
    Temporary,
    Truncated,
    Unary,
    While,
    Whole,
    Window,
    Wrapped,
)

__all__ = ["ENTRY", "RAISED", "lower"]

ENTRY = "program"
RAISED = 1
"""The status of a program that raises."""

_BYTES = 8
_INTEGERS = {"+": "add", "-": "sub", "*": "mul"}
_RELATIONS = {"<": "slt", ">": "sgt", "<=": "sle", ">=": "sge", "==": "eq", "!=": "ne"}
_ORDERED = {"<": "olt", ">": "ogt", "<=": "ole", ">=": "oge", "==": "oeq", "!=": "une"}
_CONVENTION: tuple[tuple[str, Type], ...] = (("retptr", PTR), ("excinfo", PTR))
_PARAMETERS: tuple[tuple[str, Type], ...] = (
    *_CONVENTION,
    ("a", PTR),
    ("b", PTR),
    ("c", PTR),
    ("p", PTR),
    ("s", F64),
    ("t", F64),
    ("n", I64),
    ("m", I64),
    ("size", I64),
)
_OF_HELPER: tuple[tuple[str, Type], ...] = (
    *_CONVENTION,
    ("r", PTR),
    ("q", PTR),
    ("k", I64),
    ("x", F64),
    ("p", PTR),
    ("c", PTR),
    ("n", I64),
    ("m", I64),
    ("size", I64),
)


def lower(program: Program) -> str:
    """Return `program` as the text of a module whose entry is ``i32 program(ptr retptr, …)``."""
    module = Module()
    flags = ("reassoc", "nsz", "arcp", "contract") if program.relaxed else ()
    for helper in program.helpers:
        _declare(module, helper.name, _OF_HELPER)
    for helper in program.helpers:
        _Lowering(module, flags).helper(helper)
    _Lowering(module, flags).program(program)
    return print_module(module)


def _declare(module: Module, name: str, parameters: tuple[tuple[str, Type], ...]) -> Function:
    """Return a new function without code, which others may call already."""
    arguments = [Argument(type, parameter, i) for i, (parameter, type) in enumerate(parameters)]
    kind = FunctionType(I32, tuple(type for _, type in parameters))
    return module.add_function(Function(name, kind, arguments, suffix="nounwind"))


class _Lowering:
    """Emits one function."""

    def __init__(self, module: Module, flags: tuple[str, ...]) -> None:
        self.module = module
        self.flags = flags
        self.slots: dict[str, Value] = {}
        self.types: dict[str, Type] = {}
        self.loops: list[tuple[Block, Block, int]] = []
        self.scopes: list[Value | None] = []
        self.count = 0

    # -- functions

    def program(self, program: Program) -> None:
        self.begin(_declare(self.module, ENTRY, _PARAMETERS))
        for name, value in (("x", self.load("s")), ("y", self.load("t")), ("z", const_float(F64, 0.25))):
            self.set(name, F64, value)
        self.set("k", I64, const_int(I64, 0))
        self.set("l", I64, const_int(I64, 1))
        self.set("u", PTR, self.load("a"))
        self.set("v", PTR, self.load("a" if "b" in program.constant else "b"))
        self.body(program.body)
        self.end(self.real(program.result))

    def helper(self, helper: Helper) -> None:
        self.begin(self.module.functions[helper.name])
        self.set("y", F64, const_float(F64, 0.5))
        self.set("z", F64, self.load("x"))
        self.set("l", I64, const_int(I64, 0))
        self.body(helper.body)
        self.end(self.real(helper.result))

    def begin(self, function: Function) -> None:
        self.function = function
        self.entry = self.function.add_block(Block("entry"))
        self.at = Builder(self.function.add_block(Block("start")))
        self.first = self.at.block
        for argument in function.arguments:
            self.set(argument.name, argument.type, argument)

    def end(self, value: Value) -> None:
        """Return `value` at the end of the text. Slots are complete now, so that the entry can go on."""
        self.give_back(value)
        Builder(self.entry).branch(self.first)

    def give_back(self, value: Value) -> None:
        """Return `value` from where the builder stands."""
        self.release(0)
        self.at.store(value, self.load("retptr"), _BYTES)
        self.at.ret(const_int(I32, 0))

    def block(self, stem: str) -> Block:
        self.count += 1
        return self.function.add_block(Block(f"{stem}.{self.count}"))

    # -- locals

    def slot(self, name: str, type: Type) -> Value:
        if name not in self.slots:
            self.types[name] = type
            self.slots[name] = Builder(self.entry).alloca(type, 1, _BYTES, f"{name}.slot")
        return self.slots[name]

    def set(self, name: str, type: Type, value: Value) -> None:
        self.at.store(value, self.slot(name, type), _BYTES)

    def load(self, name: str) -> Value:
        return self.at.load(self.types[name], self.slots[name], _BYTES)

    # -- expressions

    def integer(self, tree: Integer) -> Value:
        at = self.at
        match tree:
            case Whole(value):
                return const_int(I64, value)
            case Counter(name):
                return self.load(name)
            case IntegerOperation(operator, left, right):
                first = self.integer(left)
                return at.binary(_INTEGERS[operator], first, self.integer(right))
            case Wrapped(value, low, width):
                modulus = const_int(I64, width)
                rest = at.srem(self.integer(value), modulus)
                raised = at.add(rest, modulus)
                negative = at.icmp("slt", rest, const_int(I64, 0))
                return at.add(at.select(negative, raised, rest), const_int(I64, low))
            case Entry(index):
                return at.load(I64, self.place(self.load("p"), self.integer(index), I64), _BYTES)
            case Truncated(value):
                scaled = at.fmul(const_float(F64, 4.0), self.real(value), flags=self.flags)
                return at.cast("fptosi", scaled, I64)
            case Length():
                raise TypeError(tree)

    def place(self, base: Value, index: Value, type: Type = F64) -> Value:
        return self.at.gep(type, base, [index], ("inbounds",))

    def pointer(self, tree: Pointer) -> Value:
        match tree:
            case Array(name):
                return self.load(name)
            case Row(index):
                first = self.at.mul(self.integer(index), const_int(I64, SIZE))
                return self.place(self.load("c"), first)
            case Window(start):
                return self.place(self.load("c"), self.integer(start))
            case Either(condition, yes, no):
                return self.choose(condition, PTR, lambda: self.pointer(yes), lambda: self.pointer(no))
            case Reversed():
                raise TypeError(tree)

    def real(self, tree: Real) -> Value:
        at = self.at
        match tree:
            case Number(value):
                return const_float(F64, value)
            case Local(name):
                return self.load(name)
            case Element(array, index):
                base = self.pointer(array)
                return self.at.load(F64, self.place(base, self.integer(index)), _BYTES)
            case Unary(operator, value):
                return self.unary(operator, self.real(value))
            case Binary(operator, left, right):
                first = self.real(left)
                return self.binary(operator, first, self.real(right))
            case Fused(left, right, addend):
                operands = [self.real(left), self.real(right), self.real(addend)]
                return self.mathematics("llvm.fma.f64", *operands)
            case Choice(condition, yes, no):
                return self.choose(condition, F64, lambda: self.real(yes), lambda: self.real(no))
            case FromInteger(value):
                whole = at.cast("sitofp", self.integer(value), F64)
                return self.at.fmul(const_float(F64, 0.25), whole, flags=self.flags)
            case Single(value):
                return self.at.cast("fpext", self.at.cast("fptrunc", self.real(value), F32), F64)
            case _:
                raise TypeError(tree)

    def mathematics(self, name: str, *operands: Value) -> Value:
        kind = FunctionType(F64, (F64,) * len(operands))
        suffix = "" if name.startswith("llvm.") else "nounwind willreturn memory(none)"
        flags = self.flags if name.startswith("llvm.") else ()
        return self.at.call(self.module.declare(name, kind, suffix), list(operands), flags=flags)

    def number(self, value: float) -> Value:
        return const_float(F64, value)

    def unary(self, operator: str, x: Value) -> Value:
        at, flags = self.at, self.flags
        match operator:
            case "neg":
                return at.fneg(x, flags=flags)
            case "sin" | "cos" | "fabs":
                return self.mathematics(f"llvm.{operator}.f64", x)
            case "tanh" | "atan":
                return self.mathematics(operator, x)
            case "swell":
                return self.mathematics("exp", self.mathematics("sin", x))
        square = at.fmul(x, x, flags=flags)
        match operator:
            case "bell":
                return self.mathematics("llvm.exp.f64", at.fneg(square, flags=flags))
            case "root":
                return self.mathematics("llvm.sqrt.f64", at.fadd(self.number(1.0), square, flags=flags))
            case "logarithm":
                return self.mathematics("llvm.log.f64", at.fadd(self.number(1.0), square, flags=flags))
        raise KeyError(operator)

    def binary(self, operator: str, x: Value, y: Value) -> Value:
        at, flags = self.at, self.flags
        match operator:
            case "+":
                return at.fadd(x, y, flags=flags)
            case "-":
                return at.fsub(x, y, flags=flags)
            case "*":
                return at.fmul(x, y, flags=flags)
            case "divide":
                below = at.fadd(self.number(1.5), at.fmul(y, y, flags=flags), flags=flags)
                return at.fdiv(x, below, flags=flags)
            # As Python's: the first operand unless the second is beyond it.
            case "min":
                return at.select(at.fcmp("olt", y, x), y, x)
            case "max":
                return self.mathematics("llvm.maxnum.f64", x, y)
            case "power":
                base = at.fadd(self.number(1.0), at.fmul(x, x, flags=flags), flags=flags)
                return self.mathematics("llvm.pow.f64", base, self.mathematics("llvm.sin.f64", y))
            case "distance":
                squares = at.fadd(self.number(0.5), at.fmul(x, x, flags=flags), flags=flags)
                total = at.fadd(squares, at.fmul(y, y, flags=flags), flags=flags)
                return self.mathematics("sqrt", total)
            case "angle":
                return self.mathematics(
                    "atan2", x, at.fadd(self.number(2.0), self.mathematics("sin", y), flags=flags)
                )
            case "copysign":
                return self.mathematics("llvm.copysign.f64", x, y)
        raise KeyError(operator)

    def condition(self, tree: Condition) -> Value:
        match tree:
            case Compare(operator, left, right):
                first = self.real(left)
                second = self.real(right)
                return self.at.fcmp(_ORDERED[operator], first, second)
            case CompareIntegers(operator, left, right):
                first = self.integer(left)
                second = self.integer(right)
                return self.at.icmp(_RELATIONS[operator], first, second)
            case Junction("and", left, right):
                return self.choose(left, I1, lambda: self.condition(right), lambda: const_int(I1, 0))
            case Junction(_, left, right):
                return self.choose(left, I1, lambda: const_int(I1, 1), lambda: self.condition(right))

    def choose(
        self, condition: Condition, type: Type, yes: Callable[[], Value], no: Callable[[], Value]
    ) -> Value:
        """Return what `yes` or `no` emits; only one of them runs."""
        self.count += 1
        name = f"choice{self.count}"
        then, otherwise, after = self.fork(condition)
        for block, emit in ((then, yes), (otherwise, no)):
            self.at.position_at_end(block)
            self.set(name, type, emit())
            self.at.branch(after)
        self.at.position_at_end(after)
        return self.load(name)

    def fork(self, condition: Condition) -> tuple[Block, Block, Block]:
        value = self.condition(condition)
        then, otherwise, after = self.block("then"), self.block("else"), self.block("end")
        self.at.cond_branch(value, then, otherwise)
        return then, otherwise, after

    # -- statements

    def body(self, body: Body) -> None:
        for statement in body:
            self.statement(statement)

    def branch_body(self, block: Block, body: Body, after: Block) -> None:
        self.at.position_at_end(block)
        self.body(body)
        self.at.branch(after)

    def statement(self, tree: Statement) -> None:  # noqa: C901, PLR0912, PLR0915 - one case for each kind
        at = self.at
        match tree:
            case SetLocal(name, value):
                self.set(name, F64, self.real(value))
            case Invoke():
                self.invoke(tree)
            case SetInteger(name, value):
                self.set(name, I64, self.integer(value))
            case SetElement(array, index, operator, value):
                self.set_element(array, index, operator, value)
            case SetEntry(index, value):
                stored = self.integer(value)
                at.store(stored, self.place(self.load("p"), self.integer(index), I64), _BYTES)
            case Point(name, value):
                self.set(name, PTR, self.pointer(value))
            case Swap(left, right):
                first, second = self.load(left), self.load(right)
                self.set(left, PTR, second)
                self.set(right, PTR, first)
            case Move(target, start, source, begin, count, apart):
                to = self.place(self.pointer(target), self.integer(start))
                origin = self.place(self.pointer(source), self.integer(begin))
                self.transfer("memcpy" if apart else "memmove", to, origin, self.integer(count))
            case Clear(target, start, count):
                to = self.place(self.pointer(target), self.integer(start))
                self.transfer("memset", to, None, self.integer(count))
            case If(condition, then, otherwise):
                yes, no, after = self.fork(condition)
                self.branch_body(yes, then, after)
                self.branch_body(no, otherwise, after)
                at.position_at_end(after)
            case Switch(value, cases):
                self.switch(value, cases)
            case For(index, start, stop, step, body):
                self.loop(index, start, stop, step, body)
            case While(counter, limit, condition, body):
                self.while_loop(counter, limit, condition, body)
            case Break():
                self.leave(self.loops[-1][0])
            case Continue():
                self.leave(self.loops[-1][1])
            case Return(value):
                result = self.real(value)
                self.give_back(result)
                at.position_at_end(self.block("dead"))
            case Raise(condition):
                yes, no, after = self.fork(condition)
                at.position_at_end(yes)
                at.store(ConstantNull(PTR), self.load("excinfo"), _BYTES)
                at.ret(const_int(I32, RAISED))
                at.position_at_end(no)
                at.branch(after)
                at.position_at_end(after)
            case Scope(name, on_heap, copied, body):
                assert not isinstance(copied, Temporary)
                self.local_array(name, on_heap, copied, body)
            case _:
                raise TypeError(tree)

    def invoke(self, tree: Invoke) -> None:
        given = [self.pointer(tree.array), self.pointer(tree.other)]
        given += [self.integer(tree.index), self.real(tree.value)]
        shared = [self.load(other) for other in ("p", "c", "n", "m", "size")]
        self.count += 1
        result, error = self.slot(f"result{self.count}", F64), self.slot(f"error{self.count}", PTR)
        self.at.store(const_float(F64, 0.0), result, _BYTES)
        status = self.at.call(self.module.functions[tree.helper], [result, error, *given, *shared])
        failed, after = self.block("failed"), self.block("end")
        self.at.cond_branch(self.at.icmp("eq", status, const_int(I32, 0)), after, failed)
        self.at.position_at_end(failed)
        self.at.store(self.at.load(PTR, error, _BYTES), self.load("excinfo"), _BYTES)
        self.at.ret(status)
        self.at.position_at_end(after)
        self.set(tree.name, F64, self.at.load(F64, result, _BYTES))

    def set_element(self, array: Pointer, index: Integer, operator: str, value: Real) -> None:
        if not operator:
            stored = self.real(value)
            self.at.store(stored, self.place(self.pointer(array), self.integer(index)), _BYTES)
            return
        base = self.pointer(array)
        place = self.place(base, self.integer(index))
        old = self.at.load(F64, place, _BYTES)
        self.at.store(self.binary(operator, old, self.real(value)), place, _BYTES)

    def transfer(self, kind: str, target: Value, source: Value | None, count: Value) -> None:
        size = self.at.mul(count, const_int(I64, _BYTES))
        if source is None:
            name, types = "llvm.memset.p0.i64", (PTR, I8, I64, I1)
            arguments: list[Value] = [target, const_int(I8, 0), size, const_int(I1, 0)]
        else:
            name, types = f"llvm.{kind}.p0.p0.i64", (PTR, PTR, I64, I1)
            arguments = [target, source, size, const_int(I1, 0)]
        self.at.call(self.module.declare(name, FunctionType(VOID, types)), arguments)

    def switch(self, value: Integer, cases: tuple[Body, ...]) -> None:
        chosen = self.integer(value)
        blocks, after = [self.block("case") for _ in cases], self.block("end")
        self.at.switch(chosen, blocks[-1], [(const_int(I64, i), b) for i, b in enumerate(blocks[:-1])])
        for block, body in zip(blocks, cases, strict=True):
            self.branch_body(block, body, after)
        self.at.position_at_end(after)

    def loop(self, index: str, start: Integer, stop: Integer, step: int, body: Body) -> None:
        first, last = self.integer(start), self.integer(stop)
        private = f"{index}.next"
        self.set(private, I64, first)
        head, inside = self.block("head"), self.block("body")
        following, after = self.block("next"), self.block("end")
        self.at.branch(head)
        self.at.position_at_end(head)
        current = self.load(private)
        self.at.cond_branch(self.at.icmp("slt" if step > 0 else "sgt", current, last), inside, after)
        self.at.position_at_end(inside)
        self.set(index, I64, current)
        self.loops.append((after, following, len(self.scopes)))
        self.body(body)
        self.loops.pop()
        self.at.branch(following)
        self.at.position_at_end(following)
        self.set(private, I64, self.at.add(self.load(private), const_int(I64, step), flags=("nsw",)))
        self.at.branch(head)
        self.at.position_at_end(after)

    def while_loop(self, counter: str, limit: Integer, condition: Condition, body: Body) -> None:
        self.set(counter, I64, const_int(I64, -1))
        head, inside, after = self.block("head"), self.block("body"), self.block("end")
        self.at.branch(head)
        self.at.position_at_end(head)
        following = self.at.add(self.load(counter), const_int(I64, 1), flags=("nsw",))
        more = self.block("more")
        self.at.cond_branch(self.at.icmp("slt", following, self.integer(limit)), more, after)
        self.at.position_at_end(more)
        self.at.cond_branch(self.condition(condition), inside, after)
        self.at.position_at_end(inside)
        self.set(counter, I64, following)
        self.loops.append((after, head, len(self.scopes)))
        self.body(body)
        self.loops.pop()
        self.at.branch(head)
        self.at.position_at_end(after)

    def leave(self, target: Block) -> None:
        self.release(self.loops[-1][2])
        self.at.branch(target)
        self.at.position_at_end(self.block("dead"))

    def local_array(self, name: str, on_heap: bool, copied: Pointer | None, body: Body) -> None:
        source = None if copied is None else self.pointer(copied)
        block = None
        if on_heap:
            kind = FunctionType(PTR, (I64, I32))
            allocate = self.module.declare("NRT_MemInfo_alloc_aligned", kind)
            block = self.at.call(allocate, [const_int(I64, SIZE * _BYTES), const_int(I32, 32)])
            payload = self.module.declare("NRT_MemInfo_data_fast", FunctionType(PTR, (PTR,)))
            data: Value = self.at.call(payload, [block])
        else:
            data = Builder(self.entry).alloca(F64, SIZE, 16, name)
        self.set(name, PTR, data)
        self.transfer("memcpy", data, source, const_int(I64, SIZE))
        self.scopes.append(block)
        self.body(body)
        self.release(len(self.scopes) - 1)
        self.scopes.pop()

    def release(self, depth: int) -> None:
        """Give back the blocks of all scopes but the first `depth`; the scopes stay open in the text."""
        for block in reversed(self.scopes[depth:]):
            if block is not None:
                decrease = self.module.declare("NRT_decref", FunctionType(VOID, (PTR,)))
                self.at.call(decrease, [block])
