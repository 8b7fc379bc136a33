"""The simulator's `mamba-block-ideal` takes the RTL block's cycles, to the last one.

Three parties: the Verilog (held to `.cycles()` in test_mamba_block_rtl), the recurrences of `hwsim.timing.block` behind
`.cycles()`, and the engine, which is given the block's units, registers and orders as a program and nothing else.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtl_runner import Play
from rtl_runner import run as play

from hwsim.devices.base import PassWork, StatePlan
from hwsim.devices.catalog import find_device
from hwsim.devices.fpga.block import block_body
from hwsim.devices.fpga.layer import MambaLayer
from hwsim.devices.fpga.load import Load
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.pipeline.outcome import run_pass
from hwsim.schedule import Program, run
from hwsim.timing.block import block_cycles, replay_cycles
from hwsim.workload.builders import build
from hwsim.workload.decoding import TokenTree
from hwsim.workload.families import Mamba2Model
from hwsim.workload.model import Pass, Workload
from rtl.mamba_block import MambaBlock
from rtl.speculative import Speculative


def machine(block):
    """`mamba-block-ideal` with an RTL block's parameters."""
    values = {
        "linear.cip": block.lanes,
        "linear.cop": block.lanes,
        "linear.tp": block.nodes,
        "scan.tile_channels": block.lanes,
        "scan.lanes": block.lanes * block.rows,
        "scan.ports": block.ports,
        "vector.lanes": block.lanes,
        "order": "interleaved" if block.interleaved else "sequential",
    }
    return find_device("mamba-block-ideal", [f"{path}={value}" for path, value in values.items()])


def layer_of(block):
    return MambaLayer(
        mixer="mamba2",
        d_model=block.d_model,
        d_inner=block.d_inner,
        d_state=block.d_state,
        heads=block.heads,
        groups=1,
        conv_channels=block.d_inner + 2 * block.d_state,
        d_conv=4,
        dt_rank=0,
    )


def engine_cycles(block, steps=1, replayed=0):
    """What the engine makes of the block's layer body, ``steps`` times over."""
    load = Load(block.nodes, 1, StatePlan("replay", replayed_tokens=replayed), 1)
    body = block_body(machine(block).parameters, layer_of(block), load)
    return run(Program(tuple(body.stages), tuple(body.edges), steps, tuple(body.orders))).makespan_cycles


def workload_of(block, layers):
    """A small Mamba-2 of the block's widths, its head on the host."""
    model = Mamba2Model(
        d_model=block.d_model,
        layers=layers,
        vocab=64,
        d_state=block.d_state,
        expand=block.d_inner // block.d_model,
        head_dim=block.head_dim,
    )
    workload = Workload("small", model)
    return replace(workload, run=replace(workload.run, lm_head="host"))


BLOCKS = [
    MambaBlock(),
    MambaBlock(nodes=2, heads=4, head_dim=4, d_model=8, d_state=6),
    MambaBlock(lanes=4, nodes=1, d_model=32, heads=4, head_dim=8, d_state=8, rows=4),
    MambaBlock(nodes=4, d_model=4, d_state=16, ports=1),
    MambaBlock(nodes=2, d_model=8, heads=4, interleaved=0),
    MambaBlock(nodes=1, d_state=8, ports=1, interleaved=0),
]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_simulate_gives_the_blocks_cycles(block):
    """`simulate` of a small Mamba-2: layers times the block's cycles; a prompt of ``nodes`` tokens, or one token."""
    asked = Question(phase="prefill", context=block.nodes) if block.nodes > 1 else Question()
    found = simulate(workload_of(block, 3), machine(block), asked)
    assert not isinstance(found, Infeasible), str(found)
    assert found.step_cycles == 3 * block.cycles()
    assert found.bound != "memory"


WRITES_LAST = Speculative(lanes=2, d_model=2, heads=2, head_dim=2, d_state=64, nodes=4, ports=1)
"""A block whose last write pass outlasts its outputs."""


@pytest.mark.parametrize("accepted", [1, 2, 4])
@pytest.mark.parametrize(
    "block", [Speculative(), Speculative(d_state=16, ports=1), Speculative(interleaved=0)], ids=str
)
def test_a_verified_tree_takes_the_blocks_cycles(block, accepted):
    """Replay of the accepted path, then the tree: each layer takes what the speculative top takes for a step."""
    device, workload = machine(block), workload_of(block, 2)
    formats, _ = device.formats(workload.formats)
    graph = build(workload.model, formats, Pass("decode", 1, block.nodes, 0, False))
    work = PassWork("verify", block.nodes, tree=TokenTree((0, 0, 1)))
    (work,) = device.plan_state(graph, (work,), "auto", accepted)
    assert work.state.policy == "replay"
    assert device.fits(((graph, work),)) is None
    assert run_pass(device, graph, work).cycles == 2 * (
        block_cycles(block.shape) + replay_cycles(block.shape, accepted)
    )


def test_a_speculative_top_over_steps():
    """The Verilog's own total, replays between the steps, from the engine."""
    block = Speculative(nodes=5, fifo=2, d_state=6, ports=1)
    trees, paths = [(-1, 0, 1, 2, 3), (-1, 0, 0, 1, 1), (-1, -1, 0, 0, 1)], [(0, 1), (0, 2), (1, 4)]
    inputs = block.draw(np.random.default_rng(1), trees=trees, accepted=paths)
    assert block.cycles(inputs) == engine_cycles(block) + 2 * engine_cycles(block, replayed=2)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_engine_gives_the_blocks_cycles(data):
    """Any block, any number of steps and replayed tokens: the engine's integers are those of `.cycles()`."""
    lanes = data.draw(st.sampled_from([1, 2, 4, 8]))
    rows = data.draw(st.sampled_from([r for r in (1, 2, 4, 8) if r <= lanes]))
    few = st.integers(1, 5)
    block = Speculative(
        lanes=lanes,
        d_model=lanes * data.draw(few),
        heads=lanes * data.draw(st.integers(1, 3)),
        head_dim=lanes * data.draw(few),
        d_state=lanes * data.draw(st.integers(1, 8)),
        nodes=data.draw(st.integers(1, 14)),
        rows=rows,
        ports=data.draw(st.integers(1, 2)),
        interleaved=data.draw(st.integers(0, 1)),
    )
    steps, replayed = data.draw(st.integers(1, 3)), data.draw(st.integers(0, block.nodes))
    expected = block_cycles(block.shape) + (replay_cycles(block.shape, replayed) if replayed else 0)
    assert engine_cycles(block, steps, replayed) == steps * expected


def test_full_size():
    """Mamba2-130m on the shipped machine, whose parameters are a block of 8 lanes and 8 rows."""
    block = MambaBlock(lanes=8, rows=8, d_model=768, heads=24, head_dim=64, d_state=128, nodes=1)
    assert engine_cycles(block) == block.cycles()


def test_a_write_pass_that_outlasts_the_outputs():
    """The next step waits for it, in the Verilog as in the engine; the recurrences once left it out."""
    block = Speculative(lanes=2, d_model=2, heads=2, head_dim=2, d_state=64, nodes=1, ports=1)
    tail = block_cycles(block.shape) - block.cycles()
    assert tail > 0
    inputs = block.draw(np.random.default_rng(1), trees=[(-1,)] * 3, accepted=[(0,)] * 3)
    report = play(block, [Play(inputs, "none", 1)])
    assert not report.findings, report.findings
    assert report.cycles[0][1] == engine_cycles(block) + 2 * engine_cycles(block, replayed=1) - tail


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("memory.bandwidth=1e12", "expected .inf: a block has no memory port to wait for"),
        ("linear.cip=16", "expected linear.cop = 8: a block is as wide everywhere"),
        ("scan.lanes=24", "expected linear.cop = 8 times a divisor of it"),
        ("structure=dataflow", ""),
    ],
)
def test_faults_of_a_block_machine(setting, message):
    """What no RTL block has is refused at the door; the same values as a dataflow are not."""
    if not message:
        assert find_device("mamba-block-ideal", [setting]).parameters.structure == "dataflow"
        return
    with pytest.raises(HwsimError, match=message.replace(".", r"\.")):
        find_device("mamba-block-ideal", [setting])
    with pytest.raises(HwsimError, match="interleaved, or structure: block"):
        find_device("vck190", ["order=sequential"])


def refusal(block, model, work, policy=None, settings=()):
    device = find_device("mamba-block-ideal", list(settings)) if settings else machine(block)
    workload = replace(workload_of(block, 1), **({"model": model} if model else {}))
    formats, _ = device.formats(workload.formats)
    graph = build(workload.model, formats, Pass("decode", 1, work.tokens, 0, False))
    if policy:
        (work,) = device.plan_state(graph, (work,), policy, 1)
    return device.fits(((graph, work),))


def test_what_a_block_cannot_run_is_infeasible():
    """Too many nodes, copies of the state, widths that do not divide, another kind of layer."""
    tree = PassWork("verify", 4, tree=TokenTree((0, 0, 1)))
    bad = refusal(MambaBlock(), None, tree)
    assert (bad.resource, bad.demand, bad.bound) == ("token slots", 4, 1)
    bad = refusal(Speculative(), None, tree, "cache")
    assert (bad.resource, bad.terms) == ("state copies", {"cache": 4})
    bad = refusal(MambaBlock(), Mamba2Model(8, 1, 64, d_state=5, expand=1, head_dim=4), PassWork("decode", 1))
    assert (bad.resource, bad.terms) == ("layer shape", {"d_state = 5": 1})
    bad = refusal(MambaBlock(), Mamba2Model(8, 1, 64, d_state=4, expand=1, head_dim=4, groups=2), PassWork("decode", 1))
    assert bad.terms == {"groups = 2": 1}


def test_sequences_of_a_batch_take_turns():
    """One state memory: a batch of three takes three times as long."""
    block = MambaBlock(nodes=4)
    one, three = (simulate(workload_of(block, 2), machine(block), Question(batch=batch)) for batch in (1, 3))
    assert three.step_cycles == 3 * one.step_cycles
