"""Where a step's time, energy and bytes go: by operator, layer kind and resource, with the remainder named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hwsim.cost import add_counts
from hwsim.result import OpRow, Result

__all__ = [
    "GROUPINGS",
    "MEASURES",
    "STATIC",
    "Breakdown",
    "Busy",
    "Grouping",
    "Measure",
    "Operators",
    "Part",
    "breakdown",
    "busiest",
    "resources_by_share",
    "speed_up",
    "top_operators",
]

Measure: TypeAlias = Literal["time", "energy", "bytes"]
Grouping: TypeAlias = Literal["operator", "layer kind", "resource"]
MEASURES: Final[tuple[Measure, ...]] = ("time", "energy", "bytes")
GROUPINGS: Final[tuple[Grouping, ...]] = ("operator", "layer kind", "resource")
STATIC: Final = "static power"
"""What no operator spends: power drawn for as long as a step takes."""

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


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a whole.

    Attributes:
        name: an operator, a layer kind, a resource; ``3 others`` for what is left.
        amount: seconds, joules or bytes in a step.
        share: ``amount`` over the whole.
        is_rest: whether it is what is left beside the named parts.
    """

    name: str
    amount: float
    share: float
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What one measure of a step is made of.

    Attributes:
        measure: time (seconds), energy (joules) or bytes.
        grouping: what the parts are. By resource, time is that for which a resource holds the step up, energy is by
            component and bytes are by memory level.
        total: the whole.
        parts: the largest first, then the others, static power last; they add up to ``total``.
    """

    measure: Measure
    grouping: Grouping
    total: float
    parts: tuple[Part, ...]


def breakdown(result: Result, measure: Measure, grouping: Grouping, most: int = TOP) -> Breakdown:
    """A step's time, energy or bytes by operator, layer kind or resource.

    Args:
        result: the answer.
        measure: what is shared out.
        grouping: among what.
        most: parts with a name; the others are one part, which says how many they are. Static power has its own.
    """
    amounts = add_counts(*(_amounts(row, measure, grouping) for row in result.ops))
    static_j = result.energy_j_by.get("static", 0.0) * result.step_s / result.time_s if result.time_s else 0.0
    remainder = {STATIC: static_j} if measure == "energy" and static_j else {}
    total = sum(amounts.values()) + sum(remainder.values())
    ordered = sorted((item for item in amounts.items() if item[1] > 0), key=lambda item: (-item[1], item[0]))
    shown = ordered if len(ordered) <= most + 1 else ordered[:most]
    rest = ordered[len(shown) :]
    parts = [Part(name, amount, amount / total) for name, amount in shown]
    if rest:
        left = sum(amount for _, amount in rest)
        parts.append(Part(f"{len(rest)} others", left, left / total, is_rest=True))
    parts += [Part(name, amount, amount / total) for name, amount in remainder.items()]
    return Breakdown(measure, grouping, total, tuple(parts))


def _amounts(row: OpRow, measure: Measure, grouping: Grouping) -> Mapping[str, float]:
    """What an operator adds to each part."""
    if grouping == "resource" and measure != "time":
        return row.energy_j_by if measure == "energy" else row.bytes_by
    amount = {"time": row.time_s, "energy": row.energy_j, "bytes": row.bytes}[measure]
    name = {"operator": row.name, "layer kind": row.block or "outside the layers", "resource": row.resource}[grouping]
    return {name: amount}


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
