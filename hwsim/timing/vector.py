"""Cycles of the streaming vector units: RMSNorm passes, depthwise conv1d, gate, residual; II = 1.

RMSNorm runs in two passes: the sum of squares, which must be complete before the first element can be scaled,
then the scaling; each pass takes ``lanes`` channels per cycle.

Source: PKU-SEC-Lab/LightMamba, RMSNORM_QUANT_1/2 and CONV: 8 channels per cycle.
"""

from __future__ import annotations

__all__ = [
    "conv_tile_cycles",
    "conv_total_cycles",
    "function_cycles",
    "pass_cycles",
    "rms_norm_cycles",
    "rms_norm_total_cycles",
]

FUNCTION_CYCLES = {"decay": 6, "softplus": 5, "silu": 7, "gate": 8, "rsqrt": 6}
"""Registers of each function unit, its output register included."""
CONV_CYCLES = 4
"""Registers of the convolution: window, products, sum, output."""
NORM_ROOT_CYCLES = 10
"""Cycles from the last square's input to the first scaled channel's read."""
NORM_SCALE_CYCLES = 5
"""Registers of the scaling pass: channel, product, normal, product with the gain, output."""


def pass_cycles(channels: int, tokens: int, *, lanes: int) -> int:
    """Cycles of one streaming pass over ``channels`` channels of each of ``tokens`` tokens."""
    return -(-channels // lanes) * tokens


def rms_norm_cycles(channels: int, tokens: int, *, lanes: int, root_cycles: int) -> int:
    """Cycles of a two-pass RMSNorm run alone: sum of squares, reciprocal root, scaling."""
    return 2 * pass_cycles(channels, tokens, lanes=lanes) + root_cycles


def conv_tile_cycles(channels: int, tokens: int, *, lanes: int) -> int:
    """Cycles of a depthwise causal conv1d over a tile: all taps of ``lanes`` channels each cycle."""
    return pass_cycles(channels, tokens, lanes=lanes)


def function_cycles(name: str, beats: int) -> int:
    """Cycles of ``beats`` through a function unit run alone: first transfer in to last out."""
    return beats + FUNCTION_CYCLES[name]


def conv_total_cycles(beats: int, *, silu: bool) -> int:
    """Cycles of ``beats`` through the convolution run alone, with or without the SiLU behind it."""
    return beats + CONV_CYCLES + (FUNCTION_CYCLES["silu"] if silu else 0)


def rms_norm_total_cycles(channels: int, tokens: int, *, lanes: int) -> int:
    """Cycles of RMSNorm over ``tokens`` run alone; the second pass of a token overlaps the first of the next."""
    one = pass_cycles(channels, 1, lanes=lanes)
    return (tokens + 1) * one + NORM_ROOT_CYCLES - 1 + NORM_SCALE_CYCLES
