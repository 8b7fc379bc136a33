"""`run`: from a `Program` to a `Schedule`, or to the `Deadlock` that stops it.

The kernel steps tile by tile and jumps over whole periods; ``skip=False`` steps every tile and gives the same integers.
No tile is stored: `Schedule.window` and `Schedule.slices` run the program again, jump to the part that was asked for,
and step through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from hwsim.errors import HwsimError
from hwsim.kernels import engine_layout as at
from hwsim.schedule.program import Edge, Program
from hwsim.schedule.tables import compile_program

__all__ = ["Blocked", "Deadlock", "ResourceUse", "Schedule", "Slices", "StageTimes", "run"]

SLICE_LIMIT: Final = 1_000_000
"""Most slices that a window returns unless told otherwise: 32 bytes each here, some 150 in a trace file."""


@dataclass(frozen=True, slots=True)
class StageTimes:
    """When a stage worked.

    Attributes:
        first_start: cycle in which its first tile starts.
        last_finish: cycle in which its last tile is finished.
        busy_cycles: sum of its tiles' durations.
        wait_cycles: cycles for which a tile had all it needs, the tile before it included, and was not served.
    """

    first_start: int
    last_finish: int
    busy_cycles: int
    wait_cycles: int


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """How much a resource worked: cycles, and their share of the makespan."""

    busy_cycles: int
    utilization: float


@dataclass(frozen=True, slots=True)
class Slices:
    """Tiles of a window, in the order in which they start; arrays of one length, read-only.

    Attributes:
        stage_names: names that ``stage`` indexes.
        resource_names: resource of each stage.
        stage: index of the stage.
        tile: number of the tile in its stage, over all repetitions.
        start: first cycle.
        end: first cycle after.
        truncated: whether tiles were left out because the limit was reached.
    """

    stage_names: tuple[str, ...]
    resource_names: tuple[str, ...]
    stage: npt.NDArray[np.int64]
    tile: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.stage)

    def rows(self) -> Iterator[tuple[str, str, int, int, int]]:
        """(resource, stage, tile, start, end) of each slice."""
        columns = (self.stage.tolist(), self.tile.tolist(), self.start.tolist(), self.end.tolist())
        for stage, tile, start, end in zip(*columns, strict=True):
            yield self.resource_names[stage], self.stage_names[stage], tile, start, end


@dataclass(frozen=True, slots=True)
class Blocked:
    """A stage that can never go on, and why.

    Attributes:
        stage: name of the stage that its resource would have to serve next.
        tile: the tile it stands at, over all repetitions.
        edge: the first of its edges that is short.
        have: tiles that the edge's producer has finished.
        need: tiles that it would have to finish.
    """

    stage: str
    tile: int
    edge: Edge
    have: int
    need: int

    def __str__(self) -> str:
        return (
            f"{self.stage!r} stands at tile {self.tile}: {self.edge.producer!r} has finished {self.have} tiles, "
            f"needed {self.need} ({self.edge})"
        )


@dataclass(frozen=True, slots=True)
class Deadlock:
    """The program cannot finish: an answer, not an exception.

    Attributes:
        at_cycle: when the last tile finished.
        blocked: what each unfinished resource stands at.
    """

    at_cycle: int
    blocked: tuple[Blocked, ...]

    def __str__(self) -> str:
        return f"deadlock at cycle {self.at_cycle}: " + "; ".join(map(str, self.blocked))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long a program takes, and who works when.

    Attributes:
        program: what ran.
        makespan_cycles: finish of the last tile.
        stages: stage name -> its times.
        resources: resource name -> its use.
        steps: tiles that were stepped; the other ``program.tiles - steps`` were jumped over.
        jumps: how often periods were jumped.
    """

    program: Program
    makespan_cycles: int
    stages: dict[str, StageTimes]
    resources: dict[str, ResourceUse]
    steps: int = field(compare=False)
    jumps: int = field(compare=False)

    def window(self, start_rep: int, reps: int = 1, *, limit: int = SLICE_LIMIT) -> Slices:
        """The slices of all tiles of ``reps`` repetitions from ``start_rep`` on.

        Raises:
            HwsimError: if the program has no such repetitions.
        """
        if reps < 1 or start_rep < 0 or start_rep + reps > self.program.reps:
            found = f"repetitions {start_rep} to {start_rep + reps - 1}"
            raise HwsimError.at("window", found, f"repetitions within 0 to {self.program.reps - 1}")
        return _slices(self.program, "reps", start_rep, start_rep + reps, limit)

    def slices(self, start_cycle: int = 0, end_cycle: int | None = None, *, limit: int = SLICE_LIMIT) -> Slices:
        """The slices of all tiles that overlap the cycles from ``start_cycle`` up to, not including, ``end_cycle``.

        Raises:
            HwsimError: if the window is empty.
        """
        end = self.makespan_cycles if end_cycle is None else end_cycle
        if not 0 <= start_cycle < end:
            raise HwsimError.at("window", f"cycles {start_cycle} to {end}", "0 <= start < end")
        return _slices(self.program, "cycles", start_cycle, min(end, self.makespan_cycles), limit)


@dataclass(frozen=True, slots=True)
class _Ended:
    """Where the kernel stopped: the header of its memory, and the stage, edge, resource and slice rows."""

    edges_by_row: tuple[Edge, ...]
    header: list[int]
    stages: list[list[int]]
    edges: list[list[int]]
    resources: list[list[int]]
    slices: npt.NDArray[np.int64]


def _call(program: Program, skip: bool, mode: str = "none", lo: int = 0, hi: int = 0, rows: int = 0) -> _Ended:
    """Run the kernel."""
    from hwsim.kernels.engine import simulate  # noqa: PLC0415 - numba is imported by the command that needs it

    compiled = compile_program(program)
    words = len(compiled.memory)
    memory = np.empty(words + rows * at.SLICE_WORDS, np.int64)
    memory[:words] = compiled.memory
    memory[at.SLICES_END] = len(memory)
    memory[at.SLICE] = words
    memory[at.SKIP] = skip
    memory[at.MODE] = {"none": at.NO_WINDOW, "reps": at.BY_REPS, "cycles": at.BY_CYCLES}[mode]
    memory[at.WINDOW_LO] = lo
    memory[at.WINDOW_HI] = hi
    memory[at.MARGIN] = max(cycles for stage in program.stages for _, cycles in stage.durations)
    memory[at.ANCHOR] = memory[at.STAGES_END] - at.STAGE_WORDS
    simulate(memory)
    header = memory[: at.HEADER_WORDS].tolist()
    return _Ended(
        compiled.edges,
        header,
        memory[header[at.STAGES] : header[at.STAGES_END]].reshape(-1, at.STAGE_WORDS).tolist(),
        memory[header[at.EDGES] : header[at.EDGES_END]].reshape(-1, at.EDGE_WORDS).tolist(),
        memory[header[at.RESOURCES] : header[at.RESOURCES_END]].reshape(-1, at.RESOURCE_WORDS).tolist(),
        memory[words : header[at.SLICE]].reshape(-1, at.SLICE_WORDS),
    )


def run(program: Program, skip: bool = True) -> Schedule | Deadlock:
    """Serve every tile of ``program`` as early as its order, edges and resource allow.

    Args:
        program: what to run.
        skip: jump over periods that certainly repeat; the result is the same either way.
    """
    ended = _call(program, skip)
    if any(row[at.REP] < program.reps for row in ended.stages):
        return Deadlock(ended.header[at.NOW], tuple(_blocked(program, ended)))
    stages = {
        stage.name: StageTimes(row[at.FIRST], row[at.LAST], program.reps * stage.cycles_per_rep, row[at.WAIT])
        for stage, row in zip(program.stages, ended.stages, strict=True)
    }
    makespan = max(times.last_finish for times in stages.values())
    busy = dict.fromkeys(program.resources, 0)
    for stage in program.stages:
        busy[stage.resource] += stages[stage.name].busy_cycles
    resources = {name: ResourceUse(cycles, cycles / makespan) for name, cycles in busy.items()}
    return Schedule(program, makespan, stages, resources, ended.header[at.STEPS], ended.header[at.JUMPS])


def _blocked(program: Program, ended: _Ended) -> Iterator[Blocked]:
    """The stages that unfinished resources stand at: the next in order, or every unfinished one where arbitrated."""
    heads = {row[at.HEAD] for row in ended.resources}
    for s, (stage, row) in enumerate(zip(program.stages, ended.stages, strict=True)):
        next_in_order = stage.resource in program.arbitrated or ended.header[at.STAGES] + s * at.STAGE_WORDS in heads
        if next_in_order and row[at.REP] < program.reps:
            yield _why(program, ended, s)


def _why(program: Program, ended: _Ended, s: int) -> Blocked:
    """The first short edge of the stage in row ``s``."""
    stage, row = program.stages[s], ended.stages[s]
    done = {stage.name: row[at.DONE] for stage, row in zip(program.stages, ended.stages, strict=True)}
    for edge, state in zip(ended.edges_by_row, ended.edges, strict=True):
        if edge.consumer == stage.name and done[edge.producer] < state[at.NEED]:
            tile = row[at.REP] * stage.tiles + row[at.POS]
            return Blocked(stage.name, tile, edge, done[edge.producer], state[at.NEED])
    raise RuntimeError(f"stage {stage.name!r} stands still, but none of its edges is short")


def _slices(program: Program, mode: str, lo: int, hi: int, limit: int) -> Slices:
    """Run again and record the window; one slice more than ``limit`` would tell that some were left out."""
    if limit < 1:
        raise HwsimError.at("window", f"limit = {limit}", "a limit of at least 1 slice")
    most = (hi - lo) * (program.tiles // program.reps) if mode == "reps" else program.tiles
    ended = _call(program, True, mode, lo, hi, min(limit + 1, most))
    columns = np.ascontiguousarray(ended.slices[:limit].T)
    columns[at.SLICE_STAGE] = (columns[at.SLICE_STAGE] - ended.header[at.STAGES]) // at.STAGE_WORDS
    columns.flags.writeable = False
    return Slices(
        tuple(stage.name for stage in program.stages),
        tuple(stage.resource for stage in program.stages),
        columns[at.SLICE_STAGE],
        columns[at.SLICE_TILE],
        columns[at.SLICE_START],
        columns[at.SLICE_END],
        len(ended.slices) > limit,
    )
