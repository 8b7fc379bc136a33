"""Figures as functions of Results, for notebooks and scripts."""

from __future__ import annotations

from matplotlib.figure import Figure

from hwsim.analysis import roofline as numbers
from hwsim.analysis.compare import Entry
from hwsim.report.breakdown import breakdown_figure
from hwsim.report.comparison_figure import comparison_figure
from hwsim.report.curves import context_figure, latency_figure
from hwsim.report.roofline import roofline_figure
from hwsim.report.roofline_together import together_figure
from hwsim.report.timeline import timeline_figure
from hwsim.result import Result

__all__ = [
    "draw_breakdown",
    "draw_compare",
    "draw_context_roofline",
    "draw_latency_throughput",
    "draw_roofline",
    "draw_timeline",
]


def draw_roofline(
    *results: Result, level: str | None = None, counting: numbers.Counting = "performed", together: bool = False
) -> Figure:
    """Operators under the roofs, a panel for each result, or all machines in one frame.

    Args:
        results: what to draw.
        level: the memory level whose bytes count; by default each machine's slowest.
        counting: how sparse work is counted.
        together: one frame for all, without the operators' names.

    Raises:
        ValueError: no result, or more than one frame can tell apart.
        HwsimError: a machine has no such level.
    """
    drawn = [numbers.roofline(result, level, counting) for result in results]
    return together_figure(drawn) if together else roofline_figure(drawn)


def draw_breakdown(result: Result) -> Figure:
    """Time, energy and bytes of a step by operator, layer kind and resource."""
    return breakdown_figure(result)


def draw_timeline(result: Result) -> Figure:
    """Who works when, at the start of a step and in its steady state.

    Raises:
        ValueError: the result carries no programs.
    """
    return timeline_figure(result)


def draw_compare(*results: Result) -> Figure:
    """Rate and energy of several machines.

    Raises:
        ValueError: no result.
    """
    name = results[0].workload if results else ""
    return comparison_figure(name, [Entry(result.device, result) for result in results])


def draw_latency_throughput(*results: Result) -> Figure:
    """Time per token of a user against tokens per second of all, over the batch; a line for each machine.

    Raises:
        ValueError: no result that decodes or takes images.
    """
    return latency_figure(results)


def draw_context_roofline(*results: Result) -> Figure:
    """Where a step stands under the roofs of its machine as its context grows.

    Raises:
        ValueError: no result, or results of several machines.
    """
    return context_figure(results)
