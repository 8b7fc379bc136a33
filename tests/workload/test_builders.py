"""Builders against published totals, and the wiring of each family."""

from collections import Counter
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import PASSES, TINY

from hwsim.workload.builders import build
from hwsim.workload.builders.layers import experts_touched
from hwsim.workload.catalog import find_workload
from hwsim.workload.model import (
    Formats,
    Pass,
    TransformerModel,
)
from hwsim.workload.summary import summary

# Parameters, linear MACs per token in the layers, scan-state elements of all layers.
MAMBA = {
    "mamba2-130m": (128_989_632, 90_095_616, 4_718_592),
    "mamba2-370m": (368_346_624, 316_145_664, 12_582_912),
    "mamba2-780m": (780_161_280, 701_890_560, 18_874_368),
    "mamba2-1.3b": (1_343_757_312, 1_239_416_832, 25_165_824),
    "mamba2-2.7b": (2_702_599_680, 2_571_632_640, 41_943_040),
    "mamba-130m": (129_135_360, 89_653_248, 589_824),
    "mamba-370m": (371_516_416, 317_718_528, 1_572_864),
    "mamba-790m": (793_204_224, 712_507_392, 2_359_296),
    "mamba-1.4b": (1_372_178_432, 1_264_582_656, 3_145_728),
    "mamba-2.8b": (2_768_345_600, 2_631_925_760, 5_242_880),
}

# Published totals. Llama to DeepSeek-MoE and Falcon Mamba: element counts of the safetensors files on Hugging Face.
# GPT-2: the parameter count of the Hugging Face model. ViT: num_params of torchvision's weights.
# DeiT: timm's counts. Jamba: half of its bf16 safetensors' total_size, known from memory only.
PARAMETERS = {
    "gpt2": 124_439_808,
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "mistral-7b": 7_241_732_096,
    "qwen3-8b": 8_190_735_360,
    "mixtral-8x7b": 46_702_792_704,
    "gemma-2-9b": 9_241_705_984,
    "gpt-oss-20b": 20_914_757_184,
    "deepseek-moe-16b": 16_375_728_128,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v3": 671_026_419_200,
    "falcon-mamba-7b": 7_272_665_088,
    "qwen3-next-80b": 79_674_391_296,
    "jamba": 51_570_323_328,
    "vit-b-16": 86_567_656,
    "vit-l-16": 304_326_632,
    "deit-t": 5_717_416,
    "deit-s": 22_050_664,
    "deit-b": 86_567_656,
}


@pytest.mark.parametrize("name", MAMBA)
def test_mamba_checkpoints(name):
    """Parameters, linear MACs per token and state elements equal the published table to the unit."""
    found = summary(find_workload(name))
    assert (found.parameters, found.linear_macs_body, found.scan_state_elements) == MAMBA[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    """Parameter totals equal the published ones to the unit."""
    assert summary(find_workload(name)).parameters == PARAMETERS[name]


def test_head_macs_of_mamba():
    """The head is vocabulary x d_model: 43 % of the 130M's layers."""
    assert summary(find_workload("mamba2-2.7b")).head_macs == 128_737_280
    assert summary(find_workload("mamba2-130m")).head_macs == 38_621_184


def test_apriel_has_about_fifteen_billion():
    """The paper gives 15B; the shapes are partly assumed, so the total is held to 10 %."""
    assert summary(find_workload("apriel-h1")).parameters == pytest.approx(15e9, rel=0.10)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("pass_", PASSES, ids=str)
def test_every_activation_is_fed(name, pass_):
    """All activation and cache operands have a producer (token ids are no operand), and ids are unique."""
    graph = build(TINY[name], Formats(), pass_)
    for op in graph:
        expected = {operand.name for operand in op.operands[:-1] if operand.role in ("activation", "cache")}
        assert {edge.operand for edge in graph.edges_into(op.id)} == expected, op.id
    assert max(Counter(op.id for op in graph).values()) == 1


@pytest.mark.parametrize("name", TINY)
def test_every_output_is_used(name):
    """Nothing is computed for nothing: all ops but the head feed another."""
    graph = build(TINY[name], Formats(), PASSES[0])
    assert [op.id for op in graph if not graph.successors(op.id)] == ["lm_head"]


@pytest.mark.parametrize("name", TINY)
def test_parameters_do_not_depend_on_the_pass(name):
    """A model has the parameters it has, whatever runs."""
    assert len({build(TINY[name], Formats(), each).totals.parameters for each in PASSES}) == 1


@pytest.mark.parametrize("name", TINY)
def test_linear_macs_grow_with_tokens(name):
    """In the layers, matrix-product MACs are proportional to the tokens."""
    one, many = (build(TINY[name], Formats(), Pass("decode", 1, tokens, 4)) for tokens in (1, 6))
    macs = [sum(op.macs for op in graph if op.kind == "gemm") for graph in (one, many)]
    assert macs[1] == 6 * macs[0]


def test_mamba2_layer():
    """Names, order and column slices of a Mamba-2 layer: [z, x, B, C, dt] with the convolution over x, B, C."""
    graph = build(TINY["mamba2"], Formats(), PASSES[0])
    names = [op.name for op in graph if op.layer == 0]
    assert names == ["norm", "in_proj", "conv1d", "dt_softplus", "scan", "gated_norm", "out_proj", "residual"]
    inner, shared, heads = 128, 2 * 16, 8
    slices = {
        (edge.consumer.split(".")[-1], edge.operand): edge.columns
        for edge in graph.edges
        if "layers.0" in edge.consumer
    }
    assert slices["gated_norm", "z"] == (0, inner)
    assert slices["conv1d", "x"] == (inner, 2 * inner + 2 * shared)
    assert slices["dt_softplus", "x"] == (2 * inner + 2 * shared, 2 * inner + 2 * shared + heads)
    assert (slices["scan", "x"], slices["scan", "B"], slices["scan", "C"]) == (
        (0, inner),
        (inner, inner + shared),
        (inner + shared, inner + 2 * shared),
    )
    assert graph.op("layers.0.in_proj").dims["n"] == 2 * inner + 2 * shared + heads


def test_mamba1_layer():
    """Names and order of a Mamba-1 layer; dt, B and C come out of x_proj."""
    graph = build(TINY["mamba1"], Formats(), PASSES[0])
    names = [op.name for op in graph if op.layer == 1]
    assert names == [
        "norm", "in_proj", "conv1d", "x_proj", "dt_proj", "dt_softplus", "scan", "gate", "out_proj", "residual",
    ]  # fmt: skip
    assert [edge.columns for edge in graph.edges_into("layers.1.scan")] == [None, (4, 20), (20, 36), None]
    assert graph.edges_into("layers.1.dt_proj")[0].columns == (0, 4)


def test_outside_the_layers():
    """Embedding before, final norm and head behind; learned positions are added."""
    assert [op.name for op in build(TINY["mamba2"], Formats(), PASSES[0]) if op.layer is None] == [
        "embedding", "final_norm", "lm_head",
    ]  # fmt: skip
    assert [op.name for op in build(TINY["gpt"], Formats(), PASSES[0]) if op.layer is None] == [
        "embedding", "position_embedding", "position_add", "final_norm", "lm_head",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "activations", "taken"),
    [("bf16", "int8", "bf16"), ("fp16", "mxfp4", "fp16"), ("int8", "int8", "int8"), ("fp32", "bf16", "bf16")],
)
@pytest.mark.parametrize("name", ["gpt", "vit"])
def test_a_head_in_16_bits_takes_activations_in_16_bits(name, head, activations, taken):
    """Nothing is quantised before a head that was not; other heads take what flows."""
    formats = Formats(weights=activations, activations=activations, head=head, weight_group=32)
    if name == "vit":
        graph, product = build(find_workload("vit-b-16").model, formats, Pass("inference", 2)), "head"
    else:
        graph, product = build(TINY["gpt"], formats, Pass("prefill", 2, 6)), "lm_head"
    (gather,) = graph.predecessors(product)
    chain = [graph.op(each) for each in ("final_norm", gather, product)]
    assert [op.operands[0].format for op in chain] == [activations, taken, taken]
    assert chain[0].output.format == taken
    assert chain[2].operand("b").format == head


@pytest.mark.parametrize(
    ("formats", "flowing"),
    [
        (Formats(weights="fp8_e4m3", activations="fp8_e4m3"), "fp8_e4m3"),
        (Formats(weights="fp8_e4m3", activations="fp8_e4m3", quantize="dynamic"), "bf16"),
        (Formats(weights="int8", activations="int8", vectors="fp16", quantize="dynamic"), "fp16"),
        (Formats(weights="mxfp4", activations="mxfp4", vectors="fp32", head="bf16", quantize="dynamic"), "bf16"),
        (Formats(activations="fp32", quantize="dynamic"), "fp32"),
    ],
)
@pytest.mark.parametrize("name", ["transformer", "mamba2", "vit"])
def test_16_bits_flow_between_products_that_quantise_what_they_read(name, formats, flowing):
    """Norms, gates, attention, its cache and results of products are as wide; products alone are narrow."""
    model = find_workload("vit-b-16").model if name == "vit" else TINY[name]
    graph = build(model, formats, Pass("inference", 2) if name == "vit" else Pass("prefill", 2, 6))
    layers = [op for op in graph if op.layer == 0]
    products = [op for op in layers if op.kind == "gemm"]
    assert products
    assert {op.operand("a").format for op in products} == {formats.activations}
    assert {op.output.format for op in products} == {flowing}
    others = [op for op in layers if op.kind in ("norm", "elementwise", "attention", "conv1d")]
    assert {each.format for op in others for each in op.operands if each.role == "activation"} == {flowing}


def test_prefill_computes_the_last_logits_only():
    """The head of a prefill has one row per sequence; a verification has one per node."""
    assert build(TINY["mamba2"], Formats(), Pass("prefill", 2, 6)).op("lm_head").dims["m"] == 2
    assert build(TINY["mamba2"], Formats(), Pass("decode", 2, 6)).op("lm_head").dims["m"] == 12


def test_tied_head_owns_no_parameters():
    """A tied head reads the embedding's table and adds no parameters of its own."""
    head = build(TINY["gpt"], Formats(), PASSES[0]).op("lm_head")
    assert (head.parameters, head.weight_bytes) == (0, 0)
    assert head.bytes_by_role["weight"] == 2 * 64 * 96


def test_state_is_moved_once_whatever_the_tokens():
    """Thirteen nodes verified in one pass read and write the state once."""
    one, many = (build(TINY["mamba2"], Formats(), Pass("decode", 1, tokens)) for tokens in (1, 13))
    assert one.totals.bytes_by_role["state"] == many.totals.bytes_by_role["state"]


def test_cache_grows_with_the_context():
    """Bytes of keys and values: 2 x layers x kv_heads x head_dim x format, per position."""
    short, long = (build(TINY["transformer"], Formats(kv="fp8_e4m3"), Pass("decode", 1, 1, n)) for n in (10, 11))
    grown = long.totals.bytes_by_role["cache"] - short.totals.bytes_by_role["cache"]
    assert grown == 2 * 2 * 2 * 16
    window = TransformerModel(64, 2, 4, 2, 96, 96, window=8)
    short, long = (build(window, Formats(), Pass("decode", 1, 1, n)) for n in (10, 11))
    assert short.totals.bytes_by_role == long.totals.bytes_by_role


def test_formats_reach_their_operands():
    """Each role of Formats shows on the operands that it is for."""
    formats = Formats("int4", "fp16", "int8", "int6", "fp8_e5m2", "bf16", "fp8_e4m3", "nvfp4", "mxfp4", weight_group=32)
    graph = build(TINY["hybrid"], formats, PASSES[0])
    op = graph.op
    assert op("layers.0.in_proj").operand("b").format == "int4"
    assert op("layers.0.in_proj").operand("a").format == "fp16"
    assert op("layers.0.in_proj").attributes["group"] == 32
    assert op("layers.0.scan").operand("state").format == "int8"
    assert op("layers.0.conv1d").operand("w").format == op("layers.0.conv1d").operand("state").format == "int6"
    assert op("layers.1.attention").operand("k").format == "fp8_e5m2"
    assert op("layers.0.norm").operand("gain").format == "bf16"
    assert op("embedding").operand("table").format == "fp8_e4m3"
    assert op("lm_head").operand("b").format == "nvfp4"
    expert = op("layers.1.up_proj")
    assert (expert.operand("b").format, expert.attributes["group"]) == ("mxfp4", 0)
    assert op("layers.1.router").operand("b").format == "int4"
    assert Formats("int4", weight_group=32).of_experts == Formats("int4", weight_group=32)


def test_sparse_weights_are_the_layers():
    """Weight sparsity holds for the layers' products, not for embedding and head."""
    sparse, dense = (
        build(TINY["transformer"], Formats(weight_sparsity=part), PASSES[0]).totals_by_block() for part in (0.5, 0.0)
    )
    assert sparse["mlp"].bytes_by_role["weight"] < 0.51 * dense["mlp"].bytes_by_role["weight"]
    assert sparse["head"] == dense["head"]


def test_experts():
    """Products over tokens x experts_per_token rows; weights of the experts touched; all experts are parameters."""
    graph = build(TINY["moe"], Formats(), Pass("decode", 1, 3, 4))
    gate = graph.op("layers.0.gate_proj")
    assert (gate.dims["m"], gate.macs) == (6, 6 * 96 * 64)
    assert gate.parameters == 4 * 96 * 64
    assert gate.bytes_by_role["weight"] == 2 * experts_touched(4, 2, 3) * 96 * 64
    assert gate.weight_bytes == 2 * gate.parameters
    assert graph.op("layers.0.combine").other_ops == 2 * 2 * 3 * 64
    assert graph.op("layers.0.router_topk").other_ops == 3 * 2 * 4


def test_shared_experts():
    """Every token visits the shared expert, which the sum takes with its gate; experts and router have own biases."""
    graph = build(TINY["shared"], Formats(), Pass("decode", 1, 3, 4))
    assert {op.block for op in graph if op.layer == 0} == {"attention", "mlp"}
    assert graph.op("layers.0.up_proj").dims["n"] == 80
    op = {
        name: graph.op(f"layers.1.{name}") for name in ("shared_up_proj", "shared_gate", "combine", "up_proj", "router")
    }
    assert (op["shared_up_proj"].dims["m"], op["shared_up_proj"].dims["n"], op["shared_gate"].dims["n"]) == (3, 32, 1)
    assert op["combine"].other_ops == (2 * 2 + 2) * 3 * 64
    assert op["up_proj"].parameters == 4 * (96 * 64 + 96)
    assert op["up_proj"].bytes_by_role["weight"] == 2 * experts_touched(4, 2, 3) * (96 * 64 + 96)
    assert op["router"].parameters == 4 * 64 + 4


def test_windows_by_layer():
    """The pattern says which layers have the window: those see four positions, the others all."""
    graph = build(TINY["gemma"], Formats(), Pass("decode", 1, 1, 9))
    assert [graph.op(f"layers.{layer}.attention").dims["kv_len"] for layer in range(4)] == [4, 10, 4, 10]


def test_norms_behind_the_blocks():
    """What attention and MLP give is normed before it is added to the stream."""
    graph = build(TINY["gemma"], Formats(), PASSES[0])
    fed = {(edge.producer, edge.consumer) for edge in graph.edges}
    for last, block in (("o_proj", "attn"), ("down_proj", "mlp")):
        norm = f"layers.1.{block}_post_norm"
        assert {(f"layers.1.{last}", norm), (norm, f"layers.1.{block}_residual")} <= fed


def test_sinks_are_a_logit_per_head():
    """A parameter per head, and one more score per query without a product."""
    plain, sinks = (build(TINY[name], Formats(), PASSES[2]).op("layers.1.attention") for name in ("moe", "shared"))
    assert (plain.parameters, sinks.parameters) == (0, 4)
    assert sinks.macs == plain.macs
    assert sinks.other_ops - plain.other_ops == 5 * 2 * 4 * 6


def test_norms_by_ones_have_no_parameters():
    """Falcon Mamba's norms of dt, B and C read vectors of ones, which are no parameters; Jamba's are."""
    graph, jamba = build(TINY["falcon"], Formats(), PASSES[0]), build(TINY["hybrid"], Formats(), PASSES[0])
    norm, trained = graph.op("layers.0.B_norm"), jamba.op("layers.0.B_norm")
    assert (norm.parameters, trained.parameters) == (0, 16)
    assert norm.bytes_by_role == trained.bytes_by_role
    plain = build(TINY["mamba1"], Formats(), PASSES[0])
    assert graph.totals.parameters == plain.totals.parameters


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.data())
def test_experts_touched_is_the_expectation(experts, data):
    """The formula against the mean over every way in which tokens can choose."""
    per_token, tokens = data.draw(st.integers(1, experts)), data.draw(st.integers(1, 3))
    choices = list(combinations(range(experts), per_token))
    distinct = [len(set().union(*picks)) for picks in product(choices, repeat=tokens)]
    mean = sum(distinct) / len(distinct)
    assert abs(experts_touched(experts, per_token, tokens) - mean) <= 0.5 + 1e-9


def test_experts_touched_in_the_limits():
    """One token touches what it chooses; many touch all."""
    assert experts_touched(8, 2, 1) == 2
    assert experts_touched(16, 2, 1000) == 16


def test_head_of_images_has_no_scales_of_the_layers() -> None:
    """Groups of weights share scales where they are quantised; the head stays in its own format, without."""
    formats = Formats(weights="int4", activations="bf16", weight_group=128)
    ops = {op.name: op for op in build(find_workload("vit-b-16").model, formats, Pass("inference")).ops}
    assert ops["head"].attributes["group"] == 0
    assert ops["o_proj"].attributes["group"] == 128
    assert ops["head"].operand("b").format == "bf16"
