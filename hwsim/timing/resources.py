"""DSP blocks and flip-flops of the hardware units, by formula; held to what Yosys maps (`tests/rtl`, docs/rtl.md).

A DSP block (DSP48E2, 27 x 18 bits) takes one product; Yosys keeps products of 8 bits or less in LUTs.
LUTs move with the tool's version too much for a formula.
"""

from __future__ import annotations

from typing import Final

__all__ = ["conv_dsp", "even_root", "function_dsp", "linear_dsp", "norm_dsp", "scan_dsp"]

CONV_TAPS: Final = 4
FUNCTION_DSP: Final = {"decay": 2, "softplus": 1, "silu": 2, "gate": 3, "rsqrt": 1}
"""Products of one lane of each function unit: the chord's slope, and what it is multiplied with."""


def linear_dsp(cells: int, act_bits: int, weight_bits: int) -> int:
    """One block for each multiply-accumulate cell whose product has more than 8 bits."""
    return cells if act_bits + weight_bits > 8 else 0


def function_dsp(name: str, lanes: int) -> int:
    """Blocks of a function unit."""
    return FUNCTION_DSP[name] * lanes


def conv_dsp(lanes: int, *, silu: bool) -> int:
    """A block for each tap of a lane, and the SiLU behind it."""
    return lanes * CONV_TAPS + (function_dsp("silu", lanes) if silu else 0)


def even_root(channels: int) -> bool:
    """Whether sqrt(channels) is a power of two, so that a norm over them needs no product with it."""
    return channels & (channels - 1) == 0 and channels.bit_length() % 2 == 1


def norm_dsp(lanes: int, *, even_root: bool) -> int:
    """Square, scaling and gain of each lane; the root's chord; sqrt(channels) unless that is a power of two."""
    return 3 * lanes + 1 + (not even_root)


def scan_dsp(channels: int, rows: int) -> int:
    """Three for each lane, two for each channel (dt*x, D*x), two for the decay."""
    return 3 * channels * rows + 2 * channels + 2
