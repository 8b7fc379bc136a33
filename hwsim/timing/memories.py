"""Where a buffer of a hardware unit lies on an UltraScale part: block memories, LUTs or registers.

Yosys 0.66 (`memory_libmap`) gives every way of building a memory a cost and takes the least: 129 for a RAMB18, 257
for a RAMB36, 16 for a column of eight LUT memories (in part, if used in part), and something for each bit of a read
multiplexer (half a unit here, which parts equal blocks). Costs and widths: Yosys' techlibs/xilinx, brams_xc4v.txt and
lutrams_xcu.txt; the rule is held to recorded counts (tests/rtl/test_resources_rtl.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["CHORD_TABLE", "Placed", "place", "total"]

BLOCK_MODES: Final = (
    (129, 36, 512),
    (129, 18, 1024),
    (129, 9, 2048),
    (129, 4, 4096),
    (129, 2, 8192),
    (129, 1, 16384),
    (257, 72, 512),
    (257, 36, 1024),
    (257, 18, 2048),
    (257, 9, 4096),
    (257, 4, 8192),
    (257, 2, 16384),
    (257, 1, 32768),
)
"""(cost, bits, words) of a block memory with one write and one read port."""

LUT_MODES: Final = {
    0: ((16, 32), (8, 64), (4, 128), (2, 256)),
    1: ((14, 32), (7, 64)),
    3: ((4, 32), (2, 64)),
}
"""Readers beside the writer's own address to (bits, words) of a column of LUT memories; its cost is 16."""

COLUMN_COST: Final = 16
MUX_COST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Placed:
    """What a buffer takes.

    Attributes:
        ramb36: block memories of 36 Kb.
        ramb18: block memories of 18 Kb.
        flip_flops: registers of the fabric: read data of LUT memories, the select of a read multiplexer, a lone word.
    """

    ramb36: int
    ramb18: int
    flip_flops: int


CHORD_TABLE: Final = Placed(0, 1, 0)
"""A table of 257 chords (softplus, logistic), one for each lane; shorter ones lie in LUTs."""


def total(parts: Iterable[Placed]) -> Placed:
    """What several buffers take together."""
    found = list(parts)
    return Placed(*(sum(getattr(part, name) for part in found) for name in ("ramb36", "ramb18", "flip_flops")))


def _lut_cost(width: int, depth: int, readers: int) -> float:
    """Cost in LUT memories, the cheapest mode."""
    return min(
        COLUMN_COST * -(-depth // words) * width / bits + MUX_COST * max(1, readers) * width * (-(-depth // words) - 1)
        for bits, words in LUT_MODES[readers]
    )


def place(width: int, depth: int, *, readers: int = 1) -> Placed:
    """A buffer with one write port whose reads are registered.

    Args:
        width: bits of a word.
        depth: words.
        readers: read ports at addresses of their own: 1 or 3; 0 when the buffer is read where it is written.
    """
    ports = max(1, readers)
    if depth == 1:
        return Placed(0, 0, width * (1 + ports))
    options = []
    for cost, bits, words in BLOCK_MODES:
        wide, deep = -(-width // bits), -(-depth // words)
        options.append((ports * (cost * wide * deep + MUX_COST * width * (deep - 1)), cost, wide * deep, deep))
    least, kind, blocks, deep = min(options)
    if _lut_cost(width, depth, readers) <= least:
        return Placed(0, 0, width * ports)
    found = ports * blocks
    select = ports * (deep - 1).bit_length()
    return Placed(found, 0, select) if kind == BLOCK_MODES[-1][0] else Placed(0, found, select)
