"""The LLVM text of the reference BLAS is made of the C source beside it, and has all that is asked of it."""

from __future__ import annotations

import re

import pytest

from coenzyme.codegen import verify
from coenzyme.rules.blas_calls import BlasFamily, find_blas_symbol, split_family
from coenzyme.rules.blas_library import LIBRARY, library_definitions
from coenzyme.rules.blas_reference import LETTERS, SOURCE, reference_text, text_path
from tests.unit.rules.reference_text import source_digest

FAMILIES = [
    BlasFamily("cblas_", "d", "", "i32", ("gemm", "dot")),
    BlasFamily("", "s", "_64_", "i64", LIBRARY),
    BlasFamily("cblas_", "s", "_64", "i64", ("nrm2", "gemv")),
]


@pytest.mark.parametrize("letter", LETTERS)
def test_the_text_is_made_of_the_source(letter: str) -> None:
    assert source_digest() in text_path(letter).read_text().partition("\n")[0]


@pytest.mark.parametrize("letter", LETTERS)
def test_every_routine_of_the_source_is_in_the_text(letter: str) -> None:
    routines = re.findall(r"NAME\((\w+)\)\(", SOURCE.read_text())
    assert len(set(routines)) > 20
    for name in set(routines):
        verify(reference_text([f"{letter}{name}"], str(FAMILIES[0])))


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_a_family_is_in_the_names_of_its_routines(family: BlasFamily) -> None:
    assert split_family(f"numba_xxgemm{family}") == ("numba_xxgemm", family)


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_routines_of_a_family_are_those_of_the_library(family: BlasFamily) -> None:
    module = verify(library_definitions(f"numba_xx{name}{family}" for name in LIBRARY))
    declared = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    assert declared == {family.symbol(name) for name in family.linked}
    assert all(find_blas_symbol(name) for name in declared)


def test_other_names_have_no_family() -> None:
    assert split_family("numba_xxgemm") == ("numba_xxgemm", None)
    assert library_definitions(["numba_xxgemm", "malloc"]) == ""
