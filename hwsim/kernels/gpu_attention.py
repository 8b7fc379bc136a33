"""Attention on a GPU: prefill and bidirectional by blocks of queries, decode by streams of keys and values.

Prefill (FlashAttention's form, Dao 2023): a thread block (CTA) holds ``block_q`` queries of one head and walks over the
key-value blocks that they see. For each it runs two products on the tensor cores and the softmax between them on the
SFUs and fp32 lanes. Products at the tensor cores' full rate leave no time to it, whoever issues them (FlashAttention-2
on A100, TensorRT-LLM's kernels on H100). Where a board halves the rate, softmax runs in the half that is left.
CTAs are served longest first, or fetched by CTAs that stay, so a grid ends half a CTA late on average.

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

__all__ = ["BOUNDS", "AttentionPath", "decode_times", "pairs_of", "prefill_times"]

BOUNDS: Final = ("tensor", "softmax", "memory", "latency")
"""What can limit attention, by the number that the kernels return."""


class AttentionPath(NamedTuple):
    """What a card, a stack and a choice of formats mean for the closed forms. SI units.

    Attributes:
        sms: multiprocessors.
        qk_flop_s: achieved tensor rate of one SM in q . k^T.
        pv_flop_s: the same in p . v.
        softmax_s: softmax work of one score on one SM: of the SFUs or of the issue slots, which is longer.
        rescale_s: work of rescaling one element of the result on one SM, once a step of a prefill.
        qk_spare: share of the time of q . k^T in which warps can issue something else: what a product at less than the
            tensor cores' full rate leaves.
        pv_spare: the same of p . v.
        block_q: queries of a CTA.
        least_q: queries that a CTA works on at least, however few there are.
        block_kv: key-value positions of a step of a prefill.
        own_step: time of a causal step over the prompt's own positions, over that of one over cached positions.
        window_step: time of a step of a sliding window, over that of one without.
        page_s: time of a step beside its products and softmax (addresses of a paged cache).
        decode_kv: the same as ``block_kv`` of a decode.
        tile_dim: elements of a head in the tiles of a prefill, padding included.
        value_tile: the same of its value.
        value_share: elements of a value over those of a key.
        begin_steps: steps that beginning and ending a part takes, of latents.
        occupancy: CTAs per SM.
        persistent: above 0 where CTAs stay and fetch one block of queries after another.
        folds: above 0 where the heads of a group fill the rows of a block when there is one query. Where they are not
            next to each other in memory (several sequences and key-value heads), q and the result are copied in order.
        swap_s: two such copies that move nothing.
        dram_bytes_s: achieved DRAM bandwidth.
        l2_bytes: L2 capacity.
        l2_bytes_s: L2 bandwidth.
        q_bytes: bytes of one element of q.
        out_bytes: bytes of one element of the result.
        kv_bytes: bytes of one element of the cache.
        floor_s: a prefill that does nothing.
        block_s: time of a CTA before and after its loop.
        element_s: the same for each element of a query and its result.
        decode_floor_s: a decode that does nothing.
        shared_floor_s: the same of CTAs that serve all query heads of a key-value head.
        shared_resident: such CTAs that an SM holds together at most.
        shared_rows: query rows that those hold together; more leave room for fewer.
        step_s: latency of one key-value block of a decode CTA that serves one query head.
        shared_step_s: the same of a CTA that serves all query heads of a key-value head.
        shared_row_s: added to it for each element of its rows, eight query heads a row at least.
        splits_single: above 0 where streams of one query head may be split over positions.
        combine_s: second pass of a split.
        shared_combine_s: the same of a CTA that serves all query heads of a key-value head.
        cta_bytes_s: bytes per second that a decode CTA can stream which serves all query heads of a key-value head.
        head_bytes_s: the same of a 16-bit cache in kernels that serve one query head; they convert narrower elements on
            ALUs and stream no more of them.
        shared_heads: query heads of one key-value head that a CTA can serve together; larger groups run head by head.
        write_bytes: bytes moved before a prefill for each query token, head of q and element (rope), read and written.
        write_kv_bytes: the same for each head of k and of v (rope, cache write).
        write_bytes_s: bandwidth of the kernel that does so.
        peak_qk_flop_s: nominal tensor rate of the card in q . k^T at its highest clock.
        peak_pv_flop_s: the same in p . v.
        peak_dram_bytes_s: nominal DRAM bandwidth.
        peak_l2_bytes_s: nominal L2 bandwidth, at which other CTAs read the same keys and values again.
    """

    sms: float
    qk_flop_s: float
    pv_flop_s: float
    softmax_s: float
    rescale_s: float
    qk_spare: float
    pv_spare: float
    block_q: float
    least_q: float
    block_kv: float
    own_step: float
    window_step: float
    page_s: float
    decode_kv: float
    tile_dim: float
    value_tile: float
    value_share: float
    begin_steps: float
    occupancy: float
    persistent: float
    folds: float
    swap_s: float
    dram_bytes_s: float
    l2_bytes: float
    l2_bytes_s: float
    q_bytes: float
    out_bytes: float
    kv_bytes: float
    floor_s: float
    block_s: float
    element_s: float
    decode_floor_s: float
    shared_floor_s: float
    shared_resident: float
    shared_rows: float
    step_s: float
    shared_step_s: float
    shared_row_s: float
    splits_single: float
    combine_s: float
    shared_combine_s: float
    cta_bytes_s: float
    head_bytes_s: float
    shared_heads: float
    write_bytes: float
    write_kv_bytes: float
    write_bytes_s: float
    peak_qk_flop_s: float
    peak_pv_flop_s: float
    peak_dram_bytes_s: float
    peak_l2_bytes_s: float


@jit_part
def _seen_blocks(
    first: float, last: float, causal: bool, window: float, q: float, kv: float, p: AttentionPath
) -> float:
    """Key-value blocks that queries at positions ``first`` to ``last`` (inclusive) of ``kv`` see, as unmasked ones.

    Those of the prompt's own ``q`` positions count `AttentionPath.own_step` times where a mask is at work, those of
    a window shorter than the sequence `AttentionPath.window_step` times.
    """
    end = math.ceil((last + 1.0 if causal else kv) / p.block_kv)
    narrow = 0.0 < window < kv
    start = math.floor(max(0.0, first - window + 1.0) / p.block_kv) if narrow else 0.0
    if not causal:
        return (end - start) * (p.window_step if narrow else 1.0)
    own = end - max(start, math.floor((kv - q) / p.block_kv))
    return (end - start) * (p.window_step if narrow else 1.0) + (p.own_step - 1.0) * max(0.0, own)


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
def _swapped(batch: float, heads: float, kv_heads: float, moved: float, p: AttentionPath) -> float:
    """Time of copying q and the result, ``moved`` bytes, into an order in which a group's heads are rows, and back."""
    if p.folds <= 0.0 or batch == 1.0 or kv_heads in (1.0, heads):
        return 0.0
    return p.swap_s + 2.0 * moved / p.dram_bytes_s


@jit_part
def pairs_of(q: float, kv: float, causal: bool, window: float) -> float:
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
def _spread(ctas: float, busy: float, alone: float, even: bool, p: AttentionPath) -> float:
    """Time of a grid over the SMs: ``busy`` is all its CTAs' time on one SM, ``alone`` that of the longest.

    CTAs of equal length (``even``) go in whole waves. Others fill the gaps that the first leave, and a grid of more
    than one wave ends half a CTA after its even share; CTAs that share an SM each take as many times as long.
    """
    if even:
        return math.ceil(ctas / p.sms) * alone
    last = alone * min(p.occupancy, math.ceil(ctas / p.sms))
    return max(last, busy / p.sms + (0.5 * last if ctas > p.sms * p.occupancy else 0.0))


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
        folded = p.folds > 0.0 and q[i] == 1.0
        lines = heads[i] / kv_heads[i] if folded else q[i]
        grid = batch[i] * (kv_heads[i] if folded else heads[i])
        total, largest, blocks = _steps(q[i], kv[i], causal, window[i], p)
        if folded:
            blocks = math.ceil(lines / p.block_q)
            total *= blocks
        rows = min(p.block_q, p.least_q * math.ceil(lines / p.least_q))
        flop = 2.0 * rows * p.block_kv * p.tile_dim
        wide = p.value_tile / p.tile_dim
        tensor = flop / p.qk_flop_s + flop * wide / p.pv_flop_s
        softmax = rows * (p.block_kv * p.softmax_s + p.value_tile * p.rescale_s)
        beside = max(0.0, softmax - flop * (p.qk_spare / p.qk_flop_s + wide * p.pv_spare / p.pv_flop_s))
        step = tensor + beside + p.page_s
        block = p.block_s + min(p.block_q, lines) * 0.5 * (p.tile_dim + p.value_tile) * p.element_s
        even = not causal and p.persistent <= 0.0
        compute = _spread(grid * blocks, grid * (total * step + blocks * block), largest * step + block, even, p)
        if kv[i] > q[i]:  # a cache before the prompt: too small a grid is split over positions, as in decoding
            split = min(math.floor(2.0 * p.sms / (grid * blocks)), math.floor(largest / 4.0))
            if split > 1.0:
                part = math.ceil(largest / split) * step + block
                compute = min(compute, _spread(grid * split * blocks, 0.0, part, True, p) + p.combine_s)
        both = 1.0 + p.value_share
        moved = batch[i] * dim[i] * heads[i] * q[i] * (p.q_bytes + p.value_share * p.out_bytes)
        moved += both * batch[i] * dim[i] * kv_heads[i] * kv[i] * p.kv_bytes
        written = batch[i] * dim[i] * q[i] * (heads[i] * p.write_bytes + both * kv_heads[i] * p.write_kv_bytes)
        memory = moved / p.dram_bytes_s
        pairs = batch[i] * heads[i] * pairs_of(q[i], kv[i], causal, window[i]) * dim[i] * 2.0
        least = pairs / p.peak_qk_flop_s + p.value_share * pairs / p.peak_pv_flop_s
        time = p.floor_s + (compute**3 + memory**3) ** (1.0 / 3.0) + written / p.write_bytes_s
        if folded:
            time += _swapped(batch[i], heads[i], kv_heads[i], batch[i] * heads[i] * dim[i] * both * p.q_bytes, p)
        times[i] = max(time, least)
        if max(compute, memory) < 0.5 * time:
            bounds[i] = 3
        elif memory > compute:
            bounds[i] = 2
        else:
            bounds[i] = 0 if tensor >= softmax else 1
    return times, bounds


@jit_part
def _latency(
    part: float, ctas: float, first: float, block: float, position_s: float, held: float, p: AttentionPath
) -> float:
    """Time of ``ctas`` CTAs, ``held`` of them on an SM, which each stream ``part`` positions of the cache."""
    steps = math.ceil(part / p.decode_kv)
    rest = max(part * position_s, steps * block * min(held, math.ceil(ctas / p.sms)))
    share = ctas / (p.sms * held)
    return math.ceil(share) * first + max(1.0, share) * rest


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
        both = 1.0 + p.value_share
        position = both * dim[i] * p.kv_bytes
        rows = 16.0 * math.ceil(q[i] * (group if shared else 1.0) / 16.0)
        unique = batch[i] * kv_heads[i] * seen * position
        qo = both * batch[i] * heads[i] * q[i] * dim[i] * p.q_bytes
        cold = min(1.0, max(0.0, (unique + qo) / p.l2_bytes - 1.0))
        together = shared and group > 1.0
        held = p.occupancy
        if together:
            held = min(p.shared_resident, max(1.0, math.floor(p.shared_rows / group)))
        filled = 8.0 * math.ceil(q[i] * group / 8.0) * dim[i]
        first = p.shared_step_s + filled * p.shared_row_s if together else p.step_s
        rate = p.cta_bytes_s if together else p.head_bytes_s * min(1.0, p.kv_bytes / 2.0)  # converted on ALUs
        combine = p.shared_combine_s if together else p.combine_s
        whole = group == 1.0 and p.splits_single <= 0.0
        block = rows * p.decode_kv * (2.0 * dim[i] * (1.0 / p.qk_flop_s + p.value_share / p.pv_flop_s) + p.softmax_s)
        memory = (unique * cold + qo) / p.dram_bytes_s
        hot = unique / p.l2_bytes_s + unique * (readers - 1.0) / p.peak_l2_bytes_s
        shortest = best = np.inf
        for split in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64):
            if split > 1 and (whole or streams * (split - 1) >= p.sms or kv[i] < split * p.decode_kv):
                break
            # parts are chosen by all positions, and those outside a window end at once
            whole_s = _latency(kv[i] / split, streams * split, first, block, position / rate, held, p)
            part = seen if split == 1 else min(kv[i] / split, seen)
            seen_s = _latency(part, streams * math.ceil(seen / part), first, block, position / rate, held, p)
            pass_s = (p.shared_floor_s if together else p.decode_floor_s) + (combine if split > 1 else 0.0)
            planned = pass_s + (whole_s**3 + memory**3 + hot**3) ** (1.0 / 3.0)
            time = pass_s + (seen_s**3 + memory**3 + hot**3) ** (1.0 / 3.0) if seen < kv[i] else planned
            if planned < shortest:
                shortest, best = planned, time
                bounds[i] = 2 if max(memory, hot) > 0.5 * time else 3
        if q[i] == 1.0:
            best += _swapped(batch[i], heads[i], kv_heads[i], qo, p)
        pairs = batch[i] * heads[i] * q[i] * seen * dim[i] * 2.0
        products = pairs / p.peak_qk_flop_s + p.value_share * pairs / p.peak_pv_flop_s
        least = max(products, unique * cold / p.peak_dram_bytes_s)
        times[i] = max(best, least)
    return times, bounds
