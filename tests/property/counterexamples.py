"""Programs that failed once: each stays a test."""

from __future__ import annotations

from collections.abc import Mapping

from tests.property.programs import (
    Array,
    Clear,
    Compare,
    Continue,
    Counter,
    Either,
    Element,
    For,
    Helper,
    If,
    IntegerOperation,
    Invoke,
    Local,
    Number,
    Program,
    Return,
    Scope,
    SetElement,
    SetEntry,
    SetLocal,
    While,
    Whole,
)

__all__ = ["COUNTEREXAMPLES"]

COUNTEREXAMPLES: Mapping[str, Program] = {
    "eight bytes cleared at once become an integer store": Program(
        (Clear(Array("a"), Whole(0), Whole(1)),), Number(0.5)
    ),
    "a recursive function is called again, and then memory is exhausted": Program(
        (
            For(
                "i",
                Whole(0),
                Whole(2),
                1,
                (Invoke("z", "recursive", Array("a"), Array("a"), Whole(0), Number(0.5)),),
            ),
        ),
        Number(0.5),
        (
            Helper(
                "recursive",
                (
                    Return(Number(0.5)),
                    Invoke("y", "recursive", Array("r"), Array("r"), Whole(0), Number(0.5)),
                ),
                Number(0.5),
            ),
        ),
        n=4,
        m=2,
        seed=863,
        relaxed=True,
        level=3,
    ),
    "a gradient that runs out of memory and is differentiated in reverse mode frees its tape once": Program(
        (
            For(
                "i",
                Whole(0),
                Whole(2),
                1,
                (
                    For(
                        "j",
                        Counter("n"),
                        Whole(-1),
                        -1,
                        (
                            SetElement(
                                Either(
                                    Compare("<=", Element(Array("b"), Whole(0)), Number(0.0)),
                                    Array("a"),
                                    Array("b"),
                                ),
                                Whole(0),
                                "*",
                                Number(0.5),
                            ),
                        ),
                    ),
                ),
            ),
        ),
        Number(0.5),
        n=2,
        m=1,
        seed=452,
        second="reverse over reverse",
    ),
    "an array of the last iteration is used behind its loop": Program(
        (
            While(
                "k",
                Counter("n"),
                Compare(">=", Local("x"), Local("x")),
                (
                    Scope(
                        "w",
                        True,
                        None,
                        (
                            If(
                                Compare("<", Local("s"), Number(-0.75)),
                                (
                                    SetElement(Array("w"), Counter("n"), "+", Local("x")),
                                    SetLocal("y", Element(Array("w"), Whole(3))),
                                ),
                                (Continue(),),
                            ),
                        ),
                    ),
                ),
            ),
        ),
        Local("y"),
        n=4,
        m=1,
        seed=441,
        constant=("b",),
    ),
    "how often a loop runs is decided by the loop around it": Program(
        (
            For(
                "i",
                Whole(2),
                Counter("n"),
                1,
                (
                    For(
                        "j",
                        Whole(1),
                        Whole(0),
                        -2,
                        (
                            For(
                                "k",
                                IntegerOperation("+", Counter("i"), Whole(1)),
                                Whole(-1),
                                -2,
                                (
                                    SetEntry(IntegerOperation("+", Counter("i"), Whole(-1)), Counter("j")),
                                    SetEntry(Whole(0), Whole(0)),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
        ),
        Number(0.5),
        n=0,
        m=0,
        seed=923,
        level=1,
        second="reverse over forward",
    ),
}
