"""Pipelined cycles: the engine's integers, the systolic array's, never below ideal, every byte on its port."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nest_draws import ALL, machine, nests

from hwsim.kernels.loopnest_rounds import round_durations
from hwsim.kernels.loopnest_walk import pipelined_cycles as walk
from hwsim.mapping.account import Traffic, account
from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.mapping.nest import For, Hold, Nest, Spread
from hwsim.mapping.pipelined import pipelined_cycles, program_of, rounds_of
from hwsim.mapping.problem import conv2d, gemm
from hwsim.schedule import run
from hwsim.timing.linear import systolic_os_cycles, systolic_ws_cycles

PROBLEMS = [gemm(4, 6, 4), gemm(2, 4, 3, batch=2), conv2d(1, 4, 2, 4, 2, 2, 1), conv2d(1, 2, 2, 3, 1, 3, 1, stride=2)]
MORE = [
    gemm(5, 7, 3),
    gemm(13, 2, 9),
    conv2d(1, 4, 2, 3, 2, 2, 2, dilation=2),
    conv2d(1, 4, 4, 3, 1, 3, 1, groups=2),
    conv2d(2, 3, 3, 3, 2, 2, 1, stride=2, groups=3),
]
"""Primes, dilated, grouped, depthwise and strided."""
ROOM = 1 << 12


def bytes_of_ports(problem, hierarchy, nest):
    """Bytes through every port at the busiest instance, all rounds together, and the PEs' steps."""
    tables = rounds_of(problem, hierarchy, nest)
    rows, busy = round_durations(tables._replace(bandwidth=np.ones_like(tables.bandwidth)), ROOM)
    return rows.sum(axis=(0, 1)), busy.sum()


@pytest.mark.parametrize("problem", PROBLEMS, ids=["gemm", "batched", "conv", "strided"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_rounds_move_what_the_account_says(problem, data):
    """Perfect nests: the bytes of all rounds at the busiest instance are the account's, port by port."""
    nest, hierarchy = data.draw(nests(problem, perfect=True)), machine()
    moved, steps = bytes_of_ports(problem, hierarchy, nest)
    cost = account(problem, hierarchy, nest)
    tables = rounds_of(problem, hierarchy, nest)
    for index, level in enumerate(hierarchy.levels):
        rows = [cost.traffic.get((level.name, operand.name), Traffic()) for operand in problem.operands]
        assert moved[tables.read_port[index]] == sum(row.peak_reads for row in rows)
        assert moved[tables.write_port[index]] == sum(row.peak_writes for row in rows)
    assert steps == cost.cycles_by["compute"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_imperfect_rounds_move_what_the_account_says(data):
    """Edge tiles, without lanes: the same."""
    problem, hierarchy = gemm(5, 7, 3), machine()
    drawn = data.draw(nests(problem, perfect=False))
    nest = Nest(tuple(step for step in drawn.steps if not isinstance(step, Spread)))
    moved, steps = bytes_of_ports(problem, hierarchy, nest)
    cost = account(problem, hierarchy, nest)
    peaks = [0.0] * len(moved)
    tables = rounds_of(problem, hierarchy, nest)
    for (level, _), row in cost.traffic.items():
        index = hierarchy.level_index(level)
        peaks[tables.read_port[index]] += row.peak_reads
        peaks[tables.write_port[index]] += row.peak_writes
    assert list(moved) == peaks
    assert steps == cost.cycles_by["compute"]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_recurrence_gives_the_engine_s_integers(data):
    """Any nest, buffers and kind of array: the engine's makespan of the rounds written down, to the cycle."""
    problem = data.draw(st.sampled_from([*PROBLEMS, *MORE]))
    perfect = data.draw(st.booleans())
    doubled = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    hierarchy = machine(data.draw(st.booleans()), doubled, data.draw(st.sampled_from(["", "weight", "output"])))
    nest = data.draw(nests(problem, perfect=perfect))
    hierarchy = replace(hierarchy, macs_per_cycle=data.draw(st.sampled_from([1, 3])))
    program = program_of(problem, hierarchy, nest, ROOM)
    assert pipelined_cycles(problem, hierarchy, nest) == run(program).makespan_cycles


LONG = [gemm(7, 60, 45), gemm(3, 5, 4, batch=90), gemm(64, 33, 9), conv2d(1, 6, 5, 40, 3, 3, 1)]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_leaving_out_trips_that_repeat_changes_nothing(data):
    """Any nest of long loops: the same cycles and rounds as every round walked."""
    problem, doubled = data.draw(st.sampled_from(LONG)), data.draw(st.tuples(*[st.booleans()] * 3))
    hierarchy = machine(data.draw(st.booleans()), doubled, data.draw(st.sampled_from(["", "weight", "output"])))
    nest = data.draw(nests(problem, perfect=data.draw(st.booleans())))
    tables = rounds_of(problem, hierarchy, nest)
    assert walk(tables, True) == walk(tables, False)


def test_long_walks_end():
    """10^10 rounds, which nobody would walk: so many times the cycles of a shorter walk, but for its ends."""
    loops = (For("batch", 1), For("m", 4), Spread("rows", "m", 1), Spread("columns", "n", 1), Hold("reg", "O"))
    some, more, most = (
        pipelined_cycles(gemm(4000, 4, 9, batch=batch), systolic(4, "output"), Nest(loops))
        for batch in (100, 200, 10**7)
    )
    assert most == some + (more - some) * (10**7 - 100) // 100


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_never_below_ideal_and_double_buffers_never_slow(data):
    """Pipelined is at least ideal; a second buffer on every level makes nothing slower."""
    problem = data.draw(st.sampled_from(PROBLEMS))
    nest = data.draw(nests(problem, perfect=True))
    single, double = (pipelined_cycles(problem, machine(doubled=(flag,) * 3), nest) for flag in (False, True))
    assert single >= account(problem, machine(), nest).cycles
    assert double >= account(problem, machine(), nest).cycles


def systolic(side, kind):
    """A systolic array whose memories never make it wait."""
    rows = SpatialAxis("rows", side, ("k",) if kind == "weight" else ("m",), ALL)
    parts = (
        Level("mem", inf, inf, inf, 1, 1, ALL),
        Fanout((rows, SpatialAxis("columns", side, ("n",), ALL))),
        Level("reg", 1, inf, inf, 1, 1, frozenset({kind}), double_buffered=False),
    )
    return Hierarchy("systolic", 1e9, parts, 1, systolic=kind)


@pytest.mark.parametrize("side", [2, 4, 16])
@pytest.mark.parametrize("length", [1, 3, 16, 40])
def test_weight_stationary_nests_take_the_array_s_cycles(side, length):
    """Tiles of weights back to back: the rule that the Verilog is held to."""
    problem = gemm(length, 3 * side, 2 * side)
    loops = (For("n", side), For("k", side), Spread("rows", "k", 1), Spread("columns", "n", 1), Hold("reg", "W"))
    assert pipelined_cycles(problem, systolic(side, "weight"), Nest(loops)) == systolic_ws_cycles(6, length, side)


@pytest.mark.parametrize("side", [2, 4, 16])
@pytest.mark.parametrize("length", [1, 3, 16, 40])
def test_output_stationary_nests_take_the_array_s_cycles(side, length):
    """Tiles of outputs back to back: the rule that the Verilog is held to."""
    problem = gemm(2 * side, 3 * side, length)
    loops = (For("m", side), For("n", side), Spread("rows", "m", 1), Spread("columns", "n", 1), Hold("reg", "O"))
    assert pipelined_cycles(problem, systolic(side, "output"), Nest(loops)) == systolic_os_cycles(6, length, side)
