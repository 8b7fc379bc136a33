"""The timing rules against loops that count one cycle at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hwsim.timing.linear import gemm_cycles, output_tiles, tile_cycles, token_passes
from hwsim.timing.scan import scan_cycles, scan_tile_cycles, state_passes
from hwsim.timing.vector import conv_tile_cycles, pass_cycles, rms_norm_cycles

few = st.integers(1, 12)
many = st.integers(1, 60)


def count(items: int, at_once: int) -> int:
    """Cycles to take ``items`` things, up to ``at_once`` in each."""
    cycles = 0
    while items > 0:
        items -= at_once
        cycles += 1
    return cycles


@given(many, many, few, few, few, few)
def test_gemm_takes_a_cycle_for_each_block_of_the_core(
    n: int, k: int, tokens: int, tp: int, cip: int, cop: int
) -> None:
    """Walking over output tiles, token passes and input blocks, one block a cycle, gives the closed form."""
    cycles = 0
    for _ in range(0, n, cop):
        for _ in range(0, tokens, tp):
            for _ in range(0, k, cip):
                cycles += 1
    assert gemm_cycles(n, k, tokens, tp=tp, cip=cip, cop=cop) == cycles
    assert output_tiles(n, cop) * tile_cycles(k, tokens, tp=tp, cip=cip) == cycles
    assert token_passes(tokens, tp) == count(tokens, tp)


@given(many, few, few, few, few, st.sampled_from([1, 2]))
def test_scan_passes_each_tile_through_the_lanes(
    d_inner: int, d_state: int, tokens: int, tile: int, lanes: int, ports: int
) -> None:
    """Tile by tile, token by token: the state once through the lanes, and back again with a single port."""
    cycles = 0
    for _ in range(0, d_inner, tile):
        for _ in range(tokens):
            cycles += count(tile * d_state, lanes)
            if ports == 1:
                cycles += count(tile * d_state, lanes)
    assert scan_cycles(d_inner, d_state, tokens, tile_channels=tile, lanes=lanes, ports=ports) == cycles
    assert scan_tile_cycles(tile, d_state, tokens, lanes=lanes, ports=ports) * count(d_inner, tile) == cycles


def test_a_single_port_reads_and_then_writes() -> None:
    """HT_STATE: 128 cycles read-out and 128 cycles write-back of a tile of 8 channels; a second port saves half."""
    assert (state_passes(1), state_passes(2)) == (2, 1)
    assert scan_tile_cycles(8, 128, 1, lanes=8, ports=1) == 128 + 128
    assert scan_tile_cycles(8, 128, 1, lanes=8, ports=2) == 128


@given(many, few, few, st.integers(0, 40))
def test_norm_passes_twice_over_the_channels(channels: int, tokens: int, lanes: int, root: int) -> None:
    """Sum of squares for each token, the root, then the scaling for each token."""
    summing = sum(count(channels, lanes) for _ in range(tokens))
    assert rms_norm_cycles(channels, tokens, lanes=lanes, root_cycles=root) == summing + root + summing
    assert pass_cycles(channels, tokens, lanes=lanes) == summing
    assert conv_tile_cycles(channels, tokens, lanes=lanes) == summing


def test_released_layer() -> None:
    """Mamba-2 2.7B on 8 x 8 multipliers and 8 lanes: the figures of the released design."""
    assert gemm_cycles(10576, 2560, 1, tp=1, cip=8, cop=8) == 423_040
    assert gemm_cycles(2560, 5120, 1, tp=1, cip=8, cop=8) == 204_800
    assert scan_cycles(5120, 128, 1, tile_channels=8, lanes=8, ports=1) == 163_840
    assert rms_norm_cycles(2560, 1, lanes=8, root_cycles=0) == 320 + 320
    assert rms_norm_cycles(5120, 1, lanes=8, root_cycles=0) == 640 + 640
