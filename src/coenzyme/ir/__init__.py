"""Our own SSA objects for LLVM's text: reading, printing, building and looking at them."""

from coenzyme.ir.builder import FALSE, TRUE, Builder, const_float, const_int, zero
from coenzyme.ir.cfg import ControlFlow, remove_unreachable, split_edge
from coenzyme.ir.clone import clone_function, clone_instruction
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.dominators import Dominators, PostDominators
from coenzyme.ir.loops import Loop, LoopForest
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_constant, print_function, print_instruction, print_module

__all__ = [
    "FALSE",
    "TRUE",
    "Builder",
    "ControlFlow",
    "Dominators",
    "Loop",
    "LoopForest",
    "PostDominators",
    "SourceMap",
    "clone_function",
    "clone_instruction",
    "const_float",
    "const_int",
    "parse_module",
    "print_constant",
    "print_function",
    "print_instruction",
    "print_module",
    "remove_unreachable",
    "split_edge",
    "zero",
]
