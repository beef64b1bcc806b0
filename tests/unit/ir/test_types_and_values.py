from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coenzyme.codegen import optimise
from coenzyme.ir.builder import const_int, neutral
from coenzyme.ir.instructions import Binary, Phi
from coenzyme.ir.lexer import decode_name
from coenzyme.ir.types import (
    F32,
    F64,
    I1,
    I8,
    I64,
    PTR,
    ArrayType,
    FloatType,
    FunctionType,
    IntType,
    NamedType,
    PointerType,
    StructType,
    VectorType,
    indexed_type,
    spell_name,
)
from coenzyme.ir.values import Argument, ConstantFloat, ConstantInt


@pytest.mark.parametrize(
    ("type", "text"),
    [
        (PointerType(3), "ptr addrspace(3)"),
        (ArrayType(2, ArrayType(3, F64)), "[2 x [3 x double]]"),
        (VectorType(4, F32, scalable=True), "<vscale x 4 x float>"),
        (StructType((I8, PTR)), "{ i8, ptr }"),
        (StructType((I8,), packed=True), "<{ i8 }>"),
        (StructType(()), "{}"),
        (NamedType("a b"), '%"a b"'),
        (FunctionType(F64, (PTR,), variadic=True), "double (ptr, ...)"),
    ],
)
def test_types_are_spelled_as_llvm_spells_them(type: object, text: str) -> None:
    assert str(type) == text


def test_indexed_type_goes_through_structs_arrays_and_names() -> None:
    inner = StructType((I64, ArrayType(2, F64)))
    assert indexed_type(StructType((I8, inner)), (1, 1, 0)) == F64
    assert indexed_type(NamedType("pair"), (0,), {"pair": inner}) == I64
    with pytest.raises(TypeError, match="has no member"):
        indexed_type(NamedType("pair"), (0,))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_name_survives_its_spelling(name: str) -> None:
    spelled = spell_name(name)
    assert spelled.isascii()
    assert decode_name(spelled) == name


def test_bytes_that_are_no_utf8_survive_too() -> None:
    assert spell_name(decode_name(r'"a\FF\C3"')) == r'"a\FF\C3"'


@given(st.floats())
def test_a_double_constant_keeps_every_bit(value: float) -> None:
    assert struct.pack("<d", ConstantFloat(F64, value).value) == struct.pack("<d", value)


def test_a_float_constant_is_rounded_to_single_precision() -> None:
    assert ConstantFloat(F32, 0.1).value == struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert math.isinf(ConstantFloat(F64, "0x7FF0000000000000").value)


@given(st.integers(), st.sampled_from([8, 16, 64]))
def test_integer_constants_wrap_to_their_signed_reading(value: int, width: int) -> None:
    wrapped = const_int(IntType(width), value).value
    assert -(1 << (width - 1)) <= wrapped < 1 << (width - 1)
    assert (wrapped - value) % (1 << width) == 0
    assert const_int(I1, value).value == value % 2


def test_users_count_operands_and_forget_them() -> None:
    x, y = Argument(F64, "x", 0), Argument(F64, "y", 1)
    square = Binary("fmul", F64, [x, x])
    assert x.users == {square: 2}
    square.set_operand(0, y)
    assert (x.users, y.users) == ({square: 1}, {square: 1})
    x.replace_all_uses_with(y)
    assert (x.users, y.users) == ({}, {square: 2})
    square.drop_operands()
    assert y.users == {}


def test_constants_keep_no_users() -> None:
    one = ConstantInt(I64, 1)
    Binary("add", I64, [one, one])
    Phi(I64).add_operand(one)
    assert one.users == {}


EXTENDED = FloatType("x86_fp80")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0xK00000000000000000000"),
        (-0.0, "0xK80000000000000000000"),
        (1.0, "0xK3FFF8000000000000000"),
        (-2.5, "0xKC000A000000000000000"),
        (math.inf, "0xK7FFF8000000000000000"),
        (-math.inf, "0xKFFFF8000000000000000"),
        (5e-324, "0xK3BCD8000000000000000"),
        (math.pi, "0xK4000C90FDAA22168C000"),
    ],
)
def test_constants_of_extended_precision_are_spelled_and_read(value: float, text: str) -> None:
    constant = ConstantFloat(EXTENDED, value)
    assert constant.text == text
    assert math.copysign(1.0, constant.value) == math.copysign(1.0, value)
    assert constant.value == value


def test_constants_wider_than_double_are_rounded_when_they_are_read() -> None:
    assert ConstantFloat(EXTENDED, "0xK3FFF8000000000000001").value == 1.0
    assert ConstantFloat(EXTENDED, "0xK73E78000000000000000").value == math.inf
    assert ConstantFloat(EXTENDED, "0xK00000000000000000001").value == 0.0
    assert math.isnan(ConstantFloat(EXTENDED, "0xK7FFFC000000000000000").value)
    assert math.isnan(ConstantFloat(EXTENDED, math.nan).value)


@pytest.mark.parametrize("name", ["half", "bfloat", "float", "double", "x86_fp80", "fp128"])
def test_adding_the_neutral_element_is_nothing_to_llvm(name: str) -> None:
    constant = neutral(FloatType(name))
    assert isinstance(constant, ConstantFloat)
    text = f"define {name} @f({name} %x) {{\n  %y = fadd {name} %x, {constant.text}\n  ret {name} %y\n}}\n"
    assert "fadd" not in optimise(text, 1)
    assert "fadd" in optimise(text.replace(constant.text, "zeroinitializer"), 1)
