"""Cards that divide a sequence: exchanges of states and keys, by gathering or in a ring, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu import GpuDevice
from hwsim.devices.gpu.cluster import collective_seconds
from hwsim.devices.gpu.collective import collective_time, link_between
from hwsim.devices.gpu.shard import Collective, Split, collectives_after, shard
from hwsim.errors import Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.published.model import find_paper
from hwsim.published.runner import predictors, run_paper
from hwsim.result import Result
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.model import Pass
from hwsim.workload.op import Op
from hwsim.workload.training import training_graphs

CARDS, TOKENS = 64, 2**21
STATES = 32 * 64 * 64 * 2
"""Bytes of a layer's states of one sequence in 16 bits: 32 heads of 64 x 64."""


def cluster() -> GpuDevice:
    """Sixty-four A100 of eight nodes."""
    device = find_device("64x-a100-sxm-80")
    assert isinstance(device, GpuDevice)
    return device


def layer(*changes: str) -> list[Op]:
    """Forward and backward of the second layer."""
    workload = find_workload("linear-llama3-1b", changes)
    graphs = training_graphs(build(workload.model, workload.formats, Pass("prefill", 1, TOKENS, 0, True)))
    return [op for graph in (graphs.forward, graphs.backward) for op in graph.ops if op.layer == 1]


def exchanges(split: Split, *changes: str) -> dict[str, Collective]:
    """The exchange of each op of the layer that has one."""
    found = {op.name: collectives_after(shard(op, split), split) for op in layer(*changes)}
    return {name: each[0] for name, each in found.items() if each}


SPLIT = Split(1, CARDS, 1, 1, False, True)


def test_states_are_gathered_once_each_way() -> None:
    """LASP-2: one gather of all states forward, one of their gradients backward, beside the work within chunks."""
    gather = Collective("all_gather", STATES * CARDS, CARDS, 0.5)
    assert exchanges(SPLIT) == {"scan": gather, "scan.grad_in": gather}


def test_a_ring_of_states_waits_for_every_card() -> None:
    """LASP: a message of one state for each card but the last, each after a pass over its own keys and values."""
    own = 2 * TOKENS // CARDS * 2048 * 2
    chain = Collective("chain", STATES, CARDS, reads=own)
    assert exchanges(replace(SPLIT, states="ring")) == {"scan": chain, "scan.grad_in": chain}
    p = cluster().parameters
    link = link_between(p, CARDS)
    assert not isinstance(link, Infeasible)
    message = collective_time(link, "send_recv", STATES, 2).time_s
    assert collective_seconds(p, chain) >= 63 * (message + own / p.memory.bandwidth.value)
    assert collective_seconds(p, chain) < 63 * (message + own / p.memory.bandwidth.value / 0.7)


def test_ring_attention_hides_messages_behind_blocks() -> None:
    """A round costs what a message of keys and values outlasts a block's products; the backward sends gradients too."""
    found = exchanges(replace(SPLIT, keys="ring"), "model.pattern=[attention]")
    keys = 2 * TOKENS // CARDS * 2048 * 2
    assert found == {
        "attention": Collective("ring", keys, CARDS),
        "attention.grad": Collective("ring", 2 * keys, CARDS),
    }
    gathered = exchanges(SPLIT, "model.pattern=[attention]")
    assert [each.bytes for each in gathered.values()] == [keys * CARDS, 2 * keys * CARDS]
    p = cluster().parameters
    ring = found["attention"]
    assert collective_seconds(p, ring, 1e3) == 0.0
    alone = collective_seconds(p, ring)
    assert collective_seconds(p, ring, 0.5 * alone) == pytest.approx(alone - 63 / 64 * 0.5 * alone)


def test_what_runs_beside_an_op_is_not_waited_for() -> None:
    """A gather is shorter by half of the scan that it runs beside, and never less than nothing."""
    p, gather = cluster().parameters, Collective("all_gather", STATES * CARDS, CARDS, 0.5)
    whole = collective_seconds(p, gather)
    assert collective_seconds(p, gather, whole) == pytest.approx(0.5 * whole)
    assert collective_seconds(p, gather, 3 * whole) == 0.0


def step(overrides: str, *changes: str, context: int = TOKENS) -> Result:
    """A step of Linear-Llama3-1B with its sequence divided among all cards."""
    device = find_device("64x-a100-sxm-80", ("cluster.tensor=1", "cluster.sequence=64", *overrides.split()))
    answer = simulate(find_workload("linear-llama3-1b", changes), device, Question("train", 1, context))
    assert isinstance(answer, Result)
    return answer


def test_a_divided_step_does_its_arithmetic_once() -> None:
    """Embedding and head are divided with the rest; no faster than all cards' roofline; the ring is slower."""
    gathered, ring = step(""), step("cluster.states=ring")
    assert gathered.macs / gathered.roofs.macs_per_s["bf16"] <= gathered.step_s < ring.step_s
    assert gathered.memory_bytes["activations"] == pytest.approx(4 * 128256 * TOKENS / CARDS, rel=0.05)
    rows = {row.name: row for row in gathered.ops}
    assert rows["lm_head"].time_s < 0.15 * gathered.step_s
    exchanged = {name for name, row in rows.items() if row.resource == "link"}
    assert exchanged <= {"scan", "scan.grad_in", "lm_head.grad_w", "embedding.grad"}


def test_exchanges_of_states_do_not_grow_with_the_sequence() -> None:
    """The wait of LASP-2 is hidden by long sequences; that of the chain has a floor of 63 messages a layer."""
    short, long = (step("cluster.states=ring", context=tokens) for tokens in (2**17, 2**19))
    waits = [sum(row.time_s for row in each.ops if row.name.startswith("scan")) for each in (short, long)]
    assert 63 * 16 * 3 * 20e-6 < waits[0] < waits[1] < 4 * waits[0]


def test_published_gains_fall_with_the_sequence() -> None:
    """LASP-2's rows: faster than a ring of states, more so at 2048K than at 512K; the third baseline stays open."""
    results = {each.row.id: each for each in run_paper(find_paper("lasp-2"), predictors())}
    long, short = (results[f"over-lasp-{name}"].prediction.value for name in ("2048k", "512k"))
    assert long is not None
    assert short is not None
    assert 1 < short < long
    assert [each.verdict for each in results.values()] == ["trend", "trend", "inputs not published"]
