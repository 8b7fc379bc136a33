"""The parts of a transformer layer: attention, MLP, mixture of experts; each with its norm and residual addition.

Ops carry the names of the weights in the published checkpoints: q_proj, k_proj, v_proj (or one qkv_proj), o_proj,
gate_proj, up_proj, down_proj.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.workload.builders.body import Body, Source, linear, normed, residual
from hwsim.workload.model import Formats, Pass
from hwsim.workload.op import Op, Operand
from hwsim.workload.ops import attention, elementwise, embedding, softmax, with_sinks

__all__ = [
    "AttentionShape",
    "MlpShape",
    "MoeShape",
    "add_attention",
    "add_mlp",
    "add_moe",
    "experts_touched",
    "head_norm",
]


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """Shape of an attention block (fields as :class:`hwsim.workload.model.TransformerModel`).

    ``norm_last``: the sum with the residual stream is normed, and not what enters the block (Vaswani et al. 2017).
    """

    d_model: int
    heads: int
    kv_heads: int
    head_dim: int
    norm: str = "rmsnorm"
    rope: bool = True
    qkv_bias: bool = False
    output_bias: bool = False
    fused_qkv: bool = False
    qk_norm: bool = False
    window: int = 0
    causal: bool = True
    post_norm: bool = False
    sinks: bool = False
    layer_scale: bool = False
    gate: bool = False
    norm_last: bool = False


@dataclass(frozen=True, slots=True)
class MlpShape:
    """Shape of an MLP block (fields as :class:`hwsim.workload.model.TransformerModel`)."""

    d_model: int
    d_ff: int
    norm: str = "rmsnorm"
    gated: bool = True
    activation: str = "silu"
    bias: bool = False
    post_norm: bool = False
    layer_scale: bool = False
    norm_last: bool = False


@dataclass(frozen=True, slots=True)
class MoeShape:
    """Shape of a mixture of experts, each of them a gated MLP (fields as the model families')."""

    d_model: int
    d_ff: int
    experts: int
    per_token: int
    norm: str = "rmsnorm"
    activation: str = "silu"
    bias: bool = False
    post_norm: bool = False
    shared_d_ff: int = 0
    shared_gate: bool = False
    router: str = "softmax"


def add_attention(body: Body, shape: AttentionShape, formats: Formats, pass_: Pass, stream: Source) -> str:
    """Add an attention block to a layer; returns the name of its last op.

    What produces keys and values writes them to the cache; attention reads the whole cache, the new positions included.
    Rotary embedding of queries and keys is one op, as in the libraries' kernels.
    """
    rows, block = pass_.rows, "attention"
    q_width, kv_width = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    entering = _open(body, "attn", block, shape, formats, pass_, stream)
    q, k, v = _project(body, shape, formats, rows, entering)
    if shape.qk_norm:
        q = body.add("q_norm", block, head_norm("rmsnorm", rows, shape.heads, shape.head_dim, formats), x=q)
        k = body.add("k_norm", block, head_norm("rmsnorm", rows, shape.kv_heads, shape.head_dim, formats), x=k)
    if shape.rope:
        body.add("rope", block, _rope(rows, q_width, kv_width, formats), q=q, k=k)
        q, k = ("rope", 0, q_width), ("rope", q_width, q_width + kv_width)
    causal_phase = "decode" if pass_.phase == "decode" else "prefill"
    core = attention(
        causal_phase if shape.causal else "bidirectional",
        pass_.batch,
        shape.heads,
        shape.kv_heads,
        pass_.tokens,
        pass_.context + pass_.tokens,
        shape.head_dim,
        formats.flowing,
        formats.kv_format if shape.causal else formats.flowing,
        shape.window,
    )
    body.add("attention", block, with_sinks(core, formats.vectors) if shape.sinks else core, q=q, k=k, v=v)
    out = linear(rows, shape.d_model, q_width, formats, shape.output_bias)
    mixed = "attention"
    if shape.gate:
        op = elementwise("sigmoid_mul", rows, q_width, formats.flowing)
        mixed = body.add("attn_gate", block, op, gate=("q_proj", q_width, 2 * q_width), up="attention")
    given = body.add("o_proj", block, out, a=mixed)
    return _close(body, "attn", block, shape, given, formats, pass_, stream)


def _open(
    body: Body,
    name: str,
    block: str,
    shape: AttentionShape | MlpShape,
    formats: Formats,
    pass_: Pass,
    stream: Source,
) -> Source:
    """Add the norm of what enters a block; returns what its first products take."""
    if shape.norm_last:
        return stream
    return body.add(f"{name}_norm", block, normed(shape.norm, pass_.rows, shape.d_model, formats), x=stream)


def _close(
    body: Body,
    name: str,
    block: str,
    shape: AttentionShape | MlpShape | MoeShape,
    given: str,
    formats: Formats,
    pass_: Pass,
    stream: Source,
) -> str:
    """Add what stands between a block's last product and the residual stream, and the addition to it."""
    rows, d = pass_.rows, shape.d_model
    if shape.post_norm:
        given = body.add(f"{name}_post_norm", block, normed(shape.norm, rows, d, formats), x=given)
    if not isinstance(shape, MoeShape) and shape.layer_scale:
        scale = elementwise("channel_scale", rows, d, formats.flowing, weight_dtype=formats.vectors)
        given = body.add(f"{name}_scale", block, scale, x=given)
    last = body.add(f"{name}_residual", block, residual(rows, d, formats), x=given, y=stream)
    if not isinstance(shape, MoeShape) and shape.norm_last:
        last = body.add(f"{name}_norm", block, normed(shape.norm, rows, d, formats), x=last)
    return last


def _project(
    body: Body, shape: AttentionShape, formats: Formats, rows: int, entering: Source
) -> tuple[Source, Source, Source]:
    """Add the query, key and value projections; returns where each comes out."""
    q_width, kv_width = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    if shape.fused_qkv:
        fused = linear(rows, q_width + 2 * kv_width, shape.d_model, formats, shape.qkv_bias)
        name = body.add("qkv_proj", "attention", fused, a=entering)
        middle = q_width + kv_width
        return (name, 0, q_width), (name, q_width, middle), (name, middle, middle + kv_width)
    both = q_width * (2 if shape.gate else 1)
    for name, width in (("q_proj", both), ("k_proj", kv_width), ("v_proj", kv_width)):
        body.add(name, "attention", linear(rows, width, shape.d_model, formats, shape.qkv_bias), a=entering)
    return ("q_proj", 0, q_width) if shape.gate else "q_proj", "k_proj", "v_proj"


def head_norm(kind: str, rows: int, heads: int, head_dim: int, formats: Formats) -> Op:
    """A norm of every head on its own: rows x heads rows of head_dim; edges see it as rows x (heads * head_dim)."""
    op = normed(kind, rows * heads, head_dim, formats)
    return replace(op, attributes=op.attributes.replace(heads=heads))


def _rope(rows: int, q_width: int, kv_width: int, formats: Formats) -> Op:
    """Rotary embedding of queries and keys; the output holds both, queries first."""
    op = elementwise("rope", rows, q_width + kv_width, formats.flowing)
    row, format_ = (("tokens", 1),), formats.flowing
    q = Operand("q", "activation", (row, (("q_width", 1),)), format_)
    k = Operand("k", "activation", (row, (("kv_width", 1),)), format_)
    return replace(op, dims=op.dims.replace(q_width=q_width, kv_width=kv_width), operands=(q, k, op.output))


def add_mlp(body: Body, shape: MlpShape, formats: Formats, pass_: Pass, stream: Source) -> str:
    """Add an MLP block to a layer; returns the name of its last op."""
    rows, d, inner, block = pass_.rows, shape.d_model, shape.d_ff, "mlp"
    entering = _open(body, "mlp", block, shape, formats, pass_, stream)
    if shape.gated:
        body.add("gate_proj", block, linear(rows, inner, d, formats, shape.bias), a=entering)
    body.add("up_proj", block, linear(rows, inner, d, formats, shape.bias), a=entering)
    _activate(body, block, shape.gated, shape.activation, rows, inner, formats)
    body.add("down_proj", block, linear(rows, d, inner, formats, shape.bias), a="mlp_act")
    return _close(body, "mlp", block, shape, "down_proj", formats, pass_, stream)


def _activate(
    body: Body, block: str, gated: bool, activation: str, rows: int, width: int, formats: Formats, of: str = ""
) -> str:
    """Add the activation of an MLP; ``of`` stands before the names of another than a layer's own."""
    op = elementwise(f"{activation}_mul" if gated else activation, rows, width, formats.flowing)
    up = f"{of}up_proj"
    inputs: dict[str, Source] = {"gate": f"{of}gate_proj", "up": up} if gated else {"x": up}
    return body.add(f"{of}mlp_act", block, op, **inputs)


def add_moe(body: Body, shape: MoeShape, formats: Formats, pass_: Pass, stream: Source) -> str:
    """Add a mixture of experts to a layer; returns the name of its last op.

    Every token visits ``per_token`` experts, so the products have rows * per_token rows. Of the weights, those of the
    experts that some token visits are read (:func:`experts_touched`); all of them are parameters.
    """
    rows, d, inner, block = pass_.rows, shape.d_model, shape.d_ff, "moe"
    picked = shape.per_token
    body.add("mlp_norm", block, normed(shape.norm, rows, d, formats), x=stream)
    router = linear(rows, shape.experts, d, formats.of_router, shape.bias, out_dtype=formats.flowing)
    body.add("router", block, router, a="mlp_norm")
    scores = body.add(f"router_{shape.router}", block, _scores(rows, shape, formats), x="router")
    topk = elementwise("topk", rows, picked, formats.flowing, read_elems=shape.experts)
    body.add("router_topk", block, topk, x=scores)
    body.add("dispatch", block, _dispatch(rows, picked, d, formats), table="mlp_norm", choice="router_topk")
    for name in ("gate_proj", "up_proj"):
        body.add(name, block, _expert_linear(rows, inner, d, shape, formats), a="dispatch")
    _activate(body, block, True, shape.activation, rows * picked, inner, formats)
    body.add("down_proj", block, _expert_linear(rows, d, inner, shape, formats), a="mlp_act")
    shared = _add_shared(body, shape, formats, rows) if shape.shared_d_ff else {}
    combine = _combine(rows, picked, d, formats, tuple(shared))
    body.add("combine", block, combine, x="down_proj", weights="router_topk", **shared)
    return _close(body, "mlp", block, shape, "combine", formats, pass_, stream)


def _scores(rows: int, shape: MoeShape, formats: Formats) -> Op:
    """What experts are chosen by: a softmax, or sigmoids with a trained number for each expert (DeepSeek-V3)."""
    if shape.router == "softmax":
        return softmax(rows, shape.experts, dtype=formats.flowing)
    return elementwise("sigmoid_bias", rows, shape.experts, formats.flowing, weight_dtype=formats.vectors)


def _add_shared(body: Body, shape: MoeShape, formats: Formats, rows: int) -> dict[str, Source]:
    """Add the MLP that every token visits, and its gate; returns the operands of the sum that it goes into."""
    d, inner, block = shape.d_model, shape.shared_d_ff, "moe"
    for name in ("shared_gate_proj", "shared_up_proj"):
        body.add(name, block, linear(rows, inner, d, formats), a="mlp_norm")
    act = _activate(body, block, True, shape.activation, rows, inner, formats, "shared_")
    given: dict[str, Source] = {"shared": body.add("shared_down_proj", block, linear(rows, d, inner, formats), a=act)}
    if shape.shared_gate:
        given["shared_gate"] = body.add("shared_gate", block, linear(rows, 1, d, formats), a="mlp_norm")
    return given


def experts_touched(experts: int, per_token: int, tokens: int) -> int:
    """Distinct experts that ``tokens`` tokens visit, each choosing ``per_token`` at random, to the nearest integer.

    A token misses a given expert with probability 1 - per_token/experts, so the expected number is
    ``experts * (1 - (1 - per_token/experts) ** tokens)``: exactly ``per_token`` for one token, in the limit all.
    Trained routers are close to balanced (arXiv 2401.04088 section 5), so real batches touch slightly fewer.
    """
    expected = experts * (1 - (1 - per_token / experts) ** tokens)
    return min(experts, max(per_token, int(expected + 0.5)))


def _expert_linear(rows: int, n: int, k: int, shape: MoeShape, formats: Formats) -> Op:
    """One product over the rows of all experts; the dimension ``expert`` numbers the weight matrices that are read.

    Its attributes say of how many, and how many experts a token visits (``picked``).
    """
    op = linear(rows * shape.per_token, n, k, formats.of_experts)
    a, b, out = op.operands
    experts = replace(b, axes=((("expert", 1),), *b.axes[1:]), resident=shape.experts * n * k)
    touched = experts_touched(shape.experts, shape.per_token, rows)
    attributes = op.attributes.replace(experts=shape.experts, picked=shape.per_token)
    operands: tuple[Operand, ...] = (a, experts, out)
    if shape.bias:
        bias = Operand("bias", "weight", ((("expert", 1),), (("n", 1),)), formats.vectors, resident=shape.experts * n)
        operands, attributes = (a, experts, bias, out), attributes.replace(bias=True)
    return replace(op, dims=op.dims.replace(expert=touched), operands=operands, attributes=attributes)


def _dispatch(rows: int, picked: int, width: int, formats: Formats) -> Op:
    """A copy of each row for each expert that it visits."""
    op = embedding(rows, width, rows, formats.flowing, learned=False)
    table, out = op.operands
    copies = ((("tokens", picked), ("picked", 1)), (("width", 1),))
    choice = Operand("choice", "activation", ((("tokens", 1),), (("picked", 1),)), formats.flowing)
    operands = (replace(table, axes=copies), choice, replace(out, axes=copies))
    return replace(op, dims=op.dims.replace(picked=picked), operands=operands)


def _combine(rows: int, picked: int, width: int, formats: Formats, beside: tuple[str, ...] = ()) -> Op:
    """The weighted sum of the rows that the experts gave back for each token.

    ``beside``: ``shared``, a row of each token that is added, and ``shared_gate``, what scales it.
    """
    op = elementwise("weighted_sum", rows, width, formats.flowing)
    copies = ((("tokens", picked), ("picked", 1)), (("width", 1),))
    x = Operand("x", "activation", copies, formats.flowing)
    weights = Operand("weights", "activation", ((("tokens", 1),), (("picked", 1),)), formats.flowing)
    row, one = (("tokens", 1),), (("width", 1),)
    more = [Operand(name, "activation", (row, one) if name == "shared" else (row,), formats.flowing) for name in beside]
    attributes = op.attributes.replace(ops_per_element=2 * picked + len(beside))
    dims = op.dims.replace(picked=picked)
    return replace(op, dims=dims, operands=(x, weights, *more, op.output), attributes=attributes)
