"""Line numbers in lowered code, without what full debug information would change.

Numba's debug mode adds stack slots and forbids inlining.  All we want is `!dbg` on instructions, so that an
error can name the user's line.  It is written into functions outside of Numba itself; LLVM's inliner gives
code without a line the line of the call it came from, which for Numba's internals is the user's line, and
links lines of inlined user code through `inlinedAt`.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import os.path
from typing import Any

import numba
from llvmlite import ir as llvmir
from numba.core import cgutils, debuginfo, lowering
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import BaseNativeLowering, NativeLowering, NativeParforLowering, ParforPass
from numba.parfors.parfor import Parfor
from numba.parfors.parfor_lowering import ParforLower

from coenzyme.frontends.numba_indices import refuse_changed_indices
from coenzyme.frontends.numba_parallel import lower_parfor

__all__ = ["LineDirectives", "pipeline_with_lines"]

_NUMBA_FOLDER = os.path.dirname(os.path.abspath(numba.__file__)) + os.sep


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
        """Declare the compile unit that lines belong to."""
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
        """Say where `function` comes from."""
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
        """Give `line` to the instructions that `builder` emits from here on."""
        path = getattr(self._lower.loc, "filename", self._path)
        if path != self._path and _is_internal(path) and builder.debug_metadata is not None:
            return  # Numba inlined its own Python code here: it belongs to the user's last line
        location = self._locations.get((path, line))
        if location is None:
            fields = {"line": line, "column": 1, "scope": self._scope(path)}
            location = self._locations[path, line] = self._module.add_debug_info("DILocation", fields)
        builder.debug_metadata = location

    def finalize(self) -> None:
        """Make the unit and the version known to the module."""
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


class _Lines:
    """Mixin for Numba's lowering: line numbers in functions that are not Numba's own."""

    def init(self: Any) -> None:
        super().init()  # type: ignore[misc]
        location = self.func_ir.loc
        if not (_is_internal(location.filename) or self.fndesc.modname.split(".")[0] == "numba"):
            self.debuginfo = LineDirectives(self.module, location.filename, self)
            self.defn_loc = location


class _LineLower(_Lines, lowering.Lower):
    """Lowers with line numbers."""


class _ParallelLower(_Lines, ParforLower):
    """Lowers with line numbers, and parallel loops in a way that leaves them parallel."""

    def lower_inst(self, inst: Any) -> None:
        if isinstance(inst, Parfor):
            lower_parfor(self, inst)
        else:
            super().lower_inst(inst)


@register_pass(mutates_CFG=True, analysis_only=False)
class _LineLowering(BaseNativeLowering):
    _name = "coenzyme_native_lowering"

    @property
    def lowering_class(self) -> type:
        return _LineLower


@register_pass(mutates_CFG=True, analysis_only=False)
class _ParallelLowering(BaseNativeLowering):
    _name = "coenzyme_parallel_lowering"

    @property
    def lowering_class(self) -> type:
        return _ParallelLower


@register_pass(mutates_CFG=True, analysis_only=False)
class _CheckedParforPass(ParforPass):
    _name = "coenzyme_parfor_pass"

    def run_pass(self, state: Any) -> bool:
        refuse_changed_indices(state.func_ir)
        return super().run_pass(state)


_OURS = {
    NativeLowering: _LineLowering,
    NativeParforLowering: _ParallelLowering,
    ParforPass: _CheckedParforPass,
}


class _LinePipeline:
    """Mixin for a compiler pipeline: lower with line numbers."""

    def define_pipelines(self) -> Any:
        managers = super().define_pipelines()  # type: ignore[misc]
        for manager in managers:
            for index, (stage, description) in enumerate(manager.passes):
                if stage in _OURS:
                    manager.passes[index] = (_OURS[stage], description)
            manager.finalize()
        return managers


_pipelines: dict[type, type] = {}


def pipeline_with_lines(pipeline: type) -> type:
    """Return a compiler pipeline that does what `pipeline` does and writes line numbers."""
    if pipeline not in _pipelines:
        _pipelines[pipeline] = type(f"{pipeline.__name__}WithLines", (_LinePipeline, pipeline), {})
    return _pipelines[pipeline]
