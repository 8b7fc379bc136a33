"""What the numbers of a machine's file may be: one table for all families, marks to go beside a field's unit.

What a machine offers may be ``.inf`` (an ideal part: `RATE`, `STOCK`); what it is built of, what it costs and what it
is clocked by is finite. The ends lie far outside of what is built; within them every sum of the simulator is a number.
"""

from __future__ import annotations

from typing import Final

from hwsim.spec import Bound

__all__ = [
    "AMOUNT",
    "CLOCK",
    "COUNT",
    "CYCLES",
    "ENERGY",
    "HOLD_CYCLES",
    "LENGTH",
    "POWER",
    "RATE",
    "SECONDS",
    "SHARE",
    "STOCK",
]

STOCK: Final = Bound(low=0, open_low=True)
"""What there is of something: bytes of a memory, blocks of a chip."""
RATE: Final = Bound(low=1)
"""Bytes, operations or pixels a second."""
COUNT: Final = Bound(low=1, high=1e9)
"""How many of something are built."""
AMOUNT: Final = Bound(low=0, high=1e9)
"""The same where there may be none."""
SHARE: Final = Bound(low=1e-3, high=1)
"""What is reached of something."""
CLOCK: Final = Bound(low=1, high=1e12)
"""Clocks and frame rates in Hz."""
SECONDS: Final = Bound(low=0, high=1e6)
"""A latency."""
CYCLES: Final = Bound(low=0, high=1e9)
"""A latency in cycles."""
HOLD_CYCLES: Final = Bound(low=1e-3, high=1e9)
"""Cycles for which an instruction holds its unit: never none, as a rate is its inverse."""
LENGTH: Final = Bound(low=1e-12, high=1e6)
"""Metres."""
POWER: Final = Bound(low=0, high=1e9)
"""Watts."""
ENERGY: Final = Bound(low=0, high=1e12)
"""Picojoules, of an operation or a byte."""
