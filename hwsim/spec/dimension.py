"""Units at the door: a name such as ``GiB/s`` to its dimension and its scale.

A unit is a product and quotient of names (``pJ/byte``, ``bytes/s/Hz``). Known names carry prefixes and
scales; any other name (``LUT``, ``lanes``) counts things of its own kind, singular and plural alike.
Bits and bytes are one dimension, so that ``Gbit/s`` converts to ``bytes/s`` and ``pJ/bit`` to ``pJ/byte``.
Decimal prefixes are powers of 1000 (SI brochure, 9th edition), binary ones of 1024 (IEC 80000-13).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from hwsim.errors import did_you_mean

__all__ = ["COUNTED", "Dimension", "UnitName", "convert", "examples_of", "parse_unit", "suggest_unit"]

Dimension = tuple[tuple[str, int], ...]
"""Base dimensions with their exponents, sorted by name; empty for a pure number."""


@dataclass(frozen=True, slots=True)
class UnitName:
    """A unit: ``numerator / denominator`` of its dimension's base unit.

    The scale is a ratio of whole numbers, so that 1 ms is exactly 1 s / 1000.
    """

    dimension: Dimension
    numerator: int
    denominator: int


_DECIMAL: Final = {"k": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4, "P": 1000**5}
_BINARY: Final = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}
_SMALL: Final = {"m": 1000, "u": 1000**2, "µ": 1000**2, "n": 1000**3, "p": 1000**4, "f": 1000**5}


def _family(
    names: Iterable[str], dimension: Dimension, large: Iterable[str] = (), small: Iterable[str] = (), bits: int = 1
) -> dict[str, UnitName]:
    """The names of one unit with its prefixes; ``bits`` divides the base unit (8 for bits of a byte)."""
    table = {}
    for name in names:
        table[name] = UnitName(dimension, 1, bits)
        for prefix in large:
            scale = _DECIMAL.get(prefix) or _BINARY[prefix]
            table[prefix + name] = UnitName(dimension, scale, bits)
        for prefix in small:
            table[prefix + name] = UnitName(dimension, 1, _SMALL[prefix] * bits)
    return table


_SIZES: Final = "kMGTP"
_TABLE: Final[dict[str, UnitName]] = {
    "": UnitName((), 1, 1),
    "1": UnitName((), 1, 1),
    "%": UnitName((), 1, 100),
    **_family(("byte", "bytes"), (("byte", 1),)),
    **_family(("B",), (("byte", 1),), [*_SIZES, *_BINARY]),
    **_family(("bit", "bits"), (("byte", 1),), [*_SIZES, *_BINARY], bits=8),
    **_family(("Hz",), (("second", -1),), "kMGT"),
    **_family(("s",), (("second", 1),), small="muµnp"),
    **_family(("J",), (("joule", 1),), "kM", "muµnpf"),
    **_family(("W",), (("joule", 1), ("second", -1)), "kM", "muµn"),
    **_family(("V",), (("volt", 1),), small="m"),
    **_family(("A",), (("ampere", 1),), small="mu"),
    **_family(("op", "ops", "OP", "OPS"), (("op", 1),), _SIZES),
    **_family(("flop", "flops", "FLOP", "FLOPs"), (("flop", 1),), _SIZES),
    **_family(("mac", "macs", "MAC", "MACs"), (("mac", 1),), _SIZES),
    **_family(("m",), (("metre", 1),), small="muµn"),
    "mm2": UnitName((("metre", 2),), 1, 1000**2),
    "um2": UnitName((("metre", 2),), 1, 1000**4),
}
_SHOWN: Final = (
    *("Hz", "kHz", "MHz", "GHz", "bytes/s", "kB/s", "MB/s", "GB/s", "TB/s", "KiB/s", "MiB/s", "GiB/s", "Gbit/s"),
    *("bytes", "kB", "MB", "GB", "KiB", "MiB", "GiB", "bits", "s", "ms", "us", "ns", "ps", "J", "nJ", "pJ"),
    *("pJ/byte", "pJ/bit", "pJ/op", "pJ/mac", "W", "mW", "1", "%", "V", "mm", "um", "nm", "mm2"),
    *("op/s", "Gop/s", "Top/s", "flop/s", "Gflop/s", "TFLOP/s", "mac/s", "Gmac/s", "bytes/cycle", "mac/cycle"),
)

COUNTED: Final = frozenset({"cycles", "op/cycle"})
"""Units that count: a plain number (`1`) says as much, as machine files did before they had these."""


@cache
def parse_unit(text: str) -> UnitName:
    """The unit that ``text`` names; an unknown name counts things of its own kind."""
    exponents: dict[str, int] = {}
    numerator = denominator = 1
    for index, part in enumerate(text.split("/")):
        sign = 1 if index == 0 else -1
        for name in part.split("*"):
            unit = _named(name.strip())
            up, down = (unit.numerator, unit.denominator) if sign > 0 else (unit.denominator, unit.numerator)
            numerator, denominator = numerator * up, denominator * down
            for base, exponent in unit.dimension:
                exponents[base] = exponents.get(base, 0) + sign * exponent
    dimension = tuple(sorted((base, exponent) for base, exponent in exponents.items() if exponent))
    shared = math.gcd(numerator, denominator)
    return UnitName(dimension, numerator // shared, denominator // shared)


def _named(name: str) -> UnitName:
    """The unit of one name without ``/`` and ``*``."""
    known = _TABLE.get(name)
    if known is not None:
        return known
    singular = name[:-1] if len(name) > 2 and name.endswith("s") else name
    return UnitName(((singular, 1),), 1, 1)


def convert(value: float, unit: str, to: str) -> float | None:
    """``value`` in ``unit`` as a number of ``to``; None when the two measure different things."""
    source, target = parse_unit(unit), parse_unit(to)
    if source.dimension != target.dimension:
        return None
    numerator = source.numerator * target.denominator
    denominator = source.denominator * target.numerator
    shared = math.gcd(numerator, denominator)
    return value * (numerator // shared) / (denominator // shared)


def examples_of(unit: str) -> tuple[str, ...]:
    """A few other spellings of what ``unit`` measures, for a message."""
    dimension = parse_unit(unit).dimension
    return tuple(name for name in _SHOWN if name != unit and parse_unit(name).dimension == dimension)[:4]


def suggest_unit(written: str, unit: str) -> str | None:
    """The unit nearest to ``written`` among those that measure what ``unit`` measures."""
    dimension = parse_unit(unit).dimension
    names = [unit, *(name for name in _SHOWN if name != unit and parse_unit(name).dimension == dimension)]
    by_case = {name.lower(): name for name in reversed(names)}
    return by_case.get(written.lower()) or did_you_mean(written, names)
