from __future__ import annotations

import llvmlite.binding as llvm

from coenzyme.ir import clone_function, clone_instruction, parse_module, print_function, print_module
from coenzyme.ir.instructions import Call, Switch
from coenzyme.ir.types import PTR
from coenzyme.ir.values import Argument

TEXT = """
declare double @g(double noundef)
define internal double @f(double %x, i64 %n) #0 !dbg !4 {
entry:
  br label %early
late:
  %z = fadd double %y, %p
  switch i64 %n, label %early [
    i64 3, label %done
  ]
early:
  %p = phi double [ %x, %entry ], [ %z, %late ]
  %y = call fast double @g(double noundef %p), !mark !5
  br label %late
done:
  ret double %z
}
attributes #0 = { nounwind }
!4 = !{}
!5 = !{}
"""


def test_a_clone_prints_as_its_original_and_shares_nothing() -> None:
    module = parse_module(TEXT.replace(" !dbg !4", ""))
    original = module.functions["f"]
    before = print_function(original)
    twin, values, blocks = clone_function(original, "twin", [Argument(PTR, "d_x", -1)])
    assert print_function(twin).splitlines()[1:] == before.splitlines()[1:]
    assert print_function(twin).splitlines()[0].endswith("@twin(double %x, i64 %n, ptr %d_x) #0 {")
    assert [a.index for a in twin.arguments] == [0, 1, 2]
    assert twin.function_type.parameters[-1] == PTR
    owned = {*twin.arguments, *twin.blocks, *twin.instructions()}
    for old in original.instructions():
        new = values[old]
        assert new in owned
        assert all(user in owned for user in new.users)
        assert list(new.users.values()) == list(old.users.values())
    for block in original.blocks:
        assert blocks[block] in owned
        assert all(t in owned for t in blocks[block].terminator.targets)
    module.add_function(twin)
    llvm.parse_assembly(print_module(module), llvm.create_context()).verify()


def test_changing_a_clone_leaves_the_original_alone() -> None:
    original = parse_module(TEXT).functions["f"]
    before = print_function(original)
    twin, _, _ = clone_function(original, "twin")
    for instruction in list(twin.instructions()):
        instruction.metadata["dbg"] = "!9"
        if isinstance(instruction, Call):
            instruction.argument_attributes[0] = "zeroext"
        if isinstance(instruction, Switch):
            instruction.cases.clear()
        instruction.drop_operands()
    assert print_function(original) == before


def test_a_clone_has_no_subprogram() -> None:
    original = parse_module(TEXT).functions["f"]
    assert original.suffix == "#0 !dbg !4"
    assert clone_function(original, "twin")[0].suffix == "#0"


def test_a_cloned_instruction_takes_what_the_map_gives() -> None:
    function = parse_module(TEXT).functions["f"]
    call = next(i for i in function.instructions() if isinstance(i, Call))
    other = Argument(call.arguments[0].type, "other", 0)
    twin = clone_instruction(call, {call.arguments[0]: other})
    assert twin.arguments == [other]
    assert twin.callee is call.callee
    assert twin.flags == ("fast",)
    assert twin.block is None
    assert twin.users == {}
    assert other.users == {twin: 1}
