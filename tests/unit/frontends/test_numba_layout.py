from __future__ import annotations

from collections import namedtuple
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba import types

from coenzyme.frontends import Role
from coenzyme.frontends.numba_layout import layout_argument, layout_result

Point = namedtuple("Point", "x y")


def roles(numba_type: Any) -> str:
    return " ".join(c.role.value for c in layout_argument("x", numba_type).components)


def test_an_array_is_meminfo_parent_two_counts_data_shape_and_strides() -> None:
    layout = layout_argument("x", types.float64[:, ::1])
    assert " ".join(c.role.value for c in layout.components) == (
        "meminfo parent extent extent data extent extent extent extent"
    )
    assert layout.components[4].element == "double"
    assert layout.components[0].element == "double"
    assert layout.differentiable
    assert layout.has_float_memory
    assert not layout.has_floats


@pytest.mark.parametrize(
    ("dtype", "element", "differentiable"),
    [
        (types.float32, "float", True),
        (types.complex128, "double", True),
        (types.complex64, "float", True),
        (types.int32, "i32", False),
        (types.boolean, "i8", False),
        (nb.from_dtype(np.dtype([("a", "f8"), ("k", "i4")])), None, True),
        (nb.from_dtype(np.dtype([("k", "i4", 2), ("in", [("a", "f4", 2)])])), None, True),
        (nb.from_dtype(np.dtype([("k", "i4"), ("b", "?")])), None, False),
    ],
)
def test_the_element_type_is_that_of_the_memory(
    dtype: Any, element: str | None, differentiable: bool
) -> None:
    layout = layout_argument("x", types.Array(dtype, 1, "C"))
    assert layout.components[4].element == element
    assert layout.differentiable is differentiable


@pytest.mark.parametrize(
    ("numba_type", "expected"),
    [
        (types.float64, "float"),
        (types.complex128, "float float"),
        (types.int64, "integer"),
        (types.boolean, "boolean"),
        (types.literal(3), "integer"),
        (types.Optional(types.float64), "float boolean"),
        (types.Omitted(1.0), ""),
        (types.UniTuple(types.float64, 2), "float float"),
        (types.Tuple((types.float64, types.int64)), "float integer"),
        (types.NamedTuple((types.float64, types.int64), Point), "float integer"),
        (types.unicode_type, "opaque opaque opaque opaque opaque opaque opaque"),
        (types.ListType(types.float64), "meminfo container"),
        (types.none, "opaque"),
    ],
)
def test_every_type_is_described_component_by_component(numba_type: Any, expected: str) -> None:
    assert roles(numba_type) == expected


def test_a_tuple_of_arrays_repeats_the_array() -> None:
    assert roles(types.UniTuple(types.float64[::1], 2)) == " ".join([roles(types.float64[::1])] * 2)


def test_the_result_of_none_has_no_components() -> None:
    assert layout_result(types.none).components == ()


def test_a_result_names_the_path_of_each_scalar() -> None:
    layout = layout_result(types.Tuple((types.float64, types.float64[::1])))
    paths = {path: part.role for path, part in layout.components}
    assert paths[(0,)] is Role.FLOAT
    assert paths[(1, 4)] is Role.DATA
    assert paths[(1, 6, 0)] is Role.EXTENT
    assert layout.llvm_type == "{ double, { ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] } }"
    assert layout.has_memory


def test_a_scalar_result_sits_at_the_pointer_itself() -> None:
    layout = layout_result(types.float32)
    assert layout.llvm_type == "float"
    assert layout.components[0][0] == ()
    assert layout.differentiable
    assert not layout.has_memory


def test_an_integer_result_is_not_differentiable() -> None:
    assert not layout_result(types.int64).differentiable
