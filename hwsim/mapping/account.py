"""What a nest costs, by definition: the slow, plain account that the kernels are held against.

Conventions (they fix the published golden points, see docs/mapping.md):

* Every word read and every word filled costs. Each round of each loop outside a tile fills it anew: to keep a tile over
  a loop, hold it outside that loop (AccelForge's rule; docs/mapping.md). A tile of a sliding window is filled whole.
* Output: an accumulation is a write, plus a read unless it is the word's first; a tile that leaves is read (drained)
  and accumulated into the level above; a tile that comes back is read above and filled, a fresh one is not.
* Multicast: lanes that need the same word in the same cycle cost the level above one read, windows that overlap in part
  included (`hwsim.mapping.windows`). Spatial reduction: lanes that add into the same word cost the level above one
  accumulation; one of the lanes is seeded when the tile comes back, the others start afresh.
* The multipliers read each operand from its innermost level, one word per multiply-accumulate.
* Cycles (``ideal``): the largest of the compute steps and, per level, the words of its busiest instance over the port.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from math import ceil, inf, prod

from hwsim.mapping.hierarchy import Hierarchy, Level
from hwsim.mapping.nest import For, Nest, Spread
from hwsim.mapping.problem import Operand, Problem, tile_elements
from hwsim.mapping.windows import shared_windows

__all__ = ["Account", "Traffic", "account"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Words that one operand moves at one level.

    Attributes:
        reads: words read, all instances together.
        writes: words written, all instances together.
        peak_reads: words read at the busiest instance.
        peak_writes: words written at the busiest instance.
    """

    reads: int = 0
    writes: int = 0
    peak_reads: int = 0
    peak_writes: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.reads + other.reads,
            self.writes + other.writes,
            self.peak_reads + other.peak_reads,
            self.peak_writes + other.peak_writes,
        )


@dataclass(frozen=True, slots=True)
class Account:
    """The cost of one nest.

    Attributes:
        cycles: ``ideal`` cycles.
        energy_pj: total.
        energy_pj_by: level, and ``mac`` -> picojoules.
        cycles_by: ``compute`` and level -> cycles that it would take alone.
        bytes_by: level -> bytes read and written.
        traffic: (level, operand) -> words.
    """

    cycles: int
    energy_pj: float
    energy_pj_by: Mapping[str, float]
    cycles_by: Mapping[str, float]
    bytes_by: Mapping[str, float]
    traffic: Mapping[tuple[str, str], Traffic]

    @property
    def edp(self) -> float:
        """Energy-delay product, picojoule-cycles."""
        return self.energy_pj * self.cycles


@dataclass(frozen=True, slots=True)
class _Split:
    """A dimension cut into tiles: in time (fan-out -1), or over the lanes of a fan-out, which share a rest evenly."""

    dim: str
    tile: int
    fanout: int
    lanes: int = 0

    def tile_of(self, held: int) -> int:
        """The tile that a tile of ``held`` is cut into."""
        return -(-held // self.lanes) if self.lanes else self.tile


def _cut(extent: int, splits: Iterable[tuple[_Split, bool]]) -> dict[int, int]:
    """Extent of a tile -> how many, after all splits; of those marked True only the first tile is followed."""
    tiles = {extent: 1}
    for split, first_only in splits:
        after: dict[int, int] = {}
        for held, count in tiles.items():
            tile = split.tile_of(held)
            if first_only:
                size = min(held, tile)
                after[size] = after.get(size, 0) + count
                continue
            whole, rest = divmod(held, tile)
            if whole:
                after[tile] = after.get(tile, 0) + whole * count
            if rest:
                after[rest] = after.get(rest, 0) + count
        tiles = after
    return tiles


@dataclass(frozen=True, slots=True)
class _Ledger:
    """A nest ready for counting: its splits in order, each with the step that made it, and the end."""

    problem: Problem
    hierarchy: Hierarchy
    splits: tuple[tuple[int, _Split], ...]
    end: int

    def cut(self, dim: str, position: int, lanes: frozenset[int]) -> dict[int, int]:
        """Tiles of ``dim`` at a step, following lane 0 only of the fan-outs ``lanes``."""
        before = ((split, split.fanout in lanes) for at, split in self.splits if at < position and split.dim == dim)
        return _cut(self.problem.extents[dim], before)

    def words(
        self, operand: Operand, position: int, *, lanes: frozenset[int], own: frozenset[int], ones: bool = False
    ) -> int:
        """Words of all tiles of ``operand`` that pass a step.

        Args:
            operand: whose.
            position: the step.
            lanes: fan-outs of which only lane 0 counts, for dimensions that do not move the operand.
            own: the same, for dimensions that do.
            ones: count each tile's first visit only.
        """
        visits = 1
        for dim, _ in self.problem.dims:
            if dim not in operand.dims and not ones:
                visits *= sum(self.cut(dim, position, lanes).values())
        words = 1
        for axis in operand.axes:
            tiles = [(stride, self.cut(dim, position, own)) for dim, stride in axis]
            counts = [sum(cut.values()) for _, cut in tiles]
            sums = [sum(size * count for size, count in cut.items()) for _, cut in tiles]
            box = prod(counts) * (1 - sum(stride for stride, _ in tiles))
            for i, (stride, _) in enumerate(tiles):
                box += stride * sums[i] * prod(counts[:i] + counts[i + 1 :])
            words *= box
        return visits * words


def account(problem: Problem, hierarchy: Hierarchy, nest: Nest) -> Account:
    """The cost of a legal nest in ``ideal`` mode (`hwsim.mapping.check` says whether it is legal)."""
    traffic, steps = _counted(problem, _shape_of(hierarchy), nest)
    return _priced(problem, hierarchy, traffic, steps)


@lru_cache(maxsize=256)
def _shape_of(hierarchy: Hierarchy) -> Hierarchy:
    """The hierarchy without rates, rooms and energies: what the words of a nest depend on."""
    parts = tuple(
        Level(part.name, inf, 1.0, 1.0, 0.0, 0.0, part.may, part.must, part.shared_port, part.double_buffered)
        if isinstance(part, Level)
        else part
        for part in hierarchy.parts
    )
    return replace(hierarchy, name="", clock_hz=1.0, parts=parts, mac_pj=0.0, macs_per_cycle=1)


@lru_cache(maxsize=8192)
def _counted(problem: Problem, hierarchy: Hierarchy, nest: Nest) -> tuple[Mapping[tuple[str, str], Traffic], int]:
    """Words by level and operand, and steps of the multipliers; kept, as machines that differ in rates ask alike."""
    ledger = _ledger(problem, hierarchy, nest)
    traffic: dict[tuple[str, str], Traffic] = {}
    for operand in problem.operands:
        for level, moved in _operand_traffic(ledger, nest, operand):
            key = (hierarchy.levels[level].name, operand.name)
            traffic[key] = traffic.get(key, Traffic()) + moved
    steps = prod(
        sum(s * c for s, c in ledger.cut(dim, ledger.end, _above(len(hierarchy.fanouts))).items())
        for dim, _ in problem.dims
    )
    return traffic, steps


def _ledger(problem: Problem, hierarchy: Hierarchy, nest: Nest) -> _Ledger:
    splits = []
    for at, (step, tile) in enumerate(nest.tiles(problem)):
        if isinstance(step, Spread):
            lanes = -(-tile[step.dim] // step.tile)
            splits.append((at, _Split(step.dim, step.tile, hierarchy.fanout_of(step.axis), lanes)))
        elif isinstance(step, For):
            splits.append((at, _Split(step.dim, step.tile, -1)))
    return _Ledger(problem, hierarchy, tuple(splits), len(nest.steps))


def _above(count: int) -> frozenset[int]:
    return frozenset(range(count))


def _operand_traffic(ledger: _Ledger, nest: Nest, operand: Operand) -> Iterable[tuple[int, Traffic]]:
    """(level index, words) of each transfer of one operand, from the outermost pair of levels to the multipliers."""
    hierarchy = ledger.hierarchy
    chain = nest.holds(ledger.problem, hierarchy)[operand.name]
    fresh = tile_elements(operand, ledger.problem.extents)
    for (upper, _), (lower, position) in pairwise(chain):
        pair = _transfer(ledger, nest, operand, (upper, lower, position), fresh)
        yield upper, pair[0]
        yield lower, pair[1]
        fresh = pair[1].reads - pair[1].writes
    level = chain[-1][0]
    outside, inside = hierarchy.fanouts_above(level), len(hierarchy.fanouts)
    between = _above(inside) - _above(outside)
    reads = _iterations(ledger, operand, lanes=between, own=frozenset())
    peak = _iterations(ledger, operand, lanes=_above(inside), own=_above(outside))
    if operand.role != "output":
        together, apart = shared_windows(ledger.problem, hierarchy, nest, operand, None, range(outside, inside))
        yield level, Traffic(reads=reads // apart * together, peak_reads=peak // apart * together)
        return
    yield level, Traffic(reads - fresh, reads, peak - _share(ledger, operand, outside), peak)


def _iterations(ledger: _Ledger, operand: Operand, *, lanes: frozenset[int], own: frozenset[int]) -> int:
    """Multiply-accumulates that read (or add into) distinct words: lanes that share the word count once."""
    total = 1
    for dim, _ in ledger.problem.dims:
        follow = own if dim in operand.dims else lanes
        total *= sum(s * c for s, c in ledger.cut(dim, ledger.end, follow).items())
    return total


def _share(ledger: _Ledger, operand: Operand, outside: int) -> int:
    """Words of the output that pass through the busiest instance below ``outside`` fan-outs."""
    return ledger.words(operand, ledger.end, lanes=frozenset(), own=_above(outside), ones=True)


def _transfer(
    ledger: _Ledger, nest: Nest, operand: Operand, link: tuple[int, int, int], fresh: int
) -> tuple[Traffic, Traffic]:
    """Traffic at two neighbouring levels of an operand; ``fresh`` output words start without a seed above.

    Args:
        ledger: the nest's.
        nest: the nest.
        operand: whose words.
        link: the level above, the one below, and the step at which it holds its tile.
        fresh: output words that start without a seed.
    """
    upper, lower, position = link
    outside, inside = ledger.hierarchy.fanouts_above(upper), ledger.hierarchy.fanouts_above(lower)
    between = _above(inside) - _above(outside)
    below = ledger.words(operand, position, lanes=frozenset(), own=frozenset())
    below_peak = ledger.words(operand, position, lanes=_above(inside), own=_above(inside))
    above = ledger.words(operand, position, lanes=between, own=frozenset())
    above_peak = ledger.words(operand, position, lanes=_above(inside), own=_above(outside))
    if operand.role != "output":
        fanouts = range(outside, inside)
        together, apart = shared_windows(ledger.problem, ledger.hierarchy, nest, operand, position, fanouts)
        above, above_peak = above // apart * together, above_peak // apart * together
        return Traffic(reads=above, peak_reads=above_peak), Traffic(writes=below, peak_writes=below_peak)
    return (
        Traffic(above - fresh, above, above_peak - _share(ledger, operand, outside), above_peak),
        Traffic(below, above - fresh, below_peak, below_peak - _share(ledger, operand, inside)),
    )


def _priced(problem: Problem, hierarchy: Hierarchy, traffic: Mapping[tuple[str, str], Traffic], steps: int) -> Account:
    """Words to energy and cycles."""
    energy: dict[str, float] = {"mac": problem.macs * hierarchy.mac_pj}
    cycles: dict[str, float] = {"compute": -(-steps // hierarchy.macs_per_cycle)}
    moved: dict[str, float] = {}
    for level in hierarchy.levels:
        rows = [(traffic.get((level.name, o.name), Traffic()), o.bits / 8) for o in problem.operands]
        reads = sum(t.reads * width for t, width in rows)
        writes = sum(t.writes * width for t, width in rows)
        energy[level.name] = reads * level.read_pj_per_byte + writes * level.write_pj_per_byte
        moved[level.name] = reads + writes
        cycles[level.name] = _port_cycles(
            level, sum(t.peak_reads * width for t, width in rows), sum(t.peak_writes * width for t, width in rows)
        )
    total = sum(energy.values())
    return Account(ceil(max(cycles.values())), total, energy, cycles, moved, dict(traffic))


def _port_cycles(level: Level, reads: float, writes: float) -> float:
    if level.shared_port:
        return (reads + writes) / level.read_bytes_per_cycle
    return max(reads / level.read_bytes_per_cycle, writes / level.write_bytes_per_cycle)
