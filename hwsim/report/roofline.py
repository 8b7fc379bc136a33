"""The roofline figure: log-log, a slope per memory level, a flat roof per number format, operators as points.

Legible in grey and for colour-blind readers: operators are told apart by labels and by filled or open marks (hidden
behind other work), roofs by labels and line styles; `hwsim.report.style` has the colours and makes the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hwsim.analysis.roofline import Point, Roofline
from hwsim.report.labels import Taken, covering, place_label
from hwsim.report.roofs import draw_roofs, room_for_names
from hwsim.report.style import BLUE, GREY, STYLE, VERMILION
from hwsim.report.table import per_cent, shortened
from hwsim.units import format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["roofline_figure"]

_PANEL_INCHES: Final = (8.6, 5.6)
_LEAST_AREA: Final = 36.0
_MOST_AREA: Final = 420.0
_STAR_AREA: Final = 230.0
_LEFT, _RIGHT = 0.135, 0.97
_LINES: Final = 3
"""Names of marks that cover each other before the rest are counted."""
_HIDDEN: Final = 5e-4
"""Shares of the step below this are hidden behind other work."""


@dataclass(frozen=True, slots=True)
class _View:
    """Limits of both axes."""

    left: float
    right: float
    bottom: float
    top: float


def roofline_figure(rooflines: Sequence[Roofline]) -> Figure:
    """One panel per roofline, with the same axes so that machines can be compared.

    Raises:
        ValueError: no roofline.
    """
    if not rooflines:
        raise ValueError("a figure needs at least one roofline")
    with rc_context(STYLE):
        width, height = _PANEL_INCHES
        figure = Figure(figsize=(width, height * len(rooflines)), layout=None)
        FigureCanvasAgg(figure)
        figure.subplots_adjust(
            left=_LEFT, right=_RIGHT, top=1 - 0.42 / (height * len(rooflines)),
            bottom=0.92 / (height * len(rooflines)), hspace=0.34,
        )  # fmt: skip
        view = _view(rooflines)
        for index, each in enumerate(rooflines, start=1):
            axes = figure.add_subplot(len(rooflines), 1, index)
            _draw(axes, each, view)
        return figure


# --- one panel -------------------------------------------------------------------------------------------------------


def _draw(axes: Axes, drawn: Roofline, view: _View) -> None:
    """One machine's roofs and points."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(view.left, view.right)
    axes.set_ylim(view.bottom, view.top)
    axes.set_title(_title(drawn), loc="left", fontsize=11.5, fontweight="bold")
    axes.set_xlabel(f"operational intensity: operations per byte to and from {drawn.level}")
    axes.set_ylabel(_rate_label(drawn))
    _ticks(axes)
    taken = Taken(axes)
    _draw_marks(axes, drawn, taken)
    draw_roofs(axes, drawn, taken)
    nameless = _name_marks(axes, drawn, taken)
    caption = (
        "Area of a mark: share of the step's time. Open: hidden behind other work. Triangle: moves no byte. "
        "Blue line: gap to the roof."
    )
    if nameless:
        caption += f"\n{nameless} operators have no room for a name; the table names them."
    axes.annotate(
        caption, (0, 0), xycoords="axes fraction", xytext=(0, -42), textcoords="offset points", fontsize=8,
        color=GREY, annotation_clip=False, va="top",
    )  # fmt: skip


def _title(drawn: Roofline) -> str:
    step = drawn.step
    share = per_cent(step.ops_per_s / drawn.attainable_ops_per_s(step))
    name = shortened(f"{drawn.workload} on {drawn.device}", 60)
    return f"{name}, {drawn.phase}: the step reaches {share} of the {drawn.step_roof} roof"


def _rate_label(drawn: Roofline) -> str:
    """What the vertical axis counts."""
    counting = f", sparse work as {drawn.counting}" if drawn.is_sparse else ""
    return f"operations per second (a MAC is 2){counting}"


def _ticks(axes: Axes) -> None:
    """Plain numbers at the decades, a faint grid."""
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.yaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_si(value, "op/s", 3)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_marks(axes: Axes, drawn: Roofline, taken: Taken) -> None:
    """Operators sized by their share of the step, and the step itself as a star."""
    for point in (each for each in drawn.points if each.ops):
        x, y = _place(axes, point)
        hidden = point.share < _HIDDEN
        axes.scatter(
            [x], [y], s=_area(point), marker="o" if point.ops_per_byte is not None else ">",
            facecolor="white" if hidden else BLUE, edgecolor=BLUE if hidden else "white", linewidth=1.2,
            alpha=0.9, zorder=7,
        )  # fmt: skip
        taken.add_marker(x, y, _area(point))
        _gap_line(axes, drawn, point, x)
    x, y = _place(axes, drawn.step)
    axes.scatter([x], [y], s=_STAR_AREA, marker="*", facecolor=VERMILION, edgecolor="white", linewidth=0.8, zorder=8)
    taken.add_marker(x, y, _STAR_AREA)


def _name_marks(axes: Axes, drawn: Roofline, taken: Taken) -> int:
    """A label at the step and at each mark, one for marks that cover each other; how many operators have none."""
    place_label(axes, "whole step", *_place(axes, drawn.step), _STAR_AREA, taken, bold=True)
    nameless = 0
    points = [point for point in drawn.points if point.ops]  # the largest share first
    for group in covering(axes, [_place(axes, point) for point in points]):
        together = [points[number] for number in group]
        if not place_label(axes, _words(together), *_place(axes, together[0]), _area(together[0]), taken):
            nameless += len(together)
    return nameless


def _words(together: Sequence[Point]) -> str:
    """The name of a mark, or a line for each of those that cover each other."""
    shown = together if len(together) <= _LINES + 1 else together[:_LINES]
    lines = [f"{shortened(each.name, 28)} {_share_words(each.share)}" for each in shown]
    rest = together[len(shown) :]
    if rest:
        share = sum(each.share for each in rest)
        lines.append(f"{len(rest)} more here {_share_words(share)}")
    return "\n".join(lines)


def _share_words(share: float) -> str:
    return "hidden" if share < _HIDDEN else per_cent(share)


def _gap_line(axes: Axes, drawn: Roofline, point: Point, x: float) -> None:
    """A faint line from what a point reaches up to what its roof allows."""
    roof = drawn.attainable_ops_per_s(point)
    if point.ops_per_s < 0.97 * roof:
        axes.plot([x, x], [point.ops_per_s, roof], color=BLUE, linewidth=0.8, alpha=0.45, zorder=2)


def _place(axes: Axes, point: Point) -> tuple[float, float]:
    """Where a point stands; work that moves no byte stands at the right edge."""
    intensity = point.ops_per_byte
    return (axes.get_xlim()[1] / 1.15 if intensity is None else intensity), point.ops_per_s


def _area(point: Point) -> float:
    """Area of a mark in square points, by share of the step."""
    return _LEAST_AREA + (_MOST_AREA - _LEAST_AREA) * min(max(point.share, 0.0), 1.0)


# --- limits ----------------------------------------------------------------------------------------------------------


def _view(rooflines: Sequence[Roofline]) -> _View:
    """Limits that hold every point and ridge of every panel, with room for labels."""
    intensities, rates = [], []
    for drawn in rooflines:
        points = [*drawn.points, drawn.step]
        intensities += [point.ops_per_byte for point in points if point.ops_per_byte]
        intensities += [ridge.ops_per_byte for ridge in drawn.ridges]
        rates += [point.ops_per_s for point in points if point.ops]
        rates += list(drawn.flat_ops_per_s.values())
    left = _decade(min(intensities, default=1.0) / 3, down=True)
    named = room_for_names(rooflines, left, (_RIGHT - _LEFT) * _PANEL_INCHES[0] * 72)
    return _View(
        left=left,
        right=_decade(max(max(intensities, default=1.0) * 4, named), down=False),
        bottom=_decade(min(rates) / 2, down=True),
        top=max(rates) * 2.2,
    )


def _decade(value: float, *, down: bool) -> float:
    """The 1, 2 or 5 times a power of ten that is next below or above ``value``."""
    exponent = math.floor(math.log10(value))
    steps = [mantissa * 10.0**power for power in (exponent - 1, exponent, exponent + 1) for mantissa in (1, 2, 5)]
    return max(s for s in steps if s <= value) if down else min(s for s in steps if s >= value)
