from __future__ import annotations

import html.parser
import re
from pathlib import Path

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.api.explain_notes import notes_of
from coenzyme.derive.amounts import Amount
from coenzyme.derive.explained import Kind
from coenzyme.errors import ActivityError


@nb.njit
def scaled(a, b):
    return np.exp(a) * b


def march(x, n):
    v = x.copy()
    s = 0.0
    for _ in range(n):
        for i in range(1, v.size):
            v[i] = v[i] * v[i - 1] + scaled(v[i], 2.0)
        s = s * s + v[0]
    return s


@pytest.fixture(scope="module")
def report():
    return cz.explain(march, np.ones(10), 5)


def line_with(report, text):
    return next(line for line in report.lines if text in line.source)


def test_active_lines_are_those_with_differentiated_values(report):
    assert line_with(report, "v[i] = v[i]").active
    assert line_with(report, "s = s * s").active
    assert not line_with(report, "for _ in range").active
    assert not line_with(report, "s = 0.0").active


def test_what_is_overwritten_is_taped_and_says_by_which_line(report):
    line = line_with(report, "v[i] = v[i]")
    taped = [item for item in line.items if item.kind is Kind.TAPED]
    assert taped
    assert line.bytes_per_iteration == sum(item.size.evaluate({}) for item in taped)
    assert f"overwritten by line {line.number} before the reverse sweep" in {item.why for item in taped}


def test_inlined_functions_have_lines_of_their_own(report):
    line = line_with(report, "np.exp(a)")
    assert line.active
    assert line in next(f for f in report.functions if f.name == "scaled").lines


def test_totals_are_formulas_in_the_arguments_and_numbers_where_these_are_given(report):
    inner = max(report.loops, key=lambda loop: loop.depth)
    assert inner.line == line_with(report, "for i in range").number
    assert inner.bytes_per_iteration == report.tape_bytes_per_iteration[inner.line]
    assert inner.total == Amount.number(inner.bytes_per_iteration) * Amount.of("n") * (
        Amount.of("x.size") + Amount.number(-1)
    )
    assert inner.evaluated == inner.bytes_per_iteration * 5 * 9
    assert report.total_evaluated == sum(loop.evaluated for loop in report.loops) + report.stored_once
    types = cz.explain(march, nb.float64[::1], nb.int64)
    assert types.total == report.total
    assert types.total_evaluated is None
    # The copy and its shadow.
    assert report.memory_evaluated == 2 * 80


def test_the_tape_is_as_large_as_the_explanation_says(report):
    x = np.ones(2000)
    said = cz.explain(march, x, 50).total_evaluated
    # Chunks of tape are not filled to the last byte.
    fits, fails = 2 * said, said // 2
    cz.grad(march, memory_limit=fits)(x, 50)
    with pytest.raises(cz.errors.MemoryLimitError):
        cz.grad(march, memory_limit=fails)(x, 50)


def loop_of_unknown_length(x):
    s = x[0]
    while s < 10.0:
        s = s * s
    return s


def test_loops_of_unknown_length_have_a_name_for_it():
    report = cz.explain(loop_of_unknown_length, np.full(1, 2.0))
    (loop,) = report.loops
    assert str(loop.total) == f"8·n({loop.line})"
    assert loop.evaluated is None


def linear(x):
    s = 0.0
    for i in range(x.size):
        s += 3.0 * x[i]
    return s


def test_linear_loops_keep_nothing():
    report = cz.explain(linear, nb.float64[::1])
    assert report.loops == ()
    assert report.tape_bytes_per_iteration == {}


@nb.njit
def nested(x, k):
    if k == 0:
        return np.sin(x)
    return nested(np.sin(x) * x, k - 1) * x


def solved(a, b):
    return np.sum(np.linalg.solve(a, b)) + nested(b[0], 3)


@pytest.mark.slow
def test_calls_kept_out_of_line_are_explained_too():
    report = cz.explain(solved, nb.float64[:, ::1], nb.float64[::1])
    assert Kind.RULE in {item.kind for item in line_with(report, "np.linalg.solve").items}
    assert Kind.CALL in {item.kind for item in line_with(report, "return nested(").items}


def test_text_shows_source_bytes_and_reasons(report):
    text = str(report)
    assert "v[i] = v[i] * v[i - 1]" in text
    assert "overwritten by line" in text
    assert str(report.total) in text
    assert re.search(r"^ +\d+ +∂ +\d+ ", text, re.MULTILINE)


class Parser(html.parser.HTMLParser):
    """Checks that elements nest, and collects what the page refers to."""

    def __init__(self):
        super().__init__()
        self.open, self.references, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.references += [value for name, value in attrs if name in {"src", "href", "srcset", "data"}]
        if tag not in {"meta", "rect", "br"} or self.get_starttag_text().endswith("/>") is False:
            self.open += [tag] if tag != "meta" else []

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_no_other_file(report, tmp_path):
    path = tmp_path / "page.html"
    report.save(path)
    page = path.read_text(encoding="utf-8")
    parser = Parser()
    parser.feed(page)
    assert parser.open == []
    assert parser.references == []
    assert {"svg", "rect", "table", "style"} <= parser.tags
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert page.count("<rect") == sum(line.bytes_per_iteration > 0 for line in report.lines)
    assert "v[i] = v[i] * v[i - 1]" in page
    assert report._repr_html_() in page


def text_of_sources(x):
    s = x[0]
    for _ in range(3):
        s = s * s if s < 2.0 else s  # <b>&
    return s


def test_sources_are_escaped():
    page = cz.explain(text_of_sources, np.ones(1)).to_html()
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&" not in page


def test_notes_name_variables():
    report = cz.explain(march, nb.float64[::1], nb.int64)
    function = report.functions[0]
    source = "\n".join(line.source for line in function.lines)
    texts = [note.text for line in function.lines for note in notes_of(line, function.file, source)]
    assert any(text.startswith("the variable s (8 B)") for text in texts)


def test_amounts_are_polynomials():
    n, m = Amount.of("n"), Amount.of("m")
    assert str((n + Amount.number(-1)) * (m + Amount.number(2))) == "m·n - m + 2·n - 2"
    assert ((n + Amount.number(3)) * n).evaluate({"n": 4}) == 28
    assert (n * m).evaluate({"n": 4}) is None
    assert str(Amount()) == "0"
    assert n + n * Amount.number(-1) == Amount()


def test_types_and_values_do_not_mix():
    with pytest.raises(ActivityError, match="some are values"):
        cz.explain(march, nb.float64[::1], 5)


def test_functions_without_source_are_explained_all_the_same():
    namespace = {}
    exec("def f(x):\n    s = 1.0\n    for i in range(x.size):\n        s *= x[i]\n    return s\n", namespace)
    report = cz.explain(namespace["f"], nb.float64[::1])
    assert report.tape_bytes_per_iteration == {3: 8}
    assert str(report)
    assert report.to_html()


def test_the_file_is_this_one(report):
    assert {Path(function.file) for function in report.functions} == {Path(__file__)}
