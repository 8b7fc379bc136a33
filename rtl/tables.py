"""Tables of chords for the function units, computed with 40 decimal digits.

The golden model (`hwsim.golden.fixed`) computes its own tables with NumPy and imports none of these, so that a wrong
entry here shows as a difference; the tests also hold both against float64 within a stated error budget.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, getcontext
from functools import cache
from itertools import pairwise

from hwsim.golden.fixed import TABLE_FRAC

__all__ = ["chords", "decay_table", "logistic_table", "rsqrt_table", "softplus_table"]

getcontext().prec = 40
Chord = tuple[int, int]


def chords(function: Callable[[Decimal], Decimal], points: list[Decimal]) -> tuple[Chord, ...]:
    """(value, rise) of each chord between neighbouring points, in units of 2**-TABLE_FRAC."""
    scale = Decimal(2) ** TABLE_FRAC
    values = [int(function(point) * scale + Decimal("0.5")) for point in points]
    return tuple((a, b - a) for a, b in pairwise(values))


@cache
def decay_table() -> tuple[Chord, ...]:
    """2**-f on [0, 1): 64 chords."""
    return chords(lambda f: (-f * Decimal(2).ln()).exp(), [Decimal(i) / 64 for i in range(65)])


@cache
def softplus_table() -> tuple[Chord, ...]:
    """log(1 + exp(-z)) on [0, 16): 256 chords, then nothing."""
    return (*chords(lambda z: (1 + (-z).exp()).ln(), [Decimal(i) / 16 for i in range(257)]), (0, 0))


@cache
def logistic_table() -> tuple[Chord, ...]:
    """1/(1 + exp(-z)) on [0, 16): 256 chords, then one."""
    return (*chords(lambda z: 1 / (1 + (-z).exp()), [Decimal(i) / 16 for i in range(257)]), (1 << TABLE_FRAC, 0))


@cache
def rsqrt_table() -> tuple[Chord, ...]:
    """1/sqrt(q) on [1, 4): 192 chords."""
    return chords(lambda q: 1 / q.sqrt(), [Decimal(i) / 64 for i in range(64, 257)])
