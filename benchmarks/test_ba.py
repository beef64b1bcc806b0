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
    # at once: one sweep in three directions gives the three rows of every block.
    own_cameras, own_points = cameras[observations[:, 0]], points[observations[:, 1]]
    own_observations = np.stack((np.arange(p), np.arange(p)), axis=1)
    shadows = [np.zeros((3, *x.shape)) for x in (own_cameras, own_points, weights)]
    d_errors, d_weight_errors = np.zeros((3, p, 2)), np.zeros((3, p))

    def jacobian():
        for shadow in shadows:
            shadow[...] = 0.0
        d_errors[0, :, 0] = d_errors[1, :, 1] = d_weight_errors[2] = 1.0
        cz.autodiff(
            cz.Reverse,
            function,
            cz.Const,
            *(
                cz.BatchDuplicated(x, tuple(dx))
                for x, dx in zip((own_cameras, own_points, weights), shadows, strict=True)
            ),
            cz.Const(own_observations),
            cz.Const(features),
            cz.BatchDuplicated(errors, tuple(d_errors)),
            cz.BatchDuplicated(weight_errors, tuple(d_weight_errors)),
        )

    compare(
        "BA sparse Jacobian p31843",
        function=lambda: function(cameras, points, weights, observations, features, errors, weight_errors),
        gradient=jacobian,
    )
