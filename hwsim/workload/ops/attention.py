"""Attention over keys and values."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.named import Named
from hwsim.workload.op import Op, Operand, Role
from hwsim.workload.ops.checks import attributes_of, axis, check, choice, dims_of, formats_known, tensor
from hwsim.workload.ops.linear import sparse_form

__all__ = ["attention", "rope_apart", "with_sinks"]

PHASES = ("prefill", "decode", "bidirectional")


def attention(
    phase: str,
    batch: int,
    heads: int,
    kv_heads: int,
    q_len: int,
    kv_len: int,
    head_dim: int,
    dtype: str = "bf16",
    kv_dtype: str | None = None,
    window: int = 0,
    kernel: str = "auto",
    sparsity: float = 0.0,
    v_head_dim: int = 0,
    latent: int = 0,
) -> Op:
    """Scaled dot-product attention; ``kv_heads`` below ``heads`` is grouped-query attention.

    The dimensions ``kv_heads`` x ``group`` are the heads; ``kv_len`` as a dimension counts the positions that some
    query sees (the window bounds it), as an attribute all of them.

    Args:
        phase: prefill and decode are causal, with the queries last among ``kv_len`` positions; a decode of several
            queries is a chain. bidirectional sees everything.
        batch: sequences.
        heads: query heads.
        kv_heads: heads of keys and values; divides ``heads``.
        q_len: new tokens per sequence.
        kv_len: positions per sequence, the new tokens included.
        head_dim: elements of a head's query and of its key.
        dtype: format of queries and result.
        kv_dtype: format of keys and values; default ``dtype``.
        window: positions that a query sees at most, itself included; 0 for no limit.
        kernel: name of the kernel that the machine shall use.
        sparsity: fraction of keys and values that is zero and not stored.
        v_head_dim: elements of a head's value; 0 for as many as ``head_dim``.
        latent: 1 where values are the first ``v_head_dim`` elements of the keys, read once for both (the latents of
            multi-head latent attention); else 0.

    Raises:
        HwsimError: a dimension, format or choice makes no sense.
    """
    where = "attention"
    choice(where, "phase", phase, PHASES)
    dims_of(where, heads=heads, kv_heads=kv_heads, kv_len=kv_len)
    check(heads % kv_heads == 0, where, f"kv_heads={kv_heads}", f"a divisor of heads={heads}")
    check(window >= 0, where, f"window={window}", "0 (no window) or more")
    causal = phase != "bidirectional"
    check(
        not causal or q_len <= kv_len, where, f"q_len={q_len}", f"at most kv_len={kv_len}, which counts the new tokens"
    )
    check(causal or window == 0, where, f"window={window} with phase=bidirectional", "window=0")
    value = _value_width(where, head_dim, v_head_dim, latent)
    kv_format = kv_dtype or dtype
    formats_known(where, dtype, kv_format)
    seen = min(kv_len, window + q_len - 1) if window else kv_len
    group = heads // kv_heads
    dims = dims_of(where, batch=batch, kv_heads=kv_heads, group=group, q_len=q_len, kv_len=seen, head_dim=head_dim)
    width = "head_dim"
    if value != head_dim or latent:
        dims, width = Named({**dims, **dims_of(where, v_head_dim=value)}), "v_head_dim"
    head = axis(("kv_heads", group), "group")
    density, form = sparse_form(where, sparsity, "none")
    kv_role: Role = "cache" if causal else "activation"
    position = (axis("batch"), axis("kv_len"), axis("kv_heads"))
    keys = Operand("k", kv_role, (*position, axis("head_dim")), kv_format, density, form)
    values = Operand("v", kv_role, (*position, axis(width)), kv_format, density, form)
    attributes = attributes_of(phase=phase, heads=heads, kv_len=kv_len, window=window, kernel=kernel)
    return Op(
        "attention",
        "attention",
        dims,
        (
            tensor("q", "activation", dtype, "batch", "q_len", head, "head_dim"),
            *((keys,) if latent else (keys, values)),
            tensor("out", "output", dtype, "batch", "q_len", head, width),
        ),
        attributes if not latent else attributes.replace(latent=True),
    )


def _value_width(where: str, head_dim: int, v_head_dim: int, latent: int) -> int:
    """Elements of a value."""
    value = v_head_dim or head_dim
    check(latent in (0, 1), where, f"latent={latent}", "0 or 1")
    check(not latent or value <= head_dim, where, f"v_head_dim={value} with latent=1", f"at most head_dim={head_dim}")
    return value


def rope_apart(op: Op, rope_dim: int) -> Op:
    """Attention whose queries come in two tensors, the rotated elements of each head in one of their own.

    So do the keys of latents, whose rotated elements have no head and are no values: the caches of latents and of
    rotated keys that DeepSeek's own code has.
    """
    dims = op.dims.replace(rope_dim=rope_dim, plain_dim=op.dims["head_dim"] - rope_dim)
    operands: list[Operand] = []
    for each in op.operands:
        if each.name == "q" or (each.name == "k" and op.attributes.get("latent")):
            lead = each.axes[:-1]
            operands.append(replace(each, axes=(*lead, axis("plain_dim"))))
            operands.append(replace(each, name=f"{each.name}_rope", axes=(*lead, axis("rope_dim"))))
        else:
            operands.append(each)
    return replace(op, dims=dims, operands=tuple(operands))


def with_sinks(op: Op, format_: str) -> Op:
    """Attention with one learned logit per head, which takes part in the softmax and adds no value (gpt-oss)."""
    heads = axis(("kv_heads", op.dims["group"]), "group")
    operands = (*op.operands[:-1], tensor("sinks", "weight", format_, heads), op.output)
    return replace(op, operands=operands, attributes=op.attributes.replace(sinks=True))
