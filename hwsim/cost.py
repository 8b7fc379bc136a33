"""`Cost`: an additive record of what work takes.

Costs add component by component, so that a whole's breakdown is the sum of its parts.
Time is not in it: cycles of concurrent work do not add (the schedule says how long they take).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["Cost", "add_counts", "scale_counts"]


def add_counts(*parts: Mapping[str, float]) -> dict[str, float]:
    """Sum of several name -> amount mappings, keys in the order of first appearance."""
    total: dict[str, float] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0.0) + amount
    return total


def scale_counts(part: Mapping[str, float], factor: float) -> dict[str, float]:
    """Every amount times ``factor``."""
    return {name: amount * factor for name, amount in part.items()}


def _frozen(mapping: Mapping[str, float]) -> Mapping[str, float]:
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True, slots=True)
class Cost:
    """What one op, or a sum of ops, takes on a machine.

    Attributes:
        busy_cycles: resource -> cycles for which this work holds it.
        macs: multiply-accumulates performed.
        other_ops: other arithmetic operations performed.
        bytes: memory level -> bytes moved (reads and writes).
        energy_pj: component -> picojoules.
    """

    busy_cycles: Mapping[str, float] = field(default_factory=dict)
    macs: float = 0.0
    other_ops: float = 0.0
    bytes: Mapping[str, float] = field(default_factory=dict)
    energy_pj: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("busy_cycles", "bytes", "energy_pj"):
            object.__setattr__(self, name, _frozen(getattr(self, name)))

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            add_counts(self.busy_cycles, other.busy_cycles),
            self.macs + other.macs,
            self.other_ops + other.other_ops,
            add_counts(self.bytes, other.bytes),
            add_counts(self.energy_pj, other.energy_pj),
        )

    def __mul__(self, factor: float) -> Cost:
        return Cost(
            scale_counts(self.busy_cycles, factor),
            self.macs * factor,
            self.other_ops * factor,
            scale_counts(self.bytes, factor),
            scale_counts(self.energy_pj, factor),
        )

    __rmul__ = __mul__

    @staticmethod
    def total(costs: Iterable[Cost]) -> Cost:
        """Sum of many costs."""
        result = Cost()
        for cost in costs:
            result = result + cost
        return result
