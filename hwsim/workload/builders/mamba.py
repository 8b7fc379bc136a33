"""Mamba-1 and Mamba-2 layers (state-spaces/mamba ``mamba_simple.py`` and ``mamba2.py``).

Letters: d = d_model, e = d_inner = expand * d, N = d_state, H = heads, P = head_dim, G = groups, R = dt_rank.

Mamba-2: ``[z, x, B, C, dt] = in_proj(rmsnorm(u))`` with e + e + G*N + G*N + H columns; the convolution with SiLU runs
over ``[x, B, C]``; then the scan, ``rmsnorm(y * silu(z))``, out_proj, and the residual addition. Mamba-1:
``[x, z] = in_proj(..)``, the convolution over x, ``[dt, B, C] = x_proj(x)`` with R + N + N columns, dt_proj, the scan,
``y * silu(z)``, out_proj. The skip ``D * x`` and ``exp(dt * A)`` belong to the scan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.workload.builders.body import STREAM, Body, Ends, Source, language_model, linear, normed, residual
from hwsim.workload.builders.recurrent import convolution, recurrence
from hwsim.workload.graph import Graph
from hwsim.workload.model import Formats, Mamba1Model, Mamba2Model, Pass
from hwsim.workload.op import Op
from hwsim.workload.ops import elementwise

__all__ = ["Mamba1Shape", "Mamba2Shape", "add_mamba1", "add_mamba2", "build"]


@dataclass(frozen=True, slots=True)
class Mamba1Shape:
    """Shape of a Mamba-1 mixer; ``norms`` adds norms of dt, B and C, with Jamba's ``gains`` or Falcon-Mamba's ones.

    Letters: see the module.
    """

    d_model: int
    d_inner: int
    d_state: int
    d_conv: int
    dt_rank: int
    conv_bias: bool = True
    norms: bool = False
    gains: bool = True


@dataclass(frozen=True, slots=True)
class Mamba2Shape:
    """Shape of a Mamba-2 mixer; without ``gated_norm`` its output is ``y * silu(z)``. Letters: see the module."""

    d_model: int
    d_inner: int
    d_state: int
    d_conv: int
    head_dim: int
    groups: int
    chunk: int
    conv_bias: bool = True
    gated_norm: bool = True


def build(model: Mamba1Model | Mamba2Model, formats: Formats, pass_: Pass) -> Graph:
    """The graph of one pass. Without ``pass_.lm_head`` it is the layers alone."""
    body = Body()
    if isinstance(model, Mamba1Model):
        one = Mamba1Shape(
            model.d_model,
            model.d_inner,
            model.d_state,
            model.d_conv,
            model.rank,
            model.conv_bias,
            norms=model.ssm_norms,
            gains=False,
        )
        add_mamba1(body, one, formats, pass_, STREAM)
    else:
        two = Mamba2Shape(
            model.d_model,
            model.d_inner,
            model.d_state,
            model.d_conv,
            model.head_dim,
            model.groups,
            model.chunk,
            model.conv_bias,
        )
        add_mamba2(body, two, formats, pass_, STREAM)
    ends = Ends(model.d_model, model.vocab, model.tied_head)
    return language_model(Graph(model.family), [body] * model.layers, ends, formats, pass_)


def add_mamba2(body: Body, shape: Mamba2Shape, formats: Formats, pass_: Pass, stream: Source) -> str:
    """Add a Mamba-2 mixer with its norm and residual addition to a layer; returns the name of its last op."""
    rows, d, e = pass_.rows, shape.d_model, shape.d_inner
    heads, shared = e // shape.head_dim, shape.groups * shape.d_state
    channels = e + 2 * shared
    block = "mamba2"
    body.add("norm", block, normed("rmsnorm", rows, d, formats), x=stream)
    body.add("in_proj", block, linear(rows, e + channels + heads, d, formats), a="norm")
    conv = convolution(shape.d_conv, channels, shape.conv_bias, formats, pass_)
    body.add("conv1d", block, conv, x=("in_proj", e, e + channels))
    body.add("dt_softplus", block, _softplus(rows, heads, formats), x=("in_proj", e + channels, e + channels + heads))
    sizes = (heads, shape.head_dim, shape.d_state, shape.groups)
    mixer = recurrence("mamba2", sizes, shape.chunk, formats, pass_)
    body.add(
        "scan",
        block,
        mixer,
        x=("conv1d", 0, e),
        B=("conv1d", e, e + shared),
        C=("conv1d", e + shared, channels),
        dt="dt_softplus",
    )
    if shape.gated_norm:
        gate = body.add("gated_norm", block, normed("gated_rmsnorm", rows, e, formats), x="scan", z=("in_proj", 0, e))
    else:
        gate = body.add("gate", block, _gate(rows, e, formats), up="scan", gate=("in_proj", 0, e))
    body.add("out_proj", block, linear(rows, d, e, formats), a=gate)
    return body.add("residual", block, residual(rows, d, formats), x="out_proj", y=stream)


def add_mamba1(body: Body, shape: Mamba1Shape, formats: Formats, pass_: Pass, stream: Source) -> str:
    """Add a Mamba-1 mixer with its norm and residual addition to a layer; returns the name of its last op."""
    rows, d, e = pass_.rows, shape.d_model, shape.d_inner
    n, r = shape.d_state, shape.dt_rank
    block = "mamba1"
    body.add("norm", block, normed("rmsnorm", rows, d, formats), x=stream)
    body.add("in_proj", block, linear(rows, 2 * e, d, formats), a="norm")
    body.add("conv1d", block, convolution(shape.d_conv, e, shape.conv_bias, formats, pass_), x=("in_proj", 0, e))
    body.add("x_proj", block, linear(rows, r + 2 * n, e, formats), a="conv1d")
    parts: dict[str, Source] = {"dt": ("x_proj", 0, r), "B": ("x_proj", r, r + n), "C": ("x_proj", r + n, r + 2 * n)}
    if shape.norms:
        for name, width in (("dt", r), ("B", n), ("C", n)):
            op = normed("rmsnorm", rows, width, formats)
            parts[name] = body.add(f"{name}_norm", block, op if shape.gains else _of_ones(op), x=parts[name])
    body.add("dt_proj", block, linear(rows, e, r, formats), a=parts["dt"])
    body.add("dt_softplus", block, _softplus(rows, e, formats), x="dt_proj")
    mixer = recurrence("mamba1", (e, 1, n, 1), 0, formats, pass_)
    body.add("scan", block, mixer, x="conv1d", B=parts["B"], C=parts["C"], dt="dt_softplus")
    body.add("gate", block, _gate(rows, e, formats), up="scan", gate=("in_proj", e, 2 * e))
    body.add("out_proj", block, linear(rows, d, e, formats), a="gate")
    return body.add("residual", block, residual(rows, d, formats), x="out_proj", y=stream)


def _of_ones(op: Op) -> Op:
    """A norm whose gain is a vector of ones that kernels are handed: read as any, but no parameter of the model."""
    x, gain, out = op.operands
    return replace(op, operands=(x, replace(gain, resident=0), out))


def _softplus(rows: int, width: int, formats: Formats) -> Op:
    return elementwise("softplus_bias", rows, width, formats.flowing, weight_dtype=formats.vectors)


def _gate(rows: int, width: int, formats: Formats) -> Op:
    return elementwise("silu_mul", rows, width, formats.flowing)
