"""What a schedule's length is made of: the chain of tiles that leads, without a gap, from its start to its end.

In a max-plus system a tile starts at the very cycle in which the last thing that it waits for ends: the tile before it
on its resource, or a tile that an edge names. Walked backwards from the last tile, these give the critical path; its
tiles' durations add up to the schedule's length. Time hidden behind other work is not on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hwsim.schedule.engine import Deadlock, Slices, run
from hwsim.schedule.program import Edge, Program

__all__ = ["critical_cycles"]

_STEADY_REPS: Final = 3
"""The repetition that stands for all: by the third, what the first lacks (a repetition before it) has settled."""


def critical_cycles(program: Program) -> dict[str, int]:
    """Stage -> cycles of it on the critical path of one settled repetition; empty if the program deadlocks.

    Where several predecessors end in the same cycle, the one on the same resource counts, then edges as listed.
    """
    reps = min(program.reps, _STEADY_REPS)
    short = replace(program, reps=reps)
    schedule = run(short)
    if isinstance(schedule, Deadlock):
        return {}
    walk = _Walk.of(short, schedule.window(0, reps, limit=short.tiles))
    return walk.cycles(walk.end_of_rep(reps - 2) if reps > 1 else 0)


@dataclass(frozen=True, slots=True)
class _Walk:
    """The slices of a few repetitions, indexed for walking backwards.

    Attributes:
        program: what ran.
        stage: stage of each slice, in order of start.
        tile: its tile.
        start: its first cycle.
        end: the first cycle after it.
        index: per stage, the slice of each tile.
        before: per slice, the slice before it on its resource, -1 for none.
        edges: per stage, the edges into it with the producer's stage number.
    """

    program: Program
    stage: list[int]
    tile: list[int]
    start: list[int]
    end: list[int]
    index: tuple[list[int], ...]
    before: list[int]
    edges: tuple[tuple[tuple[Edge, int], ...], ...]

    @classmethod
    def of(cls, program: Program, slices: Slices) -> _Walk:
        """Index the slices of a program's first repetitions."""
        numbers = {name: number for number, name in enumerate(slices.stage_names)}
        resources = np.array([slices.resource_names.index(name) for name in slices.resource_names])[slices.stage]
        before = np.full(len(slices), -1)
        for resource in np.unique(resources):
            on_it = np.flatnonzero(resources == resource)
            before[on_it[1:]] = on_it[:-1]
        edges: list[list[tuple[Edge, int]]] = [[] for _ in numbers]
        for edge in program.edges:
            edges[numbers[edge.consumer]].append((edge, numbers[edge.producer]))
        return cls(
            program,
            slices.stage.tolist(),
            slices.tile.tolist(),
            slices.start.tolist(),
            slices.end.tolist(),
            tuple(np.flatnonzero(slices.stage == number).tolist() for number in range(len(numbers))),
            before.tolist(),
            tuple(tuple(each) for each in edges),
        )

    def end_of_rep(self, rep: int) -> int:
        """Cycle in which the last tile of a repetition ends."""
        stages = enumerate(self.program.stages)
        return max(self.end[self.index[number][(rep + 1) * stage.tiles - 1]] for number, stage in stages)

    def cycles(self, since: int) -> dict[str, int]:
        """Stage -> cycles on the path back from the last tile to cycle ``since``."""
        spent: dict[str, int] = {}
        at: int | None = max(range(len(self.end)), key=self.end.__getitem__)
        while at is not None and self.end[at] > since:
            name = self.program.stages[self.stage[at]].name
            spent[name] = spent.get(name, 0) + self.end[at] - max(self.start[at], since)
            at = next(self._held_by(at), None) if self.start[at] > since else None
        return spent

    def _held_by(self, at: int) -> Iterator[int]:
        """Slices whose end let slice ``at`` start."""
        when = self.start[at]
        if self.before[at] >= 0 and self.end[self.before[at]] == when:
            yield self.before[at]
        stage = self.stage[at]
        rep, pos = divmod(self.tile[at], self.program.stages[stage].tiles)
        for edge, producer in self.edges[stage]:
            hi = self.program.stages[stage].tiles if edge.hi is None else edge.hi
            made = self.program.stages[producer].tiles
            needed = rep * made + (edge.a * pos + edge.b) // edge.c
            if edge.lo <= pos < hi and needed >= 0 and self.end[self.index[producer][needed]] == when:
                yield self.index[producer][needed]
