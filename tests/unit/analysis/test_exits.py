from __future__ import annotations

from coenzyme.analysis.exits import ExitKind, find_exits
from tests.unit.analysis.reading import read

RAISES = """
define i32 @f(i1 %bad, i1 %none, i32 %code, i1 %other) {
entry:
  br i1 %bad, label %raise, label %next
raise:
  br label %raised
raised:
  ret i32 1
next:
  br i1 %none, label %nothing, label %more
nothing:
  ret i32 -2
more:
  br i1 %other, label %unknown, label %done
unknown:
  ret i32 %code
done:
  ret i32 0
}
"""


def test_statuses_of_numba_are_told_apart() -> None:
    f = read(RAISES)
    kinds = {
        block.name: kind for block, kind in find_exits(f.function, f.flow, has_status=True).kinds.items()
    }
    assert kinds == {
        "raised": ExitKind.ERROR,
        "nothing": ExitKind.NORMAL,
        "unknown": ExitKind.UNDECIDED,
        "done": ExitKind.NORMAL,
    }


def test_blocks_that_only_lead_to_an_error_do_not_matter() -> None:
    f = read(RAISES)
    live = [b.name for b in find_exits(f.function, f.flow, has_status=True).live]
    assert set(live) == {"entry", "next", "nothing", "more", "unknown", "done"}
    assert live[0] == "entry"


def test_without_a_status_every_return_is_normal() -> None:
    f = read(RAISES)
    exits = find_exits(f.function, f.flow, has_status=False)
    assert set(exits.kinds.values()) == {ExitKind.NORMAL}
    assert len(exits.live) == len(f.function.blocks)


def test_loop_that_always_raises_is_dead() -> None:
    f = read("""
define i32 @f(i1 %c, i1 %d) {
entry:
  br i1 %c, label %loop, label %done
loop:
  br i1 %d, label %loop, label %raise
raise:
  ret i32 1
done:
  ret i32 0
}
""")
    assert [b.name for b in find_exits(f.function, f.flow, has_status=True).live] == ["entry", "done"]
