"""Classes made by ``@jitclass``, typed and lowered for the private target.

Numba resolves their constructors, methods and properties through the dispatchers of the CPU target, wherever
they are used. What is here does the same through the twins of those dispatchers.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportIncompatibleVariableOverride=false

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.core.datamodel.registry import register_default
from numba.core.imputils import impl_ret_new_ref
from numba.core.typing import templates

__all__ = [
    "OwnBoundFunction",
    "find_property",
    "is_property",
    "resolve_attribute",
    "resolve_call",
    "set_property",
]

Twin = Callable[[Any], Any]
"""From the dispatcher of a method to its twin."""

_OPERATORS: dict[Any, str] = {operator.getitem: "__getitem__", operator.setitem: "__setitem__"}


class OwnBoundFunction(types.BoundFunction):
    """A method of this target.

    Numba interns types, and a bound method's key does not name its target: without a class of our own the CPU
    target's method, which types calls for the CPU, could be handed to us.
    """


@register_default(OwnBoundFunction)
def _model_of_receiver(models: Any, method: OwnBoundFunction) -> Any:
    # A bound method is represented by the object it is bound to, as in Numba.
    return models[method.this]


def resolve_attribute(context: Any, instance: Any, name: str, twin: Twin) -> Any:
    """Return the type of a method or property of an `instance`, or None where `name` is neither."""
    if name in instance.struct:
        return None
    if name in instance.jit_methods:
        return OwnBoundFunction(_method(instance, name, twin), instance)
    if name in instance.jit_static_methods:
        return OwnBoundFunction(_static_method(instance, name, twin), instance)
    if name in instance.jit_props:
        getter = twin(instance.jit_props[name]["get"])
        return types.Dispatcher(getter).get_call_type(context, (instance,), {}).return_type
    return None


def _method(instance: Any, name: str, twin: Twin) -> type:
    dispatcher = types.Dispatcher(twin(instance.jit_methods[name]))

    class MethodTemplate(templates.AbstractTemplate):
        key = (types.ClassInstanceType, name)

        def generic(self, args: Any, kws: Any) -> Any:
            return dispatcher.get_call_type(self.context, (instance, *args), kws).as_method()

    return MethodTemplate


def _static_method(instance: Any, name: str, twin: Twin) -> type:
    dispatcher = types.Dispatcher(twin(instance.jit_static_methods[name]))

    class StaticMethodTemplate(templates.AbstractTemplate):
        key = (types.ClassInstanceType, name)

        def generic(self, args: Any, kws: Any) -> Any:
            return dispatcher.get_call_type(self.context, args, kws).replace(recvr=instance)

    return StaticMethodTemplate


def resolve_call(context: Any, function: Any, args: Any, kws: Any, twin: Twin) -> Any:
    """Return the signature of a constructor, or of an operator that a class defines; None of other calls."""
    if isinstance(function, types.ClassType):
        instance = function.instance_type
        receiver = instance.get_reference_type()
        init = types.Dispatcher(twin(instance.jit_methods["__init__"]))
        found = init.get_call_type(context, (receiver, *args), kws)
        return templates.signature(instance, *found.args[1:])
    name = _OPERATORS.get(function) if callable(function) else None
    if name is None or not args or not isinstance(args[0], types.ClassInstanceType):
        return None
    method = args[0].jit_methods.get(name)
    return None if method is None else types.Dispatcher(twin(method)).get_call_type(context, args, kws)


def is_property(kind: Any, name: str) -> bool:
    """Return whether `name` is a property of instances of a type."""
    return isinstance(kind, types.ClassInstanceType) and name in kind.jit_props


def find_property(twin: Twin) -> Callable[..., Any]:
    """Return the implementation of reading a property."""

    def read(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
        getter = types.Dispatcher(twin(kind.jit_props[name]["get"]))
        signature = getter.get_call_type(context.typing_context, (kind,), {})
        result = _call(context, builder, getter, signature, [value])
        return impl_ret_new_ref(context, builder, signature.return_type, result)

    return read


def set_property(context: Any, name: str, signature: Any, twin: Twin) -> Callable[..., Any]:
    """Return the implementation of assigning to a property."""
    setter = types.Dispatcher(twin(signature.args[0].jit_props[name]["set"]))

    def write(builder: Any, args: Any) -> Any:
        found = setter.get_call_type(context.typing_context, signature.args, {})
        _call(context, builder, setter, found, args)

    return write


def _call(context: Any, builder: Any, dispatcher: Any, signature: Any, args: Any) -> Any:
    call = context.get_function(dispatcher, signature)
    result = call(builder, args)
    context.add_linking_libs(getattr(call, "libs", ()))
    return result
