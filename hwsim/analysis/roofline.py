"""The roofline: how many operations each byte feeds, and how near each operator comes to what the machine allows.

From the definitions (Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009):

* operation: a multiply-accumulate counts as two, any other arithmetic as one;
* operational intensity: operations per byte moved to and from the memory level named;
* attainable rate at intensity I under a memory roof of B bytes/s and a flat roof of P operations/s: min(P, I * B);
* ridge point: the intensity at which both are equal, P / B.

Sparse work is counted as performed (multiply-accumulates whose weight is stored) unless the dense equivalent is asked
for, which may stand above a roof: zeros that nobody multiplies cost no time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from hwsim.cost import add_counts
from hwsim.errors import HwsimError
from hwsim.result import OpRow, Result

__all__ = ["OPS_PER_MAC", "Counting", "Point", "Ridge", "Roofline", "roofline"]

Counting: TypeAlias = Literal["performed", "dense-equivalent"]
"""How sparse work is counted: multiplications with a stored weight, or all those of the dense product."""

OPS_PER_MAC: Final = 2
_TOLERANCE: Final = 1e-6
_HOST: Final = "host"


@dataclass(frozen=True, slots=True)
class Point:
    """An operator (or the whole step) under the roofs.

    Attributes:
        name: operator, or ``step``.
        ops: operations in a step.
        bytes: bytes to and from the memory level in a step; 0 for work that stays on chip.
        time_s: seconds for which the operator holds the resource that it needs most (for the step: its length).
        share: the operator's share of the step's time, 0 when it is hidden behind others.
        stored: share of its multiply-accumulates whose weight is stored; 1 when nothing is sparse.
    """

    name: str
    ops: float
    bytes: float
    time_s: float
    share: float
    stored: float = 1.0

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
        on_host: operators that the machine's host does: these roofs are not its.
        counting: how sparse work is counted.
        used_format: the format in which products run, where the machine has a roof for it.
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
    on_host: tuple[str, ...]
    counting: Counting = "performed"
    used_format: str | None = None

    @property
    def used_roof(self) -> tuple[str, float]:
        """(format, operations per second) of the formats in use; of all where the machine names none of them."""
        names = [self.used_format] if self.used_format else list(self.flat_ops_per_s)
        name = max(names, key=lambda each: (self.flat_ops_per_s[each], each))
        return name, self.flat_ops_per_s[name]

    @property
    def is_sparse(self) -> bool:
        """Whether some weights are not stored, so that the way of counting matters."""
        return any(point.stored < 1 for point in self.points)

    @property
    def flat_roofs(self) -> tuple[tuple[str, float], ...]:
        """(formats, operations per second), formats of one rate together, the fastest first."""
        names: dict[float, list[str]] = {}
        for name, rate in self.flat_ops_per_s.items():
            names.setdefault(rate, []).append(name)
        return tuple((", ".join(sorted(names[rate])), rate) for rate in sorted(names, reverse=True))

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
        """The roof above ``point``: that of the formats in use, or the slope of the memory level at its intensity."""
        _, peak = self.used_roof
        intensity = point.ops_per_byte
        return peak if intensity is None else min(peak, intensity * self.level_bytes_per_s)

    @property
    def step_roof(self) -> str:
        """The name of the roof above the step: the memory level, or the format in use."""
        intensity = self.step.ops_per_byte
        name, peak = self.used_roof
        if intensity is None or intensity * self.level_bytes_per_s >= peak:
            return name
        return self.level

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "workload": self.workload,
            "device": self.device,
            "phase": self.phase,
            "memory_level": self.level,
            "counting": self.counting,
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
            "on_host": list(self.on_host),
        }


def roofline(result: Result, level: str | None = None, counting: Counting = "performed") -> Roofline:
    """The roofline of a result's step.

    Args:
        result: the answer.
        level: the memory level whose bytes the intensities count; by default the slowest.
        counting: how sparse work is counted.

    Raises:
        HwsimError: the machine has no such memory level.
        ArithmeticError: a point lies above a roof of any level, so that time, bytes or roofs are wrong: our own bug.
            (`Roofs.least_s` is the bound.)
    """
    rates = result.roofs.bytes_per_s
    if level is not None and level not in rates:
        raise HwsimError.unknown_name("--level", "memory level", level, rates)
    _check(result)
    slowest = min(rates, key=lambda name: (rates[name], name))
    return _drawn(result, level or slowest, counting)


def _drawn(result: Result, level: str, counting: Counting) -> Roofline:
    """The roofline with the bytes of one memory level."""
    rows = sorted(_under_roofs(result), key=lambda row: (-row.share, -row.held_s, row.name))
    points = tuple(_point(row, level, counting) for row in rows if row.macs and row.held_s)
    moved = sum(row.bytes_by.get(level, 0.0) for row in rows)
    return Roofline(
        workload=result.workload,
        device=result.device,
        phase=result.phase,
        level=level,
        flat_ops_per_s={name: OPS_PER_MAC * rate for name, rate in result.roofs.macs_per_s.items()},
        bytes_per_s={name: rate for name, rate in result.roofs.bytes_per_s.items() if math.isfinite(rate)},
        points=points,
        step=Point("step", sum(point.ops for point in points), moved, result.step_s, 1.0),
        without_ops=tuple(row.name for row in rows if not (row.macs and row.held_s)),
        on_host=tuple(row.name for row in result.ops if row.name not in {each.name for each in rows}),
        counting=counting,
        used_format=_used_format(result),
    )


def _under_roofs(result: Result) -> list[OpRow]:
    """The operators done by the units whose roofs the result holds: a host's only where its memory is one of them."""
    counted = _HOST in result.roofs.bytes_per_s
    return [row for row in result.ops if counted or row.resource != _HOST]


def _used_format(result: Result) -> str | None:
    """The slower of the formats of weights and activations: a narrow weight is widened to meet its activation."""
    rates, used = result.roofs.macs_per_s, result.formats.get("used", {})
    names = [used[role] for role in ("weights", "activations") if used.get(role) in rates]
    return min(names, key=lambda name: (rates[name], name), default=None)


def _point(row: OpRow, level: str, counting: Counting) -> Point:
    """An operator with its operations and the bytes of one level."""
    macs = row.stored_macs if counting == "performed" else row.macs
    moved = row.bytes_by.get(level, 0.0)
    return Point(row.name, OPS_PER_MAC * macs, moved, row.held_s, row.share, row.stored_macs / row.macs)


def _check(result: Result) -> None:
    """Refuse an operator, or a step, that takes less than a roof allows.

    In a step units of different formats may work side by side: its arithmetic has the sum of all peaks.
    """
    rows, roofs = _under_roofs(result), result.roofs
    for row in rows:
        if row.held_s:
            _refuse(row.name, result.device, row.held_s, roofs.least_s(row.stored_macs, row.bytes_by))
    together = replace(roofs, macs_per_s={"all": sum(roofs.macs_per_s.values())})
    moved = add_counts(*(row.bytes_by for row in rows))
    _refuse("step", result.device, result.step_s, together.least_s(sum(row.stored_macs for row in rows), moved))


def _refuse(name: str, device: str, time_s: float, least_s: Mapping[str, float]) -> None:
    """Raise where a time is below a bound."""
    for roof, least in least_s.items():
        if time_s * (1 + _TOLERANCE) < least:
            raise ArithmeticError(
                f"{name} on {device} takes {time_s:.6g} s, above its {roof} roof, which allows {least:.6g} s or more"
            )
