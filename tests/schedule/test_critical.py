"""The critical path of a settled repetition: its cycles add up to the repetition, and hidden work is not on it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import assume, event, given, settings

sys.path.insert(0, str(Path(__file__).parent))
from reference import programs, step_cycles

from hwsim.schedule import Deadlock, Edge, Program, Stage, barrier, critical_cycles, run


def ends_by_rep(program: Program) -> list[int]:
    """Cycle in which the last tile of each repetition ends, by cycle stepping."""
    ends = [0] * program.reps
    for _, stage, tile, _, end in step_cycles(program).slices:
        rep = tile // program.stage(stage).tiles
        ends[rep] = max(ends[rep], end)
    return ends


@settings(max_examples=80)
@given(programs(tiles=4, reps=4, longest=6))
def test_cycles_add_up_to_a_repetition(program: Program) -> None:
    """They are the third repetition's (or the last of fewer) from the end of the one before to its own end."""
    assume(not isinstance(run(program), Deadlock))
    spent = critical_cycles(program)
    reps = min(program.reps, 3)
    event(f"reps: {reps}")
    ends = ends_by_rep(replace(program, reps=reps))
    assert sum(spent.values()) == ends[-1] - (ends[-2] if reps > 1 else 0)
    assert all(cycles > 0 for cycles in spent.values())
    assert all(cycles <= ends[-1] for cycles in spent.values())


@settings(max_examples=100)
@given(programs(tiles=4, reps=1, longest=6))
def test_shortening_what_is_not_on_the_path_changes_nothing(program: Program) -> None:
    """With one repetition the path is the whole schedule: stages off it may take a cycle per tile, to no effect."""
    before = run(program)
    assume(not isinstance(before, Deadlock))
    spent = critical_cycles(program)
    quick = tuple(
        stage if stage.name in spent else Stage.uniform(stage.name, stage.resource, stage.tiles, 1)
        for stage in program.stages
    )
    assert run(replace(program, stages=quick)).makespan_cycles == before.makespan_cycles


def test_hidden_work_is_not_on_the_path() -> None:
    """Two loads behind one: the shorter compute runs beside the next load, and only the last is seen."""
    load, work = Stage.uniform("load", "port", 4, 10), Stage.uniform("work", "core", 4, 3)
    program = Program((load, work), (Edge("load", "work"),))
    assert critical_cycles(program) == {"load": 40, "work": 3}


def test_ties_go_to_the_resource() -> None:
    """Where resource and edge free a tile in the same cycle, the tile before it on its resource counts."""
    first, second = Stage.uniform("first", "a", 1, 5), Stage.uniform("second", "b", 2, 5)
    program = Program((first, second), (Edge("first", "second", 0, 0, 1, 1, 2),))
    assert critical_cycles(program) == {"second": 10}


def test_serial_repetitions() -> None:
    """A body whose stages wait for one another wholly is on the path wholly."""
    first, second = Stage.uniform("first", "a", 3, 2), Stage.uniform("second", "b", 5, 4)
    back = Edge("second", "first", 0, -1, 1, 0, 1)
    program = Program((first, second), (barrier(first, second, hi=1), back), reps=9)
    assert critical_cycles(program) == {"first": 6, "second": 20}


def test_a_deadlock_has_no_path() -> None:
    """Two stages that wait for each other: empty."""
    one, two = Stage.uniform("one", "a", 1, 1), Stage.uniform("two", "b", 1, 1)
    program = Program((one, two), (Edge("one", "two"), Edge("two", "one")))
    assert isinstance(run(program), Deadlock)
    assert critical_cycles(program) == {}


def test_a_body_of_over_a_million_tiles() -> None:
    """No slice is left out, however many tiles three repetitions have."""
    program = Program((Stage.uniform("s", "r", 400_000, 1),), reps=3)
    assert critical_cycles(program) == {"s": 400_000}
