"""Shares: what a level reads once for lanes whose sliding windows overlap, beside `hwsim.kernels.loopnest`.

`hwsim.mapping.windows` says the same plainly. Tiles of the dimensions concerned divide.
"""

from __future__ import annotations

from hwsim.kernels.jit import jit_part
from hwsim.kernels.loopnest import NONE, PLAIN, Array, Family, passed_words

__all__ = ["least_shared_words", "shared_words"]


@jit_part
def _sort(values: Array, count: int) -> None:
    """Shell sort, in place: kernels allocate nothing."""
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            value, j = values[i], i
            while j >= gap and values[j - gap] > value:
                values[j] = values[j - gap]
                j -= gap
            values[j] = value
        gap //= 2


@jit_part
def _covered(width: float, places: int, scratch: Array) -> float:
    """Words that windows cover together, at every sum of multiples of the steps (row 0) below the lanes (row 1)."""
    steps, lanes, starts = scratch[0], scratch[1], scratch[2]
    for i in range(1, places):
        for j in range(i, 0, -1):
            if steps[j] < steps[j - 1]:
                steps[j], steps[j - 1] = steps[j - 1], steps[j]
                lanes[j], lanes[j - 1] = lanes[j - 1], lanes[j]
    near = 0
    while near < places and steps[near] <= width:
        width += (lanes[near] - 1) * steps[near]
        near += 1
    if places - near < 2:
        return width * lanes[near] if near < places else width
    count = 1
    starts[0] = 0.0
    for place in range(near, places):
        for i in range(count, count * int(lanes[place])):
            starts[i] = starts[i - count] + steps[place]
        count *= int(lanes[place])
    _sort(starts, count)
    total = width
    for i in range(1, count):
        total += min(starts[i] - starts[i - 1], width)
    return total


@jit_part
def _lane_step(family: Family, tiles: Array, nodes: Array, stop: int, fanout: int, dim: int) -> float:
    """How far apart the lanes of a fan-out lie along a dimension: first tile inside, times deeper lanes."""
    step = 1.0
    for position in range(stop):
        node = nodes[position]
        if family.node_above[node] > fanout:
            step = max(step, tiles[position, dim])
    for deeper in range(fanout + 1, family.fan_lanes.shape[0]):
        step *= family.fan_lanes[deeper, dim]
    return step


@jit_part
def shared_words(family: Family, row: int, passed: float, tiles: Array, nodes: Array, stop: int, at: int) -> float:
    """Words that a share's level reads.

    Args:
        family: the tables.
        row: the share.
        passed: words that pass its node, lanes apart (unused for the multipliers).
        tiles: (positions, dims) residual tiles, lanes divided out.
        nodes: (positions,) the node of each position.
        stop: positions that are settled.
        at: position of its node (unused for the multipliers).

    """
    operand, node, first, last = family.share[row]
    words = passed if node >= 0 else family.share_apart[row]
    for axis in range(family.windows.shape[1]):
        if family.windows[operand, axis, 0] < 0:
            continue
        width, apart, places = 1.0, 1.0, 0
        for term in range(2):
            dim, stride = family.windows[operand, axis, 2 * term], family.windows[operand, axis, 2 * term + 1]
            if dim < 0:
                continue
            if node >= 0:
                width += stride * (tiles[at, dim] * family.lanes_inside[node, dim] - 1)
            for fanout in range(first, last):
                if family.fan_lanes[fanout, dim] > 1:
                    family.scratch[0, places] = stride * _lane_step(family, tiles, nodes, stop, fanout, dim)
                    family.scratch[1, places] = family.fan_lanes[fanout, dim]
                    apart *= family.fan_lanes[fanout, dim]
                    places += 1
        if places:
            words = words / (width * apart) * _covered(width, places, family.scratch)
    return words


@jit_part
def least_shared_words(family: Family, row: int, visits: Array) -> float:
    """The fewest words of a share, when the loops so far make ``visits`` tiles of each dimension.

    What loops and lanes further in reach of ``y`` and ``r`` are the sums of two sets of numbers, at least as many as
    both have together, less one.
    """
    operand, node, first = family.share[row, 0], family.share[row, 1], family.share[row, 2]
    if node < 0:
        return _least_of_multipliers(family, row)
    words = 1.0
    for dim in range(visits.shape[0]):
        relation = family.relation[operand, dim]
        if relation == NONE:
            words *= visits[dim]
        elif relation == PLAIN:
            words *= family.extents[dim]
    for axis in range(family.windows.shape[1]):
        if family.windows[operand, axis, 0] < 0:
            continue
        outer, reached = 1.0, -1.0
        for term in range(2):
            dim = family.windows[operand, axis, 2 * term]
            if dim >= 0:
                cuts = visits[dim]
                for fanout in range(first):
                    cuts *= family.fan_lanes[fanout, dim]
                outer *= cuts
                reached += family.extents[dim] / cuts
            else:
                reached += 1.0
        words *= outer * reached
    return min(words, passed_words(family, node, visits, True))


@jit_part
def _least_of_multipliers(family: Family, row: int) -> float:
    """The same for what the multipliers read: lanes on both terms of an axis may meet."""
    operand, _, first, last = family.share[row]
    words = family.share_apart[row]
    for axis in range(family.windows.shape[1]):
        apart, met = 1.0, 1.0
        for term in range(2):
            dim = family.windows[operand, axis, 2 * term]
            if dim >= 0:
                for fanout in range(first, last):
                    apart *= family.fan_lanes[fanout, dim]
                    met += family.fan_lanes[fanout, dim] - 1
        words = words / apart * met
    return words  # type: ignore[no-any-return]
