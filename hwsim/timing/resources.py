"""DSP blocks and flip-flops of the hardware units, by formula; held to what Yosys maps (`tests/rtl`, docs/rtl.md).

A DSP block (DSP48E2, 27 x 18 bits) takes one product; Yosys keeps products of 8 bits or less in LUTs.
LUTs move with the tool's version too much for a formula.
"""

from __future__ import annotations

from typing import Final

from hwsim.timing.vector import FUNCTION_CYCLES

__all__ = [
    "conv_dsp",
    "conv_flip_flops",
    "even_root",
    "function_dsp",
    "function_flip_flops",
    "hadamard_flip_flops",
    "linear_dsp",
    "norm_dsp",
    "norm_flip_flops",
    "scan_dsp",
    "scan_flip_flops",
]

CONV_TAPS: Final = 4
FIXED_VALUE_BITS: Final = 18
RING_IN_BLOCKS: Final = 64
FUNCTION_DSP: Final = {"decay": 2, "softplus": 1, "silu": 2, "gate": 3, "rsqrt": 1}
"""Products of one lane of each function unit: the chord's slope, and what it is multiplied with."""

FUNCTION_FLIP_FLOPS: Final = {"decay": 176, "softplus": 150, "silu": 208, "gate": 342}
"""Data registers of one lane, counted in the netlist."""


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


def function_flip_flops(name: str, lanes: int) -> int:
    """The lanes' data, and a valid bit for each register on the way."""
    return FUNCTION_FLIP_FLOPS[name] * lanes + FUNCTION_CYCLES[name]


def hadamard_flip_flops(points: int, bits: int) -> int:
    """Every stage holds all points, one bit wider than the stage before, and a valid bit."""
    stages = points.bit_length() - 1
    return points * sum(bits + stage for stage in range(1, stages + 1)) + stages


def conv_flip_flops(lanes: int) -> int:
    """Lanes with the SiLU behind them; counted in the netlist, near for other slots and tiles than the default's."""
    return 577 * lanes + 14


def norm_flip_flops(channels: int, lanes: int) -> int:
    """Lanes, root and counters, whose widths follow the channels; counted in the netlist, near.

    A deep ring lies in block memories, which have its output register in them: counted at 8 and at 320 beats of a
    token, the place between where Yosys changes over is taken to be 64.
    """
    read = FIXED_VALUE_BITS * lanes if channels // lanes < RING_IN_BLOCKS else 0
    return 168 * lanes + 350 + 4 * channels.bit_length() + read


def scan_flip_flops(channels: int, rows: int) -> int:
    """Control and preparation, rows, channels and lanes; counted in the netlist, near for other depths of state."""
    return 278 + 104 * rows + channels * (552 + 176 * rows)
