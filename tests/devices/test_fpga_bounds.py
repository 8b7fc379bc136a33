"""The two bounds that always hold, over random machines, models, passes and policies.

Time is at least what each resource needs at full speed; and a machine with more of something is never slower at the
same work (the policy is fixed, so that the work is the same).
"""

from __future__ import annotations

from typing import Final

import pytest
from fpga_cases import Case, answer, cases, machine, machines
from hypothesis import event, given, settings
from hypothesis import strategies as st

from hwsim.devices.fpga import FpgaDevice
from hwsim.errors import Infeasible
from hwsim.pipeline.outcome import PassOutcome, run_pass

RESOURCES: Final = ("memory", "linear", "scan", "conv", "norm_in", "gate")


def run(case: Case, device: FpgaDevice) -> PassOutcome:
    graph, work = case.on(device)
    outcome = run_pass(device, graph, work)
    assert not isinstance(outcome, Infeasible)
    return outcome


@settings(max_examples=100)
@given(machines(), cases())
def test_time_is_at_least_each_bound(values: dict[str, float | str | bool], case: Case) -> None:
    """Bytes over nominal bandwidth, MACs over the peak, state updates over the lanes, and every busy time."""
    device = machine("vck190", values)
    outcome = run(case, device)
    event(case.work.role)
    seconds = outcome.cycles / device.clock_hz
    port = values["memory.ports"] * values["memory.port_bits"] / 8 * device.clock_hz
    assert seconds >= sum(outcome.bytes.values()) / min(port, values["memory.bandwidth"]) * (1 - 1e-9)
    peak = values["linear.tp"] * values["linear.cip"] * values["linear.cop"]
    graph, work = case.on(device)
    macs = sum(op.macs for op in graph if op.kind == "gemm")
    assert outcome.cycles >= macs / peak
    states = sum(op.operand("state").elements(op.dims) for op in graph if op.kind == "scan")
    assert outcome.cycles >= states * work.tokens / values["scan.lanes"]
    assert set(outcome.busy_cycles) <= set(RESOURCES)
    assert all(busy <= outcome.cycles for busy in outcome.busy_cycles.values())


MORE: Final = {
    "memory.bandwidth": st.floats(1, 20),
    "linear.tp": st.integers(1, 16),
    "linear.cip": st.integers(1, 16),
    "scan.lanes": st.integers(1, 128),
    "vector.lanes": st.integers(1, 64),
    "fifo.weight_beats": st.integers(1, 4096),
    "fifo.stream_tiles": st.integers(1, 16),
}


@pytest.mark.parametrize("path", MORE)
@settings(max_examples=40)
@given(values=machines(), case=cases(), data=st.data())
def test_more_is_never_slower(
    path: str, values: dict[str, float | str | bool], case: Case, data: st.DataObject
) -> None:
    """More bandwidth, slots, channels, lanes or buffer: not one cycle more."""
    more = data.draw(MORE[path])
    larger = values[path] * more if path == "memory.bandwidth" else values[path] + more
    before = run(case, machine("vck190", values))
    after = run(case, machine("vck190", {**values, path: larger}))
    event("faster" if after.cycles < before.cycles else "same")
    assert after.cycles <= before.cycles


@settings(max_examples=40)
@given(values=machines(), case=cases(), times=st.floats(1, 8))
def test_a_higher_clock_is_never_slower(values: dict[str, float | str | bool], case: Case, times: float) -> None:
    """In seconds, but for the rounding of each transfer to whole cycles of the clock (0.1 % and a cycle per stream)."""
    slow, fast = machine("vck190", values), machine("vck190", {**values, "clock": values["clock"] * times})
    before, after = run(case, slow), run(case, fast)
    streams = sum(len(program.stages) * program.reps for program in after.programs)
    rounding_s = streams / fast.clock_hz
    assert after.cycles / fast.clock_hz <= before.cycles / slow.clock_hz * 1.001 + rounding_s


@pytest.mark.parametrize("name", ["mamba", "mamba-ar", "mamba-tree", "mamba-2.8b", "mamba-130m", "mamba2-130m"])
@pytest.mark.parametrize("device", ["vck190", "vck190-spec", "vhk158-spec", "u280"])
def test_shipped_answers_keep_the_bounds(name: str, device: str) -> None:
    """Every shipped Mamba workload on every shipped machine: the step respects memory, peak and busy time."""
    where = machine(device)
    found = answer(name, where, new_tokens=1)
    steps = 1 / found.tokens_per_step
    assert found.step_s * steps >= sum(found.bytes.values()) / where.roofs.bytes_per_s["dram"] * (1 - 1e-9)
    linear = next(each.rate for each in where.resources if each.name == "linear")
    assert found.step_s >= sum(row.macs for row in found.ops if row.kind == "gemm") / linear
    assert all(0 <= share <= 1 for share in found.utilization.values())
    assert found.bound == max(found.utilization, key=found.utilization.__getitem__)
