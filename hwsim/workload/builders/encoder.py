"""Encoders of texts: BERT, RoBERTa, DistilBERT."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hwsim.workload.builders.body import STREAM, Body, gathered, linear, normed, positions, residual
from hwsim.workload.builders.layers import AttentionShape, MlpShape, add_attention, add_mlp
from hwsim.workload.counts import TANH_OPS
from hwsim.workload.encoder import EncoderModel
from hwsim.workload.graph import Graph
from hwsim.workload.model import Formats, Pass
from hwsim.workload.ops import elementwise, embedding

__all__ = ["build"]

_NORM: Final = "layernorm"


def build(model: EncoderModel, formats: Formats, pass_: Pass) -> Graph:
    """The graph of a pass over ``pass_.batch`` texts of ``pass_.tokens`` tokens; without ``pass_.lm_head`` no ends."""
    graph, layer = Graph(model.family), Body()
    shape = AttentionShape(
        model.d_model,
        model.heads,
        model.heads,
        model.d_model // model.heads,
        norm=_NORM,
        rope=False,
        qkv_bias=True,
        output_bias=True,
        causal=False,
        norm_last=True,
    )
    between = add_attention(layer, shape, formats, pass_, STREAM)
    mlp = MlpShape(model.d_model, model.d_ff, _NORM, False, model.activation, True, norm_last=True)
    add_mlp(layer, mlp, formats, pass_, between)
    stream = _embed(model, formats, pass_).stamp(graph, None, None) if pass_.lm_head else None
    for index in range(model.layers):
        stream = layer.stamp(graph, index, stream)
    if pass_.lm_head and model.pooler:
        _pool(model, formats, pass_).stamp(graph, None, stream)
    return graph


def _embed(model: EncoderModel, formats: Formats, pass_: Pass) -> Body:
    """Rows of tokens, positions and segments, added up and normed."""
    body, block, width = Body(), "embedding", model.d_model
    last = body.add(block, block, gathered(model.vocab, width, formats, pass_))
    tables = {"position": positions(model.max_positions, width, formats, pass_)}
    if model.token_types:
        tables["segment"] = gathered(model.token_types, width, formats, pass_)
    for name, table in tables.items():
        rows = body.add(f"{name}_embedding", block, table)
        last = body.add(f"{name}_add", block, residual(pass_.rows, width, formats), x=last, y=rows)
    body.add("embedding_norm", block, normed(_NORM, pass_.rows, width, formats), x=last)
    return body


def _pool(model: EncoderModel, formats: Formats, pass_: Pass) -> Body:
    """The first token's row of each text, a product and a tanh, and the head."""
    body, block, width, texts = Body(), "head", model.d_model, pass_.batch
    head = formats.of_head
    row = body.add("first_token", block, embedding(texts, width, pass_.rows, head.flowing, learned=False), table=STREAM)
    body.add("pooler", block, linear(texts, width, width, head, True), a=row)
    tanh = elementwise("map", texts, width, head.flowing)
    tanh = replace(tanh, attributes=tanh.attributes.replace(ops_per_element=TANH_OPS))
    last = body.add("pooler_act", block, tanh, x="pooler")
    if model.classes:
        body.add("classifier", block, linear(texts, model.classes, width, head, True, "fp32"), a=last)
    return body
