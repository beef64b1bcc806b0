"""Global variables that differentiated data goes through become parameters, and get shadows of their own.

A function that stores numbers or pointers to a global variable, or reads pointers from one, is rewritten to
be given the variable's address, as are the functions that call it: what holds of memory behind parameters,
that they may lead to the same place for instance, then holds of global variables. The derivative is given the
variable and its shadow, a variable of the same type: ``@name.tangent``, in reverse mode ``@name.cotangent``,
with ``.1`` behind it in the second direction, and so on. It is zero where a derivative begins, but where the
variable holds pointers at the start of the program, it holds their shadows.

Variables that are only read, for the numbers in them, are constants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coenzyme.analysis.content import carries_floats, float_parts
from coenzyme.analysis.objects import called_effect, holds_pointers
from coenzyme.analysis.places import size_of
from coenzyme.derive.entry_pointers import are_initial, may_be_read_first
from coenzyme.derive.shadow_layout import ShadowLayout
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.program import Mode, Status
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.clone import clone_function
from coenzyme.ir.instructions import (
    Block,
    Call,
    Cast,
    Freeze,
    Function,
    GetElementPtr,
    GlobalVariable,
    Instruction,
    Load,
    Module,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.parser import parse_module
from coenzyme.ir.tbaa import Accessed, accessed
from coenzyme.ir.types import (
    I1,
    I8,
    I32,
    I64,
    PTR,
    VOID,
    ArrayType,
    FloatType,
    FunctionType,
    Type,
    VectorType,
    spell_name,
)
from coenzyme.ir.values import Argument, ConstantAggregate, ConstantExpression, Value
from coenzyme.rules import Effect

__all__ = ["Ending", "PassedGlobals", "pass_globals", "shadowed_type", "type_and_value"]

_SUFFIX = ".globals"
_SHADOW_NAME = re.compile(r"\.(?:co)?tangent(?:\.\d+)?$")
_ADDRESS = "llvm.threadlocal.address"
_KIND = re.compile(r"(?:^|\s)global ")
_NUMBER = re.compile(r"\b(double|float) (?:0x[0-9A-Fa-f]+|[-+]?\d[-+.\deE]*)")
_NAME = re.compile(r'@(?:"((?:[^"\\]|\\.)*)"|([-\w.$]+))')


@dataclass(frozen=True)
class Ending:
    """How a derivative is called.

    Attributes
    ----------
    record
        Whether its last parameter is a record.
    clears
        Whether the shadows of variables are cleared first.
    layout
        Where the shadows are in a context, the first parameter then; None where they are variables.
    """

    mode: Mode
    width: int
    record: bool
    clears: bool
    layout: ShadowLayout | None = None


@dataclass(frozen=True)
class PassedGlobals:
    """The variables that are parameters now, the last ones of `entry`.

    Attributes
    ----------
    renamed
        The names of the functions that are given the variables, by those of what they were made from.
    """

    entry: Function
    variables: tuple[GlobalVariable, ...]
    types: tuple[Type, ...]
    read_first: frozenset[GlobalVariable] = frozenset()
    """Those whose pointers may be read before they are written."""
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def elements(self) -> dict[int, Type]:
        """The types of the numbers behind parameters of the entry, of those that hold nothing else."""
        first = len(self.entry.arguments) - len(self.variables)
        found: dict[int, Type] = {}
        for number, type in enumerate(self.types):
            element = _only_float(type)
            if element is not None:
                found[first + number] = element
        return found

    def close(self, module: Module, derivative: Function, name: str, ending: Ending) -> Function:
        """Add to `module` the function `name`, which hands the variables and shadows to `derivative`."""
        width = ending.width
        count = len(self.variables)
        formals = len(self.entry.arguments)
        tail = 1 if ending.record else 0
        shadows = _Shadows(module, ending.mode)
        context = [] if ending.layout is None else [Argument(PTR, "context", 0)]
        lane = (len(derivative.arguments) - formals - tail) // width
        given: dict[int, Value] = {}
        block = Block("entry")
        at = Builder(block)
        for number, variable in enumerate(self.variables):
            given[formals - count + number] = _address(module, variable, variable.text, at)
            for direction in range(width):
                place = formals + (direction + 1) * lane - count + number
                if ending.layout is not None:
                    given[place] = _in_context(at, context[0], ending.layout, variable, direction)
                    continue
                shadow = shadows.of(variable, direction)
                given[place] = _address(module, shadow, variable.text, at)
        own = [a for i, a in enumerate(derivative.arguments) if i not in given]
        twins = {a: Argument(a.type, a.name, i) for i, a in enumerate(own, len(context))}
        arguments = [*context, *twins.values()]
        function = Function(
            name, FunctionType(I32, tuple(a.type for a in arguments)), arguments, "", "nounwind"
        )
        function.add_block(block)
        if ending.clears:
            at = self._require_initial(module, function, at)
            shadows.clear(at)
        passed = [given.get(i) or twins[a] for i, a in enumerate(derivative.arguments)]
        at.ret(at.call(derivative, passed))
        return module.add_function(function)

    def _require_initial(self, module: Module, function: Function, at: Builder) -> Builder:
        """Emit the end of `function` where there is a pointer of whose memory no shadow is known."""
        for variable, type in zip(self.variables, self.types, strict=True):
            if variable not in self.read_first or _SHADOW_NAME.search(variable.name):
                continue
            _, initial = type_and_value(variable.text)
            known = are_initial(module, at, variable, type, initial or "zeroinitializer")
            if known is None:
                continue
            changed, rest = Block(f"{variable.name}.changed"), Block(f"{variable.name}.known")
            at.cond_branch(known, rest, changed)
            Builder(function.add_block(changed)).ret(const_int(I32, int(Status.CHANGED_POINTER)))
            at = Builder(function.add_block(rest))
        return at


def pass_globals(
    module: Module,
    entry: Function,
    opaque: Container[str] = (),
    is_variable: Callable[[str], bool] = lambda _: True,
    *,
    every: bool = False,
) -> PassedGlobals | None:
    """Return a twin of `entry` that is given the variables which need shadows, or None if there are none.

    Parameters
    ----------
    opaque
        Functions with derivatives of their own, which are left alone.
    is_variable
        Says of the name of a global variable whether it is one of those in question.
    every
        Whether variables that are only read are given to it, too.
    """
    functions = [f for f in _reachable(entry) if f is entry or f.name not in opaque]
    among = (v for v in module.globals.values() if is_variable(v.name))
    types = {v: t for v in among if (t := shadowed_type(v)) is not None}
    users = {v: [f for f in functions if any(v in _globals_in(i) for i in f.instructions())] for v in types}
    chosen = tuple(v for v in types if users[v] and (every or any(_needs_shadow(v, f) for f in users[v])))
    if not chosen:
        return None
    if any(holds_pointers(types[v]) for v in chosen):
        # They may lead to any other.
        chosen = tuple(v for v in types if users[v])
    touching = {f for v in chosen for f in users[v]} | {entry}
    changed = True
    while changed:
        more = {f for f in functions if f not in touching and any(c in touching for c in _callees(f))}
        changed = bool(more)
        touching |= more
    twins: dict[Function, Function] = {}
    for function in functions:
        if function in touching:
            extras = [Argument(PTR, f"global.{v.name}", 0) for v in chosen]
            twin, _, _ = clone_function(function, f"{function.name}{_SUFFIX}", extras)
            twin.prefix = "internal"
            twin.suffix = "nounwind"  # what it was known to leave alone, it may touch through its parameters
            twins[function] = module.add_function(twin)
    for twin in twins.values():
        given = dict(zip(chosen, twin.arguments[-len(chosen) :], strict=True))
        for instruction in list(twin.instructions()):
            _replace(instruction, given)
        for call in [i for i in twin.instructions() if isinstance(i, Call)]:
            target = twins.get(call.callee) if isinstance(call.callee, Function) else None
            if target is not None:
                _redirect(call, target, list(given.values()))
    first = [twins[entry], *(twin for function, twin in twins.items() if function is not entry)]
    parameters = [twin.arguments[-len(chosen) :] for twin in first]
    read_first = frozenset(
        v
        for number, v in enumerate(chosen)
        if holds_pointers(types[v]) and may_be_read_first(first, [given[number] for given in parameters])
    )
    renamed = {function.name: twin.name for function, twin in twins.items()}
    return PassedGlobals(twins[entry], chosen, tuple(types[v] for v in chosen), read_first, renamed)


# -- which variables


def _reachable(entry: Function) -> list[Function]:
    found: dict[Function, None] = {}
    pending = [entry]
    while pending:
        function = pending.pop()
        if function not in found and not function.is_declaration:
            found[function] = None
            pending += _callees(function)
    return list(found)


def _callees(function: Function) -> list[Function]:
    return [
        i.callee for i in function.instructions() if isinstance(i, Call) and isinstance(i.callee, Function)
    ]


def shadowed_type(variable: GlobalVariable) -> Type | None:
    """Return the type of a variable that may need a shadow, None of others."""
    if variable.is_constant:
        return None
    kind = _KIND.search(variable.text.split('"')[0])
    if kind is None:
        return None
    try:
        spelled = _first_type(variable.text[kind.end() :])
        type = parse_module(f"declare void @f({spelled})").functions["f"].arguments[0].type
    except (IndexError, KeyError, ValueError):
        return None
    if holds_pointers(type):
        # What the pointers of a variable of another module lead to is not known.
        return None if variable.text.split()[0] == "external" else type
    return type if carries_floats(type) else None


def _first_type(text: str) -> str:
    """Return the type that `text` begins with."""
    depth = 0
    for end, character in enumerate(text):
        depth += (character in "[{<(") - (character in "]})>")
        if depth == 0 and (character in "]}>" or text[end + 1 : end + 2] in ("", " ", ",")):
            closed = character != ">" or not text.startswith("<{")
            if closed or text[: end + 1].endswith("}>"):
                return text[: end + 1]
    return text


def _globals_in(instruction: Instruction) -> set[Value]:
    return {g for operand in instruction.operands for g in _globals_of(operand)}


def _globals_of(value: Value) -> Iterable[Value]:
    match value:
        case GlobalVariable():
            yield value
        case ConstantExpression():
            for operand in value.operands:
                yield from _globals_of(operand)
        case ConstantAggregate():
            for element in value.elements:
                yield from _globals_of(element)
        case _:
            pass


def _needs_shadow(variable: GlobalVariable, function: Function) -> bool:
    """Whether `function` does more with `variable` than read numbers and store integers."""
    pending: list[tuple[Instruction, Value]] = [
        (i, operand)
        for i in function.instructions()
        for operand in i.operands
        if variable in set(_globals_of(operand))
    ]
    seen: set[Instruction] = set()
    while pending:
        user, pointer = pending.pop()
        match user:
            case Load():
                if holds_pointers(user.type):
                    return True
            case Store():
                if user.value is pointer or not _is_integer(user):
                    return True
            case GetElementPtr() | Phi() | Select() | Cast() | Freeze():
                if user not in seen:
                    seen.add(user)
                    pending += [(u, user) for u in user.users]
            case Call() if (user.callee_name or "").startswith(_ADDRESS):
                pending += [(u, user) for u in user.users]
            case Call():
                effect = called_effect(user)
                reads = effect in (Effect.MEMCPY, Effect.MEMMOVE) and user.operands[0] is not pointer
                if not reads and effect is not Effect.INACTIVE:
                    return True
            case _ if user.opcode == "icmp":
                pass
            case _:
                return True
    return False


def _is_integer(store: Store) -> bool:
    return store.value.type.is_int and accessed(store) is Accessed.INTEGER


def _only_float(type: Type) -> FloatType | None:
    while isinstance(type, ArrayType | VectorType):
        type = type.element
    parts = float_parts(type)
    return next(iter(parts)) if type.is_float and len(parts) == 1 and isinstance(type, FloatType) else None


# -- how they are passed


def _replace(instruction: Instruction, given: dict[GlobalVariable, Argument]) -> None:
    """Let `instruction` use the parameters where it uses the variables."""
    wanted: dict[Value, Argument] = dict(given)  # pyright: ignore[reportAssignmentType]
    if isinstance(instruction, Call) and (instruction.callee_name or "").startswith(_ADDRESS):
        if instruction.operands[0] in wanted:
            instruction.replace_all_uses_with(wanted[instruction.operands[0]])
            instruction.erase()
        return
    for index, operand in enumerate(instruction.operands):
        if any(g in wanted for g in _globals_of(operand)):
            if isinstance(instruction, Phi):
                at = Builder.before(instruction.incoming[index].terminator)
            else:
                at = Builder.before(instruction)
            instruction.set_operand(index, _materialise(operand, wanted, at))


def _materialise(value: Value, given: dict[Value, Argument], at: Builder) -> Value:
    """Return what a constant is where variables are parameters."""
    if value in given:
        return given[value]
    if not isinstance(value, ConstantExpression) or not any(g in given for g in _globals_of(value)):
        return value
    operands = [_materialise(o, given, at) for o in value.operands]
    if value.opcode == "getelementptr":
        assert value.source_type is not None
        return at.gep(value.source_type, operands[0], operands[1:])
    if value.opcode in ("ptrtoint", "inttoptr", "bitcast", "addrspacecast", "trunc"):
        return at.cast(value.opcode, operands[0], value.type)
    if value.opcode in ("add", "sub", "xor"):
        return at.binary(value.opcode, operands[0], operands[1])
    raise UnsupportedIRError(
        "the address of a global variable is computed in this way",
        operation=value.opcode,
        remedy="take the address in a statement of its own",
    )


def _redirect(call: Call, target: Function, extras: Sequence[Value]) -> None:
    """Let `call` call `target`, with more arguments."""
    at = Builder.before(call)
    new = at.call(target, [*call.arguments, *extras], name=call.name)
    assert isinstance(new, Call)
    for part in ("tail", "convention", "return_attributes", "bundles"):
        setattr(new, part, getattr(call, part))
    new.argument_attributes = [*call.argument_attributes, *([""] * len(extras))]
    new.metadata = dict(call.metadata)
    call.replace_all_uses_with(new)
    call.erase()


# -- shadows


def _in_context(
    at: Builder, context: Value, layout: ShadowLayout, variable: GlobalVariable, lane: int
) -> Value:
    """Return the address of the shadow of `variable` in a context."""
    place = layout.place(variable.name, lane)
    if place is None:
        raise UnsupportedIRError(
            dict(layout.refused).get(variable.name, "the variable has no shadow in a context"),
            operation=f"the global variable {variable.name}",
            remedy="pass the function a pointer to the memory, and a shadow of it",
        )
    return at.gep(I8, context, [const_int(I64, place)])


def _address(module: Module, variable: GlobalVariable, text: str, at: Builder) -> Value:
    if not re.search(r"(?:^|\s)thread_local", text.split(" global ", maxsplit=1)[0]):
        return variable
    address = module.declare(f"{_ADDRESS}.p0", FunctionType(PTR, (PTR,)))
    return at.call(address, [variable])


class _Shadows:
    """The shadows of variables in one module."""

    def __init__(self, module: Module, mode: Mode) -> None:
        self.module = module
        self.kind = "tangent" if mode is Mode.FORWARD else "cotangent"
        self.found: dict[GlobalVariable, str] = {}
        """Each shadow, with its initial value."""

    def of(self, variable: GlobalVariable, direction: int) -> GlobalVariable:
        """Return the shadow of `variable` in one direction, defining it where it is new."""
        name = f"{variable.name}.{self.kind}" + (f".{direction}" if direction else "")
        found = self.module.globals.get(name)
        if found is not None:
            return found
        found = GlobalVariable(name, "")
        self.module.globals[name] = found
        self.found[found] = "zeroinitializer"
        type, start = type_and_value(variable.text)
        if "@" in start:
            start = _NUMBER.sub(r"\1 0.0", start)
            self.found[found] = _NAME.sub(lambda m: self._named(m, direction), start)
        thread_local = re.search(r"thread_local(?:\(\w+\))? ", variable.text.split(" global ")[0])
        words = "" if thread_local is None else thread_local.group(0)
        found.text = f"linkonce_odr {words}global {type} {self.found[found]}, align 16"
        return found

    def _named(self, match: re.Match[str], direction: int) -> str:
        """Return what stands in a shadow where the variable has the address of a symbol."""
        other = self.module.globals.get(match.group(1) or match.group(2))
        if other is None or (other.is_constant and not _may_hold_numbers(other)):
            return match.group(0)
        return f"@{spell_name(self.of(other, direction).name)}"

    def clear(self, at: Builder) -> None:
        """Give all shadows their initial values."""
        for shadow, initial in self.found.items():
            spelled, _ = type_and_value(shadow.text)
            size = size_of(parse_module(f"declare void @f({spelled})").functions["f"].arguments[0].type)
            place = _address(self.module, shadow, shadow.text, at)
            if size is None:
                raise UnsupportedIRError(
                    "a global variable of this type is written",
                    operation=spelled,
                    remedy="let it hold numbers, integers and pointers",
                )
            count = const_int(I64, size[0])
            if initial == "zeroinitializer":
                kind = FunctionType(VOID, (PTR, I8, I64, I1))
                clear = self.module.declare("llvm.memset.p0.i64", kind)
                at.call(clear, [place, const_int(I8, 0), count, const_int(I1, 0)])
                continue
            model = GlobalVariable(
                f"{shadow.name}.initial", f"linkonce_odr constant {spelled} {initial}, align 16"
            )
            self.module.globals[model.name] = model
            kind = FunctionType(VOID, (PTR, PTR, I64, I1))
            copy = self.module.declare("llvm.memcpy.p0.p0.i64", kind)
            at.call(copy, [place, model, count, const_int(I1, 0)])


def type_and_value(text: str) -> tuple[str, str]:
    """Return the type and the initial value in the text of a variable."""
    kind = re.search(r"(?:^|\s)(?:global|constant) ", text)
    assert kind is not None
    rest = text[kind.end() :]
    type = _first_type(rest)
    value = rest[len(type) :].strip()
    value = re.split(
        r", (?:align|section|comdat|partition|code_model|no_sanitize|!\w|sanitize)", f" {value}", maxsplit=1
    )[0]
    return type, re.sub(r"^,.*", "", value.strip())


def _may_hold_numbers(variable: GlobalVariable) -> bool:
    return re.search(r"\b(?:double|float|ptr)\b", type_and_value(variable.text)[0]) is not None
