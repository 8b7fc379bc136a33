"""Vision transformers: ViT (arXiv 2010.11929), DeiT (2012.12877), CLIP (2103.00020), DINOv2 (2304.07193).

Tokens in front of the patches are put there by one copy, whether they get a position (class tokens) or not (registers).
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.builders.body import STREAM, Body, final_norm, linear, normed
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
        layer_scale=model.layer_scale,
    )
    between = add_attention(layer, shape, formats, images, STREAM)
    mlp = MlpShape(model.d_model, model.d_ff, "layernorm", False, "gelu", True, layer_scale=model.layer_scale)
    add_mlp(layer, mlp, formats, images, between)
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
    body.add("patch_embed", "embedding", with_bias(patches, formats.vectors) if model.patch_bias else patches)
    body.add("class_token", "embedding", _class_token(model, formats, images), x="patch_embed")
    last = body.add("position_add", "embedding", _positions(model, formats, images), x="class_token")
    if model.pre_norm:
        body.add("pre_norm", "embedding", normed("layernorm", images.rows, model.d_model, formats), x=last)
    return body


def _axes(*names: str) -> tuple[Axis, ...]:
    return tuple(((name, 1),) for name in names)


def _class_token(model: VitModel, formats: Formats, images: Pass) -> Op:
    """A copy of the patches of each image behind the trained tokens."""
    dims = Named({"batch": images.batch, "tokens": model.tokens, "width": model.d_model})
    axes, trained = _axes("batch", "tokens", "width"), _axes("tokens", "width")
    patches = (model.image // model.patch) ** 2
    operands = (
        Operand("x", "activation", axes, formats.flowing, halo=(0, model.tokens - patches, 0)),
        Operand("token", "weight", trained, formats.vectors, halo=(patches, 0)),
        Operand("out", "output", axes, formats.flowing),
    )
    return Op("class_token", "elementwise", dims, operands, Named({"op": "copy"}))


def _positions(model: VitModel, formats: Formats, images: Pass) -> Op:
    """The addition of one trained vector to each token of an image that has a position."""
    dims = Named({"batch": images.batch, "tokens": model.tokens, "width": model.d_model})
    axes = _axes("batch", "tokens", "width")
    operands = (
        Operand("x", "activation", axes, formats.flowing),
        Operand("positions", "weight", axes[1:], formats.vectors, halo=(model.registers, 0)),
        Operand("out", "output", axes, formats.flowing),
    )
    return Op("position_add", "elementwise", dims, operands, Named({"op": "add"}))


def _head(model: VitModel, formats: Formats, images: Pass) -> Body:
    """Final norm, the class tokens' rows of each image, and their linear heads."""
    body = Body()
    head, rows = formats.of_head, images.batch
    body.add("final_norm", "head", final_norm("layernorm", images.rows, model.d_model, formats), x=STREAM)
    for name in ("", "distillation_")[: model.class_tokens]:
        chosen = embedding(rows, model.d_model, images.rows, head.flowing, learned=False)
        row = body.add(f"{name}class_row", "head", chosen, table="final_norm")
        if model.classes:
            product = linear(rows, model.classes, model.d_model, head, model.head_bias, "fp32")
            body.add(f"{name}head", "head", product, a=row)
    return body
