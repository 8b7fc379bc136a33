"""The trace of a step, held to Google's "Trace Event Format"."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import result_builder as build
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.pipeline import simulate
from hwsim.report.trace import trace_events, trace_text
from hwsim.result import PassRow, Result
from hwsim.schedule import Program, Schedule, Stage, after, fifo, run
from hwsim.workload import find_workload


def program(tiles: int = 6, reps: int = 4, load: int = 3, compute: int = 5) -> Program:
    """A port that feeds a unit through a double buffer."""
    port = Stage.uniform("weights", "memory", tiles, load, op="in_proj")
    unit = Stage.uniform("gemm", "linear", tiles, compute, op="in_proj")
    return Program((port, unit), (after(port, unit), fifo(port, unit, 2)), reps)


def cycles_of(work: Program) -> int:
    """How long a program takes."""
    schedule = run(work)
    assert isinstance(schedule, Schedule)
    return schedule.makespan_cycles


def traced(clock_hz: float = 400e6, tiles: int = 6, **changes: Any) -> Result:
    """A result of two draft passes and a verification, each with its program."""
    small, large = program(tiles, 2), program(tiles, **changes)
    rows = (
        PassRow("draft", "small", 1, 1, 2, cycles_of(small), 1e-6, "cache", (small,)),
        PassRow("verify", "large", 4, 1, 1, cycles_of(large), 1e-6, "replay", (large,)),
    )
    return build.speculative(clock_hz=clock_hz, passes=rows, step_cycles=sum(r.count * r.cycles for r in rows))


NUMBER = {"type": "number", "minimum": 0}
COMMON = {"name": {"type": "string"}, "pid": {"type": "integer"}, "tid": {"type": "integer"}}
PHASES = {
    "X": ({"ts": NUMBER, "dur": NUMBER, "cat": {"type": "string"}}, {"ts", "dur", "pid", "tid", "name"}),
    "M": ({"args": {"type": "object"}}, {"args", "pid", "name"}),
}
"""Phase -> (its fields' types, the fields it must have), as "Trace Event Format" lists them: complete events and
metadata events, the two that we write."""
METADATA = {
    "process_name": ("name", str),
    "process_labels": ("labels", str),
    "process_sort_index": ("sort_index", int),
    "thread_name": ("name", str),
    "thread_sort_index": ("sort_index", int),
}
"""The metadata events that the format knows -> their argument and its type."""
OPTIONAL = {"args", "cname", "tts", "tdur", "id", "sf", "stack", "esf", "estack"}
UNITS = ("ms", "ns")
TYPES = {"string": str, "integer": int, "number": (int, float), "object": dict}


def check_format(document: dict[str, Any]) -> None:
    """The JSON Object Format of "Trace Event Format", and what a viewer of rows needs beyond it."""
    assert isinstance(document["traceEvents"], list)
    assert document.get("displayTimeUnit", "ms") in UNITS
    assert isinstance(document.get("otherData", {}), dict)
    for event in document["traceEvents"]:
        check_event(event)
    names = {(e["pid"], e.get("tid")) for e in document["traceEvents"] if e["name"] == "thread_name"}
    slices = [event for event in document["traceEvents"] if event["ph"] == "X"]
    assert {(event["pid"], event["tid"]) for event in slices} <= names, "a row without a name"
    for row in by_row(slices).values():
        check_nesting(row)


def check_event(event: dict[str, Any]) -> None:
    """An event: a known phase, the fields that it must have, of their types, and none that the format does not know."""
    types, required = PHASES[event["ph"]]
    fields = {**COMMON, **types}
    assert required <= set(event), f"without {required - set(event)}"
    assert set(event) <= {*fields, *OPTIONAL, "ph"}, f"unknown {set(event) - set(fields)}"
    for name, value in event.items():
        if name in fields:
            kind = TYPES[fields[name]["type"]]
            assert isinstance(value, kind), f"{name}: {value!r}"
            assert not isinstance(value, bool), f"{name}: {value!r}"
            assert value >= fields[name]["minimum"] if "minimum" in fields[name] else True, f"{name}: {value!r}"
    assert isinstance(event.get("args", {}), dict)
    if event["ph"] == "M":
        argument, kind = METADATA[event["name"]]
        assert isinstance(event["args"][argument], kind)


def by_row(slices: list[dict[str, Any]]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """Slices of a process and thread, by their start; of equal starts the longer first, as a viewer stacks them."""
    rows: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in sorted(slices, key=lambda e: (e["ts"], -e["dur"])):
        rows.setdefault((event["pid"], event["tid"]), []).append(event)
    return rows


def check_nesting(row: list[dict[str, Any]]) -> None:
    """Slices of a row lie in each other or apart: a viewer drops those that cross."""
    open_until: list[int] = []
    for event in row:
        start = nanoseconds(event["ts"])
        end = start + nanoseconds(event["dur"])
        while open_until and open_until[-1] <= start:
            open_until.pop()
        assert not open_until or end <= open_until[-1], f"{event['name']} crosses the slice before it"
        open_until.append(end)


def rows_of(events: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Slices by row, in the order of their start."""
    rows: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        if event["ph"] == "X":
            rows.setdefault(event["tid"], []).append(event)
    return {tid: sorted(row, key=lambda e: e["args"]["start_cycle"]) for tid, row in rows.items()}


def nanoseconds(microseconds: float) -> int:
    """As Perfetto reads `ts` and `dur`: whole nanoseconds."""
    return round(microseconds * 1000)


def test_text_is_valid_and_the_same_on_every_run() -> None:
    """The document parses, keeps the format, and repeats byte for byte."""
    text = trace_text(traced())
    check_format(json.loads(text))
    assert text == trace_text(traced())
    assert json.loads(text)["otherData"]["note"] == "all tiles of a step"


@settings(max_examples=25)
@given(
    st.sampled_from([125e6, 300e6, 333e6, 400e6, 1.7e9]),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 50),
    st.integers(1, 50),
)
def test_slices_of_a_row_never_overlap(clock_hz: float, tiles: int, reps: int, load: int, compute: int) -> None:
    """Neither in cycles nor in the nanoseconds that a viewer sees, at any clock."""
    for row in rows_of(trace_events(traced(clock_hz, tiles, reps=reps, load=load, compute=compute))).values():
        for first, second in pairwise(row):
            assert first["args"]["end_cycle"] <= second["args"]["start_cycle"]
            assert nanoseconds(first["ts"]) + nanoseconds(first["dur"]) <= nanoseconds(second["ts"])


def test_one_row_per_resource_and_exact_cycles() -> None:
    """Rows carry the resources' names; durations are the stages'; passes fill the step without a gap."""
    result = traced()
    events = trace_events(result)
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names == {1: "passes of a step", 2: "memory", 3: "linear"}
    rows = rows_of(events)
    assert {e["args"]["cycles"] for e in rows[2]} == {3}
    assert {e["args"]["cycles"] for e in rows[3]} == {5}
    assert [e["name"] for e in rows[1]] == ["draft 1 of 2", "draft 2 of 2", "verify"]
    assert rows[1][0]["args"]["start_cycle"] == 0
    assert rows[1][-1]["args"]["end_cycle"] == result.step_cycles
    assert all(a["args"]["end_cycle"] == b["args"]["start_cycle"] for a, b in pairwise(rows[1]))


def test_every_tile_is_shown_when_there_is_room() -> None:
    """Two drafts of 2 x 2 x 6 tiles and a verification of 4 x 2 x 6."""
    rows = rows_of(trace_events(traced()))
    assert len(rows[2]) + len(rows[3]) == 2 * 24 + 48


def test_long_step_is_cut_and_says_so() -> None:
    """Tiles stay within the limit, the passes stay whole, and the file counts what is left out."""
    text = trace_text(traced(tiles=6, reps=50), limit=90)
    document = json.loads(text)
    tiles = [e for e in document["traceEvents"] if e["ph"] == "X" and e["cat"] != "pass"]
    assert len(tiles) <= 90
    other = document["otherData"]
    assert other["tiles_shown"] == len(tiles)
    assert other["tiles_shown"] + other["tiles_left_out"] == 2 * 24 + 600
    assert other["note"].startswith("the first repetitions")
    assert {e["name"] for e in document["traceEvents"] if e.get("cat") == "pass"} >= {"verify"}


def test_prompt_is_no_part_of_a_step() -> None:
    """Where tokens are decoded after a prompt, the trace shows a step of decoding."""
    work = program()
    rows = (
        PassRow("prefill", "m", 64, 1, 1, 10 * cycles_of(work), 1e-6, "none", (work,)),
        PassRow("decode", "m", 1, 1, 1, cycles_of(work), 1e-6, "none", (work,)),
    )
    passes = rows_of(trace_events(build.result(passes=rows)))[1]
    assert [e["name"] for e in passes] == ["decode"]
    alone = rows_of(trace_events(build.result(passes=rows[:1])))[1]
    assert [e["name"] for e in alone] == ["prefill"]


def test_result_without_programs_has_an_empty_trace() -> None:
    """Nothing to show is still a valid document."""
    check_format(json.loads(trace_text(build.result(passes=()))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ph": "Q"}, "Q"),
        ({"ts": "1"}, "ts"),
        ({"ts": -1.0}, "ts"),
        ({"dur": True}, "dur"),
        ({"tid": 1.5}, "tid"),
        ({"tid": 99}, "row without a name"),
        ({"colour": "red"}, "unknown"),
        ({"ts": 0.0, "dur": 1e9}, "crosses"),
    ],
)
def test_the_check_of_the_format_refuses(change: dict[str, Any], message: str) -> None:
    """An unknown phase, a wrong type, a negative time, a row without a name, an unknown field, slices that cross."""
    document = json.loads(trace_text(traced()))
    slices = [event for event in document["traceEvents"] if event["ph"] == "X" and event["tid"] == 2]
    slices[1].update(change)
    if message == "crosses":
        slices[1]["ts"], slices[1]["dur"] = slices[0]["ts"] + slices[0]["dur"] / 2, 1e9
    with pytest.raises((AssertionError, KeyError), match=message):
        check_format(document)


@pytest.mark.parametrize(
    ("workload", "machine"),
    [
        ("mamba2-130m", "vck190"), ("gpt2", "spr-56c"), ("gpt2", "l4"), ("srcnn", "optical-4k-2mhz"),
        ("srcnn", "eyeriss"),
    ],
)  # fmt: skip
def test_traces_of_every_family_keep_the_format(workload: str, machine: str) -> None:
    """A real step of a machine of each family."""
    answer = simulate(find_workload(workload), find_device(machine))
    assert isinstance(answer, Result)
    document = json.loads(trace_text(answer, limit=2000))
    check_format(document)
    assert sum(event["ph"] == "X" for event in document["traceEvents"]) > 1


@pytest.mark.parametrize("name", ['"quoted"', "<b>", "\u00e9\u4e16"])
def test_names_are_escaped(name: str) -> None:
    """Any name survives the way through JSON."""
    document = json.loads(trace_text(build.result(workload=name, passes=())))
    assert document["traceEvents"][0]["args"]["name"] == f"{name} on board"
