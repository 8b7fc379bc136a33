"""One definition of every column: what a graph fixes is the same on every machine, and books balance in each answer."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from hwsim.analysis.roofline import roofline
from hwsim.devices.base import Device
from hwsim.devices.catalog import find_device
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS
from hwsim.pipeline import Question, simulate
from hwsim.result import Result
from hwsim.workload.catalog import find_workload
from hwsim.workload.graph import Graph
from hwsim.workload.model import Pass
from hwsim.workload.transform import graph_of, prepared

MACHINES = (
    "vck190-spec",
    "u280",
    "l4",
    "h100-sxm",
    "8x-h100-sxm",
    "spr-56c",
    "optical-4k-2mhz",
    "dlp-6500-bench",
    "tpu-256",
    "systolic-os-16",
)
"""Of every family those that differ in kind: plain and speculative, a cluster, with and without tiles or a host."""
QUESTIONS = {
    "mamba2-130m": {"batch": 2, "new_tokens": 1},
    "mamba-130m": {"new_tokens": 1},
    "gpt2": {"batch": 3, "new_tokens": 1, "context": 100},
    "vit-cifar-96": {"batch": 2},
    "resnet-18-cifar": {},
}
MAMBA_ONLY = ("vck190-spec", "u280")
"""A speculative-Mamba dataflow has no unit for attention or images; all else runs everywhere."""
CASES = [(name, each) for name in MACHINES for each in QUESTIONS if name not in MAMBA_ONLY or each.startswith("mamba")]


@cache
def machine(name: str) -> Device:
    return find_device(name)


@cache
def answer(name: str, workload: str) -> Result:
    """What `simulate` says of a question that the machine can answer."""
    found = simulate(find_workload(workload), machine(name), Question(**QUESTIONS[workload]))
    assert isinstance(found, Result), str(found)
    return found


def own_graph(name: str, workload: str) -> Graph:
    """The graph of the question in the formats that the machine says it uses."""
    loaded = prepared(find_workload(workload))
    formats, _ = machine(name).formats(loaded.formats)
    found = answer(name, workload)
    of_images = found.phase == "inference"
    # the mean context of a single new token is the context itself
    work = Pass(found.phase, found.batch, 1, 0 if of_images else found.context, loaded.run.lm_head == "device")
    return graph_of(replace(loaded, formats=formats), work)


@pytest.mark.parametrize(("name", "workload"), CASES)
def test_what_the_graph_fixes_is_the_same_everywhere(name: str, workload: str) -> None:
    """Operators with their counts, and multiply-accumulates, are the graph's on every machine of every family."""
    found, graph = answer(name, workload), own_graph(name, workload)
    counts: dict[str, int] = {}
    macs: dict[str, int] = {}
    for op in graph.ops:
        counts[op.name] = counts.get(op.name, 0) + 1
        macs[op.name] = macs.get(op.name, 0) + op.macs
    assert {row.name: row.count for row in found.ops} == counts
    assert {row.name: row.macs for row in found.ops} == macs
    assert found.macs == sum(macs.values())
    assert all(row.stored_macs == row.macs for row in found.ops)


@pytest.mark.parametrize(("name", "workload"), CASES)
def test_bytes_held_are_the_graph_s_in_the_formats_used(name: str, workload: str) -> None:
    """Weights and states in the machine's formats; a cluster's card holds its part; the FPGA packs and keeps a tap."""
    found, graph = answer(name, workload), own_graph(name, workload)
    weights = sum(op.weight_bytes for op in graph.ops)
    held = [each.bytes(op.dims) for op in graph.ops for each in op.operands if each.role in ("state", "cache")]
    memory = found.memory_bytes
    assert list(memory) == ["weights", "state", "activations"]
    if found.family == "fpga":  # its own scales, a window of d_conv inputs, a head of its own; activations on chip
        taps = {op.name: op.dims["d_conv"] / (op.dims["d_conv"] - 1) for op in graph.ops if op.kind == "conv1d"}
        elements = sum(op.state_elements * taps.get(op.name, 1) for op in graph.ops)
        bits = FORMATS[found.formats["used"]["state"]].bits
        assert elements * bits / 8 <= memory["state"] <= 1.1 * elements * bits / 8
        streamed = sum(op.parameters for op in graph.ops if op.kind != "embedding")
        assert memory["weights"] >= 0.9 * streamed * FORMATS[found.formats["used"]["weights"]].bits / 8
        assert memory["activations"] == 0
    elif name.startswith("8x"):
        assert weights / 8 <= memory["weights"] <= weights
        assert sum(held) / 8 <= memory["state"] <= sum(held)
    else:
        assert memory["weights"] == weights
        assert memory["state"] == sum(held)
        assert memory["activations"] > 0


@pytest.mark.parametrize(("name", "workload"), CASES)
def test_formats_are_said_of_every_role(name: str, workload: str) -> None:
    """Weights, activations and state, as asked and as used, each a format of the one table."""
    formats = answer(name, workload).formats
    for way in ("asked", "used"):
        assert set(formats[way]) >= {"weights", "activations", "state"}
        assert set(formats[way].values()) <= set(FORMATS)


@pytest.mark.parametrize(("name", "workload"), CASES)
def test_books_balance(name: str, workload: str) -> None:
    """Each column adds up to the column above it, whatever the family: time, cycles, energy, bytes, shares, rates."""
    found = answer(name, workload)
    steps = found.time_s / found.step_s
    near = lambda value: pytest.approx(value, rel=1e-9)  # noqa: E731
    assert found.step_s == near(found.step_cycles / found.clock_hz)
    assert found.cycles == round(found.time_s * found.clock_hz)
    assert sum(row.time_s for row in found.ops) == near(found.step_s)
    assert sum(row.cycles for row in found.ops) == near(found.step_cycles)
    assert sum(row.share for row in found.ops) == near(1.0)
    assert sum(row.cycles for row in found.passes) == found.step_cycles
    assert sum(found.energy_j_by.values()) == near(found.energy_j)
    dynamic = sum(row.energy_j for row in found.ops) * steps
    assert dynamic + machine(name).static_power_w() * found.time_s == near(found.energy_j)
    for level, count in found.bytes.items():
        assert sum(row.bytes_by.get(level, 0.0) for row in found.ops) * steps == near(count)
    slowest = min(found.roofs.bytes_per_s, key=lambda level: (found.roofs.bytes_per_s[level], level))
    assert set(found.bytes) <= set(found.roofs.bytes_per_s)
    assert all(row.bytes == row.bytes_by.get(slowest, 0.0) for row in found.ops)
    assert list(found.utilization) == [each.name for each in machine(name).resources]
    assert all(0 <= share <= 1 + 1e-9 for share in found.utilization.values())
    assert found.bound == max(found.utilization, key=lambda each: found.utilization[each])
    assert {row.bound for row in found.ops} <= {"memory", "compute", "hidden"}
    assert all(row.held_s <= found.step_s * (1 + 1e-9) and row.busy_s <= row.held_s for row in found.ops)
    rate = found.images_per_s if found.phase == "inference" else found.tokens_per_s
    per_j = found.images_per_j if found.phase == "inference" else found.tokens_per_j
    assert rate == near(found.batch / found.step_s)
    assert per_j == near(rate * found.time_s / found.energy_j)


@pytest.mark.parametrize(("name", "workload"), CASES)
def test_charts_and_bounds_are_one_definition(name: str, workload: str) -> None:
    """The roof that a chart draws over an operator is its operations over `Roofs.least_s` in the formats of its run."""
    found = answer(name, workload)
    rows = {row.name: row for row in found.ops}
    for level in found.roofs.bytes_per_s:
        drawn = roofline(found, level)
        for point in drawn.points:
            row = rows[point.name]
            name_used, _ = drawn.used_roof
            in_use = replace(found.roofs, macs_per_s={name_used: found.roofs.macs_per_s[name_used]})
            moved = {level: row.bytes_by.get(level, 0.0)}
            bound, least = (roofs.least_s(row.stored_macs, moved) for roofs in (in_use, found.roofs))
            assert drawn.attainable_ops_per_s(point) == pytest.approx(point.ops / max(bound.values()))
            assert row.held_s >= max(least.values()) * (1 - 1e-6)


@pytest.mark.parametrize("workload", ["gpt2", "vit-cifar-96", "resnet-18-cifar"])
@pytest.mark.parametrize("name", MAMBA_ONLY)
def test_what_has_no_unit_is_refused_by_name(name: str, workload: str) -> None:
    """The cases that the tables leave out are those that the machine refuses, with the op that lacks a unit."""
    found = simulate(find_workload(workload), machine(name), Question(**QUESTIONS[workload]))
    assert isinstance(found, Infeasible)
    assert "needed by" in found.reason


def test_rates_of_a_row_are_in_the_units_of_its_resource() -> None:
    """Every resource of every machine counts in one of the documented units, at a rate above nothing."""
    for name in MACHINES:
        for each in machine(name).resources:
            assert each.unit in ("bytes/s", "mac/s", "op/s", "elements/s", "share"), (name, each)
            assert each.rate > 0, (name, each)
