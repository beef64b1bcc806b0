"""LLVM at work: preparation of a primal, optimisation, verification."""

from coenzyme.codegen.prepare import optimise, prepare
from coenzyme.codegen.verify import verify

__all__ = ["optimise", "prepare", "verify"]
