"""Jacobi sweeps: gradient with respect to both grids on entry."""

from numba import njit

import coenzyme as cz
from benchmarks.by_hand import stencil_gradient
from coenzyme.problems.stencil import stencil, stencil_start


def test_gradient_through_the_sweeps(compare):
    # Every call sweeps on from where the last one left its grids: the work does not depend on the values.
    u, v = stencil_start(250)
    function = njit(stencil)
    gradient = cz.value_and_grad(function, argnums=(0, 1))
    compare(
        "stencil 250 x 250, 100 sweeps",
        function=lambda: function(u, v, 100),
        gradient=lambda: gradient(u, v, 100),
        by_hand=lambda: stencil_gradient(u, v, 100),
    )
