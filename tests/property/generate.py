"""Programs from a source of choices: hypothesis, or a seeded generator."""

from __future__ import annotations

from tests.property.generator import Below, Generator
from tests.property.generator_for_numba import GeneratorForNumba
from tests.property.programs import Program

__all__ = ["generate"]


def generate(below: Below, *, numba: bool = False) -> Program:
    """Return a program made of the choices that `below` makes.

    Parameters
    ----------
    numba
        Whether it is for Numba: with what only Python source can say, without what only LLVM text can.
    """
    return (GeneratorForNumba if numba else Generator)(below).program()
