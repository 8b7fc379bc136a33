"""Where a step's time goes: by operator and by resource, with the remainder named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hwsim.result import OpRow, Result

__all__ = ["Busy", "Operators", "busiest", "resources_by_share", "speed_up", "top_operators"]

TOP: Final = 8
"""Operators that a table shows by name."""


@dataclass(frozen=True, slots=True)
class Busy:
    """A resource and the share of a step for which it works."""

    resource: str
    share: float


@dataclass(frozen=True, slots=True)
class Operators:
    """The operators that take most of a step, and what is left.

    Attributes:
        top: by falling share of the step, then by falling time on their resource, then by name.
        others: how many operators are not in ``top``.
        others_time_s: their time in a step.
        others_share: their share of a step.
    """

    top: tuple[OpRow, ...]
    others: int
    others_time_s: float
    others_share: float


def top_operators(result: Result, most: int = TOP) -> Operators:
    """The ``most`` operators with the largest share of a step; a single one left over is shown too."""
    ordered = sorted(result.ops, key=lambda row: (-row.time_s, -row.busy_s, row.name))
    shown = ordered if len(ordered) <= most + 1 else ordered[:most]
    rest = ordered[len(shown) :]
    return Operators(tuple(shown), len(rest), sum(row.time_s for row in rest), sum(row.share for row in rest))


def resources_by_share(result: Result) -> tuple[Busy, ...]:
    """Resources by falling share of a step; equal ones by name."""
    ordered = sorted(result.utilization.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Busy(name, share) for name, share in ordered)


def busiest(result: Result) -> Busy | None:
    """The resource that works for most of a step, if the machine names any."""
    shares = resources_by_share(result)
    return shares[0] if shares else None


def speed_up(result: Result, rival: Result) -> float | None:
    """How many times as fast ``result`` is as ``rival``: tokens per second, or images, or whole work per second."""
    pairs = (
        (result.tokens_per_s, rival.tokens_per_s),
        (result.images_per_s, rival.images_per_s),
        (1 / result.time_s if result.time_s else None, 1 / rival.time_s if rival.time_s else None),
    )
    for ours, theirs in pairs:
        if ours is not None and theirs:
            return ours / theirs
    return None
