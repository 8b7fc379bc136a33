"""What lies on the lanes: the factors that turn words at one place of a hierarchy into words at another."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.problem import Operand, Problem

__all__ = ["Lanes", "Lattice", "lanes_of"]

Lanes = tuple[tuple[str, str, int], ...]
"""What lies on the axes: (axis, dimension, lanes)."""


def lanes_of(laid: Lanes, dim: str) -> int:
    """Lanes that a dimension has in a choice."""
    return prod(count for _, name, count in laid if name == dim)


@dataclass(frozen=True, slots=True)
class Lattice:
    """Lanes per fan-out: the factors that turn words at one place into words at another."""

    problem: Problem
    lanes: tuple[dict[str, int], ...]

    @classmethod
    def of(cls, problem: Problem, hierarchy: Hierarchy, lanes: Lanes) -> Lattice:
        """The lattice of a choice of lanes."""
        names = {axis.name: hierarchy.fanout_of(axis.name) for axis in hierarchy.axes}
        rows: list[dict[str, int]] = [{} for _ in hierarchy.fanouts]
        for axis, dim, count in lanes:
            row = rows[names[axis]]
            row[dim] = row.get(dim, 1) * count
        return cls(problem, tuple(rows))

    def count(self, operand: Operand, first: int, last: int, *, own: bool) -> int:
        """Lanes of the fan-outs from ``first`` up to ``last`` over dims that move the operand (``own``) or do not."""
        rows = self.lanes[first:last]
        return prod(n for row in rows for dim, n in row.items() if (dim in operand.dims) == own)

    def terms_laid(self, operand: Operand, first: int, last: int) -> int:
        """Of the operand's sliding axes the most terms that lie on lanes of the fan-outs from ``first`` to ``last``."""
        axes = [axis for axis in self.problem.live_axes(operand) if len(axis) > 1]
        return max((sum(self.of_dim(dim, first, last) > 1 for dim, _ in axis) for axis in axes), default=0)

    def of_dim(self, dim: str, first: int, last: int) -> int:
        """Lanes of one dimension."""
        return prod(row.get(dim, 1) for row in self.lanes[first:last])

    @property
    def all(self) -> int:
        """Lanes in use."""
        return prod(n for row in self.lanes for n in row.values())
