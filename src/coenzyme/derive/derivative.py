"""From a function of a module to its derivative in the same module: the order of the passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coenzyme.analysis.activity import Activity, find_activity
from coenzyme.analysis.content import Contents, find_contents
from coenzyme.analysis.objects import find_objects
from coenzyme.analysis.overwritten import Aliasing
from coenzyme.analysis.tape import Policy
from coenzyme.derive.forward import emit_forward
from coenzyme.derive.normalise import Shape, normalise
from coenzyme.derive.plan import ReversePlan, make_plan
from coenzyme.derive.reverse import emit_reverse
from coenzyme.derive.shadows import add_shadows
from coenzyme.errors import CoenzymeError, Location
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.ir.clone import clone_function
from coenzyme.ir.instructions import Function, Instruction, Module
from coenzyme.ir.types import PTR, Type
from coenzyme.ir.values import Argument, Value

__all__ = ["Request", "derive"]


@dataclass(frozen=True)
class Request:
    """What is to be derived.

    Attributes
    ----------
    activities
        One for each parameter of the function.
    elements
        Element types of the memory behind pointer parameters, by parameter number.
    groups
        Numbers shared by pointer parameters that are parts of one array, by parameter number.
    has_status
        Whether the function returns Numba's status code.
    """

    mode: Mode
    activities: Sequence[ComponentActivity]
    elements: Mapping[int, Type]
    groups: Mapping[int, int]
    has_status: bool = True
    aliasing: Aliasing = Aliasing()  # noqa: RUF009 - frozen
    policy: Policy = Policy.CUT


@dataclass
class Derived:
    """A derivative function, and the plan it was emitted from (reverse mode)."""

    function: Function
    plan: ReversePlan | None


def derive(
    module: Module,
    function: Function,
    request: Request,
    name: str,
    locate: Callable[[Instruction], Location | None],
    display_name: str,
) -> Derived:
    """Add the derivative of `function` to `module` under `name`, and return it.

    The derivative has the parameters of `function`, then one for each that is not constant: the shadow
    of a pointer, the tangent of a scalar, or a pointer to where a scalar's adjoint is stored.
    """
    extras, twin_of = _extra_parameters(function, request)
    derivative, value_map, _ = clone_function(function, name, extras)
    module.add_function(derivative)
    formals = derivative.arguments[: len(function.arguments)]
    shadow_of = {formals[index]: extra for index, extra in twin_of.items()}
    parameters = dict(zip(formals, request.activities, strict=True))
    elements: dict[Argument, Type] = {formals[i]: t for i, t in request.elements.items()}
    groups = {formals[i]: g for i, g in request.groups.items()}
    _ = value_map

    def find_location(instruction: Instruction) -> Location | None:
        return locate(instruction)

    try:
        shape = normalise(derivative, elements, request.has_status)
        activity, contents = _analyse(derivative, shape, parameters, elements, groups)
        pointer_shadows: dict[Value, Value] = {a: s for a, s in shadow_of.items() if a.type.is_pointer}
        shadows = add_shadows(
            module,
            shape.exits.live,
            activity,
            contents,
            pointer_shadows,
            display_name,
            mirror_floats=request.mode is Mode.FORWARD,
        )
        if request.mode is Mode.FORWARD:
            scalars: dict[Value, Value] = {a: s for a, s in shadow_of.items() if not a.type.is_pointer}
            emit_forward(module, shape, activity, shadows, scalars, find_location, display_name)
            return Derived(derivative, None)
        plan = make_plan(shape, activity, contents, shadows, request.aliasing, request.policy, {})
        outputs = {a: s for a, s in shadow_of.items() if not a.type.is_pointer}
        emit_reverse(module, plan, outputs, find_location, display_name)
        return Derived(derivative, plan)
    except CoenzymeError as error:
        del module.functions[name]
        error.function = display_name
        raise


def _extra_parameters(function: Function, request: Request) -> tuple[list[Argument], dict[int, Argument]]:
    extras: list[Argument] = []
    twin_of: dict[int, Argument] = {}
    for index, (argument, activity) in enumerate(zip(function.arguments, request.activities, strict=True)):
        if activity is ComponentActivity.CONST:
            continue
        in_reverse = activity is ComponentActivity.ACTIVE
        type = PTR if in_reverse or argument.type.is_pointer else argument.type
        extra = Argument(type, f"{argument.name}.{'bar' if in_reverse else 'shadow'}", 0)
        extras.append(extra)
        twin_of[index] = extra
    return extras, twin_of


def _analyse(
    derivative: Function,
    shape: Shape,
    parameters: Mapping[Argument, ComponentActivity],
    elements: Mapping[Argument, Type],
    groups: Mapping[Argument, int],
) -> tuple[Activity, Contents]:
    objects = find_objects(derivative, groups)
    contents = find_contents(derivative, objects, elements)
    activity = find_activity(derivative, shape.exits.live, parameters, objects, contents)
    return activity, contents


