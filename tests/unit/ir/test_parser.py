from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coenzyme.errors import ParseError
from coenzyme.ir import parse_module, print_function, print_instruction
from coenzyme.ir.instructions import Alloca, Call, Compare, Instruction, Load, Module, Switch
from coenzyme.ir.lexer import tokenize
from coenzyme.ir.types import F64, I64, PTR, FunctionType, PointerType, StructType, VectorType
from coenzyme.ir.values import ConstantAggregate, ConstantExpression, ConstantFloat, ConstantInt

GOLDEN = Path(__file__).parents[2] / "golden" / "ir" / "every_shape.ll"


def body(lines: str, *, module: str = "") -> list[Instruction]:
    """Return the instructions of a function with the parameters x, n, p and c."""
    text = f"""{module}
define void @f(double %x, i64 %n, ptr %p, i1 %c) {{
entry:
{lines}
  ret void
}}"""
    return parse_module(text).functions["f"].entry.instructions[:-1]


def one(line: str, *, module: str = "") -> Instruction:
    (instruction,) = body(line, module=module)
    return instruction


@pytest.mark.parametrize(
    "line",
    [
        "%a = icmp samesign ult i64 %n, 10",
        "%a = trunc nuw nsw i64 %n to i32",
        "%a = or disjoint i64 %n, 1",
        "%a = getelementptr inbounds nuw i8, ptr %p, i64 %n",
        '%a = load atomic volatile i64, ptr %p syncscope("x") acquire, align 8',
        "%a = alloca i8, i64 %n, align 16",
        "%a = call ptr %p(i64 1)",
        "%a = add i37 1, -7",
        "store volatile double %x, ptr %p, align 1, !tbaa !2, !noalias !3",
        "%a = uitofp nneg i64 %n to double",
        "%a = fptrunc nnan ninf double %x to float",
        "%a = atomicrmw volatile add ptr %p, i64 1 seq_cst, align 8",
        '%a = call i64 asm sideeffect "nop; #", "=r,r"(i64 %n)',
    ],
)
def test_an_instruction_is_printed_as_it_was_read(line: str) -> None:
    assert print_instruction(one(line)) == line


def test_compare_has_predicate_and_flags() -> None:
    compare = one("%a = fcmp fast ogt double %x, 0x7FF0000000000000")
    assert isinstance(compare, Compare)
    assert (compare.predicate, compare.flags) == ("ogt", ("fast",))
    infinity = compare.operands[1]
    assert isinstance(infinity, ConstantFloat)
    assert infinity.value == float("inf")


def test_call_has_its_attributes_apart() -> None:
    call = one(
        "%a = tail call fast cc 10 noundef nonnull align 8 dereferenceable(16) ptr"
        " @g(i64 noundef range(i64 0, 5) %n, ptr captures(none) byval({ i64, ptr }) align 4 %p)"
        ' #3 [ "kind"(i32 1) ], !prof !1',
        module="declare ptr @g(i64, ptr)",
    )
    assert isinstance(call, Call)
    assert (call.tail, call.convention, call.flags) == ("tail", "cc 10", ("fast",))
    assert call.return_attributes == "noundef nonnull align 8 dereferenceable(16)"
    assert call.argument_attributes == [
        "noundef range(i64 0, 5)",
        "captures(none) byval({ i64, ptr }) align 4",
    ]
    assert call.function_attributes == "#3"
    assert call.bundles == '["kind"(i32 1)]'
    assert call.metadata == {"prof": "!1"}
    assert call.callee_name == "g"
    assert call.function_type == FunctionType(PTR, (I64, PTR))


def test_a_variadic_call_keeps_its_signature() -> None:
    call = one("%a = call i32 (ptr, ...) @printf(ptr %p, double %x)", module="declare i32 @printf(ptr, ...)")
    assert isinstance(call, Call)
    assert call.function_type.variadic
    assert call.function_type.parameters == (PTR,)
    assert len(call.arguments) == 2


def test_constant_expressions_are_read_to_the_leaves() -> None:
    load = one(
        "%a = load double, ptr getelementptr inbounds ([4 x double], ptr @g, i64 0,"
        " i64 add (i64 ptrtoint (ptr @g to i64), i64 1)), align 8",
        module="@g = global [4 x double] zeroinitializer",
    )
    assert isinstance(load, Load)
    gep = load.pointer
    assert isinstance(gep, ConstantExpression)
    assert (gep.opcode, gep.flags, str(gep.source_type)) == ("getelementptr", ("inbounds",), "[4 x double]")
    total = gep.operands[2]
    assert isinstance(total, ConstantExpression)
    assert total.opcode == "add"


def test_splat_is_a_vector_of_equal_elements() -> None:
    vector = one("%a = fadd <3 x double> splat (double 2.0), zeroinitializer").operands[0]
    assert isinstance(vector, ConstantAggregate)
    assert vector.type == VectorType(3, F64)
    assert len(vector.elements) == 3


def test_types_follow_from_operands() -> None:
    found = body("""
  %a = cmpxchg weak ptr %p, i64 1, i64 2 acq_rel monotonic, align 8
  %b = extractvalue { i64, i1 } %a, 1
  %d = icmp eq <2 x i64> zeroinitializer, splat (i64 1)
  %e = getelementptr i8, ptr %p, <2 x i64> zeroinitializer
  %g = alloca i32, align 4, addrspace(5)
  %h = shufflevector <2 x double> zeroinitializer, <2 x double> poison, <4 x i32> zeroinitializer
""")
    assert [str(i.type) for i in found] == [
        "{ i64, i1 }",
        "i1",
        "<2 x i1>",
        "<2 x ptr>",
        "ptr addrspace(5)",
        "<4 x double>",
    ]
    assert isinstance(found[4], Alloca)
    assert found[4].type == PointerType(5)


def test_named_structs_are_looked_into() -> None:
    extract = one("%a = extractvalue %pair poison, 1", module="%pair = type { i64, double }")
    assert extract.type == F64


def test_a_switch_may_stand_on_several_lines_or_one() -> None:
    text = """
define void @f(i64 %n) {
  switch i64 %n, label %"a]" [
    i64 1, label %"a]"
    i64 -2, label %b
  ], !prof !0
"a]":
  switch i64 %n, label %b [ i64 0, label %b ]
b:
  ret void
}"""
    function = parse_module(text).functions["f"]
    first, second = (block.terminator for block in function.blocks[:2])
    assert isinstance(first, Switch)
    assert [c.value for c in first.cases if isinstance(c, ConstantInt)] == [1, -2]
    assert [t.name for t in first.targets] == ["a]", "a]", "b"]
    assert first.metadata == {"prof": "!0"}
    assert isinstance(second, Switch)
    assert len(second.cases) == 1


def test_forward_references_leave_no_placeholder_behind() -> None:
    function = parse_module("""
define i64 @f(i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %twice = add i64 %i, %i
  %next = add i64 %i, 1
  br label %loop
}""").functions["f"]
    phi, twice, following, _ = function.blocks[1].instructions
    assert phi.operands[1] is following
    assert following.users == {phi: 1}
    assert phi.users == {twice: 2, following: 1}


def test_numbered_locals_and_blocks_get_names() -> None:
    function = parse_module("""
define i64 @f(i64 %0, i64 %n, ptr %1) {
  %3 = add i64 %0, %n
  br label %4
4:                                                ; preds = %2
  %5 = phi i64 [ %3, %2 ]
  ret i64 %5
}""").functions["f"]
    assert [a.name for a in function.arguments] == ["v0", "n", "v1"]
    assert [b.name for b in function.blocks] == ["b2", "b4"]
    assert "%v5 = phi i64 [ %v3, %b2 ]" in print_function(function)


def test_a_numbered_local_and_one_named_alike_stay_apart() -> None:
    function = parse_module("""
define i64 @f(i64 %0, i64 %v0) {
  %2 = sub i64 %0, %v0
  ret i64 %2
}""").functions["f"]
    assert "sub i64 %v0, %v0.0" in print_function(function)


def test_what_serves_a_debugger_or_is_a_hint_is_left_out() -> None:
    found = body(
        """
    #dbg_value(i64 %n, !1, !DIExpression(), !2)
  call void @llvm.dbg.value(metadata i64 %n, metadata !1, metadata !DIExpression()), !dbg !2
  call void @llvm.assume(i1 true) [ "align"(ptr %p, i64 8) ]
""",
        module="declare void @llvm.assume(i1)\ndeclare void @llvm.dbg.value(metadata, metadata, metadata)",
    )
    assert [print_instruction(i) for i in found] == ["call void @llvm.assume(i1 true)"]


def test_frame_of_a_module_is_kept_by_name() -> None:
    module: Module = parse_module("""
%"a b" = type opaque
$c = comdat any
@"\\01x" = internal constant i8 3, comdat($c)
declare !dbg !3 noundef double @g(double noundef, ptr byval({ i8 }) align 8) #1
define linkonce_odr noundef { double, i64 } @h(i64) local_unnamed_addr #1 personality ptr @g {
  ret { double, i64 } zeroinitializer
}
attributes #1 = { nounwind }
!named = !{!3}
!3 = distinct !{!3}
""")
    assert module.named_types == {"a b": None}
    assert module.comdats == {"c": "comdat any"}
    assert module.globals["\x01x"].is_constant
    assert module.attributes == {"#1": "{ nounwind }"}
    assert module.metadata == {"!named": "!{!3}", "!3": "distinct !{!3}"}
    g, h = module.functions.values()
    assert (g.prefix, g.suffix) == ("!dbg !3 noundef", "#1")
    assert [a.attributes for a in g.arguments] == ["noundef", "byval({ i8 }) align 8"]
    assert (h.prefix, h.suffix) == ("linkonce_odr noundef", "local_unnamed_addr #1 personality ptr @g")
    assert h.function_type == FunctionType(StructType((F64, I64)), (I64,))


@pytest.mark.parametrize(
    ("line", "what", "under"),
    [
        ("%a = fadd double %x, )", "expected a value", ")"),
        ("%a = frobnicate double %x", "unknown instruction 'frobnicate'", "frobnicate"),
        ("%a = fadd double %x, %y", "%y is not defined", "%y"),
        ("%a = fadd double %x, @y", "@y is not defined", "@y"),
        ("%x = fadd double %x, %x", "defined twice", "%x"),
        ("%a = fadd wide %x, %x", "expected a type", "%x"),
        ("%a = fadd double %x %x", "expected ','", "%x"),
        ("%a = load double, ptr %p, align 8, nonsense", "did not expect this", "nonsense"),
        ("%a = fadd double %x, %x %x", "did not expect this", "%x"),
        ("%a = call double @f(double %x", "expected ','", ""),
        ('call void @f() [ "deopt"(ptr %p) ]', "operand bundle that names a local", ""),
        ("catchret from %p to label %b", "unknown instruction 'catchret'", "catchret"),
        ("br label %nowhere", "no block is labelled %nowhere", None),
    ],
)
def test_what_is_not_understood_is_shown_with_a_caret(line: str, what: str, under: str | None) -> None:
    with pytest.raises(ParseError) as caught:
        one(f"  {line}")
    message, shown, caret, *_ = str(caught.value).splitlines()
    assert what in message
    assert caught.value.function == "f"
    if under is not None:
        assert message.startswith("line 4:")
        assert shown.strip() == line
        assert shown[caret.index("^") :].startswith(under)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "define void @f() {\nentry:\n  ret void",
        "define void @f() {\nentry:\n  %x = add i64 1, 2\n}",
        "define void @f() {\na:\n  ret void\na:\n  ret void\n}",
        "declare void @f()\ndeclare void @f()",
        "declare void f()",
        "%x = kind { i8 }",
        "@x",
    ],
)
def test_a_broken_module_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"line \d+: "):
        parse_module(text)


@given(st.data())
def test_a_damaged_line_is_a_parse_error_or_another_instruction(data: st.DataObject) -> None:
    lines = GOLDEN.read_text().splitlines()
    inside = [i for i, line in enumerate(lines) if line.startswith("  ") and line.strip()]
    index = data.draw(st.sampled_from(inside))
    tokens = tokenize(lines[index])
    place = data.draw(st.integers(0, len(tokens) - 1))
    put = data.draw(st.sampled_from(["", "%v0", "i64", "(", "]", ",", "7", "metadata", "asm", "!3", "label"]))
    lines[index] = "  " + " ".join([*tokens[:place], put, *tokens[place + 1 :]])
    # Anything but a ParseError fails the test.
    with contextlib.suppress(ParseError):
        parse_module("\n".join(lines))


def test_typed_pointers_are_refused_with_a_remedy() -> None:
    with pytest.raises(ParseError, match=r"llvmlite 0\.46"):
        parse_module("declare void @f(i8*)")


def test_a_long_line_is_shown_around_the_caret() -> None:
    padding = ", ".join(["double %x"] * 200)
    with pytest.raises(ParseError) as caught:
        one(f"  call void @f({padding}, wide %x, {padding})")
    _, shown, caret, *_ = str(caught.value).splitlines()
    assert len(shown) < 130
    assert shown[caret.index("^") :].startswith("wide %x")
