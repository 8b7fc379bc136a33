"""Shapes that ONNX Runtime's own operators give (``com.microsoft``, ContribOperators.md), which ONNX does not know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hwsim.workload.from_onnx.net import Node, NotUnderstood, Tensor

__all__ = ["CONTRIB"]

Shape = tuple[int, ...]
Inputs = Sequence[Tensor | None]
_FLOAT: Final = 1
_INT32: Final = 6
_UINT8: Final = 2


def _at(inputs: Inputs, place: int) -> Tensor:
    found = inputs[place] if place < len(inputs) else None
    if found is None:
        raise NotUnderstood(f"input {place} is missing")
    return found


def _ranked(tensor: Tensor, rank: int) -> Tensor:
    if len(tensor.shape) != rank:
        raise NotUnderstood(f"{tensor.name!r} has {len(tensor.shape)} axes, not {rank}")
    return tensor


def _same(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    """Each output as the first input."""
    first = _at(inputs, 0)
    return [(first.shape, first.type)] * len(node.outputs)


def _attention(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    """Fused projections and attention: [batch, queries, width of the values]."""
    x, weights = _ranked(_at(inputs, 0), 3), _ranked(_at(inputs, 1), 2)
    sizes = node.numbers("qkv_hidden_sizes", ())
    width = sizes[2] if len(sizes) == 3 else weights.shape[1] // 3
    return [((*x.shape[:2], width), x.type), *_present(node, x, x.shape[1], width)]


def _multi_head(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    query = _at(inputs, 0)
    if len(query.shape) == 5:  # packed [batch, positions, heads, 3, width]
        width = query.shape[2] * query.shape[4]
        return [((*query.shape[:2], width), query.type)]
    value = inputs[2] if len(inputs) > 2 else None
    width = _ranked(query, 3).shape[2]
    if value is not None and len(value.shape) == 3:
        width = value.shape[2]
    elif value is not None and len(value.shape) == 4:
        width = value.shape[1] * value.shape[3]
    past = inputs[6] if len(inputs) > 6 else None
    held = past.shape[2] if past is not None and len(past.shape) == 4 else 0
    keys = inputs[1] if len(inputs) > 1 else None
    positions = held + (keys.shape[-2] if keys is not None and len(keys.shape) in (3, 4) else query.shape[1])
    return [((*query.shape[:2], width), query.type), *_present(node, query, positions, width)]


def _grouped(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    query = _ranked(_at(inputs, 0), 3)
    heads, kv_heads = node.number("num_heads", 0), node.number("kv_num_heads", 0)
    if heads < 1 or kv_heads < 1:
        raise NotUnderstood("num_heads and kv_num_heads are missing")
    packed = len(inputs) < 2 or inputs[1] is None
    head = query.shape[2] // (heads + 2 * kv_heads if packed else heads)
    past = inputs[3] if len(inputs) > 3 else None
    held = past.shape[2] if past is not None and len(past.shape) == 4 else 0
    present = ((query.shape[0], kv_heads, held + query.shape[1], head), query.type)
    return [((*query.shape[:2], heads * head), query.type), present, present][: len(node.outputs)]


def _present(node: Node, query: Tensor, positions: int, width: int) -> list[tuple[Shape, int]]:
    """Keys and values that an attention gives back, where it is asked to."""
    heads = max(1, node.number("num_heads", 1))
    kept = ((query.shape[0], heads, positions, max(1, width // heads)), query.type)
    return [kept] * (len(node.outputs) - 1)


def _product(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    """``[..., k] . [k, n]``; the second may have axes before."""
    a, b = _at(inputs, 0), _at(inputs, 1)
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise NotUnderstood("a product of fewer than two axes")
    left = (*a.shape[:-2], a.shape[-1], a.shape[-2]) if node.number("transA", 0) else a.shape
    columns = b.shape[-2] if node.number("transB", 0) else b.shape[-1]
    batch = left[:-2] if len(left) >= len(b.shape) else b.shape[:-2]
    kind = _FLOAT if node.op_type in ("MatMulIntegerToFloat", "DynamicQuantizeMatMul") else a.type
    return [((*batch, left[-2], columns), kind)]


def _n_bits(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    a = _at(inputs, 0)
    return [((*a.shape[:-1], node.number("N", 1)), a.type)]


def _broadcast(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    """QLinearAdd and QLinearMul: operands stand at places 0 and 3."""
    import numpy as np  # noqa: PLC0415

    a, b = _at(inputs, 0), _at(inputs, 3)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise NotUnderstood(f"shapes {a.shape} and {b.shape} do not go together") from None
    return [(tuple(int(each) for each in shape), a.type)]


def _embedded(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    """EmbedLayerNormalization: tokens, a mask's sum, and the sum of the embeddings."""
    ids, table = _ranked(_at(inputs, 0), 2), _ranked(_at(inputs, 2), 2)
    found = [((*ids.shape, table.shape[1]), table.type), ((ids.shape[0],), _INT32)]
    return (found + found[:1])[: len(node.outputs)]


def _quantized(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    x, zero = _at(inputs, 0), inputs[2] if len(inputs) > 2 else None
    return [(x.shape, zero.type if zero is not None else _UINT8)]


def _dequantized(node: Node, inputs: Inputs) -> list[tuple[Shape, int]]:
    return [(_at(inputs, 0).shape, _at(inputs, 1).type)]


CONTRIB: Final[dict[str, Callable[[Node, Inputs], list[tuple[Shape, int]]]]] = {
    "Attention": _attention,
    "MultiHeadAttention": _multi_head,
    "GroupQueryAttention": _grouped,
    "SkipLayerNormalization": _same,
    "SkipSimplifiedLayerNormalization": _same,
    "SimplifiedLayerNormalization": _same,
    "EmbedLayerNormalization": _embedded,
    "RotaryEmbedding": _same,
    "Gelu": _same,
    "FastGelu": _same,
    "QuickGelu": _same,
    "BiasGelu": _same,
    "FusedMatMul": _product,
    "MatMulIntegerToFloat": _product,
    "DynamicQuantizeMatMul": _product,
    "MatMulNBits": _n_bits,
    "QLinearAdd": _broadcast,
    "QLinearMul": _broadcast,
    "QuantizeLinear": _quantized,
    "DequantizeLinear": _dequantized,
}
"""Operator -> (shape, data type) of each of its outputs."""
