"""Nodes that multiply: matrix products, convolutions, attention that is one node."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from hwsim.workload.from_onnx.lowering import Lowering
from hwsim.workload.from_onnx.net import MICROSOFT, Node, NotUnderstood, Tensor

__all__ = ["PRODUCTS", "add_attention"]


def _matmul(low: Lowering, node: Node) -> None:
    a, b = low.net.needed(node, 0), low.net.needed(node, 1)
    _product(low, node, a, b, bool(node.number("transA", 0)), bool(node.number("transB", 0)))


def _product(low: Lowering, node: Node, a: Tensor, b: Tensor, turn_a: bool = False, turn_b: bool = False) -> None:
    """``a . b`` over batches; what is constant is the weights, on whichever side it stands."""
    out = low.net.made(node)
    left = _turned(a.shape, turn_a) if len(a.shape) > 1 else (1, *a.shape)
    right = _turned(b.shape, turn_b) if len(b.shape) > 1 else (*b.shape, 1)
    m, k, n = left[-2], left[-1], right[-1]
    if right[-2] != k:
        raise NotUnderstood(f"shapes {list(a.shape)} and {list(b.shape)} do not go together")
    batches = math.prod(out.shape) // max(1, m * n)
    if node.op_type == "MatMulInteger":
        out = low.scaled_back(out)
    formats = low.read_format(a), low.read_format(b)
    if a.constant:
        if math.prod(left[:-2]) > 1:
            raise NotUnderstood("weights with several matrices on the left")
        low.add("gemm", node.name, (formats[1], formats[0], low.written_format(out)), m=batches * n, n=m, k=k)
        return
    own = math.prod(right[:-2])
    if b.constant:
        out, bias = low.with_bias(out, n)
        rows = batches * m // own
        told = (formats[0], formats[1], low.written_format(out))
        low.add("gemm", node.name, told, m=rows, n=n, k=k, batch=own if own > 1 else 0, bias=bias)
        return
    plain = (formats[0], None, low.written_format(out))
    if own == 1:
        low.add("gemm", node.name, plain, m=batches * m, n=n, k=k, of="activations")
    else:
        low.add("gemm", node.name, plain, m=m, n=n, k=k, batch=batches if batches > 1 else 0, of="activations")


def _turned(shape: tuple[int, ...], turn: bool) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if turn else shape


def _gemm(low: Lowering, node: Node) -> None:
    """``Gemm``: a . b + c, c a bias or an activation to be added."""
    c = low.net.given(node, 2)
    a, b = low.net.needed(node, 0), low.net.needed(node, 1)
    _product(low, node, a, b, bool(node.number("transA", 0)), bool(node.number("transB", 0)))
    if c is None:
        return
    if c.constant and low.ops[-1].get("of") != "activations":
        low.ops[-1] |= {"bias": True}
    else:
        low.stream(node, "add", reads=[each for each in (low.net.made(node), c) if not each.constant])


def _n_bits(low: Lowering, node: Node) -> None:
    """Weights of a few bits with a scale for each block along k (``MatMulNBits``)."""
    a, out = low.net.needed(node, 0), low.net.made(node)
    bits, n, k = node.number("bits", 4), node.number("N", 0), node.number("K", 0)
    if bits not in (4, 8) or n < 1 or k < 1:
        raise NotUnderstood(f"weights of {bits} bits, N={n}, K={k}")
    told = (low.read_format(a), f"int{bits}", low.written_format(out))
    low.add("gemm", node.name, told, m=low.rows_of(a, k), n=n, k=k, group=node.number("block_size", 0))


def _quantized_product(low: Lowering, node: Node) -> None:
    """Products of quantised operands: those stand at places 0 and 3 (QLinear), 0 and 1 else."""
    second = 3 if node.op_type.startswith("QLinear") else 1
    _product(low, node, low.net.needed(node, 0), low.net.needed(node, second))


def _dynamic_product(low: Lowering, node: Node) -> None:
    """A product that quantises its activations first (``DynamicQuantizeMatMul``)."""
    a, b, out = low.net.needed(node, 0), low.net.needed(node, 1), low.net.made(node)
    low.add(
        "elementwise",
        f"{node.name}.quantize",
        ("int8", None, "int8"),
        op="quantize",
        tokens=low.rows_of(a, a.shape[-1]),
        width=a.shape[-1],
        read_elems=4 * a.shape[-1],
    )
    told = ("int8", low.read_format(b), low.written_format(out))
    low.add("gemm", node.name, told, m=low.rows_of(a, b.shape[0]), n=b.shape[1], k=b.shape[0])


def _conv(low: Lowering, node: Node) -> None:
    """Convolutions of one or two axes; one axis is an image of one row. A batch norm behind is folded in."""
    quantized = node.op_type == "QLinearConv"
    x, w, out = low.net.needed(node, 0), low.net.needed(node, 3 if quantized else 1), low.net.made(node)
    if len(x.shape) not in (3, 4) or not w.constant:
        raise NotUnderstood(f"a convolution along {len(x.shape) - 2} axes, or one whose kernel is computed")
    image, kernel, result = (_padded(each.shape[2:]) for each in (x, w, out))
    stride = _same(node, "strides", result)
    dilation = _same(node, "dilations", kernel)
    bias = low.net.given(node, 8 if quantized else 2) is not None
    if node.op_type == "ConvInteger":
        out = low.scaled_back(out)
    out, folded = _norm_behind(low, out)
    reach = tuple(stride * (y - 1) + dilation * (r - 1) + 1 for y, r in zip(result, kernel, strict=True))
    low.add(
        "conv2d",
        node.name,
        (low.read_format(x), low.read_format(w), low.written_format(out)),
        batch=x.shape[0] if x.shape[0] > 1 else 0,
        oc=w.shape[0],
        ic=x.shape[1],
        y=result[0],
        x=result[1],
        r=kernel[0],
        s=kernel[1],
        stride=stride if stride > 1 else 0,
        groups=node.number("group", 1) if node.number("group", 1) > 1 else 0,
        dilation=dilation if dilation > 1 else 0,
        rows=image[0] if image[0] != reach[0] else 0,
        columns=image[1] if image[1] != reach[1] else 0,
        bias=bias or folded,
    )


def _padded(shape: tuple[int, ...]) -> tuple[int, int]:
    return (1, shape[0]) if len(shape) == 1 else (shape[0], shape[1])


def _same(node: Node, name: str, extents: tuple[int, int]) -> int:
    """A step that is the same along both axes; that of an axis of one element is any."""
    steps = node.numbers(name, (1, 1))
    steps = (steps[0], steps[0]) if len(steps) == 1 else steps
    telling = {step for step, extent in zip(steps, extents, strict=False) if extent > 1} or {1}
    if len(telling) > 1:
        raise NotUnderstood(f"{name} {list(steps)}: rows and columns of a convolution step alike")
    return telling.pop()


def _norm_behind(low: Lowering, out: Tensor) -> tuple[Tensor, bool]:
    """What a batch norm makes of a convolution's result, where it alone reads it: it is folded into the weights."""
    reader = low.net.only_reader(out.name)
    if reader is None or reader.op_type != "BatchNormalization":
        return out, False
    low.taken.add(reader.index)
    return low.net.made(reader), True


# --- attention -----------------------------------------------------------------------------------------


def add_attention(
    low: Lowering,
    name: str,
    format_: str,
    out: str,
    *,
    batch: int,
    heads: int,
    kv_heads: int,
    q_len: int,
    kv_len: int,
    head_dim: int,
    causal: bool,
    window: int = 0,
) -> None:
    """Add attention; a single query sees all positions, causal or not."""
    phase = "decode" if q_len == 1 and kv_len > 1 else "prefill" if causal else "bidirectional"
    if min(batch, heads, kv_heads, q_len, kv_len, head_dim) < 1 or heads % kv_heads:
        raise NotUnderstood(f"{heads} heads, {kv_heads} of keys, {q_len} queries, {kv_len} positions of {head_dim}")
    low.add(
        "attention",
        name,
        (format_, None, out),
        phase=phase,
        batch=batch if batch > 1 else 0,
        heads=heads,
        kv_heads=kv_heads if kv_heads != heads else 0,
        q_len=q_len,
        kv_len=kv_len,
        head_dim=head_dim,
        window=window if phase != "bidirectional" and 0 < window < kv_len else 0,
    )


def _attention(low: Lowering, node: Node) -> None:
    """``Attention`` of ONNX (opset 23), or of ONNX Runtime, whose projections are within."""
    if node.domain == MICROSOFT:
        _projected_attention(low, node)
        return
    q, k, v = (low.net.needed(node, place) for place in range(3))
    if len(q.shape) == 4:
        batch, heads, q_len, head_dim = q.shape
        kv_heads, kv_len = k.shape[1], k.shape[2]
    else:
        heads, kv_heads = node.number("q_num_heads", 0), node.number("kv_num_heads", 0)
        if len(q.shape) != 3 or heads < 1 or kv_heads < 1:
            raise NotUnderstood("q_num_heads and kv_num_heads are missing")
        batch, q_len, kv_len, head_dim = q.shape[0], q.shape[1], k.shape[1], q.shape[2] // heads
    if v.elements // max(1, batch * kv_heads * kv_len) != head_dim:
        raise NotUnderstood("heads of values that are wider than those of queries")
    past = low.net.given(node, 4)
    kv_len += past.shape[2] if past is not None and len(past.shape) == 4 else 0
    add_attention(
        low, node.name, low.read_format(q), low.written_format(low.net.made(node)), batch=batch, heads=heads,
        kv_heads=kv_heads, q_len=q_len, kv_len=kv_len, head_dim=head_dim, causal=bool(node.number("is_causal", 0)),
    )  # fmt: skip


def _projected_attention(low: Lowering, node: Node) -> None:
    x, weights, heads = low.net.needed(node, 0), low.net.needed(node, 1), node.number("num_heads", 0)
    batch, q_len, k = x.shape
    out = low.written_format(low.net.made(node))
    if heads < 1 or node.numbers("qkv_hidden_sizes", ()):
        raise NotUnderstood("projections of different widths, or num_heads is missing")
    bias = low.net.given(node, 2) is not None
    own = (low.read_format(x), low.read_format(weights), out)
    low.add("gemm", f"{node.name}.qkv", own, m=batch * q_len, n=weights.shape[1], k=k, bias=bias)
    past = low.net.given(node, 4)
    held = past.shape[3] if past is not None and len(past.shape) == 5 else 0
    head_dim = weights.shape[1] // 3 // heads
    causal = bool(node.number("unidirectional", 0))
    add_attention(
        low, node.name, own[0], out, batch=batch, heads=heads, kv_heads=heads, q_len=q_len, kv_len=held + q_len,
        head_dim=head_dim, causal=causal,
    )  # fmt: skip


def _multi_head(low: Lowering, node: Node) -> None:
    query, keys, past = low.net.needed(node, 0), low.net.given(node, 1), low.net.given(node, 6)
    heads = node.number("num_heads", 0)
    width = query.shape[2] if len(query.shape) == 3 else query.shape[-1] * heads
    if heads < 1 or len(query.shape) not in (3, 5):
        raise NotUnderstood("num_heads is missing, or queries in a form that is not known")
    kv_len = query.shape[1] if keys is None else keys.shape[-2 if len(keys.shape) == 4 else 1]
    kv_len += past.shape[2] if past is not None and len(past.shape) == 4 else 0
    add_attention(
        low, node.name, low.read_format(query), low.written_format(low.net.made(node)), batch=query.shape[0],
        heads=heads, kv_heads=heads, q_len=query.shape[1], kv_len=kv_len, head_dim=width // heads,
        causal=bool(node.number("unidirectional", 0)),
    )  # fmt: skip


def _grouped(low: Lowering, node: Node) -> None:
    """``GroupQueryAttention``: causal, with a cache, and rotary embedding within where asked."""
    query, past, out = low.net.needed(node, 0), low.net.given(node, 3), low.net.made(node)
    heads, kv_heads = node.number("num_heads", 0), node.number("kv_num_heads", 0)
    head_dim, batch, q_len = out.shape[2] // heads, query.shape[0], query.shape[1]
    form = low.read_format(query)
    if node.number("do_rotary", 0):
        width = (heads + kv_heads) * head_dim
        low.add(
            "elementwise", f"{node.name}.rope", (form, None, form), op="rope", tokens=batch * q_len, width=width
        )  # fmt: skip
    held = past.shape[2] if past is not None and len(past.shape) == 4 else 0
    window = max(0, node.number("local_window_size", -1))
    add_attention(
        low, node.name, form, low.written_format(out), batch=batch, heads=heads, kv_heads=kv_heads, q_len=q_len,
        kv_len=held + q_len, head_dim=head_dim, causal=True, window=window,
    )  # fmt: skip


PRODUCTS: Final[Mapping[str, Callable[[Lowering, Node], None]]] = {
    "MatMul": _matmul,
    "FusedMatMul": _matmul,
    "Gemm": _gemm,
    "MatMulInteger": _quantized_product,
    "MatMulIntegerToFloat": _quantized_product,
    "QLinearMatMul": _quantized_product,
    "DynamicQuantizeMatMul": _dynamic_product,
    "MatMulNBits": _n_bits,
    "Conv": _conv,
    "ConvInteger": _conv,
    "QLinearConv": _conv,
    "Attention": _attention,
    "MultiHeadAttention": _multi_head,
    "GroupQueryAttention": _grouped,
}
"""Operator -> what adds it."""
