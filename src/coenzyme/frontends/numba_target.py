"""A private Numba target that lowers to LLVM and stops there.

Functions compiled for this target, with everything they call, become LLVM modules that are neither optimised nor
turned into machine code; `NRT_*` stay external calls.  It is built from Numba's target-extension API: a target, a
dispatcher, a typing context, a target context, a code library and a pipeline, each a subclass.

Two facts about Numba shape this file:

- Function templates (`@overload`, `@intrinsic`) keep their compiled implementations on the class, under keys that
  do not name the target.  A lowering that happens while Numba types a user's function would leave keys there that
  the CPU target cannot find.  So this target gives every such template a subclass with tables of its own.
- Numba's full debug mode changes the code (more stack slots, no inlining).  The line numbers we need are written by
  `LineDirectives` into functions outside of Numba itself; LLVM's inliner gives code without a line the line of
  the call it came from, which for Numba's internals is the user's line.
"""

from __future__ import annotations

import os.path
import weakref
from collections.abc import Iterator
from typing import Any

import numba
from llvmlite import ir as llvmir
from numba.core import cgutils, codegen, compiler, cpu, debuginfo, lowering, typing, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import register_pass
from numba.core.datamodel import register_default
from numba.core.descriptors import TargetDescriptor
from numba.core.dispatcher import Dispatcher
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.runtime import rtsys
from numba.core.target_extension import (
    CPU,
    JitDecorator,
    dispatcher_registry,
    jit_registry,
    target_override,
    target_registry,
)
from numba.core.typed_passes import BaseNativeLowering, NativeLowering
from numba.np.ufunc.dufunc import DUFunc

__all__ = ["IRDispatcher", "IRLibrary", "find_twin", "ir_target", "twin_type"]

TARGET_NAME = "coenzyme"
_NUMBA_FOLDER = os.path.dirname(os.path.abspath(numba.__file__)) + os.sep


class _Coenzyme(CPU):
    """The target: what the CPU target offers, it offers too."""


target_registry[TARGET_NAME] = _Coenzyme


# --- code ----------------------------------------------------------------------------------------------------------


class IRLibrary(codegen.JITCodeLibrary):
    """A library that holds one function's own module and remembers what it must be linked with."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        # Linking here would copy every callee into every caller; `linked_module` links each module once.
        self._raise_if_finalized()
        self._finalized = True

    def add_linking_library(self, library: Any) -> None:
        if library is not rtsys.library:  # NRT_* stay calls that the derivative rules can see
            super().add_linking_library(library)

    @property
    def module(self) -> Any:
        """This library's own module."""
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


class _IRContext(cpu.CPUContext):
    def init(self) -> None:
        with global_compiler_lock:
            super().init()
            self._internal_codegen = _IRCodegen("coenzyme")
            self.libraries: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
            self.environments: dict[str, Any] = {}

    def get_function(self, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
        try:
            return super().get_function(fn, sig, _firstcall)
        except NotImplementedError:
            if not isinstance(fn, types.Callable):
                raise
            # Classes and ufuncs made by decorators register with the CPU context only.  Their code is linked in
            # as Numba optimised it.
            key = fn.get_impl_key(sig)
            definitions = cpu_target.target_context._defns
            if key not in definitions:
                raise
            self._defns[key] = definitions[key]
            return super().get_function(fn, sig, _firstcall)

    def get_executable(self, library: Any, fndesc: Any, env: Any) -> Any:
        library._ensure_finalized()
        self.environments[self.get_env_name(fndesc)] = env
        self.libraries[fndesc.llvm_func_name] = library
        return EntryPoint(fndesc.llvm_func_name)


# --- line numbers --------------------------------------------------------------------------------------------------


def _is_internal(filename: str) -> bool:
    return filename.startswith(_NUMBA_FOLDER)


class LineDirectives(debuginfo.AbstractDIBuilder):
    """Writes `!dbg` lines, and nothing else of debug information, into one function's module."""

    def __init__(self, module: Any, filepath: str, lower: Any) -> None:
        self._module = module
        self._lower = lower
        self._path = filepath
        self._files: dict[str, Any] = {}
        self._locations: dict[tuple[str, int], Any] = {}
        self._scopes: dict[str, Any] = {}
        self.initialize()

    def initialize(self) -> None:
        self._unit = self._module.add_debug_info(
            "DICompileUnit",
            {
                "language": llvmir.DIToken("DW_LANG_Python"),
                "file": self._file(self._path),
                "producer": "coenzyme",
                "runtimeVersion": 0,
                "isOptimized": True,
                "emissionKind": llvmir.DIToken("NoDebug"),
            },
            is_distinct=True,
        )

    def mark_variable(self, *args: Any, **kwargs: Any) -> None:
        """Variables are not described: their descriptions would keep stack slots alive."""

    def mark_subprogram(self, function: Any, qualname: str, argnames: Any, argtypes: Any, line: int) -> None:
        kind = self._module.add_debug_info("DISubroutineType", {"types": self._module.add_metadata([None])})
        program = self._module.add_debug_info(
            "DISubprogram",
            {
                "name": qualname,
                "linkageName": function.name,
                "scope": self._file(self._path),
                "file": self._file(self._path),
                "line": line,
                "type": kind,
                "isLocal": False,
                "isDefinition": True,
                "scopeLine": line,
                "isOptimized": True,
                "unit": self._unit,
            },
            is_distinct=True,
        )
        function.set_metadata("dbg", program)
        # A generator lowers several functions one after the other: each gets fresh scopes.
        self._scopes = {self._path: program}
        self._locations = {}

    def mark_location(self, builder: Any, line: int) -> None:
        path = getattr(self._lower.loc, "filename", self._path)
        if path != self._path and _is_internal(path) and builder.debug_metadata is not None:
            return  # Numba inlined its own Python code here: it belongs to the user's last line
        location = self._locations.get((path, line))
        if location is None:
            fields = {"line": line, "column": 1, "scope": self._scope(path)}
            location = self._locations[path, line] = self._module.add_debug_info("DILocation", fields)
        builder.debug_metadata = location

    def finalize(self) -> None:
        units = cgutils.get_or_insert_named_metadata(self._module, "llvm.dbg.cu")
        if self._unit not in units.operands:
            units.add(self._unit)
        flags = cgutils.get_or_insert_named_metadata(self._module, "llvm.module.flags")
        word = llvmir.IntType(32)
        # LLVM throws away debug information whose version the module does not state.
        version = self._module.add_metadata([word(2), "Debug Info Version", word(3)])
        if version not in flags.operands:
            flags.add(version)

    def _file(self, path: str) -> Any:
        if path not in self._files:
            folder, name = os.path.split(path)
            self._files[path] = self._module.add_debug_info("DIFile", {"directory": folder, "filename": name})
        return self._files[path]

    def _scope(self, path: str) -> Any:
        if path not in self._scopes:
            fields = {"scope": self._scopes[self._path], "file": self._file(path), "discriminator": 0}
            self._scopes[path] = self._module.add_debug_info("DILexicalBlockFile", fields)
        return self._scopes[path]


class _LineLower(lowering.Lower):
    """Numba's lowering, with line numbers in functions that are not Numba's own."""

    def init(self) -> None:
        super().init()
        location = self.func_ir.loc
        if not (_is_internal(location.filename) or self.fndesc.modname.split(".")[0] == "numba"):
            self.debuginfo = LineDirectives(self.module, location.filename, self)
            self.defn_loc = location


@register_pass(mutates_CFG=True, analysis_only=False)
class _LineLowering(BaseNativeLowering):
    _name = "coenzyme_native_lowering"

    @property
    def lowering_class(self) -> type:
        return _LineLower


class _LinePipeline:
    """Mixin for a compiler pipeline: lower with line numbers."""

    def define_pipelines(self) -> Any:
        managers = super().define_pipelines()  # type: ignore[misc]
        for manager in managers:
            for index, (stage, description) in enumerate(manager.passes):
                if stage is NativeLowering:
                    manager.passes[index] = (_LineLowering, description)
            manager.finalize()
        return managers


_pipelines: dict[type, type] = {}


def _pipeline_with_lines(pipeline: type) -> type:
    if pipeline not in _pipelines:
        _pipelines[pipeline] = type(f"{pipeline.__name__}WithLines", (_LinePipeline, pipeline), {})
    return _pipelines[pipeline]


# --- types ---------------------------------------------------------------------------------------------------------


class _BoundFunction(types.BoundFunction):
    """A method of this target.

    Numba interns types, and a bound method's key does not name its target: without a class of our own the CPU
    target's method, which types calls for the CPU, could be handed to us.
    """


@register_default(_BoundFunction)
def _model_of_receiver(models: Any, method: _BoundFunction) -> Any:
    # A bound method is represented by the object it is bound to, as in Numba.
    return models[method.this]


def _rebind_method(method: Any) -> Any:
    """Return `method` with a template that types its overload in whichever context asks."""
    original = method.template
    overload = getattr(original, "_overload_func", None)
    if overload is None or type(method) is _BoundFunction:
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
            return sig.replace(pysig=numba.core.utils.pysignature(overload)).as_method()

        def get_template_info(self) -> Any:
            return original.get_template_info(self)

    return _BoundFunction(MethodTemplate, method.this)


class _IRTypingContext(typing.Context):
    """Numba's typing context, with functions that belong to this target."""

    def __init__(self) -> None:
        self._own_templates: dict[type, type] = {}
        super().__init__()

    def resolve_value_type(self, val: Any) -> Any:
        if isinstance(val, CPUDispatcher):
            val = find_twin(val)
        elif isinstance(val, DUFunc) and self._lookup_global(val) is None:
            val._install_type(self)
        try:
            return twin_type(super().resolve_value_type(val))
        except ValueError:
            # Classes made by `jitclass` and friends register themselves with the CPU contexts only.
            with target_override("cpu"):
                return cpu_target.typing_context.resolve_value_type(val)

    def resolve_getattr(self, typ: Any, attr: str) -> Any:
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


# --- dispatchers ---------------------------------------------------------------------------------------------------


class _IRTarget(TargetDescriptor):
    options = cpu.CPUTargetOptions

    def __init__(self) -> None:
        super().__init__(TARGET_NAME)
        self._contexts: tuple[Any, Any] | None = None

    def _make_contexts(self) -> tuple[Any, Any]:
        with global_compiler_lock:
            if self._contexts is None:
                typing_context = _IRTypingContext()
                self._contexts = typing_context, _IRContext(typing_context, TARGET_NAME)
            return self._contexts

    @property
    def typing_context(self) -> Any:
        return self._make_contexts()[0]

    @property
    def target_context(self) -> Any:
        return self._make_contexts()[1]


ir_target = _IRTarget()


class IRDispatcher(Dispatcher):
    """A dispatcher whose overloads are LLVM modules; it cannot be called from Python."""

    targetdescr = ir_target
    declared: tuple[Any, ...] = ()

    def compile(self, sig: Any) -> Any:
        with target_override(TARGET_NAME):
            return super().compile(sig)

    def add_overload(self, cres: Any) -> None:
        # The base class also tells the C dispatcher where the machine code is; there is none.
        self.overloads[tuple(cres.signature.args)] = cres

    def get_call_template(self, args: Any, kws: Any) -> Any:
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
    kept = {k: v for k, v in options.items() if not k.startswith("_dbg") and k != "parallel"}
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
        for name in ("cache", "signature_or_function", "target_backend", "_target"):
            options.pop(name, None)
        return IRDispatcher(
            args[0],
            locals=variables,
            targetoptions=_target_options(options),
            pipeline_class=_pipeline_with_lines(pipeline),
        )


jit_registry[_Coenzyme] = _Jit

_twins: weakref.WeakKeyDictionary[Any, IRDispatcher] = weakref.WeakKeyDictionary()


def find_twin(dispatcher: CPUDispatcher) -> IRDispatcher:
    """Return the dispatcher of this target for the same Python function, options and declared signatures."""
    with global_compiler_lock:
        twin = _twins.get(dispatcher)
        if twin is None:
            twin = IRDispatcher(
                dispatcher.py_func,
                locals=dict(dispatcher.locals),
                targetoptions=_target_options(dispatcher.targetoptions),
                pipeline_class=_pipeline_with_lines(dispatcher._compiler.pipeline_class),
            )
            if not dispatcher._can_compile:
                twin.declared = tuple(dispatcher.nopython_signatures)
            _twins[dispatcher] = twin
        return twin
