"""Beats and cycles of the memory port: the released design's integers, and every stream's sums."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from fpga_cases import LAYERS, layer_named, layer_program, machine, shipped
from hypothesis import given
from hypothesis import strategies as st

from hwsim.devices.base import PassWork
from hwsim.devices.fpga.body import layer_body
from hwsim.devices.fpga.layer import gemm_tiles
from hwsim.devices.fpga.load import Load, loads_of
from hwsim.devices.fpga.traffic import (
    conv_beats,
    input_bits,
    nominal_bytes_per_s,
    scaled_bits,
    split_beats,
    state_beats,
    transfer,
    weight_beats,
)

D_MODEL, IN_PROJ, D_INNER, CONV_DIM, STATE = 2560, 10576, 5120, 5376, 5120 * 128
WEIGHTS = D_MODEL * IN_PROJ + D_INNER * D_MODEL


def released_load() -> Load:
    (load,) = loads_of(shipped("vck190").parameters, PassWork("decode", 1))
    return load


def beats_of_streams() -> dict[str, int]:
    return dict(layer_body(shipped("vck190").parameters, layer_named(), released_load()).beats)


def test_beats_of_a_released_layer() -> None:
    """Weights with two 3-bit shifts per 128, 8-bit state and conv with a 4-bit shift per 8, in 256-bit beats."""
    streams = beats_of_streams()
    weights = sum(beats for name, beats in streams.items() if name.startswith("weights."))
    assert weights == (WEIGHTS * 4 + WEIGHTS // 128 * 6) // 256 + 2 == 635_199
    conv = (4 * CONV_DIM * 8 + 4 * CONV_DIM // 8 * 4) // 256
    state = (STATE * 8 + STATE // 8 * 4) // 256
    assert (streams["conv_in"], streams["conv_weights"], streams["conv_out"]) == (conv, conv, conv) == (714,) * 3
    assert (streams["state_in"], streams["state_out"]) == (state, state) == (21_760, 21_760)
    assert sum(streams.values()) == weights + 3 * conv + 2 * state == 680_861
    assert sum(streams.values()) * LAYERS == 43_575_104


def test_released_burst_order() -> None:
    """conv in, conv weights, hidden state, weights, conv out, hidden state out: the order of M_AXI_FLOW.cpp."""
    program = layer_program(shipped("vck190"), PassWork("decode", 1))
    assert [stage.name for stage in program.stages_on("memory")] == [
        "conv_in",
        "conv_weights",
        "state_in",
        "weights.in_proj",
        "weights.out_proj",
        "conv_out",
        "state_out",
    ]
    bursts = {stage.name: stage.tiles for stage in program.stages_on("memory")}
    assert bursts["state_in"] == 21_760 // 256
    assert bursts["conv_in"] == math.ceil(714 / 256)


def test_cycles_of_a_released_layer() -> None:
    """GEMM 423,040 and 204,800; SSM 163,840 with 8 lanes; each unit's busy cycles by its own count."""
    program = layer_program(shipped("vck190"), PassWork("decode", 1))
    busy = {stage.name: stage.cycles_per_rep for stage in program.stages}
    assert busy["in_proj"] == D_MODEL * IN_PROJ // 64 == 423_040
    assert busy["out_proj"] == D_INNER * D_MODEL // 64 == 204_800
    assert busy["scan"] == 640 * (128 + 128) == 163_840
    assert busy["residual"] + busy["norm"] == 320 + 320 + 9
    assert busy["gate"] + busy["norm_out"] == 640 + 640 + 9
    assert busy["conv"] == CONV_DIM // 8
    assert program.stage("in_proj").tiles * 320 == (32 + 10 * 129) * 320 == 423_040


def test_nominal_bandwidth_is_the_lesser_of_port_and_memory() -> None:
    """12.8 GB/s of port at 400 MHz, or what the memory gives."""
    assert nominal_bytes_per_s(machine("vck190", {"memory.bandwidth": 1e15}).parameters) == 256 / 8 * 400e6
    assert nominal_bytes_per_s(shipped("vck190").parameters) == 10.05e9
    assert nominal_bytes_per_s(machine("vck190", {"clock": 200e6}).parameters) == 6.4e9


@given(st.integers(1, 10**7), st.integers(1, 512), st.floats(1e8, 1e12), st.floats(5e7, 1e9))
def test_bursts_add_up_to_the_beats(beats: int, burst: int, bandwidth: float, clock: float) -> None:
    """Cycles are the beats at the slower of port and memory, rounded up; bursts are as equal as can be."""
    values = {"memory.burst_beats": burst, "memory.bandwidth": bandwidth, "clock": clock}
    moved = transfer(machine("vck190", values).parameters, beats)
    assert moved is not None
    assert moved.bursts == math.ceil(beats / burst)
    exact = Fraction(beats) * max(Fraction(1), Fraction(32) * Fraction(clock) / Fraction(bandwidth))
    assert moved.cycles == sum(count * cycles for count, cycles in moved.durations)
    assert exact - Fraction(1, 10**5) <= moved.cycles <= exact + 1
    lengths = [cycles for _, cycles in moved.durations]
    assert max(lengths) - min(lengths) <= 1


def test_nothing_to_move_is_no_transfer() -> None:
    """A stream of no beats has no stage."""
    assert transfer(shipped("vck190").parameters, 0) is None


@given(st.integers(0, 10**7), st.lists(st.integers(1, 10**6), min_size=1, max_size=6))
def test_split_beats_keep_the_sum_and_the_proportion(total: int, parts: list[int]) -> None:
    """Shares add up exactly, and each is within one beat of its proportion."""
    shares = split_beats(total, parts)
    assert sum(shares) == total
    assert all(abs(share - total * part / sum(parts)) <= 1 for share, part in zip(shares, parts, strict=True))


@given(st.integers(1, 5000), st.integers(1, 16), st.integers(1, 32), st.integers(1, 300))
def test_scales_are_counted_per_group(elements: int, bits: int, scale: int, group: int) -> None:
    """Payload plus a share of a scale for each element, rounded up to bits."""
    assert scaled_bits(elements, bits, scale, group) == elements * bits + math.ceil(Fraction(elements * scale, group))


@pytest.mark.parametrize("weights", [1, 127, 128, 10**6])
def test_weight_stream_ends_with_two_beats(weights: int) -> None:
    """floor(bits / 256) + 2 whatever the length."""
    p = shipped("vck190").parameters
    assert weight_beats(p, weights) == (weights * 4 + math.ceil(weights * 6 / 128)) // 256 + 2


def test_state_beats_round_up() -> None:
    """A window of conv inputs is its taps for each channel."""
    p = shipped("vck190").parameters
    assert input_bits(p, 8) == 8 * 8 + 4
    assert state_beats(p, 8) == 1
    assert conv_beats(p, 5376, 4) == state_beats(p, 4 * 5376) == 714


def test_gemm_weights_are_those_of_the_model() -> None:
    """No weight is lost or counted twice, for both kinds of layer."""
    p = shipped("vck190").parameters
    assert sum(gemm.weights for gemm in gemm_tiles(p, layer_named())) == WEIGHTS == 40_181_760
    # Mamba-1 2.8B: in_proj 2560 -> 10240, x_proj 5120 -> 160 + 32, dt_proj 160 -> 5120, out_proj 5120 -> 2560
    one = sum(gemm.weights for gemm in gemm_tiles(p, layer_named("mamba-2.8b")))
    assert one == 2560 * 10240 + 5120 * 192 + 160 * 5120 + 5120 * 2560
