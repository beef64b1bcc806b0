"""What the code around a user's rule does with the values that come and go: checks, copies, zeros.

Everything here is called from compiled code only.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from coenzyme.api.blocks import add_into, assign
from coenzyme.api.memory import as_type, copy_like, overlap, same_shape, zero_like
from coenzyme.api.source import Source, implements, tuple_of
from coenzyme.api.structure import holds_floats
from coenzyme.errors import CompilationError

__all__ = [
    "add_cotangent",
    "entries",
    "keep",
    "number",
    "own",
    "pair",
    "present",
    "release",
    "require_own",
    "value_as",
    "zero_tangent",
    "zeros_of",
]


_ALIASED = "a function with a rule returns memory of its argument: return a copy"

# Intrinsics: they take one parameter less than their definitions.
_as_type: Any = as_type
_same_shape: Any = same_shape
_zero_like: Any = zero_like


def _is_number(kind: Any) -> bool:
    return isinstance(kind, (types.Number, types.Boolean))


def _refuse(message: str, remedy: str) -> CompilationError:
    return CompilationError(message, remedy=remedy)


def arrays_in(kind: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the expressions of the arrays in a value of a type, and their types."""
    if isinstance(kind, types.Array):
        yield path, kind
    elif isinstance(kind, types.BaseTuple):
        for index, part in enumerate(kind.types):
            yield from arrays_in(part, f"{path}[{index}]")


def _same_length(kind: Any, wanted: Any) -> bool:
    tuples = isinstance(wanted, types.BaseTuple) and isinstance(kind, types.BaseTuple)
    return tuples and len(kind.types) == len(wanted.types)


def _by_parts(
    function: Callable[..., Any], made: Any, first: str, second: str, count: int = 0
) -> Callable[..., Any]:
    """Return what applies `function` to the entries of two tuples; a tuple of type `made`, None if none."""
    source = Source()
    name = source.name("part", function)
    parts = [
        f"{name}({first}[{i}], {second}[{i}])" for i in range(count if made is None else len(made.types))
    ]
    for part in parts if made is None else ():
        source.add(part)
    source.add(f"return {None if made is None else _tuple_like(source, made, parts)}")
    return source.function("by_parts", f"{first}, {second}")


def zeros_of(value: Any) -> Any:
    """Return the zero derivative of `value`: zeros for floats, the value itself for what has none."""
    raise NotImplementedError


@implements(zeros_of)
def _zeros_of(value: Any) -> Callable[..., Any]:
    match types.unliteral(value):
        case types.NoneType():
            return lambda value: None
        case types.BaseTuple() as kind:
            source = Source()
            name = source.name("zeros", zeros_of)
            parts = [f"{name}(value[{i}])" for i in range(len(kind.types))]
            source.add(f"return {_tuple_like(source, kind, parts)}")
            return source.function("zeros_of", "value")
        case types.Array(dtype=types.Float() | types.Complex()) | types.Float() | types.Complex():
            return lambda value: _zero_like(value)  # noqa: PLW0108 - Numba wants a function
        case _:
            return lambda value: value


def _tuple_like(source: Source, kind: Any, parts: list[str]) -> str:
    if isinstance(kind, types.BaseNamedTuple):
        return f"{source.name('make', kind.instance_class)}({', '.join(parts)})"
    return tuple_of(parts)


def zero_tangent(value: Any) -> Any:
    """Return the tangent of a constant: zeros for floats, None for what has no derivative."""
    raise NotImplementedError


@implements(zero_tangent)
def _zero_tangent(value: Any) -> Callable[..., Any]:
    if holds_floats(types.unliteral(value)) and not isinstance(value, (types.List, types.ListType)):
        return lambda value: zeros_of(value)  # noqa: PLW0108 - Numba wants a function
    return lambda value: None


def value_as(value: Any, target: Any) -> Any:
    """Return what a rule gives for the value of a function as the type that the function returns."""
    raise NotImplementedError


@implements(value_as)
def _value_as(value: Any, target: Any) -> Callable[..., Any]:
    kind, wanted = types.unliteral(value), target.instance_type
    if kind == wanted:
        return lambda value, target: value
    fits = False
    if isinstance(wanted, (types.Float, types.Complex)):
        fits = _is_number(kind) and not (isinstance(kind, types.Complex) and isinstance(wanted, types.Float))
    elif isinstance(wanted, types.Array) and isinstance(kind, types.Array):
        same = kind.dtype == wanted.dtype and kind.ndim == wanted.ndim
        fits = same and (wanted.layout in (kind.layout, "A"))
    if fits:
        return lambda value, target: _as_type(value, target)  # noqa: PLW0108 - Numba wants a function
    if _same_length(kind, wanted):
        source = Source()
        name = source.name("value_as", value_as)
        parts = [f"{name}(value[{i}], {source.name('kind', part)})" for i, part in enumerate(wanted.types)]
        source.add(f"return {_tuple_like(source, wanted, parts)}")
        return source.function("value_as", "value, target")
    raise _refuse(
        f"a rule returns a value of type {kind} for a function that returns {wanted}",
        "let the rule return what the function returns",
    )


def own(tangent: Any, value: Any) -> Any:
    """Return the tangent that a rule gives for `value`, in memory of its own, laid out like `value`."""
    raise NotImplementedError


@implements(own)
def _own(tangent: Any, value: Any) -> Callable[..., Any]:
    kind, wanted = types.unliteral(tangent), types.unliteral(value)
    if isinstance(kind, types.NoneType):
        return lambda tangent, value: zeros_of(value)
    if isinstance(wanted, types.Float) and _is_number(kind) and not isinstance(kind, types.Complex):
        return lambda tangent, value: wanted(tangent)
    if isinstance(wanted, types.Complex) and _is_number(kind):
        return lambda tangent, value: wanted(tangent)
    arrays = isinstance(wanted, types.Array) and isinstance(kind, types.Array)
    if arrays and (kind.ndim, kind.dtype) == (wanted.ndim, wanted.dtype):
        return _own_array
    if _same_length(kind, wanted):
        return _by_parts(own, wanted, "tangent", "value")
    if isinstance(wanted, (types.Integer, types.Boolean)) and _is_number(kind):
        return lambda tangent, value: value
    raise _refuse(
        f"a rule returns a tangent of type {kind} for a value of type {wanted}",
        "let the tangent have the type and shape of the value, or be None",
    )


def _own_array(tangent: Any, value: Any) -> Any:
    if not _same_shape(tangent, value):
        raise ValueError("a rule returns a tangent of another shape than the value's")
    fresh = _zero_like(value)
    assign(fresh, tangent)
    return fresh


def number(cotangent: Any, like: Any) -> Any:
    """Return what a rule gives for the cotangent of a number, or of a tuple of numbers, in its type."""
    raise NotImplementedError


@implements(number)
def _number(cotangent: Any, like: Any) -> Callable[..., Any]:
    kind, wanted = types.unliteral(cotangent), types.unliteral(like)
    if isinstance(kind, types.NoneType):
        return lambda cotangent, like: zeros_of(like)
    if isinstance(wanted, types.Float) and _is_number(kind) and not isinstance(kind, types.Complex):
        return lambda cotangent, like: wanted(cotangent)
    if isinstance(wanted, types.Complex) and _is_number(kind):
        return lambda cotangent, like: wanted(cotangent)
    if _same_length(kind, wanted):
        return _by_parts(number, wanted, "cotangent", "like")
    if isinstance(wanted, (types.Integer, types.Boolean)):
        return lambda cotangent, like: like
    raise _refuse(
        f"a rule returns a cotangent of type {kind} for an argument of type {wanted}",
        "let the cotangent have the type of the argument, or be None",
    )


def add_cotangent(shadow: Any, cotangent: Any) -> None:
    """Add what a rule gives for the cotangent of an array, or of a tuple of arrays, to its shadow."""
    raise NotImplementedError


@implements(add_cotangent)
def _add_cotangent(shadow: Any, cotangent: Any) -> Callable[..., Any]:
    kind, wanted = types.unliteral(cotangent), shadow
    if isinstance(kind, types.NoneType) or isinstance(wanted, types.NoneType):
        return lambda shadow, cotangent: None
    if isinstance(wanted, types.Array) and isinstance(kind, types.Array):
        real = isinstance(wanted.dtype, types.Complex) or not isinstance(kind.dtype, types.Complex)
        if kind.ndim == wanted.ndim and real:
            return _add_array
    if _same_length(kind, wanted):
        return _by_parts(add_cotangent, None, "shadow", "cotangent", len(wanted.types))
    if isinstance(wanted, (types.Integer, types.Boolean)):
        return lambda shadow, cotangent: None
    raise _refuse(
        f"a rule returns a cotangent of type {kind} for an argument of type {wanted}",
        "let the cotangent have the type and shape of the argument, or be None",
    )


def _add_array(shadow: Any, cotangent: Any) -> None:
    if shadow.shape != cotangent.shape:
        raise ValueError("a rule returns a cotangent of another shape than its argument's")
    add_into(shadow, cotangent)


def require_own(value: Any, arguments: Any) -> None:
    """Raise where arrays in the value of a function share memory with its arguments."""
    raise NotImplementedError


@implements(require_own)
def _require_own(value: Any, arguments: Any) -> Callable[..., Any]:
    source = Source()
    meet = source.name("overlap", overlap)
    error = source.name("error", ValueError)
    for path, kind in arrays_in(value, "value"):
        if not isinstance(kind.dtype, (types.Float, types.Complex)):
            continue
        for other, _ in arrays_in(arguments, "arguments"):
            source.add(f"if {meet}({path}, {other}):")
            source.add(
                f'raise {error}("a function with a rule returns memory of its argument: return a copy")',
                depth=1,
            )
    source.add("return None")
    return source.function("require_own", "value, arguments")


def keep(residuals: Any, unsafe: Any, value: Any) -> Any:
    """Return residuals, with copies of arrays that share memory with `unsafe` or with `value`.

    Where `unsafe` is None, any memory may be written, and all arrays are copied.
    """
    raise NotImplementedError


@implements(keep)
def _keep(residuals: Any, unsafe: Any, value: Any) -> Callable[..., Any]:
    others = [*arrays_in(unsafe, "unsafe"), *arrays_in(value, "value")]
    everything = isinstance(unsafe, types.NoneType)
    source = Source()
    meet, copy = source.name("overlap", overlap), source.name("copy", copy_like)

    def rebuilt(kind: Any, path: str) -> str:
        if isinstance(kind, types.Array) and everything:
            return f"{copy}({path})"
        if isinstance(kind, types.Array) and others:
            name = source.variable("kept")
            source.add(f"{name} = {path}")
            tests = " or ".join(f"{meet}({path}, {other})" for other, _ in others)
            source.add(f"if {tests}:")
            source.add(f"{name} = {copy}({path})", depth=1)
            return name
        if isinstance(kind, types.BaseTuple) and any(True for _ in arrays_in(kind, path)):
            return _tuple_like(
                source, kind, [rebuilt(part, f"{path}[{i}]") for i, part in enumerate(kind.types)]
            )
        return path

    source.add(f"return {rebuilt(residuals, 'residuals')}")
    return source.function("keep", "residuals, unsafe, value")


def pair(returned: Any) -> Any:
    """Return what a function of a rule returns, two items."""
    raise NotImplementedError


@implements(pair)
def _pair(returned: Any) -> Callable[..., Any]:
    kind = types.unliteral(returned)
    if not isinstance(kind, types.BaseTuple) or len(kind) != 2:
        raise _refuse(
            f"a function of a rule returns a value of type {kind}, not two values",
            "let fwd return (value, residuals), jvp (value, tangent)",
        )
    return lambda returned: returned


def entries(returned: Any, arguments: Any) -> Any:
    """Return the cotangents that a rule gives, one for each of the arguments."""
    raise NotImplementedError


@implements(entries)
def _entries(returned: Any, arguments: Any) -> Callable[..., Any]:
    kind, count = types.unliteral(returned), len(arguments)
    if isinstance(kind, types.NoneType):
        nothing = (None,) * count
        return lambda returned, arguments: nothing
    if not isinstance(kind, types.BaseTuple) or len(kind) != count:
        raise _refuse(
            f"bwd returns a value of type {kind} for {count} arguments",
            "let it return a tuple with one cotangent for each argument, None where there is none",
        )
    return lambda returned, arguments: returned


@intrinsic
def release(typing_context: Any, value: Any) -> Any:
    """Give back one reference to all that `value` holds."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        context.nrt.decref(builder, value, args[0])
        return context.get_dummy_value()

    return types.none(value), generate


@intrinsic
def _is_absent(typing_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = make_array(array)(context, builder, args[0]).data
        return context.cast(builder, cgutils.is_null(builder, data), types.boolean, types.boolean)

    return types.boolean(array), generate


_absent: Any = _is_absent


def present(shadow: Any, primal: Any) -> Any:
    """Return a shadow; zeros where it has none, for memory that may be constant or not."""
    raise NotImplementedError


@implements(present)
def _present(shadow: Any, primal: Any) -> Callable[..., Any]:
    if isinstance(shadow, types.Array) and isinstance(shadow.dtype, (types.Float, types.Complex)):
        return _present_array
    if isinstance(shadow, types.BaseTuple) and any(True for _ in arrays_in(shadow, "")):
        source = Source()
        name = source.name("present", present)
        parts = [f"{name}(shadow[{i}], primal[{i}])" for i in range(len(shadow.types))]
        source.add(f"return {_tuple_like(source, shadow, parts)}")
        return source.function("present", "shadow, primal")
    return lambda shadow, primal: shadow


def _present_array(shadow: Any, primal: Any) -> Any:
    if _absent(shadow) and primal.size > 0:
        return _zero_like(primal)
    return shadow
