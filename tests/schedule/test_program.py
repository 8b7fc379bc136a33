"""Programs: what the constructors mean, and what is refused, with which words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.schedule import Block, Edge, Order, Program, Stage, after, barrier, fifo, previous_rep, ratio

U = Stage.uniform("load", "port", 6, 4)
V = Stage.uniform("compute", "core", 6, 5)


def test_durations_are_run_length() -> None:
    """Equal neighbours become one run; the sum is what a repetition holds the resource for."""
    stage = Stage.of_cycles("load", "port", [4, 4, 4, 9, 4], op="layers.in_proj")
    assert stage == Stage("load", "port", 5, ((3, 4), (1, 9), (1, 4)), "layers.in_proj")
    assert stage.cycles_per_rep == 25


def test_simple_edges() -> None:
    """One to one, all of a repetition, all of the one before, a buffer: each is one line of the edge formula."""
    assert after(U, V, lag=-2, lo=1) == Edge("load", "compute", 1, -2, 1, 1)
    assert barrier(U, V) == Edge("load", "compute", 0, 5, 1)
    assert previous_rep(U, V) == Edge("load", "compute", 0, -1, 1)
    assert fifo(U, V, 2) == Edge("compute", "load", 1, -2, 1)


def index(edge: Edge, pos: int) -> int:
    return (edge.a * pos + edge.b) // edge.c


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 20), st.integers(1, 40), st.integers(0, 30))
def test_a_stream_cut_in_two_ways(produced: int, consumed: int, skip: int, depth: int, pos: int) -> None:
    """`ratio` waits for the last unit used, `fifo` for the unit that must leave: found here unit by unit."""
    last_used = skip + (pos + 1) * consumed - 1
    assert index(ratio(U, V, produced=produced, consumed=consumed, skip=skip), pos) == Fraction(last_used) // produced
    leaving = (pos + 1) * produced - 1 - depth
    room = index(fifo(U, V, depth, produced=produced, consumed=consumed, skip=skip), pos)
    assert skip + room * consumed <= leaving < skip + (room + 1) * consumed


def test_edges_read_as_text() -> None:
    """An edge in a message says which tile waits for which."""
    assert str(after(U, V)) == "compute[pos] after load[pos]"
    assert str(barrier(U, V, hi=1)) == "compute[pos] after load[5] for 0 <= pos < 1"
    assert (
        str(Edge("load", "compute", 3, -1, 2, 4)) == "compute[pos] after load[floor((3*pos-1)/2)] for 4 <= pos < tiles"
    )


def test_a_program_knows_its_parts() -> None:
    """Resources in order of first use, tiles over all repetitions, stages by name and by resource."""
    w = Stage.uniform("store", "port", 3, 4)
    program = Program((U, V, w), (after(U, V),), reps=4)
    assert program.resources == ("port", "core")
    assert program.tiles == 4 * 15
    assert list(program.stages_on("port")) == [U, w]
    assert program.stage("store") is w
    with pytest.raises(KeyError):
        program.stage("stor")


def program(*, stages: tuple[Stage, ...] = (U, V), edges: tuple[Edge, ...] = (), **more: object) -> Program:
    return Program(stages, edges, **more)  # type: ignore[arg-type]


REFUSED: dict[str, tuple[Callable[[], Program], str]] = {
    "no stages": (lambda: program(stages=()), "program: no stages; expected at least one stage"),
    "no repetitions": (lambda: program(reps=0), "program: reps = 0; expected a whole number of at least 1"),
    "same name": (
        lambda: program(stages=(U, replace(V, name="load"))),
        "stage 'load': 2 stages of this name; expected names that differ",
    ),
    "zero tiles": (
        lambda: program(stages=(Stage("load", "port", 0, ()),)),
        "stage 'load': tiles = 0; expected at least 1 (leave out a stage that has no work)",
    ),
    "zero cycles": (
        lambda: program(stages=(Stage.uniform("load", "port", 3, 0),)),
        "stage 'load': a run of 3 tiles of 0 cycles; expected at least 1 tile and 1 cycle",
    ),
    "fractional cycles": (
        lambda: program(stages=(replace(U, durations=((6, 2.5),)),)),
        "stage 'load': durations ((6, 2.5),); expected pairs of whole numbers (tiles, cycles)",
    ),
    "short durations": (
        lambda: program(stages=(replace(U, tiles=7),)),
        "stage 'load': durations of 6 tiles; expected durations of 7 tiles",
    ),
    "unknown stage": (
        lambda: program(edges=(Edge("laod", "compute"),)),
        "edge compute[pos] after laod[pos]: unknown stage 'laod'; expected a stage of the program; "
        "did you mean 'load'?",
    ),
    "falling index": (
        lambda: program(edges=(Edge("load", "compute", -1, 5),)),
        "a = -1, c = 1; expected a >= 0 and c >= 1",
    ),
    "division by zero": (
        lambda: program(edges=(Edge("load", "compute", 1, 0, 0),)),
        "a = 1, c = 0; expected a >= 0 and c >= 1",
    ),
    "fractional rate": (
        lambda: program(edges=(Edge("load", "compute", 1.5),)),  # type: ignore[arg-type]
        "a coefficient that is no whole number; expected whole a, b, c, lo and hi",
    ),
    "mask beyond the tiles": (
        lambda: program(edges=(after(U, V, lo=3, hi=7),)),
        "lo = 3, hi = 7; expected 0 <= lo <= hi <= 6, the consumer's tiles",
    ),
    "producer index out of range": (
        lambda: program(edges=(after(U, V, lag=1),)),
        "compute[pos] after load[pos+1]: tile 5 waits for producer tile 6; expected at most 5, the producer's last",
    ),
    "order of an arbitrated resource": (
        lambda: program(orders=(Order.of("port", ("load", 6)),), arbitrated=frozenset({"port"})),
        "order of 'port': an arbitrated resource; expected a statically served one",
    ),
    "unknown resource": (
        lambda: program(arbitrated=frozenset({"prot"})),
        "program: unknown resource 'prot'; expected a resource of a stage; did you mean 'port'?",
    ),
    "two orders": (
        lambda: program(orders=(Order.of("port", ("load", 6)),) * 2),
        "order of 'port': 2 orders; expected one order for a resource",
    ),
    "empty block": (
        lambda: program(orders=(Order("port", (Block(0, (("load", 6),)),)),)),
        "order of 'port': Block(times=0, segments=(('load', 6),)); "
        "expected times, and the tiles of each segment, of at least 1",
    ),
    "order of a stranger": (
        lambda: program(orders=(Order.of("port", ("load", 6), ("lode", 1)),)),
        "order of 'port': unknown stage 'lode'; expected a stage of that resource; did you mean 'load'?",
    ),
    "order that misses a tile": (
        lambda: program(orders=(Order("port", (Block(2, (("load", 2),)), Block(1, (("load", 1),)))),)),
        "order of 'port': 5 tiles of 'load'; expected all 6 of them, each once",
    ),
    "too long": (
        lambda: program(reps=1 << 58),
        "program: 15564440312192434176 cycles of work in 3458764513820540928 tiles; "
        "expected less than 1152921504606846976 (64 bits)",
    ),
    "coefficients too large": (
        lambda: program(edges=(Edge("load", "compute", 1, -(1 << 61)),)),
        "coefficients beyond 64 bits; expected a*tiles + |b| and c below 1152921504606846976",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_programs(name: str) -> None:
    """Each fault has its message."""
    build, message = REFUSED[name]
    with pytest.raises(HwsimError) as refused:
        build()
    assert str(refused.value).endswith(message)


def test_all_faults_are_told_at_once() -> None:
    """Two bad stages and a bad edge give three faults."""
    with pytest.raises(HwsimError) as refused:
        program(stages=(replace(U, tiles=7), Stage("x", "r", 0, ())), edges=(Edge("x", "y"),))
    assert len(refused.value.faults) == 3
