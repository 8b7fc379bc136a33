"""The figure of speed by tree size: one line a machine, its best size marked, the verification's cost beneath."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hwsim.analysis.tree_size import TreeSizes
from hwsim.report.style import BLUE, GREY, STYLE, VERMILION

__all__ = ["tree_size_figure"]

_LOOKS = ((BLUE, "-", "o"), (VERMILION, "--", "s"), (GREY, "-.", "^"))


def tree_size_figure(machines: Sequence[TreeSizes], title: str) -> Figure:
    """Two panels over the nodes of a verification: speed-up over one token at a time, and the verification's cost.

    Args:
        machines: at most three machines, told apart by line, mark and label.
        title: what was decoded.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 6.4), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        for machine, (colour, line, mark) in zip(machines, _LOOKS, strict=False):
            nodes = [size.nodes for size in machine.sizes]
            look = {"color": colour, "linestyle": line, "marker": mark, "markersize": 4.5, "label": machine.device}
            upper.plot(nodes, [size.speed_up for size in machine.sizes], **look)
            lower.plot(nodes, [size.verify_cost for size in machine.sizes], **look)
            _mark_best(upper, machine, colour)
        _dress(upper, "tokens per second,\none token at a time = 1")
        _dress(lower, "time of one verification,\none token at a time = 1")
        upper.set_title(title, loc="left", fontsize=11.5, fontweight="bold")
        upper.legend(frameon=False, loc="center right", bbox_to_anchor=(1.0, 0.45))
        lower.set_xlabel("nodes of the chain that is verified at once, the root included")
        return figure


def _mark_best(axes: Axes, machine: TreeSizes, colour: str) -> None:
    best = machine.best
    words = f"{best.speed_up:.2f}x at {best.nodes} nodes"
    axes.annotate(words, (best.nodes, best.speed_up), (9, 9), textcoords="offset points", color=colour)
    axes.plot([best.nodes], [best.speed_up], marker="o", markersize=10, fillstyle="none", color=colour)


def _dress(axes: Axes, label: str) -> None:
    axes.set_ylabel(label)
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(left=0.5)
    axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
