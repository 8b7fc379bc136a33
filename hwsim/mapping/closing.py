"""Closing the gap in ``pipelined`` mode: every nest of a ``perfect`` space under its own bound, the nearest costed.

The ideal search sets nests aside by rules that hold for ``ideal`` cycles only: a larger tile, or a loop on the other
side of it, may hide a fill better. So all nests are bounded anew, at once, by what no schedule of their rounds can
hide, and costed from the lowest bound on until none is left below the best. Loops between two tiles stand in the
problem's order of dimensions, as the search writes them: their order moves the same words, in other rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Final

import numpy as np

from hwsim.kernels.loopnest import Array, Family
from hwsim.kernels.loopnest_cost import cost_many
from hwsim.kernels.loopnest_rounds import Rounds
from hwsim.mapping.family import divisors, nest_of
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.lattice import Lattice
from hwsim.mapping.nest import Nest
from hwsim.mapping.pipelined import rounds_of
from hwsim.mapping.problem import Problem
from hwsim.mapping.search import Candidate, Objective, candidates_of

__all__ = ["MOST_NESTS", "Fixed", "Open", "least_cycles", "open_nests"]

MOST_NESTS: Final = 2_000_000
"""Nests of a space that are bounded one by one; a larger space keeps the bound of ``ideal`` mode."""
_CHUNK: Final = 50_000
_KEPT: Final = 2048
"""Nests below the answer that are kept to be costed, those of the lowest bounds."""
_SAFE: Final = 1 - 1e-9
"""A bound stays below the engine's integer, whatever the last bit of a quotient."""


@dataclass(frozen=True, slots=True)
class Open:
    """Nests that may be better than an answer.

    Attributes:
        nests: (bound of the objective, rounds, nest), by bound; a generator, for most are never asked for.
        count: all whose bound is below the answer.
        beyond: the lowest bound among those that are not in ``nests``; the answer's objective when there are none.
        crowded: nests of the space without room.
    """

    nests: Iterator[tuple[float, float, Nest]]
    count: int
    beyond: float
    crowded: int


def open_nests(problem: Problem, hierarchy: Hierarchy, objective: Objective, best: float) -> Open | None:
    """The nests of the ``perfect`` space whose bound is below ``best``; None when the space is too large to list."""
    candidates = candidates_of(problem, hierarchy, "perfect")
    if sum(c.represented * len(c.orders) for c in candidates) > MOST_NESTS:
        return None
    rows: list[tuple[Array, Array, Array]] = []
    crowded, names = 0, list[tuple[Candidate, Array]]()
    for candidate in candidates:
        for order in candidate.orders:
            for tiles in _all_tiles(candidate, order):
                row, without = _below(problem, hierarchy, candidate, order, tiles, objective, best)
                crowded += without
                rows.append(row)
                names.append((candidate, order))
    return _nearest(problem, hierarchy, best, rows, names, crowded)


def _nearest(
    problem: Problem, hierarchy: Hierarchy, best: float, rows: Sequence[tuple[Array, Array, Array]],
    names: Sequence[tuple[Candidate, Array]], crowded: int,
) -> Open:  # fmt: skip
    """Order the rows by bound, and keep as many as may be costed."""
    bounds = np.concatenate([bound for bound, *_ in rows])
    where = np.array([(name, at) for name, (bound, *_) in enumerate(rows) for at in range(len(bound))]).reshape(-1, 2)
    order = np.argsort(bounds, kind="stable")
    beyond = float(bounds[order[_KEPT]]) if len(order) > _KEPT else best

    def nests() -> Iterator[tuple[float, float, Nest]]:
        for name, at in where[order[:_KEPT]]:
            candidate, nodes = names[name]
            bound, rounds, tiles = rows[name]
            steps = [candidate.nodes[node] for node in nodes]
            yield float(bound[at]), float(rounds[at]), nest_of(problem, hierarchy, candidate.lanes, steps, tiles[at])

    return Open(nests(), len(bounds), beyond, crowded)


def _falling(extent: int, places: int) -> Array:
    """Every falling sequence of divisors, (sequences, places): the tile of a dimension at each node."""
    rows: list[tuple[int, ...]] = [()]
    for _ in range(places):
        rows = [(*row, tile) for row in rows for tile in divisors(row[-1] if row else extent)]
    return np.array(rows, np.int64).reshape(len(rows), places)


def _all_tiles(candidate: Candidate, order: Array) -> Iterator[Array]:
    """Residual tiles of all nests of one order, by position: chunks of (nests, positions, dims)."""
    extents = [int(row.max()) for row in candidate.tiles]
    table = [_falling(extent, len(order)) for extent in extents]
    counts = tuple(len(rows) for rows in table)
    for start in range(0, prod(counts), _CHUNK):
        picked = np.unravel_index(np.arange(start, min(start + _CHUNK, prod(counts))), counts)
        yield np.stack([rows[at] for rows, at in zip(table, picked, strict=True)], axis=2)


def _below(
    problem: Problem, hierarchy: Hierarchy, candidate: Candidate, order: Array, tiles: Array,
    objective: Objective, best: float,
) -> tuple[tuple[Array, Array, Array], int]:  # fmt: skip
    """(bound of the objective, rounds, tiles) of the nests whose bound is below ``best``; how many have no room."""
    family = candidate.family
    by_node = np.empty_like(tiles)
    by_node[:, order] = tiles
    words, energy_pj, cycles, fits = cost_many(family, np.ascontiguousarray(by_node * family.lanes_inside, np.float64))
    near = np.flatnonzero(fits & (_value(objective, energy_pj, cycles) < best))
    visits = np.prod(candidate.tiles.max(axis=1) / by_node[near], axis=2)
    steps = [candidate.nodes[node] for node in order]
    tables = rounds_of(problem, hierarchy, nest_of(problem, hierarchy, candidate.lanes, steps, tiles[0]))
    least = np.maximum(cycles[near], least_cycles(_fixed(problem, hierarchy, candidate, tables), words[near], visits))
    bound = _value(objective, energy_pj[near], least)
    kept = bound < best
    rounds = visits.max(axis=1, initial=1.0)
    return (bound[kept], rounds[kept], tiles[near[kept]]), int(np.count_nonzero(~fits))


def _value(objective: Objective, energy_pj: Array, cycles: Array) -> Array:
    return {"latency": cycles, "energy": energy_pj}.get(objective, cycles * energy_pj)


@dataclass(frozen=True, slots=True)
class Fixed:
    """What the nests of a family have in common.

    Attributes:
        family: cost tables.
        tables: of any nest of it: buffers, and the cycles of a systolic array.
        inward: (nodes, ports) bytes that come in for a word that passes a node of an input.
        outward: (nodes, ports) bytes that go out for a word that passes a node of the output.
        streamed: (ports,) most bytes that the multipliers read and write, all rounds together.
    """

    family: Family
    tables: Rounds
    inward: Array
    outward: Array
    streamed: Array


def _fixed(problem: Problem, hierarchy: Hierarchy, candidate: Candidate, tables: Rounds) -> Fixed:
    lattice = Lattice.of(problem, hierarchy, candidate.lanes)
    count, ports = len(candidate.nodes), len(tables.bandwidth)
    inward, outward, streamed = candidate.family.bytes_of[:count].copy(), np.zeros((count, ports)), np.zeros(ports)
    depth, chains = len(hierarchy.fanouts), _chains(candidate, len(problem.operands))
    for index, (operand, chain) in enumerate(zip(problem.operands, chains, strict=True)):
        width = operand.bits / 8
        last = hierarchy.fanouts_above(chain[-1])
        lanes = lattice.count(operand, 0, depth, own=False) * lattice.count(operand, 0, last, own=True)
        streamed[tables.read_port[chain[-1]]] += width * problem.macs / lanes
        if operand.role != "output":
            continue
        streamed[tables.write_port[chain[-1]]] += width * problem.macs / lanes
        nodes = [node for node, (owner, _) in enumerate(candidate.nodes) if owner == index]
        for node, (upper, lower) in zip(nodes, pairwise(chain), strict=True):
            inward[node] = 0.0
            above, below = hierarchy.fanouts_above(upper), hierarchy.fanouts_above(lower)
            outward[node, tables.write_port[upper]] += width / lattice.count(operand, 0, above, own=True)
            outward[node, tables.read_port[lower]] += width / lattice.count(operand, 0, below, own=True)
    return Fixed(candidate.family, tables, inward, outward, streamed)


def _chains(candidate: Candidate, operands: int) -> list[list[int]]:
    """Per operand the levels that hold it, the outermost first."""
    return [[0, *(level for owner, level in candidate.nodes if owner == index)] for index in range(operands)]


def least_cycles(fixed: Fixed, words: Array, visits: Array) -> Array:
    """A lower bound of the pipelined cycles of nests of one family with perfect tiles, besides the ``ideal`` one.

    Whatever the order of the rounds:

    * The PEs start when the first tiles are in and loaded; after their last step come the array's wave and shift and
      the last outputs.
    * A systolic array loads, or shifts out, a tile in every round, one after the other.
    * Where an input is new in every round, its ports serve the last round's tile after all but the streams and outputs
      of the last two rounds, and then comes all of a round but its coming in.
    * Where such a port fills a level that is not double-buffered, rounds follow each other without overlap.

    Args:
        fixed: the family.
        words: (nests, nodes) that pass each node.
        visits: (nests, nodes) of each node's tile.

    Returns:
        (nests,) cycles.

    """
    t, bandwidth = fixed.tables, fixed.tables.bandwidth
    rounds = visits.max(axis=1, initial=1.0)
    steps = fixed.family.compute[0]
    last_out = ((words / visits) @ fixed.outward / bandwidth).max(axis=1)
    first_in = ((words / visits) @ fixed.inward / bandwidth).max(axis=1)
    after = t.shift + t.wave + last_out
    bound = first_in + t.load + steps + after
    one = steps / rounds
    bound = np.maximum(bound, first_in + rounds * t.load + one + after)
    bound = np.maximum(bound, first_in + one + rounds * t.shift + t.wave + last_out)
    each_round = (visits == rounds[:, None]).astype(np.float64)
    served = each_round @ (fixed.inward > 0) > 0
    tail = _tail(fixed, words, visits, rounds)
    total = _port_bytes(fixed, words)
    by_port = (total - tail) / bandwidth + (t.load + one + after)[:, None]
    serial = words @ fixed.inward / bandwidth + (rounds * (t.load + t.shift) + steps + t.wave)[:, None]
    serial += (words @ fixed.outward / bandwidth).max(axis=1)[:, None]
    by_port = np.maximum(by_port, np.where(t.depth == 1, serial, 0.0))
    bound = np.maximum(bound, np.where(served, by_port, 0.0).max(axis=1))
    least: Array = np.ceil(bound * _SAFE)
    return least


def _port_bytes(fixed: Fixed, words: Array) -> Array:
    """Bytes through every port but for reads that windows of lanes share."""
    count = words.shape[1]
    total: Array = words @ fixed.family.bytes_of[:count] + fixed.family.bytes_of[count]
    return total


def _tail(fixed: Fixed, words: Array, visits: Array, rounds: Array) -> Array:
    """Most bytes of streams and outputs in the last two rounds, by port."""
    leaves = 1.0 + ((visits == rounds[:, None]) & (rounds[:, None] > 1))
    stream = np.minimum(rounds, 2.0)[:, None] / rounds[:, None] * fixed.streamed
    last: Array = (words / visits * leaves) @ fixed.outward + stream
    return last
