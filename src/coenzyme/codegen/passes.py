"""LLVM's passes as short pipelines, each a function that changes a module in place.

llvmlite offers ready-made pipelines and a list of single passes.  GVN, LICM, EarlyCSE and induction-variable
simplification are in the ready-made function pipeline only, so that is what simplifies; the single passes
order and canonicalise.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import llvmlite.binding as llvm

__all__ = [
    "canonicalise",
    "canonicalise_loops",
    "drop_dead_globals",
    "drop_unreachable",
    "inline_marked",
    "inline_marked_calls",
    "mark_constants",
    "optimise_module",
    "promote",
    "promote_in",
    "propagate_constants",
    "prune_reference_counts",
    "simplify_functions",
]


@functools.cache
def _target_machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()  # for inline assembly
    target = llvm.Target.from_triple(llvm.get_process_triple())
    try:
        features = llvm.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM cannot read this host's features
        features = ""
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2, codemodel="jitdefault", jit=True
    )


def _builder(level: int, *, vectorise: bool = False, unroll: bool = False) -> Any:
    options = llvm.create_pipeline_tuning_options(level)
    options.loop_vectorization = vectorise
    options.slp_vectorization = vectorise
    options.loop_interleaving = vectorise
    options.loop_unrolling = unroll
    return llvm.create_pass_builder(_target_machine(), options)


def _run(module: Any, *names: str) -> None:
    manager = llvm.create_new_module_pass_manager()
    for name in names:
        getattr(manager, f"add_{name}_pass")()
    manager.run(module, _builder(2))


def simplify_functions(module: Any) -> None:
    """Simplify each function by itself: SROA, EarlyCSE, GVN, LICM, induction variables; no vectors.

    Loops of short constant trip count are unrolled fully, others are not touched: partial unrolling is not in
    this pipeline.
    """
    builder = _builder(2, unroll=True)
    manager = builder.getFunctionPassManager()
    for function in module.functions:
        if not function.is_declaration:
            manager.run(function, builder)


def promote(module: Any) -> None:
    """Turn local variables into values where that can be done, and change nothing else."""
    manager = llvm.create_new_function_pass_manager()
    manager.add_sroa_pass()
    builder = _builder(1)
    for function in module.functions:
        if not function.is_declaration:
            manager.run(function, builder)


def promote_in(module: Any, names: Collection[str]) -> None:
    """Turn the local variables of the functions called `names` into values, and simplify what follows."""
    manager = llvm.create_new_function_pass_manager()
    manager.add_sroa_pass()
    manager.add_instruction_combine_pass()
    manager.add_simplify_cfg_pass()
    builder = _builder(1)
    for function in module.functions:
        if function.name in names and not function.is_declaration:
            manager.run(function, builder)


def inline_marked_calls(module: Any) -> None:
    """Inline what is marked `alwaysinline`; nothing is removed."""
    _run(module, "always_inliner")


def inline_marked(module: Any) -> None:
    """Inline what is marked `alwaysinline`, then remove what nobody calls."""
    _run(module, "always_inliner", "global_dead_code_eliminate")


def prune_reference_counts(module: Any) -> None:
    """Remove matching pairs of `NRT_incref` and `NRT_decref`."""
    _run(module, "refprune")


def propagate_constants(module: Any) -> None:
    """Propagate constants between functions and through globals, then remove what became dead."""
    _run(module, "ipsccp", "global_opt", "global_dead_code_eliminate")


def drop_dead_globals(module: Any) -> None:
    """Remove functions, globals and declarations that nothing refers to."""
    _run(module, "global_opt", "global_dead_code_eliminate", "strip_dead_prototype")


def drop_unreachable(module: Any) -> None:
    """Remove what nothing visible leads to, and change nothing else."""
    _run(module, "global_dead_code_eliminate")


def mark_constants(module: Any) -> None:
    """Mark variables that nobody writes as constants, where that can be seen."""
    simplify_functions(module)
    _run(module, "global_opt")


def canonicalise(module: Any) -> None:
    """Put every loop into loop-simplify and LCSSA form and give every instruction a name."""
    _run(module, "simplify_cfg", "loop_simplify", "lcssa", "instruction_namer")


def canonicalise_loops(module: Any) -> None:
    """Put loops into loop-simplify and LCSSA form, and change nothing else."""
    _run(module, "loop_simplify", "lcssa", "instruction_namer")


def optimise_module(module: Any, level: int) -> None:
    """Optimise for speed as a compiler would, vectors included."""
    builder = _builder(level, vectorise=level >= 2, unroll=level >= 2)
    builder.getModulePassManager().run(module, builder)
    prune_reference_counts(module)
    builder.getModulePassManager().run(module, builder)
