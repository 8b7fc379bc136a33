"""Beats and cycles of the off-chip memory port: weight stream, hidden state, conv windows, saved inputs.

Formulas: PKU-SEC-Lab/LightMamba, ``case/M_AXI_FLOW.cpp`` (one port, bursts of 256 beats, streams in a fixed order).
For Mamba-2 2.7B at 4 bit they give 635,199 weight beats, 714 beats for each conv transfer and 21,760 for the state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hwsim.devices.fpga.parameters import FpgaParameters, whole
from hwsim.formats import FORMATS

__all__ = [
    "Transfer",
    "beat_bits",
    "beat_bytes",
    "conv_beats",
    "input_bits",
    "nominal_bytes_per_s",
    "scaled_bits",
    "split_beats",
    "state_beats",
    "transfer",
    "weight_beats",
]

_FLUSH_BEATS = 2
"""Beats that close a layer's weight stream, whatever its length (LightMamba's weight_producer)."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A stream through the memory port.

    Attributes:
        beats: beats of the port.
        durations: run-length cycles of its bursts: (bursts, cycles each).
    """

    beats: int
    durations: tuple[tuple[int, int], ...]

    @property
    def bursts(self) -> int:
        """Number of bursts."""
        return sum(count for count, _ in self.durations)

    @property
    def cycles(self) -> int:
        """Cycles that it holds the port."""
        return sum(count * cycles for count, cycles in self.durations)


def beat_bits(p: FpgaParameters) -> int:
    """Bits that all ports move in one clock."""
    return whole(p.memory.ports) * whole(p.memory.port_bits)


def beat_bytes(p: FpgaParameters) -> int:
    """Bytes that all ports move in one clock."""
    return beat_bits(p) // 8


def nominal_bytes_per_s(p: FpgaParameters) -> float:
    """Most bytes per second that can move: the memory's bandwidth or the ports' at the clock, whichever is less.

    An RTL block has no port: a stream for each of its inputs, none of which waits.
    """
    if p.structure == "block":
        return p.memory.bandwidth.value
    return min(p.memory.bandwidth.value, beat_bytes(p) * p.clock.value)


def cycles_per_beat(p: FpgaParameters) -> float:
    """Cycles per beat: 1 when the port is the limit, more when the memory behind it is."""
    memory = p.memory.bandwidth.value * p.memory.efficiency.value
    return max(1.0, beat_bytes(p) * p.clock.value / memory)


def transfer(p: FpgaParameters, beats: int) -> Transfer | None:
    """The stream of ``beats`` beats cut into bursts whose cycles add up to the rounded-up whole; None for no beats."""
    if beats <= 0:
        return None
    bursts = -(-beats // whole(p.memory.burst_beats))
    cycles = max(bursts, math.ceil(beats * cycles_per_beat(p) - 1e-6))
    low, longer = divmod(cycles, bursts)
    runs = ((longer, low + 1), (bursts - longer, low))
    return Transfer(beats, tuple(run for run in runs if run[0]))


def scaled_bits(elements: int, bits: int, scale_bits: float, group: int) -> int:
    """Bits of ``elements`` elements with their scales."""
    return elements * bits + math.ceil(elements * scale_bits / group)


def weight_beats(p: FpgaParameters, elements: int) -> int:
    """Beats of one layer's weight stream: floor(bits / beat) + 2, scales in line with the weights."""
    bits = FORMATS[p.formats.weights].bits
    f = p.formats
    return scaled_bits(elements, bits, f.weight_scale_bits.value, whole(f.weight_group)) // beat_bits(p) + _FLUSH_BEATS


def split_beats(total: int, parts: Sequence[int]) -> tuple[int, ...]:
    """``total`` beats shared out in proportion to ``parts`` (weights of each GEMM), adding up exactly."""
    whole_part = sum(parts)
    edges, seen = [0], 0
    for part in parts:
        seen += part
        edges.append(total * seen // whole_part)
    return tuple(after - before for before, after in pairwise(edges))


def input_bits(p: FpgaParameters, elements: int) -> int:
    """Bits of elements in the state's format with its scales."""
    f = p.formats
    return scaled_bits(elements, FORMATS[f.state].bits, f.state_scale_bits.value, whole(f.state_group))


def state_beats(p: FpgaParameters, elements: int) -> int:
    """Beats of ``elements`` elements in the state's format."""
    return -(-input_bits(p, elements) // beat_bits(p))


def conv_beats(p: FpgaParameters, channels: int, taps: int) -> int:
    """Beats of a conv window, or of the conv weights: ``taps`` elements for each channel."""
    return state_beats(p, channels * taps)
