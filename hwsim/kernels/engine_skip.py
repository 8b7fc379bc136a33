"""Period skipping: when a settled state recurs, jump as many whole periods as repeat it for certain.

Two settled states are alike when times relative to now, places in runs and orders, edge outcomes and remainders agree.
From alike states the same things happen, counters shifted, for as long as every test that *counters* enter comes out as
it did: the slack of each edge (done - need), the ends of runs, masks, repetitions, orders and of the program. With a
slack change of ``delta`` in a period, an edge that was met all along with at least ``low`` to spare stays met for
low // -delta periods; one that was short all along, with x < 0 now, stays short for (-1 - x) // delta periods; one that
was both repeats only if delta = 0. A stage either moved inside one run of one repetition (and of one mask), and then
stays inside, or moved by whole repetitions. So a jump returns exactly the integers of stepping.

Two detectors keep one snapshot each and retake it at doubling intervals (R. P. Brent, BIT 20, 1980). The inner one
looks at every instant and starts afresh whenever a run, mask, repetition or block ends, since no inner period spans
that. The outer one looks where the anchor stage ends a repetition. A detector that finds nothing for long sleeps for
longer.
"""

from __future__ import annotations

from typing import Final

from hwsim.kernels import engine_layout as at
from hwsim.kernels.engine_layout import Array, Number
from hwsim.kernels.jit import jit_part

__all__ = ["choose_anchor", "detect"]

LEAST_SAVING: Final = 64
"""Tiles that a jump must save: smaller ones cost more than they bring and hide longer periods."""
WARM_UP: Final = 8
"""Steps after a boundary before the first inner snapshot, so that tiny bodies never pay for one."""
PATIENCE: Final = 1 << 20
"""Fruitless comparisons after which a detector sleeps, for four times as many steps."""


@jit_part
def choose_anchor(m: Array) -> None:
    """Make the stage that is furthest behind the anchor."""
    for s in range(m[at.STAGES], m[at.STAGES_END], at.STAGE_WORDS):
        if m[s + at.REP] < m[m[at.ANCHOR] + at.REP]:
            m[at.ANCHOR] = s


@jit_part
def _alike_resources(m: Array, old: Number) -> bool:
    """Whether each resource serves the same stage at the same place of its order, with as much time to go."""
    shift = m[at.NOW] - m[old + at.NOW]
    for r in range(m[at.RESOURCES], m[at.RESOURCES_END], at.RESOURCE_WORDS):
        finish = m[r + at.FINISH]
        if finish != at.BIG:
            finish -= shift
            if m[r + at.STAGE] != m[old + r + at.STAGE]:
                return False
        if finish != m[old + r + at.FINISH]:
            return False
        if m[r + at.SEGMENT_NOW] != m[old + r + at.SEGMENT_NOW] or m[r + at.HEAD] != m[old + r + at.HEAD]:
            return False
    return True


@jit_part
def _alike_stages(m: Array, old: Number) -> bool:
    """Whether each stage is in the same run, and short of as many edges.

    A tile that is ready and waits must have waited as long; or, in a static order, be the same tile still.
    """
    shift = m[at.NOW] - m[old + at.NOW]
    for s in range(m[at.STAGES], m[at.STAGES_END], at.STAGE_WORDS):
        if m[s + at.PENDING] != m[old + s + at.PENDING] or m[s + at.RUN_NOW] != m[old + s + at.RUN_NOW]:
            return False
        if m[s + at.PENDING] == 0 and m[s + at.RUNNING] == 0 and m[s + at.READY] - m[old + s + at.READY] != shift:
            same_tile = m[s + at.POS] == m[old + s + at.POS] and m[s + at.REP] == m[old + s + at.REP]
            if m[m[s + at.RES] + at.ARBITRATED] or not same_tile or m[s + at.READY] != m[old + s + at.READY]:
                return False
    return True


@jit_part
def _alike_edges(m: Array, old: Number) -> bool:
    """Whether each edge is as it was: binding or not, met or short, with the same remainder."""
    for e in range(m[at.EDGES], m[at.EDGES_END], at.EDGE_WORDS):
        need, before = m[e + at.NEED], m[old + e + at.NEED]
        if (need == at.NEVER) != (before == at.NEVER):
            return False
        if need != at.NEVER and m[e + at.REM] != m[old + e + at.REM]:
            return False
        done = m[e + at.PRODUCER] + at.DONE
        if (m[done] >= need) != (m[old + done] >= before):
            return False
    return True


@jit_part
def _moved(m: Array, old: Number, s: Number) -> Number:
    """Tiles of stage ``s`` started in the period."""
    return (m[s + at.REP] - m[old + s + at.REP]) * m[s + at.TILES] + m[s + at.POS] - m[old + s + at.POS]


@jit_part
def _order_limit(m: Array, old: Number, r: Number) -> Number:
    """Periods for which resource ``r`` stays in the segment, or in the turns of the block, that it serves."""
    served = m[old + r + at.SEGMENT_LEFT] - m[r + at.SEGMENT_LEFT]
    turns = m[old + r + at.TIMES_LEFT] - m[r + at.TIMES_LEFT]
    if served == 0 and turns == 0:
        return at.BIG
    if served < 0 or turns < 0 or (served > 0 and turns > 0):
        return 0
    for i in range(m[r + at.MEMBER], m[r + at.MEMBER_END]):
        if m[m[i] + at.REP] != m[old + m[i] + at.REP]:
            return 0
    if served > 0:
        return (m[r + at.SEGMENT_LEFT] - 1) // served
    return (m[r + at.TIMES_LEFT] - 1) // turns


@jit_part
def _mask_limit(m: Array, old: Number, s: Number, moved: Number) -> Number:
    """Periods for which stage ``s``, moving inside a repetition, crosses no mask of its edges."""
    limit = at.BIG
    pos = m[s + at.POS]
    for e in range(m[s + at.IN], m[s + at.IN_END], at.EDGE_WORDS):
        if m[e + at.LO] >= m[e + at.HI]:
            continue
        if m[e + at.NEED] != at.NEVER:
            limit = min(limit, (m[e + at.HI] - 1 - pos) // moved)
        elif pos < m[e + at.LO]:
            limit = min(limit, (m[e + at.LO] - 1 - pos) // moved)
        elif m[old + s + at.POS] < m[e + at.HI]:
            return 0
    return limit


@jit_part
def _stage_limit(m: Array, old: Number, s: Number) -> Number:
    """Periods that stage ``s`` can repeat: inside a run and a repetition, or by whole repetitions."""
    moved = _moved(m, old, s)
    rep = m[s + at.REP]
    if moved == 0:
        return at.BIG
    if rep == m[at.REPS]:
        return 0
    reps = rep - m[old + s + at.REP]
    windowed = m[at.MODE] == at.BY_REPS and rep < m[at.WINDOW_HI]
    if reps == 0:
        if windowed and rep >= m[at.WINDOW_LO]:
            return 0
        return min((m[s + at.RUN_LEFT] - 1) // moved, _mask_limit(m, old, s, moved))
    if m[s + at.POS] != m[old + s + at.POS]:
        return 0
    last = m[at.WINDOW_LO] if windowed else m[at.REPS]
    return max(0, (last - 1 - rep) // reps)


@jit_part
def _need_shift(m: Array, old: Number, e: Number) -> Number:
    """How far the need of edge ``e`` moves in a period."""
    v = m[e + at.CONSUMER]
    reps = m[v + at.REP] - m[old + v + at.REP]
    if reps != 0:
        return reps * m[e + at.N_U]
    return m[e + at.NEED] - m[old + e + at.NEED]


@jit_part
def _drift(m: Array, old: Number, e: Number) -> Number:
    """How far the slack of edge ``e`` moves in a period."""
    done = m[e + at.PRODUCER] + at.DONE
    return m[done] - m[old + done] - _need_shift(m, old, e)


@jit_part
def _slack_limit(m: Array, old: Number, low: Number, e: Number) -> Number:
    """Periods for which edge ``e`` is met and short at the same tiles as in the last one."""
    drift = _drift(m, old, e)
    if drift == 0:
        return at.BIG
    done = m[e + at.PRODUCER] + at.DONE
    least = min(m[e + low], m[old + done] - m[old + e + at.NEED])
    if drift < 0:
        return 0 if least < 0 else least // -drift
    if least >= 0:
        return at.BIG
    slack = m[done] - m[e + at.NEED]
    if slack < 0 and _moved(m, old, m[e + at.CONSUMER]) == 0:
        return (-1 - slack) // drift
    return 0


@jit_part
def _limit(m: Array, old: Number, low: Number) -> Number:
    """Periods that repeat the last one in every test that counters enter."""
    limit = at.BIG
    if m[at.MODE] == at.BY_CYCLES:
        limit = max(0, (m[at.WINDOW_LO] - m[at.MARGIN] - m[at.NOW]) // (m[at.NOW] - m[old + at.NOW]))
    for r in range(m[at.RESOURCES], m[at.RESOURCES_END], at.RESOURCE_WORDS):
        limit = min(limit, _order_limit(m, old, r))
    for s in range(m[at.STAGES], m[at.STAGES_END], at.STAGE_WORDS):
        limit = min(limit, _stage_limit(m, old, s))
    for e in range(m[at.EDGES], m[at.EDGES_END], at.EDGE_WORDS):
        limit = min(limit, _slack_limit(m, old, low, e))
    return limit


@jit_part
def _jump_edges(m: Array, old: Number, low: Number, periods: Number) -> None:
    """Shift what edges need by ``periods`` periods, and note how little slack the jump passed over."""
    for e in range(m[at.EDGES], m[at.EDGES_END], at.EDGE_WORDS):
        drift = _drift(m, old, e)
        if drift < 0:
            least = min(m[e + low], m[old + m[e + at.PRODUCER] + at.DONE] - m[old + e + at.NEED])
            m[e + at.LOW] = min(m[e + at.LOW], least + periods * drift)
        if m[e + at.NEED] != at.NEVER:
            m[e + at.NEED] += periods * _need_shift(m, old, e)


@jit_part
def _jump(m: Array, old: Number, low: Number, periods: Number) -> Number:
    """Shift the state by ``periods`` periods; returns the cycles jumped."""
    cycles = periods * (m[at.NOW] - m[old + at.NOW])
    _jump_edges(m, old, low, periods)
    for s in range(m[at.STAGES], m[at.STAGES_END], at.STAGE_WORDS):
        if m[s + at.PENDING] == 0 and m[s + at.READY] != m[old + s + at.READY]:
            m[s + at.READY] += cycles
        if m[s + at.REP] == m[old + s + at.REP]:
            m[s + at.RUN_LEFT] -= periods * (m[s + at.POS] - m[old + s + at.POS])
        for column in (at.POS, at.REP, at.DONE, at.WAIT):
            m[s + column] += periods * (m[s + column] - m[old + s + column])
    for r in range(m[at.RESOURCES], m[at.RESOURCES_END], at.RESOURCE_WORDS):
        if m[r + at.FINISH] != at.BIG:
            m[r + at.FINISH] += cycles
        for column in (at.TIMES_LEFT, at.SEGMENT_LEFT):
            m[r + column] += periods * (m[r + column] - m[old + r + column])
    m[at.NOW] += cycles
    m[at.JUMPS] += 1
    return cycles


@jit_part
def _try_jump(m: Array, old: Number, low: Number) -> Number:
    """Jump if the state recurs and enough tiles are saved; returns the cycles jumped, 0 if none.

    Args:
        m: the memory, in a settled state.
        old: distance to its snapshot.
        low: column of the least slacks since the snapshot.
    """
    if not (_alike_resources(m, old) and _alike_stages(m, old) and _alike_edges(m, old)):
        return 0
    periods = _limit(m, old, low)
    saved = 0
    for s in range(m[at.STAGES], m[at.STAGES_END], at.STAGE_WORDS):
        saved += _moved(m, old, s)
    if periods * saved < LEAST_SAVING:
        return 0
    return _jump(m, old, low, periods)


@jit_part
def _restart_inner(m: Array) -> None:
    """Forget the inner snapshot; a new one is due soon, or when the detector wakes."""
    m[at.INNER + at.SPAN] = 0
    m[at.INNER + at.DUE] = max(m[at.STEPS] + WARM_UP, m[at.INNER + at.AWAKE])


@jit_part
def _take_snapshot(m: Array, d: Number, tick: Number) -> None:
    """Keep the state as the snapshot of detector ``d``, for twice as long as the last one."""
    m[d + at.SPAN] = max(WARM_UP if d == at.INNER else 1, 2 * m[d + at.SPAN])
    m[d + at.DUE] = tick + m[d + at.SPAN]
    for e in range(m[at.EDGES], m[at.EDGES_END], at.EDGE_WORDS):
        m[e + at.LOW_OUTER] = at.BIG if d == at.OUTER else min(m[e + at.LOW_OUTER], m[e + at.LOW])
        m[e + at.LOW] = at.BIG
    if d == at.OUTER:
        _restart_inner(m)
    for word in range(m[at.STATE_END]):
        m[m[d + at.SNAPSHOT] + word] = m[word]


@jit_part
def _look(m: Array, d: Number, tick: Number) -> Number:
    """Compare the state with the snapshot of detector ``d``, and retake that when it is due; returns cycles jumped."""
    cycles = 0
    if m[d + at.SPAN] > 0:
        if d == at.OUTER:
            for e in range(m[at.EDGES], m[at.EDGES_END], at.EDGE_WORDS):
                m[e + at.LOW_OUTER] = min(m[e + at.LOW_OUTER], m[e + at.LOW])
        cycles = _try_jump(m, m[d + at.SNAPSHOT], at.LOW_OUTER if d == at.OUTER else at.LOW)
        m[d + at.COST] += 1
        if cycles > 0:
            m[d + at.COST] = 0
            m[d + at.SPAN] = 0
            m[d + at.DUE] = tick
        elif m[d + at.COST] == PATIENCE:
            m[d + at.COST] = 0
            m[d + at.SPAN] = 0
            m[d + at.AWAKE] = m[at.STEPS] + 4 * PATIENCE
            return 0
    if tick >= m[d + at.DUE]:
        _take_snapshot(m, d, tick)
    return cycles


@jit_part
def detect(m: Array) -> Number:
    """Jump if the settled state in ``m`` allows it; returns the cycles jumped, by which every finish has moved.

    An instant belongs to one detector: the end of a repetition, being a boundary, leaves the inner one nothing to do.
    """
    if m[at.BOUNDARY]:
        m[at.BOUNDARY] = 0
        _restart_inner(m)
    d, tick = at.INNER, m[at.STEPS]
    if m[at.WRAPPED]:
        m[at.WRAPPED] = 0
        m[at.WRAPS] += 1
        d, tick = at.OUTER, m[at.WRAPS]
    if m[at.STEPS] < m[d + at.AWAKE] or (m[d + at.SPAN] == 0 and tick < m[d + at.DUE]):
        return 0
    return _look(m, d, tick)
