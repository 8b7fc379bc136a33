"""`Program`: what hardware units do, tile by tile, as a loop body that repeats.

Glossary
    stage     a stream of equal work items (tiles) on one resource; ``tiles`` per repetition, served in order
    edge      tile i of the consumer waits until the producer has *finished* a given number of tiles
    resource  a unit that serves one tile at a time, never pre-empted
    rep       one pass through the body (a layer, a token, a step); edges may reach into earlier reps

Each resource serves its stages in the order in which the Program lists them: within a repetition each stage wholly,
then the next repetition; an :class:`Order` says otherwise where hardware alternates. Start times are then max-plus
linear in the durations: shortening a tile or widening a buffer never makes anything later (Baccelli et al.,
Synchronization and Linearity, 1992). A resource named in ``arbitrated`` instead grants the least (ready time, priority,
listing index): reproducible, but not monotone (Graham's anomaly).

Buffers: a slot is taken when the producer *starts* a tile and given back when the consumer *finishes* it. So depth 1
means no overlap and depth 2 is a double buffer. An RTL FIFO of depth D with an output register is depth D + 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from hwsim.schedule.checks import check_program

__all__ = [
    "Block",
    "Edge",
    "Order",
    "Program",
    "Stage",
    "after",
    "barrier",
    "fifo",
    "previous_rep",
    "ratio",
]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stream of tiles on one resource.

    Attributes:
        name: unique in the program.
        resource: the unit that serves it.
        tiles: tiles per repetition, at least 1.
        durations: run-length, one pair (number of tiles, cycles of each) after another; the numbers sum to ``tiles``.
        op: what the stage works on, for traces (``layers.in_proj``); the name when empty.
        priority: on an arbitrated resource, the lesser goes first among tiles that became ready together.
    """

    name: str
    resource: str
    tiles: int
    durations: tuple[tuple[int, int], ...]
    op: str = ""
    priority: int = 0

    @classmethod
    def uniform(cls, name: str, resource: str, tiles: int, cycles: int, *, op: str = "", priority: int = 0) -> Stage:
        """A stage whose tiles all take ``cycles``."""
        return cls(name, resource, tiles, ((tiles, cycles),), op, priority)

    @classmethod
    def of_cycles(cls, name: str, resource: str, cycles: Iterable[int], *, op: str = "", priority: int = 0) -> Stage:
        """A stage with one tile for each entry of ``cycles``; equal neighbours become one run."""
        runs = tuple((sum(1 for _ in run), length) for length, run in groupby(cycles))
        return cls(name, resource, sum(count for count, _ in runs), runs, op, priority)

    @property
    def cycles_per_rep(self) -> int:
        """Cycles for which one repetition holds the resource."""
        return sum(count * cycles for count, cycles in self.durations)


@dataclass(frozen=True, slots=True)
class Edge:
    """Tile i of ``consumer`` waits until ``producer`` has finished ``rep*n_u + floor((a*pos + b)/c) + 1`` tiles.

    Here n and n_u are the tiles per repetition of consumer and producer, rep = i // n, pos = i % n; the edge binds for
    lo <= pos < hi (``hi=None``: to the last tile). A negative floor reaches into earlier repetitions; before the first
    there is nothing to wait for.
    """

    producer: str
    consumer: str
    a: int = 1
    b: int = 0
    c: int = 1
    lo: int = 0
    hi: int | None = None

    def __str__(self) -> str:
        slope = "pos" if self.a == 1 else f"{self.a}*pos"
        index = f"{slope}{self.b:+d}" if self.b and self.a else (str(self.b) if not self.a else slope)
        index = index if self.c == 1 else f"floor(({index})/{self.c})"
        mask = "" if (self.lo, self.hi) == (0, None) else f" for {self.lo} <= pos < {self.hi or 'tiles'}"
        return f"{self.consumer}[pos] after {self.producer}[{index}]{mask}"


@dataclass(frozen=True, slots=True)
class Block:
    """``segments`` (stage name, tiles) served in turn, the whole ``times`` over."""

    times: int
    segments: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """How ``resource`` serves its stages within a repetition: ``blocks`` one after another, each tile exactly once.

    An alternation of two streams is ``Order("gemm", (Block(640, (("x", 1), ("z", 1))),))``.
    """

    resource: str
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, resource: str, *segments: tuple[str, int]) -> Order:
        """An order given as a plain list of (stage name, tiles)."""
        return cls(resource, (Block(1, segments),))


@dataclass(frozen=True, slots=True)
class Program:
    """A loop body of stages and edges, repeated ``reps`` times.

    Attributes:
        stages: in service order.
        edges: dependencies and buffers.
        reps: repetitions of the body.
        orders: service orders other than the listing order, at most one per resource.
        arbitrated: resources that grant by readiness instead of a fixed order.

    Raises:
        HwsimError: with every fault found: names, ranges, durations, orders that miss a tile, 64-bit headroom.
    """

    stages: tuple[Stage, ...]
    edges: tuple[Edge, ...] = ()
    reps: int = 1
    orders: tuple[Order, ...] = ()
    arbitrated: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_program(self)

    @property
    def resources(self) -> tuple[str, ...]:
        """Resource names in the order in which the stages first use them."""
        return tuple(dict.fromkeys(stage.resource for stage in self.stages))

    @property
    def tiles(self) -> int:
        """Tiles that the whole program stands for."""
        return self.reps * sum(stage.tiles for stage in self.stages)

    def stages_on(self, resource: str) -> Iterator[Stage]:
        """The stages of one resource, in listing order."""
        return (stage for stage in self.stages if stage.resource == resource)

    def stage(self, name: str) -> Stage:
        """The stage called ``name``; KeyError if there is none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)


def after(producer: Stage, consumer: Stage, *, lag: int = 0, lo: int = 0, hi: int | None = None) -> Edge:
    """Tile i waits for tile i + ``lag`` of the producer (negative: an earlier one, also of earlier reps)."""
    return Edge(producer.name, consumer.name, 1, lag, 1, lo, hi)


def barrier(producer: Stage, consumer: Stage, *, lo: int = 0, hi: int | None = None) -> Edge:
    """Tiles lo.. of the consumer wait for all tiles of the producer in the same repetition."""
    return Edge(producer.name, consumer.name, 0, producer.tiles - 1, 1, lo, hi)


def previous_rep(producer: Stage, consumer: Stage, *, lo: int = 0, hi: int | None = None) -> Edge:
    """Tiles lo.. of the consumer wait for all tiles of the producer in the repetition before."""
    return Edge(producer.name, consumer.name, 0, -1, 1, lo, hi)


def ratio(
    producer: Stage,
    consumer: Stage,
    *,
    produced: int,
    consumed: int,
    skip: int = 0,
    lo: int = 0,
    hi: int | None = None,
) -> Edge:
    """A stream cut differently at its ends: ``produced`` units per producer tile, ``consumed`` per consumer tile.

    Consumer tile i uses the units [skip + i*consumed, skip + (i + 1)*consumed) and so waits for producer tile
    floor((skip + (i + 1)*consumed - 1)/produced), the one that holds the last of them.
    """
    return Edge(producer.name, consumer.name, consumed, skip + consumed - 1, produced, lo, hi)


def fifo(
    producer: Stage,
    consumer: Stage,
    depth: int,
    *,
    produced: int = 1,
    consumed: int = 1,
    skip: int = 0,
    lo: int = 0,
    hi: int | None = None,
) -> Edge:
    """The reverse edge of a buffer of ``depth`` units: a producer tile starts only when its units have room.

    Producer tile j takes the units up to (j + 1)*produced - 1, so the unit ``depth`` places before the last of them
    must have been released: by consumer tile floor(((j + 1)*produced - 1 - depth - skip)/consumed). With one unit per
    tile that is tile j - depth. ``lo`` and ``hi`` select producer tiles; ``skip`` is the first unit that this consumer
    uses (a buffer shared by consumers that take turns needs one edge for each).
    """
    return Edge(consumer.name, producer.name, produced, produced - 1 - depth - skip, consumed, lo, hi)
