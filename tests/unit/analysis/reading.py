"""A function read from LLVM text, with its values and blocks by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Block, Function, Module
from coenzyme.ir.loops import LoopForest
from coenzyme.ir.parser import parse_module
from coenzyme.ir.values import Value

__all__ = ["Reading", "read"]


@dataclass
class Reading:
    """What the tests of the analyses start from."""

    module: Module
    function: Function
    flow: ControlFlow
    dominators: Dominators
    forest: LoopForest
    values: dict[str, Value] = field(default_factory=dict[str, Value])

    def __getitem__(self, name: str) -> Value:
        """Return the argument or instruction called `name`."""
        return self.values[name]

    def block(self, name: str) -> Block:
        """Return the block called `name`."""
        return next(b for b in self.function.blocks if b.name == name)

    def names(self, values: object) -> set[str]:
        """Return the names of `values`, of those that the function has."""
        wanted = set(values)  # type: ignore[call-overload]
        return {name for name, value in self.values.items() if value in wanted}


def read(text: str, entry: str = "f") -> Reading:
    """Return the function `entry` of `text`."""
    module = parse_module(text)
    function = module.functions[entry]
    flow = ControlFlow(function)
    dominators = Dominators(flow)
    reading = Reading(module, function, flow, dominators, LoopForest(function, flow, dominators))
    reading.values = {a.name: a for a in function.arguments}
    reading.values |= {i.name: i for i in function.instructions() if i.name}
    return reading
