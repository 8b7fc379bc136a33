"""Exact search over every nest of a family: depth first from the outermost loop inwards, sound pruning only.

Along an order of the nodes, the loops between two of them are *slots*. A slot cuts one dimension further; once the
slots outside a node are set, its tile and its traffic are. A state is dropped when a tile has no room (``capacity``) or
when nothing further in can better what is known (``bound``: every node to come has only the loops so far outside it).

Loops that cannot help are never tried (``dominated``). A loop just outside a node that does not move its tile is better
just inside it: fewer words pass, the tile is the same. A loop just inside a node that moves its tile in disjoint steps
is better just outside it: the same words pass, the tile is smaller. Neither touches any other node, with one exception:
the first node inside a fan-out says how far apart its lanes lie. Where windows of lanes overlap, both loops are tried.
"""

from __future__ import annotations

import numpy as np

from hwsim.kernels.jit import jit, jit_part
from hwsim.kernels.loopnest import NONE, PLAIN, Array, Family, passed_words, tile_words, worst_port
from hwsim.kernels.loopnest_store import BOUND, CAPACITY, DOMINATED, EVALUATED, Found, State, beaten, keep, score
from hwsim.kernels.loopnest_windows import least_shared_words, shared_words

__all__ = ["least_of_order", "search"]


@jit_part
def _steers(family: Family, order: Array, position: int, dim: int) -> bool:
    """Whether a node is the first inside a fan-out where it matters how far apart the lanes of ``dim`` lie."""
    first = 0 if position == 0 else family.node_above[order[position - 1]]
    matters = False
    for fanout in range(first, family.node_above[order[position]]):
        matters = matters or family.steered[fanout, dim]
    return bool(matters)


@jit_part
def _lay_slots(family: Family, order: Array, tile_count: Array, state: State) -> int:
    """Write the slots that can help; returns how many. ``inner`` marks what may run innermost."""
    count = 0
    for gap in range(order.shape[0]):
        inside = family.node_operand[order[gap]]
        for dim in range(tile_count.shape[0]):
            outside = NONE if gap == 0 else family.relation[family.node_operand[order[gap - 1]], dim]
            outside_helps = outside != PLAIN or _steers(family, order, gap - 1, dim)
            inside_helps = family.relation[inside, dim] != NONE or _steers(family, order, gap, dim)
            if tile_count[dim] > 1 and outside_helps and inside_helps:
                state.slot_gap[count], state.slot_dim[count] = gap, dim
                count += 1
    last = family.node_operand[order[order.shape[0] - 1]] if order.shape[0] else -1
    for dim in range(tile_count.shape[0]):
        state.inner[dim] = last < 0 or family.relation[last, dim] != PLAIN
        state.inner[dim] = state.inner[dim] or _steers(family, order, order.shape[0] - 1, dim)
        open_later, seen = state.inner[dim], False
        for slot in range(count - 1, -1, -1):
            if state.slot_dim[slot] == dim:
                state.forced[slot] = not open_later
                state.last[slot] = not seen
                open_later = seen = True
    return count


@jit_part
def _count_ways(count: int, tiles: Array, tile_count: Array, perfect: Array, state: State) -> None:
    """``ways[slot, dim, i]``: ways in which the slots from ``slot`` on can cut the i-th tile of a dimension."""
    for dim in range(tile_count.shape[0]):
        for i in range(tile_count[dim]):
            state.ways[count, dim, i] = 1.0 if state.inner[dim] or i == 0 else 0.0
    for slot in range(count - 1, -1, -1):
        for dim in range(tile_count.shape[0]):
            for i in range(tile_count[dim]):
                total = state.ways[slot + 1, dim, i]
                if state.slot_dim[slot] == dim and not perfect[dim]:
                    total += state.ways[slot, dim, i - 1] if i else 0.0
                elif state.slot_dim[slot] == dim:
                    total = 0.0
                    for j in range(i + 1):
                        if tiles[dim, i] % tiles[dim, j] == 0:
                            total += state.ways[slot + 1, dim, j]
                state.ways[slot, dim, i] = total


@jit_part
def _below(slot: int, state: State) -> float:
    """Nests that agree with the loops outside ``slot``."""
    total = 1.0
    for dim in range(state.now.shape[0]):
        total *= state.ways[slot, dim, state.now[dim]]
    return total


@jit_part
def _hold(family: Family, order: Array, start: int, stop: int, depth: int, tiles: Array, state: State) -> bool:
    """Let nodes hold the current tile; False when one of them has no room."""
    for position in range(start, stop):
        node = order[position]
        for dim in range(family.extents.shape[0]):
            tile = tiles[dim, state.now[dim]]
            state.held[position, dim] = tile
            state.scratch[dim] = tile * family.lanes_inside[node, dim]
        level = family.node_level[node]
        state.used[depth, level] += family.room[node] * tile_words(family, family.node_operand[node], state.scratch)
        if state.used[depth, level] > family.capacity[level]:
            return False
        passed = passed_words(family, node, state.visits, False)
        state.energy[depth] += family.energy_of[node] * passed
        for port in range(family.bandwidth.shape[0]):
            state.ports[depth, port] += family.bytes_of[node, port] * passed
        for row in range(family.share.shape[0]):
            if family.share[row, 1] == node:
                shared = shared_words(family, row, passed, state.held, order, position + 1, position)
                at = order.shape[0] + 1 + row
                state.energy[depth] += family.energy_of[at] * shared
                for port in range(family.bandwidth.shape[0]):
                    state.ports[depth, port] += family.bytes_of[at, port] * shared
    return True


@jit_part
def _least(family: Family, order: Array, start: int, depth: int, state: State) -> tuple[float, float]:
    """Least energy and cycles of every nest below a state."""
    energy = state.energy[depth]
    for port in range(family.bandwidth.shape[0]):
        state.lower[port] = state.ports[depth, port]
    for position in range(start, order.shape[0]):
        node = order[position]
        passed = passed_words(family, node, state.visits, True)
        energy += family.energy_of[node] * passed
        for port in range(family.bandwidth.shape[0]):
            state.lower[port] += family.bytes_of[node, port] * passed
    return energy + _least_of_shares(family, order, start, state), worst_port(family, state.lower)


@jit_part
def _least_of_shares(family: Family, order: Array, start: int, state: State) -> float:
    """Least energy of the shares that are not settled yet; adds their bytes to ``lower``. Exact once all nodes are."""
    energy = 0.0
    for row in range(family.share.shape[0]):
        node, settled = family.share[row, 1], False
        for position in range(start):
            settled = settled or order[position] == node
        if settled:
            continue
        if node < 0 and start == order.shape[0]:
            shared = shared_words(family, row, 0.0, state.held, order, start, -1)
        else:
            shared = least_shared_words(family, row, state.visits)
        at = order.shape[0] + 1 + row
        energy += family.energy_of[at] * shared
        for port in range(family.bandwidth.shape[0]):
            state.lower[port] += family.bytes_of[at, port] * shared
    return energy


@jit_part
def _start(family: Family, order: Array, state: State) -> None:
    """Nothing held yet: the constants."""
    nodes = order.shape[0]
    state.energy[0] = family.energy_of[nodes]
    for port in range(state.ports.shape[1]):
        state.ports[0, port] = family.bytes_of[nodes, port]
    for level in range(state.used.shape[1]):
        state.used[0, level] = 0.0


@jit_part
def _carry(slot: int, state: State) -> None:
    """One slot further in: what was held stays held."""
    state.energy[slot] = state.energy[slot - 1]
    for port in range(state.ports.shape[1]):
        state.ports[slot, port] = state.ports[slot - 1, port]
    for level in range(state.used.shape[1]):
        state.used[slot, level] = state.used[slot - 1, level]


@jit_part
def _enter(
    family: Family,
    order: Array,
    slot: int,
    count: int,
    tiles: Array,
    state: State,
    found: Found,
    name: Array,
    objective: int,
) -> bool:
    """Settle what the slots before ``slot`` decide; True when the search has to go on with ``slot``."""
    first = 0 if slot == 0 else state.slot_gap[slot - 1]
    stop = order.shape[0] if slot == count else state.slot_gap[slot]
    if slot == 0:
        _start(family, order, state)
    else:
        _carry(slot, state)
    if not _hold(family, order, first, stop, slot, tiles, state):
        found.tally[CAPACITY] += _below(slot, state)
        return False
    energy, cycles = _least(family, order, stop, slot, state)
    found.budget[0] -= 1
    if beaten(objective, energy, cycles, found):
        found.tally[BOUND if slot < count else EVALUATED] += _below(slot, state)
        return False
    if slot == count:
        found.tally[EVALUATED] += 1
        keep(objective, energy, cycles, name, state.held, found)
        return False
    return True


@jit_part
def _push(slot: int, tiles: Array, state: State) -> None:
    """Start on a slot: its choices run from the whole tile down to the smallest. Notes the tiles that it will cut."""
    dim = state.slot_dim[slot]
    state.outer[slot] = state.now[dim]
    state.choice[slot] = 0 if state.forced[slot] else state.outer[slot]
    state.before[slot] = state.visits[dim]
    state.extent[slot, 0], state.copies[slot, 0], state.entries[slot] = tiles[dim, tiles.shape[1] - 1], 1.0, 1
    for outer in range(slot - 1, -1, -1):
        if state.slot_dim[outer] == dim:
            _cut(outer, slot, tiles[dim, state.now[dim]], state)
            return


@jit_part
def _cut(outer: int, slot: int, tile: int, state: State) -> None:
    """Cut the tiles that slot ``outer`` found into whole ones and rests, for ``slot`` to find."""
    entries = 1
    state.extent[slot, 0], state.copies[slot, 0] = tile, 0.0
    for entry in range(state.entries[outer]):
        extent, copies = state.extent[outer, entry], state.copies[outer, entry]
        state.copies[slot, 0] += (extent // tile) * copies
        if extent % tile:
            state.extent[slot, entries], state.copies[slot, entries] = extent % tile, copies
            entries += 1
    state.entries[slot] = entries


@jit_part
def _visits(slot: int, tile: int, state: State) -> float:
    """Tiles of ``tile`` that what a slot cuts falls into."""
    visits = 0.0
    for entry in range(state.entries[slot]):
        visits += state.copies[slot, entry] * -(-state.extent[slot, entry] // tile)
    return visits


@jit_part
def _wasteful(slot: int, tile: int, visits: float, state: State) -> bool:
    """Whether a tile one smaller makes no more visits: less room for the same traffic, if no loop cuts it further."""
    return bool(state.last[slot] and not state.forced[slot] and tile > 1 and visits == _visits(slot, tile - 1, state))


@jit_part
def _descend(
    family: Family,
    order: Array,
    slot: int,
    count: int,
    tiles: Array,
    perfect: Array,
    state: State,
    found: Found,
    name: Array,
    objective: int,
) -> int:
    """Walk the choices of an order's slots from ``slot`` on; returns where a spent budget stopped it, else -1.

    From slot -1 it begins with what stands before the first slot: `_enter`, which is inlined, is called in one place.
    """
    entering = slot < 0
    while entering or (slot >= 0 and found.budget[0] > 0):
        if entering:
            entering = False
            if _enter(family, order, slot + 1, count, tiles, state, found, name, objective):
                slot += 1
                _push(slot, tiles, state)
            continue
        dim, choice, before = state.slot_dim[slot], state.choice[slot], state.outer[slot]
        if choice < 0:
            state.now[dim] = before
            state.visits[dim] = state.before[slot]
            slot -= 1
            continue
        state.choice[slot] = -1 if state.forced[slot] else choice - 1
        if perfect[dim] and tiles[dim, before] % tiles[dim, choice] != 0:
            continue
        state.now[dim] = choice
        state.visits[dim] = _visits(slot, tiles[dim, choice], state)
        below = _below(slot + 1, state)
        if not perfect[dim] and _wasteful(slot, tiles[dim, choice], state.visits[dim], state):
            found.tally[DOMINATED] += below
            found.budget[0] -= 1
            continue
        entering = below > 0.0
    return slot


@jit
def search(
    family: Family,
    orders: Array,
    tiles: Array,
    tile_count: Array,
    perfect: Array,
    represented: float,
    name: int,
    objective: int,
    state: State,
    cursor: Array,
    found: Found,
) -> bool:
    """Search every perfect nest of a family; returns whether it is done, else the next call goes on where this stopped.

    Args:
        family: its tables.
        orders: (orders, nodes) interleavings of its nodes, outermost first.
        tiles: (dims, room) tiles to choose from per dimension, lanes divided out, ascending; the whole again last.
        tile_count: (dims,) how many.
        perfect: (dims,) whether a loop's tile divides the one outside it.
        represented: nests of one order, useless loops included.
        name: number of the family, for the record.
        objective: LATENCY, ENERGY, EDP or PARETO.
        state: from `new_state`.
        cursor: (3,) order, slot, slots; zeros and slot -1 to begin.
        found: what is known so far, updated in place.

    """
    label = np.array((name, 0))
    while cursor[0] < orders.shape[0]:
        order = orders[cursor[0]]
        label[1] = cursor[0]
        if cursor[1] < 0:
            if found.budget[0] <= 0:
                return False
            cursor[2] = _begin(family, order, tiles, tile_count, perfect, represented, state, found)
        if cursor[2] >= 0:
            cursor[1] = _descend(family, order, cursor[1], cursor[2], tiles, perfect, state, found, label, objective)
            if cursor[1] >= 0:
                return False
        cursor[0] += 1
    return True


@jit_part
def _begin(
    family: Family,
    order: Array,
    tiles: Array,
    tile_count: Array,
    perfect: Array,
    represented: float,
    state: State,
    found: Found,
) -> int:
    """Set the stacks for an order; returns its slots, or -1 when all of its nests are dominated."""
    for dim in range(tile_count.shape[0]):
        state.now[dim] = tile_count[dim] - 1
        state.visits[dim] = 1.0
    count = _lay_slots(family, order, tile_count, state)
    _count_ways(count, tiles, tile_count, perfect, state)
    useful = _below(0, state)
    found.tally[DOMINATED] += represented - useful
    return count if useful > 0.0 else -1


@jit
def least_of_order(family: Family, order: Array, objective: int, state: State) -> float:
    """Least objective that any nest of an order can have (for what a spent budget leaves unsearched)."""
    for dim in range(state.visits.shape[0]):
        state.visits[dim] = 1.0
    _start(family, order, state)
    energy, cycles = _least(family, order, 0, 0, state)
    return score(objective, energy, cycles)
