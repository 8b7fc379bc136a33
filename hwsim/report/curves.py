"""Curves over a question: latency and throughput over the batch, the roofline over the context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hwsim.analysis.roofline import Roofline, roofline
from hwsim.report.labels import Taken, place_label
from hwsim.report.style import BLUE, GREY, INK, STYLE, VERMILION
from hwsim.report.table import printable
from hwsim.result import Result
from hwsim.units import format_count, format_seconds, format_si

__all__ = ["context_figure", "latency_figure"]

_LOOKS: Final = ((BLUE, "-", "o"), (VERMILION, "--", "s"), ("#00664b", "-.", "^"), (INK, ":", "D"), (GREY, "-", "v"))


def latency_figure(results: Sequence[Result]) -> Figure:
    """One line a machine through its batches: what a user waits for a token, what all users get together.

    Raises:
        ValueError: no result that decodes or takes images, or more machines than can be told apart.
    """
    lines: dict[str, list[tuple[float, float, int]]] = {}
    for result in results:
        rate = result.tokens_per_s or result.images_per_s
        if rate is not None:
            wait = result.time_per_token_s or result.step_s
            lines.setdefault(result.device, []).append((wait, rate, result.batch))
    if not 1 <= len(lines) <= len(_LOOKS):
        raise ValueError(f"{len(lines)} machines with a rate; a figure holds 1 to {len(_LOOKS)}")
    unit = "images" if results[0].images_per_s else "tokens"
    with rc_context(STYLE):
        figure = _figure()
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log")
        for (device, points), (colour, line, mark) in zip(lines.items(), _LOOKS, strict=False):
            ordered = sorted(points, key=lambda point: point[2])
            axes.plot(
                [wait for wait, _, _ in ordered], [rate for _, rate, _ in ordered], color=colour, linestyle=line,
                marker=mark, label=printable(device)[:30],
            )  # fmt: skip
        axes.margins(0.12)
        _ticks(axes)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_seconds(value)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        axes.set_xlabel("time per token of a user" if unit == "tokens" else "time of a batch")
        axes.set_ylabel(f"{unit} per second, all together")
        name = printable(results[0].workload)[:50]
        axes.set_title(f"{name}: latency and throughput, by batch", loc="left", fontsize=11.5, fontweight="bold")
        axes.legend(frameon=False, loc="lower right")
        taken = Taken(axes)
        for points in lines.values():
            for wait, rate, _ in points:
                taken.add_marker(wait, rate, 40.0)
        for points in lines.values():
            for wait, rate, batch in points:
                place_label(axes, format_count(batch), wait, rate, 40.0, taken)
        return figure


def context_figure(results: Sequence[Result]) -> Figure:
    """The steps of one machine under its roofs, joined by growing context, each named by its tokens.

    Raises:
        ValueError: no result, or results of several machines.
    """
    ordered = sorted(results, key=lambda result: result.context)
    if len({result.device for result in results}) != 1:
        raise ValueError("a roofline over the context is of one machine")
    drawn = [roofline(result) for result in ordered]
    steps = [(each.step.ops_per_byte, each.step.ops_per_s) for each in drawn]
    placed = [(x, y, result.context) for (x, y), result in zip(steps, ordered, strict=True) if x is not None]
    if not placed:
        raise ValueError("no step moves a byte: there is no intensity to draw")
    with rc_context(STYLE):
        figure = _figure()
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log")
        _roofs(axes, drawn[0], [x for x, _, _ in placed], [y for _, y, _ in placed])
        axes.plot([x for x, _, _ in placed], [y for _, y, _ in placed], color=BLUE, marker="o", linewidth=1.0, zorder=4)
        taken = Taken(axes)
        for x, y, _ in placed:
            taken.add_marker(x, y, 40.0)
        for x, y, context in placed:
            place_label(axes, f"{format_count(context)} tokens", x, y, 40.0, taken)
        _ticks(axes)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_si(value, "op/s", 3)))
        axes.set_xlabel(f"operational intensity: operations per byte to and from {drawn[0].level}")
        axes.set_ylabel("operations per second (a MAC is 2)")
        name = printable(f"{ordered[0].workload} on {ordered[0].device}")[:50]
        axes.set_title(
            f"{name}, {ordered[0].phase}: the step as context grows", loc="left", fontsize=11.5, fontweight="bold"
        )
        return figure


def _roofs(axes: Axes, drawn: Roofline, intensities: list[float], rates: list[float]) -> None:
    """The slope of the level and the flat roof in use, and limits around the points."""
    name, peak = drawn.used_roof
    bandwidth = drawn.level_bytes_per_s
    left, right = min(intensities) / 3, max(*intensities, peak / bandwidth) * 3
    axes.set_xlim(left, right)
    axes.set_ylim(min([*rates, left * bandwidth]) / 2, peak * 2.5)
    ridge = max(peak / bandwidth, left)
    axes.plot([left, ridge, right], [min(left * bandwidth, peak), peak, peak], color=INK, linewidth=1.8)
    axes.text(
        right, peak * 1.06, f"{name} {format_si(peak, 'op/s', 3)}, ridge {peak / bandwidth:.3g} op/B ", ha="right",
        va="bottom", fontsize=9,
    )  # fmt: skip


def _figure() -> Figure:
    figure = Figure(figsize=(8.6, 5.2), layout=None)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.12, right=0.97, top=0.92, bottom=0.12)
    return figure


def _ticks(axes: Axes) -> None:
    """Decades, or 1, 2 and 5 of each where the span is short; a faint grid."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 1e3 else (1.0, 2.0, 5.0), numticks=12))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
