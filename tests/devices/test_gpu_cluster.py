"""Collectives and clusters: closed forms against a step-by-step count, parts of ops, memory by card, and the bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.devices.base import PassWork
from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.cluster import per_card, plan_of
from hwsim.devices.gpu.collective import collective_time, link_between
from hwsim.devices.gpu.shard import Split, collectives_after, shard
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.builders.layers import experts_touched
from hwsim.workload.kernel import build_kernel
from hwsim.workload.model import Pass

LINK = find_device("a100-sxm-80").parameters.link
OPS = ("all_reduce", "all_gather", "reduce_scatter")
LLAMA = find_workload("llama-3-8b")


def sent_by_a_ring(op: str, total: int, gpus: int) -> int:
    """Bytes that one card sends, counted chunk by chunk."""
    chunk, sent = total // gpus, 0
    for _ in range(2 if op == "all_reduce" else 1):
        for _ in range(gpus - 1):
            sent += chunk
    return sent


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("gpus", [2, 3, 8, 64])
def test_a_ring_sends_what_its_steps_send(op: str, gpus: int) -> None:
    """The bandwidth term of a large collective is a ring's, chunk by chunk."""
    total = gpus * 2**28
    found = collective_time(LINK, op, total, gpus)
    assert found.sent_bytes == sent_by_a_ring(op, total, gpus)
    assert found.algorithm == "ring"


def test_a_tree_is_taken_for_small_messages_among_many() -> None:
    """Few bytes among 64 cards: 12 steps of a tree beat 126 of a ring."""
    found = collective_time(LINK, "all_reduce", 1024, 64)
    assert found.algorithm == "tree"
    assert found.latency_s == pytest.approx(LINK.floor.value + 12 * LINK.latency.value)


@given(
    op=st.sampled_from((*OPS, "send_recv")),
    size=st.integers(1, 10**9),
    gpus=st.integers(2, 64),
    faster=st.floats(1.0, 8.0),
)
def test_collectives_stay_above_the_link_and_gain_by_bandwidth(op: str, size: int, gpus: int, faster: float) -> None:
    """Time is at least the bytes over the nominal bandwidth, grows with bytes, and shrinks with bandwidth."""
    gpus = 2 if op == "send_recv" else gpus
    found = collective_time(LINK, op, size, gpus)
    assert found.time_s >= found.sent_bytes / LINK.bandwidth.value
    assert collective_time(LINK, op, 2.0 * size, gpus).time_s >= found.time_s
    wide = replace(LINK, bandwidth=replace(LINK.bandwidth, value=LINK.bandwidth.value * faster))
    assert collective_time(wide, op, size, gpus).time_s <= found.time_s


@pytest.mark.parametrize(
    ("op", "gpus", "bytes_", "measured_us"),
    [
        ("all_reduce", 8, 34865152, 417),
        ("all_reduce", 4, 31457280, 307),
        ("all_reduce", 2, 15826944, 135),
        ("all_reduce", 8, 26624, 31),
        ("all_reduce", 8, 75776, 35),
        ("all_reduce", 4, 26624, 21),
        ("send_recv", 2, 23855104, 90),
    ],
)
def test_measured_rows_of_a_node_of_a100(op: str, gpus: int, bytes_: int, measured_us: float) -> None:
    """Rows of Vidur's profiles (microsoft/vidur at 7d47513, MIT), within 15 percent."""
    assert collective_time(LINK, op, bytes_, gpus).time_s * 1e6 == pytest.approx(measured_us, rel=0.15)


def test_the_kernel_names_its_limit_and_refuses_what_makes_no_sense() -> None:
    """Latency for small, link for large; one card, three ends of a message and unknown links are refused."""
    device = find_device("8x-h100-sxm")
    small, large = (
        kernel(build_kernel("collective", {"op": "all_reduce", "bytes": n, "gpus": 8}), device) for n in (1e4, 1e9)
    )
    assert not isinstance(small, Infeasible)
    assert not isinstance(large, Infeasible)
    assert (small.bound, large.bound) == ("latency", "link")
    with pytest.raises(HwsimError, match=r"gpus=1; expected 2 or more"):
        build_kernel("collective", {"op": "all_reduce", "bytes": 8, "gpus": 1})
    with pytest.raises(HwsimError, match="one card to another"):
        build_kernel("collective", {"op": "send_recv", "bytes": 8, "gpus": 3})
    refused = kernel(
        build_kernel("collective", {"op": "all_gather", "bytes": 8, "gpus": 2, "link": "infiniband"}), device
    )
    assert isinstance(refused, Infeasible)
    assert refused.levers == ("link=nvlink",)


def test_nodes_are_joined_by_the_network() -> None:
    """Eight cards of a node use their own link, sixteen the network."""
    p = find_device("64x-a100-sxm-80").parameters
    inner, outer = link_between(p, 8), link_between(p, 16)
    assert not isinstance(inner, Infeasible)
    assert not isinstance(outer, Infeasible)
    assert (inner.name, outer.name) == ("nvlink", "infiniband")


# --- parts of ops ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "name", ["llama-3-8b", "mamba2-2.7b", "mamba-2.8b", "deepseek-moe-16b", "qwen3-next-80b", "deepseek-v3"]
)
def test_parts_of_a_layer_add_up_to_it(name: str, tensor: int) -> None:
    """Tensor parallel: the products' parts hold the layer's multiply-accumulates, and two blocks close with a sum."""
    workload = find_workload(name)
    graph = build(workload.model, workload.formats, Pass("prefill", 4, 512, 0, True))
    split = Split(tensor, 1, 4, 4, False)
    on_every_card = ("router", "shared_gate", "q_a_proj", "kv_a_proj")
    layer = [op for op in graph.ops if op.layer == 1 and op.name not in on_every_card]
    whole = sum(op.macs for op in layer if op.kind == "gemm")
    parts = sum(shard(op, split).macs for op in layer if op.kind == "gemm")
    assert whole <= parts * tensor <= 1.02 * whole
    sums = [each for op in layer for each in collectives_after(shard(op, split), split)]
    blocks = {"mamba2-2.7b": 1}.get(name, 2)  # Mamba-1 also sums x_proj
    assert len(sums) == (blocks if tensor > 1 else 0)
    assert all(each.op == "all_reduce" for each in sums)


@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_latents_are_whole_on_every_card(phase: str) -> None:
    """Tensor parallel divides heads; the latent that serves all of them, and its cache, no card can do without."""
    workload = find_workload("deepseek-v3")
    graph = build(workload.model, workload.formats, Pass(phase, 4, 1 if phase == "decode" else 64, 0, True))
    parts = {op.name: (op, shard(op, Split(8, 1, 4, 4, phase == "decode"))) for op in graph.ops if op.layer == 5}
    whole, part = parts["attention"]
    heads = whole.dims["kv_heads"] * whole.dims["group"]
    assert part.dims["kv_heads"] * part.dims["group"] == heads // 8
    holds = "attention" if phase == "decode" else "cache_write"
    assert parts[holds][0].bytes_by_role["cache"] == parts[holds][1].bytes_by_role["cache"] > 0
    turned = parts["rope"][1]
    assert turned.dims["width"] == 128 // 8 * 64 + 64
    assert sum(each.elements(turned.dims) for each in turned.operands[:2]) == turned.output.elements(turned.dims)


@pytest.mark.parametrize(("local", "sequence"), [(64, 1), (8, 1), (64, 8), (1, 1)])
def test_a_card_reads_the_experts_that_its_own_tokens_visit(local: int, sequence: int) -> None:
    """Fewer sequences of a replica, or tokens of a prompt's part, visit fewer experts; what is held does not change."""
    workload = find_workload("deepseek-moe-16b")
    graph = build(workload.model, workload.formats, Pass("prefill", 64, 8))
    op = graph.op("layers.1.up_proj")
    part = shard(op, Split(1, sequence, 64, local, False))
    assert op.dims["expert"] == 64
    assert part.dims["expert"] == experts_touched(64, 6, local * 8 // sequence)
    assert part.weight_bytes == op.weight_bytes


def test_what_experts_give_is_summed_once() -> None:
    """Cards add up a row per token behind the weighted sum, not one for each expert that a token visits."""
    workload = find_workload("deepseek-moe-16b")
    graph = build(workload.model, workload.formats, Pass("decode", 4, 1, 100, True))
    split = Split(8, 1, 4, 4, True)
    sums = {op.name: collectives_after(shard(op, split), split) for op in graph.ops if op.layer == 1}
    assert {name: each[0].bytes for name, each in sums.items() if each} == {
        "o_proj": 4 * 2048 * 2,
        "combine": 4 * 2048 * 2,
    }


@given(cards=st.integers(1, 64), q=st.integers(64, 4096), context=st.integers(0, 4096))
def test_causal_parts_of_a_prompt_are_equal(cards: int, q: int, context: int) -> None:
    """Sequence parallel: the parts of causal attention hold all pairs, and few more."""
    op = build_kernel(
        "attention",
        {"phase": "prefill", "batch": 1, "heads": 8, "kv_heads": 8, "q_len": q, "kv_len": q + context, "head_dim": 64},
    )
    part = shard(op, Split(1, cards, 1, 1, False))
    assert part.macs * cards >= op.macs
    assert part.macs * cards <= op.macs * (1 + 2 * cards / q) + 1e9 * (cards > q)


# --- whole models ----------------------------------------------------------------------------------------------------


def run(device: str, *overrides: str, batch: int = 16, context: int = 2048, phase: str = "decode"):
    """Llama-3-8B on a cluster."""
    question = Question(phase=phase, batch=batch, context=context)  # type: ignore[arg-type]
    answer = simulate(LLAMA, find_device(device, overrides), question)
    assert not isinstance(answer, Infeasible)
    return answer


@pytest.mark.parametrize(
    "degrees",
    [
        {"tensor": 8},
        {"tensor": 1, "pipeline": 8},
        {"tensor": 1, "sequence": 8},
        {"tensor": 1},
        {"tensor": 2, "pipeline": 2, "sequence": 2},
        {"tensor": 2, "data": 4},
    ],
)
@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_bounds_hold_on_clusters(degrees: dict[str, int], phase: str) -> None:
    """Time is at least the arithmetic over all tensor cores and the bytes over all memories, however it is divided."""
    overrides = tuple(f"cluster.{name}={count}" for name, count in degrees.items())
    answer = run("8x-h100-sxm", *overrides, phase=phase)
    roofs = answer.roofs
    assert answer.step_s >= answer.macs / (answer.time_s / answer.step_s) / roofs.macs_per_s["bf16"]
    assert answer.time_s >= answer.bytes["dram"] / roofs.bytes_per_s["dram"]
    faster = run("8x-h100-sxm", *overrides, "memory.bandwidth='6.7 TB/s'", "link.bandwidth='900 GB/s'", phase=phase)
    assert faster.time_s <= answer.time_s


def test_tensor_parallel_divides_weights_and_cache() -> None:
    """Eight cards hold an eighth each (the embedding and norms aside), and a step is faster than on one."""
    one, eight = run("h100-sxm"), run("8x-h100-sxm")
    assert eight.memory_bytes["state"] == pytest.approx(one.memory_bytes["state"] / 8)
    assert one.memory_bytes["weights"] / 8 <= eight.memory_bytes["weights"] <= one.memory_bytes["weights"] / 7.9
    assert one.step_s / 8 < eight.step_s < one.step_s
    assert eight.utilization["link"] > 0


def test_data_parallel_serves_more_sequences_in_the_time_of_one_card() -> None:
    """Eight replicas of two sequences each take the step of two sequences on one card."""
    answer = run("8x-h100-sxm", "cluster.tensor=1")
    assert answer.step_s == pytest.approx(run("h100-sxm", batch=2).step_s)
    assert answer.memory_bytes["weights"] == run("h100-sxm").memory_bytes["weights"]


def test_a_pipeline_needs_less_memory_a_card_and_no_less_time() -> None:
    """Stages hold an eighth of the layers; one sequence passes through all of them, with messages between."""
    one, staged = run("h100-sxm", batch=1), run("8x-h100-sxm", "cluster.tensor=1", "cluster.pipeline=8", batch=1)
    assert staged.memory_bytes["weights"] < 0.25 * one.memory_bytes["weights"]
    assert staged.step_s > one.step_s


def test_what_one_card_cannot_hold_a_cluster_can() -> None:
    """70 billion bf16 weights on one A100 are infeasible, on eight they are not."""
    workload = find_workload("llama-3-70b")
    assert isinstance(simulate(workload, find_device("a100-sxm-80")), Infeasible)
    assert not isinstance(simulate(workload, find_device("8x-a100-sxm-80")), Infeasible)


def test_degrees_that_do_not_multiply_to_the_cards_are_refused() -> None:
    """The fault names the degrees and the cards; nodes without a network are refused too."""
    with pytest.raises(HwsimError, match="degrees that multiply to the 8 cards"):
        find_device("8x-h100-sxm", ("cluster.tensor=3",))
    with pytest.raises(HwsimError, match="degrees that multiply to the 8 cards"):
        find_device("8x-h100-sxm", ("cluster.data=2",))
    with pytest.raises(HwsimError, match="a network between them"):
        find_device("8x-h100-sxm", ("cluster.cards_per_node=4",))


@pytest.mark.parametrize("settings", [(), ("cluster.tensor=2",), ("cluster.tensor=2", "cluster.pipeline=2")])
@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_memory_of_a_card_is_the_sum_over_its_ops(settings: tuple[str, ...], phase: str) -> None:
    """Layer by layer, each op's part looked at on its own."""
    device = find_device("4x-l4", settings)
    asked = Pass(phase, 8, 1 if phase == "decode" else 32, 16)
    graph = build(LLAMA.model, LLAMA.formats, asked)
    work = PassWork(phase, asked.tokens, asked.batch, asked.context)
    cluster = device.parameters.cluster
    plan = plan_of(cluster, work)
    own = -(-work.batch // plan.replicas)
    whole = Split(plan.split.tensor, plan.split.sequence, work.batch, own, plan.split.decode)
    share = -(-LLAMA.model.layers // plan.stages) / LLAMA.model.layers
    inner = [shard(op, whole) for op in graph.ops if op.layer is not None]
    ends: dict[str, float] = {}
    for op in graph.ops:
        if op.layer is None:
            ends[op.block] = ends.get(op.block, 0.0) + shard(op, whole).weight_bytes
    outer = sum(ends.values()) if plan.stages == 1 else max(ends.values())
    found = per_card(device.parameters, graph, work)
    assert found["weights"] == pytest.approx(share * sum(op.weight_bytes for op in inner) + outer, rel=1e-12)
    kept = sum(each.bytes(op.dims) for op in inner for each in op.operands if each.role == "cache")
    assert found["state"] == pytest.approx(share * kept, rel=1e-12)
    assert found["state"] > 0
