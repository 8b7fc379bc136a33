"""Linear attention (arXiv 2006.16236) as layers: `LinearAttention` of the flash-linear-attention package.

Queries, keys and values come from three products as in a transformer; a feature map makes queries and keys positive;
``h = h + v*k, y = h.q`` with a state of head_dim x head_dim for each head; a norm of every head on its own, o_proj, and
the residual addition. There are no positions: the recurrence has an order of its own.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.workload.builders.body import Body, Source, linear, normed, residual
from hwsim.workload.builders.layers import head_norm
from hwsim.workload.builders.recurrent import recurrence
from hwsim.workload.model import Formats, Pass
from hwsim.workload.ops import elementwise

__all__ = ["add_linear_attention"]

_CHUNK = 64
"""Tokens per chunk of a prompt (flash-linear-attention, ``chunk_linear_attn``)."""
_FEATURE_OPS = 3
"""elu(x) + 1: exponential, compare, add."""


def add_linear_attention(body: Body, sizes: tuple[int, int, int], formats: Formats, pass_: Pass, stream: Source) -> str:
    """Add a mixer with its norm and residual addition to a layer; returns the name of its last op.

    Args:
        body: the layer.
        sizes: d_model, heads, elements per head.
        formats: of the model.
        pass_: what is run.
        stream: what enters the layer.
    """
    d, heads, head_dim = sizes
    rows, width, block = pass_.rows, heads * head_dim, "linear"
    body.add("norm", block, normed("rmsnorm", rows, d, formats), x=stream)
    for name in ("q_proj", "k_proj", "v_proj"):
        body.add(name, block, linear(rows, width, d, formats), a="norm")
    for name, source in (("q_features", "q_proj"), ("k_features", "k_proj")):
        features = elementwise("map", rows, width, formats.flowing)
        features = replace(features, attributes=features.attributes.replace(ops_per_element=_FEATURE_OPS))
        body.add(name, block, features, x=source)
    scan = recurrence("linear", (heads, head_dim, head_dim, heads), _CHUNK, formats, pass_)
    body.add("scan", block, scan, q="q_features", k="k_features", v="v_proj")
    body.add("head_norm", block, head_norm("rmsnorm", rows, heads, head_dim, formats), x="scan")
    body.add("o_proj", block, linear(rows, d, width, formats), a="head_norm")
    return body.add("residual", block, residual(rows, d, formats), x="o_proj", y=stream)
