"""Cycles of the streaming vector units: RMSNorm passes, depthwise conv1d, gate, residual; II = 1.

RMSNorm runs in two passes: the sum of squares, which must be complete before the first element can be scaled,
then the scaling; each pass takes ``lanes`` channels per cycle.

Source: PKU-SEC-Lab/LightMamba, RMSNORM_QUANT_1/2 and CONV: 8 channels per cycle.
"""

from __future__ import annotations

__all__ = ["conv_tile_cycles", "pass_cycles", "rms_norm_cycles"]


def pass_cycles(channels: int, tokens: int, *, lanes: int) -> int:
    """Cycles of one streaming pass over ``channels`` channels of each of ``tokens`` tokens."""
    return -(-channels // lanes) * tokens


def rms_norm_cycles(channels: int, tokens: int, *, lanes: int, root_cycles: int) -> int:
    """Cycles of a two-pass RMSNorm run alone: sum of squares, reciprocal root, scaling."""
    return 2 * pass_cycles(channels, tokens, lanes=lanes) + root_cycles


def conv_tile_cycles(channels: int, tokens: int, *, lanes: int) -> int:
    """Cycles of a depthwise causal conv1d over a tile: all taps of ``lanes`` channels each cycle."""
    return pass_cycles(channels, tokens, lanes=lanes)
