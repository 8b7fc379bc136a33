"""The breakdown figure: a step's time, energy and bytes as stacked bars, by operator, layer kind and resource.

Parts are told apart by their place, their name or number and their hatch, not by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hwsim.analysis.breakdown import GROUPINGS, MEASURES, STATIC, Breakdown, Grouping, Measure, Part, breakdown
from hwsim.report.style import GREY, INK, PALETTE, STYLE
from hwsim.report.table import per_cent, printable, shortened
from hwsim.result import Result
from hwsim.units import format_bytes, format_seconds, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["breakdown_figure"]

_HATCHES: Final = ("", "//", "..", "xx", "\\\\", "++", "oo", "--", "**", "||")
_DARK: Final = frozenset({"#0072B2", "#D55E00", "#6b6b6b", "#009E73"})
_MOST: Final = 7
"""Parts that a bar names."""
_REST: Final = "all others of a bar"
_REST_FILL: Final = "#f2f2f2"


def breakdown_figure(result: Result) -> Figure:
    """Three panels of three bars; the whole of each bar stands at its end, the parts below the panel."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 8.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(GROUPINGS), 1, squeeze=False)[:, 0]
        name = printable(f"{result.workload} on {result.device}")
        figure.suptitle(
            f"{name[:60]}, {result.phase}: what a step is made of", x=0.01, ha="left", fontsize=11.5, fontweight="bold"
        )
        for each, grouping in zip(axes, GROUPINGS, strict=True):
            _panel(each, result, grouping)
        return figure


def _panel(axes: Axes, result: Result, grouping: Grouping) -> None:
    """One grouping: a bar for each measure that the step has."""
    bars = [breakdown(result, measure, grouping, _MOST) for measure in MEASURES]
    bars = [bar for bar in bars if bar.total > 0]
    looks = _looks([part for bar in bars for part in bar.parts])
    for place, bar in enumerate(bars):
        _bar(axes, place, bar, looks)
    axes.set_yticks(range(len(bars)), [bar.measure for bar in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.14)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"by {grouping}", loc="left", fontsize=10)
    keys = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=_edge(colour), label=shortened(name, 24))
        for name, (colour, hatch) in looks.items()
    ]
    axes.legend(
        handles=keys, loc="upper left", bbox_to_anchor=(-0.01, -0.12), ncols=4, frameon=False, fontsize=8.5,
        columnspacing=1.2,
    )  # fmt: skip


def _looks(parts: Sequence[Part]) -> dict[str, tuple[str, str]]:
    """Name -> colour and hatch; what is left of each bar looks alike, as does static power, and both come last."""
    named = dict.fromkeys(part.name for part in parts if not part.is_rest and part.name != STATIC)
    looks = {name: (PALETTE[i % len(PALETTE)], _HATCHES[i % len(_HATCHES)]) for i, name in enumerate(named)}
    looks |= {_REST: (_REST_FILL, "xxx")} if any(part.is_rest for part in parts) else {}
    return looks | ({STATIC: ("#d9d9d9", "")} if any(part.name == STATIC for part in parts) else {})


def _bar(axes: Axes, place: int, bar: Breakdown, looks: dict[str, tuple[str, str]]) -> None:
    """One stacked bar, its whole at the end."""
    left = 0.0
    for part in bar.parts:
        colour, hatch = looks[_REST if part.is_rest else part.name]
        axes.barh(place, part.share, left=left, height=0.72, color=colour, hatch=hatch, edgecolor=_edge(colour))
        if part.share > 0.09:
            words = f"{shortened(part.name, int(part.share * 60))}\n{per_cent(part.share)}"
            shade = {"facecolor": colour, "edgecolor": "none", "pad": 0.6}
            ink = "white" if colour in _DARK else INK
            axes.text(left + part.share / 2, place, words, ha="center", va="center", fontsize=8, color=ink, bbox=shade)
        left += part.share
    axes.text(1.01, place, _amount(bar.measure, bar.total), va="center", fontsize=9)


def _edge(fill: str) -> str:
    """The colour of hatch and outline on a fill."""
    return GREY if fill == _REST_FILL else "white"


def _amount(measure: Measure, total: float) -> str:
    """A whole with its unit."""
    if measure == "time":
        return format_seconds(total)
    return format_si(total, "J") if measure == "energy" else format_bytes(total)
