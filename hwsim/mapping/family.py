"""Families of nests: what each level holds, which dimensions lie on the lanes, and what the kernels need of both.

Within a family a nest's cost is linear in the words that pass its nodes, so that the tables hold everything that the
machine and the operands' chains have to say, and the kernels only multiply tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations, pairwise, product
from math import comb, prod

import numpy as np

from hwsim.kernels.loopnest import Array, Family
from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.mapping.lattice import Lanes, Lattice, lanes_of
from hwsim.mapping.nest import For, Hold, Nest, Spread, Step
from hwsim.mapping.problem import Operand, Problem
from hwsim.mapping.tables import Chains, Share, cost_tables, ports_of

__all__ = [
    "build_family",
    "chains",
    "divided",
    "divisors",
    "interleavings",
    "lane_choices",
    "nest_of",
    "represented",
]


@lru_cache(maxsize=4096)
def divisors(number: int) -> tuple[int, ...]:
    """Divisors, ascending."""
    low = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return tuple(sorted({*low, *(number // d for d in low)}))


def chains(problem: Problem, hierarchy: Hierarchy) -> Iterator[Chains]:
    """Every choice of what each level holds."""
    yield from product(*(_chains_of(operand, hierarchy) for operand in problem.operands))


def _chains_of(operand: Operand, hierarchy: Hierarchy) -> list[tuple[int, ...]]:
    may = [i for i, level in enumerate(hierarchy.levels) if i and operand.role in level.may]
    must = {i for i in may if operand.role in hierarchy.levels[i].must}
    found = (held for count in range(len(may) + 1) for held in combinations(may, count))
    return [held for held in found if must <= set(held)]


@lru_cache(maxsize=1024)
def interleavings(keys: tuple[tuple[int, int], ...]) -> Array:
    """Orders of nodes, as (orders, nodes): operands keep their chains, a fan-out keeps what is outside it outside.

    Args:
        keys: (operand, fan-outs above) of each node, chains in order.

    """
    rows: list[tuple[int, ...]] = []

    def extend(order: tuple[int, ...]) -> None:
        if len(order) == len(keys):
            rows.append(order)
            return
        left = [i for i in range(len(keys)) if i not in order]
        shallow = min(keys[i][1] for i in left)
        heads = {keys[i][0]: i for i in reversed(left)}
        for i in sorted(heads.values()):
            if keys[i][1] == shallow:
                extend((*order, i))

    extend(())
    return np.array(rows, np.int64).reshape(len(rows), len(keys))


def lane_choices(problem: Problem, hierarchy: Hierarchy) -> list[Lanes]:
    """Every perfect choice of what lies on the spatial axes; an axis that is ``full`` takes its largest factor only."""
    rows: list[tuple[Lanes, dict[str, int]]] = [((), problem.extents)]
    for axis in hierarchy.axes:
        rows = [
            ((*lanes, *laid), {dim: left[dim] // lanes_of(laid, dim) for dim in left})
            for lanes, left in rows
            for laid in _laid(axis, problem, left)
        ]
    return [lanes for lanes, _ in rows]


def _laid(axis: SpatialAxis, problem: Problem, left: dict[str, int]) -> list[Lanes]:
    dims = [dim for dim in axis.dims if dim in left and axis.carries(problem, dim)]
    found: list[Lanes] = []
    for counts in product(*(divisors(left[dim]) for dim in dims)):
        if prod(counts) <= axis.extent:
            found.append(tuple((axis.name, dim, n) for dim, n in zip(dims, counts, strict=True) if n > 1))
    if axis.full:
        most = max(prod(n for *_, n in laid) for laid in found)
        found = [laid for laid in found if prod(n for *_, n in laid) == most]
    return found


def divided(problem: Problem, lanes: Lanes) -> frozenset[str]:
    """Dimensions of sliding windows that lie on lanes: their tiles divide in every space."""
    laid = {dim for _, dim, _ in lanes}
    axes = (axis for operand in problem.operands for axis in problem.live_axes(operand) if len(axis) > 1)
    return frozenset(dim for axis in axes if laid & {name for name, _ in axis} for dim, _ in axis)


def represented(problem: Problem, lanes: Lanes, nodes: int, perfect: Sequence[bool]) -> int:
    """Nests of one order: ways to deal each dimension's prime factors to the ``nodes + 1`` places for loops.

    Of a dimension that is not ``perfect``: falling sequences of ``nodes`` tiles.
    """
    total = 1
    for (dim, extent), evenly in zip(problem.dims, perfect, strict=True):
        left = extent // lanes_of(lanes, dim)
        if not evenly:
            total *= comb(left + nodes - 1, nodes)
            continue
        for exponent in _exponents(left):
            total *= comb(exponent + nodes, nodes)
    return total


def _exponents(number: int) -> Iterator[int]:
    factor = 2
    while number > 1:
        exponent = 0
        while number % factor == 0:
            number //= factor
            exponent += 1
        if exponent:
            yield exponent
        factor = factor + 1 if factor * factor <= number or factor > number else number


def build_family(problem: Problem, hierarchy: Hierarchy, lanes: Lanes, held: Chains) -> tuple[Family, Array]:
    """Cost tables and the orders of the nodes."""
    lattice = Lattice.of(problem, hierarchy, lanes)
    nodes = [(o, level) for o, chain in enumerate(held) for level in chain]
    above = [hierarchy.fanouts_above(level) for _, level in nodes]
    shares = _shares(hierarchy, lattice, held)
    energy, reads, writes = cost_tables(problem, hierarchy, lattice, held, shares)
    ports, bandwidth = ports_of(hierarchy.levels, reads, writes)
    dims = [dim for dim, _ in problem.dims]
    depth = len(hierarchy.fanouts)
    family = Family(
        extents=np.array([extent for _, extent in problem.dims], np.float64),
        relation=_relations(problem),
        windows=_windows(problem),
        node_operand=np.array([o for o, _ in nodes], np.int64),
        node_level=np.array([level for _, level in nodes], np.int64),
        room=np.array([_room(problem.operands[o], hierarchy.levels[level]) for o, level in nodes], np.float64),
        lanes_outside=_lanes([[lattice.of_dim(d, 0, f) for d in dims] for f in above], dims),
        lanes_inside=_lanes([[lattice.of_dim(d, f, depth) for d in dims] for f in above], dims),
        capacity=np.array([level.capacity_bytes for level in hierarchy.levels], np.float64),
        energy_of=energy,
        bytes_of=np.ascontiguousarray(ports.T),
        bandwidth=bandwidth,
        compute=np.array([-(-problem.macs // lattice.all // hierarchy.macs_per_cycle)], np.float64),
        node_above=np.array(above, np.int64),
        fan_lanes=np.array([[row.get(d, 1) for d in dims] for row in lattice.lanes], np.float64).reshape(-1, len(dims)),
        share=np.array(shares, np.int64).reshape(-1, 4),
        share_apart=np.array([_read_by_multipliers(lattice, *share) for share in shares], np.float64),
        steered=_steered(lattice, shares),
        scratch=np.zeros((3, max(2 * depth, lattice.all) if shares else 0)),
    )
    return family, interleavings(tuple((o, f) for (o, _), f in zip(nodes, above, strict=True)))


def _lanes(rows: list[list[int]], dims: list[str]) -> Array:
    """Lanes by node and dimension; a family without nodes has integers too, as the kernels are compiled for."""
    return np.array(rows, np.int64).reshape(-1, len(dims))


def _shares(hierarchy: Hierarchy, lattice: Lattice, held: Chains) -> list[Share]:
    """Where windows of lanes may overlap: a lane on a term of an axis, or, a word each, lanes on both."""
    found: list[Share] = []
    node, depth = 0, len(hierarchy.fanouts)
    for index, (operand, chain) in enumerate(zip(lattice.problem.operands, held, strict=True)):
        above = [hierarchy.fanouts_above(level) for level in (0, *chain)]
        for first, last in pairwise(above):
            if operand.role != "output" and lattice.terms_laid(operand, first, last) > 0:
                found.append((index, node, first, last))
            node += 1
        if operand.role != "output" and lattice.terms_laid(operand, above[-1], depth) > 1:
            found.append((index, -1, above[-1], depth))
    return found


def _steered(lattice: Lattice, shares: Sequence[Share]) -> Array:
    dims = [dim for dim, _ in lattice.problem.dims]
    table = np.zeros((len(lattice.lanes), len(dims)), np.bool_)
    for index, _, first, last in shares:
        for axis in lattice.problem.live_axes(lattice.problem.operands[index]):
            for fanout in range(first, last) if len(axis) > 1 else ():
                for dim, _ in axis:
                    table[fanout, dims.index(dim)] |= dim in lattice.lanes[fanout]
    return table


def _read_by_multipliers(lattice: Lattice, operand: int, node: int, first: int, last: int) -> float:
    """Words that the multipliers read at an operand's innermost level, windows apart; 0 for other shares."""
    if node >= 0:
        return 0.0
    return lattice.problem.macs / lattice.count(lattice.problem.operands[operand], first, last, own=False)


def _room(operand: Operand, level: Level) -> float:
    return operand.bits / 8 * (2 if level.double_buffered else 1)


@lru_cache(maxsize=256)
def _relations(problem: Problem) -> Array:
    code = {"none": 0, "plain": 1, "halo": 2}
    rows = [[code[problem.relation(operand, dim)] for dim, _ in problem.dims] for operand in problem.operands]
    return np.array(rows, np.int64)


@lru_cache(maxsize=256)
def _windows(problem: Problem) -> Array:
    """Sliding-window axes: (operands, 2, 4), see `hwsim.kernels.loopnest.Family`."""
    index = {dim: i for i, (dim, _) in enumerate(problem.dims)}
    table = np.full((len(problem.operands), 2, 4), -1, np.int64)
    for o, operand in enumerate(problem.operands):
        axes = [axis for axis in problem.live_axes(operand) if problem.relation(operand, axis[0][0]) == "halo"]
        for a, axis in enumerate(axes):
            for t, (dim, stride) in enumerate(axis):
                table[o, a, 2 * t], table[o, a, 2 * t + 1] = index[dim], stride
    return table


def nest_of(
    problem: Problem, hierarchy: Hierarchy, lanes: Lanes, nodes: Sequence[tuple[int, int]], tiles: Array
) -> Nest:
    """The nest of nodes in order, (operand, level) each, with residual tiles (nodes, dims): lanes divided out."""
    steps: list[Step] = []
    dims = [dim for dim, _ in problem.dims]
    lattice = Lattice.of(problem, hierarchy, lanes)
    now = {dim: extent // lanes_of(lanes, dim) for dim, extent in problem.dims}
    reached = 0
    for (operand, level), row in zip(nodes, tiles, strict=True):
        for dim, tile in zip(dims, (int(t) for t in row), strict=True):
            if tile < now[dim]:
                steps.append(For(dim, tile * lattice.of_dim(dim, reached, len(hierarchy.fanouts))))
                now[dim] = tile
        while reached < hierarchy.fanouts_above(level):
            steps += _spreads(hierarchy.fanouts[reached], lanes, now, lattice, reached)
            reached += 1
        steps.append(Hold(hierarchy.levels[level].name, problem.operands[operand].name))
    if reached < len(hierarchy.fanouts):  # lanes of a window take neighbouring words
        for dim in (dim for dim in dims if dim in divided(problem, lanes)):
            inside = lattice.of_dim(dim, reached, len(hierarchy.fanouts))
            steps += [For(dim, inside)] if now[dim] > 1 else []
            now[dim] = 1
    while reached < len(hierarchy.fanouts):
        steps += _spreads(hierarchy.fanouts[reached], lanes, now, lattice, reached)
        reached += 1
    steps += [For(dim, 1) for dim in dims if now[dim] > 1]
    return Nest(tuple(steps))


def _spreads(fanout: Fanout, lanes: Lanes, now: dict[str, int], lattice: Lattice, reached: int) -> Iterator[Spread]:
    """The axes of one fan-out; two axes with the same dimension cut it one after the other."""
    names = [axis.name for axis in fanout.axes]
    inside = {dim: now[dim] * lattice.of_dim(dim, reached, len(lattice.lanes)) for dim in now}
    for axis, dim, count in lanes:
        if axis in names:
            inside[dim] //= count
            yield Spread(axis, dim, inside[dim])
