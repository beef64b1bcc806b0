"""ADBench's hand tracking: the dense Jacobian of 300 residuals by 26 parameters."""

from numba import njit

import coenzyme as cz
from coenzyme.problems.hand import hand_residuals, load_hand


def test_dense_jacobian_of_the_hand(compare):
    data = load_hand()
    function = njit(hand_residuals)
    jacobian = cz.jacobian(function, mode="forward")
    compare("Hand dense Jacobian c100", function=lambda: function(*data), gradient=lambda: jacobian(*data))
