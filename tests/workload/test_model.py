"""Model values: derived shapes, and what their files may not say."""

from typing import get_args

import pytest

from hwsim.errors import HwsimError
from hwsim.formats import FORMATS
from hwsim.spec import load, parse
from hwsim.workload.model import FormatName, Formats, HybridModel, Mamba1Model, Mamba2Model, Pass, VitModel, Workload

ATTENTION = "d_model: 64, layers: 4, heads: 4, kv_heads: 2, d_ff: 96, vocab: 128"
LATENT = "kv_lora_rank: 24, qk_nope_head_dim: 12, qk_rope_head_dim: 4, v_head_dim: 10"


def message(model, rest=""):
    """The message that a workload with this model gives."""
    with pytest.raises(HwsimError) as caught:
        load(parse(f"name: x\nmodel: {{{model}}}\n{rest}", "x.yaml"), Workload)
    return str(caught.value)


def test_format_names_are_the_table():
    """The names that the door checks are those of the one table of formats."""
    assert set(get_args(FormatName)) == set(FORMATS)


def test_derived_shapes():
    """d_inner, heads, dt_rank and tokens follow from what is given."""
    assert Mamba1Model(d_model=100, layers=1, vocab=8).rank == 7
    assert Mamba1Model(d_model=100, layers=1, vocab=8, dt_rank=9).rank == 9
    assert Mamba2Model(d_model=2560, layers=64, vocab=8).heads == 80
    assert VitModel(d_model=768, layers=12, heads=12, d_ff=3072).tokens == 197
    hybrid = HybridModel(64, 4, 4, 2, 96, 128, pattern=("attention", "mamba1"))
    assert hybrid.channels == 128
    assert [hybrid.layer(i)[0] for i in range(4)] == ["attention", "mamba1", "attention", "mamba1"]
    assert Pass("decode", 3, 4).rows == 12


def test_formats_fall_back():
    """A role that is not given takes the format of its elder."""
    formats = Formats(activations="fp16", vectors="fp32")
    assert (formats.conv_format, formats.kv_format, formats.embedding_format, formats.head_format) == (
        "fp32",
        "fp16",
        "fp32",
        "fp32",
    )
    assert Formats(embedding="int8").head_format == "int8"
    assert Formats(weights="int8").of_router.weights == "int8"
    assert Formats(weights="int8", router="bf16").of_router.weights == "bf16"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("family: mamba2, d_model: 60, layers: 1, vocab: 8", "a divisor of expand * d_model = 120"),
        ("family: mamba2, d_model: 64, layers: 1, vocab: 8, groups: 3", "a divisor of the number of heads = 2"),
        ("family: mamba1, d_model: 0, layers: 1, vocab: 8", "at least 1"),
        (f"family: transformer, {ATTENTION}, experts: 4", "1 to experts = 4"),
        (f"family: transformer, {ATTENTION}, experts_per_token: 2", "0 without experts"),
        (f"family: transformer, {ATTENTION}, position: learned", "the rows of the table with position: learned"),
        (f"family: transformer, {ATTENTION}, activation: relu", "silu or gelu in a gated MLP"),
        (f"family: hybrid, {ATTENTION}, pattern: [mamba2], activation: relu2", "silu or gelu in a gated MLP"),
        (f"family: hybrid, {ATTENTION}, pattern: [gdn]", "a number above 0 where pattern has gdn"),
        (
            f"family: hybrid, {ATTENTION}, pattern: [mamba2], key_dim: 8",
            "a number above 0 where pattern has gdn, else 0",
        ),
        (
            f"family: hybrid, {ATTENTION}, pattern: [gdn], key_heads: 3, key_dim: 8, value_heads: 4, value_dim: 8",
            "a divisor of value_heads = 4",
        ),
        (
            f"family: transformer, {ATTENTION}, mlp: plain, activation: relu, experts: 2, experts_per_token: 1",
            "as experts are",
        ),
        (f"family: transformer, {ATTENTION}, shared_d_ff: 8", "0 without experts"),
        (f"family: transformer, {ATTENTION}, shared_gate: true", "false where shared_d_ff = 0"),
        (f"family: transformer, {ATTENTION}, window_pattern: [full, window]", "left out where window = 0"),
        (f"family: transformer, {ATTENTION}, window: 8, window_pattern: [full, full, window]", "divides layers = 4"),
        (f"family: transformer, {ATTENTION}, dense_layers: 1, dense_d_ff: 8", "0 to layers = 4, with experts; else 0"),
        (
            f"family: transformer, {ATTENTION}, experts: 4, experts_per_token: 1, dense_layers: 1",
            "a width with dense_layers, else 0",
        ),
        (f"family: transformer, {ATTENTION}, router: sigmoid", "softmax without experts"),
        (f"family: transformer, {ATTENTION}, v_head_dim: 8", "0 without kv_lora_rank"),
        (f"family: transformer, {ATTENTION}, absorb: never", "left out without kv_lora_rank"),
        (f"family: transformer, {ATTENTION}, kv_lora_rank: 8", "a number above 0 with kv_lora_rank"),
        (f"family: transformer, {ATTENTION}, {LATENT}", "heads = 4 with kv_lora_rank: one latent serves all heads"),
        (f"family: transformer, {ATTENTION}, {LATENT}, window: 8", "left out with kv_lora_rank"),
        (
            f"family: transformer, {ATTENTION.replace('kv_heads: 2', 'kv_heads: 4')}, {LATENT}, position: none",
            "rope with kv_lora_rank",
        ),
        (
            "family: transformer, d_model: 64, layers: 4, heads: 4, kv_heads: 3, d_ff: 9, vocab: 8",
            "a divisor of heads = 4",
        ),
        (
            "family: transformer, d_model: 66, layers: 4, heads: 4, kv_heads: 2, d_ff: 9, vocab: 8",
            "a divisor of d_model",
        ),
        (f"family: hybrid, {ATTENTION}, pattern: [attention, mamba1, mamba1]", "a number that divides layers = 4"),
        (
            f"family: hybrid, {ATTENTION}, pattern: [attention], mlp_pattern: [moe]",
            "a number above 0 where mlp_pattern",
        ),
        (f"family: hybrid, {ATTENTION}, pattern: [mamba2], ssm_head_dim: 48", "a divisor of d_inner = 128"),
        (
            f"family: hybrid, {ATTENTION}, pattern: [mamba2], ssm_groups: 3",
            "a divisor of the number of Mamba heads = 2",
        ),
        ("family: vit, d_model: 64, layers: 1, heads: 3, d_ff: 9", "a divisor of d_model = 64"),
        ("family: vit, d_model: 64, layers: 1, heads: 4, d_ff: 9, patch: 15", "a divisor of image = 224"),
        ("family: mamba3, d_model: 64, layers: 1, vocab: 8", "did you mean 'mamba"),
    ],
)
def test_refusals(model, expected):
    """A shape that makes no sense is refused with its place and what would be right."""
    text = message(model)
    assert text.startswith("x.yaml:2:")
    assert expected in text


def test_a_vision_transformer_has_no_decode():
    """A ViT runs inference; its phase may not be decode."""
    text = message("family: vit, d_model: 64, layers: 1, heads: 4, d_ff: 9", "run: {phase: decode}\n")
    assert "x.yaml:3:14" in text
    assert "inference for a model of images" in text


def test_unknown_formats_suggest():
    """A number format that does not exist is refused at its place, with the nearest."""
    text = message("family: mamba2, d_model: 64, layers: 1, vocab: 8", "formats: {weights: int44}\n")
    assert "x.yaml:3:20" in text
    assert "did you mean 'int4'?" in text
