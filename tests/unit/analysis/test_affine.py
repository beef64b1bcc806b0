"""Integers and addresses as polynomials, compared with arithmetic of the machine."""

from __future__ import annotations

import random
from math import prod

import pytest

from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.induction import find_recurrence
from coenzyme.ir.instructions import Phi
from coenzyme.ir.values import Value
from tests.unit.analysis.nests import For, Read, analyse
from tests.unit.analysis.reading import Reading, read

BITS = 1 << 64


def polynomials() -> Polynomials:
    return Polynomials({}, {})


def straight(*lines: str) -> Reading:
    body = "\n".join(f"  {line}" for line in lines)
    return read(f"define void @f(ptr %a, i64 %n, i64 %m, i32 %k) {{\n{body}\n  ret void\n}}\n")


def evaluate(value: Polynomial, known: dict[Value, int]) -> int:
    return sum(f * prod(known[v] for v in monomial) for monomial, f in value.terms.items()) % BITS


def test_random_arithmetic_has_the_values_of_the_machine() -> None:
    rng = random.Random(0)
    opened = 0
    for _ in range(40):
        lines: list[str] = []
        operands = ["%n", "%m", "3", "-2"]
        for k in range(rng.randint(1, 8)):
            opcode = rng.choice(["add", "sub", "mul", "shl"])
            a = rng.choice(operands)
            b = str(rng.randint(0, 5)) if opcode == "shl" else rng.choice(operands)
            lines.append(f"%t{k} = {opcode} i64 {a}, {b}")
            operands.append(f"%t{k}")
        f, reader = straight(*lines), polynomials()
        sizes = {"n": rng.randrange(BITS), "m": rng.randrange(BITS)}
        known = {f[name]: value for name, value in sizes.items()}
        results = {f"%{name}": value for name, value in sizes.items()}
        for line in lines:
            name, _, opcode, _, a, b = line.replace(",", " ").split()
            x, y = (results[o] if o in results else int(o) for o in (a, b))
            result = {"add": x + y, "sub": x - y, "mul": x * y, "shl": x << (y % 64)}[opcode]
            results[name] = result % BITS
        for name, expected in results.items():
            value = f[name[1:]]
            found = reader.of(value)
            known.setdefault(value, expected)  # for what is too large to be looked into
            opened += found != Polynomial({(value,): 1})
            assert evaluate(found, known) == expected
    assert opened > 40


def test_different_computations_of_one_address_are_one_polynomial() -> None:
    f = straight(
        "%row = mul i64 %n, %m",
        "%next = add i64 %n, 1",
        "%row1 = mul i64 %m, %next",
        "%p = getelementptr double, ptr %a, i64 %row1",
        "%q0 = getelementptr i64, ptr %a, i64 %m",
        "%q = getelementptr double, ptr %q0, i64 %row",
        "%r = getelementptr float, ptr %a, i64 %row1",
    )
    reader = polynomials()
    assert reader.of(f["p"]) == reader.of(f["q"])
    assert hash(reader.of(f["p"])) == hash(reader.of(f["q"]))
    assert reader.of(f["p"]) != reader.of(f["r"])
    distance = reader.of(f["p"]) - reader.of(f["q0"])
    assert distance == reader.of(f["row"]).scaled(8)
    assert (reader.of(f["p"]) - reader.of(f["q"])).constant == 0


@pytest.mark.parametrize(
    "line",
    [
        "%x = or i64 %n, 1",
        "%x = lshr i64 %n, 1",
        "%x = sext i32 %k to i64",
        "%x = udiv i64 %n, 8",
        "%x = shl i64 %n, %m",
        "%x = and i64 %n, 7",
        "%x = add i32 %k, 1",
        "%x = getelementptr double, ptr %a, i32 %k",
    ],
)
def test_what_is_no_sum_or_product_of_wide_integers_is_taken_as_it_is(line: str) -> None:
    f = straight(line)
    assert polynomials().of(f["x"]) == Polynomial({(f["x"],): 1})


def test_or_of_disjoint_bits_is_a_sum() -> None:
    f = straight("%even = shl i64 %n, 1", "%x = or disjoint i64 %even, 1")
    assert polynomials().of(f["x"]) == Polynomial({(f["n"],): 2, (): 1})


def test_index_that_advances_is_its_start_and_a_multiple_of_the_step() -> None:
    text = """
define void @f(ptr %a, i64 %n, i64 %m) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %k = phi i64 [ %m, %entry ], [ %k.next, %loop ]
  %p = phi ptr [ %a, %entry ], [ %p.next, %loop ]
  %i.next = add i64 %i, 1
  %k.next = add i64 %k, 3
  %p.next = getelementptr double, ptr %p, i64 2
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done
done:
  ret void
}
"""
    f = read(text)
    (loop,) = f.forest.loops
    phis = [v for name in ("k", "p") if isinstance(v := f[name], Phi)]
    found = {phi: r for phi in phis if (r := find_recurrence(phi, loop)) is not None}
    index = f["i"]
    assert isinstance(index, Phi)
    reader = Polynomials({loop: index}, found)
    assert reader.of(f["k"]) == Polynomial({(f["m"],): 1, (index,): 3})
    assert reader.of(f["p"]) == Polynomial({(f["a"],): 1, (index,): 16})
    assert reader.of(f["p.next"]).split(index) == (
        Polynomial({(): 16}),
        Polynomial({(f["a"],): 1, (): 16}),
    )


def test_split_takes_linear_forms_apart_and_no_others() -> None:
    nest = analyse([For("i", "n", (Read("r", "a", "i * m + i * 2 + n"), Read("s", "a", "i * i")))])
    (index,) = nest.ranges.indices.values()
    reader = nest.ranges.polynomials
    parts = reader.of(nest["r"].operands[0]).split(index)
    assert parts is not None
    n, m, a = (nest.values[name] for name in "nma")
    assert parts == (Polynomial({(m,): 8, (): 16}), Polynomial({(n,): 8, (a,): 1}))
    assert reader.of(nest["s"].operands[0]).split(index) is None
    assert (parts[0].constant, Polynomial({}).constant, Polynomial({(): 5}).constant) == (None, 0, 5)


def test_what_grows_too_large_is_taken_as_it_is() -> None:
    lines = ["%t0 = mul i64 %n, %m"] + [f"%t{k} = mul i64 %t{k - 1}, %t{k - 1}" for k in range(1, 4)]
    f, reader = straight(*lines), polynomials()
    assert reader.of(f["t1"]).values == {f["n"], f["m"]}
    assert reader.of(f["t2"]) == Polynomial({(f["t2"],): 1})
