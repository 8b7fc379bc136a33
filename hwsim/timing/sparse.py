"""Cycles of the bitmap decompressor: one dense beat per cycle whatever the density.

Derived from the buffer of `rtl.sparse`: two beats deep, it holds at least one full beat once the first packed beat
is in, and no beat needs more than that.
"""

from __future__ import annotations

__all__ = ["DECOMPRESS_CYCLES", "decompress_cycles", "fill_cycles"]

DECOMPRESS_CYCLES = 1
"""Registers from the bitmap to the dense beat."""


def fill_cycles(first_beat_has_values: bool) -> int:
    """Cycles until the first packed beat is in the buffer; none when the first bitmap is empty."""
    return int(first_beat_has_values)


def decompress_cycles(beats: int, *, first_beat_has_values: bool = True) -> int:
    """Cycles of ``beats`` run alone: first transfer in to last out."""
    return fill_cycles(first_beat_has_values) + beats + DECOMPRESS_CYCLES
