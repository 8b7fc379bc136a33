"""Decoder transformers: GPT-2, Llama, Mistral, Qwen, and Mixtral's mixture of experts."""

from __future__ import annotations

from hwsim.workload.builders.body import STREAM, Body, Ends, language_model
from hwsim.workload.builders.layers import (
    AttentionShape,
    MlpShape,
    MoeShape,
    add_attention,
    add_mlp,
    add_moe,
)
from hwsim.workload.graph import Graph
from hwsim.workload.model import Formats, Pass, TransformerModel

__all__ = ["build"]


def build(model: TransformerModel, formats: Formats, pass_: Pass) -> Graph:
    """The graph of one pass. Without ``pass_.lm_head`` it is the layers alone."""
    body = Body()
    stream = add_attention(body, _attention_shape(model), formats, pass_, STREAM)
    if model.experts:
        moe = MoeShape(model.d_model, model.d_ff, model.experts, model.experts_per_token, model.norm, model.activation)
        add_moe(body, moe, formats, pass_, stream)
    else:
        gated = model.mlp == "gated"
        mlp = MlpShape(model.d_model, model.d_ff, model.norm, gated, model.activation, model.mlp_bias)
        add_mlp(body, mlp, formats, pass_, stream)
    ends = Ends(model.d_model, model.vocab, model.tied_head, model.norm, model.max_positions)
    return language_model(Graph(model.family), [body] * model.layers, ends, formats, pass_)


def _attention_shape(model: TransformerModel) -> AttentionShape:
    return AttentionShape(
        model.d_model,
        model.heads,
        model.kv_heads,
        model.width_per_head,
        model.norm,
        model.position == "rope",
        model.attention_bias,
        model.output_bias,
        model.fused_qkv,
        model.qk_norm,
        model.window,
    )
