"""The roofs of a roofline figure: a slope per memory level, a flat roof per number format, ridge points, all named."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Final

from hwsim.analysis.roofline import Roofline
from hwsim.report.labels import Taken, place_along, place_label
from hwsim.report.style import GREY, HALO, INK
from hwsim.report.table import number
from hwsim.units import format_rate, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_roofs", "roof_words", "room_for_names"]

_SLOPES: Final = ("-", "--", "-.", ":")
_RIDGE_AREA: Final = 40.0
_POINTS_PER_LETTER: Final = 5.0
"""Width of a letter of a roof's name, in points: a little more than the mean of the font at 9 points."""


def draw_roofs(axes: Axes, drawn: Roofline, taken: Taken) -> None:
    """Draw every roof and the ridges of the level in question, within the limits that ``axes`` has."""
    left, right = axes.get_xlim()
    top = max(drawn.flat_ops_per_s.values())
    fastest = max(drawn.bytes_per_s.values(), default=math.inf)
    slopes = sorted(drawn.bytes_per_s.items(), key=lambda item: (-item[1], item[0]))
    for style, (_, bandwidth) in zip(cycle(_SLOPES), slopes, strict=False):
        end = top / bandwidth
        axes.plot([left, end], [left * bandwidth, top], linestyle=style, color=INK, linewidth=1.8, zorder=3)
        taken.add_line(_seen(axes, bandwidth, end), (end, top))
    for names, peak in drawn.flat_roofs:
        _draw_flat(axes, roof_words(drawn, names, peak), peak, max(peak / fastest, left), taken)
    ridges = dict.fromkeys((r.ops_per_byte, r.ops_per_s) for r in drawn.ridges if r.level == drawn.level)
    for intensity, peak in ridges:
        _mark_ridge(axes, intensity, peak, taken)
    for level, bandwidth in slopes:
        ends = (_seen(axes, bandwidth, top / bandwidth)[0], min(top / bandwidth, right))
        place_along(axes, f"{level}: {format_rate(bandwidth)}", bandwidth, ends, taken)
    for intensity, peak in ridges:
        place_label(
            axes, f"ridge {number(intensity, 3)} op/B", intensity, peak, _RIDGE_AREA, taken, above=True
        )  # fmt: skip


def room_for_names(rooflines: Sequence[Roofline], left: float, width_points: float) -> float:
    """The right limit from which the names of flat roofs stand clear of the ridge points.

    Args:
        rooflines: what is drawn.
        left: the left limit.
        width_points: width of the frame.
    """
    return max(
        (
            left * (start / left) ** (1 / (1 - min(len(words) * _POINTS_PER_LETTER / width_points, 0.5)))
            for drawn in rooflines
            for start, words in _flat_starts(drawn)
            if start > left
        ),
        default=left,
    )


def _flat_starts(drawn: Roofline) -> Iterable[tuple[float, str]]:
    """Where each flat roof's ridge stands, and the roof's name."""
    for names, peak in drawn.flat_roofs:
        if drawn.level in drawn.bytes_per_s:
            yield peak / drawn.bytes_per_s[drawn.level], roof_words(drawn, names, peak)


def roof_words(drawn: Roofline, names: str, peak: float) -> str:
    """A flat roof's name and rate; formats whose whole family shares it go by the family: ``fp8, int8: 2.14 Pop/s``."""
    here = names.split(", ")
    words: list[str] = []
    for name in here:
        family = name.partition("_")[0]
        relatives = [each for each in drawn.flat_ops_per_s if each.partition("_")[0] == family]
        words.append(family if set(relatives) <= set(here) else name)
    return f"{', '.join(dict.fromkeys(words))}: {format_si(peak, 'op/s')}"


def _seen(axes: Axes, bandwidth: float, end: float) -> tuple[float, float]:
    """Where a slope comes into the frame."""
    low = max(axes.get_xlim()[0], axes.get_ylim()[0] / bandwidth)
    low = min(low, end)
    return low, low * bandwidth


def _draw_flat(axes: Axes, words: str, peak: float, start: float, taken: Taken) -> None:
    """A flat roof from the fastest slope on, its name above its right end."""
    right = axes.get_xlim()[1]
    axes.plot([start, right], [peak, peak], color=INK, linewidth=1.8, zorder=3)
    text = axes.text(right, peak * 1.03, f"{words} ", ha="right", va="bottom", fontsize=9, zorder=6, bbox=HALO)
    taken.add_text(text)
    taken.add_line((start, peak), (right, peak))


def _mark_ridge(axes: Axes, intensity: float, peak: float, taken: Taken) -> None:
    """A diamond at the ridge, a dotted line to the axis."""
    bottom = axes.get_ylim()[0]
    axes.plot([intensity, intensity], [bottom, peak], linestyle=":", color=GREY, linewidth=1.0, zorder=2)
    axes.plot([intensity], [peak], marker="D", color="white", markeredgecolor=INK, markersize=6, zorder=7)
    taken.add_marker(intensity, peak, _RIDGE_AREA)
