"""LLVM at work: preparation of a primal, optimisation, verification."""

from coenzyme.codegen.prepare import canonicalise_loops, optimise, prepare, spell_out_types
from coenzyme.codegen.symbols import is_linked
from coenzyme.codegen.verify import verify

__all__ = ["canonicalise_loops", "is_linked", "optimise", "prepare", "spell_out_types", "verify"]
