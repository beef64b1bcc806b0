"""The ratios of all rows in one picture."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from benchmarks.report import Record

__all__ = ["draw"]

TICKS = tuple(digit * 10.0**power for power in range(-2, 5) for digit in (1, 2, 3, 5))


def draw(records: list[Record], path: Path) -> bool:
    """Write the picture and return True; return False where matplotlib is missing.

    Notes
    -----
    A line for each row, its ratio on a logarithmic axis: ours, by hand, the best other package, and Enzyme's
    as quoted.
    """
    if find_spec("matplotlib") is None:
        return False
    from matplotlib.figure import Figure

    shown = [record for record in records if record.ratio("ours") is not None]
    figure = Figure(figsize=(9.0, 1.2 + 0.24 * len(shown)), layout="constrained")
    axes = figure.subplots()
    series = (
        ("best of JAX, PyTorch, autograd, CasADi", "X", "#999999", [r.best_peer() for r in shown]),
        ("Enzyme, quoted", "D", "#e69f00", [r.row.quoted.enzyme for r in shown]),
        ("by hand", "|", "#000000", [r.ratio("hand") for r in shown]),
        ("Coenzyme", "o", "#0072b2", [r.ratio("ours") for r in shown]),
    )
    for label, marker, colour, ratios in series:
        points = [(ratio, place) for place, ratio in enumerate(ratios) if ratio is not None]
        if points:
            axes.scatter(*zip(*points, strict=True), marker=marker, color=colour, s=42, label=label, zorder=3)
    axes.set_xscale("log")
    axes.set_xlabel("gradient time / function time")
    lowest, highest = axes.get_xlim()
    ticks = [tick for tick in TICKS if lowest <= tick <= highest]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(shown)), [record.row.title for record in shown], fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="x", which="both", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
    return True
