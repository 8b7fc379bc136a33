"""Hybrids: layers of attention, linear attention, Mamba and gated delta rules in a pattern (Jamba, Qwen3-Next)."""

from __future__ import annotations

from functools import cache

from hwsim.workload.builders.body import STREAM, Body, Ends, language_model
from hwsim.workload.builders.delta import DeltaShape, add_delta
from hwsim.workload.builders.layers import (
    AttentionShape,
    MlpShape,
    MoeShape,
    add_attention,
    add_mlp,
    add_moe,
)
from hwsim.workload.builders.linear import add_linear_attention
from hwsim.workload.builders.mamba import Mamba1Shape, Mamba2Shape, add_mamba1, add_mamba2
from hwsim.workload.graph import Graph
from hwsim.workload.model import Formats, HybridModel, Pass

__all__ = ["build"]


def build(model: HybridModel, formats: Formats, pass_: Pass) -> Graph:
    """The graph of one pass. Without ``pass_.lm_head`` it is the layers alone."""

    @cache
    def body_of(mixer: str, follower: str) -> Body:
        body = Body()
        stream = _add_mixer(body, mixer, model, formats, pass_)
        if follower == "mlp":
            mlp = MlpShape(model.d_model, model.d_ff, gated=model.mlp == "gated", activation=model.activation)
            add_mlp(body, mlp, formats, pass_, stream)
        elif follower == "moe":
            moe = MoeShape(
                model.d_model,
                model.d_ff,
                model.experts,
                model.experts_per_token,
                activation=model.activation,
                shared_d_ff=model.shared_d_ff,
                shared_gate=model.shared_gate,
            )
            add_moe(body, moe, formats, pass_, stream)
        return body

    bodies = [body_of(*model.layer(index)) for index in range(model.layers)]
    ends = Ends(model.d_model, model.vocab, model.tied_head)
    return language_model(Graph(model.family), bodies, ends, formats, pass_)


def _add_mixer(body: Body, mixer: str, model: HybridModel, formats: Formats, pass_: Pass) -> str:
    """Add a layer's mixer; returns the name of its last op."""
    if mixer == "attention":
        attention = AttentionShape(
            model.d_model,
            model.heads,
            model.kv_heads,
            model.width_per_head,
            rope=model.position == "rope",
            qk_norm=model.qk_norm,
            window=model.window,
            gate=model.attention_gate,
        )
        return add_attention(body, attention, formats, pass_, STREAM)
    if mixer == "linear":
        return add_linear_attention(body, (model.d_model, model.heads, model.width_per_head), formats, pass_, STREAM)
    if mixer == "gdn":
        delta = DeltaShape(
            model.d_model,
            model.key_heads,
            model.key_dim,
            model.value_heads,
            model.value_dim,
            model.d_conv,
            model.conv_bias,
        )
        return add_delta(body, delta, formats, pass_, STREAM)
    if mixer == "mamba1":
        rank = model.dt_rank or -(-model.d_model // 16)
        one = Mamba1Shape(
            model.d_model, model.channels, model.d_state, model.d_conv, rank, model.conv_bias, model.ssm_norms
        )
        return add_mamba1(body, one, formats, pass_, STREAM)
    two = Mamba2Shape(
        model.d_model,
        model.channels,
        model.d_state,
        model.d_conv,
        model.ssm_head_dim,
        model.ssm_groups,
        model.chunk,
        model.conv_bias,
        model.gated_norm,
    )
    return add_mamba2(body, two, formats, pass_, STREAM)
