"""Functions that are given by equations: differentiated by the equation, not by the way it was solved.

Where r(y, p) = 0 holds at y = s(p), the implicit function theorem gives ∂r/∂y dy = −∂r/∂p dp. A tangent takes
one linear solve with ∂r/∂y, a cotangent one with its adjoint, however many steps the solver took.

Source: Griewank & Walther, Evaluating Derivatives, 2nd ed., section 15.1; Blondel et al., Efficient and
modular implicit differentiation, NeurIPS 2022.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import register_jitable

import coenzyme
from coenzyme.api.functions import Compiled, as_dispatcher, name_of, parameters_of
from coenzyme.api.rules.rule import RuleDispatcher, rule
from coenzyme.api.source import Source, implements, tuple_of
from coenzyme.api.structure import holds_floats
from coenzyme.errors import ActivityError, CompilationError

__all__ = ["implicit_function"]


def implicit_function(
    solver: Callable[..., Any],
    residual: Callable[..., Any],
    linear_solve: Callable[..., Any] | None = None,
) -> RuleDispatcher:
    """Return `solver` with derivatives by the equation that its result solves.

    Parameters
    ----------
    solver
        ``solver(*args) -> y``: a number or an array, real or complex. It is not differentiated. It must not
        write to its arguments.
    residual
        ``residual(y, *args)``, shaped like y, which is zero at the solution. What of the arguments it does
        not use (a first guess, a tolerance) has no influence on the result, and derivatives of zero.
    linear_solve
        Which solves the linear equations, where y is an array; ``np.linalg.solve`` if None. With two
        parameters, ``linear_solve(matrix, b)`` with the matrix ∂r/∂y, or its adjoint, of shape (n, n), and b
        of shape (n,). With three, ``linear_solve(product, operands, b)``, where ``product(operands, v)`` is
        the product of one or the other with v, and no matrix is made: v and b are shaped like y then.

    Returns
    -------
    RuleDispatcher
        A function that is called as `solver` is, with derivatives in all modes, of any order.

    Raises
    ------
    ActivityError
        If the numbers of parameters do not go together.

    Notes
    -----
    The result is taken for exact: an error ε in y becomes one of the order of ε in the derivatives. The
    matrix ∂r/∂y must be regular at the solution. A fixed point y = g(y, p) has the residual ``y - g(y, p)``,
    the minimum of f(y, p) the residual ``grad(f)(y, p)``. Complex residuals must be holomorphic.

    Cost: a tangent or cotangent takes one solve, and, where there is a matrix, n tangents of the residual.

    Examples
    --------
    >>> import numba as nb, coenzyme as cz
    >>> @nb.njit
    ... def newton(a):
    ...     y = a
    ...     while abs(y * y - a) > 1e-14 * a:
    ...         y -= (y * y - a) / (2.0 * y)
    ...     return y
    >>> root = cz.rules.implicit_function(newton, lambda y, a: y * y - a)
    >>> root(9.0), cz.grad(root)(9.0)
    (3.0, 0.16666666666666666)
    """
    equation = as_dispatcher(residual)
    made = rule(solver)
    names = list(inspect.signature(made.py_func).parameters)
    _check_parameters(name_of(made), equation, 1 + len(names), "residual")
    matrix_free = False
    if linear_solve is not None:
        solve = as_dispatcher(linear_solve)
        matrix_free = len(parameters_of(solve)) == 3
        if not matrix_free:
            _check_parameters(name_of(made), solve, 2, "linear_solve")
    else:
        solve = as_dispatcher(_solve_dense)
    parts = _Parts(name_of(made), equation, solve, matrix_free=matrix_free)
    listed = ", ".join(names)
    packed = tuple_of(names)
    source = Source()
    source.add(f"value = {source.name('solved', made)}({listed})")
    source.add(f"{source.name('check', parts.check)}(value, {packed})")
    # The residual is differentiated by arguments that may be one array, each with a gradient of its own.
    own = source.name("own", _own)
    source.add(f"return value, (value, {tuple_of([f'{own}({name})' for name in names])})")
    fwd = source.function("fwd", listed)
    source = Source()
    source.add("value, args = residuals")
    source.add(f"weights = {source.name('adjoint', parts.adjoint)}(value, args, cotangent)")
    source.add(f"return {source.name('cotangents', parts.cotangents)}(value, args, weights)")
    bwd = source.function("bwd", "residuals, cotangent")
    source = Source()
    unpacked = ", ".join(f"primals[{i}]" for i in range(len(names)))
    source.add(f"value = {source.name('solved', made)}({unpacked})")
    source.add(f"{source.name('check', parts.check)}(value, primals)")
    own = source.name("own", _own)
    for group in ("primals", "tangents"):
        source.add(f"{group} = {tuple_of([f'{own}({group}[{i}])' for i in range(len(names))])}")
    source.add(f"change = {source.name('change', parts.change)}(value, primals, tangents)")
    source.add(f"return value, {source.name('tangent', parts.tangent)}(value, primals, change)")
    made.defvjp(fwd, bwd)
    made.defjvp(source.function("jvp", "primals, tangents"))
    return made


def _check_parameters(function: str, given: Compiled, count: int, what: str) -> None:
    parameters = parameters_of(given)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) or len(parameters) == count:
        return
    raise ActivityError(
        f"the {what} takes {len(parameters)} arguments, and should take {count}",
        function=function,
        argument=what,
        remedy="a residual takes the solution and what the solver takes; linear_solve a matrix and a vector, "
        "or a product, its operands and a vector",
    )


def _solve_dense(matrix: Any, b: Any) -> Any:
    return np.linalg.solve(matrix, b)


class _Parts:
    """The functions that a rule is made of, which know the types of what they are called with.

    Parameters
    ----------
    function
        The name of the solver, for messages.
    residual, solve
        The equation, and the solver of linear ones.
    matrix_free
        Whether the latter takes products.
    """

    def __init__(self, function: str, residual: Compiled, solve: Compiled, *, matrix_free: bool) -> None:
        self._function = function
        self._residual = residual
        self._solve = solve
        self._matrix_free = matrix_free
        self.check = self._offer("check", self._check_shape, "value, args")
        self.adjoint = self._offer("adjoint", self._adjoint, "value, args, cotangent")
        self.cotangents = self._offer("cotangents", self._cotangents, "value, args, weights")
        self.change = self._offer("change", self._change, "value, primals, tangents")
        self.tangent = self._offer("tangent", self._tangent, "value, args, change")

    def _offer(self, name: str, typing: Callable[..., Callable[..., Any]], parameters: str) -> Any:
        """Return a function for compiled code, with the body that `typing` returns for the types."""
        source = Source()
        source.add("raise NotImplementedError")
        stub = source.function(name, parameters)
        source = Source()
        source.add(f"return {source.name('typing', typing)}({parameters})")
        implements(stub)(source.function(f"{name}_of", parameters))
        return stub

    # -- pieces

    def _check(self, value: Any) -> bool:
        """Return whether the solution is an array; refuse what is neither that nor a number."""
        if isinstance(value, (types.Float, types.Complex)):
            return False
        if isinstance(value, types.Array) and isinstance(value.dtype, (types.Float, types.Complex)):
            return True
        raise CompilationError(
            f"a solution of type {value} has no equation to be differentiated by",
            function=self._function,
            remedy="let the solver return a floating-point number or an array of them",
        )

    def _weighted(self, value: Any, count: int) -> Compiled:
        """Return λ, y, args → Re ⟨λ, r(y, args)⟩, whose gradients are products with adjoints of Jacobians."""
        listed = "".join(f", a{i}" for i in range(count))
        source = Source()
        source.add(f"found = {source.name('residual', self._residual)}(value{listed})")
        weigh = source.name("weigh", _weigh_arrays if self._check(value) else _weigh_numbers)
        source.add(f"return {weigh}(found, weights)")
        return as_dispatcher(source.function("weighted_residual", f"value, weights{listed}"))

    def _gradient(self, source: Source, value: Any, count: int, argnums: Sequence[int]) -> str:
        made = coenzyme.grad(self._weighted(value, count), argnums=tuple(argnums))
        return source.name("gradient", made)

    def _slope(self, source: Source, value: Any, args: Any) -> str:
        """Return the conjugate of ∂r/∂y for numbers."""
        gradient = self._gradient(source, value, len(args.types), [0])
        one = source.name("one", _ONE[isinstance(value, types.Complex)])
        return f"{gradient}(value, {one}{self._spread(args)})[0]"

    @staticmethod
    def _spread(args: Any, stem: str = "args") -> str:
        return "".join(f", {stem}[{i}]" for i in range(len(args.types)))

    # -- the functions

    def _check_shape(self, value: Any, args: Any) -> Callable[..., Any]:
        """Refuse a residual not shaped like the solution, or not holomorphic in it, in good time."""
        source = Source()
        array = self._check(value)
        if array:
            found = f"{source.name('residual', self._residual)}(value{self._spread(args)})"
            source.add(f"{source.name('same_shape', _require_same_shape)}(value, {found})")
        if isinstance(value.dtype if array else value, types.Complex):
            constant = source.name("Const", coenzyme.Const)
            fixed = [f"{constant}(args[{i}])" for i in range(len(args.types))]
            source.add("along = 0.0 * value + 1.0")
            for name, direction in (("first", "along"), ("second", "1j * along")):
                varied = f"{source.name('Duplicated', coenzyme.Duplicated)}(value, {direction})"
                source.add(f"{name} = {self._push(source, [varied, *fixed])}")
            source.add(f"{source.name('holomorphic', _require_holomorphic)}(first, second)")
        source.add("return None")
        return source.function("check", "value, args")

    def _adjoint(self, value: Any, args: Any, cotangent: Any) -> Callable[..., Any]:
        """Return the solution λ of (∂r/∂y)ᴴ λ = −ȳ."""
        source = Source()
        spread = self._spread(args)
        solve = source.name("solve", self._solve)
        if not self._check(value):
            source.add(f"return -cotangent / {self._slope(source, value, args)}")
        elif self._matrix_free:
            product = source.name("product", self._product(value, args, adjoint=True))
            source.add(f"return {solve}({product}, (value, args), -cotangent)")
        else:
            source.add(f"matrix = {self._matrix(source, value)}(value{spread})")
            dense = source.name("solve_adjoint", _solve_adjoint)
            source.add(f"return {dense}({solve}, matrix, -cotangent)")
        return source.function("adjoint", "value, args, cotangent")

    def _cotangents(self, value: Any, args: Any, weights: Any) -> Callable[..., Any]:
        """Return (∂r/∂p)ᴴ λ for each argument p, None where there is none."""
        source = Source()
        self._check(value)
        chosen = [i for i, kind in enumerate(args.types) if holds_floats(kind)]
        entries = ["None"] * len(args.types)
        if chosen:
            gradient = self._gradient(source, value, len(args.types), [i + 2 for i in chosen])
            source.add(f"found = {gradient}(value, weights{self._spread(args)})")
            for number, i in enumerate(chosen):
                entries[i] = f"found[{number}]"
        source.add(f"return {tuple_of(entries)}")
        return source.function("cotangents", "value, args, weights")

    def _change(self, value: Any, primals: Any, tangents: Any) -> Callable[..., Any]:
        """Return ∂r/∂p dp, summed over the arguments."""
        source = Source()
        self._check(value)
        varied = [
            holds_floats(kind) and not isinstance(tangent, types.NoneType)
            for kind, tangent in zip(primals.types, tangents.types, strict=True)
        ]
        if any(varied):
            constant = source.name("Const", coenzyme.Const)
            duplicated = source.name("Duplicated", coenzyme.Duplicated)
            annotated = [
                f"{duplicated}(primals[{i}], tangents[{i}])" if varies else f"{constant}(primals[{i}])"
                for i, varies in enumerate(varied)
            ]
            source.add(f"return {self._push(source, [f'{constant}(value)', *annotated])}")
        else:
            source.add(f"return {source.name('zero', _zero_of)}(value)")
        return source.function("change", "value, primals, tangents")

    def _push(self, source: Source, annotated: Sequence[str]) -> str:
        autodiff, mode = source.name("autodiff", coenzyme.autodiff), source.name("Forward", coenzyme.Forward)
        return f"{autodiff}({mode}, {source.name('residual', self._residual)}, {', '.join(annotated)})"

    def _tangent(self, value: Any, args: Any, change: Any) -> Callable[..., Any]:
        """Return the solution dy of ∂r/∂y dy = −dr."""
        source = Source()
        spread = self._spread(args)
        solve = source.name("solve", self._solve)
        if not self._check(value):
            slope = self._slope(source, value, args)
            source.add(f"return -change / {source.name('conj', np.conj)}({slope})")
        elif self._matrix_free:
            product = source.name("product", self._product(value, args, adjoint=False))
            source.add(f"return {solve}({product}, (value, args), -change)")
        else:
            source.add(f"matrix = {self._matrix(source, value)}(value{spread})")
            source.add(f"return {source.name('solve_forward', _solve_forward)}({solve}, matrix, -change)")
        return source.function("tangent", "value, args, change")

    def _matrix(self, source: Source, value: Any) -> str:
        made = coenzyme.jacfwd(self._residual, holomorphic=isinstance(value.dtype, types.Complex))
        return source.name("jacobian", made)

    def _product(self, value: Any, args: Any, *, adjoint: bool) -> Compiled:
        """Return the function of operands and v that multiplies v by ∂r/∂y, or by its adjoint."""
        source = Source()
        count = len(args.types)
        spread = self._spread(args, "operands[1]")
        if adjoint:
            gradient = self._gradient(source, value, count, [0])
            source.add(f"return {gradient}(operands[0], v{spread})[0]")
        else:
            constant = source.name("Const", coenzyme.Const)
            varied = f"{source.name('Duplicated', coenzyme.Duplicated)}(operands[0], v)"
            fixed = [f"{constant}(operands[1][{i}])" for i in range(count)]
            source.add(f"return {self._push(source, [varied, *fixed])}")
        return as_dispatcher(source.function("product", "operands, v"))


def _own(x: Any) -> Any:
    """Return a copy of an array, anything else as it is."""
    raise NotImplementedError


@implements(_own)
def _own_in_numba(x: Any) -> Callable[..., Any]:
    if isinstance(x, types.Array):
        return lambda x: x.copy()
    return lambda x: x


_ONE = (1.0, 1.0 + 0.0j)


@register_jitable
def _require_same_shape(value: Any, residual: Any) -> None:
    if residual.shape != value.shape:
        raise ValueError("the residual of an implicit function is not shaped like its solution")


@register_jitable
def _require_holomorphic(first: Any, second: Any) -> None:
    # A holomorphic function changes i times as much along i times a direction.
    if np.max(np.abs(second - 1j * first)) > 1e-4 * np.max(np.abs(first)):
        raise ValueError("the residual of an implicit function is not holomorphic in its solution")


@register_jitable
def _weigh_numbers(found: Any, weights: Any) -> Any:
    return (np.conj(weights) * found).real


@register_jitable
def _weigh_arrays(found: Any, weights: Any) -> Any:
    total = (np.conj(weights.dtype.type(0)) * found.dtype.type(0)).real
    for index in np.ndindex(found.shape):
        total += (np.conj(weights[index]) * found[index]).real
    return total


@register_jitable
def _solve_adjoint(solve: Any, matrix: Any, b: Any) -> Any:
    n = b.size
    square = np.ascontiguousarray(np.conj(matrix).reshape((n, n)).T)
    return solve(square, b.reshape(n)).reshape(b.shape)


@register_jitable
def _solve_forward(solve: Any, matrix: Any, b: Any) -> Any:
    n = b.size
    return solve(matrix.reshape((n, n)), b.reshape(n)).reshape(b.shape)


@register_jitable
def _zero_of(value: Any) -> Any:
    return 0.0 * value
