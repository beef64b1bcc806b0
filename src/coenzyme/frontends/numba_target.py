"""A private Numba target that lowers to LLVM and stops there.

Functions compiled for this target, with everything they call, become LLVM modules that are neither optimised
nor turned into machine code; `NRT_*` stay external calls.  It is built from Numba's target-extension API: a
target, a dispatcher, a typing context, a target context, a code library and a pipeline, each a subclass.

Two facts about Numba shape this file.

- Function templates (`@overload`, `@intrinsic`) keep their compiled implementations on the class, under keys
  that do not name the target.  A lowering that happens while Numba types a user's function would leave keys
  there that the CPU target cannot find.  So this target gives every such template a subclass with tables of
  its own.
- Numba interns types, and the type of a bound method does not name its target either.  It gets a class of our
  own.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportPrivateImportUsage=false
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import codegen, compiler, cpu, types, typing
from numba.core.base import _wrap_impl
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu_options import ParallelOptions
from numba.core.descriptors import TargetDescriptor
from numba.core.dispatcher import Dispatcher, LiftedCode, ObjModeLiftedWith
from numba.core.errors import NumbaWarning, UnsupportedError
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.runtime.nrt import rtsys
from numba.core.target_extension import (
    CPU,
    JitDecorator,
    dispatcher_registry,
    jit_registry,
    target_override,
    target_registry,
)
from numba.np.ufunc.dufunc import DUFunc
from numba.stencils.stencil import StencilFunc

from coenzyme.frontends.numba_classes import (
    OwnBoundFunction,
    find_property,
    is_property,
    resolve_attribute,
    resolve_call,
    set_property,
)
from coenzyme.frontends.numba_containers import find_lowering
from coenzyme.frontends.numba_lines import pipeline_with_lines
from coenzyme.frontends.numba_outside import is_outside, lower_outside, outside_type
from coenzyme.frontends.numba_power import is_power, lower_power, lower_powers_of_arrays
from coenzyme.frontends.numba_structs import is_instance, result_struct, struct_parameters
from coenzyme.frontends.structs import DESTRUCTOR, Struct
from coenzyme.rules.given import declare_inactive

__all__ = [
    "TARGET_NAME",
    "IRDispatcher",
    "IRLibrary",
    "compiled_rules",
    "find_twin",
    "has_twin",
    "ir_target",
    "loops_in_series",
    "rule_of_function",
    "twin_type",
]

TARGET_NAME = "coenzyme"
_TEMPLATE_TABLES = ("_impl_cache", "_compiled_overloads", "_overload_cache")


class _Coenzyme(CPU):
    """The target: what the CPU target offers, it offers too."""


target_registry[TARGET_NAME] = _Coenzyme


# --- code ---------------------------------------------------------------------------------------------------


class IRLibrary(codegen.JITCodeLibrary):
    """A library that holds one function's own module and remembers what it must be linked with."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Close the module, without linking: that would copy every callee into every caller."""
        self._raise_if_finalized()
        for function in self._final_module.functions:
            # Numba defines one for each kind of exception in each module that raises it, and one for each
            # class in each module that makes instances.
            shared = function.name.startswith(("__excinfo_unwrap_args", DESTRUCTOR))
            if shared and not function.is_declaration:
                function.linkage = "linkonce_odr"
        self._finalized = True

    def add_linking_library(self, library: Any) -> None:
        """Note a library to link with; that of `NRT_*` is left out, derivative rules must see those calls."""
        if library is not rtsys.library:
            super().add_linking_library(library)

    @property
    def module(self) -> Any:
        """The module of this one function."""
        self._ensure_finalized()
        return self._final_module

    def closure(self) -> Iterator[Any]:
        """Yield the libraries this one needs, itself first, each once."""
        seen: set[Any] = {self}
        pending: list[Any] = [self]
        while pending:
            library = pending.pop(0)
            yield library
            for needed in getattr(library, "_linking_libraries", ()):
                if needed not in seen and needed is not rtsys.library:
                    seen.add(needed)
                    pending.append(needed)


class _IRCodegen(codegen.JITCPUCodegen):
    _library_class = IRLibrary

    def set_env(self, env_name: str, env: Any) -> None:
        # There is no machine code whose environment could be set; the linked derivative gets it.
        pass


class EntryPoint:
    """Stands where Numba expects the address of compiled code: it only has to be hashable and unique."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol


class IRContext(cpu.CPUContext):
    def init(self) -> None:
        with global_compiler_lock:
            super().init()
            self._internal_codegen = _IRCodegen("coenzyme")
            self.libraries: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
            self.environments: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
            self.instances: dict[str, Any] = {}
            """Types of instances that some function handles, by name."""
            self.parameters: dict[str, dict[int, str]] = {}
            """For the symbols of functions, the parameters that point to such instances."""
            self.results: dict[str, Struct] = {}
            """For the symbols of functions that return such instances, what the result's memory holds."""

    def get_function(self, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
        if is_power(fn, sig.as_function()):
            return _wrap_impl(lower_power, self, sig.as_function())
        if is_outside(fn):
            return _wrap_impl(lower_outside(fn), self, sig)
        container = find_lowering(fn, sig)
        if container is not None:
            return _wrap_impl(container, self, sig)
        twin = twin_type(fn)
        if twin is not fn and isinstance(twin, types.Dispatcher):
            # What Numba generates for classes calls the methods by their dispatchers for the CPU.
            twin.dispatcher.compile(sig.args)
            fn = twin
        try:
            return super().get_function(fn, sig, _firstcall)
        except NotImplementedError:
            if not isinstance(fn, types.Callable):
                raise
            # Classes and ufuncs made by decorators register with the CPU context only.
            key = fn.get_impl_key(sig)
            definitions = cpu_target.target_context._defns
            if key not in definitions:
                raise
            self._defns[key] = definitions[key]
            return super().get_function(fn, sig, _firstcall)

    def make_helper(self, builder: Any, typ: Any, value: Any = None, ref: Any = None) -> Any:
        if is_instance(typ):
            self.instances[typ.name] = typ
        return super().make_helper(builder, typ, value=value, ref=ref)

    def get_getattr(self, typ: Any, attr: str) -> Any:
        return find_property(find_twin) if is_property(typ, attr) else super().get_getattr(typ, attr)

    def get_setattr(self, attr: str, sig: Any) -> Any:
        if is_property(sig.args[0], attr):
            return set_property(self, attr, sig, find_twin)
        return super().get_setattr(attr, sig)

    def get_ufunc_info(self, ufunc_key: Any) -> Any:
        return lower_powers_of_arrays(ufunc_key, super().get_ufunc_info(ufunc_key))

    def get_executable(self, library: Any, fndesc: Any, env: Any) -> Any:
        library._ensure_finalized()
        self.environments[self.get_env_name(fndesc)] = env
        self.libraries[fndesc.llvm_func_name] = library
        return EntryPoint(fndesc.llvm_func_name)


# --- types --------------------------------------------------------------------------------------------------


def _rebind_method(method: Any) -> Any:
    """Return `method` with a template that types its overload in whichever context asks."""
    original = method.template
    overload = getattr(original, "_overload_func", None)
    if overload is None or type(method) is OwnBoundFunction:
        return method

    class MethodTemplate(typing.templates.AbstractTemplate):
        key = method.typing_key
        prefer_literal = original.prefer_literal
        _inline = original._inline
        _inline_overloads = original._inline_overloads
        _overload_func = staticmethod(overload)

        def generic(self, args: Any, kws: Any) -> Any:
            function = self.context.resolve_value_type(overload)
            sig = function.get_call_type(self.context, (self.this, *args), kws)
            if sig is None:
                return None
            for template in function.templates:
                self._inline_overloads.update(template._inline_overloads)
            return sig.replace(pysig=inspect.signature(overload)).as_method()

        def get_template_info(self) -> Any:
            return original.get_template_info(self)

    return OwnBoundFunction(MethodTemplate, method.this)


class _IRTypingContext(typing.Context):
    """Numba's typing context, with functions that belong to this target."""

    def __init__(self) -> None:
        self._own_templates: dict[type, type] = {}
        super().__init__()

    def resolve_value_type(self, val: Any) -> Any:
        if isinstance(val, CPUDispatcher):
            val = find_twin(val)
        elif isinstance(val, ObjModeLiftedWith):
            return outside_type(val)
        elif isinstance(val, LiftedCode):
            raise UnsupportedError("loops in object mode are not differentiated: move the loop out")
        elif isinstance(val, StencilFunc):
            val = _find_stencil(val)
        elif isinstance(val, DUFunc) and self._lookup_global(val) is None:
            val._install_type(self)
        try:
            return twin_type(super().resolve_value_type(val))
        except ValueError:
            # Classes made by `jitclass` and friends register themselves with the CPU contexts only.
            with target_override("cpu"):
                return cpu_target.typing_context.resolve_value_type(val)

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        found = resolve_call(self, func, args, kws, find_twin)
        return super().resolve_function_type(func, args, kws) if found is None else found

    def resolve_getattr(self, typ: Any, attr: str) -> Any:
        if isinstance(typ, types.ClassInstanceType):
            member = resolve_attribute(self, typ, attr, find_twin)
            if member is not None:
                return member
        found = super().resolve_getattr(typ, attr)
        if isinstance(found, types.BoundFunction):
            return _rebind_method(found)
        return twin_type(found)

    def _insert_global(self, gv: Any, gty: Any) -> None:
        super()._insert_global(gv, self._own(gty))

    def _own(self, gty: Any) -> Any:
        if type(gty) is not types.Function:
            return gty
        templates = tuple(self._own_template(t) for t in gty.templates)
        return gty if templates == gty.templates else types.Function(templates)

    def _own_template(self, template: type) -> type:
        tables = [
            n for n in ("_impl_cache", "_compiled_overloads", "_overload_cache") if hasattr(template, n)
        ]
        if not tables or "_coenzyme_" in vars(template):
            return template
        own = self._own_templates.get(template)
        if own is None:
            fresh: dict[str, Any] = {name: {} for name in tables}
            own = type(template)(template.__name__, (template,), {**fresh, "_coenzyme_": True})
            self._own_templates[template] = own
        return own


def twin_type(ty: Any) -> Any:
    """Return the Numba type with each CPU dispatcher in it replaced by its twin."""
    if type(ty) is types.Dispatcher and isinstance(ty.dispatcher, CPUDispatcher):
        return types.Dispatcher(find_twin(ty.dispatcher))
    if isinstance(ty, types.BaseAnonymousTuple) and any(isinstance(t, types.Dispatcher) for t in ty):
        return types.Tuple.from_types([twin_type(t) for t in ty])
    return ty


# --- dispatchers --------------------------------------------------------------------------------------------


class _IRTarget(TargetDescriptor):
    options = cpu.CPUTargetOptions

    def __init__(self) -> None:
        super().__init__(TARGET_NAME)
        self._contexts: tuple[Any, Any] | None = None

    def _make_contexts(self) -> tuple[Any, Any]:
        with global_compiler_lock:
            if self._contexts is None:
                typing_context = _IRTypingContext()
                self._contexts = typing_context, IRContext(typing_context, TARGET_NAME)
            return self._contexts

    @property
    def typing_context(self) -> Any:
        return self._make_contexts()[0]

    @property
    def target_context(self) -> Any:
        return self._make_contexts()[1]


ir_target = _IRTarget()


rule_of_function: dict[Any, Any] = {}
"""Python functions whose derivatives come from a rule, with that rule."""

compiled_rules: dict[str, tuple[Any, Any, Any]] = {}
"""For the symbol of each such function that was compiled: rule, argument types, and result type."""


class IRDispatcher(Dispatcher):
    """A dispatcher whose overloads are LLVM modules; it cannot be called from Python."""

    targetdescr = ir_target
    declared: tuple[Any, ...] = ()
    origin: Any = None
    """A weak reference to the dispatcher that this one is the twin of."""

    def compile(self, sig: Any) -> Any:
        """Lower for one signature; overloads found on the way belong to this target too."""
        with target_override(TARGET_NAME):
            if self.targetoptions.get("parallel"):
                try:
                    with warnings.catch_warnings():
                        # Numba warns of loops that stay serial when it compiles the function itself.
                        warnings.simplefilter("ignore", NumbaWarning)
                        return super().compile(sig)
                except Exception:
                    self._give_up_parallel()
            return super().compile(sig)

    def _give_up_parallel(self) -> None:
        """Compile loops as serial ones from here on."""
        del self.targetoptions["parallel"]
        self._compiler.targetoptions.pop("parallel", None)
        self._compiler._failed_cache.clear()

    def add_overload(self, cres: Any) -> None:
        """Keep a compiled overload; the base class would also tell the C dispatcher its address."""
        self.overloads[tuple(cres.signature.args)] = cres
        parameters = struct_parameters(cres.signature.args)
        context, symbol = ir_target.target_context, cres.fndesc.llvm_func_name
        if parameters:
            context.parameters[symbol] = parameters
        result = result_struct(cres.signature.return_type)
        if result is not None:
            context.results[symbol] = result
        origin = None if self.origin is None else self.origin()
        rule = rule_of_function.get(self.py_func)
        if getattr(origin, "coenzyme_stand_in", None) is None:
            rule = getattr(origin, "coenzyme_rule", rule)
        if getattr(origin, "coenzyme_inactive", False):
            declare_inactive(symbol)
        if rule is not None:
            signature = cres.signature
            compiled_rules[cres.fndesc.llvm_func_name] = rule, signature.args, signature.return_type

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Return how Numba types a call; with declared signatures, only those are candidates."""
        if not self.declared:
            return super().get_call_template(args, kws)
        folded = self._compiler.fold_argument_types(args, kws)[1]
        exact = [s for s in self.declared if s.args == tuple(folded)]
        for signature in exact or self.declared:
            if not self.is_compiling:
                self.compile(signature)
        # With compilation off, the base class picks the best of the signatures that are there.
        self._can_compile = False
        try:
            return super().get_call_template(args, kws)
        finally:
            self._can_compile = True


dispatcher_registry[_Coenzyme] = IRDispatcher


def _target_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options a twin is compiled with: the user's, less those about machine code."""
    kept = {k: v for k, v in options.items() if not k.startswith("_dbg")}
    parallel = kept.pop("parallel", False)
    if parallel is not False and not _in_series:
        # Numba empties the dictionary it is given.
        kept["parallel"] = ParallelOptions(dict(parallel) if isinstance(parallel, dict) else parallel)
        # Numba fuses loops across the views of one array, and so changes what they compute.
        kept["parallel"].fusion = False
    if kept.pop("debug", None) and kept.get("boundscheck") is None:
        kept["boundscheck"] = True  # what Numba does for debug=True
    kept.update(debug=False, nopython=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
    kept.pop("forceobj", None)
    return kept


class _Jit(JitDecorator):
    """What Numba applies to the implementations of overloads when it compiles them for this target."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._options = kwargs

    def __call__(self, *args: Any) -> IRDispatcher:
        options = dict(self._options)
        pipeline = options.pop("pipeline_class", None) or compiler.Compiler
        variables = options.pop("locals", None) or {}
        for name in ("cache", "parallel", "signature_or_function", "target_backend", "_target"):
            options.pop(name, None)
        return IRDispatcher(
            args[0],
            locals=variables,
            targetoptions=_target_options(options),
            pipeline_class=pipeline_with_lines(pipeline),
        )


jit_registry[_Coenzyme] = _Jit

_twins: weakref.WeakKeyDictionary[Any, IRDispatcher] = weakref.WeakKeyDictionary()
_serial_twins: weakref.WeakKeyDictionary[Any, IRDispatcher] = weakref.WeakKeyDictionary()
_in_series = False


@contextmanager
def loops_in_series() -> Generator[None, None, None]:
    """Lower the loops of functions with `parallel=True` as plain ones; to be used under Numba's lock."""
    global _in_series  # noqa: PLW0603 - what Numba calls back asks it
    before = _in_series
    _in_series = True
    try:
        yield
    finally:
        _in_series = before


_stencils: dict[int, StencilFunc] = {}


def _find_stencil(stencil: StencilFunc) -> StencilFunc:
    """Return a stencil of the same kernel that compiles for this target."""
    if stencil.id not in _stencils:
        if stencil._targetctx is ir_target.target_context:
            return stencil
        twin = StencilFunc(stencil.kernel_ir.copy(), stencil.mode, stencil.options)
        twin.kws = stencil.kws
        twin._typingctx, twin._targetctx = ir_target.typing_context, ir_target.target_context
        twin._install_type(twin._typingctx)
        _stencils[stencil.id] = twin
    return _stencils[stencil.id]


def has_twin(dispatcher: CPUDispatcher) -> bool:
    """Return whether a function has been lowered for differentiation before."""
    return dispatcher in _twins or dispatcher in _serial_twins


def find_twin(dispatcher: CPUDispatcher) -> IRDispatcher:
    """Return the dispatcher of this target for the same Python function, options and declared signatures."""
    with global_compiler_lock:
        twins = _serial_twins if _in_series else _twins
        twin = twins.get(dispatcher)
        if twin is None:
            stand_in = getattr(dispatcher, "coenzyme_stand_in", None)
            twin = IRDispatcher(
                dispatcher.py_func if stand_in is None else stand_in,
                locals=dict(dispatcher.locals),
                targetoptions=_target_options(dispatcher.targetoptions),
                pipeline_class=pipeline_with_lines(dispatcher._compiler.pipeline_class),
            )
            if not dispatcher._can_compile:
                twin.declared = tuple(dispatcher.nopython_signatures)
            twin.origin = weakref.ref(dispatcher)
            twins[dispatcher] = twin
        return twin
