"""Parallel loops: derivatives of launchers (:mod:`coenzyme.frontends.launch`), which run on threads too.

The chunk function has its derivatives in the call table like any function kept out of line. A launcher's
derivative launches those. Each chunk has a record of its own; the record of the launch holds them all.
"""

from __future__ import annotations

from dataclasses import replace

from coenzyme.analysis.objects import (
    MemoryObject,
    Objects,
    Storage,
    blas_pointers,
    called_effect,
    is_internal_call,
    is_ruled_call,
)
from coenzyme.analysis.overwritten import written_objects
from coenzyme.analysis.points_to import find_objects
from coenzyme.derive.adopted import adopt
from coenzyme.derive.calls import CallTable, Derivatives, Passed
from coenzyme.derive.launch_private import PRIVATE, Sharing, sharing_text, task_symbol
from coenzyme.derive.launch_reverse import SharedArray, reverse_text
from coenzyme.derive.launch_text import (
    RUNTIME,
    Frame,
    augmented_text,
    discard_text,
    forward_text,
    task_text,
)
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.launch import Launch, LaunchProvider
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.ir.instructions import Call, Function, Instruction, Load, Module
from coenzyme.rules import Effect

__all__ = ["fill_launch", "know_launches", "run_launches"]

_FOREIGN = (Storage.UNKNOWN, Storage.REACHED)
_FREED = (Effect.ALLOCATION, Effect.DEALLOCATION, Effect.REFERENCE_COUNT, Effect.MEMSET, Effect.INACTIVE)


def know_launches(module: Module, launches: LaunchProvider) -> None:
    """Find out what launchers leave alone, and let chunks take their own numbers for those of threads.

    Chunks that run at the same time differ in their numbers, as threads do.
    """
    for launcher in list(module.functions.values()):
        launch = launches(launcher.name)
        if launch is None or launcher.is_declaration:
            continue
        chunk = module.functions[launch.chunk]
        for block in chunk.blocks:
            for call in list(block.instructions):
                if isinstance(call, Call) and call.callee_name == "get_thread_id":
                    call.replace_all_uses_with(chunk.arguments[-1])
                    call.erase()
        launcher.spared = chunk.spared = _find_spared(chunk)


def _find_spared(chunk: Function) -> frozenset[int] | None:
    """Return the parameters behind which a chunk writes nothing; None where that is not known."""
    objects = find_objects(chunk, {})
    _, written = _accesses(chunk, objects)
    if any(item.storage in _FOREIGN for item in written):
        return None
    pointers = [a for a in chunk.arguments if a.type.is_pointer]
    return frozenset(a.index for a in pointers if objects.of(a).isdisjoint(written))


def run_launches(module: Module, launches: LaunchProvider) -> None:
    """Let the launchers that derivatives still call as they are run their chunks on threads."""
    for launcher in list(module.functions.values()):
        launch = launches(launcher.name)
        if launch is not None and not launcher.is_declaration:
            frame = Frame(launcher.name, [str(a.type) for a in launcher.arguments], ())
            _define(module, task_text(frame, launch.chunk) + forward_text(frame), launcher)


def fill_launch(table: CallTable, callee: Function, entry: Derivatives, mode: Mode, launch: Launch) -> None:
    """Give the functions of a new entry of the call table, a launcher's, their bodies."""
    module = table.module
    _require(module, "coenzyme.launch", RUNTIME)
    chunk = module.functions[launch.chunk]
    passed = _with_number(entry.passed)
    primal = [str(a.type) for a in callee.arguments]
    extras = [str(a.type) for a in entry.augmented.arguments[len(primal) :]]
    if mode is Mode.FORWARD:
        pair = table.get(chunk, passed, mode)
        frame = Frame(entry.augmented.name, primal, extras)
        _define(module, task_text(frame, pair.augmented.name) + forward_text(frame), entry.augmented)
        return
    pair, arrays = _derive_chunk(table, chunk, passed, launch)
    assert entry.discard is not None
    assert pair.discard is not None
    frame = Frame(entry.augmented.name, primal, extras[:-1], last=True)
    text = task_text(frame, pair.augmented.name) + augmented_text(frame, entry.discard.name)
    _define(module, text, entry.augmented)
    _define(module, discard_text(entry.discard.name, pair.discard.name), entry.discard)
    _define_reverse(table, entry, pair, arrays)


def _derive_chunk(
    table: CallTable, chunk: Function, passed: Passed, launch: Launch
) -> tuple[Derivatives, list[SharedArray] | None]:
    """Return the derivatives of a chunk function, and what chunks do with each shadow.

    That is None where they must run one after the other.
    """
    arrays = _share(chunk, passed, launch, table.context.width)
    copied = {item.array.data for item in arrays or () if item.sharing is not Sharing.IN_PLACE}
    if copied:
        try:
            return table.get(chunk, replace(passed, relocated=frozenset(copied)), Mode.REVERSE), arrays
        except UnsupportedIRError:
            arrays = None
    return table.get(chunk, passed, Mode.REVERSE), arrays


def _with_number(passed: Passed) -> Passed:
    """Return what a launcher passes to its chunk function: what it was given, and the number of the chunk."""
    return replace(
        passed,
        activities=(*passed.activities, ComponentActivity.CONST),
        groups=(*passed.groups, None),
        elements=(*passed.elements, None),
    )


def _define(module: Module, text: str, *functions: Function) -> None:
    """Give `functions`, which are there under their names already, the bodies they have in `text`."""
    if "coenzyme.launch" not in module.functions:
        adopt(module, RUNTIME)
    for function in functions:
        function.blocks.clear()
    declared = "declare void @coenzyme.launch(ptr, ptr, i64, i1)\n"
    declared += "declare i32 @coenzyme.launch.status(ptr, ptr, i64, ptr)\n"
    adopt(module, declared + text)


def _define_reverse(
    table: CallTable, entry: Derivatives, pair: Derivatives, arrays: list[SharedArray] | None
) -> None:
    module = table.module
    count = len(entry.activities)
    extras = _extras(entry.passed, table.context.width)
    outputs = {
        number: str(entry.reverse.arguments[parameter].type)
        for number, parameter in enumerate(extras)
        if entry.activities[parameter] is ComponentActivity.ACTIVE
    }
    frame = Frame(
        entry.reverse.name,
        [str(a.type) for a in entry.reverse.arguments[:count]],
        ["ptr"] * len(extras),
        last=True,
    )
    declared = ""
    for item in arrays or ():
        if item.sharing is not Sharing.IN_PLACE:
            _require(module, "coenzyme.private.zeros", PRIVATE)
            name = task_symbol(item.sharing, item.element)
            _require(module, name, sharing_text(item.sharing, item.element))
            declared += f'declare void @"{name}"(ptr, ptr, ptr, ptr)\n'
    if declared:
        for name in ("zeros", "copies"):
            declared += f"declare ptr @coenzyme.private.{name}(ptr, i64, i64, i64, i1)\n"
    text = task_text(frame, pair.reverse.name, tabled=True)
    text += reverse_text(frame, arrays or (), outputs, apart=arrays is not None)
    _define(module, "\n".join(dict.fromkeys(declared.splitlines())) + text, entry.reverse)


def _require(module: Module, name: str, text: str) -> None:
    if name not in module.functions:
        adopt(module, text)


def _extras(passed: Passed, width: int) -> list[int]:
    """Return the parameters that have a shadow, a tangent or an adjoint, once for each lane."""
    return [i for i, a in enumerate(passed.activities) if a is not ComponentActivity.CONST] * width


def _share(chunk: Function, passed: Passed, launch: Launch, width: int) -> list[SharedArray] | None:
    """Return what chunks do with each shadow; None where they must run one after the other."""
    array_of = {array.data: array for array in launch.arrays}
    groups = {chunk.arguments[i]: g for i, g in enumerate(passed.groups) if g is not None}
    elements = {chunk.arguments[i]: t for i, t in enumerate(passed.elements) if t is not None}
    objects = find_objects(chunk, groups, elements)
    read, written = _accesses(chunk, objects)
    if any(item.storage in _FOREIGN for item in read | written):
        return None
    found: list[SharedArray] = []
    for number, parameter in enumerate(_extras(passed, width)):
        if passed.activities[parameter] is not ComponentActivity.DUPLICATED:
            continue
        array = array_of.get(parameter)
        if array is None or array.element is None:
            return None
        own = objects.of(chunk.arguments[parameter])
        if array.axis is not None or own.isdisjoint(read):
            sharing = Sharing.IN_PLACE
        else:
            sharing = Sharing.SUM if own.isdisjoint(written) else Sharing.JOIN
        found.append(SharedArray(array, number, sharing))
    return found


def _accesses(function: Function, objects: Objects) -> tuple[set[MemoryObject], set[MemoryObject]]:
    """Return the objects that `function` may read, and those it may write."""
    read: set[MemoryObject] = set()
    written: set[MemoryObject] = set()
    for instruction in function.instructions():
        written.update(written_objects(instruction, objects))
        read.update(_read(instruction, objects))
    return read, written


def _read(instruction: Instruction, objects: Objects) -> set[MemoryObject]:
    match instruction:
        case Load():
            return set(objects.of(instruction.pointer))
        case Call():
            pointers = [a for a in instruction.arguments if a.type.is_pointer]
            effect = called_effect(instruction)
            if is_internal_call(instruction) and not is_ruled_call(instruction):
                return objects.reachable(pointers)
            if effect in (Effect.MEMCPY, Effect.MEMMOVE):
                return set(objects.of(pointers[1]))
            if effect is Effect.BLAS:
                inputs, output = blas_pointers(instruction)
                return {o for pointer in (*inputs, output) for o in objects.of(pointer)}
            return set() if effect in _FREED else objects.reachable(pointers)
        case _ if instruction.opcode in ("atomicrmw", "cmpxchg"):
            return set(objects.of(instruction.operands[0]))
        case _:
            return set()
