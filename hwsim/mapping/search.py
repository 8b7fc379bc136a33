"""The optimal mapper: the best nest of a space, and the certificate of what was searched to know it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, prod
from typing import Final

import numpy as np

from hwsim.errors import Infeasible
from hwsim.kernels import loopnest_search as kernel
from hwsim.kernels import loopnest_store as store
from hwsim.kernels.loopnest import Array, Family
from hwsim.mapping.account import Account, account
from hwsim.mapping.certificate import Certificate, Mode, Objective, Space
from hwsim.mapping.check import held_bytes
from hwsim.mapping.family import (
    build_family,
    chains,
    divided,
    divisors,
    lane_choices,
    nest_of,
    represented,
)
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.lattice import Lanes
from hwsim.mapping.nest import Nest
from hwsim.mapping.problem import Problem, tile_elements
from hwsim.mapping.tables import Chains

__all__ = [
    "Candidate", "Certificate", "Mapped", "Mode", "Objective", "Space", "best_of_each_family", "candidates_of",
    "find_best", "score",
]  # fmt: skip

_CODES: Final = {
    "latency": store.LATENCY,
    "energy": store.ENERGY,
    "edp": store.EDP,
    "pareto": store.PARETO,
}
_PAUSE: Final = 500_000
"""States between two looks at the clock: about a tenth of a second."""
_FRONT_ROOM: Final = 4096


@dataclass(frozen=True, slots=True)
class Mapped:
    """The mapper's answer: the best nest, what it costs, the certificate; for a front, all its points by cycles."""

    nest: Nest
    cost: Account
    certificate: Certificate
    front: tuple[tuple[Nest, Account], ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A family ready for the kernel.

    Attributes:
        family: cost tables.
        lanes: what lies on the axes.
        nodes: (operand, level) of each node.
        orders: (orders, nodes) in which the nodes may come.
        tiles: (dims, room) extents that a tile of each dimension may have, lanes divided out; the last one repeats.
        tile_count: (dims,) how many there are.
        perfect: (dims,) whether its tiles divide.
        represented: nests of one order.
    """

    family: Family
    lanes: Lanes
    nodes: tuple[tuple[int, int], ...]
    orders: Array
    tiles: Array
    tile_count: Array
    perfect: Array
    represented: int


def find_best(
    problem: Problem,
    hierarchy: Hierarchy,
    objective: Objective = "edp",
    *,
    space: Space = "perfect",
    budget_s: float = inf,
    progress: Callable[[float], None] | None = None,
) -> Mapped | Infeasible:
    """The best nest of a problem on a hierarchy, ``ideal`` cycles, unfused.

    Args:
        problem: the op.
        hierarchy: the machine.
        space: ``perfect``, tiles divide; ``imperfect``, any tile (lanes still divide, and so do the tiles of a sliding
            window that lies on lanes).
        objective: what to minimise; ties go to lower energy, then lower cycles.
        budget_s: seconds after which the best so far is returned with its gap.
        progress: called with the share of the families done, from time to time.

    """
    candidates = candidates_of(problem, hierarchy, space)
    if not candidates:
        return _nowhere(problem, hierarchy)
    found = _nothing_found(objective, candidates)
    lowest = _run(candidates, objective, found, budget_s, progress)
    if found.rows[0] == 0:
        return _nowhere(problem, hierarchy) if lowest == inf else _too_soon(budget_s)
    rows = range(int(found.rows[0]))
    answers = [_decode(problem, hierarchy, candidates, found.nests[row]) for row in rows]
    answers.sort(key=lambda answer: (answer[1].cycles, answer[1].energy_pj))
    certificate = _certify(candidates, objective, space, found, lowest, _best(objective, answers)[1])
    front = tuple(answers) if objective == "pareto" else ()
    return Mapped(*_best(objective, answers), certificate, front)


def best_of_each_family(problem: Problem, hierarchy: Hierarchy, objective: Objective) -> list[tuple[Nest, Account]]:
    """The best perfect nest of every choice of what levels hold and what lies on the lanes, where one fits."""
    answers = []
    for candidate in candidates_of(problem, hierarchy, "perfect"):
        found = _nothing_found(objective, [candidate])
        _run([candidate], objective, found, inf, None)
        rows = range(int(found.rows[0]))
        answers += [_decode(problem, hierarchy, [candidate], found.nests[row]) for row in rows]
    return answers


def candidates_of(problem: Problem, hierarchy: Hierarchy, space: Space) -> list[Candidate]:
    """Every choice of what levels hold and what lies on the lanes: the families of a space."""
    return [
        _candidate(problem, hierarchy, lanes, held, space)
        for lanes in lane_choices(problem, hierarchy)
        for held in chains(problem, hierarchy)
    ]


def _candidate(problem: Problem, hierarchy: Hierarchy, lanes: Lanes, held: Chains, space: Space) -> Candidate:
    family, orders = build_family(problem, hierarchy, lanes, held)
    even = [space == "perfect" or dim in divided(problem, lanes) for dim, _ in problem.dims]
    left = [extent // prod(n for _, name, n in lanes if name == dim) for dim, extent in problem.dims]
    rows = [
        divisors(extent) if evenly else tuple(range(1, extent + 1)) for extent, evenly in zip(left, even, strict=True)
    ]
    room = max(len(row) for row in rows) + 1
    table = np.array([[*row, *[row[-1]] * (room - len(row))] for row in rows], np.int64)
    nodes = tuple((o, level) for o, chain in enumerate(held) for level in chain)
    count = np.array([len(row) for row in rows], np.int64)
    total = represented(problem, lanes, len(nodes), even)
    return Candidate(family, lanes, nodes, orders, table, count, np.array(even), total)


def _nothing_found(objective: Objective, candidates: list[Candidate]) -> store.Found:
    room = _FRONT_ROOM if objective == "pareto" else 1
    cells = 2 + max(c.orders.shape[1] * c.tiles.shape[0] for c in candidates)
    return store.Found(
        np.zeros((room, 2)), np.zeros((room, cells), np.int64), np.zeros(1, np.int64), np.zeros(4), np.zeros(1),
        np.zeros(1, np.int64),
    )  # fmt: skip


def _run(
    candidates: list[Candidate],
    objective: Objective,
    found: store.Found,
    budget_s: float,
    progress: Callable[[float], None] | None,
) -> float:
    """Search family after family; returns the least objective that what is left unsearched could have."""
    code, start, lowest = _CODES[objective], time.monotonic(), inf
    for name, candidate in enumerate(candidates):
        state = store.new_state(candidate.family, candidate.tiles)
        cursor = np.array((0, -1, 0))
        done = False
        try:
            while not done and time.monotonic() - start < budget_s:
                found.budget[0] = _PAUSE
                done = kernel.search(
                    candidate.family, candidate.orders, candidate.tiles, candidate.tile_count, candidate.perfect,
                    float(candidate.represented), name, code, state, cursor, found,
                )  # fmt: skip
                if progress:
                    progress((name + cursor[0] / len(candidate.orders)) / len(candidates))
        except KeyboardInterrupt:
            budget_s = 0.0
        for order in candidate.orders[cursor[0] :] if not done else ():
            lowest = min(lowest, kernel.least_of_order(candidate.family, order, code, state))
    return lowest


def _decode(problem: Problem, hierarchy: Hierarchy, candidates: list[Candidate], row: Array) -> tuple[Nest, Account]:
    candidate = candidates[row[0]]
    order = candidate.orders[row[1]]
    cells = len(order) * len(problem.dims)
    tiles = row[2 : 2 + cells].reshape(len(order), len(problem.dims))
    nest = nest_of(problem, hierarchy, candidate.lanes, [candidate.nodes[n] for n in order], tiles)
    return nest, account(problem, hierarchy, nest)


def score(objective: Objective, cost: Account) -> float:
    """What an objective minimises; a front is represented by its point of least energy-delay product."""
    return {"latency": float(cost.cycles), "energy": cost.energy_pj}.get(objective, cost.edp)


def _best(objective: Objective, answers: list[tuple[Nest, Account]]) -> tuple[Nest, Account]:
    return min(answers, key=lambda answer: (score(objective, answer[1]), answer[1].energy_pj))


def _certify(
    candidates: list[Candidate], objective: Objective, space: Space, found: store.Found, lowest: float, cost: Account
) -> Certificate:
    total = sum(c.represented * len(c.orders) for c in candidates)
    evaluated, dominated, capacity, bound = (int(n) for n in found.tally)
    pruned = {"dominated": dominated, "capacity": capacity, "bound": bound}
    optimal = lowest == inf and not found.full[0]
    best = score(objective, cost)
    lower = best if optimal else min(best, lowest)
    if not optimal:
        pruned["unsearched"] = max(0, total - evaluated - dominated - capacity - bound)
    gap = 0.0 if best == lower else best / lower - 1 if lower else inf
    return Certificate(space, objective, best == lower, lower, gap, total, evaluated, pruned)


def _nowhere(problem: Problem, hierarchy: Hierarchy) -> Infeasible:
    """No nest at all: name the level that is too small for the smallest tiles."""
    ones = {dim: 1 for dim, _ in problem.dims}
    for level in hierarchy.levels[1:]:
        terms = {o.name: held_bytes(level, o, tile_elements(o, ones)) for o in problem.operands if o.role in level.must}
        if sum(terms.values()) > level.capacity_bytes:
            return Infeasible(
                level.name, sum(terms.values()), level.capacity_bytes, "bytes",
                f"{level.name} has no room for the smallest tiles of what it must hold", terms,
                (f"more capacity of {level.name}", f"let an operand bypass {level.name}", "narrower words"),
            )  # fmt: skip
    level = min(hierarchy.levels[1:], key=lambda level: level.capacity_bytes)
    return Infeasible(
        level.name, level.capacity_bytes + 1, level.capacity_bytes, "bytes",
        "no nest fits: what the spatial axes must carry leaves tiles that no level has room for", {},
        (f"more capacity of {level.name}", "an axis that need not be full", "let operands bypass levels"),
    )  # fmt: skip


def _too_soon(budget_s: float) -> Infeasible:
    return Infeasible(
        "search time", budget_s, budget_s, "s", "the budget ended before any nest that fits was found", {},
        ("a larger --budget-s",),
    )  # fmt: skip
