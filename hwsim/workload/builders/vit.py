"""Vision transformers with a class token: ViT (arXiv 2010.11929), DeiT (arXiv 2012.12877, no distillation token)."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.builders.body import STREAM, Body, final_norm, linear
from hwsim.workload.builders.layers import AttentionShape, MlpShape, add_attention, add_mlp
from hwsim.workload.graph import Graph
from hwsim.workload.model import Formats, Pass, VitModel
from hwsim.workload.named import Named
from hwsim.workload.op import Axis, Op, Operand
from hwsim.workload.ops import conv2d, embedding, with_bias

__all__ = ["build"]


def build(model: VitModel, formats: Formats, pass_: Pass) -> Graph:
    """The graph of one pass over ``pass_.batch`` images."""
    graph = Graph(model.family)
    images = replace(pass_, phase="inference", tokens=model.tokens, context=0)
    stream = _embed(model, formats, images).stamp(graph, None, None)
    layer = Body()
    shape = AttentionShape(
        model.d_model,
        model.heads,
        model.heads,
        model.d_model // model.heads,
        norm="layernorm",
        rope=False,
        qkv_bias=True,
        output_bias=True,
        fused_qkv=True,
        causal=False,
    )
    between = add_attention(layer, shape, formats, images, STREAM)
    add_mlp(layer, MlpShape(model.d_model, model.d_ff, "layernorm", False, "gelu", True), formats, images, between)
    for index in range(model.layers):
        stream = layer.stamp(graph, index, stream)
    _head(model, formats, images).stamp(graph, None, stream)
    return graph


def _embed(model: VitModel, formats: Formats, images: Pass) -> Body:
    """Patches by a convolution whose stride is its kernel, the class token in front, learned positions added."""
    body = Body()
    side = model.image // model.patch
    patches = conv2d(
        images.batch,
        model.d_model,
        model.channels,
        side,
        side,
        model.patch,
        model.patch,
        model.patch,
        dtype=formats.activations,
    )
    x, weight, out = patches.operands
    patches = replace(patches, operands=(x, replace(weight, format=formats.weights), out))
    body.add("patch_embed", "embedding", with_bias(patches, formats.vectors))
    body.add("class_token", "embedding", _class_token(model, formats, images), x="patch_embed")
    body.add("position_add", "embedding", _positions(model, formats, images), x="class_token")
    return body


def _axes(*names: str) -> tuple[Axis, ...]:
    return tuple(((name, 1),) for name in names)


def _class_token(model: VitModel, formats: Formats, images: Pass) -> Op:
    """A copy of the patches of each image behind the trained class token."""
    dims = Named({"batch": images.batch, "tokens": model.tokens, "width": model.d_model})
    axes = _axes("batch", "tokens", "width")
    operands = (
        Operand("x", "activation", axes, formats.flowing, halo=(0, 1, 0)),
        Operand("token", "weight", _axes("width"), formats.vectors),
        Operand("out", "output", axes, formats.flowing),
    )
    return Op("class_token", "elementwise", dims, operands, Named({"op": "copy"}))


def _positions(model: VitModel, formats: Formats, images: Pass) -> Op:
    """The addition of one trained vector per token of an image."""
    dims = Named({"batch": images.batch, "tokens": model.tokens, "width": model.d_model})
    axes = _axes("batch", "tokens", "width")
    operands = (
        Operand("x", "activation", axes, formats.flowing),
        Operand("positions", "weight", axes[1:], formats.vectors),
        Operand("out", "output", axes, formats.flowing),
    )
    return Op("position_add", "elementwise", dims, operands, Named({"op": "add"}))


def _head(model: VitModel, formats: Formats, images: Pass) -> Body:
    """Final norm, the class token's row of each image, and the linear head."""
    body = Body()
    head = formats.of_head
    body.add("final_norm", "head", final_norm("layernorm", images.rows, model.d_model, formats), x=STREAM)
    chosen = embedding(images.batch, model.d_model, images.rows, head.flowing, learned=False)
    body.add("class_row", "head", chosen, table="final_norm")
    body.add("head", "head", linear(images.batch, model.classes, model.d_model, head, True, "fp32"), a="class_row")
    return body
