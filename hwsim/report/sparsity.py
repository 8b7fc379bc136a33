"""The figure of a token's speed by sparsity and threads: one line a thread count, marks by what limits the token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hwsim.report.style import BLUE, GREY, INK, STYLE, VERMILION

__all__ = ["SparsityLine", "sparsity_figure"]

_LOOKS: Final = ((GREY, ":"), (VERMILION, "--"), (BLUE, "-"))
_MARKS: Final = {"memory": "o", "memory_core": "s", "vector": "^", "amx": "D", "latency": "x"}
_WORDS: Final = {
    "memory": "memory of the socket",
    "memory_core": "a core's path to memory",
    "vector": "vector units",
    "amx": "tile units",
    "latency": "calls and threads",
}


@dataclass(frozen=True, slots=True)
class SparsityLine:
    """One thread count.

    Attributes:
        label: what stands beside the line.
        points: (sparsity, speed-up over dense, what limits the token).
    """

    label: str
    points: tuple[tuple[float, float, str], ...]


def sparsity_figure(panels: Sequence[tuple[str, Sequence[SparsityLine]]], title: str) -> Figure:
    """Speed-up of a token over the dense one, a panel for each software.

    Args:
        panels: heading and lines, at most three lines each.
        title: what was run.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 4.6), layout="constrained")
        all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        met: dict[str, None] = {}
        for axes, (heading, lines) in zip(all_axes, panels, strict=True):
            for line, (colour, style) in zip(lines, _LOOKS, strict=False):
                x, y = [100 * s for s, _, _ in line.points], [speed for _, speed, _ in line.points]
                axes.plot(x, y, color=colour, linestyle=style, label=line.label)
                for sparsity, speed, bound in line.points:
                    met.setdefault(bound)
                    axes.plot([100 * sparsity], [speed], marker=_MARKS.get(bound, "*"), color=colour, markersize=5)
            axes.set_title(heading, loc="left", fontsize=10)
            axes.axhline(1.0, color=GREY, linewidth=0.8)
            axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
            axes.set_xlabel("weights that are zero, %")
            axes.legend(frameon=False, loc="upper left")
        all_axes[0].set_ylabel("tokens per second, dense = 1")
        marks = [
            Line2D([], [], color=INK, linestyle="", marker=_MARKS.get(each, "*"), label=_WORDS.get(each, each))
            for each in met
        ]
        figure.legend(handles=marks, frameon=False, loc="outside lower center", ncols=len(marks), title="limited by")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
        return figure
