"""What the search of loop nests keeps: what it has found so far, its stacks, and the order of the points it knows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.kernels.jit import jit_part
from hwsim.kernels.loopnest import Array, Family

__all__ = [
    "BOUND", "CAPACITY", "DOMINATED", "EDP", "ENERGY", "EVALUATED", "LATENCY", "PARETO", "Found", "State", "beaten",
    "keep", "new_state", "score",
]  # fmt: skip

LATENCY, ENERGY, EDP, PARETO = 0, 1, 2, 3
EVALUATED, DOMINATED, CAPACITY, BOUND = 0, 1, 2, 3


class Found(NamedTuple):
    """What the search has found so far, kept from family to family.

    Attributes:
        points: (room, 2) energy_pj and cycles; one row for a single objective, the front for PARETO.
        nests: (room, 2 + nodes * dims) family, order, and the tile of each position of the order, residual extents.
        rows: (1,) rows in use.
        tally: (4,) nests evaluated, dominated, over capacity, beaten by bound.
        full: (1,) set when a front had more points than there is room for.
        budget: (1,) states that may still be entered before the search pauses.

    """

    points: Array
    nests: Array
    rows: Array
    tally: Array
    full: Array
    budget: Array


class State(NamedTuple):
    """The search's stacks, a row per depth (slot)."""

    slot_gap: Array
    slot_dim: Array
    forced: Array
    inner: Array
    ways: Array
    choice: Array
    outer: Array
    now: Array
    visits: Array
    energy: Array
    ports: Array
    used: Array
    held: Array
    scratch: Array
    lower: Array
    last: Array
    before: Array
    entries: Array
    extent: Array
    copies: Array


@jit_part
def score(objective: int, energy: float, cycles: float) -> float:
    """The quantity to minimise."""
    if objective == LATENCY:
        return cycles
    return energy if objective == ENERGY else energy * cycles


@jit_part
def beaten(objective: int, energy: float, cycles: float, found: Found) -> bool:
    """Whether nothing at or above (energy, cycles) can better what is known."""
    for row in range(found.rows[0]):
        best_energy, best_cycles = found.points[row, 0], found.points[row, 1]
        if objective == PARETO:
            if best_energy <= energy and best_cycles <= cycles:
                return True
            continue
        mine, best = score(objective, energy, cycles), score(objective, best_energy, best_cycles)
        if mine > best:
            return True
        if mine == best:
            if objective == ENERGY:
                return bool(cycles >= best_cycles)
            return bool(energy >= best_energy)
    return False


@jit_part
def keep(objective: int, energy: float, cycles: float, name: Array, held: Array, found: Found) -> None:
    """Record a nest that is not beaten; of a front, drop what it beats. A full front takes no more."""
    kept = 0
    if objective == PARETO:
        for row in range(found.rows[0]):
            if energy > found.points[row, 0] or cycles > found.points[row, 1]:
                for cell in range(2):
                    found.points[kept, cell] = found.points[row, cell]
                for cell in range(found.nests.shape[1]):
                    found.nests[kept, cell] = found.nests[row, cell]
                kept += 1
    if kept == found.points.shape[0]:
        found.full[0] = 1.0
        return
    found.points[kept, 0], found.points[kept, 1] = energy, cycles
    found.nests[kept, 0], found.nests[kept, 1] = name[0], name[1]
    at = 2
    for position in range(held.shape[0]):
        for dim in range(held.shape[1]):
            found.nests[kept, at] = held[position, dim]
            at += 1
    found.rows[0] = kept + 1


def new_state(family: Family, tiles: Array) -> State:
    """Room for the search's stacks over one family."""
    nodes, dims = family.node_level.shape[0], family.extents.shape[0]
    slots, ports = (nodes + 1) * dims + 1, family.bandwidth.shape[0]

    def whole(*shape: int) -> Array:
        return np.zeros(shape, np.int64)

    return State(
        slot_gap=whole(slots),
        slot_dim=whole(slots),
        forced=np.zeros(slots, np.bool_),
        inner=np.zeros(dims, np.bool_),
        ways=np.zeros((slots, dims, tiles.shape[1])),
        choice=whole(slots),
        outer=whole(slots),
        now=whole(dims),
        visits=np.zeros(dims),
        energy=np.zeros(slots),
        ports=np.zeros((slots, ports)),
        used=np.zeros((slots, family.capacity.shape[0])),
        held=whole(nodes, dims),
        scratch=np.zeros(dims),
        lower=np.zeros(ports),
        last=np.zeros(slots, np.bool_),
        before=np.zeros(slots),
        entries=whole(slots),
        extent=whole(slots, slots + 1),
        copies=np.zeros((slots, slots + 1)),
    )
