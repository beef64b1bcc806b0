"""Calls that leave nothing behind where they raise.

Where an exception passes through a frame of Numba's, what the frame's variables hold is not released.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from coenzyme.api.memory import emit_call

__all__ = ["call_holding"]


@intrinsic
def call_holding(typing_context: Any, function: Any, operands: Any, held: Any) -> Any:
    """Return ``function(*operands)``; where that raises, release what the caller holds, and raise it.

    Parameters
    ----------
    function
        A compiled function whose parameters are all positional, and given.
    operands
        The arguments, in a temporary tuple.
    held
        All variables of the caller that are alive and hold memory, in a temporary tuple.
    """
    argtypes = tuple(types.unliteral(kind) for kind in operands.types)
    call = function.get_call_type(typing_context, argtypes, {})

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, packed, kept = args

        def release() -> None:
            context.nrt.decref(builder, signature.args[1], packed)
            for _ in ("the tuple's own references", "those of the variables"):
                context.nrt.decref(builder, signature.args[2], kept)

        values = [
            context.cast(builder, value, given, wanted)
            for value, given, wanted in zip(
                cgutils.unpack_tuple(builder, packed), signature.args[1].types, call.args, strict=True
            )
        ]
        return emit_call(context, builder, signature.args[0], call, values, release)

    return call.return_type(function, operands, held), generate
