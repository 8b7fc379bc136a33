"""Attention over keys and values."""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.op import Op, Operand, Role
from hwsim.workload.ops.checks import attributes_of, axis, check, choice, dims_of, formats_known, tensor
from hwsim.workload.ops.linear import sparse_form

__all__ = ["attention", "with_sinks"]

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
        head_dim: elements per head.
        dtype: format of queries and result.
        kv_dtype: format of keys and values; default ``dtype``.
        window: positions that a query sees at most, itself included; 0 for no limit.
        kernel: name of the kernel that the machine shall use.
        sparsity: fraction of keys and values that is zero and not stored.

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
    kv_format = kv_dtype or dtype
    formats_known(where, dtype, kv_format)
    seen = min(kv_len, window + q_len - 1) if window else kv_len
    group = heads // kv_heads
    dims = dims_of(where, batch=batch, kv_heads=kv_heads, group=group, q_len=q_len, kv_len=seen, head_dim=head_dim)
    head = axis(("kv_heads", group), "group")
    density, form = sparse_form(where, sparsity, "none")
    kv_role: Role = "cache" if causal else "activation"
    kv_axes = (axis("batch"), axis("kv_len"), axis("kv_heads"), axis("head_dim"))
    return Op(
        "attention",
        "attention",
        dims,
        (
            tensor("q", "activation", dtype, "batch", "q_len", head, "head_dim"),
            Operand("k", kv_role, kv_axes, kv_format, density, form),
            Operand("v", kv_role, kv_axes, kv_format, density, form),
            tensor("out", "output", dtype, "batch", "q_len", head, "head_dim"),
        ),
        attributes_of(phase=phase, heads=heads, kv_len=kv_len, window=window, kernel=kernel),
    )


def with_sinks(op: Op, format_: str) -> Op:
    """Attention with one learned logit per head, which takes part in the softmax and adds no value (gpt-oss)."""
    heads = axis(("kv_heads", op.dims["group"]), "group")
    operands = (*op.operands[:-1], tensor("sinks", "weight", format_, heads), op.output)
    return replace(op, operands=operands, attributes=op.attributes.replace(sinks=True))
