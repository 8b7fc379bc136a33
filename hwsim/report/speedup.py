"""The figure of speed-ups by batch: one line a variant, on logarithmic axes, with a claimed value across."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure

from hwsim.analysis.speedup import SpeedupLine
from hwsim.report.style import BLUE, GREY, INK, STYLE, VERMILION

__all__ = ["speedup_figure"]

_TICKS: Final = tuple(step * 10.0**power for power in range(-4, 7) for step in (1.0, 3.0))
_LOOKS: Final = ((BLUE, "-", "o"), (BLUE, "--", "s"), (VERMILION, "-", "^"), (VERMILION, "--", "D"))


def speedup_figure(lines: Sequence[SpeedupLine], title: str, label: str, claim: float) -> Figure:
    """Speed-ups over batches.

    Args:
        lines: at most four variants.
        title: what was run.
        label: what 1 stands for.
        claim: a published speed-up, drawn across.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 5.2), layout="constrained")
        axes = figure.subplots()
        for line, (colour, style, mark) in zip(lines, _LOOKS, strict=False):
            look: dict[str, Any] = {
                "color": colour,
                "linestyle": style,
                "marker": mark,
                "markersize": 5,
                "label": line.name,
            }
            axes.plot(line.batches, line.speedups, **look)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        batches = lines[0].batches
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.axhline(1.0, color=GREY, linewidth=0.8)
        axes.axhline(claim, color=INK, linewidth=0.9, linestyle=":")
        look = {"textcoords": "offset points", "color": INK, "ha": "right"}
        axes.annotate(f"{claim:g}x as published", (batches[-1], claim), (4, 5), **look)
        least, most = axes.get_ylim()
        ticks = [each for each in _TICKS if least <= each <= most]
        axes.set_yticks(ticks, [f"{each:g}x" for each in ticks])
        axes.minorticks_off()
        axes.set_xlabel("images at once")
        axes.set_ylabel(label)
        axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold")
        axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
        axes.legend(frameon=False)
        return figure
