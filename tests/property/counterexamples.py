"""Programs that failed once: each stays a test."""

from __future__ import annotations

from collections.abc import Mapping

from tests.property.programs import Array, Clear, Number, Program, Whole

__all__ = ["COUNTEREXAMPLES"]

COUNTEREXAMPLES: Mapping[str, Program] = {
    "eight bytes cleared at once become an integer store": Program(
        (Clear(Array("a"), Whole(0), Whole(1)),), Number(0.5)
    ),
}
