"""Bursts and cycles of the weight reader: one data beat per cycle once the memory answers.

Derived from `rtl.axis`; a burst never crosses a 4 KiB boundary (AMBA AXI4 specification, A3.4.1).
"""

from __future__ import annotations

__all__ = ["axi_bursts", "read_cycles"]

PAGE_BYTES = 4096
REQUEST_CYCLES = 2
"""Registers from the request to the address on the bus: request, address."""
DATA_CYCLES = 1
"""Registers from the bus to the stream."""


def axi_bursts(address: int, beats: int, *, beat_bytes: int, burst: int) -> list[tuple[int, int]]:
    """(address, beats) of each burst that reads ``beats`` beats from a byte ``address``."""
    out = []
    while beats:
        count = min(beats, burst, (PAGE_BYTES - address % PAGE_BYTES) // beat_bytes)
        out.append((address, count))
        address, beats = address + count * beat_bytes, beats - count
    return out


def read_cycles(beats: int, *, memory_cycles: int) -> int:
    """Cycles from the request's transfer to the last beat out, both included.

    The memory takes one address per cycle and gives one beat per cycle, the first ``memory_cycles`` after the first
    address was taken.
    """
    return REQUEST_CYCLES + memory_cycles + beats + DATA_CYCLES
