"""Gated delta rules (arXiv 2412.06464) as layers of Qwen3-Next: `Qwen3NextGatedDeltaNet` of the `transformers` package.

Letters: d = d_model, K = key_heads * key_dim, V = value_heads * value_dim. ``[q, k, v, z] = in_proj(rmsnorm(u))`` with
K + K + V + V columns, ``[b, a] = ba_proj(..)`` with one of each per value head; the convolution with SiLU runs over
``[q, k, v]``; then the rule with decay ``-exp(A) * softplus(a + bias)`` and strength ``sigmoid(b)``, a gated norm of
every head on its own, out_proj, and the residual addition. Queries and keys are normed within the rule's kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from hwsim.workload.builders.body import Body, Source, linear, normed, residual
from hwsim.workload.builders.layers import head_norm
from hwsim.workload.builders.recurrent import convolution, recurrence
from hwsim.workload.model import Formats, Pass
from hwsim.workload.ops import elementwise

__all__ = ["DeltaShape", "add_delta"]

_CHUNK: Final = 64
"""Tokens per chunk of a prompt (flash-linear-attention, ``chunk_gated_delta_rule``)."""
_GATE_OPS: Final = 3
"""A sigmoid: exponential, add, reciprocal."""


@dataclass(frozen=True, slots=True)
class DeltaShape:
    """Shape of a mixer of gated delta rules (fields as :class:`hwsim.workload.model.HybridModel`)."""

    d_model: int
    key_heads: int
    key_dim: int
    value_heads: int
    value_dim: int
    d_conv: int
    conv_bias: bool


def add_delta(body: Body, shape: DeltaShape, formats: Formats, pass_: Pass, stream: Source) -> str:
    """Add a mixer with its norm and residual addition to a layer; returns the name of its last op."""
    rows, d, heads, block = pass_.rows, shape.d_model, shape.value_heads, "gdn"
    keys, values = shape.key_heads * shape.key_dim, heads * shape.value_dim
    mixed = 2 * keys + values
    body.add("norm", block, normed("rmsnorm", rows, d, formats), x=stream)
    body.add("in_proj", block, linear(rows, mixed + values, d, formats), a="norm")
    body.add("ba_proj", block, linear(rows, 2 * heads, d, formats), a="norm")
    conv = convolution(shape.d_conv, mixed, shape.conv_bias, formats, pass_)
    body.add("conv1d", block, conv, x=("in_proj", 0, mixed))
    softplus = elementwise("softplus_bias", rows, heads, formats.flowing, weight_dtype=formats.vectors)
    body.add("dt_softplus", block, softplus, x=("ba_proj", heads, 2 * heads))
    decay = elementwise("channel_scale", rows, heads, formats.flowing, weight_dtype=formats.vectors)
    body.add("decay", block, decay, x="dt_softplus")
    strength = elementwise("map", rows, heads, formats.flowing)
    strength = replace(strength, attributes=strength.attributes.replace(ops_per_element=_GATE_OPS))
    body.add("strength", block, strength, x=("ba_proj", 0, heads))
    sizes = (heads, shape.value_dim, shape.key_dim, shape.key_heads)
    rule = recurrence("gdn", sizes, _CHUNK, formats, pass_)
    body.add(
        "scan",
        block,
        rule,
        q=("conv1d", 0, keys),
        k=("conv1d", keys, 2 * keys),
        v=("conv1d", 2 * keys, mixed),
        a="decay",
        b="strength",
    )
    gated = head_norm("gated_rmsnorm", rows, heads, shape.value_dim, formats)
    body.add("head_norm", block, gated, x="scan", z=("in_proj", mixed, mixed + values))
    body.add("out_proj", block, linear(rows, d, values, formats), a="head_norm")
    return body.add("residual", block, residual(rows, d, formats), x="out_proj", y=stream)
