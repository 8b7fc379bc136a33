"""Labels that overlap nothing: each is tried beside its mark, then further and further away, with a thin leader."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from matplotlib.transforms import Bbox

from hwsim.report.style import GREY, HALO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Taken", "place_label"]


class Taken:
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


def place_label(
    axes: Axes, words: str, x: float, y: float, area: float, taken: Taken, *, bold: bool = False, above: bool = False
) -> None:
    """Write ``words`` beside a mark where they are clear of everything, with a thin leader when far from it."""
    text = axes.annotate(
        words, (x, y), xytext=(0, 0), textcoords="offset points", fontsize=9, va="center", zorder=9,
        fontweight="bold" if bold else "normal", bbox=HALO,
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
