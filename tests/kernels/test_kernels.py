"""Forward, reverse and finite differences agree on every kernel, for everything it returns and writes."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from coenzyme.testing import Arguments, check_derivatives

from .catalogue import KERNELS
from .model import Draw, Kernel

_QUICK = {"gemver", "jacobi_2d", "durbin", "spmv_loops", "deriche"}
"""One of each kind. All of them take many minutes, for Numba compiles array expressions slowly."""

_SORTED = [
    pytest.param(kernel, id=kernel.name, marks=() if kernel.name in _QUICK else pytest.mark.slow)
    for kernel in KERNELS
]
# The kernels multiply slices as the published ones do, which Numba calls slow.
pytestmark = pytest.mark.filterwarnings("ignore::numba.NumbaPerformanceWarning")


def _arguments(kernel: Kernel):
    return kernel.arguments(Draw(zlib.crc32(kernel.name.encode())))


@pytest.mark.parametrize("kernel", _SORTED)
def test_forward_and_reverse_agree_with_finite_differences(kernel: Kernel) -> None:
    reference = kernel.function if kernel.single else None
    report = check_derivatives(
        kernel.function, *_arguments(kernel), argnums=kernel.argnums, reference=reference
    )
    assert report.comparisons
    assert report.conclusive, str(report)


@pytest.mark.parametrize("kernel", _SORTED)
def test_every_kernel_has_a_finite_output_that_is_not_constant(kernel: Kernel) -> None:
    def outputs(factor: float):
        given = Arguments(_arguments(kernel), kernel.argnums)
        args = given.build(given.point * factor)
        value = kernel.function(*args)
        return np.concatenate([Arguments((value,)).point, given.read(args)])

    here = outputs(1.0)
    assert np.isfinite(here).all()
    assert not np.array_equal(here, outputs(1.0 + 1e-3))
