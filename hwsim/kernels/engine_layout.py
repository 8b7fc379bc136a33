"""The engine's memory: one flat int64 array, and the names of the places in it.

Kernels get a single array ``m`` and read it as structs: a row is known by its address, so ``m[s + at.DONE]`` is how
many tiles stage ``s`` has finished. One argument of one type keeps numba's calls cheap and its compilation short.
Order: the header; a row for each stage, edge and resource; then what never changes (runs, blocks, segments, lists of
addresses); then two snapshots, each a copy of all up to ``m[STATE_END]``; then the recorded slices.

A settled state, with times taken relative to now and counters relative to a snapshot, decides all that follows: this is
what period skipping rests on.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Number"]

Array = npt.NDArray[np.int64]
Number = Any
"""An int64 inside compiled code, an int or numpy integer in plain Python."""

BIG: Final = 1 << 61
"""Beyond every count and time of a run (`hwsim.schedule.checks.HEADROOM`): an idle resource's finish, a free slack."""
NEVER: Final = -BIG
"""The need of an edge that does not bind at its consumer's next tile."""

ADDRESS: Final = (1 << 40) - 1
"""Mask of an address. It changes no address, but shows the compiler that none is negative: numba then need not wrap
indices around on each access, and steps 1.6 times faster."""

# The header: where things are
STAGES: Final = 0  # stage rows are m[STAGES]:m[STAGES_END], and so on
STAGES_END: Final = 1
EDGES: Final = 2
EDGES_END: Final = 3
RESOURCES: Final = 4
RESOURCES_END: Final = 5
STATE_END: Final = 6
SLICES: Final = 7  # room for recorded slices, at the end of the memory
SLICES_END: Final = 8
# what was asked
REPS: Final = 9
SKIP: Final = 10  # 1: jump periods
MODE: Final = 11  # of the window whose slices are recorded
WINDOW_LO: Final = 12
WINDOW_HI: Final = 13
MARGIN: Final = 14  # longest duration: a jump must end this long before a window of cycles
# where the run stands
NOW: Final = 15
STEPS: Final = 16  # tiles stepped
JUMPS: Final = 17
SLICE: Final = 18  # address of the next slice
# the detectors of periods
BOUNDARY: Final = 19  # 1: a run, mask, repetition or block ended in this instant
WRAPPED: Final = 20  # 1: the anchor ended a repetition in this instant
WRAPS: Final = 21  # repetitions that anchors have ended
ANCHOR: Final = 22  # stage whose repetitions the outer detector watches
INNER: Final = 23  # row of the inner detector
OUTER: Final = 28  # row of the outer detector
HEADER_WORDS: Final = 33

# A detector row
SNAPSHOT: Final = 0  # its snapshot of m[i] is m[i + SNAPSHOT]
SPAN: Final = 1  # ticks for which the snapshot is kept (inner: steps, outer: wraps), 0: there is none
DUE: Final = 2  # tick at which a new one is taken
COST: Final = 3  # fruitless comparisons since the last jump
AWAKE: Final = 4  # STEPS before which the detector sleeps

# A stage row: the program
TILES: Final = 0  # per repetition
RES: Final = 1  # its resource
RUN: Final = 2  # its first run of durations
IN: Final = 3  # the edges it waits for are the rows IN:IN_END
IN_END: Final = 4
OUT: Final = 5  # the edges it satisfies are listed at OUT:OUT_END
OUT_END: Final = 6
PRIORITY: Final = 7
# and its state
POS: Final = 8  # next tile to start: position in its repetition
REP: Final = 9  # and the repetition; REPS when all have started
DONE: Final = 10  # tiles finished
PENDING: Final = 11  # edges that the next tile still waits for
READY: Final = 12  # when the next tile became ready, if it is
RUN_NOW: Final = 13  # run of the next tile
RUN_LEFT: Final = 14  # tiles left in it, the next one included
CYCLES: Final = 15  # duration of the next tile
RUNNING: Final = 16  # 1 while a tile is being served
WAIT: Final = 17  # cycles for which a tile was ready and not served
FIRST: Final = 18  # start of the first tile, -1 before
LAST: Final = 19  # finish of the latest tile
STAGE_WORDS: Final = 20

# An edge row; rows are sorted by consumer. need = rep*N_U + floor((a*pos + b)/c) + 1 for LO <= pos < HI
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
NEED: Final = 10  # tiles of the producer that the consumer's next tile needs, or NEVER
REM: Final = 11  # (a*pos + b) % c
LOW: Final = 12  # least slack (DONE - NEED) seen since the inner snapshot
LOW_OUTER: Final = 13  # the same since the outer snapshot, up to the inner one
EDGE_WORDS: Final = 14

# A resource row
ARBITRATED: Final = 0
MEMBER: Final = 1  # its stages are listed at MEMBER:MEMBER_END, in listing order
MEMBER_END: Final = 2
FIRST_BLOCK: Final = 3  # static: its order is the blocks FIRST_BLOCK:LAST_BLOCK
LAST_BLOCK: Final = 4
FINISH: Final = 5  # of the tile being served, BIG when idle
STAGE: Final = 6  # being served
HEAD: Final = 7  # static: stage to serve next, 0 when the order is exhausted
BLOCK: Final = 8  # and its place in the order
SEGMENT_NOW: Final = 9
TIMES_LEFT: Final = 10
SEGMENT_LEFT: Final = 11
RESOURCE_WORDS: Final = 12

# A run of durations, a block of an order, a segment of a block
RUN_TILES: Final = 0
RUN_CYCLES: Final = 1
RUN_WORDS: Final = 2
BLOCK_TIMES: Final = 0
BLOCK_SEGMENT: Final = 1  # its segments are the rows BLOCK_SEGMENT:BLOCK_END
BLOCK_END: Final = 2
BLOCK_WORDS: Final = 3
SEGMENT_STAGE: Final = 0
SEGMENT_TILES: Final = 1
SEGMENT_WORDS: Final = 2

# MODE
NO_WINDOW: Final = 0
BY_REPS: Final = 1  # record tiles of the repetitions WINDOW_LO <= rep < WINDOW_HI
BY_CYCLES: Final = 2  # record tiles that overlap the cycles WINDOW_LO <= t < WINDOW_HI

# A recorded slice
SLICE_STAGE: Final = 0  # address of the stage
SLICE_TILE: Final = 1
SLICE_START: Final = 2
SLICE_END: Final = 3
SLICE_WORDS: Final = 4
