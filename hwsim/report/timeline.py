"""The timeline figure: who works when, as a Gantt chart of resources, at the start of a step and in its steady state.

A pass of several programs, which run one after the other, is shown whole first. Each row is a resource. The height of
its bars is the share of each moment for which it works: tiles are often too short to be seen one by one. Operators are
told apart by hatch as well as by colour, and named in the bars that have room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwsim.report.step import passes_of_a_step, schedule_of
from hwsim.report.style import GREY, INK, PALETTE, STYLE
from hwsim.report.table import printable
from hwsim.result import PassRow, Result
from hwsim.schedule import Schedule
from hwsim.units import format_seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Stretch", "busy_shares", "stretches", "timeline_figure", "whole_pass"]

_HATCHES: Final = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")
_SLICES: Final = 20_000
"""Tiles that a window may hold; a longer repetition is cut there, and the panel says so."""
_NAMED: Final = 0.055
"""Share of a panel's width from which a bar holds its name."""
_NEARLY_ALL: Final = 0.9
"""Share of a pass from which one program stands for it."""
_MOST_OPS: Final = 19
"""Operators that are told apart; the others are one."""
_OTHERS: Final = "all others"
_TALL: Final = 0.6
"""Share of a row's height from which a bar holds its name."""
_BINS: Final = 600
"""Parts of a panel's width in which the share of busy time is counted."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time for which a resource serves one operator, in cycles: without a gap, or for a share of it."""

    resource: str
    op: str
    start: int
    end: int
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class _Window:
    """What a panel shows."""

    title: str
    bars: tuple[Stretch, ...]
    resources: tuple[str, ...]


def stretches(schedule: Schedule, start_rep: int, reps: int = 1) -> tuple[list[Stretch], bool]:
    """Tiles of some repetitions, those of one operator that touch joined, and whether some were left out."""
    program = schedule.program
    ops = {stage.name: stage.op or stage.name for stage in program.stages}
    slices = schedule.window(start_rep, reps, limit=_SLICES)
    joined: list[Stretch] = []
    last: dict[str, int] = {}
    for resource, stage, _, start, end in sorted(slices.rows(), key=lambda row: (row[3], row[4])):
        place = last.get(resource)
        if place is not None and joined[place].op == ops[stage] and joined[place].end == start:
            joined[place] = Stretch(resource, ops[stage], joined[place].start, end)
        else:
            last[resource] = len(joined)
            joined.append(Stretch(resource, ops[stage], start, end))
    return joined, slices.truncated


def timeline_figure(result: Result) -> Figure:
    """Two panels of the longest pass's longest program: its first repetition, and one in its middle.

    Above them stands the whole pass where that program is not nearly all of it.

    Raises:
        ValueError: the result carries no programs.
    """
    longest = _longest_pass(result)
    schedules = [schedule_of(program) for program in longest.programs]
    windows = _windows(longest, schedules)
    with rc_context(STYLE):
        rows = sum(len(window.resources) for window in windows)
        figure = Figure(figsize=(8.6, 1.0 + 0.8 * len(windows) + 0.36 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        name = printable(f"{result.workload} on {result.device}")[:60]
        figure.suptitle(f"{name}: who works when", x=0.01, ha="left", fontsize=11.5, fontweight="bold")
        heights = [1 + 0.45 * len(window.resources) for window in windows]
        panels = figure.subplots(len(windows), 1, squeeze=False, height_ratios=heights)[:, 0]
        looks: dict[str, tuple[str, str]] = {}
        for axes, window in zip(panels, windows, strict=True):
            _panel(axes, window, result.clock_hz, looks)
            axes.set_title(window.title, loc="left", fontsize=10)
        panels[-1].set_xlabel("cycles, and time; full height: busy throughout")
        _legend(figure, looks)
        return figure


def _windows(longest: PassRow, schedules: Sequence[Schedule]) -> list[_Window]:
    """The panels: the whole pass where it has several programs, then the longest program's start and middle."""
    named = _named_ops(schedules)
    schedule = max(schedules, key=lambda each: each.makespan_cycles)
    reps, words = schedule.program.reps, longest.role
    windows: list[_Window] = []
    if schedule.makespan_cycles < _NEARLY_ALL * sum(each.makespan_cycles for each in schedules):
        whole = _renamed(whole_pass(schedules), named)
        resources = tuple(dict.fromkeys(bar.resource for bar in whole))
        windows.append(_Window(f"{words}, all of it: {len(schedules):,} programs in turn", whole, resources))
        first = next(stage.op or stage.name for stage in schedule.program.stages)
        words += f", its longest program (from {printable(first)[:20]} on)"
    for rep, what in ((0, "the pipeline fills"), (reps // 2, "the steady state"))[: 2 if reps > 2 else 1]:
        bars, is_cut = stretches(schedule, rep)
        which = f"repetition {rep + 1} of {reps}" if rep else f"first of {reps} repetitions"
        title = f"{words}, {which}: {what}" + (", cut" if is_cut else "")
        windows.append(_Window(title, _renamed(bars, named), schedule.program.resources))
    return windows


def whole_pass(schedules: Sequence[Schedule]) -> list[Stretch]:
    """Programs one after the other: each operator over all of its program, with the share for which it is served."""
    bars, begin = [], 0
    for schedule in schedules:
        end = begin + schedule.makespan_cycles
        busy: dict[tuple[str, str], int] = {}
        for stage in schedule.program.stages:
            key = (stage.resource, stage.op or stage.name)
            busy[key] = busy.get(key, 0) + stage.cycles_per_rep * schedule.program.reps
        bars += [Stretch(*key, begin, end, cycles / (end - begin)) for key, cycles in busy.items() if cycles]
        begin = end
    return bars


def _named_ops(schedules: Sequence[Schedule]) -> frozenset[str]:
    """The operators that get a look of their own: those that are served longest."""
    busy: dict[str, float] = {}
    for bar in whole_pass(schedules):
        busy[bar.op] = busy.get(bar.op, 0.0) + bar.share * (bar.end - bar.start)
    ordered = sorted(busy, key=lambda op: (-busy[op], op))
    return frozenset(ordered if len(ordered) <= _MOST_OPS + 1 else ordered[:_MOST_OPS])


def _renamed(bars: Sequence[Stretch], named: frozenset[str]) -> tuple[Stretch, ...]:
    """Bars of operators without a look of their own, under one name."""
    return tuple(bar if bar.op in named else replace(bar, op=_OTHERS) for bar in bars)


def _longest_pass(result: Result) -> PassRow:
    """The pass of a step that takes most time."""
    passes = [each for each in passes_of_a_step(result) if each.programs]
    if not passes:
        raise ValueError("a result without programs has no timeline")
    return max(passes, key=lambda each: each.cycles)


def _panel(axes: Axes, window: _Window, clock_hz: float, looks: dict[str, tuple[str, str]]) -> None:
    """The bars of one window, a row for each resource."""
    bars, resources = window.bars, window.resources
    begin, end = min(bar.start for bar in bars), max(bar.end for bar in bars)
    edges = np.linspace(begin, end, _BINS + 1)
    base = {name: np.zeros(_BINS) for name in resources}
    for (op, resource), shares in busy_shares(bars, edges).items():
        colour, hatch = looks.setdefault(op, (GREY, "") if op == _OTHERS else _look(len(looks)))
        floor = resources.index(resource) + 0.4
        low, high = base[resource], base[resource] + shares
        base[resource] = high
        axes.fill_between(
            edges, floor - 0.8 * np.append(low, low[-1]), floor - 0.8 * np.append(high, high[-1]), step="post",
            facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0.0, where=np.append(shares, shares[-1]) > 0,
        )  # fmt: skip
    for bar in _roomy(bars, end - begin):
        axes.text(
            (bar.start + bar.end) / 2, resources.index(bar.resource), printable(bar.op)[:14], ha="center", va="center",
            fontsize=7.5, color=INK, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.8},
        )  # fmt: skip
    axes.set_yticks(range(len(resources)), [printable(name)[:20] for name in resources])
    axes.set_ylim(len(resources) - 0.45, -0.55)
    axes.set_xlim(begin, end)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}\n{format_seconds(value / clock_hz)}"))
    axes.tick_params(axis="x", labelsize=8)


def busy_shares(
    bars: Sequence[Stretch], edges: npt.NDArray[np.float64]
) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """(operator, resource) -> share of each bin between ``edges`` (bins + 1,) for which it works, shape (bins,)."""
    shares: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
    for bar in bars:
        row = shares.setdefault((bar.op, bar.resource), np.zeros(len(edges) - 1))
        first = max(int(np.searchsorted(edges, bar.start, "right")) - 1, 0)
        last = max(int(np.searchsorted(edges, bar.end, "left")), first + 1)
        inside = np.clip(edges[first : last + 1], bar.start, bar.end)
        row[first:last] += bar.share * np.diff(inside) / np.diff(edges[first : last + 1])
    return shares


def _roomy(bars: Sequence[Stretch], width: int) -> Iterator[Stretch]:
    """Bars with room for a name."""
    yield from (
        bar
        for bar in bars
        if bar.share > _TALL and bar.end - bar.start > _NAMED * width + 0.008 * width * len(bar.op[:14])
    )


def _look(place: int) -> tuple[str, str]:
    return PALETTE[place % len(PALETTE)], _HATCHES[(place + place // len(PALETTE)) % len(_HATCHES)]


def _legend(figure: Figure, looks: dict[str, tuple[str, str]]) -> None:
    """The operators, below the panels."""
    keys = [Patch(facecolor=c, hatch=h, edgecolor="white", label=printable(op)[:22]) for op, (c, h) in looks.items()]
    figure.legend(handles=keys, loc="outside lower left", ncols=5, frameon=False, fontsize=8, columnspacing=1.2)
