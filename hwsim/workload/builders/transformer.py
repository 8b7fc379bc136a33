"""Decoder transformers: GPT-2, Llama, Mistral, Qwen, Gemma; mixtures of experts: Mixtral, DeepSeek, gpt-oss."""

from __future__ import annotations

from functools import cache

from hwsim.workload.builders.body import STREAM, Body, Ends, language_model
from hwsim.workload.builders.latent import LatentShape, add_latent
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

    @cache
    def body_of(window: int, experts: bool) -> Body:
        body = Body()
        if model.kv_lora_rank:
            stream = add_latent(body, _latent_shape(model), formats, pass_, STREAM)
        else:
            stream = add_attention(body, _attention_shape(model, window), formats, pass_, STREAM)
        if experts:
            add_moe(body, _moe_shape(model), formats, pass_, stream)
        else:
            add_mlp(body, _mlp_shape(model), formats, pass_, stream)
        return body

    bodies = [
        body_of(model.window_of(layer), model.experts > 0 and layer >= model.dense_layers)
        for layer in range(model.layers)
    ]
    ends = Ends(model.d_model, model.vocab, model.tied_head, model.norm, model.max_positions)
    return language_model(Graph(model.family), bodies, ends, formats, pass_)


def _attention_shape(model: TransformerModel, window: int) -> AttentionShape:
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
        window,
        post_norm=model.post_norm,
        sinks=model.sinks,
    )


def _latent_shape(model: TransformerModel) -> LatentShape:
    return LatentShape(
        model.d_model,
        model.heads,
        model.kv_lora_rank,
        model.q_lora_rank,
        model.qk_nope_head_dim,
        model.qk_rope_head_dim,
        model.v_head_dim,
        model.norm,
        model.attention_bias,
        model.output_bias,
        model.absorb,
    )


def _mlp_shape(model: TransformerModel) -> MlpShape:
    return MlpShape(
        model.d_model,
        model.dense_d_ff or model.d_ff,
        model.norm,
        model.mlp == "gated",
        model.activation,
        model.mlp_bias,
        model.post_norm,
    )


def _moe_shape(model: TransformerModel) -> MoeShape:
    return MoeShape(
        model.d_model,
        model.d_ff,
        model.experts,
        model.experts_per_token,
        model.norm,
        model.activation,
        model.mlp_bias,
        model.post_norm,
        model.shared_d_ff,
        model.shared_gate,
        model.router,
    )
