"""The engine's inner loop: steps a program tile by tile, and asks `engine_skip` for whole periods to jump.

Time moves from one instant with completions to the next. Within an instant, first all completions count, then what they
make ready is marked, then each free resource grants once. No heap, no objects, nothing stored per tile: an edge keeps the
number of tiles that its consumer's next tile needs, and a stage the number of its edges that are short, so that a
completion touches only the edges that it satisfies and no division is made inside a repetition.
"""

from __future__ import annotations

import numpy as np

from hwsim.kernels import engine_layout as at
from hwsim.kernels.engine_layout import Array, Number, State, Tables
from hwsim.kernels.engine_skip import choose_anchor, detect
from hwsim.kernels.jit import jit, jit_part

__all__ = ["simulate"]


@jit_part
def _need(tables: Tables, state: State, e: Number, pos: Number, rep: Number) -> None:
    """Set what edge ``e`` asks of its consumer's next tile; positions come one after another."""
    if tables.edges[e, at.LO] < pos < tables.edges[e, at.HI]:
        need = state.edges[e, at.NEED] + tables.edges[e, at.STEP_Q]
        rem = state.edges[e, at.REM] + tables.edges[e, at.STEP_R]
        if rem >= tables.edges[e, at.C]:
            rem -= tables.edges[e, at.C]
            need += 1
        state.edges[e, at.NEED] = need
        state.edges[e, at.REM] = rem
    elif pos == tables.edges[e, at.LO] and pos < tables.edges[e, at.HI]:
        state.edges[e, at.NEED] = rep * tables.edges[e, at.N_U] + tables.edges[e, at.LO_Q]
        state.edges[e, at.REM] = tables.edges[e, at.LO_R]
        state.run[at.BOUNDARY] = 1
    elif state.edges[e, at.NEED] != at.NEVER:
        state.edges[e, at.NEED] = at.NEVER
        state.run[at.BOUNDARY] = 1


@jit_part
def _await(tables: Tables, state: State, s: Number) -> None:
    """Work out what the next tile of stage ``s`` waits for."""
    pos = state.stages[s, at.POS]
    rep = state.stages[s, at.REP]
    pending = 0
    for e in range(tables.stages[s, at.IN], tables.stages[s, at.IN_END]):
        _need(tables, state, e, pos, rep)
        slack = state.stages[tables.edges[e, at.PRODUCER], at.DONE] - state.edges[e, at.NEED]
        if slack < 0:
            pending += 1
        state.edges[e, at.LOW] = min(slack, state.edges[e, at.LOW])
    state.stages[s, at.PENDING] = pending


@jit_part
def _exhaust(tables: Tables, state: State, s: Number) -> None:
    """Stage ``s`` has started its last tile: it waits for ever."""
    for e in range(tables.stages[s, at.IN], tables.stages[s, at.IN_END]):
        state.edges[e, at.NEED] = at.NEVER
    state.stages[s, at.PENDING] = 1
    if s == state.run[at.ANCHOR]:
        choose_anchor(state)


@jit_part
def _load_run(tables: Tables, state: State, s: Number, run: Number) -> None:
    """Make ``run`` the run of durations that the next tile of ``s`` belongs to."""
    state.stages[s, at.RUN_NOW] = run
    state.stages[s, at.RUN_LEFT] = tables.runs[run, at.RUN_TILES]
    state.stages[s, at.CYCLES] = tables.runs[run, at.RUN_CYCLES]


@jit_part
def _advance(tables: Tables, state: State, s: Number) -> None:
    """Move stage ``s`` on to its next tile."""
    state.stages[s, at.POS] += 1
    state.stages[s, at.RUN_LEFT] -= 1
    if state.stages[s, at.RUN_LEFT] == 0:
        state.run[at.BOUNDARY] = 1
        if state.stages[s, at.POS] < tables.stages[s, at.TILES]:
            _load_run(tables, state, s, state.stages[s, at.RUN_NOW] + 1)
        else:
            _load_run(tables, state, s, tables.stages[s, at.RUN])
            state.stages[s, at.POS] = 0
            state.stages[s, at.REP] += 1
            if s == state.run[at.ANCHOR]:
                state.run[at.WRAPPED] = 1
            if state.stages[s, at.REP] == state.run[at.REPS]:
                _exhaust(tables, state, s)
                return
    _await(tables, state, s)


@jit_part
def _load_block(tables: Tables, state: State, r: Number, block: Number) -> None:
    """Make ``block`` the place in the service order of resource ``r``."""
    state.resources[r, at.BLOCK] = block
    state.resources[r, at.TIMES_LEFT] = tables.blocks[block, at.BLOCK_TIMES]
    _load_segment(tables, state, r, tables.blocks[block, at.SEGMENT])


@jit_part
def _load_segment(tables: Tables, state: State, r: Number, segment: Number) -> None:
    state.resources[r, at.SEGMENT_NOW] = segment
    state.resources[r, at.SEGMENT_LEFT] = tables.segments[segment, at.SEGMENT_TILES]
    state.resources[r, at.HEAD] = tables.segments[segment, at.SEGMENT_STAGE]


@jit_part
def _serve(tables: Tables, state: State, r: Number) -> None:
    """Move a statically ordered resource on by one tile of its order; the stage has advanced already."""
    state.resources[r, at.SEGMENT_LEFT] -= 1
    if state.resources[r, at.SEGMENT_LEFT] > 0:
        return
    block = state.resources[r, at.BLOCK]
    segment = state.resources[r, at.SEGMENT_NOW] + 1
    if segment < tables.blocks[block, at.SEGMENT_END]:
        _load_segment(tables, state, r, segment)
    elif state.resources[r, at.TIMES_LEFT] > 1:
        state.resources[r, at.TIMES_LEFT] -= 1
        _load_segment(tables, state, r, tables.blocks[block, at.SEGMENT])
    else:
        state.run[at.BOUNDARY] = 1
        first = tables.resources[r, at.FIRST_BLOCK]
        _load_block(tables, state, r, block + 1 if block + 1 < tables.resources[r, at.LAST_BLOCK] else first)
        if state.stages[state.resources[r, at.HEAD], at.REP] == state.run[at.REPS]:
            state.resources[r, at.HEAD] = -1


@jit_part
def _arbitrate(tables: Tables, state: State, r: Number) -> Number:
    """The ready stage with the least (ready time, priority, listing index), or -1."""
    best = -1
    for i in range(tables.resources[r, at.MEMBER], tables.resources[r, at.MEMBER_END]):
        s = tables.members[i]
        if state.stages[s, at.PENDING] != 0:
            continue
        if best < 0 or state.stages[s, at.READY] < state.stages[best, at.READY]:
            best = s
        elif (
            state.stages[s, at.READY] == state.stages[best, at.READY]
            and tables.stages[s, at.PRIORITY] < tables.stages[best, at.PRIORITY]
        ):
            best = s
    return best


@jit_part
def _record(tables: Tables, state: State, slices: Array, s: Number, end: Number) -> None:
    """Write the tile that stage ``s`` is about to start if it lies in the window."""
    rep = state.stages[s, at.REP]
    key = rep if state.run[at.MODE] == at.BY_REPS else end - 1
    start = rep if state.run[at.MODE] == at.BY_REPS else state.run[at.NOW]
    row = state.run[at.RECORDED]
    if key >= state.run[at.WINDOW_LO] and start < state.run[at.WINDOW_HI] and row < slices.shape[0]:
        slices[row, at.SLICE_STAGE] = s
        slices[row, at.SLICE_TILE] = rep * tables.stages[s, at.TILES] + state.stages[s, at.POS]
        slices[row, at.SLICE_START] = state.run[at.NOW]
        slices[row, at.SLICE_END] = end
        state.run[at.RECORDED] = row + 1


@jit_part
def _start(tables: Tables, state: State, slices: Array, r: Number, s: Number) -> Number:
    """Resource ``r`` begins the next tile of stage ``s``; returns when it will finish."""
    now = state.run[at.NOW]
    end = now + state.stages[s, at.CYCLES]
    if state.run[at.MODE] != at.NO_WINDOW:
        _record(tables, state, slices, s, end)
    state.resources[r, at.FINISH] = end
    state.resources[r, at.STAGE] = s
    state.stages[s, at.RUNNING] = 1
    state.stages[s, at.WAIT] += now - state.stages[s, at.READY]
    if state.stages[s, at.FIRST] < 0:
        state.stages[s, at.FIRST] = now
    state.run[at.STEPS] += 1
    _advance(tables, state, s)
    if tables.resources[r, at.ARBITRATED] == 0:
        _serve(tables, state, r)
    return end


@jit_part
def _grant(tables: Tables, state: State, slices: Array) -> Number:
    """Let every free resource start a tile if it can; returns the next instant, BIG if nothing runs."""
    soonest = at.BIG
    for r in range(tables.resources.shape[0]):
        finish = state.resources[r, at.FINISH]
        if finish == at.BIG:
            s = _arbitrate(tables, state, r) if tables.resources[r, at.ARBITRATED] else state.resources[r, at.HEAD]
            if s >= 0 and state.stages[s, at.PENDING] == 0:
                finish = _start(tables, state, slices, r, s)
        soonest = min(soonest, finish)
    return soonest


@jit_part
def _complete(tables: Tables, state: State, r: Number) -> None:
    """The tile on resource ``r`` is finished: count it, and mark what that makes ready."""
    now = state.run[at.NOW]
    s = state.resources[r, at.STAGE]
    state.resources[r, at.FINISH] = at.BIG
    done = state.stages[s, at.DONE] + 1
    state.stages[s, at.DONE] = done
    state.stages[s, at.LAST] = now
    state.stages[s, at.RUNNING] = 0
    for i in range(tables.stages[s, at.OUT], tables.stages[s, at.OUT_END]):
        e = tables.outs[i]
        if state.edges[e, at.NEED] == done:
            v = tables.edges[e, at.CONSUMER]
            state.stages[v, at.PENDING] -= 1
            if state.stages[v, at.PENDING] == 0 and state.stages[v, at.RUNNING] == 0:
                state.stages[v, at.READY] = now
    if state.stages[s, at.PENDING] == 0:
        state.stages[s, at.READY] = now


@jit_part
def _prepare(tables: Tables, state: State) -> None:
    """Put every stage before its first tile."""
    state.stages[:] = 0
    state.edges[:] = 0
    state.edges[:, at.NEED] = at.NEVER
    state.edges[:, at.LOW] = at.BIG
    state.edges[:, at.LOW_OUTER] = at.BIG
    state.resources[:] = 0
    state.resources[:, at.FINISH] = at.BIG
    state.resources[:, at.HEAD] = -1
    for s in range(tables.stages.shape[0]):
        state.stages[s, at.FIRST] = -1
        _load_run(tables, state, s, tables.stages[s, at.RUN])
        _await(tables, state, s)
    for r in range(tables.resources.shape[0]):
        if tables.resources[r, at.ARBITRATED] == 0:
            _load_block(tables, state, r, tables.resources[r, at.FIRST_BLOCK])


@jit_part
def _window_closed(state: State, rows: Number) -> bool:
    """Whether every slice of the window has been recorded, or no more fit."""
    mode = state.run[at.MODE]
    if mode == at.NO_WINDOW:
        return False
    return state.run[at.RECORDED] == rows or (mode == at.BY_CYCLES and state.run[at.NOW] >= state.run[at.WINDOW_HI])


@jit_part
def _blank(state: State) -> State:
    """Room for a snapshot of ``state``."""
    return State(
        np.zeros_like(state.stages),
        np.zeros_like(state.edges),
        np.zeros_like(state.resources),
        np.zeros_like(state.run),
    )


@jit
def simulate(
    stages: Array,
    runs: Array,
    edges: Array,
    outs: Array,
    resources: Array,
    blocks: Array,
    segments: Array,
    members: Array,
    stage_state: Array,
    edge_state: Array,
    resource_state: Array,
    run: Array,
    slices: Array,
) -> None:
    """Run a program to its end, or until nothing can start, or until the window is recorded.

    Args:
        stages: and the tables up to ``members``: the fields of :class:`Tables`.
        stage_state: and the arrays up to ``run``: the fields of :class:`State`, overwritten with where the run ended.
        run: in: REPS, SKIP, MODE, WINDOW_LO, WINDOW_HI, MARGIN and ANCHOR set, the rest 0.
        slices: out: shape (rows, SLICE_COLUMNS), the first RECORDED rows are written.
    """
    tables = Tables(stages, runs, edges, outs, resources, blocks, segments, members)
    state = State(stage_state, edge_state, resource_state, run)
    inner = _blank(state)
    outer = _blank(state)
    _prepare(tables, state)
    while True:
        soonest = _grant(tables, state, slices)
        if soonest == at.BIG or _window_closed(state, slices.shape[0]):
            return
        if run[at.SKIP]:
            soonest += detect(tables, state, inner, outer)
        run[at.NOW] = soonest
        for r in range(resources.shape[0]):
            if resource_state[r, at.FINISH] == soonest:
                _complete(tables, state, r)
