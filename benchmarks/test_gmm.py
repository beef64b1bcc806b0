"""ADBench's Gaussian mixture: gradient with respect to all 1650 parameters."""

from numba import njit

import coenzyme as cz
from benchmarks.by_hand import gmm_gradient
from coenzyme.problems.gmm import gmm, load_gmm


def test_gradient_of_the_gaussian_mixture(compare):
    data = load_gmm()
    function = njit(gmm)
    gradient = cz.value_and_grad(function, argnums=(0, 1, 2))
    compare(
        "GMM d10 K25 n1000",
        function=lambda: function(*data),
        gradient=lambda: gradient(*data),
        by_hand=lambda: gmm_gradient(*data),
    )
