"""ADBench's LSTM: gradient with respect to the main and the extra parameters."""

from numba import njit

import coenzyme as cz
from coenzyme.problems.lstm import load_lstm, lstm


def test_gradient_of_the_lstm(compare):
    data = load_lstm()
    function = njit(lstm)
    gradient = cz.value_and_grad(function, argnums=(0, 1))
    compare("LSTM l2 c1024 b14", function=lambda: function(*data), gradient=lambda: gradient(*data))
