"""The builder of text encoders: order of a layer, counts against the published ones, ends, positions."""

import pytest

from hwsim.errors import HwsimError
from hwsim.spec import Refused
from hwsim.workload.builders import build
from hwsim.workload.catalog import find_workload
from hwsim.workload.model import EncoderModel, Formats, Pass
from hwsim.workload.summary import summary

SHAPE = {"d_model": 48, "layers": 2, "heads": 3, "d_ff": 96, "vocab": 100, "max_positions": 16}
LAYER = [
    "q_proj", "k_proj", "v_proj", "attention", "o_proj", "attn_residual", "attn_norm",
    "up_proj", "mlp_act", "down_proj", "mlp_residual", "mlp_norm",
]  # fmt: skip


def test_macs_of_bert_are_the_closed_form():
    """Per layer 12 d^2 for each token and 2 n d for each of n keys; the pooler once."""
    for name, d, layers in (("bert-base", 768, 12), ("bert-large", 1024, 24)):
        found = summary(find_workload(name))
        n = find_workload(name).run.context
        assert found.macs == layers * (12 * d * d * n + 2 * n * n * d) + d * d


def test_norms_stand_behind_the_residual_additions():
    """No norm before the first product of a block; attention sees all tokens and keeps no cache."""
    graph = build(EncoderModel(**SHAPE), Formats(), Pass("inference", 2, 8))
    assert [op.name for op in graph if op.layer == 1] == LAYER
    entering = {edge.consumer: edge.producer for edge in graph.edges if edge.operand == "a"}
    assert entering["layers.1.q_proj"] == "layers.0.mlp_norm"
    assert entering["layers.1.up_proj"] == "layers.1.attn_norm"
    attention = graph.op("layers.0.attention")
    assert (attention.attributes["phase"], attention.bytes_by_role["cache"]) == ("bidirectional", 0)
    assert attention.macs == 2 * 2 * 8 * 8 * 48


def test_ends_of_an_encoder():
    """Three tables added up and normed; the pooler and the head work on a row for each text."""
    full = build(EncoderModel(**SHAPE, classes=3), Formats(), Pass("inference", 2, 8))
    assert [op.name for op in full if op.layer is None] == [
        "embedding", "position_embedding", "position_add", "segment_embedding", "segment_add", "embedding_norm",
        "first_token", "pooler", "pooler_act", "classifier",
    ]  # fmt: skip
    assert (full.op("classifier").dims["m"], full.op("classifier").dims["n"]) == (2, 3)
    bare = build(EncoderModel(**SHAPE, token_types=0, pooler=False), Formats(), Pass("inference", 2, 8))
    assert full.totals.parameters - bare.totals.parameters == 2 * 48 + (48 * 48 + 48) + (48 * 3 + 3)
    layers = build(EncoderModel(**SHAPE), Formats(), Pass("inference", 2, 8, lm_head=False))
    assert all(op.layer is not None for op in layers)


def test_positions_end_with_their_table():
    """A text longer than the table of positions is refused, in an encoder as in GPT-2."""
    build(EncoderModel(**SHAPE), Formats(), Pass("inference", 1, 16))
    with pytest.raises(HwsimError, match="--context: 17 positions, 0 before those that run; expected at most 16"):
        build(EncoderModel(**SHAPE), Formats(), Pass("inference", 1, 17))
    gpt2 = find_workload("gpt2")
    build(gpt2.model, gpt2.formats, Pass("decode", 1, 1, 1023))
    with pytest.raises(HwsimError, match="1,025 positions, 1,024 before those that run; expected at most 1,024"):
        build(gpt2.model, gpt2.formats, Pass("decode", 1, 1, 1024))


def test_a_head_needs_a_pooler():
    """Classes stand behind the pooler."""
    with pytest.raises(Refused, match="without a pooler"):
        EncoderModel(**SHAPE, pooler=False, classes=2)
