"""Several machines in one roofline frame: a slope, a flat roof and the whole step of each.

Machines are told apart by line style and by mark, which the lines below the frame name, so that colour is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hwsim.analysis.roofline import Roofline
from hwsim.report.labels import Taken, covering, place_label
from hwsim.report.style import BLUE, GREY, INK, STYLE, VERMILION
from hwsim.report.table import number, per_cent, printable, shortened
from hwsim.units import format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MOST_TOGETHER", "together_figure"]

_LOOKS: Final[tuple[tuple[str, Any, str], ...]] = (
    (BLUE, "-", "o"),
    (VERMILION, "--", "s"),
    ("#00664b", "-.", "^"),
    ("#8f4d74", ":", "D"),
    (INK, (0, (6, 1, 1, 1, 1, 1)), "v"),
    (GREY, (0, (1, 3)), "P"),
    ("#a87400", (0, (8, 3)), "X"),
    ("#2b83ad", (0, (3, 1, 1, 1)), "h"),
)
MOST_TOGETHER: Final = len(_LOOKS)
"""Machines that one frame can tell apart."""


def together_figure(rooflines: Sequence[Roofline]) -> Figure:
    """One frame for all machines; intensities count the bytes of each machine's own level, which its label names.

    Raises:
        ValueError: no roofline, or more than can be told apart.
    """
    if not 1 <= len(rooflines) <= MOST_TOGETHER:
        raise ValueError(f"{len(rooflines)} machines in one frame, which holds 1 to {MOST_TOGETHER}")
    with rc_context(STYLE):
        height = 5.8 + 0.22 * len(rooflines)
        figure = Figure(figsize=(8.6, height), layout=None)
        FigureCanvasAgg(figure)
        figure.subplots_adjust(
            left=0.135, right=0.97, top=1 - 0.4 / height, bottom=(0.75 + 0.22 * len(rooflines)) / height
        )
        axes = figure.add_subplot()
        _frame(axes, rooflines)
        taken = Taken(axes)
        for drawn, look in zip(rooflines, _LOOKS, strict=False):
            _draw_roofs(axes, drawn, look, taken)
        for drawn, look in zip(rooflines, _LOOKS, strict=False):
            _draw_points(axes, drawn, look, taken)
        _name_steps(axes, rooflines, taken)
        _legend(axes, rooflines)
        return figure


def _frame(axes: Axes, rooflines: Sequence[Roofline]) -> None:
    """Limits, ticks and titles."""
    points = [point for drawn in rooflines for point in (*drawn.points, drawn.step)]
    intensities = [point.ops_per_byte for point in points if point.ops_per_byte]
    for drawn in rooflines:
        if drawn.level in drawn.bytes_per_s:
            intensities.append(drawn.used_roof[1] / drawn.bytes_per_s[drawn.level])
    rates = [point.ops_per_s for point in points if point.ops]
    peaks = [drawn.used_roof[1] for drawn in rooflines]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(min(intensities) / 3, max(intensities) * 4)
    axes.set_ylim(min(rates) / 3, max(peaks) * 4)
    axes.set_title(_title(rooflines), loc="left", fontsize=11.5, fontweight="bold")
    axes.set_xlabel("operational intensity: operations per byte to and from the memory level named below")
    axes.set_ylabel("operations per second (a MAC is 2)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_si(value, "op/s", 3)))
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _title(rooflines: Sequence[Roofline]) -> str:
    first = rooflines[0]
    name = printable(first.workload)
    return f"{name[:40]}, {first.phase}: what {len(rooflines)} machines allow, and what a step reaches"


def _draw_roofs(axes: Axes, drawn: Roofline, look: tuple[str, Any, str], taken: Taken) -> None:
    """The slope of the machine's level, and the flat roof of the format in use from the ridge on."""
    colour, line, _ = look
    _, peak = drawn.used_roof
    left, right = axes.get_xlim()
    bandwidth = drawn.bytes_per_s.get(drawn.level)
    ridge = left if bandwidth is None else max(peak / bandwidth, left)
    start = peak if bandwidth is None else left * bandwidth
    axes.plot([left, ridge, right], [start, peak, peak], color=colour, linestyle=line, linewidth=1.8, zorder=3)
    taken.add_line((left, start), (ridge, peak))
    taken.add_line((ridge, peak), (right, peak))
    if bandwidth is not None:
        axes.plot([ridge], [peak], marker="D", color="white", markeredgecolor=colour, markersize=5, zorder=5)
        taken.add_marker(ridge, peak, 30.0)


def _legend(axes: Axes, rooflines: Sequence[Roofline]) -> None:
    """A line a machine below the frame: its roofs with their rates, its ridge, and what its step reaches."""
    handles = [
        Line2D([], [], color=colour, linestyle=line, marker=mark, markersize=6, linewidth=1.8, label=_words(drawn))
        for drawn, (colour, line, mark) in zip(rooflines, _LOOKS, strict=False)
    ]
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(-0.02, -0.13), frameon=False, fontsize=9, handlelength=4.5
    )


def _words(drawn: Roofline) -> str:
    name, peak = drawn.used_roof
    words = f"{shortened(drawn.device, 24)}: {name} {format_si(peak, 'op/s', 3)}"
    bandwidth = drawn.bytes_per_s.get(drawn.level)
    if bandwidth is not None:
        words += f", {drawn.level} {format_si(bandwidth, 'B/s', 3)}, ridge {number(peak / bandwidth)} op/B"
    share = per_cent(drawn.step.ops_per_s / drawn.attainable_ops_per_s(drawn.step))
    return f"{words}; the step reaches {share} of {drawn.step_roof}"


def _draw_points(axes: Axes, drawn: Roofline, look: tuple[str, Any, str], taken: Taken) -> None:
    """Operators as small marks without names, and the step as a large one."""
    colour, _, mark = look
    placed = [point for point in drawn.points if point.ops_per_byte is not None and point.ops]
    axes.scatter(
        [point.ops_per_byte or 0.0 for point in placed], [point.ops_per_s for point in placed],
        s=[10 + 60 * point.share for point in placed], marker=mark, facecolor="none", edgecolor=colour,
        linewidth=0.9, alpha=0.7, zorder=6,
    )  # fmt: skip
    axes.scatter(*_step_place(axes, drawn), s=110, marker=mark, facecolor=colour, edgecolor="white", zorder=8)
    taken.add_marker(*_step_place(axes, drawn), 110)


def _name_steps(axes: Axes, rooflines: Sequence[Roofline], taken: Taken) -> None:
    """The machines' names at their steps; steps that cover each other have one label, a line for each."""
    places = [_step_place(axes, drawn) for drawn in rooflines]
    for group in covering(axes, places):
        names = "\n".join(shortened(rooflines[number].device, 24) for number in group)
        place_label(axes, names, *places[group[0]], 110, taken, bold=True)


def _step_place(axes: Axes, drawn: Roofline) -> tuple[float, float]:
    intensity = drawn.step.ops_per_byte
    return (axes.get_xlim()[1] / 1.5 if intensity is None else intensity), drawn.step.ops_per_s
