"""Steady loops: where the times of a walk have come to repeat, shifted, jump over the trips that only shift them again.

A walk's times follow from earlier ones by maxima and additions alone. If all times that matter moved on by the same
cycles from one trip of a loop to a later one, they do so again over every further stretch of as many trips, as long as
the trips do the same work.
"""

from __future__ import annotations

import numpy as np

from hwsim.kernels.jit import jit_part
from hwsim.kernels.loopnest import Array

__all__ = ["AT", "COUNT", "TIMES", "leap", "shift_of"]

AT, COUNT, TIMES = 0, 1, 2
"""Columns of a loop's mark: the trip at which it was set (0: none), rounds walked by then, times from there on."""


@jit_part
def shift_of(mark: Array, now: Array) -> float:
    """Cycles by which the times ``now`` are those of a mark moved on; -1 where they are not.

    A time that stood still must not lie after one that moved: then every maximum that it enters has a later term.
    """
    shift, earliest = 0.0, np.inf
    for at in range(now.shape[0]):
        moved = now[at] - mark[TIMES + at]
        if moved == 0:
            continue
        if moved < 0 or (shift > 0 and moved != shift):
            return -1.0
        shift, earliest = moved, min(earliest, mark[TIMES + at])
    for at in range(now.shape[0]):
        if now[at] == mark[TIMES + at] and now[at] > earliest:
            return -1.0
    return shift


@jit_part
def leap(marks: Array, loop: int, trip: int, last: int, times: Array, count: float) -> int:
    """Trips of a loop that its repeating times allow to leave out, at the start of trip ``trip``; moves ``times`` on.

    Marks are set at trips that double, so a repetition of any length is met. Marks of inner loops are wiped.

    Args:
        marks: (loops, TIMES + times) see `AT`; changed.
        loop: the loop that has just advanced.
        trip: from 1.
        last: the last trip that does the same work as this one.
        times: the walk's times; moved on by the jump.
        count: rounds walked so far.

    """
    for inner in range(loop + 1, marks.shape[0]):
        marks[inner, AT] = 0.0
    if trip >= last:
        return 0
    mark = marks[loop]
    if mark[AT] > 0:
        length = trip - int(mark[AT])
        periods = (last - trip) // length
        shift = shift_of(mark, times) if periods > 0 else -1.0
        if shift >= 0:
            for at in range(times.shape[0]):
                if times[at] != mark[TIMES + at]:
                    times[at] += periods * shift
            mark[AT] = 0.0
            mark[COUNT] = periods * (count - mark[COUNT])
            return periods * length
    if mark[AT] == 0 or trip >= 2 * mark[AT]:
        mark[AT], mark[COUNT] = trip, count
        for at in range(times.shape[0]):
            mark[TIMES + at] = times[at]
    return 0
