"""Latent attention: parameters by hand, both forms of it, what a step reads and what the cache keeps."""

from dataclasses import replace

import pytest

from hwsim.workload.builders import build
from hwsim.workload.catalog import find_workload
from hwsim.workload.model import Formats, Pass, TransformerModel
from hwsim.workload.summary import summary
from hwsim.workload.training import training_graphs

MODEL = TransformerModel(
    64, 2, 4, 4, 96, 96, kv_lora_rank=24, q_lora_rank=16, qk_nope_head_dim=12, qk_rope_head_dim=4, v_head_dim=10
)
DECODE, PROMPT = Pass("decode", 2, 1, 7), Pass("prefill", 2, 6)


def layer(model, pass_):
    """The ops of attention in a model's first layer, by name."""
    return {op.name: op for op in build(model, Formats(), pass_) if op.layer == 0 and op.block == "attention"}


@pytest.mark.parametrize("absorb", ["decode", "always", "never"])
@pytest.mark.parametrize("pass_", [DECODE, PROMPT], ids=str)
def test_parameters_are_those_of_the_products(absorb, pass_):
    """Down, norm and up for queries and for keys and values, and the product out: the same in every form."""
    down, up = 64 * 16 + 64 * (24 + 4), 16 * 4 * (12 + 4) + 24 * 4 * (12 + 10)
    norms = 64 + 16 + 24
    ops = layer(replace(MODEL, absorb=absorb), pass_).values()
    assert sum(op.parameters for op in ops) == norms + down + up + 4 * 10 * 64


def test_queries_may_come_from_the_stream():
    """Without a latent of their own (DeepSeek-V2-Lite) they are one product."""
    ops = layer(replace(MODEL, q_lora_rank=0), DECODE)
    assert ops["q_proj"].parameters == 64 * 4 * (12 + 4)
    assert not {"q_a_proj", "q_a_norm", "q_b_proj"} & set(ops)


def test_biases_stand_at_the_products_down():
    """The products up have none, as in the published code."""
    ops = layer(replace(MODEL, attention_bias=True), DECODE)
    assert {name for name, op in ops.items() if op.attributes.get("bias")} == {"q_a_proj", "kv_a_proj"}


@pytest.mark.parametrize(
    ("absorb", "pass_", "expanded"),
    [
        ("decode", DECODE, False),
        ("decode", PROMPT, True),
        ("decode", Pass("prefill", 2, 6, 3), False),
        ("always", PROMPT, False),
        ("never", DECODE, True),
    ],
)
def test_which_passes_expand(absorb, pass_, expanded):
    """Whole prompts give each head its keys and values, steps and parts of a prompt read latents, unless told."""
    ops = layer(replace(MODEL, absorb=absorb), pass_)
    assert ("kv_b_proj" in ops, "k_b_proj" in ops) == (expanded, not expanded)


def test_absorbed_attention_reads_latents_once():
    """One latent of 24 + 4 per position for all heads; products over 28 for scores and 24 for values."""
    core = layer(MODEL, DECODE)["attention"]
    assert core.macs == 2 * 4 * 8 * (28 + 24)
    assert core.bytes_by_role["cache"] == 2 * 2 * 8 * 28
    assert core.output.elements(core.dims) == 2 * 4 * 24


def test_expanded_attention_has_values_narrower_than_keys():
    """Keys of 12 + 4 and values of 10 for each head, which flow; the cache gets the latents."""
    ops = layer(MODEL, PROMPT)
    core, pairs = ops["attention"], 6 * 7 // 2
    assert core.macs == 2 * 4 * pairs * (16 + 10)
    assert core.bytes_by_role["cache"] == 0
    assert ops["cache_write"].bytes_by_role["cache"] == 2 * 2 * 6 * 28


def test_absorbing_moves_a_product_and_leaves_its_work_alone():
    """For one token each half of the product up is read once, whichever side it stands on."""
    ops = layer(MODEL, Pass("decode", 1, 1, 7))
    absorbed = ops["k_b_proj"].macs + ops["v_b_proj"].macs
    assert absorbed == layer(replace(MODEL, absorb="never"), Pass("decode", 1, 1, 7))["kv_b_proj"].macs == 24 * 4 * 22


def test_a_cache_of_latents_is_what_makes_long_contexts_fit():
    """DeepSeek-V3 keeps 576 elements per token and layer: 9.2 GB at 131,072 positions; expanded 71 times as much."""
    workload = find_workload("deepseek-v3")
    kept = summary(workload).cache_bytes_per_token
    assert kept == 61 * 576 * 2
    assert kept * 131_072 == pytest.approx(9.21e9, rel=1e-3)
    wide = replace(workload, model=replace(workload.model, absorb="never"))
    assert summary(wide).cache_bytes_per_token == 61 * 128 * (192 + 128) * 2


def test_a_token_of_deepseek_v3_reads_its_active_parameters():
    """37 B of 671 B are read for one token (arXiv 2412.19437), embedding aside."""
    workload = find_workload("deepseek-v3")
    graph = build(workload.model, workload.formats, Pass("decode", 1, 1, 1023))
    read = sum(operand.elements(op.dims) for op in graph for operand in op.operands if operand.role == "weight")
    assert read + 129_280 * 7168 == pytest.approx(37e9, rel=0.02)
    assert graph.totals.bytes_by_role["cache"] == 61 * 576 * 2 * 1024


def test_sigmoid_routers_have_a_bias_per_expert():
    """What is trained of it is a number for each expert; the product is in the router's own format."""
    workload = find_workload("deepseek-v3")
    graph = build(workload.model, workload.formats, DECODE)
    assert graph.op("layers.3.router_sigmoid").parameters == 256
    a, b, _ = graph.op("layers.3.router").operands
    assert (a.format, b.format, graph.op("layers.3.gate_proj").operand("b").format) == ("bf16", "bf16", "fp8_block")


def test_training_expands_and_keeps_no_cache():
    """The backward of attention has three products as wide as keys and two as wide as values."""
    found = training_graphs(build(MODEL, Formats(), PROMPT))
    names = {op.name for op in (*found.forward, *found.backward)}
    assert not any("cache_write" in name for name in names)
    forward, backward = found.forward.op("layers.0.attention"), found.backward.op("layers.0.attention.grad")
    assert backward.macs * (16 + 10) == forward.macs * (3 * 16 + 2 * 10)
