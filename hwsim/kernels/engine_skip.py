"""Period skipping: when a settled state recurs, jump as many whole periods as repeat it for certain.

Two settled states are alike when times relative to now, places in runs and orders, edge outcomes and remainders agree.
From alike states the same things happen, counters shifted, for as long as every test that *counters* enter comes out as
it did: the slack of each edge (done - need), the ends of runs, masks, repetitions, orders and of the program. With a
slack change of ``delta`` in a period, an edge that was met all along with at least ``low`` to spare stays met for
low // -delta periods; one that was short all along, with x < 0 now, stays short for (-1 - x) // delta periods; one that
was both repeats only if delta = 0. A stage either moved inside one run of one repetition (and of one mask), and then
stays inside, or moved by whole repetitions. So a jump returns exactly the integers of stepping.

Two detectors keep one snapshot each and retake it at doubling intervals (R. P. Brent, BIT 20, 1980). The inner one looks
at every instant and starts afresh whenever a run, mask, repetition or block ends, since no inner period spans that. The
outer one looks where the anchor stage ends a repetition. A detector that finds nothing for long sleeps for longer.
"""

from __future__ import annotations

from typing import Final

from hwsim.kernels import engine_layout as at
from hwsim.kernels.engine_layout import Number, State, Tables
from hwsim.kernels.jit import jit_part

__all__ = ["choose_anchor", "detect"]

LEAST_SAVING: Final = 64
"""Tiles that a jump must save: smaller ones cost more than they bring and hide longer periods."""
WARM_UP: Final = 8
"""Steps after a boundary before the first inner snapshot, so that tiny bodies never pay for one."""
PATIENCE: Final = 1 << 20
"""Fruitless comparisons after which a detector sleeps, for four times as many steps."""


@jit_part
def choose_anchor(state: State) -> None:
    """Make the stage that is furthest behind the anchor."""
    best = state.run[at.ANCHOR]
    for s in range(state.stages.shape[0]):
        if state.stages[s, at.REP] < state.stages[best, at.REP]:
            best = s
    state.run[at.ANCHOR] = best


@jit_part
def _copy(state: State, snapshot: State) -> None:
    snapshot.stages[:] = state.stages
    snapshot.edges[:] = state.edges
    snapshot.resources[:] = state.resources
    snapshot.run[:] = state.run


@jit_part
def _fold(state: State) -> None:
    """Let the outer detector know of the slacks seen since the inner snapshot."""
    for e in range(state.edges.shape[0]):
        state.edges[e, at.LOW_OUTER] = min(state.edges[e, at.LOW_OUTER], state.edges[e, at.LOW])


@jit_part
def _alike_resources(state: State, snapshot: State) -> bool:
    """Whether each resource serves the same stage at the same place of its order, with as much time to go."""
    shift = state.run[at.NOW] - snapshot.run[at.NOW]
    for r in range(state.resources.shape[0]):
        finish = state.resources[r, at.FINISH]
        if finish != at.BIG:
            finish -= shift
            if state.resources[r, at.STAGE] != snapshot.resources[r, at.STAGE]:
                return False
        if finish != snapshot.resources[r, at.FINISH]:
            return False
        for column in (at.BLOCK, at.SEGMENT_NOW, at.HEAD):
            if state.resources[r, column] != snapshot.resources[r, column]:
                return False
    return True


@jit_part
def _alike_readiness(tables: Tables, state: State, snapshot: State, s: Number) -> bool:
    """Whether a tile that is ready and waits has waited as long; or, in a static order, is the same tile still."""
    if state.stages[s, at.PENDING] != 0 or state.stages[s, at.RUNNING] != 0:
        return True
    shift = state.run[at.NOW] - snapshot.run[at.NOW]
    moved = state.stages[s, at.READY] - snapshot.stages[s, at.READY]
    if moved == shift:
        return True
    untouched = (
        state.stages[s, at.POS] == snapshot.stages[s, at.POS] and state.stages[s, at.REP] == snapshot.stages[s, at.REP]
    )
    return moved == 0 and untouched and tables.resources[tables.stages[s, at.RES], at.ARBITRATED] == 0


@jit_part
def _alike(tables: Tables, state: State, snapshot: State) -> bool:
    """Whether the settled state differs from the snapshot in counters only."""
    if not _alike_resources(state, snapshot):
        return False
    for s in range(state.stages.shape[0]):
        if state.stages[s, at.PENDING] != snapshot.stages[s, at.PENDING]:
            return False
        if state.stages[s, at.RUN_NOW] != snapshot.stages[s, at.RUN_NOW]:
            return False
        if not _alike_readiness(tables, state, snapshot, s):
            return False
    for e in range(state.edges.shape[0]):
        need, before = state.edges[e, at.NEED], snapshot.edges[e, at.NEED]
        if (need == at.NEVER) != (before == at.NEVER):
            return False
        if need != at.NEVER and state.edges[e, at.REM] != snapshot.edges[e, at.REM]:
            return False
        u = tables.edges[e, at.PRODUCER]
        if (state.stages[u, at.DONE] >= need) != (snapshot.stages[u, at.DONE] >= before):
            return False
    return True


@jit_part
def _moved(tables: Tables, state: State, snapshot: State, s: Number) -> Number:
    """Tiles of stage ``s`` started in the period."""
    reps = state.stages[s, at.REP] - snapshot.stages[s, at.REP]
    return reps * tables.stages[s, at.TILES] + state.stages[s, at.POS] - snapshot.stages[s, at.POS]


@jit_part
def _order_limit(tables: Tables, state: State, snapshot: State, r: Number) -> Number:
    """Periods for which resource ``r`` stays in the block, or in the segment, that it serves."""
    served = snapshot.resources[r, at.SEGMENT_LEFT] - state.resources[r, at.SEGMENT_LEFT]
    turns = snapshot.resources[r, at.TIMES_LEFT] - state.resources[r, at.TIMES_LEFT]
    if served == 0 and turns == 0:
        return at.BIG
    if served < 0 or turns < 0 or (served > 0 and turns > 0):
        return 0
    for i in range(tables.resources[r, at.MEMBER], tables.resources[r, at.MEMBER_END]):
        if state.stages[tables.members[i], at.REP] != snapshot.stages[tables.members[i], at.REP]:
            return 0
    if served > 0:
        return (state.resources[r, at.SEGMENT_LEFT] - 1) // served
    return (state.resources[r, at.TIMES_LEFT] - 1) // turns


@jit_part
def _mask_limit(tables: Tables, state: State, snapshot: State, s: Number, moved: Number) -> Number:
    """Periods for which stage ``s``, moving inside a repetition, crosses no mask of its edges."""
    limit = at.BIG
    pos = state.stages[s, at.POS]
    for e in range(tables.stages[s, at.IN], tables.stages[s, at.IN_END]):
        if tables.edges[e, at.LO] >= tables.edges[e, at.HI]:
            continue
        if state.edges[e, at.NEED] != at.NEVER:
            limit = min(limit, (tables.edges[e, at.HI] - 1 - pos) // moved)
        elif pos < tables.edges[e, at.LO]:
            limit = min(limit, (tables.edges[e, at.LO] - 1 - pos) // moved)
        elif snapshot.stages[s, at.POS] < tables.edges[e, at.HI]:
            return 0
    return limit


@jit_part
def _stage_limit(tables: Tables, state: State, snapshot: State, s: Number) -> Number:
    """Periods that stage ``s`` can repeat: inside a run and a repetition, or by whole repetitions."""
    moved = _moved(tables, state, snapshot, s)
    rep = state.stages[s, at.REP]
    if moved == 0:
        return at.BIG
    if rep == state.run[at.REPS]:
        return 0
    reps = rep - snapshot.stages[s, at.REP]
    lo, hi = state.run[at.WINDOW_LO], state.run[at.WINDOW_HI]
    windowed = state.run[at.MODE] == at.BY_REPS and rep < hi
    if reps == 0:
        if windowed and rep >= lo:
            return 0
        limit = (state.stages[s, at.RUN_LEFT] - 1) // moved
        return min(limit, _mask_limit(tables, state, snapshot, s, moved))
    if state.stages[s, at.POS] != snapshot.stages[s, at.POS]:
        return 0
    last = lo - 1 if windowed else state.run[at.REPS] - 1
    return max(0, (last - rep) // reps)


@jit_part
def _need_shift(tables: Tables, state: State, snapshot: State, e: Number) -> Number:
    """How far the need of edge ``e`` moves in a period."""
    v = tables.edges[e, at.CONSUMER]
    reps = state.stages[v, at.REP] - snapshot.stages[v, at.REP]
    if reps != 0:
        return reps * tables.edges[e, at.N_U]
    return state.edges[e, at.NEED] - snapshot.edges[e, at.NEED]


@jit_part
def _drift(tables: Tables, state: State, snapshot: State, e: Number) -> Number:
    """How far the slack of edge ``e`` moves in a period."""
    u = tables.edges[e, at.PRODUCER]
    done = state.stages[u, at.DONE] - snapshot.stages[u, at.DONE]
    return done - _need_shift(tables, state, snapshot, e)


@jit_part
def _slack_limit(tables: Tables, state: State, snapshot: State, low_column: Number, e: Number) -> Number:
    """Periods for which edge ``e`` is met and short at the same tiles as in the last one."""
    drift = _drift(tables, state, snapshot, e)
    if drift == 0:
        return at.BIG
    u = tables.edges[e, at.PRODUCER]
    low = min(state.edges[e, low_column], snapshot.stages[u, at.DONE] - snapshot.edges[e, at.NEED])
    if drift < 0:
        return 0 if low < 0 else low // -drift
    if low >= 0:
        return at.BIG
    slack = state.stages[u, at.DONE] - state.edges[e, at.NEED]
    if slack < 0 and _moved(tables, state, snapshot, tables.edges[e, at.CONSUMER]) == 0:
        return (-1 - slack) // drift
    return 0


@jit_part
def _limit(tables: Tables, state: State, snapshot: State, low_column: Number) -> Number:
    """Periods that repeat the last one in every test that counters enter."""
    limit = at.BIG
    if state.run[at.MODE] == at.BY_CYCLES:
        room = state.run[at.WINDOW_LO] - state.run[at.MARGIN] - state.run[at.NOW]
        limit = max(0, room // (state.run[at.NOW] - snapshot.run[at.NOW]))
    for r in range(state.resources.shape[0]):
        limit = min(limit, _order_limit(tables, state, snapshot, r))
    for s in range(state.stages.shape[0]):
        limit = min(limit, _stage_limit(tables, state, snapshot, s))
    for e in range(state.edges.shape[0]):
        if limit == 0:
            break
        limit = min(limit, _slack_limit(tables, state, snapshot, low_column, e))
    return limit


@jit_part
def _jump_edge(tables: Tables, state: State, snapshot: State, low_column: Number, e: Number, periods: Number) -> None:
    drift = _drift(tables, state, snapshot, e)
    if drift < 0:
        u = tables.edges[e, at.PRODUCER]
        low = min(state.edges[e, low_column], snapshot.stages[u, at.DONE] - snapshot.edges[e, at.NEED])
        state.edges[e, at.LOW] = min(state.edges[e, at.LOW], low + periods * drift)
    if state.edges[e, at.NEED] != at.NEVER:
        state.edges[e, at.NEED] += periods * _need_shift(tables, state, snapshot, e)


@jit_part
def _jump_stage(state: State, snapshot: State, s: Number, periods: Number) -> None:
    if state.stages[s, at.PENDING] == 0 and state.stages[s, at.READY] != snapshot.stages[s, at.READY]:
        state.stages[s, at.READY] += periods * (state.run[at.NOW] - snapshot.run[at.NOW])
    for column in (at.POS, at.REP, at.DONE, at.WAIT):
        state.stages[s, column] += periods * (state.stages[s, column] - snapshot.stages[s, column])
    if state.stages[s, at.REP] == snapshot.stages[s, at.REP]:
        state.stages[s, at.RUN_LEFT] += periods * (state.stages[s, at.RUN_LEFT] - snapshot.stages[s, at.RUN_LEFT])


@jit_part
def _jump(tables: Tables, state: State, snapshot: State, low_column: Number, periods: Number) -> Number:
    """Shift the state by ``periods`` periods; returns the cycles jumped."""
    cycles = periods * (state.run[at.NOW] - snapshot.run[at.NOW])
    for e in range(state.edges.shape[0]):
        _jump_edge(tables, state, snapshot, low_column, e, periods)
    for s in range(state.stages.shape[0]):
        _jump_stage(state, snapshot, s, periods)
    for r in range(state.resources.shape[0]):
        if state.resources[r, at.FINISH] != at.BIG:
            state.resources[r, at.FINISH] += cycles
        for column in (at.TIMES_LEFT, at.SEGMENT_LEFT):
            state.resources[r, column] += periods * (state.resources[r, column] - snapshot.resources[r, column])
    state.run[at.NOW] += cycles
    state.run[at.JUMPS] += 1
    return cycles


@jit_part
def _try_jump(tables: Tables, state: State, snapshot: State, low_column: Number) -> Number:
    """Jump if the state recurs and enough tiles are saved; returns the cycles jumped, 0 if none."""
    if not _alike(tables, state, snapshot):
        return 0
    periods = _limit(tables, state, snapshot, low_column)
    saved = 0
    for s in range(state.stages.shape[0]):
        saved += _moved(tables, state, snapshot, s)
    if periods == 0 or periods * saved < LEAST_SAVING:
        return 0
    state.run[at.SKIPPED] += periods * saved
    return _jump(tables, state, snapshot, low_column, periods)


@jit_part
def _restart_inner(state: State) -> None:
    """Forget the inner snapshot and let a new one be due soon."""
    state.run[at.INNER_SPAN] = 0
    state.run[at.INNER_AT] = max(state.run[at.STEPS] + WARM_UP, state.run[at.INNER_AWAKE])


@jit_part
def _sleep(state: State, cost: Number, awake: Number) -> bool:
    """Count a fruitless comparison; after too many, send the detector to sleep."""
    state.run[cost] += 1
    if state.run[cost] < PATIENCE:
        return False
    state.run[cost] = 0
    state.run[awake] = state.run[at.STEPS] + 4 * PATIENCE
    return True


@jit_part
def _detect_inner(tables: Tables, state: State, inner: State) -> Number:
    if state.run[at.INNER_SPAN] > 0:
        cycles = _try_jump(tables, state, inner, at.LOW)
        if cycles > 0:
            state.run[at.INNER_COST] = 0
            _restart_inner(state)
            return cycles
        if _sleep(state, at.INNER_COST, at.INNER_AWAKE):
            _restart_inner(state)
    if state.run[at.STEPS] >= state.run[at.INNER_AT]:
        state.run[at.INNER_SPAN] = max(WARM_UP, 2 * state.run[at.INNER_SPAN])
        state.run[at.INNER_AT] = state.run[at.STEPS] + state.run[at.INNER_SPAN]
        _fold(state)
        state.edges[:, at.LOW] = at.BIG
        _copy(state, inner)
    return 0


@jit_part
def _detect_outer(tables: Tables, state: State, outer: State) -> Number:
    """Look whether whole repetitions recur; called where the anchor ends one."""
    cycles = 0
    if state.run[at.OUTER_SPAN] > 0:
        _fold(state)
        cycles = _try_jump(tables, state, outer, at.LOW_OUTER)
        state.run[at.OUTER_LEFT] -= 1
        if cycles > 0:
            state.run[at.OUTER_COST] = 0
            state.run[at.OUTER_SPAN] = 0
        elif _sleep(state, at.OUTER_COST, at.OUTER_AWAKE):
            state.run[at.OUTER_SPAN] = 0
            return 0
    if state.run[at.OUTER_LEFT] <= 0 or state.run[at.OUTER_SPAN] == 0:
        state.run[at.OUTER_SPAN] = max(1, 2 * state.run[at.OUTER_SPAN])
        state.run[at.OUTER_LEFT] = state.run[at.OUTER_SPAN]
        state.edges[:, at.LOW] = at.BIG
        state.edges[:, at.LOW_OUTER] = at.BIG
        _restart_inner(state)
        _copy(state, outer)
    return cycles


@jit_part
def detect(tables: Tables, state: State, inner: State, outer: State) -> Number:
    """Jump if the settled state allows it; returns the cycles jumped, by which every coming finish has moved."""
    cycles = 0
    if state.run[at.BOUNDARY]:
        state.run[at.BOUNDARY] = 0
        if state.run[at.STEPS] >= state.run[at.INNER_AWAKE]:
            _restart_inner(state)
    if state.run[at.WRAPPED]:
        state.run[at.WRAPPED] = 0
        if state.run[at.STEPS] >= state.run[at.OUTER_AWAKE]:
            cycles = _detect_outer(tables, state, outer)
    if cycles == 0 and (state.run[at.INNER_SPAN] > 0 or state.run[at.STEPS] >= state.run[at.INNER_AT]):
        cycles = _detect_inner(tables, state, inner)
    return cycles
