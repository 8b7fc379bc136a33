"""Multi-head latent attention (arXiv 2405.04434 section 2.1; DeepSeek-V2 and V3, Kimi K2).

Keys and values of all heads are products of one latent per token, which is all that the cache keeps, with one rotated
key for all heads beside it. Letters: r = kv_lora_rank, n = qk_nope_head_dim, p = qk_rope_head_dim, v = v_head_dim.

Expanded: ``kv_b_proj`` gives each head its n key and v value elements, attention multiplies keys of n + p and values of
v. Absorbed: that product's halves move over to queries (``k_b_proj``, n to r for each head) and to what attention gives
(``v_b_proj``, r to v), and attention multiplies all heads' queries with the r + p elements of the cache, whose first r
are the values too. Both are in DeepSeek's own code (``attn_impl`` naive and absorb); GGUF files name the halves so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.workload.builders.body import Body, Source, linear, normed, residual
from hwsim.workload.model import Formats, Pass
from hwsim.workload.op import Op, Operand
from hwsim.workload.ops import attention, elementwise, rope_apart

__all__ = ["LatentShape", "add_latent"]

_BLOCK = "attention"


@dataclass(frozen=True, slots=True)
class LatentShape:
    """Shape of a block of latent attention (fields as :class:`hwsim.workload.model.TransformerModel`)."""

    d_model: int
    heads: int
    kv_lora_rank: int
    q_lora_rank: int
    nope: int
    rope: int
    value: int
    norm: str
    bias: bool
    output_bias: bool
    absorb: str

    def expands(self, pass_: Pass) -> bool:
        """Whether a pass gives each head its keys and values: a whole prompt does, by default."""
        if self.absorb == "decode":
            return pass_.phase == "prefill" and not pass_.context
        return self.absorb == "never"


def add_latent(body: Body, shape: LatentShape, formats: Formats, pass_: Pass, stream: Source) -> str:
    """Add a block of latent attention to a layer; returns the name of its last op."""
    rows, d, heads, rank = pass_.rows, shape.d_model, shape.heads, shape.kv_lora_rank
    plain, turned = heads * shape.nope, heads * shape.rope
    body.add("attn_norm", _BLOCK, normed(shape.norm, rows, d, formats), x=stream)
    q = _project(body, shape, formats, rows)
    body.add("kv_a_norm", _BLOCK, normed("rmsnorm", rows, rank, formats), x=("kv_a_proj", 0, rank))
    key = ("kv_a_proj", rank, rank + shape.rope)
    body.add("rope", _BLOCK, _rope(rows, turned, shape.rope, formats), q=(q, plain, plain + turned), k=key)
    mixed = (_expanded if shape.expands(pass_) else _absorbed)(body, shape, formats, pass_, q)
    out = linear(rows, d, heads * shape.value, formats, shape.output_bias)
    given = body.add("o_proj", _BLOCK, out, a=mixed)
    return body.add("attn_residual", _BLOCK, residual(rows, d, formats), x=given, y=stream)


def _project(body: Body, shape: LatentShape, formats: Formats, rows: int) -> str:
    """Add the products down to latents, and that up to queries; returns the name of the last: plain, then rotated."""
    d, wide = shape.d_model, shape.heads * (shape.nope + shape.rope)
    down = linear(rows, shape.kv_lora_rank + shape.rope, d, formats, shape.bias)
    if not shape.q_lora_rank:
        body.add("q_proj", _BLOCK, linear(rows, wide, d, formats), a="attn_norm")
        body.add("kv_a_proj", _BLOCK, down, a="attn_norm")
        return "q_proj"
    body.add("q_a_proj", _BLOCK, linear(rows, shape.q_lora_rank, d, formats, shape.bias), a="attn_norm")
    body.add("kv_a_proj", _BLOCK, down, a="attn_norm")
    body.add("q_a_norm", _BLOCK, normed("rmsnorm", rows, shape.q_lora_rank, formats), x="q_a_proj")
    return body.add("q_b_proj", _BLOCK, linear(rows, wide, shape.q_lora_rank, formats), a="q_a_norm")


def _absorbed(body: Body, shape: LatentShape, formats: Formats, pass_: Pass, q: str) -> str:
    """Attention of all heads over the latents; returns what gives the heads' values."""
    heads, rank, turned = shape.heads, shape.kv_lora_rank, shape.heads * shape.rope
    up = _per_head(pass_.rows, heads, rank, shape.nope, formats)
    body.add("k_b_proj", _BLOCK, up, a=(q, 0, heads * shape.nope))
    core = _core(pass_, heads, 1, rank + shape.rope, formats.flowing, formats.kv_format, rank, 1)
    body.add(
        "attention",
        _BLOCK,
        rope_apart(core, shape.rope),
        q="k_b_proj",
        q_rope=("rope", 0, turned),
        k="kv_a_norm",
        k_rope=("rope", turned, turned + shape.rope),
    )
    return body.add("v_b_proj", _BLOCK, _per_head(pass_.rows, heads, shape.value, rank, formats), a="attention")


def _expanded(body: Body, shape: LatentShape, formats: Formats, pass_: Pass, q: str) -> str:
    """Attention of each head over keys and values of its own; the cache keeps these only where nothing is absorbed."""
    rows, heads, plain, turned = pass_.rows, shape.heads, shape.heads * shape.nope, shape.heads * shape.rope
    values = heads * shape.value
    body.add("kv_b_proj", _BLOCK, linear(rows, plain + values, shape.kv_lora_rank, formats), a="kv_a_norm")
    one_key = ("rope", turned, turned + shape.rope)
    body.add("k_concat", _BLOCK, _concat(rows, shape, formats), x=("kv_b_proj", 0, plain), rope=one_key)
    keeps_latents = shape.absorb != "never"
    kv_format = formats.flowing if keeps_latents else formats.kv_format
    core = _core(pass_, heads, heads, shape.nope + shape.rope, formats.flowing, kv_format, shape.value, 0)
    if keeps_latents:
        latents = _cache_write(rows, shape, formats)
        body.add("cache_write", _BLOCK, latents, x="kv_a_norm", rope=one_key)
        flowing = (replace(each, role="activation") if each.role == "cache" else each for each in core.operands)
        core = replace(core, operands=tuple(flowing))
    return body.add(
        "attention",
        _BLOCK,
        rope_apart(core, shape.rope),
        q=(q, 0, plain),
        q_rope=("rope", 0, turned),
        k="k_concat",
        v=("kv_b_proj", plain, plain + values),
    )


def _core(pass_: Pass, heads: int, kv_heads: int, key: int, dtype: str, kv_dtype: str, value: int, latent: int) -> Op:
    phase = "decode" if pass_.phase == "decode" else "prefill"
    positions = pass_.context + pass_.tokens
    return attention(
        phase, pass_.batch, heads, kv_heads, pass_.tokens, positions, key, dtype, kv_dtype, v_head_dim=value,
        latent=latent,
    )  # fmt: skip


def _per_head(rows: int, heads: int, n: int, k: int, formats: Formats) -> Op:
    """A product of each head's columns with weights of its own; edges see rows x (heads * columns)."""
    op = linear(rows, n, k, formats)
    return replace(op, dims=op.dims.replace(batch=heads), attributes=op.attributes.replace(heads=heads))


def _rope(rows: int, q_width: int, k_width: int, formats: Formats) -> Op:
    """Rotary embedding of the rotated elements of all queries and of the one key; the output holds both."""
    op = elementwise("rope", rows, q_width + k_width, formats.flowing)
    q, k = (_columns(name, width, formats.flowing) for name, width in (("q", "q_width"), ("k", "k_width")))
    return replace(op, dims=op.dims.replace(q_width=q_width, k_width=k_width), operands=(q, k, op.output))


def _concat(rows: int, shape: LatentShape, formats: Formats) -> Op:
    """Each head's key elements with the rotated ones of the token behind them."""
    width = shape.heads * (shape.nope + shape.rope)
    op = elementwise("copy", rows, width, formats.flowing)
    x, rope = _columns("x", "kv_width", formats.flowing), _columns("rope", "rope_dim", formats.flowing)
    dims = op.dims.replace(kv_width=shape.heads * shape.nope, rope_dim=shape.rope)
    return replace(op, dims=dims, operands=(x, rope, op.output))


def _cache_write(rows: int, shape: LatentShape, formats: Formats) -> Op:
    """What the cache keeps of a prompt: latents and rotated keys."""
    op = elementwise("copy", rows, shape.kv_lora_rank + shape.rope, formats.flowing)
    x, rope = _columns("x", "latent_dim", formats.flowing), _columns("rope", "rope_dim", formats.flowing)
    dims = op.dims.replace(latent_dim=shape.kv_lora_rank, rope_dim=shape.rope)
    return replace(op, dims=dims, operands=(x, rope, replace(op.output, role="cache", format=formats.kv_format)))


def _columns(name: str, dim: str, format_: str) -> Operand:
    return Operand(name, "activation", ((("tokens", 1),), ((dim, 1),)), format_)
