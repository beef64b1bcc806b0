"""Runge-Kutta steps in place: adjoint of the final state with respect to the first and the parameters."""

import numpy as np
from numba import njit

import coenzyme as cz
from coenzyme.problems.ode import rk4_lorenz


def test_adjoint_of_the_runge_kutta_steps(compare):
    start, parameters = np.array([1.0, 2.0, 20.0]), np.array([10.0, 28.0, 8.0 / 3.0])
    state, d_state, d_parameters = start.copy(), np.zeros(3), np.zeros(3)
    function = njit(rk4_lorenz)

    def primal():
        state[:] = start
        function(state, parameters, 1e-4, 100_000)

    def adjoint():
        state[:] = start
        d_state[:] = (1.0, 0.0, 0.0)
        d_parameters[:] = 0.0
        cz.autodiff(
            cz.Reverse,
            function,
            cz.Const,
            cz.Duplicated(state, d_state),
            cz.Duplicated(parameters, d_parameters),
            cz.Const(1e-4),
            cz.Const(100_000),
        )

    compare("Lorenz RK4, 100 000 steps", function=primal, gradient=adjoint)
