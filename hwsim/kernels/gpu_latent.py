"""Attention over latents on a GPU (multi-head latent attention, absorbed): one pass over a cache for rows of heads.

All query heads read the same keys, whose first elements are the values. A thread block (CTA), one to an SM, holds
``block_q`` rows (heads, and queries where there are several), walks over parts of the cache and multiplies each step
twice; blocks of other rows read it from L2. The steps of all sequences are dealt out to the SMs in equal parts, and a
kernel of its own adds up the parts of a sequence. Forms: `hwsim.devices.gpu.attention.LATENT_FORMS`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hwsim.kernels.gpu_attention import pairs_of
from hwsim.kernels.jit import jit, jit_part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwsim.kernels.gpu_attention import AttentionPath

__all__ = ["latent_times"]

_SUM_BYTES = 4.0
"""Bytes of an element of a partial result."""


@jit_part
def _steps_of_an_sm(batch: float, blocks: float, streams: float, p: AttentionPath) -> tuple[float, float]:
    """(steps of the SM that has most, parts that a sequence is cut into) of ``streams`` in each of ``batch`` sequences.

    Beginning and ending a part counts as ``begin_steps``.
    """
    parts = math.floor(p.sms / streams)
    if parts < 1.0:
        return math.ceil(batch * streams / p.sms) * (blocks + p.begin_steps), 1.0
    return math.ceil(batch * (blocks + p.begin_steps) / parts) + p.begin_steps, min(blocks, max(1.0, parts / batch))


@jit
def latent_times(
    batch: NDArray[np.float64],
    heads: NDArray[np.float64],
    kv_heads: NDArray[np.float64],
    q: NDArray[np.float64],
    kv: NDArray[np.float64],
    dim: NDArray[np.float64],
    window: NDArray[np.float64],
    p: AttentionPath,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Seconds and limiter (an index of `hwsim.kernels.gpu_attention.BOUNDS`) of attention over latents.

    Args:
        batch: sequences.
        heads: query heads.
        kv_heads: latents of a position.
        q: new tokens per sequence.
        kv: positions per sequence, the new tokens included.
        dim: elements of a key.
        window: positions that a query sees; 0 for all.
        p: card, stack and formats.
    """
    times = np.empty(batch.size)
    bounds = np.empty(batch.size, np.int64)
    for i in range(batch.size):
        value = dim[i] * p.value_share
        pairs = pairs_of(q[i], kv[i], True, window[i])
        rows = heads[i] / kv_heads[i] * q[i]
        tiles = math.ceil(rows / p.block_q)
        blocks = math.ceil(pairs / q[i] / p.decode_kv)
        steps, parts = _steps_of_an_sm(batch[i], blocks, kv_heads[i] * tiles, p)
        held = min(p.block_q, p.least_q * math.ceil(rows / p.least_q))
        flop = 2.0 * held * p.decode_kv
        tensor = flop * (dim[i] / p.qk_flop_s + value / p.pv_flop_s)
        softmax = held * (p.decode_kv * p.softmax_s + value * p.rescale_s)
        beside = max(0.0, softmax - flop * (dim[i] * p.qk_spare / p.qk_flop_s + value * p.pv_spare / p.pv_flop_s))
        compute = steps * (tensor + beside)
        seen = kv[i] if window[i] <= 0.0 else min(kv[i], window[i] + q[i] - 1.0)
        unique = batch[i] * kv_heads[i] * seen * dim[i] * p.kv_bytes
        qo = batch[i] * heads[i] * q[i] * (dim[i] * p.q_bytes + value * p.out_bytes)
        cold = min(1.0, max(0.0, (unique + qo) / p.l2_bytes - 1.0))
        summed = 0.0
        if parts > 1.0:
            summed = 2.0 * _SUM_BYTES * batch[i] * heads[i] * q[i] * value * parts
        memory = (unique * cold + qo) / p.dram_bytes_s
        again = max(0.0, tiles * pairs / (q[i] * seen) - 1.0)  # of a prompt, the first blocks see little
        hot = (unique * (1.0 - cold) + summed) / p.l2_bytes_s + unique * again / p.peak_l2_bytes_s
        busy = (compute**3 + memory**3 + hot**3) ** (1.0 / 3.0)
        time = p.decode_floor_s + p.combine_s + busy
        products = batch[i] * heads[i] * pairs * 2.0
        least = products * (dim[i] / p.peak_qk_flop_s + value / p.peak_pv_flop_s)
        times[i] = max(time, least, unique * cold / p.peak_dram_bytes_s)
        if busy < 0.5 * time:
            bounds[i] = 3
        elif max(memory, hot) > compute:
            bounds[i] = 2
        else:
            bounds[i] = 0 if tensor >= softmax else 1
    return times, bounds
