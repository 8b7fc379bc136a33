"""Multi-head latent attention for new tokens behind a cache of latents, expanded and absorbed: the same numbers.

Glossary:

* ``c`` latents [S, r], normed, and ``k_rope`` rotated keys [S, p], of all S positions; what the cache keeps.
* ``q_nope`` [T, H, n] and ``q_rope`` [T, H, p], queries of the last T positions, the second part rotated.
* ``w_uk`` [H, n, r] and ``w_uv`` [H, v, r]: from a latent to each head's key and value (the halves of ``kv_b_proj``).
* results [T, H, v], before the output projection.

Source: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C; scores are scaled by 1/sqrt(n + p).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Latents", "absorbed", "expanded"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Latents:
    """What attention over latents multiplies (shapes as in the glossary)."""

    q_nope: Floats
    q_rope: Floats
    c: Floats
    k_rope: Floats
    w_uk: Floats
    w_uv: Floats


def _softmax(scores: Floats) -> Floats:
    """Causal softmax of scores [H, T, S], whose queries are the last T of S positions."""
    _, queries, positions = scores.shape
    seen = np.arange(positions) <= np.arange(positions - queries, positions)[:, None]
    masked = np.where(seen, scores, -np.inf)
    weights = np.exp(masked - masked.max(axis=-1, keepdims=True))
    result: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return result


def _scale(given: Latents) -> float:
    return float(1.0 / np.sqrt(given.q_nope.shape[-1] + given.q_rope.shape[-1]))


def expanded(given: Latents) -> Floats:
    """Each head with keys [S, H, n + p] and values [S, H, v] of its own."""
    keys = np.einsum("sr,hnr->shn", given.c, given.w_uk)
    rotated = np.broadcast_to(given.k_rope[:, None, :], (*keys.shape[:2], given.k_rope.shape[-1]))
    whole = np.concatenate([keys, rotated], axis=-1)
    values = np.einsum("sr,hvr->shv", given.c, given.w_uv)
    queries = np.concatenate([given.q_nope, given.q_rope], axis=-1)
    weights = _softmax(np.einsum("thd,shd->hts", queries, whole) * _scale(given))
    result: Floats = np.einsum("hts,shv->thv", weights, values)
    return result


def absorbed(given: Latents) -> Floats:
    """All heads over one key [S, r + p], whose first r elements are the values of all of them."""
    keys = np.concatenate([given.c, given.k_rope], axis=-1)
    queries = np.concatenate([np.einsum("thn,hnr->thr", given.q_nope, given.w_uk), given.q_rope], axis=-1)
    weights = _softmax(np.einsum("thd,sd->hts", queries, keys) * _scale(given))
    mixed = np.einsum("hts,sr->thr", weights, keys[:, : given.c.shape[-1]])
    result: Floats = np.einsum("thr,hvr->thv", mixed, given.w_uv)
    return result
