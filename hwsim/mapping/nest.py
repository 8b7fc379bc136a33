"""`Nest`: one mapping of a problem onto a hierarchy, as the steps of a loop nest from outermost to innermost.

A step is a temporal loop (``For``), a dimension laid on a spatial axis (``Spread``) or the place at which a level
holds an operand's tile (``Hold``). A tile's extents are what the loops outside leave, so that an operand may sit at its
own position within a level (uneven placement) and may skip levels (bypass). The outermost level holds every operand.

A loop is given by the extent of its tile, not by its number of trips: 1024 in tiles of 240 takes 5 trips, the last one
smaller (an imperfect factor).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.problem import Operand, Problem, tile_elements

__all__ = ["For", "Hold", "Nest", "Spread", "Step"]


@dataclass(frozen=True, slots=True)
class For:
    """A temporal loop over ``dim``; each trip covers ``tile`` iterations of it (the last one what is left)."""

    dim: str
    tile: int


@dataclass(frozen=True, slots=True)
class Spread:
    """``dim`` laid on a spatial axis; each lane takes ``tile`` neighbouring iterations (a rest is shared evenly)."""

    axis: str
    dim: str
    tile: int


@dataclass(frozen=True, slots=True)
class Hold:
    """From here inwards ``level`` holds the tile of ``operand``."""

    level: str
    operand: str


Step = For | Spread | Hold


@dataclass(frozen=True, slots=True)
class Nest:
    """A mapping: steps from outermost to innermost. What no step splits runs innermost, one iteration at a time."""

    steps: tuple[Step, ...]

    def tiles(self, problem: Problem) -> Iterator[tuple[Step, dict[str, int]]]:
        """Each step with the tile extents just outside it (of the first, largest tile)."""
        tile = problem.extents
        for step in self.steps:
            yield step, dict(tile)
            if not isinstance(step, Hold):
                tile[step.dim] = min(step.tile, tile[step.dim])

    def holds(self, problem: Problem, hierarchy: Hierarchy) -> dict[str, list[tuple[int, int]]]:
        """Operand -> (level index, step index) of its tiles, outermost first; step -1 is the outermost level."""
        found = {operand.name: [(0, -1)] for operand in problem.operands}
        for position, step in enumerate(self.steps):
            if isinstance(step, Hold):
                found[step.operand].append((hierarchy.level_index(step.level), position))
        return found

    def held_elements(self, problem: Problem) -> Iterator[tuple[Hold, Operand, int]]:
        """Each hold with its operand and the words of its tile."""
        for step, tile in self.tiles(problem):
            if isinstance(step, Hold):
                operand = problem.operand(step.operand)
                yield step, operand, tile_elements(operand, tile)

    def text(self, problem: Problem) -> str:
        """One line: ``n 4 | L2 holds W | m 8 | …``, loops by their trips (``m 5x240`` when the last trip is short)."""
        words = []
        for step, tile in self.tiles(problem):
            if isinstance(step, Hold):
                words.append(f"{step.level} holds {step.operand}")
                continue
            outer, inner = tile[step.dim], min(step.tile, tile[step.dim])
            trips = -(-outer // inner)
            count = str(trips) if outer % inner == 0 else f"{trips}x{inner}"
            words.append(
                f"spatial {step.axis} {step.dim} {count}" if isinstance(step, Spread) else f"{step.dim} {count}"
            )
        return " | ".join(words)
