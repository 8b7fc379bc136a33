"""Matrix products on a GPU: the time of the best (tile, split) of a menu, for arrays of shapes.

A product is a grid of thread blocks (CTAs) that the multiprocessors (SMs) work off in waves. Each CTA runs a pipeline
that overlaps: tensor cores, operand feed from L2 to the tensor cores, DRAM, and (weight-only formats) the ALUs that
convert weights. Stages that overlap in part are joined by a p-norm with p = 3: the slowest rules, near equals add.

    T = floor + sum over waves [ (tensor^3 + feed^3 + dram^3 + convert^3)^(1/3) + fill ] + split

Waves: CTAs over SMs x CTAs per SM; the last wave is served by fewer SMs, which also reach less DRAM bandwidth each
(bytes in flight per SM are limited). Split-K divides k among CTAs and adds the partial sums in a second pass.
A board at its power limit slows its tensor cores; short kernels end before the regulator acts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hwsim.kernels.jit import jit, jit_part

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BOUNDS", "SPLITS", "GemmPath", "gemm_times", "pairs_tried"]

BOUNDS: Final = ("tensor", "feed", "memory", "convert", "latency")
"""What can limit a product, by the number that `gemm_times` returns: the largest part of its time."""

SPLITS: Final = (1, 2, 3, 4, 5, 6, 8, 12, 16)
"""Thread blocks that may share each dot product."""


class GemmPath(NamedTuple):
    """What a card, a software stack and a choice of formats mean for the closed form. SI units.

    Attributes:
        sms: multiprocessors.
        tensor_flop_s: achieved tensor rate of one SM.
        feed_bytes_s: operand bytes per second from L2 into one SM's tensor cores.
        dram_bytes_s: achieved DRAM bandwidth of the card.
        sm_dram_bytes_s: DRAM bytes per second that one SM can have in flight.
        convert_weights_s: weights that one SM's ALUs convert per second; infinite where none are.
        l2_bytes: L2 capacity that data read by all SMs can use.
        copies: sets of weights that are used in turn (1: the same weights again; large: never the same).
        a_bytes: bytes of one element of a.
        b_bytes: bytes of one weight with its share of the scales.
        out_bytes: bytes of one element of the result.
        floor_s: time of a kernel that does nothing.
        fill_s: pipeline fill and drain of a CTA.
        store_s: epilogue of one tile element.
        split_s: second pass of a split, before its bytes.
        power_share: tensor rate at the board's power limit over the rate above, at most 1.
        power_time_s: length of a kernel at which the power limit is half in force.
        peak_flop_s: nominal tensor rate of the card at its highest clock.
        peak_dram_bytes_s: nominal DRAM bandwidth.
        peak_l2_bytes_s: L2 bandwidth.
    """

    sms: float
    tensor_flop_s: float
    feed_bytes_s: float
    dram_bytes_s: float
    sm_dram_bytes_s: float
    convert_weights_s: float
    l2_bytes: float
    copies: float
    a_bytes: float
    b_bytes: float
    out_bytes: float
    floor_s: float
    fill_s: float
    store_s: float
    split_s: float
    power_share: float
    power_time_s: float
    peak_flop_s: float
    peak_dram_bytes_s: float
    peak_l2_bytes_s: float


@jit_part
def _cold(footprint_bytes: float, l2_bytes: float) -> float:
    """Share of the operands that L2 no longer holds: none up to its capacity, all from twice that on."""
    return min(1.0, max(0.0, footprint_bytes / l2_bytes - 1.0))


@jit_part
def _wave(
    ctas: float, flop: float, feed: float, dram: float, weights: float, power: float, occupancy: float, p: GemmPath
) -> tuple[float, float, float, float, float]:
    """(time without fill, tensor, feed, dram, convert) of a wave of ``ctas`` CTAs, of which each SM holds a few."""
    deep = math.ceil(ctas / p.sms)
    tensor = deep * flop / (p.tensor_flop_s * power)
    feeding = deep * feed / p.feed_bytes_s
    memory = ctas * dram / min(p.dram_bytes_s, min(ctas, p.sms) * p.sm_dram_bytes_s)
    convert = deep * weights / p.convert_weights_s
    total = (tensor**3 + feeding**3 + memory**3 + convert**3) ** (1.0 / 3.0)
    return total, tensor, feeding, memory, convert


@jit_part
def _try(
    m: float, n: float, k: float, batch: float, tile: NDArray[np.float64], split: float, dram: float, power: float,
    p: GemmPath,
) -> tuple[float, float, float, float, float]:  # fmt: skip
    """(time, tensor, feed, dram, convert) of one tile and split; ``dram`` are the bytes that miss L2."""
    tm, tn, tk, occupancy = tile[0], tile[1], tile[2], tile[3]
    depth = math.ceil(k / split / tk) * tk
    ctas = batch * math.ceil(m / tm) * math.ceil(n / tn) * split
    slots = p.sms * occupancy
    flop = 2.0 * tm * tn * depth
    feed = (tm * p.a_bytes + tn * p.b_bytes) * depth
    weights = tn * depth
    full = math.floor(ctas / slots)
    tail = ctas - full * slots
    fill = p.fill_s + p.store_s * tm * tn
    total = p.floor_s
    tensor = feeding = memory = convert = 0.0
    if full > 0:
        time, t, f, d, c = _wave(slots, flop, feed, dram / ctas, weights, power, occupancy, p)
        total += full * (time + fill / occupancy)
        tensor, feeding, memory, convert = full * t, full * f, full * d, full * c
    if tail > 0:
        time, t, f, d, c = _wave(tail, flop, feed, dram / ctas, weights, power, occupancy, p)
        total += time + fill / min(occupancy, math.ceil(tail / p.sms))
        tensor, feeding, memory, convert = tensor + t, feeding + f, memory + d, convert + c
    if split > 1:
        total += p.split_s + split * batch * m * n * 8.0 / p.peak_l2_bytes_s
    return total, tensor, feeding, memory, convert


@jit_part
def _offered(tiles: float, k: float, tk: float, occupancy: float, split: float, sms: float) -> bool:
    """Whether kernels offer a split: two waves of thread blocks at most, four steps along k at least."""
    return split == 1.0 or (tiles * split <= 2.0 * sms * occupancy and k >= 4.0 * tk * split)


@jit_part
def _bound(total: float, tensor: float, feeding: float, memory: float, convert: float) -> int:
    """The part that takes longest; latency where all of them together explain less than half of the time."""
    most = max(tensor, feeding, memory, convert)
    if most < 0.5 * total:
        return 4
    if most == memory:
        return 2
    if most == tensor:
        return 0
    return 1 if most == feeding else 3


@jit
def gemm_times(
    m: NDArray[np.float64],
    n: NDArray[np.float64],
    k: NDArray[np.float64],
    batch: NDArray[np.float64],
    menu: NDArray[np.float64],
    p: GemmPath,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Times of ``batch`` products of m x k by k x n each.

    Args:
        m: rows of a.
        n: columns of the result.
        k: length of each dot product.
        batch: independent products.
        menu: a row per tile: tm, tn, tk, CTAs per SM.
        p: card, stack and formats.

    Returns:
        Seconds; the limiter (an index of `BOUNDS`); the choice as (row of the menu, split); bytes that miss L2.
    """
    rows = m.size
    times = np.empty(rows)
    bounds = np.empty(rows, np.int64)
    choices = np.empty((rows, 2))
    missed = np.empty(rows)
    for i in range(rows):
        a, b, out = m[i] * k[i] * p.a_bytes, n[i] * k[i] * p.b_bytes, m[i] * n[i] * p.out_bytes
        cold = _cold(batch[i] * (a + p.copies * b + out), p.l2_bytes)
        warm = _cold(batch[i] * (a + out), p.l2_bytes)
        dram = batch[i] * (b * cold + (a + out) * warm)
        macs = batch[i] * m[i] * n[i] * k[i]
        least = max(
            2.0 * macs / p.peak_flop_s, dram / p.peak_dram_bytes_s, batch[i] * (a + b + out) / p.peak_l2_bytes_s
        )
        long = least / (least + p.power_time_s)
        power = 1.0 - long * (1.0 - p.power_share)
        best = np.inf
        for row in range(menu.shape[0]):
            tiles = batch[i] * math.ceil(m[i] / menu[row, 0]) * math.ceil(n[i] / menu[row, 1])
            for split in SPLITS:
                if not _offered(tiles, k[i], menu[row, 2], menu[row, 3], float(split), p.sms):
                    break
                time, t, f, d, c = _try(m[i], n[i], k[i], batch[i], menu[row], split, dram, power, p)
                if time < best:
                    best = time
                    bounds[i] = _bound(time, t, f, d, c)
                    choices[i, 0], choices[i, 1] = row, split
        times[i] = max(best, least)
        missed[i] = dram
    return times, bounds, choices, missed


@jit
def pairs_tried(m: float, n: float, k: float, batch: float, menu: NDArray[np.float64], sms: float) -> int:
    """Pairs of tile and split that `gemm_times` compares for one product; the others are not offered."""
    count = 0
    for row in range(menu.shape[0]):
        tiles = batch * math.ceil(m / menu[row, 0]) * math.ceil(n / menu[row, 1])
        for split in SPLITS:
            if _offered(tiles, k, menu[row, 2], menu[row, 3], float(split), sms):
                count += 1
    return count
