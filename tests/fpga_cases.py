"""FPGA machines and small Mamba models for tests: shipped machines with other values, and random ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from hwsim.devices.base import PassWork
from hwsim.devices.catalog import find_device
from hwsim.devices.fpga import FpgaDevice
from hwsim.devices.fpga.body import layer_body
from hwsim.devices.fpga.layer import MambaLayer, layer_of
from hwsim.devices.fpga.load import loads_of
from hwsim.errors import Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.result import Result
from hwsim.schedule import Program
from hwsim.workload.builders import build
from hwsim.workload.catalog import find_workload
from hwsim.workload.decoding import TokenTree
from hwsim.workload.graph import Graph
from hwsim.workload.model import Mamba1Model, Mamba2Model, Pass, Workload

CLOCK_HZ, BEAT_BYTES, LAYERS = 400e6, 32, 64
"""The released design: 400 MHz, one port of 256 bits; Mamba-2 2.7B has 64 layers."""

IDEAL_MEMORY = {"memory.bandwidth": 1e15, "memory.ports": 64}
"""Memory and ports far faster than the units behind them."""
LARGE_CHIP = {"part.lut": 1e12, "part.dsp": 1e12, "part.bram": 1e12, "part.uram": 1e12, "memory.capacity": 1e15}
"""Nothing runs out."""
TARGET = "mamba2-2.7b"


@cache
def shipped(name: str) -> FpgaDevice:
    """A shipped machine, read once."""
    device = find_device(name)
    assert isinstance(device, FpgaDevice)
    return device


def machine(name: str = "vck190", values: Mapping[str, float | str | bool] | None = None) -> FpgaDevice:
    """A shipped machine with other values at ``part.field`` paths."""
    parameters = shipped(name).parameters
    groups: dict[str, Any] = {}
    for path, value in (values or {}).items():
        group, _, field = path.rpartition(".")
        owner = groups.get(group, getattr(parameters, group)) if group else parameters
        old = getattr(owner, field or path)
        new = value if isinstance(old, str | bool) else replace(old, value=value)
        groups |= {group: replace(owner, **{field: new})} if group else {field: new}
    parameters = replace(parameters, **groups)
    return FpgaDevice(parameters)


def answer(workload: Workload | str, device: FpgaDevice, **asked: Any) -> Result:
    """What `simulate` says of a workload that the machine can run."""
    found = simulate(find_workload(workload) if isinstance(workload, str) else workload, device, Question(**asked))
    assert isinstance(found, Result), str(found)
    return found


def refusal(workload: Workload | str, device: FpgaDevice, **asked: Any) -> Infeasible:
    """What `simulate` says of a workload that the machine cannot run."""
    found = simulate(find_workload(workload) if isinstance(workload, str) else workload, device, Question(**asked))
    assert isinstance(found, Infeasible), found
    return found


def chain(nodes: int, target: str = "cache", draft: str = "cache") -> Workload:
    """The headline workload with a chain of ``nodes`` nodes, the root included."""
    tree = [f"decoding.tree.chain={nodes - 1}", f"decoding.acceptance.drafted={nodes - 1}"]
    policy = [f"decoding.policy.target={target}", f"decoding.policy.draft={draft}"]
    return find_workload("mamba", [*tree, *policy])


def cycles_of(found: Result, role: str) -> int:
    """Cycles of all passes of a role."""
    return sum(row.cycles for row in found.passes if row.role == role)


@cache
def graph_of(name: str, device: str = "vck190", tokens: int = 1, batch: int = 1, lm_head: bool = False) -> Graph:
    """The decode graph of a shipped workload in a machine's formats."""
    workload = find_workload(name)
    formats, _ = shipped(device).formats(workload.formats)
    return build(workload.model, formats, Pass("decode", batch, tokens, 0, lm_head))


def layer_named(name: str = TARGET) -> MambaLayer:
    """The layer of a shipped model."""
    (run,) = (run for run in graph_of(name).layer_runs() if run.ops[0].layer is not None)
    return layer_of(run.ops)


def layer_program(device: FpgaDevice, work: PassWork, name: str = TARGET, reps: int = 3) -> Program:
    """The repeated layer of a shipped model under a pass."""
    (load,) = loads_of(device.parameters, work)
    body = layer_body(device.parameters, layer_named(name), load)
    return Program(tuple(body.stages), tuple(body.edges), reps)


# -- random machines, models and passes --------------------------------------------------------------------


@st.composite
def machines(draw: st.DrawFn) -> dict[str, float | str | bool]:
    """Values of a machine that is never short of fabric."""
    cop = draw(st.sampled_from([1, 2, 3, 4, 8, 12, 16, 64]))
    tile = cop * draw(st.integers(1, 4)) if draw(st.booleans()) else draw(st.sampled_from(divisors(cop)))
    return {
        **LARGE_CHIP,
        "verifies_trees": True,
        "clock": draw(st.floats(5e7, 1e9)),
        "memory.bandwidth": draw(st.floats(1e8, 1e12)),
        "memory.efficiency": draw(st.sampled_from([1.0, 0.7, 0.35])),
        "memory.ports": draw(st.integers(1, 4)),
        "memory.port_bits": draw(st.sampled_from([8, 64, 256, 512])),
        "memory.burst_beats": draw(st.sampled_from([1, 7, 16, 64, 256])),
        "linear.tp": draw(st.integers(1, 16)),
        "linear.cip": draw(st.sampled_from([1, 3, 8, 32])),
        "linear.cop": cop,
        "scan.lanes": draw(st.integers(1, 128)),
        "scan.tile_channels": tile,
        "scan.ports": draw(st.sampled_from([1, 2])),
        "vector.lanes": draw(st.integers(1, 64)),
        "fifo.weight_beats": draw(st.sampled_from([1, 5, 64, 512, 4096])),
        "fifo.stream_tiles": draw(st.integers(1, 16)),
        "formats.weights": draw(st.sampled_from(["int4", "int8"])),
    }


def divisors(number: int) -> list[int]:
    """Divisors, ascending."""
    return [each for each in range(1, number + 1) if number % each == 0]


@st.composite
def models(draw: st.DrawFn) -> Mamba1Model | Mamba2Model:
    """Small Mamba models of both kinds."""
    d_model, layers = 8 * draw(st.integers(1, 24)), draw(st.integers(1, 4))
    d_state = draw(st.sampled_from([1, 4, 16, 48]))
    if draw(st.booleans()):
        return Mamba1Model(d_model, layers, vocab=97, d_state=d_state, expand=draw(st.integers(1, 2)))
    head_dim = draw(st.sampled_from([each for each in (1, 4, 8, 16, 24) if d_model % each == 0]))
    groups = draw(st.sampled_from([each for each in (1, 2, 3) if (d_model // head_dim) % each == 0]))
    return Mamba2Model(d_model, layers, vocab=97, d_state=d_state, expand=1, head_dim=head_dim, groups=groups)


@st.composite
def trees(draw: st.DrawFn, most: int = 12) -> TokenTree:
    """Token trees in breadth-first order, at least one drafted node."""
    parents: list[int] = []
    for node in range(1, draw(st.integers(2, most))):
        parents.append(draw(st.integers(parents[-1] if parents else 0, node - 1)))
    return TokenTree(tuple(parents))


@dataclass(frozen=True)
class Case:
    """One pass to run on many machines: the model, the pass, and the policy to plan states with."""

    model: Mamba1Model | Mamba2Model
    work: PassWork
    policy: str
    accepted: int
    lm_head: bool

    def on(self, device: FpgaDevice) -> tuple[Graph, PassWork]:
        """Graph and planned pass on a machine."""
        work = self.work
        workload = Workload("case", self.model)
        formats, _ = device.formats(workload.formats)
        phase = "prefill" if work.role == "prefill" else "decode"
        graph = build(self.model, formats, Pass(phase, work.batch, work.tokens, 0, self.lm_head))
        if work.tree is not None:
            (work,) = device.plan_state(graph, (work,), self.policy, self.accepted)
        return graph, work


@st.composite
def cases(draw: st.DrawFn, most_batch: int = 5) -> Case:
    """Decode, prefill, draft and verify passes of small models."""
    batch, tree = draw(st.integers(1, most_batch)), draw(trees())
    role = draw(st.sampled_from(["decode", "prefill", "draft", "verify", "verify"]))
    work = PassWork(role, 1, batch)
    if role == "prefill":
        work = PassWork(role, draw(st.integers(1, 40)), batch)
    elif role == "verify":
        work = PassWork(role, tree.nodes, batch, tree=tree)
    elif role == "draft":
        level = draw(st.integers(1, tree.depth))
        work = PassWork(role, len(tree.levels[level - 1]), batch, level=level, tree=tree)
    policy = draw(st.sampled_from(["cache", "replay", "rerun"]))
    return Case(draw(models()), work, policy, draw(st.integers(1, 6)), draw(st.booleans()))
