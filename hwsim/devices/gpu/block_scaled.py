"""Products of 8-bit operands with a scale for each 128 elements of k: one tile for each shape, and no split.

Such a kernel takes k in steps of 128: it loads a tile of both operands, multiplies, and adds the partial sums, scaled,
to an fp32 accumulator on the ALUs. A step takes

    (multiply^3 + feed^3 + memory^3 + latency^3)^(1/3),   multiply = products / tensor rate + sums / fp32 lanes

and thread blocks, one to an SM, run in waves. Which tile a shape gets is a rule of the library, not the least time:

``waves``  DeepGEMM as TensorRT-LLM ships it: 64 or 128 rows by 16 to 128 columns, the fewest waves, then the fullest
           last one; operands exchanged under 32 rows; from 1,024 rows on, pairs of blocks along the columns share what
           they load of a (multicast). Rows of a tile past the end are loaded as zeros, longer than those that exist.
``fixed``  one tile of 64 x 128 (sm_120).

Quantising the activations is a kernel before it: of ``waves`` a warp for 128 elements (64 to an SM), of ``fixed`` a
block of one warp for each 512 columns, 64 of them along the rows. Both take their elements one after the other.
Sources: NVIDIA/TensorRT-LLM, fp8_blockscale_gemm_kernel.cuh, deep_gemm/compiler.cuh, quantization/utils/fp8_utils.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.devices.gpu.stack import BlockScaled
    from hwsim.kernels.gpu_gemm import GemmPath

    Floats = NDArray[np.float64]

__all__ = ["block_scaled_tiles", "block_scaled_times", "quantize_chain_s"]

_STEP: Final = 128.0
"""Elements of k that share a scale, and that one step takes."""
_HEIGHTS: Final = (64.0, 128.0)
_WIDTHS: Final = tuple(float(each) for each in range(16, 129, 8))
_EXCHANGED: Final = 32
"""Rows from which on a is the tall operand."""
_MULTICAST: Final = 1024
_CHAINS: Final = 64.0
"""Of ``waves`` warps of an SM; of ``fixed`` thread blocks along the rows."""
_BLOCKS: Final = 24.0
"""Thread blocks that an SM of compute capability 12.0 holds (CUDA programming guide)."""
_COLUMNS: Final = 512.0
"""Columns of a thread block that quantises, of ``fixed``."""


@dataclass(frozen=True, slots=True)
class _Tiling:
    """The tile of each row.

    Attributes:
        index: row of `block_scaled_tiles`.
        tall: rows of the tile's first operand in all.
        wide: those of its second.
        height: rows of the tile.
        width: columns of the tile.
        shared: blocks that share what they load of the first operand.
    """

    index: NDArray[np.int64]
    tall: Floats
    wide: Floats
    height: Floats
    width: Floats
    shared: Floats


def block_scaled_tiles(kernel: str) -> Floats:
    """The tiles of a kernel as `hwsim.devices.gpu.menus` has them: tm, tn, tk, thread blocks per SM."""
    if kernel == "fixed":
        return np.array([(64.0, 128.0, _STEP, 1.0)])
    plain = [(height, width, _STEP, 1.0) for height in _HEIGHTS for width in _WIDTHS]
    return np.array(plain + [(width, height, _STEP, 1.0) for height, width, _, _ in plain])


def _tiling(kernel: str, m: Floats, n: Floats, batch: Floats, sms: float) -> _Tiling:
    """The tile that the library takes for each row."""
    if kernel == "fixed":
        one = np.ones_like(m)
        return _Tiling(np.zeros(m.size, np.int64), m, n, 64.0 * one, 128.0 * one, one)
    exchanged = m < _EXCHANGED
    tall, wide = np.where(exchanged, n, m), np.where(exchanged, m, n)
    second = tall > _HEIGHTS[0]
    height = np.where(second, _HEIGHTS[1], _HEIGHTS[0])
    blocks = batch * np.ceil(tall / height) * np.ceil(wide / np.array(_WIDTHS)[:, None])
    waves = np.ceil(blocks / sms)
    last = blocks - (waves - 1.0) * sms
    place = np.argmin(waves * (sms + 1.0) - last, axis=0)
    width = np.array(_WIDTHS)[place]
    pairs = np.where(exchanged, tall % (2.0 * height), wide % (2.0 * width)) == 0.0
    shared = np.where((np.where(exchanged, wide, tall) >= _MULTICAST) & pairs & (batch == 1.0), 2.0, 1.0)
    index = place + len(_WIDTHS) * second + 2 * len(_WIDTHS) * exchanged
    return _Tiling(index.astype(np.int64), tall, wide, height, width, shared)


def _cold(footprint: Floats, c: GemmPath) -> Floats:
    """Share of the operands that L2 does not hold."""
    if np.isinf(c.l2_bytes):
        return np.zeros_like(footprint)
    return np.clip((footprint - c.l2_bytes) / (c.spill_bytes - c.l2_bytes), 0.0, 1.0)


def _dram_bytes(m: Floats, n: Floats, k: Floats, batch: Floats, c: GemmPath) -> tuple[Floats, Floats]:
    """(bytes that miss L2, all bytes), as products without block scales count them."""
    a, b, out = m * k * c.a_bytes, n * k * c.b_bytes, m * n * c.out_bytes
    sets = np.maximum(1.0, np.minimum(c.copies, np.ceil(c.turn_bytes / (batch * b))))
    cold, warm = (_cold(batch * each, c) for each in (a + sets * b + out, a + out))
    return batch * (b * cold + (a + out) * warm), batch * (a + b + out)


def block_scaled_times(
    p: GpuParameters, block: BlockScaled, shape: tuple[Floats, ...], c: GemmPath
) -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
    """Times of products, as `hwsim.kernels.gpu_gemm.gemm_times` returns them.

    Args:
        p: the card.
        block: the stack's kernel.
        shape: m, n, k and batch of each row.
        c: card, stack and formats.
    """
    m, n, k, batch = shape
    clock, lanes = p.chip.tensor_clock.value, p.chip.fp32_lanes.value
    tile = _tiling(block.kernel, m, n, batch, c.sms)
    along = np.ceil(tile.tall / tile.height)
    blocks, steps = batch * along * np.ceil(tile.wide / tile.width), np.ceil(k / _STEP)
    dram, moved = _dram_bytes(m, n, k, batch, c)
    nominal = 2.0 * batch * m * n * k / c.peak_flop_s
    least = np.maximum(np.maximum(nominal, dram / c.peak_dram_bytes_s), moved / c.peak_l2_bytes_s)
    power = 1.0 - least / (least + c.power_time_s) * (1.0 - c.power_share)
    sums = tile.height * tile.width
    multiply = 2.0 * sums * _STEP / (c.tensor_flop_s * power) + sums / (lanes * clock)
    beyond = (along * tile.height - tile.tall) / along
    lines = (tile.height - beyond) / tile.shared + block.beyond.value * beyond + tile.width
    feed, memory = lines * _STEP / block.feed.value, dram / blocks / steps / c.dram_bytes_s
    latency = block.step.value / clock
    fill = c.fill_s + c.store_s * sums
    full = np.floor(blocks / c.sms)
    last = blocks - full * c.sms

    def wave(count: Floats | float) -> Floats:
        slow: Floats = np.cbrt(multiply**3 + (feed * count) ** 3 + (memory * count) ** 3 + latency**3)
        return steps * slow + fill

    times = c.floor_s + full * wave(c.sms) + np.where(last > 0.0, wave(last), 0.0)
    waves = full + (last > 0.0)
    parts = np.array([waves * multiply, blocks * feed, blocks * memory]) * steps
    bounds = np.where(parts.max(axis=0) < 0.5 * times, 4, parts.argmax(axis=0))
    choices = np.stack([tile.index.astype(np.float64), np.ones_like(m)], axis=1)
    return np.maximum(times, least), bounds, choices, dram


def quantize_chain_s(p: GpuParameters, block: BlockScaled, rows: Floats, k: Floats) -> Floats:
    """Time of the longest chain of elements that a warp quantises, one after the other.

    Args:
        p: the card.
        block: the stack's kernel.
        rows: rows of activations.
        k: columns.
    """
    if block.kernel == "fixed":
        rounds = np.ceil(_CHAINS * np.ceil(k / _COLUMNS) / (_BLOCKS * p.chip.sms.value))
        links = np.ceil(rows / _CHAINS) * rounds
    else:
        links = np.ceil(rows * np.ceil(k / _STEP) / (_CHAINS * p.chip.sms.value))
    chain: Floats = links * block.quantize_step.value / p.chip.tensor_clock.value
    return chain
