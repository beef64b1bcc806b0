"""Derivatives inside ``@njit`` code: Numba's view of the public names.

Transforms made outside are globals that type as the compiled function they stand for. ``grad(f)``,
``value_and_grad(f)``, ``jvp(f, primals, tangents)`` and ``autodiff(mode, f, …)`` may also be written inside
compiled code, where `f` is an ``@njit`` function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from numba.core import types
from numba.core.imputils import impl_ret_borrowed, lower_constant
from numba.core.registry import cpu_target
from numba.extending import (
    intrinsic,
    make_attribute_wrapper,
    models,
    register_model,
    typeof_impl,
)

from coenzyme.api import checkpoint, ignore, transforms
from coenzyme.api.annotations import (
    ANNOTATIONS,
    BATCHED,
    SHADOWED,
    Active,
    BatchDuplicated,
    BatchDuplicatedNoNeed,
    Const,
    DerivativeMode,
    Duplicated,
    DuplicatedNoNeed,
    MixedDuplicated,
)
from coenzyme.api.autodiff import AnnotatedCall, autodiff, check_batch_width
from coenzyme.api.calls import apply
from coenzyme.api.constants import function_of, literal_of
from coenzyme.api.functions import NumbaCallable
from coenzyme.api.jacobian import jacfwd, jacobian, jacrev
from coenzyme.api.second_order import (
    HessianProductCall,
    Product,
    gradient_and_hvp,
    hessian,
    hvp,
    hvp_into,
)
from coenzyme.api.sharing import Sharing
from coenzyme.api.source import Source, implements, tuple_of
from coenzyme.api.structure import argument_name, holds_floats, parts_of
from coenzyme.api.sweeps import PushforwardCall
from coenzyme.errors import ActivityError, ShadowError

__all__ = ["AnnotatedType", "ModeType"]


@typeof_impl.register(NumbaCallable)
def _type_of_transform(transform: NumbaCallable, context: Any) -> types.Dispatcher:
    return types.Dispatcher(transform.dispatcher)


class ModeType(types.Type):
    """The Numba type of one `DerivativeMode`."""

    def __init__(self, mode: DerivativeMode) -> None:
        self.mode = mode
        super().__init__(name=f"coenzyme.{mode}")


register_model(ModeType)(models.OpaqueModel)


@typeof_impl.register(DerivativeMode)
def _type_of_mode(mode: DerivativeMode, context: Any) -> ModeType:
    return ModeType(mode)


@lower_constant(ModeType)
def _constant_mode(context: Any, builder: Any, kind: ModeType, mode: DerivativeMode) -> Any:
    return context.get_dummy_value()


class AnnotatedType(types.Type):
    """The Numba type of an annotated argument."""

    def __init__(self, annotation: type, primal: types.Type, shadow: types.Type) -> None:
        self.annotation = annotation
        self.primal = primal
        self.shadow = shadow
        super().__init__(name=f"coenzyme.{annotation.__name__}({primal}, {shadow})")


@register_model(AnnotatedType)
class _AnnotatedModel(models.StructModel):
    def __init__(self, manager: Any, kind: AnnotatedType) -> None:
        super().__init__(manager, kind, [("primal", kind.primal), ("shadow", kind.shadow)])


make_attribute_wrapper(AnnotatedType, "primal", "primal")
make_attribute_wrapper(AnnotatedType, "shadow", "shadow")


def _annotator(annotation: type) -> Any:
    """Return the compiled constructor of an annotation."""

    @intrinsic
    def annotate(typing_context: Any, primal: Any, shadow: Any) -> Any:
        kind = AnnotatedType(annotation, types.unliteral(primal), types.unliteral(shadow))

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = [
                context.cast(builder, value, given, wanted)
                for value, given, wanted in zip(args, signature.args, (kind.primal, kind.shadow), strict=True)
            ]
            struct = context.make_helper(builder, kind)
            struct.primal, struct.shadow = values
            return impl_ret_borrowed(context, builder, kind, struct._getvalue())

        return kind(primal, shadow), generate

    return annotate


_const, _active, _duplicated, _no_need, _mixed, _batch, _batch_no_need = map(_annotator, ANNOTATIONS)


@implements(Const)
def _const_in_numba(primal: Any) -> Callable[..., Any]:
    return lambda primal: _const(primal, None)


@implements(Active)
def _active_in_numba(primal: Any) -> Callable[..., Any]:
    return lambda primal: _active(primal, None)


@implements(Duplicated)
def _duplicated_in_numba(primal: Any, shadow: Any) -> Callable[..., Any]:
    return lambda primal, shadow: _duplicated(primal, shadow)  # noqa: PLW0108 - Numba wants a function


@implements(DuplicatedNoNeed)
def _no_need_in_numba(primal: Any, shadow: Any) -> Callable[..., Any]:
    return lambda primal, shadow: _no_need(primal, shadow)  # noqa: PLW0108


@implements(MixedDuplicated)
def _mixed_in_numba(primal: Any, shadow: Any) -> Callable[..., Any]:
    return lambda primal, shadow: _mixed(primal, shadow)  # noqa: PLW0108


@implements(BatchDuplicated)
def _batch_in_numba(primal: Any, shadow: Any) -> Callable[..., Any]:
    return lambda primal, shadow: _batch(primal, shadow)  # noqa: PLW0108


@implements(BatchDuplicatedNoNeed)
def _batch_no_need_in_numba(primal: Any, shadow: Any) -> Callable[..., Any]:
    return lambda primal, shadow: _batch_no_need(primal, shadow)  # noqa: PLW0108


@implements(autodiff)
def _autodiff_in_numba(mode: Any, f: Any, *annotated: Any) -> Callable[..., Any]:
    function = function_of(f, "autodiff")
    if not isinstance(mode, ModeType):
        raise ActivityError(
            f"the mode of autodiff has type {mode}",
            function=function.py_func.__qualname__,
            remedy="pass Forward, ForwardWithPrimal, Reverse or ReverseWithPrimal, by name",
        )
    given: tuple[Any, ...] = annotated
    if len(annotated) == 1 and isinstance(annotated[0], types.BaseTuple):
        given = parts_of(annotated[0])
    first = 0
    returns = None
    head: Any = given[0] if given else None
    if isinstance(head, types.Function) and cast(Any, head).typing_key in ANNOTATIONS:
        returns, first = cast(Any, head).typing_key, 1
    source = Source()
    primals: list[str] = []
    single: list[int] = []
    counts: dict[int, int] = {}
    kinds: list[type] = []
    for i, kind in enumerate(given[first:], start=first):
        if not isinstance(kind, AnnotatedType):
            kinds.append(Const)
            primals.append(f"annotated[{i}]")
            continue
        kinds.append(kind.annotation)
        primals.append(f"annotated[{i}].primal")
        if kind.annotation in BATCHED:
            if not isinstance(kind.shadow, types.BaseTuple):
                raise ShadowError(
                    f"the shadows for a batch have type {kind.shadow}",
                    function=function.py_func.__qualname__,
                    argument=argument_name(function, i - first),
                    remedy="pass a tuple with one shadow for each direction",
                )
            counts[i - first] = len(parts_of(kind.shadow))
        elif kind.annotation in SHADOWED:
            single.append(i - first)
    batch = mode.mode.width if mode.mode.width > 1 else next(iter(counts.values()), 0)
    if batch:
        check_batch_width(function, batch, counts, single)
    shadows = [
        f"annotated[{i + first}].shadow[{lane}]" if i in counts else f"annotated[{i + first}].shadow"
        for lane in range(max(batch, 1))
        for i in sorted([*single, *counts])
    ]
    request = AnnotatedCall(function, mode.mode, returns, tuple(kinds), batch, Sharing.MIRRORED)
    operands = tuple_of([*primals, *shadows])
    source.add(f"return {source.name('apply', apply)}({source.name('call', request)}, {operands})")
    return source.function("autodiff", "mode, f, *annotated")


def _offer(transform: Callable[..., Any]) -> None:
    """Let compiled code call a transform: with a function, and with options that are constants."""
    options = list(inspect.signature(transform).parameters.values())[1:]
    names = [option.name for option in options]
    header = ", ".join(["f", *(f"{option.name}={option.default!r}" for option in options)])

    def typing(f: Any, *given: Any) -> Callable[..., Any]:
        literals = {name: literal_of(value, name) for name, value in zip(names, given, strict=True)}
        source = Source()
        source.add(f"return {source.name('made', transform(function_of(f, transform.__name__), **literals))}")
        return source.function(transform.__name__, header)

    source = Source()
    source.add(f"return {source.name('typing', typing)}({', '.join(['f', *names])})")
    implements(transform, prefer_literal=True)(source.function(transform.__name__, header))


for _transform in (transforms.grad, transforms.value_and_grad, jacobian, jacfwd, jacrev, hessian):
    _offer(_transform)


@implements(transforms.jvp)
def _jvp_in_numba(f: Any, primals: Any, tangents: Any) -> Callable[..., Any]:
    function = function_of(f, "jvp")
    if not (isinstance(primals, types.BaseTuple) and isinstance(tangents, types.BaseTuple)):
        raise ActivityError(
            "the primals and tangents of jvp must be tuples",
            function=function.py_func.__qualname__,
            remedy="write jvp(f, (x,), (dx,))",
        )
    count = len(parts_of(primals))
    if count != len(parts_of(tangents)):
        raise ActivityError(
            f"there are {count} primals and {len(parts_of(tangents))} tangents",
            function=function.py_func.__qualname__,
            remedy="give one tangent for each primal, None for integers and other constants",
        )
    source = Source()
    kept = [f"tangents[{i}]" for i, kind in enumerate(parts_of(primals)) if holds_floats(kind)]
    request = PushforwardCall(function, count, len(kept))
    given = tuple_of([*(f"primals[{i}]" for i in range(count)), *kept])
    source.add(f"return {source.name('apply', apply)}({source.name('call', request)}, {given})")
    return source.function("jvp", "f, primals, tangents")


def _product_in_numba(name: str, f: Any, given: Any, product: Product) -> Callable[..., Any]:
    """Return the body of a product with the Hessian; the memory to write into, if any, comes before `f`."""
    function = function_of(f, name)
    kinds = parts_of(given[0]) if len(given) == 1 and isinstance(given[0], types.BaseTuple) else given
    source = Source()
    request = HessianProductCall(function, 1 + len(kinds), product)
    others = [f"args[{i}]" for i in range(len(kinds))]
    out = ["out"] if product is Product.INTO else []
    operands = tuple_of(["x", *others, "v", *out])
    source.add(f"return {source.name('apply', apply)}({source.name('call', request)}, {operands})")
    return source.function(name, ", ".join([*out, "f", "x", "v", "*args"]))


@implements(hvp)
def _hvp_in_numba(f: Any, x: Any, v: Any, *args: Any) -> Callable[..., Any]:
    return _product_in_numba("hvp", f, args, Product.ALONE)


@implements(gradient_and_hvp)
def _gradient_and_hvp_in_numba(f: Any, x: Any, v: Any, *args: Any) -> Callable[..., Any]:
    return _product_in_numba("gradient_and_hvp", f, args, Product.WITH_GRADIENT)


@implements(hvp_into)
def _hvp_into_in_numba(out: Any, f: Any, x: Any, v: Any, *args: Any) -> Callable[..., Any]:
    return _product_in_numba("hvp_into", f, args, Product.INTO)


# The first to mention one of the names may be a function that Numba is just compiling, unaware of them.
_REGISTERED_BY_IMPORT = (checkpoint, ignore)

for _context in cast(tuple[Any, ...], (cpu_target.typing_context, cpu_target.target_context)):
    _context.refresh()
