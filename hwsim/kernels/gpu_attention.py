"""Attention on a GPU: prefill and bidirectional by blocks of queries, decode by streams of keys and values.

Prefill (FlashAttention's form, Dao 2023): a thread block (CTA) holds ``block_q`` queries of one head and walks over the
key-value blocks that they see. For each it runs two products on the tensor cores and the softmax between them on
the SFUs and fp32 lanes; with two groups of warps, or two CTAs per SM, one's softmax hides behind the other's products.
CTAs are served longest first, so a causal grid ends evenly.

Decode: a CTA streams the keys and values of one sequence and key-value head (or of a part of the positions, where
the grid alone would not fill the card). Few CTAs cannot draw the whole bandwidth: each stream is bound by its latency.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hwsim.kernels.jit import jit, jit_part

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BOUNDS", "AttentionPath", "decode_times", "prefill_times"]

BOUNDS: Final = ("tensor", "softmax", "memory", "latency")
"""What can limit attention, by the number that the kernels return."""


class AttentionPath(NamedTuple):
    """What a card, a stack and a choice of formats mean for the closed forms. SI units.

    Attributes:
        sms: multiprocessors.
        qk_flop_s: achieved tensor rate of one SM in q . k^T.
        pv_flop_s: the same in p . v.
        softmax_s: softmax work of one score on one SM (SFU and fp32 lanes).
        overlap: share of the lesser of products and softmax that hides behind the other.
        block_q: queries of a CTA.
        block_kv: key-value positions of a step of a prefill.
        own_step: time of a causal step over the prompt's own positions, over that of one over cached positions.
        decode_kv: the same as ``block_kv`` of a decode.
        tile_dim: elements of a head in the tiles of a prefill, padding included.
        occupancy: CTAs per SM.
        dram_bytes_s: achieved DRAM bandwidth.
        l2_bytes: L2 capacity.
        l2_bytes_s: L2 bandwidth.
        q_bytes: bytes of one element of q and of the result.
        kv_bytes: bytes of one element of the cache.
        floor_s: a prefill that does nothing.
        block_s: time of a CTA before and after its loop.
        decode_floor_s: a decode that does nothing.
        step_s: latency of one key-value block of a decode CTA that serves one query head.
        shared_step_s: the same of a CTA that serves all query heads of a key-value head, for each 128 elements of it.
        narrow_step: share of that with a cache of 8 bits and less.
        splits_single: above 0 where streams of one query head may be split over positions.
        combine_s: second pass of a split.
        cta_bytes_s: bytes per second of a 16-bit cache that one decode CTA can stream. Kernels that serve one query
            head convert narrower elements on ALUs and stream no more of them.
        shared_heads: query heads of one key-value head that a CTA can serve together; larger groups run head by head.
        write_passes: bytes of q, k and v moved before prefill (rope, cache write), in passes over them.
        peak_qk_flop_s: nominal tensor rate of the card in q . k^T at its highest clock.
        peak_pv_flop_s: the same in p . v.
        peak_dram_bytes_s: nominal DRAM bandwidth.
    """

    sms: float
    qk_flop_s: float
    pv_flop_s: float
    softmax_s: float
    overlap: float
    block_q: float
    block_kv: float
    own_step: float
    decode_kv: float
    tile_dim: float
    occupancy: float
    dram_bytes_s: float
    l2_bytes: float
    l2_bytes_s: float
    q_bytes: float
    kv_bytes: float
    floor_s: float
    block_s: float
    decode_floor_s: float
    step_s: float
    shared_step_s: float
    narrow_step: float
    splits_single: float
    combine_s: float
    cta_bytes_s: float
    shared_heads: float
    write_passes: float
    peak_qk_flop_s: float
    peak_pv_flop_s: float
    peak_dram_bytes_s: float


@jit_part
def _seen_blocks(
    first: float, last: float, causal: bool, window: float, q: float, kv: float, p: AttentionPath
) -> float:
    """Key-value blocks that queries at positions ``first`` to ``last`` (inclusive) of ``kv`` see.

    Those of the prompt's own ``q`` positions count `AttentionPath.own_step` times where a mask is at work.
    """
    end = math.ceil((last + 1.0 if causal else kv) / p.block_kv)
    start = math.floor(max(0.0, first - window + 1.0) / p.block_kv) if window > 0.0 else 0.0
    if not causal:
        return end - start
    own = end - max(start, math.floor((kv - q) / p.block_kv))
    return end - start + (p.own_step - 1.0) * max(0.0, own)


@jit_part
def _steps(q: float, kv: float, causal: bool, window: float, p: AttentionPath) -> tuple[float, float, float]:
    """(sum over query blocks, largest, query blocks) of the key-value blocks that they walk over."""
    blocks = math.ceil(q / p.block_q)
    total = largest = 0.0
    for i in range(blocks):
        first = kv - q + i * p.block_q
        last = min(kv - 1.0, first + p.block_q - 1.0)
        seen = _seen_blocks(first, last, causal, window, q, kv, p)
        total += seen
        largest = max(largest, seen)
    return total, largest, float(blocks)


@jit_part
def _pairs(q: float, kv: float, causal: bool, window: float) -> float:
    """Query-key pairs: all, or those at or before the query, within the window."""
    if not causal:
        return q * kv if window <= 0.0 else q * min(kv, window)
    if window <= 0.0 or window >= kv:
        return q * (kv - q) + q * (q + 1.0) / 2.0
    full = max(0.0, min(q, kv - window + 1.0))
    rest = q - full
    first = kv - q + 1.0
    return full * window + rest * (first + min(kv, first + rest - 1.0)) / 2.0


@jit_part
def _spread(
    grid: float, total: float, largest: float, blocks: float, step: float, causal: bool, p: AttentionPath
) -> float:
    """Time of a grid of CTAs over the SMs: even where the longest go first, else in whole waves of equal ones."""
    if not causal:
        return math.ceil(grid * blocks / p.sms) * (largest * step + p.block_s)
    even = grid * (total * step + blocks * p.block_s) / p.sms
    waves = math.ceil(grid * blocks / (p.sms * p.occupancy))
    return max(largest * step + p.block_s, even + 0.5 * largest * step * min(1.0, waves - 1.0) / waves)


@jit
def prefill_times(
    batch: NDArray[np.float64],
    heads: NDArray[np.float64],
    kv_heads: NDArray[np.float64],
    q: NDArray[np.float64],
    kv: NDArray[np.float64],
    dim: NDArray[np.float64],
    window: NDArray[np.float64],
    causal: bool,
    p: AttentionPath,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Seconds and limiter (an index of `BOUNDS`) of attention over whole prompts.

    Args:
        batch: sequences.
        heads: query heads.
        kv_heads: heads of keys and values.
        q: new tokens per sequence.
        kv: positions per sequence, the new tokens included.
        dim: elements per head.
        window: positions that a query sees; 0 for all.
        causal: whether a query sees only what lies at or before it.
        p: card, stack and formats.
    """
    times = np.empty(batch.size)
    bounds = np.empty(batch.size, np.int64)
    for i in range(batch.size):
        total, largest, blocks = _steps(q[i], kv[i], causal, window[i], p)
        grid = batch[i] * heads[i]
        rows = min(p.block_q, 16.0 * math.ceil(q[i] / 16.0))
        flop = 2.0 * rows * p.block_kv * p.tile_dim
        tensor = flop / p.qk_flop_s + flop / p.pv_flop_s
        softmax = rows * p.block_kv * p.softmax_s
        step = max(tensor, softmax) + (1.0 - p.overlap) * min(tensor, softmax)
        compute = _spread(grid, total, largest, blocks, step, causal, p)
        if kv[i] > q[i]:  # a cache before the prompt: too small a grid is split over positions, as in decoding
            split = min(math.floor(2.0 * p.sms / (grid * blocks)), math.floor(largest / 4.0))
            if split > 1.0:
                part = math.ceil(largest / split)
                compute = min(compute, _spread(grid * split, part * blocks, part, blocks, step, False, p) + p.combine_s)
        moved = batch[i] * dim[i] * (2.0 * heads[i] * q[i] * p.q_bytes + 2.0 * kv_heads[i] * kv[i] * p.kv_bytes)
        written = p.write_passes * batch[i] * dim[i] * q[i] * (heads[i] + 2.0 * kv_heads[i]) * p.q_bytes
        memory = moved / p.dram_bytes_s
        pairs = grid * _pairs(q[i], kv[i], causal, window[i]) * dim[i] * 2.0
        least = pairs / p.peak_qk_flop_s + pairs / p.peak_pv_flop_s
        time = p.floor_s + (compute**3 + memory**3) ** (1.0 / 3.0) + written / p.dram_bytes_s
        times[i] = max(time, least)
        if max(compute, memory) < 0.5 * time:
            bounds[i] = 3
        elif memory > compute:
            bounds[i] = 2
        else:
            bounds[i] = 0 if tensor >= softmax else 1
    return times, bounds


@jit
def decode_times(
    batch: NDArray[np.float64],
    heads: NDArray[np.float64],
    kv_heads: NDArray[np.float64],
    q: NDArray[np.float64],
    kv: NDArray[np.float64],
    dim: NDArray[np.float64],
    window: NDArray[np.float64],
    p: AttentionPath,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Seconds and limiter of one decode step; arguments as in `prefill_times`."""
    times = np.empty(batch.size)
    bounds = np.empty(batch.size, np.int64)
    for i in range(batch.size):
        seen = kv[i] if window[i] <= 0.0 else min(kv[i], window[i] + q[i] - 1.0)
        group = heads[i] / kv_heads[i]
        shared = group <= p.shared_heads
        streams = batch[i] * (kv_heads[i] if shared else heads[i])
        readers = 1.0 if shared else group
        position = 2.0 * dim[i] * p.kv_bytes
        rows = 16.0 * math.ceil(q[i] * (group if shared else 1.0) / 16.0)
        unique = batch[i] * kv_heads[i] * seen * position
        qo = 2.0 * batch[i] * heads[i] * q[i] * dim[i] * p.q_bytes
        best = np.inf
        cold = min(1.0, max(0.0, (unique + qo) / p.l2_bytes - 1.0))
        together = shared and group > 1.0
        slots = p.sms * (1.0 if together else p.occupancy)  # buffers and scores of a whole group fill an SM
        small = p.narrow_step if p.kv_bytes <= 1.0 else 1.0
        # a group's kernel takes wide heads in parts of 128 elements; the others convert narrow ones on ALUs, one by one
        first = p.shared_step_s * small * max(1.0, dim[i] / 128.0) if together else p.step_s
        rate = p.cta_bytes_s * (1.0 if together else min(1.0, p.kv_bytes / 2.0))
        whole = group == 1.0 and p.splits_single <= 0.0
        for split in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64):
            if split > 1 and (whole or streams * (split - 1) >= slots or seen < split * p.decode_kv):
                break
            steps = math.ceil(seen / split / p.decode_kv)
            ctas = streams * split
            waves = math.ceil(ctas / slots)
            even = ctas / slots
            stream = steps * p.decode_kv * position / rate
            work = steps * rows * p.decode_kv * (2.0 * dim[i] * (1.0 / p.qk_flop_s + 1.0 / p.pv_flop_s) + p.softmax_s)
            chain = first + max(stream, work * min(p.occupancy, math.ceil(ctas / p.sms)))
            memory = (unique * cold + qo) / p.dram_bytes_s
            hot = unique * readers / p.l2_bytes_s
            latency = waves * first + max(1.0, even) * (chain - first)
            time = p.decode_floor_s + (latency**3 + memory**3 + hot**3) ** (1.0 / 3.0)
            if split > 1:
                time += p.combine_s
            if time < best:
                best = time
                bounds[i] = 2 if max(memory, hot) > 0.5 * time else 3
        pairs = batch[i] * heads[i] * q[i] * seen * dim[i] * 2.0
        least = max(pairs / p.peak_qk_flop_s + pairs / p.peak_pv_flop_s, unique * cold / p.peak_dram_bytes_s)
        times[i] = max(best, least)
    return times, bounds
