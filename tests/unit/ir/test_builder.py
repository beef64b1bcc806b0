from __future__ import annotations

import llvmlite.binding as llvm
import pytest

from coenzyme.ir import TRUE, Builder, const_float, const_int, parse_module, print_function, zero
from coenzyme.ir.instructions import Block, Function, Module
from coenzyme.ir.types import (
    F32,
    F64,
    I1,
    I8,
    I32,
    I64,
    PTR,
    FloatType,
    FunctionType,
    StructType,
    Type,
    VectorType,
)
from coenzyme.ir.values import Argument, ConstantInt, ConstantNull, ConstantZero, Poison


@pytest.fixture
def function() -> Function:
    types: tuple[Type, ...] = (F64, I64, PTR, I1)
    arguments = [Argument(t, n, i) for i, (t, n) in enumerate(zip(types, "xnpc", strict=True))]
    made = Function("f", FunctionType(F64, types), arguments)
    made.add_block(Block("entry"))
    return made


def test_every_method_makes_what_llvm_accepts(function: Function) -> None:
    module = Module()
    module.add_function(function)
    sine = module.declare("llvm.sin.f64", FunctionType(F64, (F64,)))
    x, n, p, c = function.arguments
    left, right, end = (function.add_block(Block(name)) for name in ("left", "right", ""))
    b = Builder(function.entry)
    for make in (b.fadd, b.fsub, b.fmul, b.fdiv, b.frem):
        make(x, x, flags=("nnan", "nsz"))
    for make in (
        b.add,
        b.sub,
        b.mul,
        b.sdiv,
        b.udiv,
        b.srem,
        b.urem,
        b.and_,
        b.or_,
        b.xor,
        b.shl,
        b.lshr,
        b.ashr,
    ):
        make(n, n)
    y = b.fneg(b.call(sine, [x], "s"))
    slot = b.alloca(F64, align=8)
    b.alloca(I8, n)
    b.store(y, slot, 8)
    z = b.load(F64, b.gep(StructType((I64, F64)), p, [n, const_int(I32, 1)], ("inbounds",)), 8)
    pair = b.insert_value(Poison(StructType((F64, I64))), z, 0)
    w = b.select(c, b.extract_value(pair, 0), b.freeze(y))
    b.call((FunctionType(F64, (F64,)), p), [w])
    near = b.fcmp("olt", b.cast("fptrunc", x, F32), const_float(F32, 0.1))
    b.not_(b.icmp("ult", b.cast("fptosi", x, I64), n))
    b.switch(n, left, [(const_int(I64, 3), right)])
    Builder(left).cond_branch(near, right, end)
    Builder(right).unreachable()
    b.position_at_end(end)
    b.ret(b.phi(F64, [(w, left)]))
    text = "\n".join(print_function(f) for f in module.functions.values())
    llvm.parse_assembly(text, llvm.create_context()).verify()
    assert print_function(parse_module(text).functions["f"]) == print_function(function)


def test_builder_inserts_in_front_of_an_instruction_in_order(function: Function) -> None:
    x = function.arguments[0]
    b = Builder(function.entry)
    last = b.ret(x)
    b = Builder.before(last)
    first = b.fmul(x, x)
    second = b.fadd(first, x)
    assert function.entry.instructions == [first, second, last]
    b.position_before(second)
    middle = b.fneg(first)
    assert function.entry.instructions == [first, middle, second, last]


def test_phis_stand_together_and_leave_the_builder_where_it_was(function: Function) -> None:
    x = function.arguments[0]
    b = Builder(function.entry)
    end = b.ret(x)
    b.position_before(end)
    square = b.fmul(x, x)
    first, second = b.phi(F64), b.phi(F64)
    cube = b.fmul(square, x)
    assert function.entry.instructions == [first, second, square, cube, end]


def test_integers_fold_where_nothing_is_left_to_do(function: Function) -> None:
    n = function.arguments[1]
    b = Builder(function.entry)
    nothing, one = const_int(I64, 0), const_int(I64, 1)
    assert b.add(n, nothing) is n
    assert b.add(nothing, n) is n
    assert b.sub(n, nothing) is n
    assert b.mul(one, n) is n
    product = b.mul(const_int(I64, 2**62), const_int(I64, 2))
    assert isinstance(product, ConstantInt)
    assert product.value == -(2**63)
    assert function.entry.instructions == []
    assert b.sub(nothing, n) is not n


def test_floats_never_fold_because_of_signed_zeros(function: Function) -> None:
    x = function.arguments[0]
    b = Builder(function.entry)
    assert b.fadd(x, zero(F64)) is not x
    assert b.fmul(const_float(F64, 1.0), x) is not x
    assert len(function.entry.instructions) == 2


def test_metadata_goes_onto_everything_made(function: Function) -> None:
    x = function.arguments[0]
    b = Builder(function.entry)
    b.metadata = {"dbg": "!7"}
    b.ret(b.fneg(x))
    assert [i.metadata for i in function.instructions()] == [{"dbg": "!7"}] * 2
    function.entry.instructions[0].metadata["tbaa"] = "!8"
    assert b.metadata == {"dbg": "!7"}


def test_a_cast_to_the_same_type_is_the_value_itself(function: Function) -> None:
    x = function.arguments[0]
    assert Builder(function.entry).cast("fpext", x, F64) is x


def test_gep_with_a_vector_of_indices_gives_a_vector_of_pointers(function: Function) -> None:
    vector = Argument(VectorType(2, I64), "v", 4)
    gep = Builder(function.entry).gep(F64, function.arguments[2], [vector])
    assert gep.type == VectorType(2, PTR)


def test_zero_has_the_spelling_of_its_type() -> None:
    assert isinstance(zero(PTR), ConstantNull)
    assert isinstance(zero(StructType((F64,))), ConstantZero)
    assert isinstance(zero(FloatType("half")), ConstantZero)
    assert TRUE.value == 1
