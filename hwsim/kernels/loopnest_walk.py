"""Pipelined cycles of a nest: its rounds one after the other, or whole stretches that repeat at once.

`hwsim.mapping.pipelined` states which part of a round waits for which, and builds the same as a `Program` for the
engine; this loop gives the engine's makespan without it.
"""

from __future__ import annotations

import numpy as np

from hwsim.kernels import steady
from hwsim.kernels.jit import jit, jit_part
from hwsim.kernels.loopnest import Array
from hwsim.kernels.loopnest_rounds import (
    IN,
    OUT,
    STREAM,
    Rounds,
    advance,
    enter_loops,
    loops_outside,
    one_round,
    to_cycles,
)

__all__ = ["pipelined_cycles"]


@jit_part
def _serve(free: Array, port: int, ready: float, cycles: float, end: float) -> float:
    """Serve one piece of work on a port, if there is any; returns the later of ``end`` and its end."""
    if cycles <= 0:
        return end
    free[port] = max(free[port], ready) + cycles
    return max(end, free[port])  # type: ignore[no-any-return]


@jit_part
def _bring_in(t: Rounds, depth: int, row: Array, free: Array, room: float, end: float) -> float:
    """IN of a round on the ports that run ``depth`` rounds deep; returns when its last word is in."""
    for port in range(free.shape[0]):
        if t.depth[port] == depth:
            end = _serve(free, port, room, row[IN, port], end)
    return end


@jit_part
def _run(t: Rounds, row: Array, steps: float, ready: float, last: bool, free: Array, ends: Array) -> float:
    """RUN and OUT of a round; ``ends`` carries what later rounds wait for (see `pipelined_cycles`)."""
    stream, done = 0.0, 0.0
    for port in range(free.shape[0]):
        stream = _serve(free, port, max(ready, ends[1]), row[STREAM, port], stream)
    if t.load > 0:
        ends[3] = max(ends[3], ready, ends[2]) + t.load
        ready = ends[3]
    start = max(ready, ends[1], ends[4])
    if t.shift > 0:
        start = max(start, ends[6])
    ends[2] = ends[1]
    ends[1] = start + np.ceil(steps / t.macs_per_cycle)
    ends[4] = stream
    done = max(ends[1], stream)
    if t.shift > 0:
        ends[6], ends[5] = ends[5], max(ends[1], ends[5]) + t.shift
        done = max(done, ends[5])
    if last:
        done += t.wave
    out = done
    for port in range(free.shape[0]):
        out = _serve(free, port, done, row[OUT, port], out)
    ends[0] = out
    return out  # type: ignore[no-any-return]


@jit_part
def _last_alike(t: Rounds, held: Array, loop: int) -> int:
    """The last trip of a loop that does the same work as its second one; 0 where that is not known.

    The last trip of all has the edge tile and leaves for an outer loop. Lanes of uneven tiles outside the loop may run
    out of work at any of its trips.
    """
    for step in range(t.cut):
        if t.step_lanes[step] > 0 or t.outside[step] != loop:
            continue
        dim = t.step_dim[step]
        for at in range(step):
            if t.step_dim[at] == dim and t.step_lanes[at] > 0 and held[at, dim] % t.step_lanes[at] != 0:
                return 0
    return t.trips[loop] - 2  # type: ignore[no-any-return]


@jit
def pipelined_cycles(t: Rounds, skip: bool) -> tuple[float, float]:
    """(cycles, rounds): the engine's makespan of the nest, by its recurrence.

    What is carried from round to round, as times of ends: OUT of the last round; the PEs of the last and of the one
    before; LOAD; STREAM of the last round; SHIFT of the last round and of the one before.

    Args:
        t: the nest.
        skip: leave out trips that repeat (see `steady`); the cycles are the same.

    """
    ports, loops = t.bandwidth.shape[0], loops_outside(t)
    index, after = np.zeros(t.trips.shape[0], np.int64), np.zeros(t.trips.shape[0], np.int64)
    held, scratch = np.zeros((t.step_dim.shape[0] + 1, t.extents.shape[0])), np.zeros((2, t.extents.shape[0]))
    now, coming, times = np.zeros((3, ports)), np.zeros((3, ports)), np.zeros(ports + 9)
    free, ends, marks = times[:ports], times[ports : ports + 7], np.zeros((loops, steady.TIMES + ports + 9))
    ahead, end = ports + 7, ports + 8
    rounds, here, leaving, steps, under_way = 0.0, -1, -1, 0.0, False
    # the first pass only brings a round under way: `one_round` is compiled into its callers, hence one call
    while True:
        if skip and here >= 0:
            trips = steady.leap(marks, here, index[here], _last_alike(t, held, here), times, rounds)
            if trips > 0:
                index[here] += trips
                after[:] = index
                leaving = advance(t, after, loops)
                rounds += marks[here, steady.COUNT]
        here = leaving
        ready = _bring_in(t, 1, now, free, ends[0], times[ahead])
        room, later = ends[0], 0.0
        if here >= 0 or not under_way:
            index[:] = after
            enter_loops(t, index, held)
            leaving = advance(t, after, loops)
            later = one_round(t, index, here, leaving, held, coming, scratch)
            to_cycles(t, coming)
            times[ahead] = _bring_in(t, 2, coming, free, room, 0.0)
        if under_way:
            times[end] = max(times[end], _run(t, now, steps, ready, here < 0, free, ends))
            rounds += 1
            if here < 0:
                return times[end], rounds
        now[:] = coming
        steps, under_way = later, True
