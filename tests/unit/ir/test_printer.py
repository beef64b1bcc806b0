from __future__ import annotations

import llvmlite.binding as llvm
import pytest

from coenzyme.ir import Builder, parse_module, print_constant, print_function, print_instruction, print_module
from coenzyme.ir.instructions import Block, Function
from coenzyme.ir.types import F64, I1, I64, PTR, ArrayType, FunctionType, StructType
from coenzyme.ir.values import (
    Argument,
    Constant,
    ConstantAggregate,
    ConstantExpression,
    ConstantInt,
    Global,
    Value,
)


def doubled(names: list[str], block: str = "entry") -> Function:
    """Return a function that adds to its argument once for each name."""
    function = Function("f", FunctionType(F64, (F64,)), [Argument(F64, "x", 0)])
    b = Builder(function.add_block(Block(block)))
    value: Value = function.arguments[0]
    for name in names:
        value = b.fadd(value, value, name)
    b.ret(value)
    return function


def test_nameless_values_get_names_nobody_has() -> None:
    function = doubled(["", "v0", ""], block="")
    lines = print_function(function).splitlines()
    assert lines[1] == "b0:"
    assert [line.split()[0] for line in lines[2:5]] == ["%v1", "%v0", "%v2"]
    llvm.parse_assembly(print_function(function), llvm.create_context()).verify()


def test_the_first_bearer_keeps_a_name_and_the_others_are_numbered() -> None:
    function = doubled(["x", "a", "a"], block="a")
    lines = print_function(function).splitlines()
    assert lines[1] == "a:"
    assert [line.split()[0] for line in lines[2:5]] == ["%x.0", "%a.0", "%a.1"]
    llvm.parse_assembly(print_function(function), llvm.create_context()).verify()


def test_printing_changes_nothing_and_repeats_itself() -> None:
    function = doubled(["", "x", ""])
    assert print_function(function) == print_function(function)
    assert [i.name for i in function.instructions()] == ["", "x", "", ""]


def test_names_that_need_quotes_are_quoted() -> None:
    function = doubled(["a b", "0", 'q"\\'], block="1 2")
    text = print_function(function)
    assert '%"q\\22\\5C" = fadd double %"0", %"0"' in text
    assert '\n"1 2":' in text
    llvm.parse_assembly(text, llvm.create_context()).verify()


def test_an_instruction_is_printed_with_the_names_of_its_function() -> None:
    function = doubled(["", ""])
    assert print_instruction(function.entry.instructions[1]) == "%v1 = fadd double %v0, %v0"


@pytest.mark.parametrize(
    ("constant", "text"),
    [
        (ConstantInt(I1, 1), "true"),
        (ConstantInt(I64, -1), "-1"),
        (Global("a b"), '@"a b"'),
        (ConstantAggregate(ArrayType(1, I64), (ConstantInt(I64, 2),)), "[i64 2]"),
        (ConstantAggregate(StructType((), packed=True), ()), "<{}>"),
        (ConstantExpression("ptrtoint", I64, (Global("g"),)), "ptrtoint (ptr @g to i64)"),
        (
            ConstantExpression("getelementptr", PTR, (Global("g"), ConstantInt(I64, 8)), F64, ("inbounds",)),
            "getelementptr inbounds (double, ptr @g, i64 8)",
        ),
    ],
)
def test_constants_are_spelled_as_llvm_spells_them(constant: Constant, text: str) -> None:
    assert print_constant(constant) == text


def test_what_the_engine_does_not_read_is_printed_as_it_was() -> None:
    text = """target triple = "x86_64-unknown-linux-gnu"

%"odd name" = type <{ i8, [4 x float] }>
%hidden = type opaque
$c = comdat any
@g = global i32 3, comdat($c), align 4

declare void @h(ptr, ...) #0

attributes #0 = { nounwind "a"="b c" }
!llvm.ident = !{!0}
!0 = !{!"x = y"}
!1 = distinct !{!1}
"""
    assert print_module(parse_module(text)) == text


def test_names_too_long_for_llvm_are_shortened_and_stay_apart() -> None:
    long = "x" * 3000
    text = f"define double @f(double %a) {{\nentry:\n  %{long}1 = fadd double %a, %a\n"
    module = parse_module(text.replace(long, "short") + "  ret double %short1\n}\n")
    function = module.functions["f"]
    block = function.entry
    first = block.instructions[0]
    first.name = f"{long}y{long}"
    second = Builder(block, 1).fadd(first, first, name=f"{long}z{long}")
    block.terminator.set_operand(0, second)
    printed = print_module(module)
    assert max(len(word) for word in printed.split()) < 1024
    again = parse_module(printed).functions["f"].entry
    assert again.instructions[1].operands[0] is again.instructions[0]
    assert again.terminator.operands[0] is again.instructions[1]
