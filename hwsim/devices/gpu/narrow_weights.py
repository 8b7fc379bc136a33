"""Products with narrow weights by TensorRT-LLM's own kernels: weight-only, and SmoothQuant's of 8-bit integers.

Where a stack has them (`hwsim.devices.gpu.stack.NarrowWeights`), such a product is one of two kinds of kernel:

``matrix``  CUTLASS on the tensor cores, the least time of a short menu of tiles, most with steps of 64 along k.
            Weight-only ones (fpA_intB) unpack a weight in registers between its load and its product, so that a step is
            a chain, and may split k among up to seven thread blocks, which add up in the output one after the other.
            SmoothQuant's split nothing.
            An engine takes the tile and split that were the fastest for the next power of two of its rows, up to
            8,192, where it profiled them (`GemmPluginProfiler`).
``vector``  a batched product with a vector on the ALUs, built for each number of rows: threads of a block lie along k,
            and each loads its columns one after the other. Weight-only up to 8 rows where it is faster; SmoothQuant
            up to 4 rows, always.

Sources: NVIDIA/TensorRT-LLM, cutlass_kernels/cutlass_heuristic.cpp, fpA_intB_gemm, int8_gemm, weightOnlyBatchedGemv
(kernelDispatcher.h, int8SQ.cu) and the plugins weightOnlyQuantMatmul, weightOnlyGroupwiseQuantMatmul, smoothQuantGemm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from hwsim.devices.gpu.menus import ON_ALUS, menu
from hwsim.formats import FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwsim.devices.gpu.gemm import GemmFormats
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.devices.gpu.stack import NarrowWeights
    from hwsim.kernels.gpu_gemm import GemmPath

    Floats = NDArray[np.float64]
    Times = tuple[Floats, NDArray[np.int64], Floats, Floats]

__all__ = ["kernel_times", "narrow_kernel", "narrow_path", "narrow_tiles", "offered_tiles"]

Kernel = Literal["weight-only", "smoothquant"]

_SIXTEEN: Final = frozenset({"fp16", "bf16"})
_WEIGHTS: Final = frozenset({"int8", "int4"})
_GROUPS: Final = frozenset({0, 64, 128})
"""Weights along k with a scale of their own: none but the column's, or one of those that the kernels are built for."""
_MOST_SPLIT: Final = 7.0
_ROWS: Final = {"weight-only": 8, "smoothquant": 4}
"""Rows up to which a kernel on the ALUs is tried: there are some for up to 15, but 9 are profiled as 16."""
_MOST_PROFILED: Final = 8192.0
_LOADS: Final = {"weight-only": (8.0, 1024.0), "smoothquant": (1.0, 2048.0)}
"""There: loads of a thread that wait for each other, and the elements of k that they cover."""
_DP4A: Final = 4.0
"""Multiply-adds of 8-bit integers in one instruction."""


def narrow_kernel(p: GpuParameters, formats: GemmFormats) -> Kernel | None:
    """Which of the stack's kernels for narrow weights runs a product; None where it has none for it."""
    if p.software.gemm.narrow is None or formats.structure != "dense":
        return None
    if formats.a == formats.b == "int8":
        return "smoothquant"
    if formats.a in _SIXTEEN and formats.b in _WEIGHTS and formats.group in _GROUPS:
        return "weight-only"
    return None


def narrow_tiles(kernel: Kernel, formats: GemmFormats) -> Floats:
    """The tiles of a kernel as `hwsim.devices.gpu.menus` has them; those on the ALUs last, one for each m."""
    return np.concatenate([menu(kernel), np.array(ON_ALUS[f"{kernel} {formats.b}"], dtype=np.float64)])


def _on_alus(tiles: Floats) -> NDArray[np.bool_]:
    """Which tiles are of the kernels on the ALUs: their steps along k are rounds of a whole thread block."""
    alus: NDArray[np.bool_] = tiles[:, 2] >= 1024.0
    return alus


def offered_tiles(kernel: Kernel, tiles: Floats, m: float, batch: float) -> Floats:
    """The tiles that the library has for one shape."""
    alus, few = _on_alus(tiles), batch == 1 and m <= _ROWS[kernel]
    if not few:
        return tiles[~alus]
    exact = alus & (tiles[:, 0] == m)
    offered: Floats = tiles[exact if kernel == "smoothquant" else exact | ~alus]
    return offered


def narrow_path(p: GpuParameters, own: NarrowWeights, kernel: Kernel, formats: GemmFormats, c: GemmPath) -> GemmPath:
    """Constants of the closed form for the kernels on the tensor cores.

    Args:
        p: the card.
        own: what was fitted on the kernels.
        kernel: which of them.
        formats: formats of the product.
        c: the constants of other products of these formats.
    """
    clock = p.chip.tensor_clock.value
    c = c._replace(dram_bytes_s=p.stream_bytes_s * own.stream.value, convert_weights_s=np.inf)
    if kernel == "smoothquant":
        return c._replace(most_split=1.0)
    packed = FORMATS[formats.b].bits < 8 and own.unpack.value > 0.0
    return c._replace(
        unpack_weights_s=p.chip.fp32_lanes.value * clock / own.unpack.value if packed else np.inf,
        step_s=own.step.value / clock / 64.0,
        most_split=_MOST_SPLIT,
        split_s=0.0,
        turn_s=own.turn.value / clock,
    )


def _vector_path(p: GpuParameters, own: NarrowWeights, kernel: Kernel, c: GemmPath) -> GemmPath:
    """Constants of the closed form for the kernels on the ALUs, from those for the tensor cores."""
    clock = p.chip.tensor_clock.value
    loads, along = _LOADS[kernel]
    rate = 2.0 * p.chip.fp32_lanes.value * clock * (_DP4A if kernel == "smoothquant" else 1.0)
    return c._replace(
        tensor_flop_s=rate,
        power_share=1.0,
        unpack_weights_s=np.inf,
        feed_bytes_s=np.inf,
        sm_dram_bytes_s=np.inf,
        step_s=loads * own.load.value / clock / along,
        most_split=1.0,
        fill_s=0.0,
        store_s=0.0,
    )


def kernel_times(
    p: GpuParameters,
    formats: GemmFormats,
    shape: tuple[Floats, ...],
    tiles: Floats,
    constants: GemmPath,
) -> Times:
    """What `hwsim.kernels.gpu_gemm.gemm_times` returns, for some of the tiles that a product has.

    Args:
        p: the card.
        formats: formats of the products.
        shape: m times the planes of the path, n, how far a thread block walks along k, and batch of each row.
        tiles: rows of `tiles_of`.
        constants: those of the closed form.
    """
    from hwsim.kernels.gpu_gemm import gemm_times  # noqa: PLC0415 - brings in numba

    kernel, own = narrow_kernel(p, formats), p.software.gemm.narrow
    if kernel is not None and own is not None:
        take = _profiled if tiles.shape[0] > 1 else _least  # a single tile is a mapping's: nothing to profile
        return take(p, own, kernel, shape, tiles, constants)
    rows, wide, deep, batch = shape
    return gemm_times(rows, wide, deep, batch, tiles, constants)


def _profiled(
    p: GpuParameters, own: NarrowWeights, kernel: Kernel, shape: tuple[Floats, ...], tiles: Floats, c: GemmPath
) -> Times:
    """Times by the tile and split of each row that are the fastest where the engine profiled them: as `_least`."""
    rows, wide, deep, batch = shape
    tried = np.where(batch == 1, np.minimum(2.0 ** np.ceil(np.log2(rows)), _MOST_PROFILED), rows)
    choices = _least(p, own, kernel, (tried, wide, deep, batch), tiles, c)[2]
    alus = _on_alus(tiles)
    choices[alus[choices[:, 0].astype(np.int64)], 0] = -1.0  # each number of rows has its own
    times, bounds, missed = np.empty(rows.size), np.empty(rows.size, np.int64), np.empty(rows.size)
    for row, split in np.unique(choices, axis=0):
        taken = np.flatnonzero((choices == (row, split)).all(axis=1))
        those = np.flatnonzero(alus) if row < 0 else np.array([int(row)])
        one = (rows[taken], wide[taken], deep[taken], batch[taken])
        found = _least(p, own, kernel, one, tiles[those], c._replace(least_split=split, most_split=split))
        times[taken], bounds[taken], missed[taken] = found[0], found[1], found[3]
        choices[taken, 0] = those[found[2][:, 0].astype(np.int64)]
    return times, bounds, choices, missed


def _least(
    p: GpuParameters, own: NarrowWeights, kernel: Kernel, shape: tuple[Floats, ...], tiles: Floats, c: GemmPath
) -> Times:
    """Times of products as `hwsim.kernels.gpu_gemm.gemm_times` returns them; infinite where no tile is for a shape.

    Args:
        p: the card.
        own: what was fitted on the kernels.
        kernel: which of them.
        shape: m, n, k and batch of each row.
        tiles: some of `narrow_tiles`.
        c: constants of `narrow_path`.
    """
    from hwsim.kernels.gpu_gemm import BOUNDS, gemm_times  # noqa: PLC0415 - brings in numba

    rows, wide, deep, batch = shape
    few = (batch == 1) & (rows <= _ROWS[kernel])
    times, bounds = np.full(rows.size, np.inf), np.zeros(rows.size, np.int64)
    choices, missed = np.ones((rows.size, 2)), np.zeros(rows.size)
    alus = _on_alus(tiles)
    matrix = np.flatnonzero(~few) if kernel == "smoothquant" else np.arange(rows.size)
    if matrix.size and not alus.all():
        own_tiles = np.ascontiguousarray(tiles[~alus])
        found = gemm_times(rows[matrix], wide[matrix], deep[matrix], batch[matrix], own_tiles, c)
        times[matrix], bounds[matrix], choices[matrix], missed[matrix] = found
        chosen = np.where(np.isfinite(found[0]), found[2][:, 0], 0.0)
        choices[matrix, 0] = np.flatnonzero(~alus)[chosen.astype(np.int64)]
    vector = _vector_path(p, own, kernel, c)
    for row in np.flatnonzero(alus):
        exact = np.flatnonzero(few & (rows == tiles[row, 0]))
        if not exact.size:
            continue
        found = gemm_times(rows[exact], wide[exact], deep[exact], batch[exact], tiles[row : row + 1], vector)
        less = found[0] < times[exact]
        taken = exact[less]
        times[taken], bounds[taken], missed[taken] = found[0][less], found[1][less], found[3][less]
        bounds[taken] = np.where(bounds[taken] == BOUNDS.index("tensor"), BOUNDS.index("convert"), bounds[taken])
        choices[taken] = (row, 1.0)
    return times, bounds, choices, missed
