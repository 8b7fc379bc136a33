"""The roofline figure: log-log, a slope per memory level, a flat roof per number format, operators as points.

Legible in grey and for colour-blind readers: operators are told apart by labels and by filled or open marks (hidden
behind other work), roofs by labels and line styles; `hwsim.report.style` has the colours and makes the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hwsim.analysis.roofline import Point, Roofline
from hwsim.report.labels import Taken, place_label
from hwsim.report.style import BLUE, GREY, HALO, INK, STYLE, VERMILION
from hwsim.report.table import per_cent, printable
from hwsim.units import format_rate, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["roofline_figure"]

_SLOPES: Final = ("-", "--", "-.", ":")
_PANEL_INCHES: Final = (8.6, 5.6)
_LEAST_AREA: Final = 36.0
_MOST_AREA: Final = 420.0
_LABELLED: Final = 14
"""Operators that get a label; the smaller ones are points only, and the table names them."""


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
            left=0.10, right=0.97, top=1 - 0.42 / (height * len(rooflines)),
            bottom=0.82 / (height * len(rooflines)), hspace=0.32,
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
    _draw_roofs(axes, drawn, view, taken)
    _draw_points(axes, drawn, view, taken)
    caption = (
        "Area of a mark: share of the step's time. Open: hidden behind other work. Triangle: moves no byte. "
        "Blue line: gap to the roof."
    )
    axes.annotate(
        caption, (0, 0), xycoords="axes fraction", xytext=(0, -50), textcoords="offset points", fontsize=8,
        color=GREY, annotation_clip=False,
    )  # fmt: skip


def _title(drawn: Roofline) -> str:
    step = drawn.step
    share = per_cent(step.ops_per_s / drawn.attainable_ops_per_s(step))
    name = printable(f"{drawn.workload} on {drawn.device}")
    name = name if len(name) <= 60 else name[:57] + "..."
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


def _draw_roofs(axes: Axes, drawn: Roofline, view: _View, taken: Taken) -> None:
    """Slopes, flat roofs, ridge points, each with its label."""
    top = max(drawn.flat_ops_per_s.values())
    fastest = max(drawn.bytes_per_s.values(), default=math.inf)
    for style, (level, bandwidth) in zip(_cycle(_SLOPES), _falling(drawn.bytes_per_s), strict=False):
        end = top / bandwidth
        axes.plot([view.left, end], [view.left * bandwidth, top], linestyle=style, color=INK, linewidth=1.8, zorder=3)
        _label_slope(axes, f"{level}: {format_rate(bandwidth)}", bandwidth, view, taken, end)
    for name, peak in drawn.flat_roofs:
        start = max(peak / fastest, view.left)
        axes.plot([start, view.right], [peak, peak], color=INK, linewidth=1.8, zorder=3)
        text = axes.text(
            view.right, peak * 1.03, f"{_first(name)}: {format_si(peak, 'op/s')} ", ha="right", va="bottom", fontsize=9,
            zorder=6, bbox=HALO,
        )  # fmt: skip
        taken.add_text(text)
        taken.add_line((start, peak), (view.right, peak))
    for intensity, peak in dict.fromkeys((r.ops_per_byte, r.ops_per_s) for r in drawn.ridges if r.level == drawn.level):
        _mark_ridge(axes, intensity, peak, view, taken)


def _first(names: str, most: int = 2) -> str:
    """The first formats of a roof that several share, and how many more there are."""
    each = names.split(", ")
    return ", ".join(each[:most]) + (f" and {len(each) - most} more" if len(each) > most else "")


def _mark_ridge(axes: Axes, intensity: float, peak: float, view: _View, taken: Taken) -> None:
    """A diamond at the ridge, a dotted line to the axis, the value beside its foot."""
    axes.plot([intensity, intensity], [view.bottom, peak], linestyle=":", color=GREY, linewidth=1.0, zorder=2)
    axes.plot([intensity], [peak], marker="D", color="white", markeredgecolor=INK, markersize=6, zorder=7)
    taken.add_marker(intensity, peak, 40.0)
    place_label(axes, f"ridge {intensity:.3g} op/B", intensity, peak, 40.0, taken, above=True)


def _label_slope(axes: Axes, words: str, bandwidth: float, view: _View, taken: Taken, end: float) -> None:
    """The name of a memory roof along its slope, above the line, at a third of its visible length."""
    low = max(view.left, view.bottom / bandwidth)
    at = low * (end / low) ** 0.30
    here = axes.transData.transform((at, at * bandwidth))
    there = axes.transData.transform((at * 2, at * 2 * bandwidth))
    angle = math.degrees(math.atan2(there[1] - here[1], there[0] - here[0]))
    text = axes.annotate(
        words, (at, at * bandwidth), xytext=(-4, 4), textcoords="offset points", rotation=angle,
        rotation_mode="anchor", ha="left", va="bottom", fontsize=9, zorder=6, bbox=HALO,
    )  # fmt: skip
    taken.add_text(text)
    taken.add_line((low, low * bandwidth), (end, end * bandwidth))


def _draw_points(axes: Axes, drawn: Roofline, view: _View, taken: Taken) -> None:
    """Operators sized by their share of the step, and the step itself as a star."""
    points = [point for point in drawn.points if point.ops]
    for point in points:
        x, y = _place(point, view)
        hidden = point.share < 5e-4
        axes.scatter(
            [x], [y], s=_area(point), marker="o" if point.ops_per_byte is not None else ">",
            facecolor="white" if hidden else BLUE, edgecolor=BLUE if hidden else "white", linewidth=1.2,
            alpha=0.9, zorder=7,
        )  # fmt: skip
        taken.add_marker(x, y, _area(point))
        _gap_line(axes, drawn, point, x)
    x, y = _place(drawn.step, view)
    axes.scatter([x], [y], s=230, marker="*", facecolor=VERMILION, edgecolor="white", linewidth=0.8, zorder=8)
    taken.add_marker(x, y, 230)
    place_label(axes, "whole step", x, y, 230, taken, bold=True)
    for point in points[:_LABELLED]:
        x, y = _place(point, view)
        share = "hidden" if point.share < 5e-4 else per_cent(point.share)
        place_label(axes, f"{_short(point.name)} {share}", x, y, _area(point), taken)


def _gap_line(axes: Axes, drawn: Roofline, point: Point, x: float) -> None:
    """A faint line from what a point reaches up to what its roof allows."""
    roof = drawn.attainable_ops_per_s(point)
    if point.ops_per_s < 0.97 * roof:
        axes.plot([x, x], [point.ops_per_s, roof], color=BLUE, linewidth=0.8, alpha=0.45, zorder=2)


def _place(point: Point, view: _View) -> tuple[float, float]:
    """Where a point stands; work that moves no byte stands at the right edge."""
    intensity = point.ops_per_byte
    return (view.right / 1.15 if intensity is None else intensity), point.ops_per_s


def _area(point: Point) -> float:
    """Area of a mark in square points, by share of the step."""
    return _LEAST_AREA + (_MOST_AREA - _LEAST_AREA) * min(max(point.share, 0.0), 1.0)


def _short(name: str, most: int = 28) -> str:
    name = printable(name)
    return name if len(name) <= most else name[: most - 3] + "..."


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
    return _View(
        left=_decade(min(intensities, default=1.0) / 3, down=True),
        right=_decade(max(intensities, default=1.0) * 4, down=False),
        bottom=_decade(min(rates) / 2, down=True),
        top=max(rates) * 2.2,
    )


def _decade(value: float, *, down: bool) -> float:
    """The 1, 2 or 5 times a power of ten that is next below or above ``value``."""
    exponent = math.floor(math.log10(value))
    steps = [mantissa * 10.0**power for power in (exponent - 1, exponent, exponent + 1) for mantissa in (1, 2, 5)]
    return max(s for s in steps if s <= value) if down else min(s for s in steps if s >= value)


def _falling(rates: Any) -> list[tuple[str, float]]:
    """Names and rates, the highest first."""
    return sorted(rates.items(), key=lambda item: (-item[1], item[0]))


def _cycle(styles: Sequence[str]) -> Iterable[str]:
    """Line styles, over and over."""
    while True:
        yield from styles
