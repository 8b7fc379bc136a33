"""One thread's pipeline: the closed form against the engine, buffers, page restarts, and instruction counts."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.cpu.instructions import avx_tile, decompression_share, expand_tile, mix_cycles, port_cycles
from hwsim.devices.cpu.pipeline import Pipe, least_cycles, pipe_program
from hwsim.schedule import run

SPR = find_device("spr-56c").parameters.vector


def length(pipe):
    """Cycles on the engine."""
    return run(pipe_program(pipe, "op")).makespan_cycles


@given(st.integers(1, 40), st.integers(1, 4), st.lists(st.integers(1, 60), min_size=4, max_size=4), st.integers(1, 2))
def test_the_bound_is_the_engine_on_equal_tiles(tiles, reps, cycles, buffers):
    """Equal tiles of whole cycles, no page restarts: the closed form and the engine agree to the cycle."""
    memory, core, vector, amx = cycles
    pipe = Pipe(tiles, reps, memory=memory, core=core, vector=vector, amx=amx, window=3, buffers=buffers)
    assert length(pipe) == least_cycles(pipe)


_CYCLES = st.floats(0, 50)


@given(
    st.integers(1, 40), st.integers(1, 4), st.lists(_CYCLES, min_size=5, max_size=5), st.floats(0, 90), st.floats(0, 1),
    _CYCLES, st.integers(1, 6), st.integers(1, 2),
)  # fmt: skip
def test_the_engine_does_not_go_below_the_bound(tiles, reps, cycles, restart, pages, tail, window, buffers):
    """Broken cycles, page restarts, tails and buffers of any size: never below, as the search relies on it."""
    assume(any(cycle > 1e-3 for cycle in cycles))
    memory, core, cache, vector, amx = cycles
    pipe = Pipe(tiles, reps, memory, core, restart, pages, cache, vector, amx, tail, window, buffers)
    assert least_cycles(pipe) <= length(pipe)
    stages = [pipe_cycles(pipe, name) for name in pipe.active]
    assert least_cycles(pipe) >= max(reps * sum(each) for each in stages)


def pipe_cycles(pipe, name):
    """Whole cycles of a stage's tiles, as the program has them."""
    (stage,) = [each for each in pipe_program(pipe, "op").stages if each.resource == name]
    return [cycles for count, cycles in stage.durations for _ in range(count)]


@given(st.floats(1, 40), st.floats(1, 40), st.integers(0, 60), st.floats(0, 1), st.integers(1, 6))
def test_restarts_and_buffers_bound_the_time(core, vector, restart, pages, window):
    """Between the slowest stage alone and both in turn; a deeper window is never slower."""
    pipe = Pipe(64, 2, core=core, vector=vector, restart=restart, pages=pages, window=window)
    held = pipe.durations
    deeper = Pipe(64, 2, core=core, vector=vector, restart=restart, pages=pages, window=window + 1)
    assert 128 * max(held["memory_core"], held["vector"]) - 2 <= length(pipe)
    assert length(pipe) <= 128 * (held["memory_core"] + held["vector"]) + 8 + 2 * restart
    assert length(deeper) <= length(pipe)


def test_a_restart_is_hidden_only_as_far_as_tiles_wait():
    """One restart of 100 cycles each 8 tiles of 20: a window of 2 hides less of it than a window of 8."""
    times = [length(Pipe(256, 1, core=4, vector=20, restart=100, pages=1 / 8, window=w)) for w in (2, 8)]
    assert times[0] > times[1]
    assert times[1] == pytest.approx(256 * 20, rel=0.05)


def test_a_pipeline_needs_work():
    """No stage holds a tile: a mistake of ours, not of the user."""
    with pytest.raises(ValueError, match="without work"):
        Pipe(1, 1)


def test_counts_of_the_released_kernel():
    """Some 80 instructions and 145 micro-operations for a bf16 tile; port 5 needs 53 cycles, 56 for int8."""
    mix = expand_tile("bf16", sparse=True)
    assert 76 <= sum(mix.values()) + 2.5 <= 82
    assert sum(count * SPR.instructions[name].micro_ops.value for name, count in mix.items()) == pytest.approx(
        145, rel=0.03
    )
    assert port_cycles(SPR, mix)["shuffle"] == 53
    assert mix_cycles(SPR, mix) == 53
    assert mix_cycles(SPR, expand_tile("int8", sparse=True, computed="int8")) == 56


def test_decompression_is_most_of_the_instructions():
    """DECA (section 4.2): more than 95 % of the dynamic instructions."""
    assert decompression_share(expand_tile("bf16", sparse=True), 2.5) > 0.95


def test_dense_tiles_of_the_same_format_need_no_expansion():
    """Nothing to do for dense bf16; narrower weights are widened, sparse or not."""
    assert expand_tile("bf16", sparse=False) == {}
    assert expand_tile("fp8_e5m2", sparse=False)["convert"] == 16
    assert expand_tile("fp8_e5m2", sparse=True)["expand"] == 16
    assert mix_cycles(SPR, expand_tile("int4", sparse=False)) > mix_cycles(SPR, expand_tile("fp8_e5m2", sparse=False))


def test_vector_kernels_multiply_all_weights():
    """512 products of bf16 are 16 dot instructions for each row; the sparse kernel unpacks again for each row."""
    dense, sparse = (avx_tile(SPR, "bf16", "bf16", flag, rows=4) for flag in (False, True))
    assert dense["dot"] == sparse["dot"] == 64
    assert sparse["expand"] == 64
    assert dense["load"] == 16 + 64 / 4  # weights once for 6 rows, activations once for 4 column tiles
