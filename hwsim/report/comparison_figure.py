"""The figure of `compare`: speed and energy of several machines, those that cannot run the workload with the reason."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from hwsim.analysis.compare import Entry
from hwsim.errors import Infeasible
from hwsim.report.answer import decoding_words
from hwsim.report.comparison import pair_words
from hwsim.report.style import BLUE, GREY, STYLE, VERMILION
from hwsim.report.table import number, printable
from hwsim.result import Result
from hwsim.units import format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["comparison_figure"]

_LINE_LETTERS: Final = 52
"""Letters that the left panel's width holds."""
_REASON_LETTERS: Final = 3 * _LINE_LETTERS


def comparison_figure(workload: str, entries: Sequence[Entry]) -> Figure:
    """Two panels side by side: rate and energy, a row for each machine in the order given.

    Raises:
        ValueError: no machine.
    """
    if not entries:
        raise ValueError("a figure needs at least one machine")
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.5 + 0.52 * len(entries)), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.35, 1))
        phases = dict.fromkeys(e.answer.phase for e in entries if isinstance(e.answer, Result))
        title = ", ".join((printable(workload)[:60], *phases))
        figure.suptitle(f"{title}: {len(entries)} machines", x=0.01, ha="left", fontsize=11.5, fontweight="bold")
        unit = "image" if any(isinstance(e.answer, Result) and e.answer.images_per_s for e in entries) else "token"
        _panel(left, entries, _rate, f"{unit}s/s", BLUE, "o")
        _panel(right, entries, _joules, f"J/{unit}", VERMILION, "D", "J")
        left.set_yticks(range(len(entries)), [_name(entry) for entry in entries], fontsize=8.5)
        left.invert_yaxis()
        _reasons(left, entries)
        return figure


def _rate(result: Result) -> float | None:
    return result.images_per_s or result.tokens_per_s


def _joules(result: Result) -> float | None:
    per_joule = result.images_per_j or result.tokens_per_j
    return 1 / per_joule if per_joule else None


def _name(entry: Entry) -> str:
    """The machine, with the formats that it runs and how it decodes."""
    name = printable(entry.device)[:24]
    if isinstance(entry.answer, Infeasible):
        return name
    words = (pair_words(entry.answer.formats.get("used", {})), decoding_words(entry.answer))
    return "\n".join(part for part in (name, ", ".join(word for word in words if word)) if part)


def _panel(
    axes: Axes,
    entries: Sequence[Entry],
    measure: Callable[[Result], float | None],
    unit: str,
    colour: str,
    mark: str,
    prefixed: str = "",
) -> None:
    """One measure as marks on a logarithmic axis (bars there would have no length), each with its value.

    Values stand as numbers, or with prefixes of the unit ``prefixed``.
    """
    values = [measure(e.answer) if isinstance(e.answer, Result) else None for e in entries]
    known = [value for value in values if value]
    axes.set_xscale("log")
    if known:
        axes.set_xlim(min(known) / 4, max(known) * 6)
    for place, value in enumerate(values):
        if value:
            axes.scatter([value], [place], s=80, color=colour, marker=mark, zorder=3)
            words = format_si(value, prefixed, 3) if prefixed else number(value, 3)
            axes.annotate(words, (value, place), (8, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_xlabel(unit)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_si(value, prefixed, 3)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(-0.6, len(entries) - 0.4)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _reasons(axes: Axes, entries: Sequence[Entry]) -> None:
    """Why a machine cannot, in its row, on as many lines as the panel's width asks for."""
    for place, entry in enumerate(entries):
        if isinstance(entry.answer, Infeasible):
            words = textwrap.shorten(f"cannot: {printable(entry.answer.reason)}", _REASON_LETTERS, placeholder=" ...")
            axes.annotate(
                "\n".join(textwrap.wrap(words, _LINE_LETTERS)), (0, place), xycoords=("axes fraction", "data"),
                xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5, color=GREY,
                annotation_clip=False,
            ).set_in_layout(False)  # fmt: skip
