"""Columns of the engine's int64 tables, so that kernels read ``state.stages[s, at.DONE]``.

`Tables` is the program and never changes; `State` is where a run stands. A settled state, with times taken relative to
now and counters relative to a snapshot, decides all that follows: this is what period skipping rests on.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["State", "Tables"]

Array = npt.NDArray[np.int64]
Number = Any
"""An int64 inside compiled code, an int or numpy integer in plain Python."""

BIG: Final = 1 << 61
"""Beyond every count and time of a run (`hwsim.schedule.checks.HEADROOM`): an idle resource's finish, a free slack."""
NEVER: Final = -BIG
"""The need of an edge that does not bind at its consumer's next tile."""

# Tables.stages, one row per stage
TILES: Final = 0  # per repetition
RES: Final = 1  # resource
RUN: Final = 2  # its durations are runs[RUN:RUN_END]
RUN_END: Final = 3
IN: Final = 4  # the edges it waits for are edges[IN:IN_END]
IN_END: Final = 5
OUT: Final = 6  # the edges it satisfies are outs[OUT:OUT_END]
OUT_END: Final = 7
PRIORITY: Final = 8
STAGE_COLUMNS: Final = 9

# Tables.runs
RUN_TILES: Final = 0
RUN_CYCLES: Final = 1

# Tables.edges, sorted by consumer: need = rep*N_U + floor((a*pos + b)/c) + 1 for LO <= pos < HI
PRODUCER: Final = 0
CONSUMER: Final = 1
STEP_Q: Final = 2  # a // c
STEP_R: Final = 3  # a % c
C: Final = 4
LO: Final = 5
HI: Final = 6
LO_Q: Final = 7  # (a*LO + b) // c + 1
LO_R: Final = 8  # (a*LO + b) % c
N_U: Final = 9  # tiles of the producer per repetition
EDGE_COLUMNS: Final = 10

# Tables.resources
ARBITRATED: Final = 0
FIRST_BLOCK: Final = 1  # static: its order is blocks[FIRST_BLOCK:LAST_BLOCK]
LAST_BLOCK: Final = 2
MEMBER: Final = 3  # its stages are members[MEMBER:MEMBER_END], in listing order
MEMBER_END: Final = 4
RESOURCE_COLUMNS: Final = 5

# Tables.blocks and Tables.segments
BLOCK_TIMES: Final = 0
SEGMENT: Final = 1
SEGMENT_END: Final = 2
SEGMENT_STAGE: Final = 0
SEGMENT_TILES: Final = 1

# State.stages
POS: Final = 0  # next tile to start: position in its repetition
REP: Final = 1  # and the repetition; reps when all have started
DONE: Final = 2  # tiles finished
PENDING: Final = 3  # edges that the next tile still waits for
READY: Final = 4  # when the next tile became ready, if it is
RUN_NOW: Final = 5  # run of the next tile
RUN_LEFT: Final = 6  # tiles left in it, the next one included
CYCLES: Final = 7  # duration of the next tile
RUNNING: Final = 8  # 1 while a tile is being served
WAIT: Final = 9  # cycles for which a tile was ready and not served
FIRST: Final = 10  # start of the first tile, -1 before
LAST: Final = 11  # finish of the latest tile
STATE_STAGE_COLUMNS: Final = 12

# State.edges
NEED: Final = 0  # tiles of the producer that the consumer's next tile needs, or NEVER
REM: Final = 1  # (a*pos + b) % c
LOW: Final = 2  # least slack (done - need) seen since the inner snapshot
LOW_OUTER: Final = 3  # the same since the outer snapshot, up to the inner one
STATE_EDGE_COLUMNS: Final = 4

# State.resources
FINISH: Final = 0  # of the tile being served, BIG when idle
STAGE: Final = 1  # being served
BLOCK: Final = 2  # static: place in the order
TIMES_LEFT: Final = 3
SEGMENT_NOW: Final = 4
SEGMENT_LEFT: Final = 5
HEAD: Final = 6  # stage to serve next, -1 when the order is exhausted
STATE_RESOURCE_COLUMNS: Final = 7

# State.run, one row of numbers
NOW: Final = 0
STEPS: Final = 1  # tiles stepped
SKIPPED: Final = 2  # tiles jumped over
JUMPS: Final = 3
REPS: Final = 4
SKIP: Final = 5  # 1: jump periods
MODE: Final = 6  # of the window whose slices are recorded
WINDOW_LO: Final = 7
WINDOW_HI: Final = 8
RECORDED: Final = 9  # slices written
MARGIN: Final = 10  # longest duration: a jump must end this long before a window of cycles
BOUNDARY: Final = 11  # 1: a run, mask, repetition or block ended in this instant
WRAPPED: Final = 12  # 1: the anchor stage ended a repetition in this instant
ANCHOR: Final = 13
INNER_AT: Final = 14  # STEPS at which the inner snapshot is due
INNER_SPAN: Final = 15  # steps for which it is kept, 0: there is none
INNER_COST: Final = 16  # fruitless comparisons since the last jump
INNER_AWAKE: Final = 17  # STEPS before which the inner detector sleeps
OUTER_LEFT: Final = 18  # wraps until the outer snapshot is retaken
OUTER_SPAN: Final = 19  # wraps for which it is kept, 0: there is none
OUTER_COST: Final = 20
OUTER_AWAKE: Final = 21
RUN_COLUMNS: Final = 22

# MODE
NO_WINDOW: Final = 0
BY_REPS: Final = 1  # record tiles of the repetitions WINDOW_LO <= rep < WINDOW_HI
BY_CYCLES: Final = 2  # record tiles that overlap the cycles WINDOW_LO <= t < WINDOW_HI

# slices: one row per recorded tile
SLICE_STAGE: Final = 0
SLICE_TILE: Final = 1
SLICE_START: Final = 2
SLICE_END: Final = 3
SLICE_COLUMNS: Final = 4


class Tables(NamedTuple):
    """The program as int64 arrays of shape (rows, columns), but for ``outs`` and ``members``, which are lists."""

    stages: Array
    runs: Array
    edges: Array
    outs: Array
    resources: Array
    blocks: Array
    segments: Array
    members: Array


class State(NamedTuple):
    """Where a run, or a snapshot of it, stands; ``run`` is a single row."""

    stages: Array
    edges: Array
    resources: Array
    run: Array
