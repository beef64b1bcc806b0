"""Contexts: memory for the shadows of a module's variables, which the program can look at and clear.

``__enzyme_context(n)`` becomes a call of a function that allocates the shadows of all variables that can have
one, for `n` directions side by side; ``__enzyme_shadow`` becomes an address in them. Where a program asks for
shadows without a context, one variable for each number of directions takes the place of the memory.

A shadow begins as zeros; but where a variable holds integers, or addresses of variables, when the program
starts, it holds these integers, and the addresses of their shadows. What a pointer is given later, outside of
what is differentiated, is followed where that is fresh memory: the shadow is as much memory, of zeros.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from coenzyme.analysis.objects import called_effect, holds_pointers
from coenzyme.analysis.places import size_of, struct_offsets
from coenzyme.codegen import verify
from coenzyme.codegen.passes import promote_in
from coenzyme.derive.adopted import adopt
from coenzyme.derive.global_memory import shadowed_type, type_and_value
from coenzyme.derive.shadow_layout import CONTEXT_HEADER, ShadowLayout
from coenzyme.errors import ActivityError, UnsupportedIRError
from coenzyme.foreign.enzyme_calls import NEW_CONTEXT
from coenzyme.foreign.enzyme_failure import FAILED
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.instructions import (
    Call,
    Cast,
    Function,
    GetElementPtr,
    GlobalVariable,
    Instruction,
    Load,
    Module,
    Store,
)
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_constant, print_module
from coenzyme.ir.types import I8, I32, I64, PTR, ArrayType, IntType, StructType, spell_name
from coenzyme.ir.values import (
    Constant,
    ConstantAggregate,
    ConstantExpression,
    ConstantInt,
    ConstantNull,
    Value,
)
from coenzyme.rules import Effect

__all__ = ["Contexts", "take_contexts"]

_CONTEXT, _SHADOW, _CLEAR = "__enzyme_context", "__enzyme_shadow", "__enzyme_zero_shadows"
_FOLLOW = "coenzyme.context.follow"
_START = "coenzyme.context.start"
_ZERO = "coenzyme.context.zero"
_IMPLICIT = "coenzyme.context"
_ALIGNMENT = 16
_NAME = re.compile(r'@(?:"((?:[^"\\]|\\.)*)"|([-\w.$]+))')
_SIZE_OF_BLOCK = {"darwin": "malloc_size", "win32": "_msize"}.get(sys.platform, "malloc_usable_size")


@dataclass(frozen=True)
class Contexts:
    """What a module's contexts are like.

    Attributes
    ----------
    layout
        Where the shadows are.
    implicit
        For how many directions the program asks for shadows without a context.
    followed
        The variables that are given memory outside of what is differentiated.
    """

    layout: ShadowLayout
    implicit: frozenset[int]
    followed: frozenset[str]

    def layout_for(self, width: int, *, given: bool) -> ShadowLayout | None:
        """Return the layout that a derivative finds its shadows by, None where they are its own."""
        return self.layout if given or width in self.implicit else None

    def implicit_context(self, module: Module, at: Builder, width: int) -> Value:
        """Return the shadows for `width` directions that no context was asked for."""
        name = f"{_IMPLICIT}.{width}"
        if f"{name}.ready" in module.functions:
            at.call(module.functions[f"{name}.ready"], [])
        return module.globals[name]

    def follow(self, module: Module, at: Builder, context: Value, used: frozenset[str]) -> None:
        """Emit the allocation of shadows of memory that `used` variables have been given."""
        if not self.followed.isdisjoint(used):
            at.call(module.functions[_FOLLOW], [context])


def take_contexts(module: Module) -> tuple[Module, Contexts | None]:
    """Return `module` with contexts made by functions of its own, and what they are like.

    Raises
    ------
    ActivityError
        Where the shadow of something is asked for that has none.
    UnsupportedIRError
        Where it is not known of what the shadow is asked for.
    """
    if not any(_is_ours(f.name) for f in module.functions.values()):
        return module, None
    callers = {f.name for f in module.functions.values() if _calls(f)}
    callers |= {f.name for f in module.functions.values() for i in f.instructions() if _stores_pointer(i)}
    text = verify(print_module(module))
    promote_in(text, callers)
    module = parse_module(str(text))
    writer = _Writer(module)
    return module, writer.write()


def _is_ours(name: str) -> bool:
    return any(word in name for word in (_CONTEXT, _SHADOW, _CLEAR))


def _calls(function: Function) -> list[Call]:
    return [
        i for i in function.instructions() if isinstance(i, Call) and "__enzyme_" in (i.callee_name or "")
    ]


def _stores_pointer(instruction: Instruction) -> bool:
    return isinstance(instruction, Store) and instruction.value.type.is_pointer


def _root(value: Value) -> GlobalVariable | None:
    """Return the variable that an address points into."""
    while True:
        match value:
            case GlobalVariable():
                return value
            case GetElementPtr() | Cast():
                value = value.operands[0]
            case ConstantExpression(opcode="getelementptr" | "bitcast" | "addrspacecast"):
                value = value.operands[0]
            case _:
                return None


class _Writer:
    def __init__(self, module: Module) -> None:
        self.module = module
        found = ((v, shadowed_type(v)) for v in module.globals.values() if not v.name.startswith("enzyme_"))
        self.types = {v: t for v, t in found if t is not None}
        self.followed: list[GlobalVariable] = []
        self.refused: dict[str, str] = {}
        self._look_at_pointers()
        self.offsets: dict[str, int] = {}
        self.slots: dict[str, int] = {}
        """Where the addresses of the memory of a variable that is followed, and of its shadow, are noted."""
        end = 0
        for variable, type in self.types.items():
            size = size_of(type)
            if size is None:
                self.refused[variable.name] = f"the variable is of a type whose size is not known: {type}"
            if variable.name not in self.refused:
                assert size is not None
                self.offsets[variable.name] = end
                end += _rounded(size[0])
        for variable in self.followed:
            self.slots[variable.name] = end
            end += 16
        self.layout = ShadowLayout(tuple(self.offsets.items()), end, tuple(self.refused.items()))
        self.starts = [line for v in self.types if v.name in self.offsets for line in self._start_of(v)]
        self.implicit: set[int] = set()

    # -- pointers that are given memory

    def _look_at_pointers(self) -> None:
        """Find the variables whose pointers change, and whether they can be followed."""
        pointing = {v: t for v, t in self.types.items() if holds_pointers(t)}
        reason = "the variable is given pointers that its shadow in a context cannot follow"
        followed: dict[GlobalVariable, None] = {}
        for function in self.module.functions.values():
            for instruction in function.instructions():
                for operand in instruction.operands:
                    variable = _root(operand)
                    if variable is None or variable not in pointing:
                        continue
                    match instruction:
                        case Load() | GetElementPtr():
                            pass
                        case Store() if instruction.pointer is operand and not _stores_pointer(instruction):
                            pass
                        case Store() if instruction.pointer is variable and _is_fresh(instruction.value):
                            followed[variable] = None
                        case Call() if _SHADOW in (instruction.callee_name or ""):
                            pass
                        case _:
                            self.refused[variable.name] = reason
        for variable in followed:
            if pointing[variable] != PTR:
                self.refused[variable.name] = reason
        self.followed = [v for v in followed if v.name not in self.refused]

    # -- what shadows begin with

    def _start_of(self, variable: GlobalVariable) -> Iterator[str]:
        """Yield the stores that give the shadow of `variable` what it begins with, but for zeros."""
        type, start = type_and_value(variable.text)
        names = dict.fromkeys(m.group(1) or m.group(2) for m in _NAME.finditer(start))
        known = "".join(f"@{spell_name(n)} = external global i8\n" for n in names)
        if not start or variable in self.followed:
            return
        text = f"{known}define void @f(ptr %p) {{\n  store {type} {start}, ptr %p\n  ret void\n}}\n"
        stored = next(iter(parse_module(text).functions["f"].instructions()))
        assert isinstance(stored, Store)
        for offset, leaf in _leaves(stored.value, 0):
            place = self.offsets[variable.name] + offset
            spelled = print_constant(leaf)
            value = f"{leaf.type} {spelled}"
            target = _root(leaf) if leaf.type.is_pointer else None
            if target is not None and target.name in self.offsets:
                # What lies behind the beginning of the variable lies as far behind that of its shadow.
                yield f"  %t.{place} = getelementptr i8, ptr %lane, i64 {self.offsets[target.name]}"
                yield f"  %a.{place} = ptrtoint ptr {spelled} to i64"
                yield f"  %b.{place} = ptrtoint ptr @{spell_name(target.name)} to i64"
                yield f"  %d.{place} = sub i64 %a.{place}, %b.{place}"
                yield f"  %v.{place} = getelementptr i8, ptr %t.{place}, i64 %d.{place}"
                value = f"ptr %v.{place}"
            elif target is not None and (target.name in self.refused):
                continue
            yield f"  %p.{place} = getelementptr i8, ptr %lane, i64 {place}"
            yield f"  store {value}, ptr %p.{place}"

    # -- functions of the module

    def write(self) -> Contexts:
        """Put functions of our own in the place of Enzyme's."""
        adopt(self.module, self._text())
        for function in list(self.module.functions.values()):
            for call in _calls(function):
                name = str(call.callee_name)
                if _is_ours(name):
                    self._replace(function, call, name)
        return Contexts(self.layout, frozenset(self.implicit), frozenset(v.name for v in self.followed))

    def _replace(self, function: Function, call: Call, name: str) -> None:
        at = Builder.before(call)
        arguments = call.arguments
        functions = self.module.functions
        if _CLEAR in name and len(arguments) == 1:
            at.call(functions[_ZERO], list(arguments))
        elif _CONTEXT in name and len(arguments) == 1:
            call.replace_all_uses_with(at.call(functions[NEW_CONTEXT], [_integer(at, arguments[0], I32)]))
        elif _SHADOW in name and len(arguments) == 3:
            call.replace_all_uses_with(self._shadow(at, function, call))
        else:
            raise self._refuse(
                ActivityError, "it is called with other arguments than it takes", function, call
            )
        call.erase()

    def _shadow(self, at: Builder, function: Function, call: Call) -> Value:
        first, second, lane = call.arguments
        asked = first
        if second.type.is_pointer:
            context, asked = first, second
        elif isinstance(second, ConstantInt):
            context = self._implicit(at, second.value)
        else:
            raise self._refuse(
                UnsupportedIRError, "how many directions there are is not known", function, call
            )
        variable = _root(asked)
        if variable is None:
            raise self._refuse(
                UnsupportedIRError,
                "it is not known of which variable the shadow is asked for",
                function,
                call,
            )
        place = self.layout.place(variable.name, 0)
        if place is None:
            why = self.refused.get(variable.name, "the variable is a constant, or holds nothing that varies")
            raise self._refuse(ActivityError, why, function, call)
        if variable in self.followed:
            at.call(self.module.functions[_FOLLOW], [context])
        inside: Value = const_int(I64, place)
        if asked is not variable:
            distance = at.sub(at.cast("ptrtoint", asked, I64), at.cast("ptrtoint", variable, I64))
            inside = at.add(inside, distance)
        index = _integer(at, lane, I64)
        if not (isinstance(index, ConstantInt) and index.value == 0):
            inside = at.add(inside, at.mul(index, const_int(I64, self.layout.stride)))
        return at.gep(I8, context, [inside])

    def _refuse(
        self, kind: type[ActivityError | UnsupportedIRError], why: str, function: Function, call: Call
    ) -> ActivityError | UnsupportedIRError:
        return kind(
            why,
            function=function.name,
            operation=str(call.callee_name),
            location=SourceMap(self.module).locate(call),
            remedy="pass the name of a global variable, or of a part of it",
        )

    def _implicit(self, at: Builder, width: int) -> Value:
        """Return the shadows for `width` directions, a variable."""
        name = f"{_IMPLICIT}.{width}"
        if width not in self.implicit:
            self.implicit.add(width)
            lane = ", ".join(self._fields())
            whole = ", ".join([f"[{CONTEXT_HEADER} x i8]", *[f"<{{ {lane} }}>"] * width])
            text = f"@{name} = global <{{ {whole} }}> zeroinitializer, align 16\n"
            if self.starts or self.followed:
                text += _READY.format(name=name, width=width, start=_START)
            adopt(self.module, text)
        if f"{name}.ready" in self.module.functions:
            at.call(self.module.functions[f"{name}.ready"], [])
        return self.module.globals[name]

    def _fields(self) -> Iterator[str]:
        """Yield the types of what lies in a lane."""
        for variable, type in self.types.items():
            if variable.name in self.offsets:
                size = size_of(type)
                assert size is not None
                yield str(type)
                if _rounded(size[0]) > size[0]:
                    yield f"[{_rounded(size[0]) - size[0]} x i8]"
        yield from ["{ ptr, ptr }"] * len(self.followed)

    def _text(self) -> str:
        stride = self.layout.stride
        parts = [f"@{spell_name(v.name)} = external global {t}" for v, t in self.types.items()]
        parts += [
            _COMMON.format(
                new=NEW_CONTEXT,
                header=CONTEXT_HEADER,
                stride=stride,
                start=_START,
                failed=FAILED,
                status=int(Status.TAPE_EXHAUSTED),
            ),
            _per_lane(_START, stride, self.starts),
        ]
        noted = [line for v in self.followed for line in self._noted(v)]
        given_back = [line for v in self.followed for line in self._given_back(v)]
        cleared = [f"  call ptr @memset(ptr %lane, i32 0, i64 {stride})", *self.starts]
        if self.followed:
            parts.append(f"declare i64 @{_SIZE_OF_BLOCK}(ptr)")
            parts += [self._follower(number, v) for number, v in enumerate(self.followed)]
            each = [f"  call void @{_FOLLOW}.{n}(ptr %lane)" for n in range(len(self.followed))]
            parts.append(_per_lane(_FOLLOW, stride, each))
        parts.append(_per_lane(_ZERO, stride, [*noted, *cleared, *given_back]))
        return "\n".join(parts)

    def _places(self, variable: GlobalVariable) -> dict[str, int]:
        """Return where the shadow is of what is followed, and what is noted of it."""
        slot, notes = self.offsets[variable.name], self.slots[variable.name]
        return {"shadow": slot, "block": notes, "note": notes + 8}

    def _noted(self, variable: GlobalVariable) -> Iterator[str]:
        """Yield what reads these, and clears the memory that the shadow was given here."""
        slot = self.offsets[variable.name]
        for name, place in self._places(variable).items():
            yield f"  %{name}.{slot}.place = getelementptr i8, ptr %lane, i64 {place}"
            yield f"  %{name}.{slot} = load ptr, ptr %{name}.{slot}.place"
        yield f"  %size.{slot} = call i64 @{_SIZE_OF_BLOCK}(ptr %note.{slot})"
        yield f"  %own.{slot} = icmp eq ptr %note.{slot}, %shadow.{slot}"
        yield f"  %cleared.{slot} = select i1 %own.{slot}, i64 %size.{slot}, i64 0"
        yield f"  call ptr @memset(ptr %note.{slot}, i32 0, i64 %cleared.{slot})"

    def _given_back(self, variable: GlobalVariable) -> Iterator[str]:
        """Yield what stores these again."""
        slot = self.offsets[variable.name]
        for name in self._places(variable):
            yield f"  store ptr %{name}.{slot}, ptr %{name}.{slot}.place"

    def _follower(self, number: int, variable: GlobalVariable) -> str:
        """Return the function that gives one variable's shadow its memory, where it has new memory."""
        return _FOLLOWER.format(
            name=f"{_FOLLOW}.{number}",
            variable=spell_name(variable.name),
            **self._places(variable),
            size=_SIZE_OF_BLOCK,
            failed=FAILED,
            status=int(Status.TAPE_EXHAUSTED),
        )


def _rounded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _is_fresh(value: Value) -> bool:
    """Whether this is what an allocation has returned, or null."""
    return isinstance(value, ConstantNull) or (
        isinstance(value, Call) and called_effect(value) in (Effect.ALLOCATION, Effect.REALLOCATION)
    )


def _integer(at: Builder, value: Value, type: IntType) -> Value:
    assert isinstance(value.type, IntType)
    if isinstance(value, ConstantInt):
        return const_int(type, value.value)
    return at.cast("sext" if type.width > value.type.width else "trunc", value, type)


def _leaves(value: Value, offset: int) -> Iterator[tuple[int, Constant]]:
    """Yield the integers other than zero, and the pointers, in a constant, with their places."""
    match value:
        case ConstantAggregate(type=StructType() as type):
            for place, element in zip(struct_offsets(type), value.elements, strict=True):
                yield from _leaves(element, offset + place)
        case ConstantAggregate(type=ArrayType() as type):
            size = size_of(type.element)
            assert size is not None
            for number, element in enumerate(value.elements):
                yield from _leaves(element, offset + number * size[0])
        case ConstantInt() if value.value != 0:
            yield offset, value
        case Constant() if value.type.is_pointer and _root(value) is not None:
            yield offset, value
        case _:
            pass


_COMMON = """
declare ptr @calloc(i64, i64)
declare ptr @memset(ptr, i32, i64)
declare void @{failed}(i32, ptr)
@coenzyme.context.place = private unnamed_addr constant [17 x i8] c"__enzyme_context\\00"

define ptr @{new}(i32 %width) {{
entry:
  %lanes = zext i32 %width to i64
  %bytes = mul i64 %lanes, {stride}
  %all = add i64 %bytes, {header}
  %context = call ptr @calloc(i64 1, i64 %all)
  %none = icmp eq ptr %context, null
  br i1 %none, label %failed, label %made
failed:
  call void @{failed}(i32 {status}, ptr @coenzyme.context.place)
  unreachable
made:
  store i64 %lanes, ptr %context
  call void @{start}(ptr %context)
  ret ptr %context
}}
"""

_READY = """
declare void @{start}(ptr)
define void @{name}.ready() {{
entry:
  %lanes = load i64, ptr @{name}
  %fresh = icmp eq i64 %lanes, 0
  br i1 %fresh, label %start, label %done
start:
  store i64 {width}, ptr @{name}
  call void @{start}(ptr @{name})
  br label %done
done:
  ret void
}}
"""

_FOLLOWER = """
define void @{name}(ptr %lane) {{
entry:
  %memory = load ptr, ptr @{variable}
  %place = getelementptr i8, ptr %lane, i64 {shadow}
  %shadow = load ptr, ptr %place
  %block.place = getelementptr i8, ptr %lane, i64 {block}
  %block = load ptr, ptr %block.place
  %note.place = getelementptr i8, ptr %lane, i64 {note}
  %note = load ptr, ptr %note.place
  ; What the program has put there, or a derivative, stays.
  %own = icmp eq ptr %shadow, %note
  %is = icmp ne ptr %memory, null
  %followed = and i1 %own, %is
  br i1 %followed, label %look, label %done
look:
  %size = call i64 @{size}(ptr %memory)
  %room = call i64 @{size}(ptr %note)
  %other = icmp ne ptr %memory, %block
  %small = icmp ult i64 %room, %size
  %wanted = or i1 %other, %small
  br i1 %wanted, label %make, label %done
make:
  %new = call ptr @calloc(i64 1, i64 %size)
  %none = icmp eq ptr %new, null
  br i1 %none, label %failed, label %made
failed:
  call void @{failed}(i32 {status}, ptr @coenzyme.context.place)
  unreachable
made:
  store ptr %new, ptr %place
  store ptr %memory, ptr %block.place
  store ptr %new, ptr %note.place
  br label %done
done:
  ret void
}}
"""


def _per_lane(name: str, stride: int, body: list[str]) -> str:
    """Return a function that does something for each lane of a context."""
    if not body:
        return f"define void @{name}(ptr %context) {{\n  ret void\n}}\n"
    return "\n".join(
        [
            f"define void @{name}(ptr %context) {{",
            "entry:",
            "  %lanes = load i64, ptr %context",
            "  br label %next",
            "next:",
            "  %i = phi i64 [ 0, %entry ], [ %more, %next ]",
            f"  %distance = mul i64 %i, {stride}",
            f"  %inside = add i64 %distance, {CONTEXT_HEADER}",
            "  %lane = getelementptr i8, ptr %context, i64 %inside",
            *body,
            "  %more = add i64 %i, 1",
            "  %last = icmp uge i64 %more, %lanes",
            "  br i1 %last, label %done, label %next",
            "done:",
            "  ret void",
            "}",
        ]
    )
