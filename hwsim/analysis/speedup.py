"""Speed of one machine over another by batch, in several variants: numbers for a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["SpeedupLine", "speedups"]

SecondsOf: TypeAlias = Callable[[int], float]
"""Time of a batch."""


@dataclass(frozen=True, slots=True)
class SpeedupLine:
    """One variant.

    Attributes:
        name: what it is.
        batches: images at once.
        speedups: the baseline's time over the variant's, for each.
    """

    name: str
    batches: tuple[int, ...]
    speedups: tuple[float, ...]


def speedups(variants: Mapping[str, SecondsOf], baseline: SecondsOf, batches: Sequence[int]) -> tuple[SpeedupLine, ...]:
    """Each variant over the baseline at each batch; the baseline is timed once for each."""
    base = [baseline(batch) for batch in batches]
    return tuple(
        SpeedupLine(name, tuple(batches), tuple(b / run(n) for b, n in zip(base, batches, strict=True)))
        for name, run in variants.items()
    )
