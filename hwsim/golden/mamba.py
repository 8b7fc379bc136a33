"""Mamba-1 and Mamba-2 blocks and models in float64: one token at a time, and whole prompts.

Glossary (code <- papers; shapes as in :mod:`hwsim.golden.ssm`):

* D = d_model; E = d_inner = H * P; C = channels that pass the convolution (E for Mamba-1, E + 2 G N for Mamba-2);
  R = dt_rank of Mamba-1; V = vocabulary.
* ``u`` <- the block's input from the residual stream [D]; ``z`` <- the gate [E].
* ``window`` <- conv_state without its newest column: the last K-1 inputs of the convolution, oldest first [K-1, C].
* ``trace`` <- what replay needs of a token: its convolution input and its :class:`~hwsim.golden.ssm.ScanToken`.

A block is u + out_proj(mix(in_proj(rms_norm(u)))) (``mamba_ssm/modules/block.py``). Formulas: ``mamba2.py`` and
``mamba_simple.py`` of state-spaces/mamba; orders of in_proj's outputs: Mamba-2 [z, x, B, C, dt], Mamba-1 [x, z].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from hwsim.golden.ssm import (
    F64,
    ScanToken,
    causal_conv1d,
    conv_step,
    expand_groups,
    gated_rms_norm,
    project,
    rms_norm,
    silu,
    softplus,
    ssd_chunked,
    state_update,
)

__all__ = [
    "Layer",
    "LayerState",
    "Mamba1Layer",
    "Mamba2Layer",
    "Model",
    "Trace",
    "decode_token",
    "initial_states",
    "layer_step",
    "mamba2_prefill",
    "random_mamba1",
    "random_mamba2",
    "random_model",
]


@dataclass(frozen=True, slots=True, eq=False)
class LayerState:
    """What a layer remembers: ``window`` [K-1, C] and ``h`` [H, P, N]."""

    window: F64
    h: F64


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What replay needs of one token in one layer: ``conv_input`` [C] and the scan's part of it."""

    conv_input: F64
    token: ScanToken


@dataclass(frozen=True, slots=True, eq=False)
class Mamba2Layer:
    """Weights of a Mamba-2 block.

    Attributes:
        norm: weight of the norm before the block, [D].
        in_proj: [2 E + 2 G N + H, D], rows in the order z, x, B, C, dt.
        conv_weight: taps, oldest input first, [C, K].
        conv_bias: [C].
        dt_bias: [H].
        a_log: log(-A), [H].
        d: D, [H].
        gate_norm: weight of the gated norm, [E].
        out_proj: [D, E].
        groups: G.
        d_state: N.
    """

    norm: F64
    in_proj: F64
    conv_weight: F64
    conv_bias: F64
    dt_bias: F64
    a_log: F64
    d: F64
    gate_norm: F64
    out_proj: F64
    groups: int
    d_state: int

    @property
    def heads(self) -> int:
        """H."""
        return len(self.a_log)

    @property
    def d_inner(self) -> int:
        """E."""
        return int(self.out_proj.shape[1])

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """[H, P, N]."""
        return self.heads, self.d_inner // self.heads, self.d_state

    def enter(self, u: F64) -> tuple[F64, F64, F64]:
        """The linear part before the scan: [..., D] -> conv input [..., C], z [..., E], raw dt [..., H]."""
        e, channels = self.d_inner, len(self.conv_bias)
        out = project(self.in_proj, rms_norm(u, self.norm))
        return out[..., e : e + channels], out[..., :e], out[..., e + channels :]

    def token(self, conv_out: F64, dt_raw: F64) -> ScanToken:
        """One token's scan part from the convolution's output before SiLU [C] and the raw dt [H]."""
        heads, rows, states = self.state_shape
        x, b, c = self.split(silu(conv_out))
        dt = softplus(dt_raw + self.dt_bias)
        decay = np.exp(dt * -np.exp(self.a_log))
        xs = x.reshape(heads, rows)
        b, c = (expand_groups(part.reshape(self.groups, states), heads) for part in (b, c))
        return ScanToken(decay[:, None, None], dt[:, None] * xs, b, c, self.d[:, None] * xs)

    def split(self, xbc: F64) -> tuple[F64, F64, F64]:
        """X [..., E], B and C [..., G N] of the convolution's channels [..., C]."""
        e, width = self.d_inner, self.groups * self.d_state
        return xbc[..., :e], xbc[..., e : e + width], xbc[..., e + width :]

    def leave(self, u: F64, y: F64, z: F64) -> F64:
        """The linear part after the scan: u [..., D], y [..., H, P], z [..., E] -> the block's output [..., D]."""
        normed = gated_rms_norm(y.reshape(z.shape), z, self.gate_norm, self.groups)
        return u + project(self.out_proj, normed)


@dataclass(frozen=True, slots=True, eq=False)
class Mamba1Layer:
    """Weights of a Mamba-1 block; each channel is a head of one row.

    Attributes:
        norm: weight of the norm before the block, [D].
        in_proj: [2 E, D], rows in the order x, z.
        conv_weight: taps, oldest input first, [E, K].
        conv_bias: [E].
        x_proj: [R + 2 N, E], rows in the order dt, B, C.
        dt_proj: [E, R].
        dt_bias: [E].
        a_log: log(-A), [E, N].
        d: D, [E].
        out_proj: [D, E].
    """

    norm: F64
    in_proj: F64
    conv_weight: F64
    conv_bias: F64
    x_proj: F64
    dt_proj: F64
    dt_bias: F64
    a_log: F64
    d: F64
    out_proj: F64

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """[E, 1, N]."""
        return self.a_log.shape[0], 1, self.a_log.shape[1]

    def enter(self, u: F64) -> tuple[F64, F64, F64]:
        """The linear part before the scan: [..., D] -> conv input [..., E], z [..., E], and nothing [..., 0]."""
        e = len(self.conv_bias)
        out = project(self.in_proj, rms_norm(u, self.norm))
        return out[..., :e], out[..., e:], out[..., 2 * e :]

    def token(self, conv_out: F64, dt_raw: F64) -> ScanToken:
        """One token's scan part from the convolution's output before SiLU [E]; dt, B, C are projected from it."""
        channels, _, states = self.state_shape
        x = silu(conv_out)
        low, b, c = np.split(project(self.x_proj, x), [self.dt_proj.shape[1], self.dt_proj.shape[1] + states])
        dt = softplus(project(self.dt_proj, low) + self.dt_bias)
        decay = np.exp(dt[:, None] * -np.exp(self.a_log))
        rows = np.broadcast_to(b, (channels, states)), np.broadcast_to(c, (channels, states))
        return ScanToken(decay[:, None, :], (dt * x)[:, None], *rows, (self.d * x)[:, None])

    def leave(self, u: F64, y: F64, z: F64) -> F64:
        """The part after the scan: u [..., D], y [..., E, 1], z [..., E] -> the block's output [..., D]."""
        return u + project(self.out_proj, y.reshape(z.shape) * silu(z))


Layer: TypeAlias = Mamba1Layer | Mamba2Layer


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Embedding [V, D] (tied to the head), layers, weight of the last norm [D]."""

    embedding: F64
    layers: tuple[Layer, ...]
    norm: F64

    def logits(self, u: F64) -> F64:
        """Last norm and tied head: [..., D] -> [..., V]."""
        return project(self.embedding, rms_norm(u, self.norm))


def layer_step(layer: Layer, state: LayerState, u: F64) -> tuple[LayerState, F64, Trace]:
    """One token through one block: next state, the block's output [D], and what replay needs."""
    conv_input, z, dt_raw = layer.enter(u)
    window, conv_out = conv_step(state.window, conv_input, layer.conv_weight, layer.conv_bias)
    token = layer.token(conv_out, dt_raw)
    h, y = state_update(state.h, token)
    return LayerState(window, h), layer.leave(u, y, z), Trace(conv_input, token)


def initial_states(model: Model) -> tuple[LayerState, ...]:
    """Zero states, one per layer."""
    return tuple(
        LayerState(np.zeros((layer.conv_weight.shape[1] - 1, len(layer.conv_bias))), np.zeros(layer.state_shape))
        for layer in model.layers
    )


def decode_token(
    model: Model, states: Sequence[LayerState], token: int
) -> tuple[tuple[LayerState, ...], F64, tuple[Trace, ...]]:
    """One token through the model: next states, logits [V], and a trace per layer."""
    u = model.embedding[token]
    following, traces = [], []
    for layer, state in zip(model.layers, states, strict=True):
        after, u, trace = layer_step(layer, state, u)
        following.append(after)
        traces.append(trace)
    return tuple(following), model.logits(u), tuple(traces)


def mamba2_prefill(layer: Mamba2Layer, state: LayerState, u: F64, chunk: int = 256) -> tuple[LayerState, F64]:
    """A whole prompt through one Mamba-2 block, the scan in chunks: [T, D] -> next state and outputs [T, D]."""
    conv_input, z, dt_raw = layer.enter(u)
    conv_out = causal_conv1d(conv_input, layer.conv_weight, layer.conv_bias, state.window)
    x, b, c = layer.split(silu(conv_out))
    xs = x.reshape(len(u), *layer.state_shape[:2])
    b, c = (part.reshape(len(u), layer.groups, layer.d_state) for part in (b, c))
    dt = softplus(dt_raw + layer.dt_bias)
    y, h = ssd_chunked(xs, dt, -np.exp(layer.a_log), b, c, chunk, state.h)
    window = np.concatenate([state.window, conv_input])[len(u) :]
    return LayerState(window, h), layer.leave(u, y + layer.d[:, None] * xs, z)


def random_mamba2(
    rng: np.random.Generator,
    d_model: int,
    heads: int,
    headdim: int,
    d_state: int,
    groups: int = 1,
    d_conv: int = 4,
) -> Mamba2Layer:
    """A block with random weights, scaled as ``mamba2.py`` initialises them: A in [1, 16], dt in [1e-3, 0.1]."""
    e = heads * headdim
    channels = e + 2 * groups * d_state
    return Mamba2Layer(
        norm=rng.uniform(0.5, 1.5, d_model),
        in_proj=rng.standard_normal((e + channels + heads, d_model)) / np.sqrt(d_model),
        conv_weight=rng.uniform(-0.5, 0.5, (channels, d_conv)),
        conv_bias=rng.uniform(-0.5, 0.5, channels),
        dt_bias=_dt_bias(rng, heads),
        a_log=np.log(rng.uniform(1.0, 16.0, heads)),
        d=rng.uniform(0.5, 1.5, heads),
        gate_norm=rng.uniform(0.5, 1.5, e),
        out_proj=rng.standard_normal((d_model, e)) / np.sqrt(e),
        groups=groups,
        d_state=d_state,
    )


def random_mamba1(
    rng: np.random.Generator, d_model: int, d_inner: int, d_state: int, dt_rank: int, d_conv: int = 4
) -> Mamba1Layer:
    """A block with random weights, scaled as ``mamba_simple.py`` initialises them: A = -1..-N, dt in [1e-3, 0.1]."""
    return Mamba1Layer(
        norm=rng.uniform(0.5, 1.5, d_model),
        in_proj=rng.standard_normal((2 * d_inner, d_model)) / np.sqrt(d_model),
        conv_weight=rng.uniform(-0.5, 0.5, (d_inner, d_conv)),
        conv_bias=rng.uniform(-0.5, 0.5, d_inner),
        x_proj=rng.standard_normal((dt_rank + 2 * d_state, d_inner)) / np.sqrt(d_inner),
        dt_proj=rng.uniform(-1.0, 1.0, (d_inner, dt_rank)) / np.sqrt(dt_rank),
        dt_bias=_dt_bias(rng, d_inner),
        a_log=np.log(np.tile(np.arange(1.0, d_state + 1), (d_inner, 1))),
        d=rng.uniform(0.5, 1.5, d_inner),
        out_proj=rng.standard_normal((d_model, d_inner)) / np.sqrt(d_inner),
    )


def random_model(rng: np.random.Generator, vocabulary: int, layers: Sequence[Layer]) -> Model:
    """A model of the given blocks with a random embedding and last norm."""
    d_model = len(layers[0].norm)
    return Model(rng.standard_normal((vocabulary, d_model)), tuple(layers), rng.uniform(0.5, 1.5, d_model))


def _dt_bias(rng: np.random.Generator, count: int) -> F64:
    """Inverse softplus of time steps drawn log-uniformly from [1e-3, 0.1], [count]."""
    dt = np.exp(rng.uniform(np.log(1e-3), np.log(0.1), count))
    return np.asarray(dt + np.log(-np.expm1(-dt)), dtype=np.float64)
