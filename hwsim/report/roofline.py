"""The roofline figure: log-log, a slope per memory level, a flat roof per number format, operators as points.

Legible in grey and for colour-blind readers: operators are told apart by labels and by filled or open marks (hidden
behind other work), roofs by labels and line styles; colours are of the Okabe-Ito palette. Identical bytes on every run:
fixed salt and no date in the SVG, the Agg renderer, the font that matplotlib ships, no pyplot state.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from hwsim.analysis.roofline import Point, Roofline
from hwsim.report.table import per_cent, printable
from hwsim.units import format_rate, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["STYLE", "figure_bytes", "roofline_figure"]

BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
INK: Final = "#1a1a1a"
GREY: Final = "#6b6b6b"
SLOPES: Final = ("-", "--", "-.", ":")

STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "hwsim",
    "svg.fonttype": "path",
    "path.simplify": False,
    "text.parse_math": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
}

_PANEL_INCHES: Final = (8.6, 5.6)
_LEAST_AREA: Final = 36.0
_MOST_AREA: Final = 420.0
_HALO: Final = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4}
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


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as ``svg`` or ``png``, the same bytes for the same figure."""
    with rc_context(STYLE):
        stream = io.BytesIO()
        metadata: dict[str, Any] = {"Date": None, "Creator": "hwsim"} if kind == "svg" else {"Software": "hwsim"}
        figure.savefig(stream, format=kind, metadata=metadata, facecolor="white")
        return stream.getvalue()


# --- one panel -------------------------------------------------------------------------------------------------------


def _draw(axes: Axes, drawn: Roofline, view: _View) -> None:
    """One machine's roofs and points."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(view.left, view.right)
    axes.set_ylim(view.bottom, view.top)
    axes.set_title(_title(drawn), loc="left", fontsize=11.5, fontweight="bold")
    axes.set_xlabel(f"operational intensity: operations per byte to and from {drawn.level}")
    axes.set_ylabel("operations per second (a MAC is 2)")
    _ticks(axes)
    taken = _Taken(axes)
    _draw_roofs(axes, drawn, view, taken)
    _draw_points(axes, drawn, view, taken)
    caption = "Area of a mark: share of the step's time. Open: hidden behind other work. Triangle: moves no byte."
    axes.annotate(
        caption, (0, 0), xycoords="axes fraction", xytext=(0, -50), textcoords="offset points", fontsize=8.5,
        color=GREY, annotation_clip=False,
    )  # fmt: skip


def _title(drawn: Roofline) -> str:
    step = drawn.step
    share = per_cent(step.ops_per_s / drawn.attainable_ops_per_s(step))
    name = printable(f"{drawn.workload} on {drawn.device}")
    name = name if len(name) <= 60 else name[:57] + "..."
    return f"{name}, {drawn.phase}: the step reaches {share} of the {drawn.step_roof} roof"


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


def _draw_roofs(axes: Axes, drawn: Roofline, view: _View, taken: _Taken) -> None:
    """Slopes, flat roofs, ridge points, each with its label."""
    top = max(drawn.flat_ops_per_s.values())
    fastest = max(drawn.bytes_per_s.values(), default=math.inf)
    for style, (level, bandwidth) in zip(_cycle(SLOPES), _falling(drawn.bytes_per_s), strict=False):
        end = top / bandwidth
        axes.plot([view.left, end], [view.left * bandwidth, top], linestyle=style, color=INK, linewidth=1.8, zorder=3)
        _label_slope(axes, f"{level}: {format_rate(bandwidth)}", bandwidth, view, taken, end)
    for name, peak in _falling(drawn.flat_ops_per_s):
        start = max(peak / fastest, view.left)
        axes.plot([start, view.right], [peak, peak], color=INK, linewidth=1.8, zorder=3)
        text = axes.text(
            view.right, peak * 1.03, f"{name}: {format_si(peak, 'op/s')} ", ha="right", va="bottom", fontsize=9,
            zorder=6, bbox=_HALO,
        )  # fmt: skip
        taken.add_text(text)
        taken.add_line((start, peak), (view.right, peak))
    for ridge in drawn.ridges:
        if ridge.level == drawn.level:
            _mark_ridge(axes, ridge.ops_per_byte, ridge.ops_per_s, view, taken)


def _mark_ridge(axes: Axes, intensity: float, peak: float, view: _View, taken: _Taken) -> None:
    """A diamond at the ridge, a dotted line to the axis, the value beside its foot."""
    axes.plot([intensity, intensity], [view.bottom, peak], linestyle=":", color=GREY, linewidth=1.0, zorder=2)
    axes.plot([intensity], [peak], marker="D", color="white", markeredgecolor=INK, markersize=6, zorder=5)
    taken.add_marker(intensity, peak, 40.0)
    _label(axes, f"ridge {intensity:.3g} op/B", intensity, peak, 40.0, taken, above=True)


def _label_slope(axes: Axes, words: str, bandwidth: float, view: _View, taken: _Taken, end: float) -> None:
    """The name of a memory roof along its slope, above the line, at a third of its visible length."""
    low = max(view.left, view.bottom / bandwidth)
    at = low * (end / low) ** 0.30
    here = axes.transData.transform((at, at * bandwidth))
    there = axes.transData.transform((at * 2, at * 2 * bandwidth))
    angle = math.degrees(math.atan2(there[1] - here[1], there[0] - here[0]))
    text = axes.annotate(
        words, (at, at * bandwidth), xytext=(-4, 4), textcoords="offset points", rotation=angle,
        rotation_mode="anchor", ha="left", va="bottom", fontsize=9, zorder=6, bbox=_HALO,
    )  # fmt: skip
    taken.add_text(text)
    taken.add_line((low, low * bandwidth), (end, end * bandwidth))


def _draw_points(axes: Axes, drawn: Roofline, view: _View, taken: _Taken) -> None:
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
    x, y = _place(drawn.step, view)
    axes.scatter([x], [y], s=230, marker="*", facecolor=VERMILION, edgecolor="white", linewidth=0.8, zorder=8)
    taken.add_marker(x, y, 230)
    _label(axes, "whole step", x, y, 230, taken, bold=True)
    for point in points[:_LABELLED]:
        x, y = _place(point, view)
        share = "hidden" if point.share < 5e-4 else per_cent(point.share)
        _label(axes, f"{_short(point.name)} {share}", x, y, _area(point), taken)


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


# --- labels that do not overlap --------------------------------------------------------------------------------------


class _Taken:
    """The boxes, in pixels, that labels must stay clear of."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        figure = axes.get_figure()
        if figure is None:
            raise ValueError("axes without a figure")
        self.renderer: Any = cast("Any", figure.canvas).get_renderer()
        self.frame = axes.get_window_extent(self.renderer)
        self.boxes: list[Bbox] = []
        self.labels: list[Bbox] = []

    def add_text(self, text: Any) -> None:
        """Keep clear of a text."""
        self.boxes.append(text.get_window_extent(self.renderer))

    def add_marker(self, x: float, y: float, area: float) -> None:
        """Keep clear of a mark of ``area`` square points."""
        at = self.axes.transData.transform((x, y))
        half = math.sqrt(area) / 2 * self._pixels_per_point()
        self.boxes.append(Bbox.from_extents(at[0] - half, at[1] - half, at[0] + half, at[1] + half))

    def add_line(self, start: tuple[float, float], end: tuple[float, float], pieces: int = 40) -> None:
        """Keep clear of a straight line, as a row of small boxes."""
        first, last = self.axes.transData.transform(start), self.axes.transData.transform(end)
        for piece in range(pieces + 1):
            x, y = first + (last - first) * (piece / pieces)
            self.boxes.append(Bbox.from_extents(x - 2, y - 2, x + 2, y + 2))

    def crossed(self, box: Bbox, at: tuple[float, float]) -> bool:
        """Whether a straight line from ``at`` to the middle of ``box`` would cross a label."""
        start = self.axes.transData.transform(at)
        end = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        pieces = [(start[0] + (end[0] - start[0]) * k / 24, start[1] + (end[1] - start[1]) * k / 24) for k in range(25)]
        return any(label.contains(*piece) for label in self.labels for piece in pieces)

    def free(self, box: Bbox) -> bool:
        """Whether ``box`` lies in the frame and clear of all others."""
        inside = (
            self.frame.x0 <= box.x0 and box.x1 <= self.frame.x1 and self.frame.y0 <= box.y0 and box.y1 <= self.frame.y1
        )
        return inside and not any(box.overlaps(other) for other in self.boxes)

    def _pixels_per_point(self) -> float:
        figure = self.axes.get_figure()
        return float(figure.dpi) / 72 if figure is not None else 1.0


def _label(
    axes: Axes, words: str, x: float, y: float, area: float, taken: _Taken, *, bold: bool = False, above: bool = False
) -> None:
    """Write ``words`` beside a mark where they are clear of everything, with a thin leader when far from it."""
    text = axes.annotate(
        words, (x, y), xytext=(0, 0), textcoords="offset points", fontsize=9, va="center", zorder=9,
        fontweight="bold" if bold else "normal", bbox=_HALO,
    )  # fmt: skip
    near = math.sqrt(area) / 2 + 4
    for distance, dx, dy in _offsets(near, above=above):
        text.set_horizontalalignment("left" if dx > 0.3 else "right" if dx < -0.3 else "center")
        text.set_verticalalignment("bottom" if dy > 0.9 else "top" if dy < -0.9 else "center")
        text.set_position((dx * distance, dy * distance))
        box = text.get_window_extent(taken.renderer).padded(1.5)
        far = distance > near + 8
        if taken.free(box) and not (far and taken.crossed(box, (x, y))):
            taken.boxes.append(box)
            taken.labels.append(box)
            if far:
                _leader(axes, x, y, dx * (distance - 2), dy * (distance - 2))
            return
    text.remove()


def _offsets(near: float, *, above: bool) -> Iterable[tuple[float, float, float]]:
    """Distances and directions to try: beside the mark first, then further and further away."""
    directions = [(1, 0), (-1, 0), (0, -1), (0, 1), (0.8, -0.6), (0.8, 0.6), (-0.8, -0.6), (-0.8, 0.6)]
    if above:
        directions = [(0, 1), (-0.8, 0.6), (0.8, 0.6), *directions]
    for step in range(16):
        distance = near + step * 9
        yield from ((distance, dx, dy) for dx, dy in directions)


def _leader(axes: Axes, x: float, y: float, dx: float, dy: float) -> None:
    """A thin line from a mark to its label."""
    axes.annotate(
        "", (x, y), xytext=(dx, dy), textcoords="offset points", zorder=6,
        arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip


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
        left=_decade(min(intensities) / 3, down=True),
        right=_decade(max(intensities) * 4, down=False),
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
