"""Pushforwards and pullbacks, as calls of compiled code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, ClassVar, cast

from numba.core import types

from coenzyme import engine
from coenzyme.api.calls import Call, Operands, add_derivative, implementation
from coenzyme.api.containers import is_container_type
from coenzyme.api.copying import copy_into
from coenzyme.api.functions import Compiled, name_of
from coenzyme.api.memory import same_shape, zero_like
from coenzyme.api.sharing import Sharing, add_alias_checks
from coenzyme.api.source import Source
from coenzyme.api.structure import (
    Leaf,
    Tree,
    argument_name,
    arrange,
    holds_floats,
    leaves_of,
    parts_of,
)
from coenzyme.errors import ActivityError, ShadowError, UnsupportedIRError
from coenzyme.frontends.numba_structs import is_instance
from coenzyme.frontends.program import Mode

__all__ = [
    "PushforwardCall",
    "add_refusal",
    "add_tangents",
    "check_return",
    "check_writable",
    "pair_up",
    "positional",
]


def positional(stem: str, count: int) -> list[Parameter]:
    """Return `count` parameters without names that matter."""
    return [Parameter(f"{stem}{i}", Parameter.POSITIONAL_OR_KEYWORD) for i in range(count)]


def pair_up(tree: Tree, path: str, kind: types.Type, *, function: str, argument: str) -> dict[str, str]:
    """Return the path of each leaf's shadow by that of the leaf, in a shadow shaped like the tree.

    Parameters
    ----------
    tree
        The primal.
    path, kind
        Expression and Numba type of the shadow.

    Raises
    ------
    ShadowError
        If the shadow is not shaped like the primal.
    """
    if isinstance(tree, Leaf):
        if not tree.differentiated:
            return {}
        if not _fits(tree.kind, kind):
            raise ShadowError(
                f"the primal has type {tree.kind}, its shadow has type {kind}",
                function=function,
                argument=argument,
                remedy="make the shadow with make_zero(x)",
            )
        return {tree.path: path}
    if not isinstance(kind, types.BaseTuple) or len(parts_of(kind)) != len(tree.children):
        raise ShadowError(
            f"the primal is a tuple of {len(tree.children)}, its shadow has type {kind}",
            function=function,
            argument=argument,
            remedy="make the shadow with make_zero(x)",
        )
    found: dict[str, str] = {}
    for i, (child, part) in enumerate(zip(tree.children, parts_of(kind), strict=True)):
        found |= pair_up(child, f"{path}[{i}]", part, function=function, argument=argument)
    return found


def _fits(primal: types.Type, shadow: types.Type) -> bool:
    if isinstance(primal, types.Array):
        return isinstance(shadow, types.Array) and (shadow.ndim, shadow.dtype) == (primal.ndim, primal.dtype)
    if is_container_type(primal) or is_instance(primal):
        return primal == shadow
    if isinstance(primal, types.Complex) and isinstance(shadow, types.Complex):
        return True
    return isinstance(shadow, (types.Float, types.Integer))


def check_writable(tree: Tree, kind: types.Type, mode: Mode, *, function: str, argument: str) -> None:
    """Refuse a shadow that is to be written and is read-only.

    Parameters
    ----------
    tree
        The primal.
    kind
        The Numba type of a shadow that is shaped like it.

    Raises
    ------
    ShadowError
        If an array in the shadow is read-only.
    """
    if isinstance(tree, Leaf):
        written = mode is Mode.REVERSE or (isinstance(tree.kind, types.Array) and tree.kind.mutable)
        if tree.differentiated and written and isinstance(kind, types.Array) and not kind.mutable:
            raise ShadowError(
                "the shadow is read-only, and it must be written",
                function=function,
                argument=argument,
                remedy="make the shadow with make_zero(x)",
            )
        return
    for child, part in zip(tree.children, parts_of(cast(Any, kind)), strict=True):
        check_writable(child, part, mode, function=function, argument=argument)


def add_refusal(source: Source, condition: str, error: ActivityError) -> None:
    """Add the lines that raise `error` where `condition` does not hold."""
    source.add(f"if not {condition}:")
    source.add(f"raise {source.name('error', type(error))}({str(error)!r})", depth=1)


@dataclass(frozen=True)
class PushforwardCall(Call):
    """``(y, dy)`` from the arguments and then a tangent for each argument that holds floats."""

    function: Compiled
    count: int
    tangents: int
    sharing: Sharing = Sharing.REFUSED
    label: ClassVar[str] = "pushforward"

    def parameters(self) -> Sequence[Parameter]:
        """Return the primals, then what goes with them."""
        return [*positional("x", self.count), *positional("t", self.tangents)]

    def primals(self, argtypes: tuple[types.Type, ...]) -> int | None:
        """Return how many of the arguments come first, for the user's function."""
        return self.count

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        name = name_of(self.function)
        chosen = [i for i in range(self.count) if holds_floats(argtypes[i])]
        if len(chosen) != self.tangents:
            raise ActivityError(
                f"{len(chosen)} arguments hold floats, and {self.tangents} tangents were given",
                function=name,
                remedy="give one tangent for each primal, None for integers and other constants",
            )
        arrangement = arrange(self.function, argtypes[: self.count], frozenset(chosen))
        restype = engine.primal(arrangement.function, arrangement.types)
        source = Source(arrangement.defaults)
        add_alias_checks(source, arrangement, self.sharing)
        tangents: dict[str, str] = {}
        for k, i in enumerate(chosen, start=self.count):
            argument = argument_name(self.function, i)
            pairs = pair_up(arrangement.trees[i], f"a{k}", argtypes[k], function=name, argument=argument)
            tangents |= add_tangents(source, arrangement.trees[i], pairs, function=name, argument=argument)
        outcome = add_derivative(
            source,
            arrangement,
            Mode.FORWARD,
            Operands(tangents),
            return_active=holds_floats(restype),
            sharing=self.sharing,
        )
        source.add(f"return {outcome.primal}, {outcome.tangent}")
        return implementation(source, self.function, len(argtypes))


def add_tangents(
    source: Source, tree: Tree, pairs: Mapping[str, str], *, function: str, argument: str
) -> dict[str, str]:
    """Add copies of the tangents in the layout of the leaves of `tree`, and return their names by path.

    Parameters
    ----------
    pairs
        What `pair_up` has found.
    """
    return {
        leaf.path: _add_tangent(source, leaf, pairs[leaf.path], function, argument)
        for leaf in leaves_of(tree)
        if leaf.differentiated
    }


def _add_tangent(source: Source, leaf: Leaf, path: str, function: str, argument: str) -> str:
    """Add a copy of an array's tangent in the layout of its primal, and return its name."""
    if not leaf.is_array:
        return path
    error = ShadowError(
        "the tangent differs in shape from its primal",
        function=function,
        argument=argument,
        remedy="give the tangent the shape of the primal",
    )
    add_refusal(source, f"{source.name('same_shape', same_shape)}({leaf.path}, {path})", error)
    tangent = source.variable("tangent")
    source.add(f"{tangent} = {source.name('zero_like', zero_like)}({leaf.path})")
    source.add(f"{source.name('copy_into', copy_into)}({tangent}, {path})")
    return tangent


def check_return(restype: types.Type, function: str, *, containers: bool = False) -> bool:
    """Return whether a return value has a cotangent; None has not.

    Parameters
    ----------
    restype
        The type of the value.
    function
        Its name, for messages.
    containers
        Whether typed lists and dictionaries are differentiated.

    Raises
    ------
    ActivityError
        If nothing in the return can be differentiated.
    UnsupportedIRError
        For a container in reverse mode.
    """
    if isinstance(restype, types.NoneType):
        return False
    if not holds_floats(restype):
        raise ActivityError(
            f"the function returns {types.unliteral(restype)}, which has no derivative",
            function=function,
            remedy="return floats",
        )
    if not containers and _has_container(restype):
        raise UnsupportedIRError(
            f"the function returns {restype}: no cotangent of a container is taken",
            function=function,
            remedy="return an array, or fill a container that is passed as Duplicated",
        )
    return True


def _has_container(kind: types.Type) -> bool:
    if isinstance(kind, types.BaseTuple):
        return any(_has_container(part) for part in parts_of(kind))
    return is_container_type(kind) and holds_floats(kind)
