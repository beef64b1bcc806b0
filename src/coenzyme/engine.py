"""The one driver: from a function and the types of its arguments to its compiled derivative.

Read from top to bottom it is the table of contents of the engine:

1. :func:`lower` – a frontend turns the function into unoptimised, linked LLVM text (a ``Program``);
2. :func:`prepare` – LLVM simplifies, inlines and canonicalises it;
3. :func:`parse_module` – the text becomes our own objects;
4. :func:`derive` – analyses, plan, emission (:mod:`coenzyme.derive`);
5. :func:`print_module`, :func:`verify` – back to text, checked by LLVM;
6. :func:`link` – optimised, vectorised, compiled, callable by Numba and from Python.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar

from numba.core.compiler_lock import global_compiler_lock

import coenzyme.frontends.numba_factorisations  # pyright: ignore[reportUnusedImport]  # rules
import coenzyme.frontends.numba_norms  # pyright: ignore[reportUnusedImport]  # rules
import coenzyme.frontends.numba_products  # noqa: F401  # pyright: ignore[reportUnusedImport]  # rules
from coenzyme.analysis.objects import Storage
from coenzyme.analysis.overwritten import Aliasing
from coenzyme.analysis.passes import ALL_PASSES, Pass, passes_in_force
from coenzyme.codegen import canonicalise_loops, is_linked, prepare, verify
from coenzyme.derive.amounts import extents_of
from coenzyme.derive.derivative import Request, derive, derive_split
from coenzyme.derive.emission import type_named
from coenzyme.derive.explained import Explained, explain_plan
from coenzyme.derive.finishing import finish, with_definitions
from coenzyme.derive.foreign import give_status, report_failures
from coenzyme.derive.foreign_blas import resolve_blas, settle_constants
from coenzyme.derive.global_memory import PassedGlobals, pass_globals
from coenzyme.derive.launches import know_launches
from coenzyme.derive.own_shadows import OwnShadows
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.promotion import may_promote, promote_small_blocks
from coenzyme.derive.reference_counts import drop_reference_counts
from coenzyme.derive.runtime import TapeMemory
from coenzyme.derive.seeds import find_places
from coenzyme.derive.written import find_written_parameters, returns_own_memory
from coenzyme.errors import ActivityError, CoenzymeError, Location, MissingRuleError, UnsupportedIRError
from coenzyme.frontends.custom_rules import CustomRule, find_custom, provide_custom
from coenzyme.frontends.native_module import calls_native, has_variables, is_native, variable_of
from coenzyme.frontends.numba_link import Linked, link
from coenzyme.frontends.numba_link_split import SplitSymbols, link_split
from coenzyme.frontends.numba_lower import lower
from coenzyme.frontends.numba_parallel import find_launch, is_launched
from coenzyme.frontends.numba_rules import environments_of, is_ruled, provide
from coenzyme.frontends.program import (
    ArgumentActivity,
    ComponentActivity,
    Mode,
    Program,
    Role,
    component_activities,
)
from coenzyme.ir.carried import resolve_carried_selections
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.devirtualise import devirtualise
from coenzyme.ir.instructions import Call, Function, Instruction, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.reducible import make_reducible
from coenzyme.ir.stack_arrays import move_stack_arrays
from coenzyme.ir.tbaa import note_accessed_types
from coenzyme.ir.types import I32
from coenzyme.ir.values import Argument
from coenzyme.rules import GIVEN, Effect, classify, find_container_rule, is_declared_inactive, is_inactive

__all__ = [
    "Derivative",
    "Effects",
    "Options",
    "SplitDerivative",
    "derivative",
    "effects",
    "explained",
    "primal",
    "split_derivative",
]

_RESULT_PARAMETERS = 2
_OWN = ("<coenzyme", *(os.path.join(os.path.dirname(__file__), part) for part in ("api", "frontends")))
"""How the files of code begin that is ours, not the user's."""
_IN_MEMORY = (Role.MEMINFO, Role.PARENT, Role.DATA, Role.CONTAINER, Role.BLOCK, Role.FIELDS)
_CONTAINERS = (Role.CONTAINER, Role.BLOCK, Role.FIELDS)
_FOREIGN = (Storage.REACHED, Storage.UNKNOWN)
_RANDOM = re.compile(r"@numba_get_\w*random_state|@numba_rnd_")
_INDIRECT = re.compile(r"\bcall [^@\n]*%[^\s(]+\(")
_numbers = count()
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """How derivatives are made; part of the key they are remembered by.

    Attributes
    ----------
    passes
        The passes to make it by; the plain derivative, made by none, is the oracle for the others.
    arguments_disjoint
        Whether distinct array arguments may be assumed not to overlap.
    caller_keeps
        Whether arguments and result are left alone between the halves of a split derivative.
    strong_zero
        Whether a zero tangent or adjoint contributes zero where the slope is infinite or a NaN.
    width
        How many directions one sweep follows.
    memory_limit
        How many bytes the tapes of the derivative that are alive at one time may hold; None for no limit.
    unneeded
        The arguments of which nobody needs to know what the function leaves in their memory (reverse mode).
    result_needed
        Whether the result is wanted beside the derivative (reverse mode).
    """

    passes: frozenset[Pass] = field(default_factory=passes_in_force)
    arguments_disjoint: bool = True
    caller_keeps: bool = True
    strong_zero: bool = False
    width: int = 1
    memory_limit: int | None = None
    unneeded: frozenset[int] = frozenset()
    result_needed: bool = True

    @property
    def are_apart(self) -> bool:
        """Whether LLVM is told before anything else that array arguments do not overlap."""
        return self.arguments_disjoint and Pass.APART in self.passes


@dataclass(frozen=True)
class Derivative:
    """A derivative, as code that is compiled with its callers.

    Attributes
    ----------
    linked
        What generated code calls, as it would call the dispatcher.
    dispatcher
        Compiled when it is first asked for. Called with the arguments, then a shadow for each ``DUPLICATED``
        one, then the seed of an active result (reverse mode). Returns ``(primal, tangent)`` or ``(primal,
        adjoints)``. For several directions, the shadows of the first come first, and so on, then the seeds;
        what is returned beside the primal is a tuple with one entry for each.
    restype
        The Numba type of the primal's result.
    program
        The primal as it was lowered.
    plan
        What the reverse sweep does (None in forward mode).
    text
        The derivative as LLVM text before its own optimisation.
    """

    linked: Linked
    restype: Any
    program: Program
    plan: ReversePlan | None
    text: str

    @property
    def dispatcher(self) -> Any:
        """The derivative as a function of its own."""
        return self.linked.dispatcher


@dataclass(frozen=True)
class SplitDerivative:
    """A compiled reverse derivative in two halves.

    Attributes
    ----------
    forward
        Called with the arguments, then a shadow for each ``DUPLICATED`` one. Returns ``(primal, (tape,
        shadow))``; the shadow is that of the primal's result, None where there is none.
    reverse
        Called with the tape, and with the cotangent of the result if it is seeded. Returns the adjoints.
    restype, program, plan, text
        As in `Derivative`.
    """

    forward: Any
    reverse: Any
    restype: Any
    program: Program
    plan: ReversePlan
    text: str

    @property
    def writes(self) -> bool:
        """Whether the function may write to what its caller gave it, unless it raises."""
        given = range(_RESULT_PARAMETERS, len(self.program.parameter_types))
        return any(
            isinstance(item.origin, Argument) and item.origin.index in given
            if item.storage is Storage.ARGUMENT
            else item.storage in _FOREIGN
            for item in self.plan.overwrites.written
        )


def derivative(
    function: Callable[..., Any],
    argtypes: tuple[Any, ...],
    activities: tuple[ArgumentActivity, ...],
    mode: Mode,
    return_active: bool,
    options: Options | None = None,
) -> Derivative:
    """Return the derivative of `function` for arguments of these Numba types; remembered.

    Raises
    ------
    CompilationError
        Where Numba cannot compile the function in nopython mode.
    ActivityError
        Where the annotations do not fit.
    MissingRuleError, UnsupportedIRError
        Where an operation on active data has no derivative.
    """
    # Numba's own lock, which typing code that asks for a derivative holds already.
    with global_compiler_lock:
        return _derivative(
            function, tuple(argtypes), tuple(activities), mode, return_active, options or Options()
        )


def split_derivative(
    function: Callable[..., Any],
    argtypes: tuple[Any, ...],
    activities: tuple[ArgumentActivity, ...],
    *,
    return_active: bool,
    seeded: bool,
    options: Options | None = None,
) -> SplitDerivative:
    """Return the reverse derivative of `function` in two halves; remembered.

    Parameters
    ----------
    seeded
        The reverse half takes the cotangent of the result; there is no shadow of the result then.

    Raises
    ------
    CompilationError, ActivityError, MissingRuleError, UnsupportedIRError
        As :func:`derivative` does.
    """
    with global_compiler_lock:
        return _split_derivative(
            function, tuple(argtypes), tuple(activities), return_active, seeded, options or Options()
        )


def primal(function: Callable[..., Any], argtypes: tuple[Any, ...]) -> Any:
    """Return the Numba type of what `function` returns for arguments of these types."""
    with global_compiler_lock:
        return lowered(function, tuple(argtypes)).restype


def explained(
    function: Callable[..., Any],
    argtypes: tuple[Any, ...],
    activities: tuple[ArgumentActivity, ...],
    return_active: bool,
    names: Sequence[str],
    options: Options | None = None,
) -> list[Explained]:
    """Return what the reverse sweeps of `function`, and of functions kept out of line in it, keep and why.

    Parameters
    ----------
    names
        What to call the arguments.
    """
    options = options or Options()
    with global_compiler_lock:
        program = lowered(function, tuple(argtypes), True)
        source = _source(function, tuple(argtypes), True, options)
        module, entry, variables = _parse_program(source, program, options.passes)
        lines = SourceMap(module)
        sizes = extents_of(program.arguments, names, _RESULT_PARAMETERS)
        found: list[Explained] = []

        def locate(instruction: Instruction) -> list[Location]:
            return [place for place in lines.chain(instruction) if not place.file.startswith(_OWN)]

        def observe(name: str, plan: ReversePlan) -> None:
            found.append(explain_plan(name, plan, module, locate, lambda a: sizes.get(a.index)))

        request = _request(program, activities, Mode.REVERSE, return_active, options)
        request = replace(_with_variables(request, variables), observe=observe)
        with _named_arguments():
            derive(module, entry, request, "coenzyme.explained", lines.locate, program.qualname)
    return found[::-1]  # that of a callee is made before that of its caller


@dataclass(frozen=True)
class Effects:
    """What a function does beside returning a value.

    Attributes
    ----------
    written
        The positions of the arguments whose memory it writes; None where it may write to other memory too.
    draws
        Whether it draws random numbers.
    """

    written: frozenset[int] | None
    draws: bool


def effects(function: Callable[..., Any], argtypes: tuple[Any, ...]) -> Effects:
    """Return what `function` does beside returning a value, for arguments of these Numba types."""
    with global_compiler_lock:
        return _effects(function, tuple(argtypes))


@lru_cache(maxsize=1024)
def _effects(function: Callable[..., Any], argtypes: tuple[Any, ...]) -> Effects:
    # The text that derivatives are made from, which is there already or will be wanted.
    program, text = lowered(function, argtypes), _source(function, argtypes, False, Options())
    _, entry, variables = _parse_program(text, program, ALL_PASSES)
    constant = tuple(ArgumentActivity.CONST for _ in program.arguments)
    request = _request(program, constant, Mode.REVERSE, False, Options())
    parameters = None if variables else find_written_parameters(entry, request)
    first, written = _RESULT_PARAMETERS, set[int]()
    for position, argument in enumerate(program.arguments):
        own = range(first, first + len(argument.components))
        first = own.stop
        if parameters is not None and not parameters.isdisjoint(own):
            written.add(position)
    return Effects(None if parameters is None else frozenset(written), bool(_RANDOM.search(text)))


_asked: set[str] = set()


def _spared_by_custom(symbol: str) -> frozenset[int] | None:
    """Return the parameters behind which a function with a user's rule writes nothing, by its code.

    None where that is not known, or where its result may lead to memory of its arguments.
    """
    found = find_custom(symbol)
    assert found is not None
    if symbol in _asked:
        return None  # it calls itself
    _asked.add(symbol)
    try:
        return _find_spared(*found)
    finally:
        _asked.discard(symbol)


@lru_cache(maxsize=1024)
def _find_spared(rule: CustomRule, argtypes: tuple[Any, ...], restype: Any) -> frozenset[int] | None:
    program, text = lowered(rule.plain, argtypes), _source(rule.plain, argtypes, False, Options())
    module, entry, _ = _parse_program(text, program, ALL_PASSES)
    constant = tuple(ArgumentActivity.CONST for _ in program.arguments)
    request = _request(program, constant, Mode.REVERSE, False, Options())
    if not all(map(rule.is_plain, (restype, *argtypes))) or not returns_own_memory(entry, request):
        return None
    written = rule.writes
    if written is None:
        # What functions without a body write to may be hidden from their caller.
        external = (f for f in module.functions.values() if f.is_declaration)
        known = not any(classify(f.name) is Effect.UNKNOWN for f in external)
        written = _effects(rule.plain, argtypes).written if known else None
    if written is None:
        written = range(len(argtypes))
    # Nothing is ever in the result's place where that is None.
    spared = set() if program.result.components else {0}
    first = _RESULT_PARAMETERS
    for position, argument in enumerate(program.arguments):
        numbers = range(first, first + len(argument.components))
        first = numbers.stop
        if position not in written:
            spared |= {n for n in numbers if entry.arguments[n].type.is_pointer}
    return frozenset(spared)


@lru_cache(maxsize=1024)
def lowered(function: Callable[..., Any], argtypes: tuple[Any, ...], in_series: bool = False) -> Program:
    """Return `function` as an unoptimised program, parallel loops as serial ones if so asked."""
    return lower(function, argtypes, in_series=in_series)


@lru_cache(maxsize=1024)
def prepared(
    function: Callable[..., Any],
    argtypes: tuple[Any, ...],
    in_series: bool = False,
    apart: bool = False,
    promoted: bool = False,
) -> str:
    """Return `function` as simplified LLVM text.

    Parameters
    ----------
    apart
        Array arguments do not overlap: LLVM is told so.
    promoted
        Small arrays that stay in the function become values.
    """
    program = lowered(function, argtypes, in_series)
    alone = _arrays_alone(program) if apart else ()
    text = _simplified(program.text, program.entry, alone)
    while _INDIRECT.search(text):
        module = parse_module(text)
        if not devirtualise(module, closed=calls_native(program.text), known=_has_cs_convention):
            break
        text = _simplified(print_module(module), program.entry, alone)
    while promoted and may_promote(text):
        module = parse_module(text)
        if not promote_small_blocks(module):
            break
        text = prepare(print_module(module), program.entry, _stays_out_of_line, alone)
    return text


def _simplified(text: str, entry: str, alone: tuple[int, ...]) -> str:
    """Return a module's text simplified, what BLAS does written out."""
    simplified = prepare(resolve_blas(text, is_linked), entry, _stays_out_of_line, alone)
    settled = settle_constants(simplified)
    return simplified if settled == simplified else prepare(settled, entry, _stays_out_of_line, alone)


def _source(
    function: Callable[..., Any], argtypes: tuple[Any, ...], in_series: bool, options: Options
) -> str:
    """Return the text that a derivative of `function` by these passes is made from."""
    return prepared(function, argtypes, in_series, options.are_apart, Pass.STACK in options.passes)


def _arrays_alone(program: Program) -> tuple[int, ...]:
    """Return the parameters that point to the data of arrays, where nothing else could lead there."""
    components = [c for argument in program.arguments for c in argument.components]
    if any(c.role in _CONTAINERS for c in components):
        return ()
    return tuple(n for n, c in enumerate(components, _RESULT_PARAMETERS) if c.role is Role.DATA)


def _stays_out_of_line(symbol: str) -> bool:
    return is_ruled(symbol) or is_launched(symbol) or is_declared_inactive(symbol)


def _parallel_or_serial(
    function: Callable[..., Any], argtypes: tuple[Any, ...], make: Callable[[bool], T]
) -> T:
    """Return what `make` makes; where parallel loops do not allow it, in series."""
    if not lowered(function, argtypes).is_parallel:
        return make(False)
    try:
        return make(False)
    except (ActivityError, MissingRuleError, UnsupportedIRError):
        return make(True)


@lru_cache(maxsize=4096)
def _derivative(
    function: Callable[..., Any],
    argtypes: tuple[Any, ...],
    activities: tuple[ArgumentActivity, ...],
    mode: Mode,
    return_active: bool,
    options: Options,
) -> Derivative:
    def make(in_series: bool) -> Derivative:
        program = lowered(function, argtypes, in_series)
        name = f"coenzyme.{mode.value}.{next(_numbers)}.{_plain(program.qualname)}"
        request = _request(program, activities, mode, return_active, options)
        source = _source(function, argtypes, in_series, options)
        text, plan = _derive_text(source, program, request, name)

        def text_again() -> str:
            """Return the derivative in a form that can be differentiated: its tape is ordinary memory."""
            again = replace(
                request,
                memory=TapeMemory.PLAIN,
                memory_limit=None,
                unneeded=frozenset(),
                passes=request.passes - {Pass.LANES},
            )
            # Second derivatives know nothing of threads.
            serial = in_series or program.is_parallel
            primal = lowered(function, argtypes, serial)
            source = _source(function, argtypes, serial, options)
            return _derive_text(source, primal, again, name)[0]

        environments = {**program.environments, **environments_of(text)}
        again_differs = options.width > 1 or mode is Mode.REVERSE or program.is_parallel or _holds_names(text)
        linked = link(
            text,
            name,
            replace(program, environments=environments),
            activities,
            mode,
            _plain(program.qualname.rsplit(".", 1)[-1]) + f"_{mode.value}",
            return_active=return_active,
            width=options.width,
            memory_limit=options.memory_limit,
            text_again=text_again if again_differs else None,
        )
        return Derivative(linked, program.restype, program, plan, text)

    return _parallel_or_serial(function, argtypes, make)


@lru_cache(maxsize=4096)
def _split_derivative(
    function: Callable[..., Any],
    argtypes: tuple[Any, ...],
    activities: tuple[ArgumentActivity, ...],
    return_active: bool,
    seeded: bool,
    options: Options,
) -> SplitDerivative:
    def make(in_series: bool) -> SplitDerivative:
        program = lowered(function, argtypes, in_series)
        request = replace(_request(program, activities, Mode.REVERSE, return_active, options), result=None)
        name = f"coenzyme.split.{next(_numbers)}.{_plain(program.qualname)}"
        source = _source(function, argtypes, in_series, options)
        module, entry, variables = _parse_program(source, program, options.passes)
        request = _with_variables(request, variables, split=True)
        inner = name if variables is None else f"{name}.of.variables"
        with _named_arguments():
            made, plan = derive_split(
                module, entry, request, inner, SourceMap(module).locate, program.qualname
            )
        for half in (made.augmented, made.reverse, made.discard):
            finish(module, half, entry)
        if variables is not None:
            made = OwnShadows(module, variables, options.width, last=1).close_halves(made, name)
        text = with_definitions(module)
        linked = link_split(
            text,
            SplitSymbols(made.augmented.name, made.reverse.name, made.discard.name),
            replace(program, environments={**program.environments, **environments_of(text)}),
            activities,
            _plain(program.qualname.rsplit(".", 1)[-1]),
            return_active=return_active,
            seeded=seeded,
            width=options.width,
            memory_limit=options.memory_limit,
        )
        return SplitDerivative(linked.forward, linked.reverse, program.restype, program, plan, text)

    return _parallel_or_serial(function, argtypes, make)


def _derive_text(
    source: str, program: Program, request: Request, name: str
) -> tuple[str, ReversePlan | None]:
    """Return the text of a derivative called `name`, and the plan it was made from."""
    module, entry, variables = _parse_program(source, program, request.passes)
    request = _with_variables(request, variables)
    inner = name if variables is None else f"{name}.of.variables"
    with _named_arguments():
        derived = derive(module, entry, request, inner, SourceMap(module).locate, program.qualname)
    finish(module, derived.function, entry)
    if variables is not None:
        seeds = 0 if request.result is None else request.width
        OwnShadows(module, variables, request.width, seeds).close(derived.function, name)
    text = with_definitions(module, again=request.memory is TapeMemory.PLAIN)
    verify(text, program.qualname)
    return text, derived.plan


def _parse_program(
    source: str, program: Program, passes: frozenset[Pass]
) -> tuple[Module, Function, PassedGlobals | None]:
    """Return the objects of prepared text, and the function to differentiate among them.

    Variables of C code that need shadows are its last parameters then.
    """
    module = _parse(source, passes)
    for callee in module.functions.values():
        custom = find_custom(callee.name) is not None
        callee.ruled = is_ruled(callee.name) and not callee.is_declaration and not custom
        callee.custom = custom and not callee.is_declaration
        if callee.custom:
            callee.spared = _spared_by_custom(callee.name)
    know_launches(module, find_launch)
    note_accessed_types(module)
    move_stack_arrays(module)
    entry = module.functions[program.entry]
    variables = _pass_variables(module, entry) if has_variables(source) else None
    if variables is not None:
        entry = variables.entry
    if calls_native(program.text):
        give_status(module, [entry], lambda function: is_native(function.name))
    report_failures(module)
    return module, entry, variables


def _pass_variables(module: Module, entry: Function) -> PassedGlobals | None:
    """Return a twin of `entry` that is given the variables of C code which need shadows, if there are any."""
    apart = {f.name for f in module.functions.values() if f.ruled or find_launch(f.name) is not None}
    return pass_globals(module, entry, apart, lambda name: variable_of(name) is not None)


def _with_variables(request: Request, variables: PassedGlobals | None, *, split: bool = False) -> Request:
    """Return `request` for a function that is given variables, too."""
    if variables is None:
        return request
    structs = request.structs
    for symbol, twin in variables.renamed.items():
        if symbol in structs.parameters:
            structs = replace(structs, parameters={**structs.parameters, twin: structs.parameters[symbol]})
        if symbol in structs.results:
            structs = replace(structs, results={**structs.results, twin: structs.results[symbol]})
    # Other calls may write to the variables between the halves of a derivative.
    keeps = request.aliasing.caller_keeps and not split
    return replace(
        request,
        activities=[*request.activities, *(ComponentActivity.DUPLICATED for _ in variables.variables)],
        elements={**request.elements, **variables.elements},
        structs=structs,
        aliasing=replace(request.aliasing, caller_keeps=keeps),
    )


def _has_cs_convention(call: Call) -> bool:
    """Return whether a function is called that is certainly none of Numba's."""
    kind = call.function_type
    pointers = [p.is_pointer for p in kind.parameters[:2]]
    return kind.result != I32 or pointers != [True, True]


@contextmanager
def _named_arguments() -> Generator[None, None, None]:
    """Let errors name the user's arguments."""
    try:
        yield
    except CoenzymeError as error:
        # The parts of an array have names of their own; the user knows the array's.
        found = re.match(r"arg\.(\w+)", error.argument or "")
        if found is not None:
            error.argument = found.group(1)
            error.args = (error.describe(),)
        variable = variable_of(error.argument or "")
        if variable is not None:
            error.argument = f"the variable {variable}"
            error.remedy = f"let the function take the memory of {variable} as a parameter"
            error.args = (error.describe(),)
        raise


def _parse(source: str, passes: frozenset[Pass]) -> Module:
    """Return the objects of prepared text, every cycle a natural loop, indices free of other iterations.

    LLVM threads jumps into loops at times, which leaves cycles with two entries.
    """
    module = parse_module(source)
    changed = [make_reducible(f) for f in module.functions.values() if not f.is_declaration]
    if any(changed):
        module = parse_module(canonicalise_loops(print_module(module)))
    if Pass.BORROWED in passes:
        drop_reference_counts(module)
    for function in module.functions.values() if Pass.CARRIED in passes else ():
        if not function.is_declaration:
            resolve_carried_selections(function)
    return module


def _request(
    program: Program,
    activities: tuple[ArgumentActivity, ...],
    mode: Mode,
    return_active: bool,
    options: Options,
) -> Request:
    elements: dict[int, Any] = {}
    groups: dict[int, int] = {}
    index = _RESULT_PARAMETERS
    group = 0
    for argument in program.arguments:
        for component in argument.components:
            if component.role in (Role.MEMINFO, Role.BLOCK):
                group += 1
            if component.role in _IN_MEMORY:
                groups[index] = group
            if component.role is Role.DATA and component.element is not None:
                elements[index] = type_named(component.element)
            index += 1
    seeded = mode is Mode.REVERSE and return_active and program.result.has_memory
    unneeded = _unneeded(program, options) if mode is Mode.REVERSE and not seeded else frozenset[int]()
    return Request(
        mode=mode,
        activities=component_activities(program, activities, mode, return_active),
        elements=elements,
        groups=groups,
        aliasing=Aliasing(options.arguments_disjoint, options.caller_keeps),
        passes=options.passes,
        result=find_places(program.result) if seeded else None,
        strong_zero=options.strong_zero,
        width=options.width,
        memory_limit=options.memory_limit,
        provide=provide,
        provide_custom=provide_custom,
        launches=find_launch,
        structs=program.structs,
        unneeded=unneeded,
        moves_bits=calls_native(program.text),
    )


def _unneeded(program: Program, options: Options) -> frozenset[int]:
    """Return the parameters that lead to memory whose contents on exit nobody needs."""
    found: set[int] = set()
    if not options.result_needed and not program.result.has_memory:
        found.add(0)
    index = _RESULT_PARAMETERS
    for position, argument in enumerate(program.arguments):
        for component in argument.components:
            if position in options.unneeded and component.role is Role.DATA:
                found.add(index)
            index += 1
    return frozenset(found)


def _holds_names(text: str) -> bool:
    """Return whether `text` calls what must not be inlined before it is differentiated."""
    if GIVEN in text:
        return True
    defined = re.findall(r'^define [^@\n]*@"?([^"(\s]+)', text, re.MULTILINE)
    return any(is_ruled(name) or is_inactive(name) or find_container_rule(name) for name in defined)


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_") or "function"
