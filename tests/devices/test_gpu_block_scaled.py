"""Products with block scales: tiles by the library's rule, what a step takes, and the pass that quantises."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.block_scaled import block_scaled_tiles
from hwsim.devices.gpu.gemm import GemmFormats, gemm_rows
from hwsim.devices.gpu.ranking import choices_tried, ranked_tiles
from hwsim.errors import Infeasible
from hwsim.mapping.forms import TileForm
from hwsim.workload.kernel import build_kernel

PLAIN = GemmFormats("fp8_block", "fp8_block")
QUANTISED = GemmFormats("fp8_block", "fp8_block", quantize="dynamic")
H100 = find_device("h100-sxm").parameters
RTX = find_device("rtx-pro-6000-server").parameters


def tile(m: int, n: int, k: int = 4096, card=H100) -> tuple[float, ...]:
    """The tile of one product, along its rows and columns."""
    answer = gemm_rows(card, m, n, k, PLAIN)
    return tuple(block_scaled_tiles(card.software.gemm.block.kernel)[int(answer.choices[0, 0]), :2])


def time_s(m: int, n: int, k: int, formats: GemmFormats = PLAIN, card=H100) -> float:
    """Seconds of one product."""
    return float(gemm_rows(card, m, n, k, formats).times_s[0])


def rule(m: int, n: int, sms: int = 132) -> tuple[int, int]:
    """DeepGEMM's choice, one candidate after the other: fewest waves, then the fullest last one, then the narrowest."""
    tall, wide = (n, m) if m < 32 else (m, n)
    height = 64 if tall <= 64 else 128
    best: tuple[int, int, int] | None = None
    for width in range(16, 129, 8):
        blocks = math.ceil(tall / height) * math.ceil(wide / width)
        waves, last = math.ceil(blocks / sms), blocks % sms or sms
        if best is None or waves < best[0] or (waves == best[0] and last > best[1]):
            best = waves, last, width
    assert best is not None
    return (best[2], height) if m < 32 else (height, best[2])


@settings(max_examples=200)
@given(m=st.integers(1, 5000), n=st.integers(1, 70000))
def test_the_tile_is_the_one_of_the_rule(m: int, n: int) -> None:
    """The rule written as a loop over candidates, as the library has it, gives the same tile."""
    assert tile(m, n) == rule(m, n)


def test_tiles_by_hand() -> None:
    """Two rows of tiles by 64 columns of 24 fill 128 of 132 SMs; a few rows are the narrow operand; sm_120 has one."""
    assert tile(160, 1536) == (128, 24)
    assert tile(8, 2048) == (16, 128)
    assert tile(160, 1536, card=RTX) == tile(8, 64, card=RTX) == (64, 128)


def test_a_wave_more_is_paid_whole() -> None:
    """On sm_120 rows go in 64s: 193 to 256 take as long, 257 start a fourth wave of 188 SMs."""
    times = [time_s(m, 16384, 3584, card=RTX) for m in (193, 256, 257)]
    assert times[0] == pytest.approx(times[1], rel=0.05)
    assert times[2] > 1.2 * times[1]


def test_rows_past_the_end_are_paid_dearly() -> None:
    """On Hopper 129 rows of two tiles take longer than 225 of the same two: what is not there loads slowly."""
    assert tile(129, 10240) == tile(225, 10240)
    assert time_s(129, 10240, 3584) > 1.2 * time_s(225, 10240, 3584)


def test_pairs_that_share_their_rows_are_faster() -> None:
    """1,792 rows go in even tiles of 128, whose pairs load a once; one row more takes 120 columns and none."""
    assert tile(1792, 7168) == (128, 128)
    assert tile(1793, 7168) == (128, 120)
    assert time_s(1793, 7168, 8192) > 1.2 * time_s(1792, 7168, 8192)


def test_quantising_is_a_chain() -> None:
    """sm_120 quantises a row in 64 at a time, so 64 rows more cost a link whatever k; Hopper by elements."""
    link = RTX.software.gemm.block.quantize_step.value / RTX.chip.tensor_clock.value
    for k in (256, 4096):
        extra = [time_s(m, 256, k, QUANTISED, RTX) - time_s(m, 256, k, PLAIN, RTX) for m in (6400, 6464)]
        assert extra[1] - extra[0] == pytest.approx(link, rel=0.1)
    whole = 132 * 64 * 128
    links = [time_s(m, 4096, 4096, QUANTISED) - time_s(m, 4096, 4096, PLAIN) for m in (whole // 4096, whole // 2048)]
    assert 1.5 < links[1] / links[0] < 2.5


def test_rows_at_once_are_rows_one_by_one() -> None:
    """Arrays of shapes give what each shape gives alone, to the last bit."""
    rng = np.random.default_rng(4)
    m, n, k = (np.floor(2 ** rng.uniform(0, 13, 300)) for _ in range(3))
    for card in (H100, RTX):
        together = gemm_rows(card, m, n, k, QUANTISED)
        for place in range(300):
            alone = gemm_rows(card, m[place], n[place], k[place], QUANTISED)
            assert alone.times_s[0] == together.times_s[place]
            assert alone.bounds[0] == together.bounds[place]


def test_a_mapping_may_name_the_tile_and_no_other() -> None:
    """The kernel's own tile runs; another, or a split, is not offered; the ranking holds the one tile."""
    own = TileForm(kind="gemm", dims={}, tm=128, tn=24, tk=128, split=1)
    other = replace(own, tn=32)
    answer = gemm_rows(H100, 160, 1536, 4096, PLAIN, only=own)
    assert not isinstance(answer, Infeasible)
    assert float(answer.times_s[0]) == time_s(160, 1536, 4096)
    assert isinstance(gemm_rows(H100, 160, 1536, 4096, PLAIN, only=other), Infeasible)
    op = build_kernel("gemm", {"m": 160, "n": 1536, "k": 4096, "dtype": "fp8_block"})
    (only,) = ranked_tiles(H100, op)
    assert (only.tm, only.tn, only.split) == (128, 24, 1)
    assert "takes for the shape" in only.reason
    assert choices_tried(H100, op) == (60, 1)


def test_stacks_without_rows_keep_the_common_form() -> None:
    """Ada has no such kernel in its file: its products with block scales are those of 8 bits, with smaller floors."""
    ada = find_device("rtx-4090").parameters
    assert ada.software.gemm.block is None
    answer = gemm_rows(ada, 512, 4096, 4096, QUANTISED)
    assert not isinstance(answer, Infeasible)


def test_a_cache_without_end_misses_nothing() -> None:
    """An L2 that holds everything: nothing comes from memory, and the product is no slower."""
    ideal = find_device("h100-sxm", ("l2.capacity=.inf",)).parameters
    endless, shipped = (gemm_rows(card, 4096, 65536, 5120, QUANTISED) for card in (ideal, H100))
    assert endless.dram_bytes[0] == 0.0
    assert endless.times_s[0] <= shipped.times_s[0]
