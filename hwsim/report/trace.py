"""A step as a Chrome trace, which ui.perfetto.dev and chrome://tracing open.

The format is Google's "Trace Event Format": a JSON object with `traceEvents`; complete events (`ph: X`) with `ts` and
`dur` in microseconds, and metadata events (`ph: M`) that name and order the rows. One row per resource, and one on top
for the passes. A resource serves one tile at a time, so the slices of a row never overlap; times are put on whole
nanoseconds, rounded down at both ends, which keeps it so, and the exact cycles stand in `args`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from hwsim.report.step import passes_of_a_step, schedule_of
from hwsim.result import PassRow, Result
from hwsim.schedule import Program, Schedule

__all__ = ["SLICE_LIMIT", "trace_events", "trace_text"]

SLICE_LIMIT: Final = 60_000
"""Most tiles in a trace; about 10 MB of JSON, which a browser opens at once."""

_PROCESS: Final = 1
_PASS_ROW: Final = 1


@dataclass(frozen=True, slots=True)
class _Span:
    """One run of one program within the step; a program that a pass repeats is shown once."""

    program: Program
    schedule: Schedule
    start_cycle: int


@dataclass(slots=True)
class _Writer:
    """Collects events, rows and what had to be left out."""

    clock_hz: float
    rows: dict[str, int] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0

    def row(self, resource: str) -> int:
        """The row (tid) of a resource, in the order of first use."""
        return self.rows.setdefault(resource, _PASS_ROW + 1 + len(self.rows))

    def slice(self, row: int, name: str, category: str, start: int, end: int, **extra: Any) -> None:
        """Add one slice; ``start`` and ``end`` are cycles of the step."""
        first, last = self._nanoseconds(start), self._nanoseconds(end)
        self.events.append(
            {
                "ph": "X",
                "name": name,
                "cat": category,
                "pid": _PROCESS,
                "tid": row,
                "ts": first / 1000,
                "dur": (last - first) / 1000,
                "args": {"start_cycle": start, "end_cycle": end, "cycles": end - start, **extra},
            }
        )

    def _nanoseconds(self, cycle: int) -> int:
        """Whole nanoseconds at ``cycle``, rounded down; in integers, so that it never decreases."""
        return cycle * 1_000_000_000 // round(self.clock_hz)


def trace_text(result: Result, limit: int = SLICE_LIMIT) -> str:
    """The trace as JSON, an event a line.

    Args:
        result: the answer, which carries the programs of its passes.
        limit: most tiles; where a step has more, the first repetitions of each program are shown, and the file says so.
    """
    writer = _write(result, limit)
    head = json.dumps(_other_data(result, writer), ensure_ascii=False)
    lines = ",\n".join(json.dumps(event, ensure_ascii=False) for event in [*_names(result, writer), *writer.events])
    return f'{{"displayTimeUnit": "ns",\n"otherData": {head},\n"traceEvents": [\n{lines}\n]}}\n'


def trace_events(result: Result, limit: int = SLICE_LIMIT) -> list[dict[str, Any]]:
    """The events of :func:`trace_text`, rows' names first."""
    writer = _write(result, limit)
    return [*_names(result, writer), *writer.events]


def _write(result: Result, limit: int) -> _Writer:
    """All slices of a step."""
    writer = _Writer(result.clock_hz)
    passes = passes_of_a_step(result)
    runs = sum(each.count * len(each.programs) for each in passes)
    share = max(limit // runs, 1) if runs else 0
    schedules: dict[int, Schedule] = {}
    at = 0
    for each in passes:
        for number in range(each.count):
            words = f"{each.role} {number + 1} of {each.count}" if each.count > 1 else each.role
            writer.slice(_PASS_ROW, words, "pass", at, at + each.cycles, model=each.model, tokens=each.tokens)
            begin = at
            for program in each.programs:
                schedule = schedules.get(id(program)) or schedule_of(program)
                schedules[id(program)] = schedule
                _write_tiles(writer, _Span(program, schedule, begin), each, share)
                begin += schedule.makespan_cycles
            at += each.cycles
    return writer


def _write_tiles(writer: _Writer, span: _Span, each: PassRow, most: int) -> None:
    """The tiles of as many first repetitions as ``most`` allows, at least a part of one."""
    program = span.program
    per_rep = program.tiles // program.reps
    reps = min(max(most // per_rep, 1), program.reps)
    ops = {stage.name: stage.op or stage.name for stage in program.stages}
    shown = 0
    for resource, stage, tile, start, end in span.schedule.window(0, reps, limit=most).rows():
        begin = span.start_cycle + start
        row = writer.row(resource)
        writer.slice(row, ops[stage], each.role, begin, begin + end - start, stage=stage, tile=tile)
        shown += 1
    writer.left_out += program.tiles - shown


def _names(result: Result, writer: _Writer) -> Iterator[dict[str, Any]]:
    """Metadata events: what the process and its rows are called, and their order from the top."""
    yield _metadata("process_name", 0, name=f"{result.workload} on {result.device}")
    for row, name in ((_PASS_ROW, "passes of a step"), *((row, name) for name, row in writer.rows.items())):
        yield _metadata("thread_name", row, name=name)
        yield _metadata("thread_sort_index", row, sort_index=row)


def _metadata(kind: str, row: int, **arguments: Any) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": row, "args": arguments}


def _other_data(result: Result, writer: _Writer) -> dict[str, Any]:
    """What the file is, for a reader of the JSON."""
    shown = sum(event["cat"] != "pass" for event in writer.events)
    complete = not writer.left_out
    return {
        "workload": result.workload,
        "device": result.device,
        "phase": result.phase,
        "clock_hz": result.clock_hz,
        "step_cycles": result.step_cycles,
        "tiles_shown": shown,
        "tiles_left_out": writer.left_out,
        "note": "all tiles of a step"
        if complete
        else "the first repetitions of each program of a step; passes are whole",
    }
