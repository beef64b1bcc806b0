"""Every kernel."""

from . import flows, learning, physics, products, solvers, stencils
from .model import Kernel

__all__ = ["KERNELS"]

_MODULES = (products, solvers, stencils, flows, learning, physics)

KERNELS: tuple[Kernel, ...] = tuple(kernel for module in _MODULES for kernel in module.KERNELS)
