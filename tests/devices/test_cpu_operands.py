"""Operands between caches and registers: the closed forms against a least-recently-used cache that is walked."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.cpu.blocking import Split, product_of
from hwsim.devices.cpu.choice import fixed_cycles, planned_as
from hwsim.devices.cpu.operands import (
    arriving_cycles,
    depth_blocks,
    operand_cycles,
    passes_over_weights,
    register_block,
)
from hwsim.pipeline import kernel
from hwsim.workload.kernel import build_kernel

XEON = find_device("xeon-8475b")
SINGLE = find_device("xeon-8475b", ("stack=tract",))


def gemm(**arguments):
    """A bf16 product on one core."""
    return build_kernel("gemm", {"dtype": "bf16", "kernel": "amx", "cores": 1, **arguments})


def walked_misses(rows, columns, depth, block, lines):
    """Tiles of 1 KiB that enter a cache of ``lines`` tiles in a product, the first times of weights left out."""
    cache, misses, seen = OrderedDict(), 0, set()
    for column in range(0, columns, block.columns):
        for row in range(0, rows, block.rows // 16):
            for k in range(depth):
                wanted = [("a", row + i, k) for i in range(block.rows // 16)]
                wanted += [("b", column + i, k) for i in range(block.columns)]
                for tile in wanted:
                    if tile in cache:
                        cache.move_to_end(tile)
                    elif tile[0] == "a" or tile in seen:
                        misses += 1
                    seen.add(tile)
                    cache[tile] = None
                    if len(cache) > lines:
                        cache.popitem(last=False)
    return misses


@pytest.mark.parametrize("rows", [32, 64, 96])
@pytest.mark.parametrize("depth", [4, 8, 16, 24])
def test_bytes_out_of_l2_are_those_of_a_walked_cache(rows: int, depth: int) -> None:
    """Activations and weights that come again: within a tenth of a cache that keeps what was used last."""
    product = product_of(gemm(m=rows, n=512, k=32 * depth))
    blocking = XEON.map(gemm(m=rows, n=512, k=32 * depth))
    block = register_block(XEON.parameters, "amx")
    misses = walked_misses(rows // 16, blocking.column_tiles, depth, block, lines=48)
    cycles = operand_cycles(XEON.parameters, product, blocking, 0.0) * blocking.k_tiles * blocking.column_tiles
    bytes_in = cycles * XEON.parameters.caches.l2_bytes_per_cycle.value
    first = rows // 16 * depth if not cycles else 0  # the first walk over activations, which then stay
    assert bytes_in == pytest.approx(1024 * (misses - first), rel=0.1)


def test_panels_beyond_l1_cost_their_loads_too() -> None:
    """512 of k keep both panels out of L1: activations come from L2, in turn with all loads; 128 of k stay."""
    found = []
    for k in (128, 512):
        op = gemm(m=32, n=4096, k=k)
        found.append(operand_cycles(XEON.parameters, product_of(op), XEON.map(op), 16.0))
    assert found == [0.0, 16.0 + 1024 / 64]


@settings(max_examples=60)
@given(st.integers(1, 5000), st.integers(1, 40000), st.floats(1, 8))
def test_a_larger_l2_never_asks_for_more_passes(rows: int, k: int, times: float) -> None:
    """Passes cover all rows, and fall with L2; one where it holds all activations."""
    product = product_of(gemm(m=rows, n=64, k=k))
    small, large = (find_device("xeon-8475b", (f"caches.l2={2 * f}MiB",)).parameters for f in (1.0, times))
    counts = [passes_over_weights(p, product, "amx", rows) for p in (small, large)]
    assert counts[0] >= counts[1] >= 1
    if rows * 64 * product.k_tiles <= small.caches.l2.value / 2:
        assert counts[0] == depth_blocks(small, product, rows) == 1


def test_a_long_prompt_runs_below_the_peak_of_the_tile_unit() -> None:
    """4096 rows: between a third and four fifths of it, as operands pass L2's port; was 88 %."""
    op = build_kernel("gemm", dict(m=4096, n=4096, k=4096, dtype="bf16"))
    answer = kernel(op, XEON)
    share = answer.macs / answer.time_s / (48 * 512 * 2.5e9)
    assert 0.33 < share < 0.8


def test_a_long_k_is_split_where_columns_are_outer() -> None:
    """32 MiB of activations in parts of 1024 along k; with rows outside, 32 of them stay whole."""
    op = gemm(m=4096, n=4096, k=4096)
    splits = [Split("amx", loop, 1, 6) for loop in ("columns-outer", "rows-outer")]
    assert [planned_as(XEON.parameters, op, each).blocking.depth_blocks for each in splits] == [4, 1]


def test_single_blocks_take_their_calls() -> None:
    """256 blocks of 16 x 16 of a micro-kernel: more time than a blocked library, and the calls' cycles at least."""
    op = {"m": 256, "n": 256, "k": 256}
    blocked, single = (kernel(gemm(**op), device) for device in (XEON, SINGLE))
    call = SINGLE.parameters.stacks["tract"].block_call.value
    assert single.cycles > 256 * call > blocked.cycles


def test_one_thread_starts_no_others() -> None:
    """The region's time is that of starting and joining threads: none on one core."""
    op = gemm(m=1, n=32, k=32, cores=2)
    one, two = (planned_as(XEON.parameters, op, Split("avx512", "columns-outer", 1, each)) for each in (2, 1))
    assert (one.threads, two.threads) == (1, 2)
    more = fixed_cycles(XEON.parameters, two) - fixed_cycles(XEON.parameters, one)
    assert more == pytest.approx(4e-6 * XEON.clock_hz, abs=1)


def test_a_small_product_starts_no_threads() -> None:
    """Two column tiles of 32: less work than the start of a second thread takes."""
    answer = kernel(gemm(m=1, n=32, k=32, cores=2), XEON)
    assert (answer.mapping["cores"], answer.mapping["spare_cores"]) == (1, 1)
    assert any("left out" in note for note in answer.notes)


def test_few_cores_keep_the_turbo_clock() -> None:
    """The tile unit's clock lies between turbo and that of all cores, by the share of cores at work."""
    shape = dict(m=2048, k=256)
    one = kernel(gemm(**shape, n=512), XEON)
    all_cores = kernel(gemm(**shape, n=512 * 48, cores=48), XEON)
    ratio = one.utilization["amx"] * one.time_s / (all_cores.utilization["amx"] * all_cores.time_s)
    assert ratio == pytest.approx(2.5 / (3.2 - 0.7 / 48), rel=0.02)


def test_activations_come_to_each_core_once() -> None:
    """From LLC for all that other threads wrote, once for a thread's column tiles; one thread finds its own in L2."""
    p, rate = XEON.parameters, XEON.parameters.caches.llc_bytes_per_cycle.value
    op = gemm(m=64, n=4096, k=1024, cores=32)
    wide, alone = (planned_as(p, op, Split("amx", "columns-outer", 1, each)).blocking for each in (8, 256))
    assert arriving_cycles(p, wide, 64) == pytest.approx(64 * 64 * (31 / 32) / 8 / rate)
    assert arriving_cycles(p, alone, 64) == 0.0
    long = planned_as(p, gemm(m=4096, n=4096, k=4096), Split("amx", "columns-outer", 1, 256)).blocking
    assert arriving_cycles(p, long, 4096) == pytest.approx(64 * 4096 * (31 / 32) / 256 / rate)


def test_columns_apart_read_all_activations() -> None:
    """4096 rows on 48 threads: splitting columns alone has each thread read all of them; rows are split too."""
    found = kernel(build_kernel("gemm", dict(m=4096, n=4096, k=4096, dtype="bf16")), XEON).mapping
    assert found["row_groups"] > 1
    assert found["column_tiles"] > -(-256 // 48)
