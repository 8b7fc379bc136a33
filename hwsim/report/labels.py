"""Labels that overlap nothing: each is tried beside its mark, then further and further away, with a thin leader."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from matplotlib.transforms import Bbox

from hwsim.report.style import GREY, HALO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Taken", "covering", "place_along", "place_label", "slanted_boxes"]

Extents: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right and top of a box in pixels: thousands are compared, which takes `Bbox` ten times as long."""

_COVERS_PIXELS: Final = 9.0
"""Marks whose centres are nearer than this cover each other."""


class Taken:
    """The boxes, in pixels, that labels must stay clear of."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        figure = axes.get_figure()
        if figure is None:
            raise ValueError("axes without a figure")
        self.renderer: Any = cast("Any", figure.canvas).get_renderer()
        self.frame = axes.get_window_extent(self.renderer)
        self.boxes: list[Extents] = []
        self.labels: list[Extents] = []

    def add_text(self, text: Any) -> None:
        """Keep clear of a text, leaders too."""
        self.add_label(text.get_window_extent(self.renderer))

    def add_label(self, box: Bbox) -> None:
        """Keep clear of a box with words, leaders too."""
        self.boxes.append(_extents(box))
        self.labels.append(_extents(box))

    def add_marker(self, x: float, y: float, area: float) -> None:
        """Keep clear of a mark of ``area`` square points."""
        at = self.axes.transData.transform((x, y)).tolist()
        half = math.sqrt(area) / 2 * self._pixels_per_point()
        self.boxes.append((at[0] - half, at[1] - half, at[0] + half, at[1] + half))

    def add_line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Keep clear of a straight line, as a row of small boxes that leaves no label a gap to slip through."""
        first, last = self.axes.transData.transform(start), self.axes.transData.transform(end)
        pieces = max(1, math.ceil(math.dist(first, last) / 6))
        for piece in range(pieces + 1):
            x, y = (first + (last - first) * (piece / pieces)).tolist()
            self.boxes.append((x - 2, y - 2, x + 2, y + 2))

    def crossed(self, box: Bbox, at: tuple[float, float]) -> bool:
        """Whether a straight line from ``at`` to the middle of ``box`` would cross a label."""
        start = self.axes.transData.transform(at).tolist()
        end = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        pieces = [(start[0] + (end[0] - start[0]) * k / 24, start[1] + (end[1] - start[1]) * k / 24) for k in range(25)]
        return any(left <= x <= right and low <= y <= high for left, low, right, high in self.labels for x, y in pieces)

    def free(self, box: Bbox) -> bool:
        """Whether ``box`` lies in the frame and clear of all others."""
        x0, y0, x1, y1 = _extents(box)
        frame = self.frame
        if not (frame.x0 <= x0 and x1 <= frame.x1 and frame.y0 <= y0 and y1 <= frame.y1):
            return False
        return not any(x0 <= right and left <= x1 and y0 <= high and low <= y1 for left, low, right, high in self.boxes)

    def _pixels_per_point(self) -> float:
        figure = self.axes.get_figure()
        return float(figure.dpi) / 72 if figure is not None else 1.0


def _extents(box: Bbox) -> Extents:
    """A box as plain numbers."""
    left, low, right, high = map(float, box.extents)
    return left, low, right, high


def covering(axes: Axes, places: Sequence[tuple[float, float]]) -> list[list[int]]:
    """Marks that cover each other, in groups of their numbers; the first of a group is the first in ``places``."""
    groups: list[tuple[tuple[float, float], list[int]]] = []
    for number, place in enumerate(places):
        x, y = axes.transData.transform(place)
        near = next((group for at, group in groups if math.dist(at, (x, y)) < _COVERS_PIXELS), None)
        if near is None:
            groups.append(((float(x), float(y)), [number]))
        else:
            near.append(number)
    return [group for _, group in groups]


def place_label(
    axes: Axes, words: str, x: float, y: float, area: float, taken: Taken, *, bold: bool = False, above: bool = False
) -> bool:
    """Write ``words`` beside a mark where they are clear of everything, with a thin leader when far from it.

    Returns:
        Whether there was room; where there is none, nothing is written.
    """
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
            taken.add_label(box)
            if far:
                _leader(axes, x, y, dx * (distance - 2), dy * (distance - 2))
            return True
    text.remove()
    return False


def place_along(axes: Axes, words: str, slope: float, ends: tuple[float, float], taken: Taken) -> None:
    """Write ``words`` along the line ``y = slope * x`` of a log-log frame, above or below it where they are clear.

    Args:
        axes: the frame.
        words: the line's name.
        slope: of the line.
        ends: the least and the largest x at which the line is seen.
        taken: what to stay clear of; the words are added. Where no place is clear they stand at the first.
    """
    low, high = ends
    here, there = (axes.transData.transform((x, slope * x)) for x in (low, high))
    angle = math.degrees(math.atan2(there[1] - here[1], there[0] - here[0]))
    text = axes.annotate(
        words, (low, slope * low), xytext=(0, 0), textcoords="offset points", rotation=angle,
        rotation_mode="anchor", ha="left", va="bottom", fontsize=9, zorder=6, bbox=HALO,
    )  # fmt: skip
    spots = [(share, is_above) for is_above in (True, False) for share in (0.3, 0.2, 0.4, 0.1, 0.5, 0.6, 0.02, 0.7)]
    for share, is_above in (*spots, spots[0]):
        x = low * (high / low) ** share
        text.xy = (x, slope * x)
        text.set_verticalalignment("bottom" if is_above else "top")
        text.set_position((-4, 4) if is_above else (4, -4))
        boxes = slanted_boxes(text, taken)
        if all(taken.free(box) for box in boxes):
            break
    for box in boxes:
        taken.add_label(box)


def slanted_boxes(text: Any, taken: Taken) -> list[Bbox]:
    """A slanted text as a row of small boxes, which lie nearer to it than the one box around all of it."""
    angle = math.radians(text.get_rotation())
    text.set_rotation(0)
    flat = text.get_window_extent(taken.renderer)
    text.set_rotation(math.degrees(angle))
    anchor = text.get_transform().transform(text.get_unitless_position())
    middle = flat.height / 2 * (1 if text.get_verticalalignment() == "bottom" else -1)
    half, count = 0.35 * flat.height, max(2, math.ceil(flat.width / (0.5 * flat.height)))
    boxes = []
    for place in range(count + 1):
        along = flat.width * place / count
        x = anchor[0] + along * math.cos(angle) - middle * math.sin(angle)
        y = anchor[1] + along * math.sin(angle) + middle * math.cos(angle)
        boxes.append(Bbox.from_extents(x - half, y - half, x + half, y + half))
    return boxes


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
