"""One thread's work as a pipeline of tiles on the engine: memory, the core's path, cache, vector units, tile unit.

Weights pass through these in order, tile by tile, and each tile holds each of them for a while. Buffers between them
are finite: a few tiles may be on their way from memory while one is worked on, and expanded tiles wait in two buffers.
What overlaps follows from that alone; there is no factor for it.

A page of 4 KiB ends every stream: prefetchers stop there, and the first access behind it waits for memory. So the
core's path takes longer by ``restart`` at a tile in which a stream enters a page; how much of that stays hidden depends
on how many tiles wait in the buffers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hwsim.schedule import Program, Stage

__all__ = ["PAGE_BYTES", "RESOURCES", "Pipe", "engine_cycles", "least_cycles", "pipe_program"]

PAGE_BYTES: Final = 4096
RESOURCES: Final = ("memory", "memory_core", "cache", "vector", "amx")
"""The stages in the order in which a tile passes through them."""

_COUNTS: Final = 0.02
"""A stage that is busy for a smaller share of the time, and for under a cycle in each tile, is left out."""

_QUEUE: Final = 8
"""Tiles of all cores' requests that wait in the memory controllers, for each core."""


@dataclass(frozen=True, slots=True)
class Pipe:
    """One thread's tiles. Durations are cycles of a tile and need not be whole.

    Attributes:
        tiles: tiles of one repetition (one column tile over k).
        reps: repetitions.
        memory: this thread's share of the socket's memory.
        core: the core's own path to memory, page restarts left out.
        restart: added by entering a page.
        pages: pages entered for each tile.
        cache: L2 or LLC.
        vector: vector units.
        amx: tile unit.
        tail: cycles of the last stage at the end of a repetition (stores of the accumulators).
        window: tiles between memory and the units.
        buffers: buffers between vector and tile unit.
    """

    tiles: int
    reps: int
    memory: float = 0.0
    core: float = 0.0
    restart: float = 0.0
    pages: float = 0.0
    cache: float = 0.0
    vector: float = 0.0
    amx: float = 0.0
    tail: float = 0.0
    window: int = 3
    buffers: int = 2

    def __post_init__(self) -> None:
        if not (self.memory or self.core or self.restart * self.pages or self.cache or self.vector or self.amx):
            raise ValueError("a pipeline without work")

    @property
    def durations(self) -> dict[str, float]:
        """Resource -> mean cycles of a tile, restarts included."""
        core = self.core + self.restart * self.pages
        return dict(zip(RESOURCES, (self.memory, core, self.cache, self.vector, self.amx), strict=True))

    @property
    def active(self) -> tuple[str, ...]:
        """The resources that hold a tile for a cycle, or for a share of its time that counts."""
        least = min(1.0, _COUNTS * max(self.durations.values()))
        return tuple(name for name, cycles in self.durations.items() if cycles >= least)

    def depth(self, consumer: str) -> int:
        """Tiles between a stage and the one before it."""
        if consumer == "amx":
            return self.buffers
        return _QUEUE + self.window if consumer == "memory_core" else self.window


def _whole_cycles(mean: float, tiles: int) -> Iterator[int]:
    """Whole durations, at least 1, whose running sum stays within a cycle of ``mean`` times the tiles."""
    before = 0
    for tile in range(1, tiles + 1):
        total = math.ceil(mean * tile - 1e-6)
        yield max(1, total - before)
        before = max(total, before + 1)


def _core_cycles(pipe: Pipe) -> Iterator[int]:
    """Durations of the core's path: its stream, and a restart in each tile in which a page is entered."""
    restart = math.ceil(pipe.restart)
    entered = 0
    for tile, cycles in enumerate(_whole_cycles(pipe.core, pipe.tiles), start=1):
        pages = math.ceil(pipe.pages * tile - 1e-9)
        yield cycles + restart * (pages - entered)
        entered = pages


def _cycles(pipe: Pipe, resource: str) -> list[int]:
    if resource == "memory_core":
        found = list(_core_cycles(pipe))
    else:
        found = list(_whole_cycles(pipe.durations[resource], pipe.tiles))
    if resource == pipe.active[-1]:
        found[-1] += math.ceil(pipe.tail)
    return found


def pipe_program(pipe: Pipe, op: str, name: str = "") -> Program:
    """The pipeline as a program: a stage for each resource in use, each waiting for the one before and for room."""
    from hwsim.schedule import Program, Stage, after, fifo  # noqa: PLC0415 - brings in the engine

    stages: list[Stage] = [
        Stage.of_cycles(f"{name}{resource}", resource, _cycles(pipe, resource), op=op) for resource in pipe.active
    ]
    edges = []
    for producer, consumer in pairwise(stages):
        edges += [after(producer, consumer), fifo(producer, consumer, pipe.depth(consumer.resource))]
    return Program(tuple(stages), tuple(edges), pipe.reps)


def engine_cycles(pipe: Pipe) -> int:
    """Length of the pipeline on the engine, in whole cycles of every tile."""
    from hwsim.schedule import Deadlock, run  # noqa: PLC0415 - brings in the engine, which `check` never needs

    found = run(pipe_program(pipe, "op"))
    if isinstance(found, Deadlock):
        raise ValueError(f"a pipeline with buffers cannot deadlock: {found}")
    return found.makespan_cycles


def least_cycles(pipe: Pipe) -> int:
    """Cycles that the engine does not go below: a stage, or two around a single buffer, with the fill of all others.

    Before a stage's first tile stands that tile in the stages before, behind its last tile that one in those after. For
    equal tiles of whole cycles and no page restarts it is what the engine takes.
    """
    active, durations = pipe.active, pipe.durations
    ends = [_ends(pipe, name, durations[name]) for name in active]
    tail = math.ceil(pipe.tail)
    first, busy, last = ends[-1]
    ends[-1] = (first + (tail if pipe.tiles == 1 else 0), busy + tail * pipe.reps, last + tail)
    least, before, after = 0, 0, sum(last for _, _, last in ends)
    for place, (first, busy, last) in enumerate(ends):
        after -= last
        found = before + busy + after
        if place + 1 < len(active) and pipe.depth(active[place + 1]) == 1:
            found += ends[place + 1][1] - ends[place + 1][2]
        least, before = max(least, found), before + first
    return least


def _ends(pipe: Pipe, resource: str, mean: float) -> tuple[int, int, int]:
    """A stage's cycles for its first tile, for all tiles, and for its last one: sums of `_cycles` without the tail."""
    tiles, before = pipe.tiles, pipe.tiles - 1
    if resource != "memory_core":
        whole = max(tiles, math.ceil(mean * tiles - 1e-6))
        return max(1, math.ceil(mean - 1e-6)), whole * pipe.reps, whole - max(before, math.ceil(mean * before - 1e-6))
    restart = math.ceil(pipe.restart)

    def until(tile: int) -> int:
        pages = math.ceil(pipe.pages * tile - 1e-9)
        return max(tile, math.ceil(pipe.core * tile - 1e-6)) + restart * pages

    whole = until(tiles)
    return until(1), whole * pipe.reps, whole - (until(before) if before else 0)
