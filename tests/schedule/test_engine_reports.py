"""What `run` answers: figures of small schedules worked out by hand, deadlocks, windows and their limits."""

from __future__ import annotations

import pytest

from hwsim.errors import HwsimError
from hwsim.schedule import (
    Block,
    Blocked,
    Deadlock,
    Edge,
    Order,
    Program,
    Schedule,
    Stage,
    after,
    barrier,
    fifo,
    previous_rep,
    run,
)


def load_compute(depth: int, tiles: int = 10, reps: int = 1) -> Program:
    """Load 4 cycles, compute 5, with a buffer of ``depth`` tiles between."""
    load, compute = Stage.uniform("load", "port", tiles, 4), Stage.uniform("compute", "core", tiles, 5)
    return Program((load, compute), (after(load, compute), fifo(load, compute, depth)), reps)


@pytest.mark.parametrize(
    ("depth", "makespan", "load_waits"),
    [(1, 10 * 9, 0), (2, 4 + 10 * 5, 0), (3, 4 + 10 * 5, 0)],
)
def test_buffer_depth(depth: int, makespan: int, load_waits: int) -> None:
    """Depth 1 does not overlap; a double buffer leaves the slower unit busy throughout."""
    result = run(load_compute(depth))
    assert isinstance(result, Schedule)
    assert result.makespan_cycles == makespan
    assert result.resources["core"].busy_cycles == 50
    assert result.resources["core"].utilization == 50 / makespan
    assert result.stages["load"].wait_cycles == load_waits
    assert result.stages["compute"].first_start == 4
    assert result.stages["compute"].last_finish == makespan


def test_waiting_for_the_resource() -> None:
    """Two streams that are ready at once share a port: the one listed second waits while the first is served."""
    first, second = Stage.uniform("first", "port", 3, 4), Stage.uniform("second", "port", 2, 1)
    result = run(Program((first, second)))
    assert isinstance(result, Schedule)
    assert result.stages["first"].wait_cycles == 0
    assert result.stages["second"].wait_cycles == 12
    assert result.makespan_cycles == 14


def test_alternation() -> None:
    """An order serves two stages in turn, cut as it says."""
    x, z = Stage.uniform("x", "gemm", 4, 3), Stage.uniform("z", "gemm", 2, 5)
    turns = Order("gemm", (Block(2, (("x", 2), ("z", 1))),))
    rows = list(run(Program((x, z), orders=(turns,))).slices().rows())
    assert [row[1] for row in rows] == ["x", "x", "z", "x", "x", "z"]
    assert [row[3] for row in rows] == [0, 3, 6, 11, 14, 17]


def test_repetitions_overlap_unless_told() -> None:
    """A second layer begins under the first; a `previous_rep` edge keeps them apart."""
    a, b = Stage.uniform("a", "u", 2, 3), Stage.uniform("b", "v", 1, 4)
    assert run(Program((a, b), (barrier(a, b),), reps=3)).makespan_cycles == 18 + 4
    assert run(Program((a, b), (barrier(a, b), previous_rep(b, a)), reps=3)).makespan_cycles == 3 * 10


def test_long_uniform_runs_are_jumped() -> None:
    """Ten million tiles need a few dozen steps, and the closed form of a pipeline holds."""
    result = run(load_compute(2, tiles=5_000_000))
    assert isinstance(result, Schedule)
    assert result.makespan_cycles == 4 + 5 * 5_000_000
    assert result.steps < 100
    assert result.jumps == 1


def test_long_repetitions_are_jumped() -> None:
    """The same where the body is small and repeats."""
    result = run(load_compute(2, tiles=1, reps=5_000_000))
    assert isinstance(result, Schedule)
    assert result.makespan_cycles == 4 + 5 * 5_000_000
    assert result.steps < 100


def test_a_deadlock_names_who_waits_for_whom() -> None:
    """A unit that needs three tiles at once from a buffer of two stands still, and so does the one that fills it."""
    load, compute = Stage.uniform("load", "port", 6, 4), Stage.uniform("compute", "core", 2, 5)
    gather = Edge("load", "compute", 3, 2)
    room = fifo(load, compute, 2, consumed=3)
    result = run(Program((load, compute), (gather, room)))
    assert result == Deadlock(
        8, (Blocked("load", 2, room, have=0, need=1), Blocked("compute", 0, gather, have=2, need=3))
    )
    assert str(result) == (
        "deadlock at cycle 8: 'load' stands at tile 2: 'compute' has finished 0 tiles, needed 1 "
        "(load[pos] after compute[floor((pos-2)/3)]); 'compute' stands at tile 0: 'load' has finished 2 tiles, "
        "needed 3 (compute[pos] after load[3*pos+2])"
    )


def test_a_deadlock_after_a_jump_is_the_same() -> None:
    """The report of a stop deep inside a long program does not depend on skipping."""
    a, b = Stage.uniform("a", "u", 100_000, 3), Stage.uniform("b", "v", 100_000, 4)
    stuck = Edge("b", "b", 1, 0, 1, 70_000)
    result = run(Program((a, b), (after(a, b), fifo(a, b, 9), stuck)))
    assert result == run(Program((a, b), (after(a, b), fifo(a, b, 9), stuck)), skip=False)
    assert isinstance(result, Deadlock)
    assert [blocked.stage for blocked in result.blocked] == ["a", "b"]
    assert [blocked.tile for blocked in result.blocked] == [70_009, 70_000]


def test_a_window_deep_inside_a_long_program() -> None:
    """The slices around the middle of ten million tiles come without storing the others."""
    result = run(load_compute(2, tiles=5_000_000))
    assert list(result.slices(12_500_000, 12_500_005).rows()) == [
        ("port", "load", 2_500_000, 12_499_999, 12_500_003),
        ("core", "compute", 2_499_999, 12_499_999, 12_500_004),
        ("port", "load", 2_500_001, 12_500_004, 12_500_008),
        ("core", "compute", 2_500_000, 12_500_004, 12_500_009),
    ]
    repeated = run(load_compute(2, tiles=2, reps=1_000_000))
    assert sorted(row[2] for row in repeated.window(700_000).rows()) == [1_400_000, 1_400_000, 1_400_001, 1_400_001]


def test_windows_have_a_limit() -> None:
    """A window says when it was cut, and slices are in the order of their starts."""
    result = run(load_compute(2))
    assert not result.slices(limit=20).truncated
    cut = result.slices(limit=7)
    assert cut.truncated
    assert len(cut) == 7
    assert list(cut.rows()) == list(result.slices().rows())[:7]
    with pytest.raises(ValueError, match="read-only"):
        cut.start[0] = 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 2), "window: repetitions 3 to 4; expected repetitions within 0 to 3"),
        ((0, 0), "window: repetitions 0 to -1; expected repetitions within 0 to 3"),
    ],
)
def test_windows_outside_the_program(arguments: tuple[int, int], message: str) -> None:
    """Repetitions that do not exist are refused."""
    with pytest.raises(HwsimError) as refused:
        run(load_compute(2, reps=4)).window(*arguments)
    assert str(refused.value) == message


def test_empty_windows() -> None:
    """A window of no cycles, or of no slices, is refused."""
    result = run(load_compute(2))
    with pytest.raises(HwsimError, match="cycles 9 to 9; expected 0 <= start < end"):
        result.slices(9, 9)
    with pytest.raises(HwsimError, match="limit = 0; expected a limit of at least 1 slice"):
        result.slices(limit=0)
