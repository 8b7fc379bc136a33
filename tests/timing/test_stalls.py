"""The stall-aware control of the units: without stalls the closed forms, with stalls what must hold of any trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hwsim.timing import linear, scan, sparse, stalls, vector
from hwsim.timing.stalls import Control, Slot, Trace, transfers

few = st.integers(1, 6)
some = st.integers(1, 20)
FREE = Trace({}, lambda cycle: True)


def run_cycles(control: Control, beats: Mapping[str, int], outputs: int, trace: Trace = FREE) -> int:
    """First transfer in to last out, both included."""
    moves = transfers(control, beats, outputs, trace)
    return moves[""][-1] - min(moves[port][0] for port in beats if moves[port]) + 1


def every(period: int, beats: int) -> Sequence[int]:
    """An input's beats ``period`` cycles apart."""
    return [0, *[period - 1] * (beats - 1)]


@given(some, few, few)
def test_streams(beats: int, latency: int, period: int) -> None:
    """Function units, and their closed forms where one side stalls periodically."""
    unit = stalls.streamed(beats, ["i"], latency)
    assert run_cycles(unit, {"i": beats}, beats) == beats + latency
    starved = Trace({"i": every(period, beats)}, lambda cycle: True)
    unit = stalls.streamed(beats, ["i"], latency)
    assert run_cycles(unit, {"i": beats}, beats, starved) == stalls.starved_cycles(beats, latency, period)
    throttled = Trace({}, lambda cycle: cycle % period == 0)
    unit = stalls.streamed(beats, ["i"], latency)
    assert run_cycles(unit, {"i": beats}, beats, throttled) == stalls.throttled_cycles(beats, latency, period)


@given(few, st.integers(2, 6), st.integers(1, 9))
def test_arrays(tiles: int, side: int, length: int) -> None:
    """Both systolic arrays, back to back."""
    wave = linear.systolic_wave_cycles(side)
    rest = linear.systolic_tile_interval(length, side) - length
    both = frozenset({"a", "b"})
    slots = ([Slot(both)] * (length - 1) + [Slot(both, ((1 << side) - 1) << (wave + 1), rest)]) * tiles
    beats = {"a": tiles * length, "b": tiles * length}
    assert run_cycles(stalls.Sequenced(slots), beats, tiles * side) == linear.systolic_os_cycles(tiles, length, side)
    unit = stalls.WeightStationary(side, length, "a", "b")
    beats = {"a": tiles * length, "b": tiles * side}
    assert run_cycles(unit, beats, tiles * length) == linear.systolic_ws_cycles(tiles, length, side)


@given(some, few, few)
def test_norm(tokens: int, steps: int, lanes: int) -> None:
    """Both passes overlapping; the ring is never full."""
    unit = stalls.TwoPasses(steps, 2 * steps + vector.NORM_ROOT_CYCLES, "i", "gain")
    beats = {"i": tokens * steps, "gain": tokens * steps}
    want = vector.rms_norm_total_cycles(steps * lanes, tokens, lanes=lanes)
    assert run_cycles(unit, beats, tokens * steps) == want


@given(some, few, st.sampled_from([1, 2]))
def test_scan(jobs: int, rows: int, ports: int) -> None:
    """Jobs back to back, B and C of the first."""
    unit = stalls.Scanning([True] + [False] * (jobs - 1), rows, ports, "job", "bc")
    assert run_cycles(unit, {"job": jobs, "bc": rows}, jobs) == scan.scan_total_cycles(jobs, rows, ports=ports)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_decompressor(counts: list[int]) -> None:
    """A beat a cycle at any density."""
    unit = stalls.Decompressing(counts, 4, "mask", "packed")
    beats = {"mask": len(counts), "packed": -(-sum(counts) // 4)}
    want = sparse.decompress_cycles(len(counts), first_beat_has_values=counts[0] > 0)
    assert run_cycles(unit, beats, len(counts)) == want


def chained(beats: int) -> Control:
    """Two streams, one behind the other."""
    return stalls.Chained(stalls.streamed(beats, ["i"], 2), stalls.streamed(beats, ["middle", "j"], 3), "middle")


UNITS: dict[str, Callable[[int], tuple[Control, dict[str, int], int]]] = {
    "stream": lambda n: (stalls.streamed(n, ["i", "j"], 3), {"i": n, "j": n}, n),
    "norm": lambda n: (stalls.TwoPasses(2, 14, "i", "j"), {"i": 2 * n, "j": 2 * n}, 2 * n),
    "scan": lambda n: (stalls.Scanning([True] * n, 3, 1, "i", "j"), {"i": n, "j": 3 * n}, n),
    "array": lambda n: (stalls.WeightStationary(3, 2, "i", "j"), {"i": 2 * n, "j": 3 * n}, 2 * n),
    "chain": lambda n: (chained(n), {"i": n, "j": n}, n),
}


@given(
    st.sampled_from(sorted(UNITS)),
    few,
    st.lists(st.integers(0, 5), max_size=12),
    st.lists(st.integers(0, 5), max_size=12),
    st.lists(st.booleans(), max_size=40),
)
def test_any_trace(name: str, n: int, first: list[int], second: list[int], sink: list[bool]) -> None:
    """Every beat moves once, in order; stalls never hasten a run, nor cost more than the cycles some port stalled."""
    control, beats, outputs = UNITS[name](n)
    trace = Trace({"i": first, "j": second}, lambda cycle: cycle >= len(sink) or sink[cycle])
    moves = transfers(control, beats, outputs, trace)
    assert {port: len(cycles) for port, cycles in moves.items()} == {**beats, "": outputs}
    assert all(a < b for cycles in moves.values() for a, b in pairwise(cycles))
    assert all(trace.accepts(cycle) for cycle in moves[""])
    control, beats, outputs = UNITS[name](n)
    free = transfers(control, beats, outputs, FREE)[""]
    assert all(a >= b for a, b in zip(moves[""], free, strict=True))
    held = sum(first) + sum(second) + sink.count(False)
    assert moves[""][-1] <= free[-1] + held


def test_a_stalled_sink_holds_the_whole_unit() -> None:
    """A beat in each of five cycles, latency 2, the sink away in cycles 2 to 4: three cycles later from there on."""
    trace = Trace({}, lambda cycle: cycle not in (2, 3, 4))
    moves = transfers(stalls.streamed(5, ["i"], 2), {"i": 5}, 5, trace)
    assert moves == {"i": [0, 1, 5, 6, 7], "": [5, 6, 7, 8, 9]}
