"""The rows for BLAS routines agree with how Numba declares and calls them."""

from __future__ import annotations

import pytest
from numba.core import types
from numba.np.linalg import _BLAS  # pyright: ignore[reportPrivateUsage]

from coenzyme.rules import Effect, classify
from coenzyme.rules.blas import KINDS, ROUTINES, BlasRoutine, find_routine


@pytest.mark.parametrize("name", ROUTINES)
def test_every_row_is_classified_as_blas(name: str) -> None:
    assert classify(name) is Effect.BLAS
    assert find_routine(name) is ROUTINES[name]


def test_other_functions_have_no_row() -> None:
    assert find_routine("numba_xxgetrf") is None
    assert find_routine("dgemm_") is None


@pytest.mark.parametrize("name", ["numba_xxgemm", "numba_xxnrm2"])
def test_numba_declares_the_same_parameters(name: str) -> None:
    signature = getattr(_BLAS(), name)(types.float64).sig
    assert len(signature.args) == len(ROUTINES[name].parameters)
    pointers = [isinstance(a, types.CPointer) for a in signature.args]
    assert pointers == [t == "ptr" for t in ROUTINES[name].parameters]


@pytest.mark.parametrize("routine", ROUTINES.values(), ids=lambda r: r.name)
def test_operands_are_addresses_and_sizes_are_integers(routine: BlasRoutine) -> None:
    addresses = [o.pointer for o in routine.operands]
    addresses += [i for i in (routine.scale, routine.carry) if i is not None]
    expected = [i for i, t in enumerate(routine.parameters) if t == "ptr"]
    assert sorted(addresses) == expected
    for operand in routine.operands:
        sizes = [*(operand.rows or ()), *(operand.columns or ()), operand.leading, operand.step]
        assert all(routine.parameters[i] == "i64" for i in sizes if i is not None)
        if operand.flag is not None:
            assert routine.parameters[operand.flag] == "i8"


def test_real_kinds_are_those_with_rules() -> None:
    assert KINDS == {"s": "float", "d": "double"}
