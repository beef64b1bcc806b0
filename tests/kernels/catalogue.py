"""Every kernel, by name, and those that wait for the engine to learn something."""

from . import flows, learning, physics, products, solvers, stencils
from .model import Kernel

__all__ = ["KERNELS", "PENDING"]

_MODULES = (products, solvers, stencils, flows, learning, physics)
_TWO_MESSAGES = "two functions that each format an error message cannot be linked"
_WAITING = {
    "covariance": _TWO_MESSAGES,
    "covariance_columns": _TWO_MESSAGES,
    "correlation": _TWO_MESSAGES,
    "lu_outer": _TWO_MESSAGES,
    "deriche": _TWO_MESSAGES,
    "cavity_flow": _TWO_MESSAGES,
    "channel_flow": "an integer that is returned is taken for an active result",
    "contour_integral": "np.linalg.solve and np.linalg.inv have no rule",
    "contour_integral_complex": "np.linalg.solve and np.linalg.inv have no rule for complex numbers",
    "stockham_fft": "products of complex matrices have no rule",
    "scattering_self_energies_complex": "products of complex matrices have no rule",
}

_ALL: tuple[Kernel, ...] = tuple(kernel for module in _MODULES for kernel in module.KERNELS)
KERNELS: tuple[Kernel, ...] = tuple(kernel for kernel in _ALL if kernel.name not in _WAITING)
PENDING: tuple[tuple[Kernel, str], ...] = tuple(
    (kernel, _WAITING[kernel.name]) for kernel in _ALL if kernel.name in _WAITING
)
