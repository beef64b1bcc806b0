"""Every kernel, by name, and those that wait for the engine to learn something."""

from . import flows, learning, physics, products, solvers, stencils
from .model import Kernel

__all__ = ["KERNELS", "PENDING"]

_MODULES = (products, solvers, stencils, flows, learning, physics)
_WAITING: dict[str, str] = {}

_ALL: tuple[Kernel, ...] = tuple(kernel for module in _MODULES for kernel in module.KERNELS)
KERNELS: tuple[Kernel, ...] = tuple(kernel for kernel in _ALL if kernel.name not in _WAITING)
PENDING: tuple[tuple[Kernel, str], ...] = tuple(
    (kernel, _WAITING[kernel.name]) for kernel in _ALL if kernel.name in _WAITING
)
