"""What the blocks of instances hold: offsets as LLVM lays them out, and what pointers lead to."""

from __future__ import annotations

from llvmlite import binding, ir
from numba.core import types
from numba.core.registry import cpu_target
from numba.experimental import jitclass

from coenzyme.frontends.numba_structs import find_structs, holds_floats, struct_parameters
from coenzyme.frontends.numba_target import ir_target
from tests.scenarios.objects import Body, Tree


@jitclass(
    [("on", types.boolean), ("half", types.float32), ("pair", types.Tuple((types.int8, types.float64)))]
)
class Odd:
    """Fields with gaps between them."""

    def __init__(self):
        self.on = True


@jitclass([("n", types.int64), ("k", types.int64[:])])
class Whole:
    """No floats."""

    def __init__(self):
        self.n = 0


def kind_of(cls):
    return cls.class_type.instance_type


def fields(cls):
    kind = kind_of(cls)
    return find_structs([kind])[kind.name].fields


def test_fields_lie_where_llvm_puts_them():
    context = ir_target.target_context
    target = binding.create_target_data(context.codegen()._data_layout)
    for cls in (Odd, Body):
        held = cpu_target.target_context.data_model_manager[kind_of(cls).get_data_type()].get_data_type()
        starts = {held.get_element_offset(target, i) for i in range(len(held.elements))}
        assert starts <= {f.offset for f in fields(cls)}
        assert held.get_abi_size(target) >= max(f.offset for f in fields(cls))
    assert isinstance(held, ir.LiteralStructType)
    found = [(f.offset, f.llvm_type) for f in fields(Odd)]
    assert found == [(0, "i8"), (4, "float"), (8, "i8"), (16, "double")]


def test_pointers_lead_to_numbers_and_to_instances():
    assert {f.pointee for f in fields(Body) if f.llvm_type == "ptr"} == {"double", None}
    name = kind_of(Tree).name
    assert [f.offset for f in fields(Tree) if f.pointee == name] == [16, 24, 40, 48]
    assert find_structs([types.Optional(kind_of(Tree))]).keys() == {name}


def test_instances_without_floats_hold_none():
    whole, body = kind_of(Whole), kind_of(Body)
    structs = find_structs([whole, body])
    assert not holds_floats(whole.name, structs)
    assert holds_floats(body.name, structs)


def test_parameters_that_are_instances_are_found():
    body = kind_of(Body)
    assert struct_parameters([types.float64, body]) == {3: body.name, 4: body.name}
