"""Which tile a library would choose for a product, and why: the whole menu, ranked, with what each tile wastes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from hwsim.devices.gpu.estimate import ALONE
from hwsim.devices.gpu.gemm import (
    GemmFormats,
    block_kernel,
    formats_of,
    gemm_path,
    gemm_rows,
    limits,
    tiles_of,
)
from hwsim.devices.gpu.narrow_weights import narrow_kernel, offered_tiles
from hwsim.devices.gpu.structured import block_depth
from hwsim.errors import HwsimError, Infeasible
from hwsim.workload.structured import is_structured

if TYPE_CHECKING:
    from hwsim.devices.gpu.gemm import GemmAnswer
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.op import Op

__all__ = ["RankedTile", "choices_tried", "ranked_tiles"]

_BEST: Final = "the least time of the menu"


@dataclass(frozen=True, slots=True)
class RankedTile:
    """One tile of the menu with its best split.

    Attributes:
        tm: rows of a (tokens) of a thread block.
        tn: columns of the weights.
        tk: length of a step along k.
        split: thread blocks that share each dot product.
        time_s: seconds, quantising activations left out.
        bound: the resource that limits it.
        ctas: thread blocks.
        waves: rounds in which the card works them off; the last may be partial.
        last_wave: share of the card that the last round fills.
        padding: share of the multiply-accumulates that fall outside the product.
        reason: in words, why it stands where it does.
    """

    tm: int
    tn: int
    tk: int
    split: int
    time_s: float
    bound: str
    ctas: int
    waves: int
    last_wave: float
    padding: float
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def ranked_tiles(p: GpuParameters, op: Op) -> tuple[RankedTile, ...] | Infeasible:
    """Every tile of the stack's menu for a product, the one that the library would choose first.

    A kernel with one tile for each shape (`hwsim.devices.gpu.block_scaled`), or one that its engine profiled
    (`hwsim.devices.gpu.narrow_weights`), has no other.

    Args:
        p: the card.
        op: a gemm.

    Raises:
        HwsimError: the op is no product.
    """
    from hwsim.kernels.gpu_gemm import gemm_times  # noqa: PLC0415 - brings in numba

    formats = _one_product(op)
    found = gemm_path(p, formats, ALONE)
    if isinstance(found, Infeasible):
        return found
    path, constants = found
    m, n, batch = (np.array([float(op.dims[name])]) for name in ("m", "n", "batch"))
    if block_kernel(p, formats) or narrow_kernel(p, formats):
        return (_by_rule(p, op, replace(formats, quantize="none")),)
    walked = _walked(p, op, formats)
    ranked: list[RankedTile] = []
    tiles = tiles_of(p, formats, op.dims["batch"] > 1)
    for row in range(tiles.shape[0]):
        times, bounds, choices, _ = gemm_times(m * path.planes, n, walked, batch, tiles[row : row + 1], constants)
        limit = str(limits(path, bounds)[0])
        ranked.append(_tile(p, op, tiles[row], int(choices[0, 1]), float(times[0]), limit, path.planes))
    ranked.sort(key=lambda each: (each.time_s, each.ctas, each.tm, each.tn))
    return tuple(_with_reason(each, ranked[0]) for each in ranked)


def _by_rule(p: GpuParameters, op: Op, formats: GemmFormats) -> RankedTile:
    """The one tile of a kernel whose tile follows from the shape, or from a profile of it."""
    d = op.dims
    answer = cast("GemmAnswer", gemm_rows(p, d["m"], d["n"], d["k"], formats, d["batch"]))
    tile, limit = tiles_of(p, formats)[int(answer.choices[0, 0])], str(limits(answer.path, answer.bounds)[0])
    only = _tile(p, op, tile, int(answer.choices[0, 1]), float(answer.times_s[0]), limit, 1)
    reason = _with_reason(only, only).reason.replace(_BEST, "the tile that its library takes for the shape")
    return replace(only, reason=reason)


def choices_tried(p: GpuParameters, op: Op) -> tuple[int, int] | Infeasible:
    """Pairs of tile and split: all of the menu, and those that the ranking compares for a product.

    Experts are products side by side, each with its share of the rows. The other pairs are not offered: too many
    thread blocks, or too few steps along k for each. A kernel with one tile for each shape, by a rule or a profile,
    takes that.

    Raises:
        HwsimError: the op is no product.
    """
    from hwsim.kernels.gpu_gemm import SPLITS, pairs_tried  # noqa: PLC0415 - brings in numba

    formats = _one_product(op)
    found = gemm_path(p, formats, ALONE)
    if isinstance(found, Infeasible):
        return found
    d, (batch, rows) = op.dims, op.side_by_side
    tiles, kernel = tiles_of(p, formats, batch > 1), narrow_kernel(p, formats)
    if kernel is not None:
        return offered_tiles(kernel, tiles, rows, batch).shape[0], 1
    if block_kernel(p, formats) is not None:
        return tiles.shape[0], 1
    depth = float(_walked(p, op, formats)[0])
    tried = pairs_tried(float(rows * found[0].planes), float(d["n"]), depth, float(batch), tiles, found[1])
    return tiles.shape[0] * len(SPLITS), int(tried)


def _one_product(op: Op) -> GemmFormats:
    """The formats of an op that is one product."""
    if op.kind != "gemm":
        raise HwsimError.at(op.name, f"kind {op.kind}", "gemm: only products have a menu of tiles")
    formats = formats_of(op)
    if is_structured(formats.structure):
        found_form = f"structure {formats.structure}, which is several products"
        raise HwsimError.at(op.name, found_form, "one product: dense, 2:4 or block")
    return formats


def _walked(p: GpuParameters, op: Op, formats: GemmFormats) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How far a thread block walks along k: past the blocks that are left out."""
    m, n, k = (np.array([float(op.dims[name])]) for name in ("m", "n", "k"))
    return block_depth(p, formats, m, n, k) if formats.structure.startswith("block:") else k


def _tile(
    p: GpuParameters,
    op: Op,
    tile: np.ndarray[Any, np.dtype[np.float64]],
    split: int,
    time_s: float,
    bound: str,
    planes: int,
) -> RankedTile:
    """A tile with what it wastes; the reason comes when all are ranked."""
    tm, tn, tk, occupancy = (int(each) for each in tile)
    d, rows = op.dims, op.dims["m"] * planes
    ctas = d["batch"] * math.ceil(rows / tm) * math.ceil(d["n"] / tn) * split
    slots = int(p.chip.sms.value) * occupancy
    waves = math.ceil(ctas / slots)
    done = math.ceil(rows / tm) * tm * math.ceil(d["n"] / tn) * tn * split * math.ceil(d["k"] / split / tk) * tk
    padding = 1.0 - rows * d["n"] * d["k"] / done
    last = (ctas - (waves - 1) * slots) / slots
    return RankedTile(tm, tn, tk, split, time_s, bound, ctas, waves, last, padding, "")


def _with_reason(each: RankedTile, best: RankedTile) -> RankedTile:
    """The tile with its reason: what limits it, how it fills the card, and how far it is from the chosen one."""
    waves = f"{each.ctas:,} thread blocks in {each.waves:,} wave{'s' if each.waves > 1 else ''}"
    words = [f"limited by {each.bound}", f"{waves}, the last {each.last_wave:.0%} full"]
    if each.padding > 0.01:
        words.append(f"{each.padding:.0%} of the work is padding")
    if each.split > 1:
        words.append(f"k split in {each.split} to fill the card")
    gap = each.time_s / best.time_s - 1.0
    words.append(_BEST if each is best else f"{gap:.1%} slower than the chosen tile")
    return replace(each, reason="; ".join(words))
