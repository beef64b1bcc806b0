"""Gradients of scalar functions, as calls of compiled code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
from numba.core import types

from coenzyme import engine
from coenzyme.api.calls import Call, Operands, add_derivative, implementation
from coenzyme.api.columns import check_complex
from coenzyme.api.functions import Compiled, name_of
from coenzyme.api.memory import copy_like
from coenzyme.api.parts import conjugate
from coenzyme.api.sharing import Sharing, add_alias_checks, refuse_written
from coenzyme.api.source import Source, tuple_of
from coenzyme.api.structure import (
    Arrangement,
    Leaf,
    arrange,
    check_argnums,
    leaves_of,
    one_of,
    parts_of,
    rebuild,
    zero_of,
)
from coenzyme.errors import ActivityError
from coenzyme.frontends.program import Mode

__all__ = ["GradientCall", "check_value"]


@dataclass(frozen=True)
class GradientCall(Call):
    """The gradient of a function with one real value.

    Parameters
    ----------
    function
        The function.
    argnums
        The arguments to differentiate.
    single
        Return the derivative itself, not a tuple with one entry.
    has_aux
        The function returns ``(value, aux)``.
    with_value
        Return ``(value, gradient)``.
    holomorphic
        The derivative of a holomorphic function in place of the gradient of a real one.
    sharing
        What is known of arguments in one memory.
    memory_limit
        How many bytes the tape may hold.
    """

    function: Compiled
    argnums: tuple[int, ...]
    single: bool
    has_aux: bool
    with_value: bool
    holomorphic: bool = False
    sharing: Sharing = Sharing.REFUSED
    memory_limit: int | None = None
    label: ClassVar[str] = "gradient"

    def primals(self, argtypes: tuple[types.Type, ...]) -> int | None:
        """Return how many of the arguments come first, for the user's function."""
        return len(argtypes)

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        check_argnums(self.function, self.argnums, len(argtypes))
        arrangement = arrange(self.function, argtypes, frozenset(self.argnums))
        restype = engine.primal(arrangement.function, arrangement.types)
        value_type, seeds = self._seeds(restype)
        if self.holomorphic:
            chosen = [leaf for i in self.argnums for leaf in leaves_of(arrangement.trees[i])]
            inputs = [leaf for leaf in chosen if leaf.differentiated]
            value = Leaf("value", value_type, True)
            check_complex([value], inputs, name_of(self.function), holomorphic=True)
        source = Source(arrangement.defaults)
        add_alias_checks(source, arrangement, self.sharing)
        if seeds is None:
            return self._beside_aux(source, arrangement, value_type)
        seed = source.name("seed", seeds)
        outcome = add_derivative(
            source,
            arrangement,
            Mode.REVERSE,
            Operands(seed=seed),
            return_active=True,
            sharing=self.sharing,
            memory_limit=self.memory_limit,
            result_needed=self.with_value or self.has_aux,
        )
        primal = outcome.primal
        value, aux = (f"{primal}[0]", f"{primal}[1]") if self.has_aux else (primal, None)
        return self._finish(source, arrangement, outcome.adjoint, value, aux)

    def _seeds(self, restype: types.Type) -> tuple[types.Type, Any]:
        """Return the type of the value, and the cotangent of the return; None where its shape is unknown."""
        if not self.has_aux:
            check_value(restype, name_of(self.function), holomorphic=self.holomorphic)
            return restype, one_of(restype)
        if not (isinstance(restype, types.BaseTuple) and len(parts_of(restype)) == 2):
            raise ActivityError(
                f"with has_aux the function must return (value, aux), and it returns {restype}",
                function=name_of(self.function),
                remedy="return a pair, or leave has_aux out",
            )
        value_type, aux_type = parts_of(restype)
        check_value(value_type, name_of(self.function), holomorphic=self.holomorphic)
        if isinstance(aux_type, (types.Float, types.Complex)):
            return value_type, (one_of(value_type), zero_of(aux_type))
        return value_type, None

    def _beside_aux(
        self, source: Source, arrangement: Arrangement, value_type: types.Type
    ) -> Callable[..., Any]:
        """Return the body for an aux whose cotangent has no known shape ahead of the call.

        The gradient is that of the value alone, taken on copies; then the function itself runs on the
        arguments.
        """
        refuse_written(self.sharing, self.function)
        alone = Arrangement(_value_alone(arrangement), arrangement.trees, arrangement.defaults)
        copies = {
            leaf.path: f"{source.name('copy_like', copy_like)}({leaf.path})"
            for leaf in arrangement.leaves
            if leaf.is_array
        }
        seed = source.name("seed", one_of(value_type))
        outcome = add_derivative(
            source,
            alone,
            Mode.REVERSE,
            Operands(None, seed, copies),
            return_active=True,
            memory_limit=self.memory_limit,
        )
        paths = ", ".join(leaf.path for leaf in arrangement.leaves)
        value, aux = source.variable("value"), source.variable("aux")
        source.add(f"{value}, {aux} = {source.name('function', arrangement.function)}({paths})")
        return self._finish(source, arrangement, outcome.adjoint, value, aux)

    def _finish(
        self,
        source: Source,
        arrangement: Arrangement,
        result: Callable[[Leaf], str],
        value: str,
        aux: str | None,
    ) -> Callable[..., Any]:

        def entry(leaf: Leaf) -> str:
            found = result(leaf)
            if not (self.holomorphic and leaf.differentiated):
                return found
            # The transpose of multiplication by a complex number is that by its conjugate.
            return f"{source.name('conjugate', conjugate)}({found})"

        parts = [rebuild(arrangement.trees[i], entry, source) for i in self.argnums]
        gradient = parts[0] if self.single else tuple_of(parts)
        if self.with_value:
            value = value if aux is None else f"({value}, {aux})"
            source.add(f"return {value}, {gradient}")
        else:
            source.add(f"return {gradient}" if aux is None else f"return {gradient}, {aux}")
        return implementation(source, self.function, arrangement.count)


def check_value(kind: types.Type, function: str, *, holomorphic: bool) -> None:
    """Refuse a return type that has no gradient.

    Raises
    ------
    ActivityError
        Unless the function returns a real floating-point number, or, if it is holomorphic, a complex one.
    """
    if isinstance(kind, types.Complex):
        if holomorphic:
            return
        raise ActivityError(
            f"a gradient needs a real value, and the function returns {types.unliteral(kind)}",
            function=function,
            remedy="pass holomorphic=True if it is holomorphic; or use vjp with a cotangent of the value",
        )
    if isinstance(kind, types.Float):
        return
    if isinstance(kind, types.Array):
        remedy = "use jacobian or vjp, or return a number, such as the sum"
    elif isinstance(kind, types.BaseTuple):
        remedy = "use vjp; or return (value, aux) and pass has_aux=True"
    elif isinstance(kind, types.NoneType):
        remedy = "return the value to differentiate, or use autodiff with a shadow for the output"
    else:
        remedy = "return a float"
    raise ActivityError(
        f"a gradient needs a real value, and the function returns {types.unliteral(kind)}",
        function=function,
        remedy=remedy,
    )


def _value_alone(arrangement: Arrangement) -> Compiled:
    source = Source()
    names = ", ".join(f"a{i}" for i in range(len(arrangement.leaves)))
    source.add(f"return {source.name('function', arrangement.function)}({names})[0]")
    return numba.njit(source.function(name_of(arrangement.function).rpartition(".")[2], names))
