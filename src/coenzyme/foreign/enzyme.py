"""A module in which Enzyme's functions are called becomes one that calls derivatives made by our engine."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import llvmlite.binding as llvm

from coenzyme.codegen import spell_out_types, verify
from coenzyme.derive.finishing import with_definitions
from coenzyme.derive.registered import Registered
from coenzyme.errors import ActivityError, CoenzymeError, UnsupportedIRError
from coenzyme.foreign.derivatives import ForeignRequest, Kinks, called_by_address, derive_foreign
from coenzyme.foreign.enzyme_arguments import plan_call
from coenzyme.foreign.enzyme_calls import (
    Site,
    define_markers,
    find_sites,
    pointee_of,
    read_actuals,
    target_of,
)
from coenzyme.foreign.enzyme_contexts import Contexts, take_contexts
from coenzyme.foreign.enzyme_emission import Made, Standing, emit_standing
from coenzyme.foreign.enzyme_failure import define_failure
from coenzyme.foreign.enzyme_fixed_points import define_derivatives, take_fixed_points
from coenzyme.foreign.enzyme_hints import add_iterations, resolve_hints, resolve_iterations
from coenzyme.foreign.enzyme_plan import TAPE_BYTES, CallPlan, EnzymeMode
from coenzyme.foreign.enzyme_registrations import take_registrations
from coenzyme.foreign.enzyme_targets import bring_together, choose_at_run_time
from coenzyme.foreign.fixed_point_text import FixedPoint
from coenzyme.foreign.visibility import hide, show
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.ir.builder import Builder
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.devirtualise import is_indirect
from coenzyme.ir.instructions import Block, Call, Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.types import VOID, IntType
from coenzyme.ir.values import Argument, ConstantInt, ConstantNull

_OWN = "coenzyme."
"""What the names of our own functions begin with."""

__all__ = ["Resolution", "ResolvedCall", "resolve_enzyme"]


@dataclass(frozen=True)
class ResolvedCall:
    """A call of Enzyme's functions that has been resolved.

    Attributes
    ----------
    called
        The name that is called, such as ``__enzyme_autodiff1``.
    caller
        The function that the call stands in.
    location
        The line of the call, empty where it is not known.
    function
        The function that is differentiated.
    plan
        What the call means; None where it asks for a size alone.
    """

    called: str
    caller: str
    location: str
    function: str
    plan: CallPlan | None


@dataclass(frozen=True)
class Resolution:
    """A module without calls of Enzyme's functions.

    Attributes
    ----------
    text
        The module, not optimised, ready to be run.
    calls
        What was resolved, in the order of the text.
    """

    text: str
    calls: tuple[ResolvedCall, ...]


def resolve_enzyme(text: str) -> Resolution:
    """Return module `text` with derivatives in the place of calls of Enzyme's functions.

    Parameters
    ----------
    text
        LLVM text as a front end makes it, not optimised.

    Raises
    ------
    ActivityError, MissingRuleError, UnsupportedIRError
        Where a call cannot be resolved, or the function has no derivative; with the line of the call.
    """
    module = parse_module(spell_out_types(str(verify(text))))
    hidden = show(module)
    resolve_hints(module)
    registered = take_registrations(module)
    module, contexts = take_contexts(module)
    points = take_fixed_points(module, registered)
    resolver = _Resolver(module, registered, hidden.variables, contexts, points)
    resolver.run()
    module = parse_module(with_definitions(resolver.module))
    resolve_iterations(module)
    define_failure(module)
    define_markers(module)
    hide(module, hidden, _OWN)
    return Resolution(str(verify(print_module(module))), tuple(resolver.resolved))


class _Resolver:
    def __init__(
        self,
        module: Module,
        registered: Mapping[str, Registered],
        own: Container[str],
        contexts: Contexts | None,
        points: Sequence[FixedPoint],
    ) -> None:
        self.points = points
        self.module = module
        self.contexts = contexts
        self.own = own
        self.addressed: tuple[Module, list[Function]] | None = None
        self.tried: set[str] = set()
        """What has been done to learn what is to be differentiated."""
        self.registered = registered
        self.resolved: list[ResolvedCall] = []
        self.made: dict[tuple[str, ForeignRequest], Made] = {}
        self.pending: list[str] = []
        """The texts of derivatives that are not linked yet."""
        self.numbers = count()

    def run(self) -> None:
        """Resolve all calls, those in functions that are differentiated before those that do it."""
        while True:
            define_derivatives(self.module, self.points)
            sites = list(find_sites(self.module))
            if not sites:
                return
            unknown = dict.fromkeys(site.caller.name for site in sites if self._target(site) is None)
            changed = bring_together(self.module, unknown, self.tried) if unknown else None
            if changed is not None:
                self.module = changed
                continue
            if unknown and self._choose(sites):
                continue
            ready = self._ready(sites)
            for site in ready:
                target = self._target(site)
                assert target is not None
                self._entry(target)
            text = print_module(self.module)
            for site in ready:
                self._resolve(site, text)
            self._link()

    def _choose(self, sites: Sequence[Site]) -> bool:
        """Let the program choose what to differentiate where that depends on data; return whether it can."""
        changed = False
        for site in sites:
            if self._target(site) is None:
                candidates = [f for f in self._addressed() if self._fits(site, f)]
                if candidates:
                    name = self._fresh("coenzyme.enzyme.choice")
                    choose_at_run_time(self.module, site, candidates, name)
                    changed = True
        return changed

    def _fits(self, site: Site, function: Function) -> bool:
        """Whether a call could be meant for `function`."""
        try:
            plan = self._plan(site, function)
        except CoenzymeError:
            return False
        types = [actual.type for actual in read_actuals(site)]
        return not function.is_declaration and all(
            p.position is None or p.type.is_pointer == types[p.position].is_pointer for p in plan.parameters
        )

    def _plan(self, site: Site, target: Function) -> CallPlan:
        structure = pointee_of(target.arguments[0].attributes, "sret") if target.arguments else None
        return plan_call(
            site.mode,
            target.function_type,
            read_actuals(site),
            structure=structure,
            into_memory=site.into is not None,
        )

    def _ready(self, sites: Sequence[Site]) -> list[Site]:
        """Return the calls that differentiate nothing in which there are calls that are not resolved."""
        holders = {site.caller.name for site in sites}
        unknown = [site for site in sites if self._target(site) is None]
        found = [
            site
            for site in sites
            if (target := self._target(site)) is not None and holders.isdisjoint(self._reached(target))
        ]
        if found:
            return found
        culprit = (unknown or list(sites))[0]
        if unknown:
            raise _placed(
                UnsupportedIRError(
                    "it is not known which function is to be differentiated",
                    operation=str(culprit.call.callee_name),
                    remedy="pass the name of the function, or an address that the module takes of a function "
                    "with such arguments",
                ),
                culprit,
                self.module,
            )
        raise _placed(
            UnsupportedIRError(
                "a function asks for a derivative of itself",
                operation=str(culprit.call.callee_name),
                remedy="write the recursion so that each function differentiates another one",
            ),
            culprit,
            self.module,
        )

    def _reached(self, function: Function) -> set[str]:
        """Return the names of the functions that `function` mentions, itself included, and so on.

        Functions with derivatives of their own are not looked into.
        """
        found: set[str] = set()
        pending = [function.name]
        while pending:
            name = pending.pop()
            if name in found or name not in self.module.functions:
                continue
            found.add(name)
            if name not in self.registered:
                for instruction in self.module.functions[name].instructions():
                    pending += [o.name for o in instruction.operands if isinstance(o, Function)]
                    if isinstance(instruction, Call) and is_indirect(instruction):
                        kind = instruction.function_type
                        pending += [f.name for f in self._addressed() if f.function_type == kind]
        return found - self.registered.keys()

    def _addressed(self) -> list[Function]:
        """Return the functions that may be called by address."""
        if self.addressed is None or self.addressed[0] is not self.module:
            self.addressed = self.module, called_by_address(self.module)
        return self.addressed[1]

    def _target(self, site: Site) -> Function | None:
        return target_of(site, self.module, self.own)

    def _entry(self, target: Function) -> str:
        """Return the name of what is differentiated: what calls `target`, where that has derivatives."""
        if target.name not in self.registered:
            return target.name
        name = f"coenzyme.calls.{target.name}"
        if name not in self.module.functions:
            arguments = [Argument(a.type, f"a{n}", n) for n, a in enumerate(target.arguments)]
            caller = Function(name, target.function_type, arguments)
            self.module.add_function(caller)
            at = Builder(caller.add_block(Block("entry")))
            value = at.call(target, list(arguments))
            at.ret(None if value.type == VOID else value)
        return name

    def _resolve(self, site: Site, text: str) -> None:
        target = self._target(site)
        assert target is not None
        name, line = str(site.call.callee_name), _line(site, self.module)
        try:
            plan = self._replace(site, target, text)
        except CoenzymeError as error:
            raise _placed(error, site, self.module) from None
        if not site.caller.name.startswith(_OWN):
            self.resolved.append(ResolvedCall(name, site.caller.name, line, target.name, plan))

    def _replace(self, site: Site, target: Function, text: str) -> CallPlan | None:
        call = site.call
        if target.is_declaration and target.name not in self.registered:
            raise UnsupportedIRError(
                f"the code of {target.name} is not in the module",
                operation=f"__enzyme_{site.mode.value}",
                remedy="compile it together with the call, or register its derivative",
            )
        if site.mode is EnzymeMode.SIZE:
            assert isinstance(call.type, IntType)
            call.replace_all_uses_with(ConstantInt(call.type, TAPE_BYTES))
            call.erase()
            return None
        actuals = read_actuals(site)
        plan = self._plan(site, target)
        line = _line(site, self.module)
        standing = Standing(
            name=self._fresh("coenzyme.enzyme.call"),
            plan=plan,
            actuals=actuals,
            returns=call.type,
            into=site.into,
            made=self._derive(target, plan, text),
            contexts=self.contexts,
            place=f"the derivative of {target.name} in {site.caller.name}{line and f' ({line})'}",
        )
        function = emit_standing(self.module, standing)
        _redirect(call, function)
        return plan

    def _derive(self, target: Function, plan: CallPlan, text: str) -> Made:
        given = plan.context is not None
        layout = self.contexts and self.contexts.layout_for(plan.width, given=given)
        if given and layout is None:
            raise ActivityError(
                "there is no context in the module",
                operation="enzyme_context",
                remedy="pass what __enzyme_context has returned",
            )
        request = ForeignRequest(
            mode=Mode.FORWARD if plan.mode.is_forward else Mode.REVERSE,
            activities=tuple(p.activity for p in plan.parameters),
            return_active=plan.return_activity is not ComponentActivity.CONST,
            width=plan.width,
            split=plan.mode.is_split,
            again=True,
            strong_zero=plan.strong_zero,
            kinks=Kinks.SIDES,
            layout=layout,
        )
        key = (target.name, request)
        if key not in self.made:
            name = self._fresh(f"coenzyme.{request.mode.value}.{target.name}")
            derived = derive_foreign(text, self._entry(target), request, name, self.registered)
            self.pending.append(add_iterations(derived.text))
            self.made[key] = Made(derived.symbols, derived.in_context)
        return self.made[key]

    def _fresh(self, name: str) -> str:
        return f"{name}.{next(self.numbers)}"

    def _link(self) -> None:
        """Add the derivatives that have been made to the module."""
        module = verify(print_module(self.module))
        for text in self.pending:
            module.link_in(llvm.parse_assembly(text))
        self.pending.clear()
        self.module = parse_module(spell_out_types(str(module)))


def _redirect(call: Call, function: Function) -> None:
    """Let `call` call `function`, which takes its arguments as they are."""
    for position, argument in enumerate(call.arguments):
        if isinstance(argument, Function):
            call.set_operand(position, ConstantNull())  # its address is not taken any more
    call.function_type = function.function_type
    call.set_operand(len(call.operands) - 1, function)
    call.argument_attributes = ["" for _ in call.arguments]
    call.return_attributes = ""
    call.function_attributes = ""
    call.tail = ""


def _line(site: Site, module: Module) -> str:
    location = SourceMap(module).locate(site.call)
    return "" if location is None else str(location)


def _placed(error: CoenzymeError, site: Site, module: Module) -> CoenzymeError:
    """Let `error` name the place of the call, where it names no other."""
    if error.location is None:
        error.location = SourceMap(module).locate(site.call)
    if error.function is None:
        error.function = site.caller.name
    if error.remedy is not None and "Duplicated(" in error.remedy:
        error.remedy = "mark the argument enzyme_dup, and pass a shadow, of zeros where it is scratch memory"
    error.args = (error.describe(),)
    return error
