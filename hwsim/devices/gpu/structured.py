"""Structured and block-sparse weights as the dense products that kernels run for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from hwsim.devices.gpu.vector import vector_times
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS
from hwsim.workload.structured import factors_of, is_structured

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from hwsim.devices.gpu.gemm import GemmAnswer, GemmFormats
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.op import Op

    Floats: TypeAlias = NDArray[np.float64]

__all__ = [
    "block_depth",
    "block_extents",
    "block_menu",
    "has_sparse_tensor_cores",
    "multiplied_share",
    "structured_rows",
]

_SPARSE_GENERATIONS: Final = frozenset({"ampere", "ada", "hopper", "blackwell"})


def has_sparse_tensor_cores(p: GpuParameters) -> bool:
    """Whether tensor cores skip the zeros of 2:4 weights: from Ampere on."""
    return p.generation in _SPARSE_GENERATIONS


def multiplied_share(op: Op) -> float:
    """Share of an op's multiply-accumulates that its kernel performs.

    2:4 weights, whose zeros the tensor cores skip, the blocks that are stored (those under 16 padded to it) and the
    factors of structured weights; zeros that lie anywhere are multiplied.
    """
    if op.kind != "gemm":
        return 1.0
    weights = op.operands[1]
    if weights.structure.startswith("block:"):
        return min(1.0, weights.density * _padded(*block_extents(weights.structure)))
    return weights.density if weights.structure == "2:4" or is_structured(weights.structure) else 1.0


# --- blocks ----------------------------------------------------------------------------------------------------------


def block_extents(structure: str) -> tuple[int, int]:
    """(rows along n, columns along k) of ``block:RxC``."""
    rows, columns = structure.removeprefix("block:").split("x")
    return int(rows), int(columns)


def block_menu(structure: str) -> NDArray[np.float64]:
    """Tiles of a block-sparse kernel: a thread block owns one row of blocks, so its columns are the block's.

    Blocks under 16 are padded to the instruction's 16 (8 along the token side never pays here).
    """
    rows, columns = block_extents(structure)
    tn, tk = float(min(max(rows, 16), 256)), float(min(max(columns, 16), 64))
    return np.array([(tm, tn, tk, 2.0 if tm * tn <= 64 * 128 else 1.0) for tm in (16.0, 32.0, 64.0, 128.0)])


def _padded(rows: int, columns: int) -> float:
    """What a block's padding to the instruction's 16 multiplies its work by."""
    return max(rows, 16) / rows * max(columns, 16) / columns


def block_depth(p: GpuParameters, formats: GemmFormats, m: Floats, n: Floats, k: Floats) -> Floats:
    """Length along k that a thread block walks over: its share of blocks, more where the load is uneven.

    Blocks that fall where they may are Binomial(k/C, density) in each row of blocks. Of ``rows`` such rows the fullest
    has about mean + sqrt(2 ln rows) standard deviations (extreme of normal variables). One wave waits for it; with
    more waves thread blocks that finish early take others, and the excess is spread over the waves.
    """
    rows, columns = block_extents(formats.structure)
    along, slices = np.maximum(1.0, n / rows), np.maximum(1.0, k / columns)
    mean = np.maximum(formats.density * slices, 1e-9)
    deviation = np.sqrt(slices * formats.density * (1.0 - formats.density))
    waves = np.maximum(1.0, along * np.ceil(m / 128.0) / p.chip.sms.value)
    fullest = np.minimum(slices, mean + np.sqrt(2.0 * np.log(along)) * deviation / waves)
    padded = _padded(rows, columns)
    walked: NDArray[np.float64] = np.minimum(fullest * columns * padded, k * padded)
    return np.maximum(walked, 1.0)


# --- factors ---------------------------------------------------------------------------------------------------------


def structured_rows(
    p: GpuParameters,
    shape: tuple[Floats, ...],
    formats: GemmFormats,
    dense: Callable[[Floats, Floats, Floats, Floats], GemmAnswer | Infeasible],
) -> GemmAnswer | Infeasible:
    """Times of products with structured weights: their factors one after the other, and the shuffles between.

    Args:
        p: the card.
        shape: m, n, k and batch of each row.
        formats: formats of all rows.
        dense: times of dense products of m, n, k and batch.
    """
    m, n, k, batch = shape
    factors = _factors(formats.structure, n, k)
    total: GemmAnswer | None = None
    for blocks, wide, deep, shuffled in factors:
        found = dense(m, wide, deep, blocks * batch)
        if isinstance(found, Infeasible):
            return found
        moved = m * batch * shuffled * 2.0 * FORMATS[formats.out].bits_per_element / 8.0
        copies, cold = vector_times(p, "copy", moved)
        extra = np.where(shuffled > 0.0, copies, 0.0)
        found = replace(found, times_s=found.times_s + extra, dram_bytes=found.dram_bytes + cold)
        total = found if total is None else _after(total, found)
    return cast("GemmAnswer", total)


def _factors(structure: str, n: Floats, k: Floats) -> Floats:
    """Blocks, outputs, inputs and shuffled elements of the factors of each row's matrix: factors x 4 x rows."""
    pairs = list(zip(n.tolist(), k.tolist(), strict=True))
    known = {
        pair: [(each.blocks, each.n, each.k, each.shuffled) for each in factors_of("gemm", structure, *map(int, pair))]
        for pair in set(pairs)
    }
    return np.ascontiguousarray(np.moveaxis(np.array([known[pair] for pair in pairs], dtype=np.float64), 0, -1))


def _after(first: GemmAnswer, second: GemmAnswer) -> GemmAnswer:
    """Two kernels one after the other; the longer one's limit and tile speak for both."""
    longer = second.times_s > first.times_s
    return replace(
        first,
        times_s=first.times_s + second.times_s,
        dram_bytes=first.dram_bytes + second.dram_bytes,
        bounds=np.where(longer, second.bounds, first.bounds),
        choices=np.where(longer[:, None], second.choices, first.choices),
    )
