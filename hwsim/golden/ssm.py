"""Selective state spaces in float64: elementary functions, causal convolution, state update, scans.

Glossary (code <- paper; Mamba: Gu and Dao 2023; Mamba-2: Dao and Gu 2024):

* T tokens; H heads; P channels per head (``headdim``); N states per channel (``d_state``); G groups that share B and C
  (``ngroups``); K convolution taps (``d_conv``). Mamba-1 is H = d_inner, P = 1, G = 1.
* ``h`` <- h_t, the hidden state [H, P, N]; ``x`` <- x_t, the input [H, P]; ``y`` <- y_t, the output [H, P].
* ``dt`` <- Delta, the time step after softplus; ``a`` <- A, negative; ``decay`` <- A-bar = exp(dt * A).
* ``b``, ``c`` <- B, C [N] per group; ``drive`` <- dt * x (the paper's B-bar x_t is ``drive`` times ``b``).
* ``skip`` <- D * x.

Formulas: ``mamba_ssm/modules/mamba2.py`` and ``mamba_simple.py`` (``step``) of state-spaces/mamba.

Every sum here runs left to right (:func:`ordered_sum`), and tokens never share a sum, so that a token's result has the
same bits whatever it is computed beside: this is what lets tree verification be compared bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "F64",
    "ScanToken",
    "causal_conv1d",
    "conv_step",
    "expand_groups",
    "gated_rms_norm",
    "ordered_sum",
    "project",
    "rms_norm",
    "scan",
    "silu",
    "softplus",
    "ssd_chunked",
    "state_update",
]

F64: TypeAlias = NDArray[np.float64]
"""An array of float64."""


@dataclass(frozen=True, slots=True, eq=False)
class ScanToken:
    """What one token brings to the state update, per head.

    Attributes:
        decay: exp(dt * A), [H, 1, 1] for Mamba-2 (one A per head), [H, 1, N] for Mamba-1.
        drive: dt * x, [H, P].
        b: B of each head's group, [H, N].
        c: C of each head's group, [H, N].
        skip: D * x, [H, P].
    """

    decay: F64
    drive: F64
    b: F64
    c: F64
    skip: F64

    def tile(self, heads: slice, rows: slice) -> ScanToken:
        """The part for ``heads`` and, in each, the channels ``rows``; all N states."""
        drive, skip = self.drive[heads, rows], self.skip[heads, rows]
        return ScanToken(self.decay[heads], drive, self.b[heads], self.c[heads], skip)


def ordered_sum(terms: F64) -> F64:
    """Sum over the last axis from left to right: [..., N] -> [...]. One order, whatever the shape around it."""
    total: F64 = np.add.accumulate(terms, axis=-1)[..., -1]
    return total


def project(weight: F64, u: F64) -> F64:
    """Weight @ u for each token on its own: [out, in], [..., in] -> [..., out]."""
    rows = u.reshape(-1, u.shape[-1])
    out = np.stack([weight @ np.ascontiguousarray(row) for row in rows])
    return out.reshape(*u.shape[:-1], weight.shape[0])


def silu(x: F64) -> F64:
    """X * sigmoid(x), elementwise; exact zero far below zero instead of an overflow."""
    with np.errstate(over="ignore"):
        return np.asarray(x / (1.0 + np.exp(-x)), dtype=np.float64)


def softplus(x: F64) -> F64:
    """log(1 + exp(x)), elementwise, without overflow."""
    return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))), dtype=np.float64)


def rms_norm(x: F64, weight: F64, eps: float = 1e-5) -> F64:
    """X / sqrt(mean(x^2) + eps) * weight over the last axis: [..., C], [C] -> [..., C]."""
    mean_square = ordered_sum(x * x) / x.shape[-1]
    return np.asarray(x / np.sqrt(mean_square + eps)[..., None] * weight, dtype=np.float64)


def gated_rms_norm(y: F64, z: F64, weight: F64, groups: int = 1, eps: float = 1e-5) -> F64:
    """RMSNorm(y * SiLU(z)), the mean square per group of channels: [..., C], [..., C], [C] -> [..., C].

    ``norm_before_gate=False`` of Mamba-2, whose ``group_size`` is d_inner / ngroups.
    """
    gated = (y * silu(z)).reshape(*y.shape[:-1], groups, -1)
    return rms_norm(gated, weight.reshape(groups, -1), eps).reshape(y.shape)


def conv_step(window: F64, x: F64, weight: F64, bias: F64) -> tuple[F64, F64]:
    """Take one step of the depthwise causal convolution's shift register.

    Args:
        window: the K-1 inputs before this one, oldest first, [K-1, C].
        x: the new input, [C].
        weight: taps, oldest input first, [C, K].
        bias: [C].

    Returns:
        The next window [K-1, C] and the output before its activation [C].
    """
    taps = np.concatenate([window, x[None]])
    out = ordered_sum(taps.T * weight) + bias
    return taps[1:], out


def causal_conv1d(x: F64, weight: F64, bias: F64, window: F64 | None = None) -> F64:
    """Depthwise causal convolution of a sequence: y[t, c] = bias[c] + sum_k weight[c, k] x[t - (K-1) + k, c].

    Args:
        x: inputs, [T, C].
        weight: taps, oldest input first, [C, K].
        bias: [C].
        window: the K-1 inputs before the sequence, oldest first, [K-1, C]; zeros when left out.

    Returns:
        Outputs before their activation, [T, C].
    """
    taps = weight.shape[1]
    past = np.zeros((taps - 1, x.shape[1])) if window is None else window
    padded = np.concatenate([past, x])
    return np.asarray(bias + sum(padded[k : k + len(x)] * weight[:, k] for k in range(taps)), dtype=np.float64)


def expand_groups(values: F64, heads: int) -> F64:
    """B or C of each head from those of its group: [..., G, N] -> [..., H, N]; head i belongs to group i * G // H."""
    return np.repeat(values, heads // values.shape[-2], axis=-2)


def state_update(h: F64, token: ScanToken) -> tuple[F64, F64]:
    """H' = decay * h + drive * b and y = sum_n h' * c + skip.

    Args:
        h: state, [H, P, N], or a tile of it.
        token: the same tile of one token's part.

    Returns:
        The next state [H, P, N] and the output [H, P].
    """
    following = token.decay * h + token.drive[..., None] * token.b[:, None, :]
    return following, ordered_sum(following * token.c[:, None, :]) + token.skip


def scan(h: F64, tokens: Iterable[ScanToken]) -> tuple[F64, F64]:
    """The recurrence over a sequence: last state [H, P, N] and outputs [T, H, P]."""
    outputs = []
    for token in tokens:
        h, y = state_update(h, token)
        outputs.append(y)
    return h, np.stack(outputs)


def ssd_chunked(x: F64, dt: F64, a: F64, b: F64, c: F64, chunk: int, h: F64 | None = None) -> tuple[F64, F64]:
    """Mamba-2's scan as matrix products by chunk (structured state-space duality, Dao and Gu 2024, section 6).

    Within a chunk, y_t takes C_t . B_s * exp(sum of dt*A over s+1..t) * dt_s x_s from every s <= t; the state carries
    what came before. Equal to the recurrence but for rounding; the skip term D * x is left out.

    Args:
        x: inputs, [T, H, P].
        dt: time steps after softplus, [T, H].
        a: A, negative, [H].
        b: [T, G, N].
        c: [T, G, N].
        chunk: tokens per chunk; the last one may be shorter.
        h: state before the sequence, [H, P, N]; zeros when left out.

    Returns:
        Outputs [T, H, P] and the last state [H, P, N].
    """
    heads, rows = x.shape[1:]
    state = np.zeros((heads, rows, b.shape[-1])) if h is None else h
    keys, queries = expand_groups(b, heads), expand_groups(c, heads)
    outputs = []
    for first in range(0, len(x), chunk):
        part = slice(first, first + chunk)
        y, state = _ssd_chunk(x[part] * dt[part][..., None], dt[part] * a, keys[part], queries[part], state)
        outputs.append(y)
    return np.concatenate(outputs), state


def _ssd_chunk(drive: F64, log_decay: F64, b: F64, c: F64, h: F64) -> tuple[F64, F64]:
    """One chunk of :func:`ssd_chunked`: drive [L, H, P], log decay [L, H], b and c [L, H, N], state [H, P, N]."""
    total = np.cumsum(log_decay, axis=0).T
    between = np.where(np.tri(len(drive), dtype=bool), total[:, :, None] - total[:, None, :], -np.inf)
    mixing = np.einsum("thn,shn->hts", c, b) * np.exp(between)
    inside = np.einsum("hts,shp->thp", mixing, drive)
    carried = np.einsum("thn,hpn,ht->thp", c, h, np.exp(total))
    gathered = np.einsum("hs,shp,shn->hpn", np.exp(total[:, -1:] - total), drive, b)
    return inside + carried, np.exp(total[:, -1])[:, None, None] * h + gathered
