"""Breakdown, tornado and timeline: same bytes, nothing hostile, what they show is what the numbers say."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import result_builder as build
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.analysis.sensitivity import Effect, Parameter, Sensitivity
from hwsim.report.breakdown import breakdown_figure
from hwsim.report.style import figure_bytes
from hwsim.report.table import plain
from hwsim.report.timeline import busy_shares, stretches, timeline_figure, whole_pass
from hwsim.report.tornado import sensitivity_blocks, tornado_figure
from hwsim.result import PassRow
from hwsim.schedule import Program, Schedule, Stage, after, fifo, run

HOSTILE = "<script>alert(1)</script>$\\frac{1}{2}$" + "x" * 200


def effect(path: str = "memory.bandwidth", factor: float = 0.9) -> Effect:
    """A parameter of which more is faster."""
    return Effect(Parameter(path, 10e9, "bytes/s", "fitted"), 9e9, 0.1 / factor, 11e9, 0.1 * factor, 0.1)


FOUND = Sensitivity("mamba", "board", 0.1, (effect(), effect("clock", 0.99)), ("lanes",), ("ideal",))


def scheduled(reps: int = 5, load: int = 3, compute: int = 5) -> Schedule:
    """A port that feeds a unit through a double buffer."""
    port = Stage.uniform("weights", "memory", 6, load, op="in_proj")
    unit = Stage.uniform("gemm", "linear", 6, compute, op="in_proj")
    found = run(Program((port, unit), (after(port, unit), fifo(port, unit, 2)), reps))
    assert isinstance(found, Schedule)
    return found


def timed(reps: int = 5, **changes: Any) -> Any:
    """A result of one pass with its program."""
    schedule = scheduled(reps)
    row = PassRow("decode", "m", 1, 1, 1, schedule.makespan_cycles, 0.1, "none", (schedule.program,))
    return build.result(passes=(row,), **changes)


FIGURES = {
    "breakdown": lambda name: breakdown_figure(build.result(workload=name)),
    "timeline": lambda name: timeline_figure(timed(workload=name)),
    "tornado": lambda name: tornado_figure(Sensitivity(name, "board", 0.1, FOUND.effects, (), ())),
}


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_figures_repeat_byte_for_byte(figure: str, kind: str) -> None:
    """No date, no random identifier."""
    first, second = (figure_bytes(FIGURES[figure]("mamba"), kind) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("figure", FIGURES)
def test_hostile_names_stay_text_in_figures(figure: str) -> None:
    """Markup and mathematics of a name stay letters."""
    assert b"<script" not in figure_bytes(FIGURES[figure](HOSTILE), "svg")


def test_breakdown_has_a_panel_for_each_grouping() -> None:
    """Operator, layer kind, resource; time, energy and bytes in each, with the whole at the end."""
    axes = breakdown_figure(build.result()).axes
    assert [each.get_title(loc="left") for each in axes] == ["by operator", "by layer kind", "by resource"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["time", "energy", "bytes"]
    assert "100 ms" in {text.get_text() for text in axes[0].texts}


def test_measure_without_amount_has_no_bar() -> None:
    """A machine that books no energy is drawn without it."""
    rows = tuple(build.op_row(name, energy_j_by={}) for name in ("a", "b"))
    axes = breakdown_figure(build.result(ops=rows, energy_j_by={})).axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["time", "bytes"]


def test_tornado_is_sorted_by_width_and_says_the_values() -> None:
    """The widest on top; each bar carries the value that was tried and the change."""
    (axes,) = tornado_figure(FOUND).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert [name.split("\n")[0] for name in names] == ["memory.bandwidth", "clock"]
    assert " 11 GB/s: -10.0 % " in {text.get_text() for text in axes.texts}


def test_every_constant_is_shown_or_counted_by_reason() -> None:
    """Shown, weaker, without effect, without another value, of energy or room: all in the words below the chart."""
    found = Sensitivity("m", "b", 0.1, FOUND.effects, ("a", "b"), ("c",), ("d", "e", "f"))
    (axes,) = tornado_figure(found).axes
    words = (
        "Constants not shown: 2 that change it by nothing, 1 with no other value to try, 3 of energy or of room only."
    )
    assert words in " ".join(axes.get_xlabel().split())
    assert words in " ".join(plain(sensitivity_blocks(found)).split())


def test_a_change_that_rounds_to_nothing_has_no_sign() -> None:
    """No -0.0 %."""
    still = Effect(Parameter("delay", 2.5e-6, "s", "assumed"), 2.25e-6, 0.09999, 2.75e-6, 0.102, 0.1)
    text = plain(sensitivity_blocks(Sensitivity("m", "b", 0.1, (still,), (), ())))
    assert "2.5 us" in text
    assert " 0.0 %" in text
    assert "-0.0 %" not in text


def test_tornado_without_effect_is_refused() -> None:
    """There is nothing to draw."""
    with pytest.raises(ValueError, match="no parameter"):
        tornado_figure(Sensitivity("mamba", "board", 0.1, (), ("lanes",), ()))


def test_sensitivity_table_says_what_is_left_out() -> None:
    """Elasticity, both runs, and the constants without a say."""
    text = plain(sensitivity_blocks(FOUND))
    assert "device.memory.bandwidth" in text
    assert "1 that change it by nothing" in text
    assert "-10.0 %" in text
    cannot = Effect(Parameter("clock", 4e8, "Hz", "assumed"), 3.6e8, 0.12, 4.4e8, None, 0.1)
    assert "cannot run" in plain(sensitivity_blocks(Sensitivity("m", "b", 0.1, (cannot,), (), ())))


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 40))
def test_stretches_of_a_resource_never_overlap(reps: int, load: int, compute: int) -> None:
    """And hold all the cycles for which it is busy."""
    schedule = scheduled(reps, load, compute)
    bars, is_cut = stretches(schedule, 0, reps)
    assert not is_cut
    for name, use in schedule.resources.items():
        row = [bar for bar in bars if bar.resource == name]
        assert all(one.end <= two.start for one, two in pairwise(row))
        assert sum(bar.end - bar.start for bar in row) == use.busy_cycles


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 200))
@settings(max_examples=20)
def test_heights_are_shares_of_busy_time(load: int, compute: int, bins: int) -> None:
    """Over all bins they add up to the busy cycles, and no resource is more than busy."""
    schedule = scheduled(3, load, compute)
    bars, _ = stretches(schedule, 0, 3)
    edges = np.linspace(0.0, schedule.makespan_cycles, bins + 1)
    shares = busy_shares(bars, edges)
    for name, use in schedule.resources.items():
        total = sum(share for (_, resource), share in shares.items() if resource == name)
        assert np.all(total <= 1 + 1e-9)
        assert float(np.sum(total * np.diff(edges))) == pytest.approx(use.busy_cycles)


@pytest.mark.parametrize(("reps", "panels"), [(1, 1), (2, 1), (64, 2)])
def test_timeline_shows_the_start_and_the_steady_state(reps: int, panels: int) -> None:
    """A program too short to settle has the first panel only."""
    titles = [axes.get_title(loc="left") for axes in timeline_figure(timed(reps)).axes]
    assert len(titles) == panels
    assert titles[0] == f"decode, first of {reps} repetitions: the pipeline fills"
    assert titles[1:] == [f"decode, repetition {reps // 2 + 1} of {reps}: the steady state"][: panels - 1]


def test_a_pass_of_several_programs_is_shown_whole_first() -> None:
    """As on a CPU, where each operator is a program of its own; one that is nearly all of a pass stands for it."""
    short, long = scheduled(3, 4, 4), scheduled(40, 4, 4)
    for programs, panels in (((long, long), 3), ((short, long), 2)):
        row = PassRow("decode", "m", 1, 1, 1, 1, 0.1, "none", tuple(each.program for each in programs))
        titles = [axes.get_title(loc="left") for axes in timeline_figure(build.result(passes=(row,))).axes]
        assert len(titles) == panels
        assert ("all of it: 2 programs in turn" in titles[0]) == (panels == 3)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4))
def test_a_whole_pass_keeps_every_busy_cycle(shapes: list[tuple[int, int, int]]) -> None:
    """Programs follow each other without a gap; shares times lengths are the cycles for which a resource works."""
    schedules = [scheduled(*shape) for shape in shapes]
    bars = whole_pass(schedules)
    assert max(bar.end for bar in bars) == sum(each.makespan_cycles for each in schedules)
    for name in schedules[0].resources:
        drawn = sum(bar.share * (bar.end - bar.start) for bar in bars if bar.resource == name)
        assert drawn == pytest.approx(sum(each.resources[name].busy_cycles for each in schedules))


def test_what_is_left_of_a_bar_looks_like_nothing_else() -> None:
    """However many it is, it has one look and comes last of the keys, before static power."""
    rows = tuple(build.op_row(f"op{i}", share=0.05, energy_j_by={"dram": 0.01 * (i + 1)}) for i in range(20))
    axes = breakdown_figure(build.result(ops=rows)).axes[0]
    keys = axes.get_legend()
    assert keys is not None
    words = [text.get_text() for text in keys.get_texts()]
    assert [word for word in words if "others" in word] == ["all others of a bar"]
    looks = [(patch.get_facecolor(), patch.get_hatch()) for patch in keys.get_patches()]
    assert len(set(looks)) == len(looks)


def test_result_without_programs_has_no_timeline() -> None:
    """It says so."""
    with pytest.raises(ValueError, match="no timeline"):
        timeline_figure(build.result())
