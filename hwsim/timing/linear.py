"""Cycles of the GEMM tensor core: TP x CIP x COP multiply-accumulators, II = 1.

Each cycle the core takes CIP input channels of one weight row block and updates COP outputs of up to TP
token slots at once (weights are broadcast over the token slots). An output tile is COP outputs wide.

Source of the shape: PKU-SEC-Lab/LightMamba, ``tensor_core.h`` (TP x CIP x COP, weights broadcast over TP).
"""

from __future__ import annotations

__all__ = [
    "core_latency_cycles",
    "gemm_cycles",
    "gemm_total_cycles",
    "output_tiles",
    "systolic_os_cycles",
    "systolic_tile_interval",
    "systolic_wave_cycles",
    "systolic_ws_cycles",
    "tile_cycles",
    "token_passes",
]


def token_passes(tokens: int, tp: int) -> int:
    """Passes over one weight tile that ``tokens`` need with ``tp`` token slots: ceil(tokens / tp)."""
    return -(-tokens // tp)


def output_tiles(n: int, cop: int) -> int:
    """Output tiles of a layer with ``n`` output channels, ``cop`` outputs each."""
    return -(-n // cop)


def tile_cycles(k: int, tokens: int, *, tp: int, cip: int) -> int:
    """Cycles of one output tile: ceil(k / cip) for each pass over the tile's weights."""
    return -(-k // cip) * token_passes(tokens, tp)


def gemm_cycles(n: int, k: int, tokens: int, *, tp: int, cip: int, cop: int) -> int:
    """Cycles of a whole layer of ``n`` outputs and ``k`` inputs for ``tokens`` tokens, weights never late."""
    return output_tiles(n, cop) * tile_cycles(k, tokens, tp=tp, cip=cip)


CORE_LATENCY_CYCLES = 4
"""Registers from an input beat to its output beat: operands, products, sum over CIP, accumulator."""


def core_latency_cycles(requantised: bool) -> int:
    """Cycles from the last input transfer of a tile to its output transfer; rounding adds a register."""
    return CORE_LATENCY_CYCLES + requantised


def gemm_total_cycles(n: int, k: int, tokens: int, *, tp: int, cip: int, cop: int, requantised: bool) -> int:
    """Cycles of a layer run alone: `gemm_cycles`, then the pipeline's latency (first transfer in to last out)."""
    return gemm_cycles(n, k, tokens, tp=tp, cip=cip, cop=cop) + core_latency_cycles(requantised)


def systolic_tile_interval(length: int, side: int) -> int:
    """Cycles between back-to-back tiles of an N x N systolic array.

    ``length`` is the stream through the array: k of an output-stationary tile, m of a weight-stationary one. A tile
    occupies the array's drain (or its weight load) for ``side`` cycles, so shorter streams wait.
    """
    return max(length, side)


def systolic_wave_cycles(side: int) -> int:
    """Cycles from a tile's last beat until its last sum has crossed both sides of the array and the registers."""
    return 2 * (side - 1) + 2


def systolic_os_cycles(tiles: int, k: int, side: int) -> int:
    """Cycles of back-to-back output-stationary tiles: side x side outputs each, k deep.

    The last element enters the far corner 2*(side - 1) cycles after the first row's; the drain then shifts out
    ``side`` rows. Derived from the array in `rtl.systolic`.
    """
    return (tiles - 1) * systolic_tile_interval(k, side) + k + side + systolic_wave_cycles(side)


def systolic_ws_cycles(tiles: int, m: int, side: int) -> int:
    """Cycles of back-to-back weight-stationary tiles: side x side weights each, m rows through each.

    The first tile's weights take ``side`` cycles to enter; each row then crosses side - 1 columns and side - 1 rows.
    """
    return side + (tiles - 1) * systolic_tile_interval(m, side) + m + systolic_wave_cycles(side)
