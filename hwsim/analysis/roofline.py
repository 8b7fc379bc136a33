"""The roofline: how many operations each byte feeds, and how near each operator comes to what the machine allows.

From the definitions (Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009):

* operation: a multiply-accumulate counts as two, any other arithmetic as one;
* operational intensity: operations per byte moved to and from the memory level named;
* attainable rate at intensity I under a memory roof of B bytes/s and a flat roof of P operations/s: min(P, I * B);
* ridge point: the intensity at which both are equal, P / B.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hwsim.result import Result

__all__ = ["OPS_PER_MAC", "Point", "Ridge", "Roofline", "roofline"]

OPS_PER_MAC: Final = 2
_TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Point:
    """An operator (or the whole step) under the roofs.

    Attributes:
        name: operator, or ``step``.
        ops: operations in a step.
        bytes: bytes to and from the memory level in a step; 0 for work that stays on chip.
        time_s: seconds for which the operator holds the resource that it needs most (for the step: its length).
        share: the operator's share of the step's time, 0 when it is hidden behind others.
    """

    name: str
    ops: float
    bytes: float
    time_s: float
    share: float

    @property
    def ops_per_byte(self) -> float | None:
        """Operational intensity; None where no byte is moved."""
        return self.ops / self.bytes if self.bytes else None

    @property
    def ops_per_s(self) -> float:
        """Rate achieved while it holds its resource."""
        return self.ops / self.time_s

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "ops": self.ops,
            "bytes": self.bytes,
            "time_s": self.time_s,
            "share": self.share,
            "ops_per_byte": self.ops_per_byte,
            "ops_per_s": self.ops_per_s,
        }


@dataclass(frozen=True, slots=True)
class Ridge:
    """Where a memory roof meets a flat roof."""

    level: str
    format: str
    ops_per_byte: float
    ops_per_s: float


@dataclass(frozen=True, slots=True)
class Roofline:
    """One workload on one machine.

    Attributes:
        workload: its name.
        device: the machine's name.
        phase: what was run.
        level: the memory level whose bytes the intensities count.
        flat_ops_per_s: number format -> operations per second with every multiplier busy.
        bytes_per_s: memory level -> nominal bytes per second; an ideal level has no roof and is not here.
        points: operators, by falling share of the step's time.
        step: the whole step.
        without_ops: operators that do no arithmetic that is counted; they have no place under a roof.
    """

    workload: str
    device: str
    phase: str
    level: str
    flat_ops_per_s: Mapping[str, float]
    bytes_per_s: Mapping[str, float]
    points: tuple[Point, ...]
    step: Point
    without_ops: tuple[str, ...]

    @property
    def level_bytes_per_s(self) -> float:
        """Bandwidth of ``level``; infinite when it is ideal."""
        return self.bytes_per_s.get(self.level, math.inf)

    @property
    def ridges(self) -> tuple[Ridge, ...]:
        """Every ridge point: each memory roof with each flat roof."""
        return tuple(
            Ridge(level, name, peak / bandwidth, peak)
            for level, bandwidth in self.bytes_per_s.items()
            for name, peak in self.flat_ops_per_s.items()
        )

    def attainable_ops_per_s(self, point: Point) -> float:
        """The roof above ``point``: the highest flat roof, or the slope of the memory level at its intensity."""
        peak = max(self.flat_ops_per_s.values())
        intensity = point.ops_per_byte
        return peak if intensity is None else min(peak, intensity * self.level_bytes_per_s)

    @property
    def step_roof(self) -> str:
        """The name of the roof above the step: the memory level, or the fastest format."""
        intensity = self.step.ops_per_byte
        fastest = max(self.flat_ops_per_s, key=lambda name: (self.flat_ops_per_s[name], name))
        if intensity is None or intensity * self.level_bytes_per_s >= self.flat_ops_per_s[fastest]:
            return fastest
        return self.level

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "workload": self.workload,
            "device": self.device,
            "phase": self.phase,
            "memory_level": self.level,
            "flat_ops_per_s": dict(self.flat_ops_per_s),
            "bytes_per_s": dict(self.bytes_per_s),
            "ridges": [
                {"memory_level": r.level, "format": r.format, "ops_per_byte": r.ops_per_byte, "ops_per_s": r.ops_per_s}
                for r in self.ridges
            ],
            "step": self.step.to_dict(),
            "points": [
                {**point.to_dict(), "attainable_ops_per_s": self.attainable_ops_per_s(point)} for point in self.points
            ],
            "without_ops": list(self.without_ops),
        }


def roofline(result: Result) -> Roofline:
    """The roofline of a result's step.

    Raises:
        ArithmeticError: a point lies above its roof, so that time, bytes or roofs are wrong: our own bug.
    """
    level = min(result.roofs.bytes_per_s, key=lambda name: (result.roofs.bytes_per_s[name], name))
    rows = sorted(result.ops, key=lambda row: (-row.share, -row.held_s, row.name))
    points = tuple(
        Point(row.name, OPS_PER_MAC * row.macs, row.bytes, row.held_s, row.share)
        for row in rows
        if row.macs and row.held_s
    )
    step = Point("step", sum(p.ops for p in points), sum(row.bytes for row in rows), result.step_s, 1.0)
    drawn = Roofline(
        workload=result.workload,
        device=result.device,
        phase=result.phase,
        level=level,
        flat_ops_per_s={name: OPS_PER_MAC * rate for name, rate in result.roofs.macs_per_s.items()},
        bytes_per_s={name: rate for name, rate in result.roofs.bytes_per_s.items() if math.isfinite(rate)},
        points=points,
        step=step,
        without_ops=tuple(row.name for row in rows if not (row.macs and row.held_s)),
    )
    _check(drawn)
    return drawn


def _all_units(drawn: Roofline) -> float:
    """The roof of a step, in which units of different formats may work side by side."""
    peak = sum(drawn.flat_ops_per_s.values())
    intensity = drawn.step.ops_per_byte
    return peak if intensity is None else min(peak, intensity * drawn.level_bytes_per_s)


def _check(drawn: Roofline) -> None:
    """Refuse a point above its roof."""
    for point in (*drawn.points, drawn.step):
        roof = drawn.attainable_ops_per_s(point) if point is not drawn.step else _all_units(drawn)
        if point.ops_per_s > roof * (1 + _TOLERANCE):
            raise ArithmeticError(
                f"{point.name} on {drawn.device} runs at {point.ops_per_s:.6g} operations/s, "
                f"above its roof of {roof:.6g}"
            )
