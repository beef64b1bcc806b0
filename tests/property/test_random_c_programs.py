"""Random C programs: forward, reverse and finite differences agree; what is not supported is refused.

`COENZYME_FUZZ` says how many programs there are.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from coenzyme.errors import BackendUnavailableError
from coenzyme.frontends.clang import find_clang
from tests.property import TALLY
from tests.property.c_checks import check_c
from tests.property.c_generator import generate_c
from tests.property.workshop import Workshop

_PROGRAMS = int(os.environ.get("COENZYME_FUZZ", "480")) // 20


def _has_clang() -> bool:
    try:
        find_clang()
    except BackendUnavailableError:
        return False
    return True


@pytest.mark.skipif(not _has_clang(), reason="C is compiled by clang, and there is none")
def test_forward_reverse_and_differences_agree_on_c_programs(
    record_property: Callable[[str, object], None],
) -> None:
    first = random.SystemRandom().randrange(1 << 30) if "COENZYME_FUZZ" in os.environ else 20_000
    tally: Counter[str] = Counter()
    reports: list[str] = []
    workshop = Workshop(check_c)
    for seed in range(first, first + _PROGRAMS):
        program = generate_c(random.Random(seed).randrange)
        outcome = workshop.check(program)
        tally[f"{outcome.verdict.value} (C)"] += 1
        if outcome.bad:
            reports.append(f"seed {seed}, {outcome.check}: {outcome.details}\n{program.text}")
    workshop.close()
    record_property(TALLY, dict(tally))
    assert not reports, "\n\n".join(reports)
    assert tally["passed (C)"] > 0.6 * _PROGRAMS, tally
