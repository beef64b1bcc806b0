"""References to the caller's shadows that a function lets go of, and that the reverse sweep still needs.

An instance may have the last reference to an array. Where the function puts another array in its place, the
old one goes, and the shadow of the instance lets go of the old shadow, whose cotangents the reverse sweep has
yet to add up. So shadows are let go of at the end. (Blocks that the function allocates are held otherwise.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.objects import Storage
from coenzyme.derive.shadows import Shadows
from coenzyme.ir.instructions import Block, Call
from coenzyme.ir.values import Value
from coenzyme.rules import ReferenceCount, find_memory_rule

__all__ = ["find_deferred"]


def find_deferred(live: Iterable[Block], activity: Activity, shadows: Shadows) -> list[Call]:
    """Return the calls that may free shadows that the caller has passed."""
    primal_of: Mapping[Value, Value] = {twin: primal for primal, twin in shadows.pointers.items()}
    return [
        i
        for block in live
        for i in block.instructions
        if isinstance(i, Call) and i in shadows.mirrored and _lets_go(i, activity, primal_of)
    ]


def _lets_go(call: Call, activity: Activity, primal_of: Mapping[Value, Value]) -> bool:
    rule = find_memory_rule(call.callee_name or "")
    if not isinstance(rule, ReferenceCount) or rule.change > 0:
        return False
    shadow = call.operands[rule.meminfo]
    targets = activity.objects.of(primal_of.get(shadow, shadow))
    return any(item.storage is Storage.REACHED for item in targets)
