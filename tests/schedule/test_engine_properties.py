"""The engine against two independent implementations, against itself without skipping, and its promises."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from reference import Outcome, drifting, programs, simulate_simpy, step_cycles

from hwsim.schedule import Deadlock, Program, Schedule, Stage, run

FEW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def assert_same(program: Program, result: Schedule | Deadlock, outcome: Outcome) -> None:
    """The engine's answer equals the reference's, to the cycle."""
    if isinstance(result, Deadlock):
        event("deadlock")
        assert not outcome.finished
        assert result.at_cycle == outcome.at_cycle
        return
    event("finished")
    assert outcome.finished
    assert result.makespan_cycles == outcome.makespan
    for name, times in result.stages.items():
        own = [(start, end) for _, stage, _, start, end in outcome.slices if stage == name]
        assert times.first_start == min(start for start, _ in own)
        assert times.last_finish == max(end for _, end in own)
        assert times.busy_cycles == sum(end - start for start, end in own)
        assert times.wait_cycles == outcome.waits[name]
    assert sorted(result.slices().rows()) == sorted(outcome.slices)


@FEW
@given(programs())
def test_static_programs_agree_with_cycle_stepping(program: Program) -> None:
    """Every slice of a statically served program is where the plain definition puts it."""
    assert_same(program, run(program), step_cycles(program))


@FEW
@given(programs(arbitrate=True))
def test_arbitrated_programs_agree_with_cycle_stepping(program: Program) -> None:
    """Arbitration grants the least (ready time, priority, listing index)."""
    assert_same(program, run(program), step_cycles(program))


@FEW
@given(programs())
def test_static_programs_agree_with_simpy(program: Program) -> None:
    """A second implementation, as processes and events, gives the same slices."""
    assert_same(program, run(program), simulate_simpy(program))


def without_steps(result: Schedule | Deadlock) -> Schedule | Deadlock:
    return result if isinstance(result, Deadlock) else replace(result, steps=0, jumps=0)


@MANY
@given(st.one_of(programs(tiles=400, reps=40, longest=9), programs(tiles=400, reps=40, longest=9, arbitrate=True)))
def test_skipping_returns_the_integers_of_stepping(program: Program) -> None:
    """Makespan, busy, wait, first, last, and the deadlock report, are the same with and without jumps."""
    skipped, stepped = run(program), run(program, skip=False)
    if isinstance(skipped, Schedule):
        event(f"jumps: {min(skipped.jumps, 3)}")
    assert without_steps(skipped) == without_steps(stepped)


@FEW
@given(drifting())
def test_skipping_sees_buffers_fill_and_empty(program: Program) -> None:
    """The same where slacks drift for many repetitions before they matter."""
    assert without_steps(run(program)) == without_steps(run(program, skip=False))


@MANY
@given(st.one_of(programs(tiles=4, reps=2000, longest=9), programs(tiles=4, reps=2000, longest=9, arbitrate=True)))
def test_skipping_small_bodies_returns_the_integers_of_stepping(program: Program) -> None:
    """The same where the body is small and repeats often, which is the outer detector's part."""
    assert without_steps(run(program)) == without_steps(run(program, skip=False))


@FEW
@given(programs(tiles=30, reps=30, longest=9), st.data())
def test_windows_hold_the_slices_of_the_whole(program: Program, data: st.DataObject) -> None:
    """A window of repetitions or cycles, reached by jumping, equals that part of all slices."""
    result = run(program)
    assume(isinstance(result, Schedule))
    rows = list(result.slices().rows())
    rep = data.draw(st.integers(0, program.reps - 1))
    reps = data.draw(st.integers(1, program.reps - rep))
    inside = [row for row in rows if rep <= row[2] // program.stage(row[1]).tiles < rep + reps]
    assert list(result.window(rep, reps).rows()) == inside
    lo = data.draw(st.integers(0, result.makespan_cycles - 1))
    hi = data.draw(st.integers(lo + 1, result.makespan_cycles))
    assert list(result.slices(lo, hi).rows()) == [row for row in rows if row[4] > lo and row[3] < hi]


@FEW
@given(st.one_of(programs(), programs(arbitrate=True)))
def test_a_resource_serves_one_tile_at_a_time(program: Program) -> None:
    """No two slices of a resource overlap, and the makespan covers every resource's work."""
    result = run(program)
    assume(isinstance(result, Schedule))
    for name, use in result.resources.items():
        own = sorted((start, end) for resource, _, _, start, end in result.slices().rows() if resource == name)
        assert all(end <= start for (_, end), (start, _) in pairwise(own))
        assert use.busy_cycles == sum(end - start for start, end in own) <= result.makespan_cycles
        assert use.utilization == use.busy_cycles / result.makespan_cycles


@MANY
@given(programs(longest=9), st.data())
def test_shorter_tiles_never_lengthen_a_static_program(program: Program, data: st.DataObject) -> None:
    """Start times are max-plus linear: shortening any durations makes nothing later."""
    result = run(program)
    assume(isinstance(result, Schedule))
    stages = []
    for stage in program.stages:
        shorter = tuple((count, data.draw(st.integers(1, cycles))) for count, cycles in stage.durations)
        stages.append(replace(stage, durations=shorter))
    faster = run(replace(program, stages=tuple(stages)))
    assert isinstance(faster, Schedule)
    for name, times in faster.stages.items():
        assert times.first_start <= result.stages[name].first_start
        assert times.last_finish <= result.stages[name].last_finish


@MANY
@given(programs(longest=9), st.data())
def test_wider_buffers_never_lengthen_a_static_program(program: Program, data: st.DataObject) -> None:
    """Asking for less (an edge that reaches further back, as a deeper buffer does) makes nothing later."""
    result = run(program)
    assume(isinstance(result, Schedule))
    edges = tuple(replace(edge, b=edge.b - data.draw(st.integers(0, 9))) for edge in program.edges)
    assert run(replace(program, edges=edges)).makespan_cycles <= result.makespan_cycles


@FEW
@given(programs(arbitrate=True))
def test_arbitrated_programs_are_reproducible(program: Program) -> None:
    """The same program gives the same schedule each time."""
    assert run(program) == run(program)


@FEW
@given(st.one_of(programs(tight=True), programs(tight=True, arbitrate=True)))
def test_deadlock_reports_name_edges_that_are_really_short(program: Program) -> None:
    """Each blocked stage stands at the tile, and misses the tiles, that cycle stepping finds."""
    result, outcome = run(program), step_cycles(program)
    assert_same(program, result, outcome)
    if isinstance(result, Schedule):
        return
    started = {stage.name: 0 for stage in program.stages}
    for _, stage, *_ in outcome.slices:
        started[stage] += 1
    assert result.blocked
    for blocked in result.blocked:
        assert blocked.tile == started[blocked.stage]
        assert blocked.have == started[blocked.edge.producer] < blocked.need
        rep, pos = divmod(blocked.tile, program.stage(blocked.stage).tiles)
        edge = blocked.edge
        assert edge in program.edges
        producer_tiles = program.stage(edge.producer).tiles
        assert blocked.need == rep * producer_tiles + (edge.a * pos + edge.b) // edge.c + 1


def test_arbitration_may_slow_down_when_a_tile_gets_shorter() -> None:
    """Graham's anomaly, the reason why static order is the default: shortening a compute tile takes 15 to 16 cycles."""
    assert anomaly(compute=3) == 15
    assert anomaly(compute=2) == 16


def anomaly(compute: int) -> int:
    """Two streams of two tiles, load 4 and 2 on one port, buffers of depth 1 and 2."""
    from hwsim.schedule import after, fifo

    load_a, load_b = Stage.uniform("load_a", "port", 2, 4), Stage.uniform("load_b", "port", 2, 2)
    work_a, work_b = Stage.uniform("work_a", "core_a", 2, compute), Stage.uniform("work_b", "core_b", 2, 4)
    edges = (after(load_a, work_a), fifo(load_a, work_a, 1), after(load_b, work_b), fifo(load_b, work_b, 2))
    result = run(Program((load_a, work_a, load_b, work_b), edges, arbitrated=frozenset({"port"})))
    assert isinstance(result, Schedule)
    return result.makespan_cycles
