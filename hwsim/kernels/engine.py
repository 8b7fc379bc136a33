"""The engine's inner loop: steps a program tile by tile, and asks `engine_skip` for whole periods to jump.

Time moves from one instant with completions to the next. Within an instant, first all completions count, then what they
make ready is marked, then each free resource grants once. No heap, no objects, nothing stored per tile: an edge keeps
the number of tiles that its consumer's next tile needs, and a stage the number of its edges that are short, so that a
completion touches only the edges that it satisfies, and no division is made inside a repetition.
"""

from __future__ import annotations

from hwsim.kernels import engine_layout as at
from hwsim.kernels.engine_layout import Array, Number
from hwsim.kernels.engine_skip import choose_anchor, detect
from hwsim.kernels.jit import jit, jit_part

__all__ = ["simulate"]


@jit_part
def _ask(m: Array, s: Number) -> None:
    """Work out what the next tile of stage ``s`` waits for; positions come one after another."""
    pos = m[s + at.POS]
    pending = 0
    for address in range(m[s + at.IN], m[s + at.IN_END], at.EDGE_WORDS):
        e = address & at.ADDRESS
        if m[e + at.LO] < pos < m[e + at.HI]:
            need = m[e + at.NEED] + m[e + at.STEP_Q]
            rem = m[e + at.REM] + m[e + at.STEP_R]
            if rem >= m[e + at.C]:
                rem -= m[e + at.C]
                need += 1
            m[e + at.NEED] = need
            m[e + at.REM] = rem
        else:
            need = _enter_or_leave(m, e, pos, m[s + at.REP])
        slack = m[(m[e + at.PRODUCER] & at.ADDRESS) + at.DONE] - need
        if slack < 0:
            pending += 1
        m[e + at.LOW] = min(slack, m[e + at.LOW])
    m[s + at.PENDING] = pending


@jit_part
def _enter_or_leave(m: Array, e: Number, pos: Number, rep: Number) -> Number:
    """The need of edge ``e`` at the first position of its mask or outside it."""
    if pos == m[e + at.LO] and pos < m[e + at.HI]:
        m[e + at.NEED] = rep * m[e + at.N_U] + m[e + at.LO_Q]
        m[e + at.REM] = m[e + at.LO_R]
        m[at.BOUNDARY] = 1
    elif m[e + at.NEED] != at.NEVER:
        m[e + at.NEED] = at.NEVER
        m[at.BOUNDARY] = 1
    return m[e + at.NEED]


@jit_part
def _load_run(m: Array, s: Number, run: Number) -> None:
    """Make ``run`` the run of durations that the next tile of ``s`` belongs to."""
    m[s + at.RUN_NOW] = run
    m[s + at.RUN_LEFT] = m[run + at.RUN_TILES]
    m[s + at.CYCLES] = m[run + at.RUN_CYCLES]


@jit_part
def _end_run(m: Array, s: Number) -> None:
    """Move stage ``s`` to its next run of durations, or to its next repetition; after the last it waits for ever."""
    m[at.BOUNDARY] = 1
    if m[s + at.POS] < m[s + at.TILES]:
        _load_run(m, s, m[s + at.RUN_NOW] + at.RUN_WORDS)
        return
    _load_run(m, s, m[s + at.RUN])
    m[s + at.POS] = 0
    m[s + at.REP] += 1
    if s == m[at.ANCHOR]:
        m[at.WRAPPED] = 1
    if m[s + at.REP] == m[at.REPS]:
        for e in range(m[s + at.IN], m[s + at.IN_END], at.EDGE_WORDS):
            m[e + at.NEED] = at.NEVER
        m[s + at.PENDING] = 1
        if s == m[at.ANCHOR]:
            choose_anchor(m)


@jit_part
def _load_segment(m: Array, r: Number, segment: Number) -> None:
    m[r + at.SEGMENT_NOW] = segment
    m[r + at.SEGMENT_LEFT] = m[segment + at.SEGMENT_TILES]
    m[r + at.HEAD] = m[segment + at.SEGMENT_STAGE]


@jit_part
def _load_block(m: Array, r: Number, block: Number) -> None:
    """Make ``block`` the place in the service order of resource ``r``."""
    m[r + at.BLOCK] = block
    m[r + at.TIMES_LEFT] = m[block + at.BLOCK_TIMES]
    _load_segment(m, r, m[block + at.BLOCK_SEGMENT])


@jit_part
def _end_segment(m: Array, r: Number) -> None:
    """Move a statically ordered resource to the next segment of its order."""
    block = m[r + at.BLOCK]
    segment = m[r + at.SEGMENT_NOW] + at.SEGMENT_WORDS
    if segment < m[block + at.BLOCK_END]:
        _load_segment(m, r, segment)
    elif m[r + at.TIMES_LEFT] > 1:
        m[r + at.TIMES_LEFT] -= 1
        _load_segment(m, r, m[block + at.BLOCK_SEGMENT])
    else:
        m[at.BOUNDARY] = 1
        block += at.BLOCK_WORDS
        _load_block(m, r, block if block < m[r + at.LAST_BLOCK] else m[r + at.FIRST_BLOCK])
        if m[m[r + at.HEAD] + at.REP] == m[at.REPS]:
            m[r + at.HEAD] = 0


@jit_part
def _arbitrate(m: Array, r: Number) -> Number:
    """The ready stage with the least (ready time, priority, listing index), or 0."""
    best = 0
    for i in range(m[r + at.MEMBER], m[r + at.MEMBER_END]):
        s = m[i & at.ADDRESS] & at.ADDRESS
        if m[s + at.PENDING] != 0:
            continue
        sooner = m[s + at.READY] - m[best + at.READY]
        if best == 0 or sooner < 0 or (sooner == 0 and m[s + at.PRIORITY] < m[best + at.PRIORITY]):
            best = s
    return best


@jit_part
def _record(m: Array, s: Number, end: Number) -> None:
    """Write the tile that stage ``s`` is about to start if it lies in the window."""
    rep = m[s + at.REP]
    by_reps = m[at.MODE] == at.BY_REPS
    first = rep if by_reps else m[at.NOW]
    last = rep if by_reps else end - 1
    row = m[at.SLICE]
    if last >= m[at.WINDOW_LO] and first < m[at.WINDOW_HI] and row < m[at.SLICES_END]:
        m[row + at.SLICE_STAGE] = s
        m[row + at.SLICE_TILE] = rep * m[s + at.TILES] + m[s + at.POS]
        m[row + at.SLICE_START] = m[at.NOW]
        m[row + at.SLICE_END] = end
        m[at.SLICE] = row + at.SLICE_WORDS


@jit_part
def _start(m: Array, r: Number, s: Number) -> Number:
    """Resource ``r`` begins the next tile of stage ``s``, which moves on; returns when it will finish."""
    now = m[at.NOW]
    end = now + m[s + at.CYCLES]
    if m[at.MODE] != at.NO_WINDOW:
        _record(m, s, end)
    m[r + at.FINISH] = end
    m[r + at.STAGE] = s
    m[s + at.RUNNING] = 1
    m[s + at.WAIT] += now - m[s + at.READY]
    if m[s + at.FIRST] < 0:
        m[s + at.FIRST] = now
    m[at.STEPS] += 1
    m[s + at.POS] += 1
    m[s + at.RUN_LEFT] -= 1
    if m[s + at.RUN_LEFT] == 0:
        _end_run(m, s)
    if m[s + at.REP] < m[at.REPS]:
        _ask(m, s)
    if m[r + at.ARBITRATED] == 0:
        m[r + at.SEGMENT_LEFT] -= 1
        if m[r + at.SEGMENT_LEFT] == 0:
            _end_segment(m, r)
    return end


@jit_part
def _grant(m: Array) -> Number:
    """Let every free resource start a tile if it can; returns the next instant, BIG if nothing runs."""
    soonest = at.BIG
    for address in range(m[at.RESOURCES], m[at.RESOURCES_END], at.RESOURCE_WORDS):
        r = address & at.ADDRESS
        finish = m[r + at.FINISH]
        if finish == at.BIG:
            s = (_arbitrate(m, r) if m[r + at.ARBITRATED] else m[r + at.HEAD]) & at.ADDRESS
            if s != 0 and m[s + at.PENDING] == 0:
                finish = _start(m, r, s)
        soonest = min(soonest, finish)
    return soonest


@jit_part
def _complete(m: Array) -> None:
    """Count the tiles that are finished now, and mark what that makes ready."""
    now = m[at.NOW]
    for address in range(m[at.RESOURCES], m[at.RESOURCES_END], at.RESOURCE_WORDS):
        r = address & at.ADDRESS
        if m[r + at.FINISH] != now:
            continue
        s = m[r + at.STAGE] & at.ADDRESS
        done = m[s + at.DONE] + 1
        m[r + at.FINISH] = at.BIG
        m[s + at.DONE] = done
        m[s + at.LAST] = now
        m[s + at.RUNNING] = 0
        for i in range(m[s + at.OUT], m[s + at.OUT_END]):
            e = m[i & at.ADDRESS] & at.ADDRESS
            if m[e + at.NEED] == done:
                v = m[e + at.CONSUMER] & at.ADDRESS
                m[v + at.PENDING] -= 1
                if m[v + at.PENDING] == 0 and m[v + at.RUNNING] == 0:
                    m[v + at.READY] = now
        if m[s + at.PENDING] == 0:
            m[s + at.READY] = now


@jit_part
def _prepare(m: Array) -> None:
    """Put every stage before its first tile; the memory holds the program, and zeros for the state."""
    for e in range(m[at.EDGES], m[at.EDGES_END], at.EDGE_WORDS):
        m[e + at.NEED] = at.NEVER
        m[e + at.LOW] = at.BIG
        m[e + at.LOW_OUTER] = at.BIG
    for s in range(m[at.STAGES], m[at.STAGES_END], at.STAGE_WORDS):
        m[s + at.FIRST] = -1
        _load_run(m, s, m[s + at.RUN])
        _ask(m, s)
    for r in range(m[at.RESOURCES], m[at.RESOURCES_END], at.RESOURCE_WORDS):
        m[r + at.FINISH] = at.BIG
        m[r + at.HEAD] = 0
        if m[r + at.ARBITRATED] == 0:
            _load_block(m, r, m[r + at.FIRST_BLOCK])


@jit_part
def _window_closed(m: Array) -> bool:
    """Whether every slice of the window has been recorded, or no more fit."""
    if m[at.MODE] == at.NO_WINDOW:
        return False
    return bool(m[at.SLICE] == m[at.SLICES_END] or (m[at.MODE] == at.BY_CYCLES and m[at.NOW] >= m[at.WINDOW_HI]))


@jit
def simulate(m: Array) -> None:
    """Run the program in ``m`` to its end, or until nothing can start, or until its window is recorded.

    Args:
        m: the memory described in `engine_layout`, its state all zero; where the run ended is left in it.
    """
    _prepare(m)
    while True:
        soonest = _grant(m)
        if soonest == at.BIG or _window_closed(m):
            return
        if m[at.SKIP]:
            soonest += detect(m)
        m[at.NOW] = soonest
        _complete(m)
