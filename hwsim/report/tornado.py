"""What would make it faster: sensitivity as a table and as a tornado chart."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from hwsim.analysis.sensitivity import Effect, Sensitivity
from hwsim.report.table import Block, Column, Heading, Paragraph, Table, amount, printable
from hwsim.units import format_seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["sensitivity_blocks", "tornado_figure"]

_MOST: Final = 14
"""Parameters that the table and the chart show."""
_LEAST: Final = 5e-4
"""Changes of time below this get no bar."""


def sensitivity_blocks(found: Sensitivity) -> list[Block]:
    """The parameters by the strength of their say, and how many have none."""
    columns = (
        Column("constant"),
        Column("value", "right"),
        Column("elasticity", "right"),
        Column("less", "right"),
        Column("time", "right"),
        Column("more", "right"),
        Column("time", "right"),
    )
    rows = tuple(_row(effect) for effect in found.effects[:_MOST])
    words = (
        "Elasticity: per cent of time for one per cent more of the constant; below 0, more is faster. "
        f"The time is {format_seconds(found.base_time_s)}. {_left_out(found, len(found.effects) - len(rows))}"
    )
    return [Heading("What would make it faster"), Paragraph(words), Table(columns, rows)]


def _left_out(found: Sensitivity, weaker: int) -> str:
    """The constants of the machine's file that are not shown, by reason."""
    counts = (
        ("with less of a say than these", max(weaker, 0)),
        ("that change it by nothing", len(found.without_effect)),
        ("with no other value to try", len(found.not_varied)),
        ("of energy or of room only", len(found.not_in_time)),
    )
    words = [f"{count} {what}" for what, count in counts if count]
    return f"Constants not shown: {', '.join(words)}." if words else "Every constant of the machine's file is shown."


def _row(effect: Effect) -> tuple[str, ...]:
    parameter = effect.parameter
    return (
        f"device.{parameter.path}",
        amount(parameter.value, parameter.unit),
        f"{effect.elasticity:+.3f}",
        _value(effect, effect.lower),
        _change(effect, effect.lower, effect.lower_time_s),
        _value(effect, effect.upper),
        _change(effect, effect.upper, effect.upper_time_s),
    )


def _value(effect: Effect, value: float | None) -> str:
    return "" if value is None else amount(value, effect.parameter.unit)


def _change(effect: Effect, value: float | None, time_s: float | None) -> str:
    """Change of time, or why there is none."""
    if value is None:
        return ""
    return "cannot run" if time_s is None else _per_cent(time_s / effect.base_time_s - 1)


def _per_cent(change: float) -> str:
    """A change with its sign; what rounds to nothing has none."""
    words = f"{100 * change:+.1f} %"
    return "0.0 %" if words in ("+0.0 %", "-0.0 %") else words


def tornado_figure(found: Sensitivity) -> Figure:
    """A bar to each side for every parameter: plain for more of it, hatched for less; the widest on top.

    Raises:
        ValueError: no parameter changes the time by a visible amount.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - the table needs none of it
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    from hwsim.report.style import STYLE  # noqa: PLC0415

    shown = tuple(sorted((e for e in found.effects if _width(e) >= _LEAST), key=_width, reverse=True))[:_MOST]
    if not shown:
        raise ValueError("no parameter has an effect")
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.7 + 0.42 * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for place, effect in enumerate(shown):
            _bars(axes, place, effect)
        _dress(axes, found, shown)
        return figure


def _width(effect: Effect) -> float:
    """The wider of an effect's two bars, as a share of the time."""
    times = (effect.lower_time_s, effect.upper_time_s)
    return max((abs(time_s / effect.base_time_s - 1) for time_s in times if time_s is not None), default=0.0)


def _bars(axes: Axes, place: int, effect: Effect) -> None:
    """The change of time below and above."""
    from hwsim.report.style import BLUE, VERMILION  # noqa: PLC0415 - imports matplotlib

    sides = (
        (effect.lower, effect.lower_time_s, VERMILION, "////", -0.19),
        (effect.upper, effect.upper_time_s, BLUE, "", 0.19),
    )
    for value, time_s, colour, hatch, shift in sides:
        if value is None or time_s is None:
            continue
        change = time_s / effect.base_time_s - 1
        axes.barh(place + shift, 100 * change, height=0.36, color=colour, hatch=hatch, edgecolor="white")
        words = f" {amount(value, effect.parameter.unit)}: {_per_cent(change)} "
        axes.text(100 * change, place + shift, words, ha="left" if change >= 0 else "right", va="center", fontsize=7.5)


def _dress(axes: Axes, found: Sensitivity, shown: tuple[Effect, ...]) -> None:
    """Names, limits with room for the numbers, and what the hatch means."""
    from matplotlib.patches import Patch  # noqa: PLC0415

    from hwsim.report.style import BLUE, INK, VERMILION  # noqa: PLC0415

    axes.axvline(0, color=INK, linewidth=0.9)
    names = [f"{_short(e.parameter.path)}\n{amount(e.parameter.value, e.parameter.unit)}" for e in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.invert_yaxis()
    low, high = axes.get_xlim()
    room = 0.32 * (high - low)
    axes.set_xlim(min(low, 0) - room, max(high, 0) + room)
    axes.set_xlabel(
        f"change of time, per cent of {format_seconds(found.base_time_s)} (left is faster)\n"
        + textwrap.fill(_left_out(found, len(found.effects) - len(shown)), 100), fontsize=9,
    )  # fmt: skip
    title = printable(f"{found.workload} on {found.device}")[:56]
    axes.set_title(f"{title}: what would make it faster", loc="left", fontsize=11.5, fontweight="bold")
    keys = [
        Patch(facecolor=VERMILION, hatch="////", edgecolor="white", label="less of it"),
        Patch(facecolor=BLUE, edgecolor="white", label="more of it"),
    ]
    axes.legend(handles=keys, frameon=False, loc="lower right", fontsize=8.5)


def _short(path: str, most: int = 30) -> str:
    return path if len(path) <= most else "..." + path[-(most - 3) :]
