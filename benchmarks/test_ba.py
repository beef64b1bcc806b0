"""ADBench's bundle adjustment: every nonzero block of the sparse Jacobian."""

import numpy as np
from numba import njit

import coenzyme as cz
from coenzyme.problems.ba import ba_residuals, load_ba


def test_sparse_jacobian_of_the_bundle(compare):
    cameras, points, weights, observations, features = load_ba()
    p = len(weights)
    errors, weight_errors = np.zeros((p, 2)), np.zeros(p)
    function = njit(ba_residuals)

    # With a camera and a point of its own for each observation, residual j of every observation can be seeded
    # at once: one reverse sweep gives row j of every block.
    own_cameras, own_points = cameras[observations[:, 0]], points[observations[:, 1]]
    own_observations = np.stack((np.arange(p), np.arange(p)), axis=1)
    d_cameras, d_points, d_weights = np.empty((3, p, 11)), np.empty((3, p, 3)), np.empty((3, p))

    def jacobian():
        for row in range(3):
            for shadow in (d_cameras[row], d_points[row], d_weights[row]):
                shadow[...] = 0.0
            d_errors, d_weight_errors = np.zeros((p, 2)), np.zeros(p)
            if row < 2:
                d_errors[:, row] = 1.0
            else:
                d_weight_errors[:] = 1.0
            cz.autodiff(
                cz.Reverse,
                function,
                cz.Const,
                cz.Duplicated(own_cameras, d_cameras[row]),
                cz.Duplicated(own_points, d_points[row]),
                cz.Duplicated(weights, d_weights[row]),
                cz.Const(own_observations),
                cz.Const(features),
                cz.Duplicated(errors, d_errors),
                cz.Duplicated(weight_errors, d_weight_errors),
            )

    compare(
        "BA sparse Jacobian p31843",
        function=lambda: function(cameras, points, weights, observations, features, errors, weight_errors),
        gradient=jacobian,
    )
