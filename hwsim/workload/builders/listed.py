"""Lists of operators (`hwsim.workload.listed`) as a graph: one op for each, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hwsim.workload.builders.body import linear, normed
from hwsim.workload.graph import Graph
from hwsim.workload.listed import (
    Listed,
    ListedAttention,
    ListedConv1d,
    ListedConv2d,
    ListedElementwise,
    ListedEmbedding,
    ListedGemm,
    ListedNorm,
    ListedScan,
    ListedSoftmax,
)
from hwsim.workload.op import Op, Operand
from hwsim.workload.ops import attention, conv1d, conv2d, elementwise, embedding, scan, softmax, with_bias

if TYPE_CHECKING:
    from hwsim.workload.listed import OpsModel
    from hwsim.workload.model import Formats, Pass

__all__ = ["build"]


def build(model: OpsModel, formats: Formats, pass_: Pass) -> Graph:
    """The graph of one pass over ``pass_.batch`` inputs. Operators of a ``repeat`` carry the number of their layer."""
    graph = Graph(model.family)
    layer = 0
    for times, named in model.named:
        ops = [_op(name, each, formats, pass_.batch) for name, each in named]
        if not times:
            graph.add(ops[0])
        for _ in range(times):
            for op in ops:
                graph.add(Op(op.name, op.kind, op.dims, op.operands, op.attributes, layer, op.block))
            layer += 1
    return graph


def _op(name: str, listed: Listed, formats: Formats, batch: int) -> Op:
    own = listed.over(formats)
    op = _BUILDERS[type(listed)](listed, own, batch)
    if listed.out is not None:
        op = replace(op, operands=(*op.operands[:-1], replace(op.output, format=listed.out)))
    return replace(op, name=name, block=op.kind)


def _gemm(op: ListedGemm, formats: Formats, batch: int) -> Op:
    """With weights, the inputs of a batch are rows; of activations, each input has its own products."""
    if op.of == "weights":
        own = replace(formats, weight_group=op.group or formats.weight_group)
        made = linear(op.m * batch, op.n, op.k, own, op.bias)
        return replace(made, dims=made.dims.replace(batch=op.batch))
    dense = replace(formats, weights=formats.activations, weight_group=0, weight_sparsity=0.0, weight_structure="none")
    made = linear(op.m, op.n, op.k, dense, op.bias)
    a, b, *rest = made.operands
    operands = (a, replace(b, role="activation"), *rest)
    return replace(made, dims=made.dims.replace(batch=op.batch * batch), operands=operands)


def _conv2d(op: ListedConv2d, formats: Formats, batch: int) -> Op:
    """The halo is what the kernel reaches beyond the image; what `same` pads on both sides may be odd."""
    images, dtype = op.batch * batch, formats.activations
    made = conv2d(images, op.oc, op.ic, op.y, op.x, op.r, op.s, op.stride, op.groups, 0, dtype, op.dilation)
    x, weight, out = made.operands
    reached = x.shape(made.dims)
    halo = (0, 0, reached[2] - (op.rows or reached[2]), reached[3] - (op.columns or reached[3]))
    x, weight = replace(x, halo=halo if any(halo) else ()), replace(weight, format=formats.weights)
    attributes = made.attributes.replace(padding=max(0, *halo) // 2)
    made = replace(made, operands=(x, weight, out), attributes=attributes)
    return with_bias(made, formats.vectors) if op.bias else made


def _attention(op: ListedAttention, formats: Formats, batch: int) -> Op:
    kv = formats.flowing if op.phase == "bidirectional" or op.activations else formats.kv_format
    return attention(
        op.phase,
        op.batch * batch,
        op.heads,
        op.kv_heads or op.heads,
        op.q_len,
        op.kv_len,
        op.head_dim,
        formats.flowing,
        kv,
        op.window,
    )


def _elementwise(op: ListedElementwise, formats: Formats, batch: int) -> Op:
    made = elementwise(op.op, op.tokens * batch, op.width, formats.flowing, op.read_elems or None)
    if op.learned:
        trained = Operand("trained", "weight", ((("trained", 1),),), formats.vectors)
        dims = made.dims.replace(trained=op.learned)
        made = replace(made, dims=dims, operands=(*made.operands[:-1], trained, made.output))
    return replace(made, attributes=made.attributes.replace(ops_per_element=op.ops)) if op.ops else made


def _embedding(op: ListedEmbedding, formats: Formats, batch: int) -> Op:
    table_format = formats.embedding_format if op.learned else formats.flowing
    rows = op.rows if op.learned else op.rows * batch
    made = embedding(op.tokens * batch, op.width, rows, table_format, op.learned)
    table, out = made.operands
    return replace(made, operands=(table, replace(out, format=formats.flowing)))


def _conv1d(op: ListedConv1d, formats: Formats, batch: int) -> Op:
    taps = formats.conv_format
    return conv1d(op.phase, batch, op.seq_len, op.channels, op.d_conv, formats.flowing, taps, taps, op.activation)


def _scan(op: ListedScan, formats: Formats, batch: int) -> Op:
    return scan(
        op.mixer,
        op.phase,
        batch,
        op.seq_len,
        op.heads,
        op.head_dim,
        op.d_state,
        op.groups,
        op.chunk,
        formats.flowing,
        formats.state,
        formats.vectors,
    )


_BUILDERS: Final[dict[type[Listed], Callable[[Any, Formats, int], Op]]] = {
    ListedGemm: _gemm,
    ListedConv2d: _conv2d,
    ListedAttention: _attention,
    ListedNorm: lambda op, formats, batch: normed(op.op, op.tokens * batch, op.width, formats),
    ListedSoftmax: lambda op, formats, batch: softmax(op.tokens * batch, op.width, dtype=formats.flowing),
    ListedElementwise: _elementwise,
    ListedEmbedding: _embedding,
    ListedConv1d: _conv1d,
    ListedScan: _scan,
}
