"""Problems with known costs of differentiation: what the demo runs, the tests check and the benchmarks time.

Each module holds one problem as a scientist would write it for Numba, in loops that write in place, and,
where there is published data, the function that loads it.

=========  ==========================================================================================
`gmm`      log posterior of a Gaussian mixture (ADBench): a gradient with respect to 1650 numbers
`lstm`     loss of a character LSTM (ADBench): a state carried through a long loop
`ba`       bundle adjustment residuals (ADBench): many outputs written into arrays
`hand`     hand tracking residuals (ADBench): a dense Jacobian with 26 columns
`stencil`  Jacobi sweeps between two arrays that swap roles
`ode`      Runge-Kutta steps of the Lorenz system, updating a state in place
=========  ==========================================================================================

ADBench is the benchmark of F. Šrajer, Z. Kukelova and A. Fitzgibbon, "A benchmark of selected algorithmic
differentiation tools on some problems in computer vision and machine learning", Optimization Methods and
Software 33 (2018). Its data files are shipped under their own licence (`data/LICENSE.txt`); the code here is
our own.
"""
