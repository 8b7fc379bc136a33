"""Nodes that work element by element or row by row, that gather, reduce, or move."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from hwsim.workload.counts import TANH_OPS
from hwsim.workload.from_onnx.lowering import Lowering
from hwsim.workload.from_onnx.net import Node, NotUnderstood, Tensor
from hwsim.workload.from_onnx.patterns import RowsForm

__all__ = ["FREE", "ROWS", "add_rows"]

FREE: Final = frozenset({
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "DequantizeLinear",
})  # fmt: skip
"""Operators that name a tensor anew, or that are folded into what reads it."""

_ERF: Final = 16
"""Abramowitz and Stegun, 7.1.26: 1 / (1 + p x), five coefficients by Horner, exp(-x^2), product and difference."""

_NAMED: Final = {"Add": "add", "Sub": "add", "Mul": "mul", "Div": "mul", "Relu": "relu", "Softplus": "softplus"}
_UNARY_OPS: Final = {
    **dict.fromkeys(("Abs", "Ceil", "Cos", "Exp", "Floor", "IsInf", "IsNaN", "Log", "Neg", "Not", "Reciprocal"), 1),
    **dict.fromkeys(("Round", "Sign", "Sin", "Sqrt", "BitwiseNot", "CumSum"), 1),
    **dict.fromkeys(("And", "Or", "Xor", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mod"), 1),
    **dict.fromkeys(("Pow", "Where", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor"), 1),
    **dict.fromkeys(("Clip", "LeakyRelu", "PRelu", "ThresholdedRelu", "Shrink"), 2),
    **dict.fromkeys(("Elu", "Celu", "Selu", "Softsign", "HardSigmoid"), 3),
    "Sigmoid": 3,
    "Tanh": TANH_OPS,
    "HardSwish": 5,
    "Mish": 8,
    "Erf": _ERF,
    "QuickGelu": 5,
    "QLinearAdd": 5,
    "QLinearMul": 5,
}
"""Operator -> operations for each element of its result, one for each of its scalar steps (`hwsim.workload.counts`):
tanh as (e - 1) / (e + 1) with e = exp(2x), sigmoid as 1 / (1 + exp(-x)). Quantised sums scale both operands, add, scale
back and round."""

_MANY: Final = ("Sum", "Max", "Min", "Mean")
_MOVES: Final = frozenset({
    "Cast", "CastLike", "Transpose", "Slice", "Split", "Concat", "Expand", "Tile", "Pad", "Resize", "Upsample",
    "DepthToSpace", "SpaceToDepth", "Gather", "GatherElements", "GatherND", "ScatterND", "ScatterElements",
    "Trilu", "ReverseSequence", "Compress", "OneHot", "EyeLike",
})  # fmt: skip
"""Operators that move elements: what they give is written, and as much is read, or all that there is if less."""
_REDUCTIONS: Final = frozenset({
    "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
    "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "ArgMax", "ArgMin", "GlobalAveragePool",
    "GlobalMaxPool", "TopK",
})  # fmt: skip
_POOLS: Final = frozenset({"AveragePool", "MaxPool", "LpPool"})


def _named(low: Lowering, node: Node) -> None:
    """A known elementwise operator; of a dequantised or broadcast operand, what is there is read."""
    low.stream(node, _NAMED[node.op_type])


def _map(low: Lowering, node: Node) -> None:
    low.stream(node, "map", ops=_UNARY_OPS[node.op_type])


def _many(low: Lowering, node: Node) -> None:
    operands = len([name for name in node.inputs if name])
    low.stream(node, "map", ops=max(1, operands - (node.op_type != "Mean")))


def _move(low: Lowering, node: Node) -> None:
    """A move; a transposition that only moves axes of one element is none."""
    made = [low.net.tensors[name] for name in node.outputs if name in low.net.tensors]
    if node.op_type == "Transpose" and _keeps_order(low, node):
        low.count_free(node)
        return
    if node.op_type == "Gather" and _is_embedding(low, node):
        _embedding(low, node)
        return
    written = sum(each.words for each in made)
    flowing = [each for each in low.net.flowing(node) if each.elements]
    kept = low.trained(node) if node.op_type == "Concat" else []
    read = min(written, sum(each.words for each in flowing)) if flowing else written
    rows = math.gcd(max(1, made[0].elements // (made[0].shape[-1] if made[0].shape else 1)), read, written)
    if not rows:
        raise NotUnderstood("it moves nothing")
    base = low.written_format(made[0]) if len(made) == 1 else made[0].format
    low.add(
        "elementwise",
        node.name,
        (base, None, base),
        op="copy",
        tokens=rows,
        width=written // rows,
        read_elems=read // rows if read != written else 0,
        learned=sum(each.words for each in kept),
    )


def _keeps_order(low: Lowering, node: Node) -> bool:
    shape = low.net.needed(node, 0).shape
    order = node.numbers("perm", tuple(reversed(range(len(shape)))))
    moved = [axis for axis in order if 0 <= axis < len(shape) and shape[axis] > 1]
    return moved == sorted(moved)


def _is_embedding(low: Lowering, node: Node) -> bool:
    table = low.net.needed(node, 0)
    return table.constant and len(table.shape) == 2 and node.number("axis", 0) in (0, -2)


def _embedding(low: Lowering, node: Node) -> None:
    table, ids = low.net.needed(node, 0), low.net.needed(node, 1)
    _gathered(low, node, node.name, table, ids.elements)


def _gathered(low: Lowering, node: Node, name: str, table: Tensor, tokens: int) -> None:
    out = low.net.made(node)
    told = (low.written_format(out), None, low.written_format(out))
    low.add("embedding", name, told, tokens=tokens, width=table.shape[1], rows=table.shape[0])


def _reduction(low: Lowering, node: Node) -> None:
    """A sum or the like: an operation for each element read."""
    read, made = low.net.needed(node, 0), low.net.made(node)
    low.stream(node, "map", ops=-(-read.elements // max(1, made.elements)))


def _pool(low: Lowering, node: Node) -> None:
    window = node.numbers("kernel_shape", ())
    low.stream(node, "map", ops=max(1, math.prod(window)))


# --- norms -----------------------------------------------------------------------------------------------


def _layer_norm(low: Lowering, node: Node) -> None:
    """``LayerNormalization``, ``RMSNormalization``, ``SimplifiedLayerNormalization``: of the axes from one on."""
    x = low.net.needed(node, 0)
    op = "layernorm" if node.op_type == "LayerNormalization" else "rmsnorm"
    axis = node.number("axis", -1)
    if not -len(x.shape) <= axis < len(x.shape):
        raise NotUnderstood(f"axis {axis} of {len(x.shape)}")
    _add_norm(low, node.name, op, x, low.net.made(node), math.prod(x.shape[axis:]))


def _add_norm(low: Lowering, name: str, op: str, x: Tensor, out: Tensor, width: int) -> None:
    told = (low.read_format(x), None, low.written_format(out))
    low.add("norm", name, told, op=op, tokens=low.rows_of(x, width), width=width)


def _skip_norm(low: Lowering, node: Node) -> None:
    """The residual's addition and a norm of the sum (``SkipLayerNormalization``)."""
    x = low.net.needed(node, 0)
    op = "rmsnorm" if "Simplified" in node.op_type else "layernorm"
    width = x.shape[-1]
    told = (low.read_format(x), None, x.format)
    low.add("elementwise", f"{node.name}.add", told, op="add", tokens=low.rows_of(x, width), width=width)
    _add_norm(low, node.name, op, x, low.net.made(node), width)


def _embed_norm(low: Lowering, node: Node) -> None:
    """Embeddings of tokens, positions and segments, their sum, and its layer norm (``EmbedLayerNormalization``)."""
    ids, out = low.net.needed(node, 0), low.net.made(node)
    tables = [(place, low.net.given(node, place)) for place in (2, 3, 4)]
    known = [(place, table) for place, table in tables if table is not None]
    for place, table in known:
        _gathered(low, node, f"{node.name}.{('words', 'positions', 'segments')[place - 2]}", table, ids.elements)
    width = out.shape[-1]
    for place in range(1, len(known)):
        told = (out.format, None, out.format)
        low.add("elementwise", f"{node.name}.add{place}", told, op="add", tokens=ids.elements, width=width)
    _add_norm(low, node.name, "layernorm", out, out, width)


def _channel_norm(low: Lowering, node: Node) -> None:
    """Norms over other elements than rows: two operations of a batch norm (its statistics are known), else seven."""
    low.stream(node, "map", ops=2 if node.op_type == "BatchNormalization" else 7)


def _softmax(low: Lowering, node: Node) -> None:
    x, out = low.net.needed(node, 0), low.net.made(node)
    axis = node.number("axis", -1 if node.opset >= 13 else 1)
    if not -len(x.shape) <= axis < len(x.shape):
        raise NotUnderstood(f"axis {axis} of {len(x.shape)}")
    width = x.shape[axis] if node.opset >= 13 else math.prod(x.shape[axis:])
    told = (low.read_format(x), None, low.written_format(out))
    low.add("softmax", node.name, told, tokens=low.rows_of(x, width), width=width)


# --- activations ------------------------------------------------------------------------------------------


def _gelu(low: Lowering, node: Node) -> None:
    """GELU, with a bias before it or without."""
    low.stream(node, "gelu", ops=10 if node.op_type == "BiasGelu" or len(low.trained(node)) else 0)


def _rope(low: Lowering, node: Node) -> None:
    """Rotary embedding of one tensor; the tables of sines and cosines are read once, as trained."""
    low.stream(node, "rope", reads=[low.net.needed(node, 0)])


def _quantize(low: Lowering, node: Node) -> None:
    """A quantisation that no operator before it takes in."""
    x = low.net.needed(node, 0)
    maker = low.net.maker(x.name)
    if maker is not None and low.net.only_reader(x.name) is not None and maker.op_type not in FREE:
        low.count_free(node)
        return
    low.stream(node, "quantize", out=low.net.made(node), reads=[x])


def add_rows(low: Lowering, name: str, x: Tensor, form: RowsForm) -> None:
    """A norm or an activation that was written out in steps."""
    width = form.out.shape[-1] if form.out.shape else 1
    told = (low.read_format(x), None, low.written_format(form.out))
    low.add(form.kind, name, told, op=form.op, tokens=low.rows_of(form.out, width), width=width)


ROWS: Final[Mapping[str, Callable[[Lowering, Node], None]]] = {
    **dict.fromkeys(_NAMED, _named),
    **dict.fromkeys(_UNARY_OPS, _map),
    **dict.fromkeys(_MANY, _many),
    **dict.fromkeys(_MOVES, _move),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"), _layer_norm),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _skip_norm),
    **dict.fromkeys(("InstanceNormalization", "GroupNormalization", "LpNormalization", "LRN"), _channel_norm),
    "BatchNormalization": _channel_norm,
    "MeanVarianceNormalization": _channel_norm,
    "EmbedLayerNormalization": _embed_norm,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **dict.fromkeys(("Gelu", "FastGelu", "BiasGelu"), _gelu),
    "Swish": lambda low, node: low.stream(node, "silu"),
    "RotaryEmbedding": _rope,
    "QuantizeLinear": _quantize,
    "DynamicQuantizeLinear": lambda low, node: low.stream(node, "quantize"),
}
"""Operator -> what adds it."""
