"""What a nest does round by round: bytes by port, and the PEs' steps.

A *round* is one visit of the innermost held tile: its words come in (IN), the PEs run (RUN) while operands stream from
the levels that hold them innermost, sums that are done go out (OUT). `hwsim.kernels.loopnest_walk` adds the rounds up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.kernels.jit import jit, jit_part
from hwsim.kernels.loopnest import Array

__all__ = [
    "IN", "OUT", "STREAM", "Rounds", "advance", "enter_loops", "loops_outside", "one_round", "round_durations",
    "to_cycles",
]  # fmt: skip

IN, STREAM, OUT = 0, 1, 2


class Rounds(NamedTuple):
    """A nest as tables; lanes are followed at the busiest instance, lane 0.

    Attributes:
        extents: (dims,) of the problem.
        step_dim: (steps,) dimension that a step cuts.
        step_tile: (steps,) its tile in time; 0 for lanes.
        step_lanes: (steps,) lanes; 0 for a loop in time.
        outside: (steps,) loops in time outside the step.
        trips: (loops,) scratch: trips of each loop as last entered.
        pieces: (2, room) scratch: extents of pieces of a tile, and how many of each.
        cut: number of steps outside the innermost hold.
        moves: (transfers, 5) operand, upper level, lower level, step at which the tile is held, first step below the
            upper level's fan-outs; the last rows are the multipliers' reads, with lower level -1.
        shared: (transfers, 2) words that the lanes of a transfer need together, and apart.
        operand_axes: (operands, axes, terms, 2) dimension (or -1) and stride.
        own: (operands, dims) whether the dimension moves the operand.
        output: index of the output.
        bytes_per_word: (operands,).
        read_port: (levels,) port that serves reads.
        write_port: (levels,) port that serves writes.
        bandwidth: (ports,) bytes per cycle.
        depth: (ports,) rounds that may be under way when words come in: 1, or 2 where all it fills is double-buffered.
        macs_per_cycle: of a PE.
        load: cycles to load a stationary tile into shadow registers; 0 for none.
        shift: cycles to shift a finished tile out; 0 for none.
        wave: cycles from the last product's entry to the last sum.

    """

    extents: Array
    step_dim: Array
    step_tile: Array
    step_lanes: Array
    outside: Array
    trips: Array
    pieces: Array
    cut: int
    moves: Array
    shared: Array
    operand_axes: Array
    own: Array
    output: int
    bytes_per_word: Array
    read_port: Array
    write_port: Array
    bandwidth: Array
    depth: Array
    macs_per_cycle: int
    load: int
    shift: int
    wave: int


@jit_part
def enter_loops(t: Rounds, index: Array, held: Array) -> None:
    """Tile extents outside every step (row), as the loops stand at ``index``; marks each loop's trips."""
    for dim in range(t.extents.shape[0]):
        held[0, dim] = t.extents[dim]
    for step in range(t.step_dim.shape[0]):
        for dim in range(t.extents.shape[0]):
            held[step + 1, dim] = held[step, dim]
        dim, now = t.step_dim[step], held[step, t.step_dim[step]]
        if t.step_lanes[step] > 0:
            held[step + 1, dim] = -(-now // t.step_lanes[step])
            continue
        tile = t.step_tile[step]
        loop = t.outside[step]
        t.trips[loop] = -(-now // tile)
        at = index[loop] if step < t.cut else 0
        held[step + 1, dim] = min(tile, now - at * tile)


@jit_part
def _words(t: Rounds, operand: int, held: Array, step: int, first: int, pieces: Array, sums: Array) -> float:
    """Words of an operand's tiles at ``step`` over all lanes from step ``first`` on that move it."""
    for dim in range(t.extents.shape[0]):
        pieces[dim], sums[dim] = 1.0, held[step, dim]
    for at in range(step - 1, first - 1, -1):
        dim = t.step_dim[at]
        if t.step_lanes[at] > 0 and t.own[operand, dim]:
            pieces[dim] *= -(-held[at, dim] // held[at + 1, dim])
            sums[dim] = _all_lanes(t, held, at, sums[dim])
    words = 1.0
    for axis in range(t.operand_axes.shape[1]):
        count, strides = 1.0, 0.0
        for term in range(t.operand_axes.shape[2]):
            dim = t.operand_axes[operand, axis, term, 0]
            if dim >= 0:
                count *= pieces[dim]
                strides += t.operand_axes[operand, axis, term, 1]
        box = count * (1.0 - strides)
        for term in range(t.operand_axes.shape[2]):
            dim = t.operand_axes[operand, axis, term, 0]
            if dim >= 0:
                box += t.operand_axes[operand, axis, term, 1] * sums[dim] * count / pieces[dim]
        words *= box
    return words


@jit_part
def _all_lanes(t: Rounds, held: Array, at: int, reached: float) -> float:
    """Extent of all lanes' tiles of step ``at`` together, when one lane's, loops inside it included, is ``reached``.

    Where a lane's tile is not cut further the lanes make the whole, a short last lane included.
    """
    dim = t.step_dim[at]
    if reached == held[at + 1, dim]:
        return held[at, dim]  # type: ignore[no-any-return]
    return reached * -(-held[at, dim] // held[at + 1, dim])  # type: ignore[no-any-return]


@jit_part
def _fresh(t: Rounds, index: Array, loops: int) -> bool:
    """Whether the output's words have not been added to before: loops that do not move it are at their first trip."""
    for step in range(t.step_dim.shape[0]):
        loop = t.outside[step]
        if t.step_lanes[step] == 0 and loop < loops and index[loop] > 0 and not t.own[t.output, t.step_dim[step]]:
            return False
    return True


@jit_part
def _charge(t: Rounds, row: Array, phase: int, level: int, read: float, written: float, width: float) -> None:
    row[phase, t.read_port[level]] += read * width
    row[phase, t.write_port[level]] += written * width


@jit_part
def one_round(t: Rounds, index: Array, changed: int, leaving: int, held: Array, row: Array, scratch: Array) -> float:
    """Bytes by phase and port of the round at ``index``, into ``row``; returns the PEs' steps.

    ``changed``: the outermost loop that has just advanced. ``leaving``: the one that advances next (-1 at the end).
    """
    enter_loops(t, index, held)
    for phase in range(3):
        for port in range(row.shape[1]):
            row[phase, port] = 0.0
    steps = held.shape[0] - 1
    for move in range(t.moves.shape[0]):
        operand, upper, lower, step, first = t.moves[move]
        width = t.bytes_per_word[operand]
        if lower < 0:
            _stream(t, index, held, row, move, steps)
            continue
        loops = t.outside[step]
        below = _words(t, operand, held, step, step, scratch[0], scratch[1])
        above = _words(t, operand, held, step, first, scratch[0], scratch[1]) / t.shared[move, 1] * t.shared[move, 0]
        if changed < loops and (operand != t.output or not _fresh(t, index, loops)):
            _charge(t, row, IN, upper, above, 0.0, width)
            _charge(t, row, IN, lower, 0.0, below, width)
        if operand == t.output and leaving < loops:
            _charge(t, row, OUT, lower, below, 0.0, width)
            _charge(t, row, OUT, upper, 0.0, above, width)
    total = 1.0
    for dim in range(t.extents.shape[0]):
        total *= _inside(t, index, held, dim, t.cut, steps)
    return total


@jit_part
def _inside(t: Rounds, index: Array, held: Array, dim: int, start: int, all_from: int) -> float:
    """Iterations of a dimension inside a round: lane 0 of the lanes before step ``all_from``, all of those after.

    Tiles of step ``start`` are cut down step by step, as pieces (extent, how many); a loop outside the innermost hold
    stands at its index, one inside makes all of its trips.
    """
    sizes, counts = t.pieces[0], t.pieces[1]
    entries = 1
    sizes[0], counts[0] = held[start, dim], 1.0
    for step in range(start, t.step_dim.shape[0]):
        if t.step_dim[step] != dim:
            continue
        lanes, before = t.step_lanes[step], entries
        for entry in range(before):
            size = sizes[entry]
            tile = -(-size // lanes) if lanes > 0 else min(float(t.step_tile[step]), size)
            if lanes == 0 and step < t.cut:
                sizes[entry] = min(tile, max(0.0, size - index[t.outside[step]] * t.step_tile[step]))
            elif lanes > 0 and step < all_from:
                sizes[entry] = tile
            elif tile > 0:
                whole, rest = size // tile, size % tile
                if rest > 0:
                    sizes[entries], counts[entries] = rest, counts[entry]
                    entries += 1
                sizes[entry] = tile
                counts[entry] *= whole
        entries = _merge(sizes, counts, entries)
    total = 0.0
    for entry in range(entries):
        total += sizes[entry] * counts[entry]
    return total


@jit_part
def _merge(sizes: Array, counts: Array, entries: int) -> int:
    """Put pieces of one extent together; returns how many are left."""
    kept = 0
    for entry in range(entries):
        size, count, place = sizes[entry], counts[entry], -1
        for other in range(kept):
            if sizes[other] == size:
                place = other
        if place >= 0:
            counts[place] += count
        else:
            sizes[kept], counts[kept] = size, count
            kept += 1
    return kept


@jit_part
def _stream(t: Rounds, index: Array, held: Array, row: Array, move: int, steps: int) -> None:
    """What the multipliers read (or add into) at an operand's innermost level during a round."""
    operand, level, _, _, first = t.moves[move]
    words, distinct = 1.0, 1.0
    for dim in range(t.extents.shape[0]):
        if t.own[operand, dim]:
            reached = _inside(t, index, held, dim, min(first, t.cut), first)
            distinct *= reached
        else:
            reached = _inside(t, index, held, dim, t.cut, steps)
        words *= reached
    width = t.bytes_per_word[operand]
    if operand != t.output:
        _charge(t, row, STREAM, level, words / t.shared[move, 1] * t.shared[move, 0], 0.0, width)
        return
    fresh = distinct if _fresh(t, index, t.trips.shape[0]) else 0.0
    _charge(t, row, STREAM, level, words - fresh, words, width)


@jit_part
def advance(t: Rounds, index: Array, loops: int) -> int:
    """Step to the next round; returns the outermost loop that advanced, -1 after the last round."""
    loop = loops - 1
    while loop >= 0:
        index[loop] += 1
        if index[loop] < t.trips[loop]:
            return loop
        index[loop] = 0
        loop -= 1
    return -1


@jit_part
def to_cycles(t: Rounds, row: Array) -> None:
    """Bytes of a round to whole cycles of each port, in place."""
    for phase in range(3):
        for port in range(row.shape[1]):
            row[phase, port] = np.ceil(row[phase, port] / t.bandwidth[port])


@jit_part
def loops_outside(t: Rounds) -> int:
    """Loops in time outside the innermost hold."""
    count = 0
    for step in range(t.cut):
        count += t.step_lanes[step] == 0
    return count


@jit
def round_durations(t: Rounds, rounds: int) -> tuple[Array, Array]:
    """Cycles of every round: (rounds, 3, ports) IN, STREAM and OUT by port, and (rounds,) of the PEs.

    Args:
        t: the nest.
        rounds: room; what is beyond is left out.

    """
    ports, loops = t.bandwidth.shape[0], loops_outside(t)
    index, after = np.zeros(t.trips.shape[0], np.int64), np.zeros(t.trips.shape[0], np.int64)
    held, scratch = np.zeros((t.step_dim.shape[0] + 1, t.extents.shape[0])), np.zeros((2, t.extents.shape[0]))
    rows, busy = np.zeros((rounds, 3, ports)), np.zeros(rounds)
    changed, at = -1, 0
    while at < rounds:
        enter_loops(t, index, held)
        after[:] = index
        leaving = advance(t, after, loops)
        steps = one_round(t, index, changed, leaving, held, rows[at], scratch)
        to_cycles(t, rows[at])
        busy[at] = np.ceil(steps / t.macs_per_cycle)
        at += 1
        if leaving < 0:
            break
        changed = leaving
        index[:] = after
    return rows[:at], busy[:at]
