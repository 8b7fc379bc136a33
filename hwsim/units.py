"""Scale constants and printing. Units live in names; this room converts at the door and prints at the end."""

from __future__ import annotations

import math
from typing import Final

__all__ = [
    "GIB",
    "GIGA",
    "KIB",
    "KILO",
    "MEGA",
    "MIB",
    "PICO",
    "TERA",
    "format_bytes",
    "format_count",
    "format_rate",
    "format_seconds",
    "format_si",
]

KILO: Final = 1_000
MEGA: Final = 1_000_000
GIGA: Final = 1_000_000_000
TERA: Final = 1_000_000_000_000
KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
PICO: Final = 1e-12

_PREFIXES: Final = (
    (1e21, "Z"),
    (1e18, "E"),
    (1e15, "P"),
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "u"),
    (1e-9, "n"),
    (1e-12, "p"),
)


def format_si(value: float, unit: str, digits: int = 4) -> str:
    """``value`` with an SI prefix and ``digits`` significant digits: ``format_si(0.0123, "s") == "12.3 ms"``."""
    if value == 0:
        return f"0 {unit}".rstrip()
    if not math.isfinite(value):
        return f"{value} {unit}".rstrip()
    for scale, prefix in _PREFIXES:
        if abs(value) >= scale * (1 - 0.5 * 10**-digits):
            return f"{value / scale:.{digits}g} {prefix}{unit}".rstrip()
    scale, prefix = _PREFIXES[-1]
    return f"{value / scale:.{digits}g} {prefix}{unit}"


def format_seconds(seconds: float) -> str:
    """Seconds as ``138.7 ms``."""
    return format_si(seconds, "s")


def format_bytes(count: float) -> str:
    """Bytes with decimal prefixes, as ``1.394 GB``."""
    return format_si(count, "B")


def format_rate(bytes_per_second: float) -> str:
    """Bytes per second as ``819.2 GB/s``."""
    return format_si(bytes_per_second, "B/s")


def format_count(count: float) -> str:
    """A count with thousands separators when whole, four significant digits otherwise."""
    return f"{int(count):,}" if float(count).is_integer() else f"{count:,.4g}"
