"""Matrix products on a GPU: the time of the best (tile, split) of a menu, for arrays of shapes.

A product is a grid of thread blocks (CTAs) that the multiprocessors (SMs) work off in waves. Each CTA runs a pipeline
that overlaps: tensor cores, operand feed from L2 to the tensor cores, DRAM, and (weight-only formats) the ALUs that
convert weights. Stages that overlap in part are joined by a p-norm with p = 3: the slowest rules, near equals add.

    T = floor + sum over waves [ (tensor^3 + feed^3 + dram^3 + convert^3 + steps^3)^(1/3) + fill ] + split

Waves: CTAs over SMs x CTAs per SM; the last wave is served by fewer SMs, each of which draws a limited rate from DRAM
(bytes in flight over latency). Split-K divides k among CTAs and adds the partial sums in a second pass; with a long k
it also evens out the waves. Kernels whose warps unpack weights between products add that to the tensor cores' time, and
their steps along k are chains, which a block alone on its SM waits for. Operands that L2 still holds stream from it, at
its rate; L2 keeps what fits and, read in turn, little of what does not. A board at its power limit slows its tensor
cores; short kernels end before the regulator acts.
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

_ROUNDING: Final = 1.0 + 1e-9
"""What a bound must exceed a time by before rounding cannot have made the difference."""


class GemmPath(NamedTuple):
    """What a card, a software stack and a choice of formats mean for the closed form. SI units.

    Attributes:
        sms: multiprocessors.
        tensor_flop_s: achieved tensor rate of one SM.
        feed_bytes_s: operand bytes per second from L2 into one SM's tensor cores.
        dram_bytes_s: achieved DRAM bandwidth of the card.
        sm_dram_bytes_s: DRAM bytes per second that one SM can have in flight.
        convert_weights_s: weights that one SM's ALUs convert per second beside products; infinite where none are.
        unpack_weights_s: weights that they unpack per second between products; infinite where none are.
        step_s: time of a thread block for one element of k at least: a chain of loads and products; 0 where none shows.
        hot_bytes_s: bytes per second that operands stream from L2.
        l2_bytes: operands up to here stay in L2.
        spill_bytes: operands from here on come from DRAM wholly.
        copies: sets of weights that are used in turn, at most (1: the same weights again; large: never the same).
        turn_bytes: bytes beyond which no further set is used; infinite where ``copies`` are used always.
        most_split: thread blocks that may share a dot product in this kernel.
        least_split: thread blocks that share it at least: more than one where a mapping says so.
        least_part: elements of k that each of them takes at least; a mapping's split is held to it too.
        a_bytes: bytes of one element of a.
        b_bytes: bytes of one weight with its share of the scales.
        out_bytes: bytes of one element of the result.
        floor_s: time of a kernel that does nothing.
        fill_s: pipeline fill and drain of a CTA.
        store_s: epilogue of one tile element.
        split_s: second pass of a split, before its bytes.
        turn_s: time for which each further block of a split waits, where they add up one after the other.
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
    unpack_weights_s: float
    step_s: float
    hot_bytes_s: float
    l2_bytes: float
    spill_bytes: float
    copies: float
    turn_bytes: float
    most_split: float
    least_split: float
    least_part: float
    a_bytes: float
    b_bytes: float
    out_bytes: float
    floor_s: float
    fill_s: float
    store_s: float
    split_s: float
    turn_s: float
    power_share: float
    power_time_s: float
    peak_flop_s: float
    peak_dram_bytes_s: float
    peak_l2_bytes_s: float


@jit_part
def _cold(footprint_bytes: float, p: GemmPath) -> float:
    """Share of the operands that L2 does not hold: used in turn, each pushes out the one that is needed next."""
    if footprint_bytes <= p.l2_bytes:
        return 0.0
    if footprint_bytes >= p.spill_bytes:
        return 1.0
    return (footprint_bytes - p.l2_bytes) / (p.spill_bytes - p.l2_bytes)


@jit_part
def _wave(
    ctas: float,
    flop: float,
    feed: float,
    dram: float,
    hot: float,
    weights: float,
    depth: float,
    power: float,
    p: GemmPath,
) -> tuple[float, float, float, float, float]:
    """(time without fill, tensor, feed, memory, convert) of a wave of ``ctas`` CTAs, of which each SM holds a few.

    ``dram`` and ``hot`` are the bytes of one CTA that come from DRAM and from L2.
    """
    deep = math.ceil(ctas / p.sms)
    tensor = deep * (flop / (p.tensor_flop_s * power) + weights / p.unpack_weights_s)
    feeding = deep * feed / p.feed_bytes_s
    memory = ctas * (dram / min(p.dram_bytes_s, min(ctas, p.sms) * p.sm_dram_bytes_s) + hot / p.hot_bytes_s)
    convert = deep * weights / p.convert_weights_s
    total = np.cbrt(tensor**3 + feeding**3 + memory**3 + convert**3 + (depth * p.step_s) ** 3)
    return total, tensor, feeding, memory, convert


@jit_part
def _try(
    m: float, n: float, k: float, batch: float, tile: NDArray[np.float64], split: float, dram: float, hot: float,
    power: float, p: GemmPath,
) -> tuple[float, float, float, float, float]:  # fmt: skip
    """(time, tensor, feed, memory, convert) of one tile and split; ``dram`` bytes miss L2, ``hot`` bytes hit."""
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
        time, t, f, d, c = _wave(slots, flop, feed, dram / ctas, hot / ctas, weights, depth, power, p)
        total += full * (time + fill / occupancy)
        tensor, feeding, memory, convert = full * t, full * f, full * d, full * c
    if tail > 0:
        time, t, f, d, c = _wave(tail, flop, feed, dram / ctas, hot / ctas, weights, depth, power, p)
        total += time + fill / min(occupancy, math.ceil(tail / p.sms))
        tensor, feeding, memory, convert = tensor + t, feeding + f, memory + d, convert + c
    return total + _split_cost(m, n, batch, split, p), tensor, feeding, memory, convert


@jit_part
def _split_cost(m: float, n: float, batch: float, split: float, p: GemmPath) -> float:
    """What a split adds: a second pass, or each block's turn, and the partial sums written and read again."""
    if split == 1.0:
        return 0.0
    return p.split_s + (split - 1.0) * p.turn_s + split * batch * m * n * 8.0 / p.peak_l2_bytes_s


@jit_part
def _at_least(
    tiles: float, k: float, tile: NDArray[np.float64], dram: float, hot: float, power: float, p: GemmPath
) -> float:
    """A time that no split of a tile goes below: its work spread evenly, its bytes at the full rate, one fill."""
    tm, tn = tile[0], tile[1]
    work = max(
        2.0 * tm * tn * k / (p.tensor_flop_s * power) + tn * k / p.unpack_weights_s,
        (tm * p.a_bytes + tn * p.b_bytes) * k / p.feed_bytes_s,
        tn * k / p.convert_weights_s,
    )
    memory = dram / p.dram_bytes_s + hot / p.hot_bytes_s
    least: float = p.floor_s + max(tiles * work / p.sms, memory) + (p.fill_s + p.store_s * tm * tn) / tile[3]
    return least


@jit_part
def _loses(
    best: float, tiles: float, k: float, tile: NDArray[np.float64], split: float, memory: float, power: float,
    p: GemmPath,
) -> bool:  # fmt: skip
    """Whether a tile and split take longer than ``best`` for sure, without a root.

    The norm of the waves' sums is at most the sum of the waves' norms. ``memory``: the bytes at the full rate.
    """
    tm, tn, occupancy = tile[0], tile[1], tile[3]
    depth = math.ceil(k / split / tile[2]) * tile[2]
    ctas, slots = tiles * split, p.sms * occupancy
    full = math.floor(ctas / slots)
    last = math.ceil((ctas - full * slots) / p.sms)
    fills = full / occupancy + (1.0 / min(occupancy, last) if last > 0 else 0.0)
    left = best - p.floor_s - fills * (p.fill_s + p.store_s * tm * tn)
    if left <= 0.0:
        return True
    steps = (full * occupancy + last) * depth
    tensor = steps * (2.0 * tm * tn / (p.tensor_flop_s * power) + tn / p.unpack_weights_s)
    feeding = steps * (tm * p.a_bytes + tn * p.b_bytes) / p.feed_bytes_s
    convert = steps * tn / p.convert_weights_s
    slower: bool = tensor**3 + feeding**3 + memory**3 + convert**3 > _ROUNDING * left**3
    return slower


@jit_part
def _offered(tiles: float, k: float, tk: float, occupancy: float, split: float, p: GemmPath) -> bool:
    """Whether kernels offer a split: six waves of thread blocks at most, four steps along k and a least part each."""
    few = split <= p.most_split and tiles * split <= 6.0 * p.sms * occupancy
    return split == 1.0 or (few and k >= max(4.0 * tk, p.least_part) * split)


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
    return times_of_products(m, n, k, batch, _kept(menu), p)


def _kept(menu: NDArray[np.float64]) -> NDArray[np.float64]:
    """A menu that nobody writes: kernels compile for those alone, seconds less than for both."""
    view = menu.view()
    view.setflags(write=False)
    return view


@jit
def times_of_products(
    m: NDArray[np.float64],
    n: NDArray[np.float64],
    k: NDArray[np.float64],
    batch: NDArray[np.float64],
    menu: NDArray[np.float64],
    p: GemmPath,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The kernel of `gemm_times`."""
    rows = m.size
    times = np.empty(rows)
    bounds = np.empty(rows, np.int64)
    choices = np.empty((rows, 2))
    missed = np.empty(rows)
    for i in range(rows):
        a, b, out = m[i] * k[i] * p.a_bytes, n[i] * k[i] * p.b_bytes, m[i] * n[i] * p.out_bytes
        sets = max(1.0, min(p.copies, np.ceil(p.turn_bytes / (batch[i] * b))))
        cold = _cold(batch[i] * (a + sets * b + out), p)
        warm = _cold(batch[i] * (a + out), p)
        dram = batch[i] * (b * cold + (a + out) * warm)
        hot = batch[i] * (a + b + out) - dram
        macs = batch[i] * m[i] * n[i] * k[i]
        least = max(
            2.0 * macs / p.peak_flop_s, dram / p.peak_dram_bytes_s, batch[i] * (a + b + out) / p.peak_l2_bytes_s
        )
        long = least / (least + p.power_time_s)
        power = 1.0 - long * (1.0 - p.power_share)
        best, memory = np.inf, dram / p.dram_bytes_s + hot / p.hot_bytes_s
        for row in range(menu.shape[0]):
            tiles = batch[i] * math.ceil(m[i] / menu[row, 0]) * math.ceil(n[i] / menu[row, 1])
            bound = _at_least(tiles, k[i], menu[row], dram, hot, power, p)
            for split in SPLITS:
                if not _offered(tiles, k[i], menu[row, 2], menu[row, 3], float(split), p):
                    break
                if split < p.least_split:
                    continue
                second = _split_cost(m[i], n[i], batch[i], float(split), p)
                if bound + second >= best:
                    break
                if _loses(best - second, tiles, k[i], menu[row], float(split), memory, power, p):
                    continue
                time, t, f, d, c = _try(m[i], n[i], k[i], batch[i], menu[row], split, dram, hot, power, p)
                if time < best:
                    best = time
                    bounds[i] = _bound(time, t, f, d, c)
                    choices[i, 0], choices[i, 1] = row, split
        times[i] = max(best, least)
        missed[i] = dram
    return times, bounds, choices, missed


def pairs_tried(m: float, n: float, k: float, batch: float, menu: NDArray[np.float64], p: GemmPath) -> int:
    """Pairs of tile and split that `gemm_times` compares for one product; the others are not offered."""
    return pairs_offered(m, n, k, batch, _kept(menu), p)


@jit
def pairs_offered(m: float, n: float, k: float, batch: float, menu: NDArray[np.float64], p: GemmPath) -> int:
    """The kernel of `pairs_tried`."""
    count = 0
    for row in range(menu.shape[0]):
        tiles = batch * math.ceil(m / menu[row, 0]) * math.ceil(n / menu[row, 1])
        for split in SPLITS:
            if _offered(tiles, k, menu[row, 2], menu[row, 3], float(split), p):
                count += 1
    return count
