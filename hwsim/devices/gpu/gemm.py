"""Matrix products: from a card, its stack and the formats to the closed form of `hwsim.kernels.gpu_gemm`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from hwsim.devices.gpu.block_scaled import block_scaled_tiles, block_scaled_times, quantize_chain_s
from hwsim.devices.gpu.energy import dynamic_limit_w, product_pj
from hwsim.devices.gpu.estimate import ALONE, Estimate, Setting, l2_bytes
from hwsim.devices.gpu.menus import menu
from hwsim.devices.gpu.narrow_weights import kernel_times, narrow_kernel, narrow_path, narrow_tiles
from hwsim.devices.gpu.paths import TensorPath, rate_of, tensor_path
from hwsim.devices.gpu.structured import block_depth, block_menu, has_sparse_tensor_cores, structured_rows
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS
from hwsim.workload.structured import is_structured
from hwsim.workload.training import GRAD_WEIGHT

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.devices.gpu.stack import BlockScaled, Gemm
    from hwsim.kernels.gpu_gemm import GemmPath
    from hwsim.mapping.forms import TileForm
    from hwsim.workload.op import Op

__all__ = [
    "GemmAnswer",
    "GemmFormats",
    "block_kernel",
    "formats_of",
    "gemm_estimate",
    "gemm_path",
    "gemm_rows",
    "limits",
    "tiles_of",
]

_LIMITS: Final = {"tensor": "tensor", "feed": "l2", "memory": "memory", "convert": "alu", "latency": "latency"}
_DYNAMIC_READS: Final = 2
"""Passes over the activations that quantising them takes: the largest magnitude, then the cast."""
_SGEMM_APART: Final = frozenset({"ampere", "ada", "hopper", "blackwell"})
"""Generations whose batched fp32 products all run one tile, the largest, which single ones do not (NeuSight, A100)."""
_SPILL: Final = 1.1
"""Operands used in turn miss L2 wholly when they exceed it by a tenth: rows of RTX PRO 6000 just above 128 MiB."""
_SPLITS: Final = 16.0
"""Splits along k that libraries offer."""
_SPLITS_CONVERTED: Final = 3.0
"""Those of weight-only kernels whose source was not read."""


@dataclass(frozen=True, slots=True)
class GemmFormats:
    """Formats of a product, as `hwsim kernel gemm` takes them.

    Attributes:
        a: activations.
        b: weights.
        out: result.
        acc: accumulator.
        group: weights along k that share a 16-bit scale; 0 for none.
        quantize: ``dynamic`` where a arrives in 16 bits and is quantised within the op.
        density: share of the weights that is stored and multiplied.
        structure: dense, N:M, block:RxC, unstructured, or one of `hwsim.workload.structured`.
    """

    a: str = "bf16"
    b: str = "bf16"
    out: str = "bf16"
    acc: str = "auto"
    group: int = 0
    quantize: str = "none"
    density: float = 1.0
    structure: str = "dense"


@dataclass(frozen=True, slots=True)
class GemmAnswer:
    """Times of many products in one choice of formats.

    Attributes:
        times_s: seconds.
        bounds: limiter of each, an index of `hwsim.kernels.gpu_gemm.BOUNDS`.
        choices: (row of the menu, split) of each.
        dram_bytes: bytes that miss L2.
        path: the tensor path.
    """

    times_s: NDArray[np.float64]
    bounds: NDArray[np.int64]
    choices: NDArray[np.float64]
    dram_bytes: NDArray[np.float64]
    path: TensorPath


def _power_share(p: GpuParameters, flop_s: float, name: str) -> float:
    """Rate of products of a format that the board's power limit allows over ``flop_s``, at most 1."""
    needed_w = product_pj(p.power, name) * 1e-12 * flop_s
    return min(1.0, dynamic_limit_w(p.power) / needed_w) if needed_w else 1.0


def _weight_bytes(formats: GemmFormats) -> float:
    """Bytes of one weight with its scales, and with the index of a stored one where weights are left out."""
    bits = FORMATS[formats.b].bits_per_element + (16.0 / formats.group if formats.group else 0.0)
    index = {"dense": 0.0, "unstructured": 16.0}.get(formats.structure, 2.0 if ":" in formats.structure else 0.0)
    if formats.structure.startswith("block:"):
        return bits / 8.0  # of a stored weight: whole blocks are left out, and their indices are too few to count
    return (bits + index) / 8.0 * formats.density


def _most_split(gemm: Gemm, formats: GemmFormats, path: TensorPath) -> float:
    """Splits along k that a kernel offers: block-scaled and SmoothQuant's none, weight-only ones few."""
    if FORMATS[formats.a].group:
        return 1.0
    most = gemm.int8_splits.value if path.name == "int8" else _SPLITS
    return min(most, _SPLITS_CONVERTED) if path.convert_ops else most


def gemm_path(
    p: GpuParameters, formats: GemmFormats, setting: Setting = ALONE
) -> tuple[TensorPath, GemmPath] | Infeasible:
    """Constants of the closed form for a card and a choice of formats, or why the card cannot run it."""
    from hwsim.kernels.gpu_gemm import GemmPath  # noqa: PLC0415 - brings in numba

    path = tensor_path(p, formats.a, formats.b, formats.acc)
    if isinstance(path, Infeasible):
        return path
    if formats.structure == "2:4" and not has_sparse_tensor_cores(p):
        reason = f"{p.name} has no tensor cores that skip the zeros of 2:4 weights; its nearest is structure=none"
        levers = ("structure=none", "an Ampere, Ada, Hopper or Blackwell card")
        return Infeasible("2:4 tensor cores", 1, 0, "paths", reason, {"2:4": 1}, levers)
    gemm, sms, clock = p.software.gemm, p.chip.sms.value, p.chip.tensor_clock.value
    skipped = formats.density if formats.structure == "2:4" else 1.0
    rate = path.flop_per_clock * clock / path.work / skipped
    wide = ("fp16", "bf16", "fp16_acc16")  # boards that halve products with fp32 sums keep the chip's operand feed
    base = max(*(rate_of(p, each) or 0.0 for each in wide), 2.0 * p.chip.fp32_lanes.value) * clock
    hot = p.l2.bandwidth.value * gemm.l2_share.value
    convert = p.chip.fp32_lanes.value * clock / path.convert_ops if path.convert_ops else np.inf
    peak = sms * path.flop_per_clock * p.chip.boost_clock.value / path.work / skipped
    share = (gemm.tensor_share if FORMATS[formats.a].bits > 8 else gemm.narrow_share).value
    achieved, feed, part = rate * share, max(base / gemm.feed.value, hot / sms), gemm.part
    if path.name == "fp32":  # the ALUs issue at their rate; tiles that are small wait for shared memory
        achieved, feed, part = rate * gemm.simt_share.value, rate / gemm.simt_feed.value, gemm.simt_part
    floor = gemm.floor.value / clock
    constants = GemmPath(
        sms=sms,
        tensor_flop_s=achieved,
        feed_bytes_s=feed,
        dram_bytes_s=p.stream_bytes_s * p.software.dram_share.value,
        sm_dram_bytes_s=gemm.sm_dram.value,
        convert_weights_s=convert,
        unpack_weights_s=math.inf,
        step_s=0.0,
        hot_bytes_s=hot,
        l2_bytes=l2_bytes(p),
        spill_bytes=_SPILL * p.l2.capacity.value,
        copies=setting.weight_copies,
        turn_bytes=p.l2.capacity.value if setting.fills_l2 else math.inf,
        most_split=_most_split(gemm, formats, path),
        least_split=1.0,
        least_part=part.value if part else 0.0,
        a_bytes=FORMATS[formats.a].bits_per_element / 8.0 / path.planes,
        b_bytes=_weight_bytes(formats),
        out_bytes=FORMATS[formats.out].bits_per_element / 8.0 / path.planes,
        floor_s=floor,
        fill_s=gemm.fill.value / clock,
        store_s=gemm.store.value / clock / (128 * 128),
        split_s=gemm.split.value / clock,
        turn_s=0.0,
        power_share=_power_share(p, sms * achieved, formats.a),
        power_time_s=p.power.settle.value,
        peak_flop_s=peak,
        peak_dram_bytes_s=p.memory.bandwidth.value,
        peak_l2_bytes_s=p.l2.bandwidth.value,
    )
    kernel = narrow_kernel(p, formats)
    if kernel is not None and gemm.narrow is not None:
        constants = narrow_path(p, gemm.narrow, kernel, formats, constants)
        if setting.replayed and p.launches.events:  # alone: as benchmarks time these kernels
            constants = constants._replace(floor_s=constants.floor_s + p.launches.events.value)
    return path, constants


def block_kernel(p: GpuParameters, formats: GemmFormats) -> BlockScaled | None:
    """The stack's own kernel for products of two 8-bit formats with block scales, where it has one."""
    scaled = formats.a == formats.b == "fp8_block" and formats.structure == "dense"
    return p.software.gemm.block if scaled else None


def tiles_of(p: GpuParameters, formats: GemmFormats, batched: bool = False) -> NDArray[np.float64]:
    """The stack's tiles, or those of block-sparse, narrow-weight, fp32, bit-plane and 4-bit block-scaled kernels.

    Args:
        p: the card.
        formats: formats of the product.
        batched: whether it is several products side by side.
    """
    block = block_kernel(p, formats)
    if block is not None:
        return block_scaled_tiles(block.kernel)
    if formats.structure.startswith("block:"):
        return block_menu(formats.structure)
    kernel = narrow_kernel(p, formats)
    if kernel is not None:
        return narrow_tiles(kernel, formats)
    if formats.a == "fp32":
        return menu("simt" if p.generation not in _SGEMM_APART else "simt-batched" if batched else "simt-single")
    if "int6" in (formats.a, formats.b) and "int1" in p.tensor:
        return menu("binary")
    return menu("block" if FORMATS[formats.a].group and FORMATS[formats.a].bits == 4 else p.software.gemm.menu)


def gemm_rows(
    p: GpuParameters,
    m: ArrayLike,
    n: ArrayLike,
    k: ArrayLike,
    formats: GemmFormats,
    batch: ArrayLike = 1,
    setting: Setting = ALONE,
    only: TileForm | None = None,
) -> GemmAnswer | Infeasible:
    """Times of many products in one choice of formats.

    Args:
        p: the card.
        m: rows of a (tokens).
        n: columns of the result.
        k: length of each dot product.
        formats: formats of all rows.
        batch: independent products of each row.
        setting: alone or in a model.
        only: the tile and split to take, instead of the best of the menu.
    """
    found = gemm_path(p, formats, setting)
    if isinstance(found, Infeasible):
        return found
    path, constants = found
    if only is not None:
        split = float(only.split)
        constants = constants._replace(least_split=split, most_split=min(constants.most_split, split))
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in (m, n, k, batch)))
    rows, wide, deep, count = (np.ascontiguousarray(each) for each in columns)
    if is_structured(formats.structure):
        if only is not None:
            return _not_on_menu(p, only)
        factors = replace(formats, structure="dense", density=1.0)
        return structured_rows(
            p,
            (rows, wide, deep, count),
            formats,
            lambda tall, n, k, batch: gemm_rows(p, tall, n, k, factors, batch, setting),
        )
    answer = _one_kernel(p, (rows, wide, deep, count), formats, path, constants, only)
    if only is not None and not np.isfinite(answer.times_s).all():
        return _not_on_menu(p, only)
    if formats.quantize == "dynamic":
        return replace(answer, times_s=answer.times_s + _quantize_s(p, rows * count, deep, formats))
    return answer


def _one_kernel(
    p: GpuParameters,
    shape: tuple[NDArray[np.float64], ...],
    formats: GemmFormats,
    path: TensorPath,
    constants: GemmPath,
    only: TileForm | None,
) -> GemmAnswer:
    """Times of products that are one kernel each; infinite where it has not the one tile that is asked for.

    Args:
        p: the card.
        shape: m, n, k and batch of each row.
        formats: formats of all rows.
        path: the tensor path.
        constants: those of the closed form.
        only: the tile and split to take.
    """
    rows, wide, deep, count = shape
    block = block_kernel(p, formats)
    if block is not None:
        found = block_scaled_times(p, block, shape, constants)
        return _only_by_rule(GemmAnswer(*found, path), block_scaled_tiles(block.kernel), only)
    walked = block_depth(p, formats, rows, wide, deep) if formats.structure.startswith("block:") else deep
    times, missed = np.empty(rows.size), np.empty(rows.size)
    bounds, choices = np.empty(rows.size, np.int64), np.empty((rows.size, 2))
    for batched in (False, True):
        own = np.flatnonzero((count > 1) == batched)
        if own.size:
            tiles = _only(tiles_of(p, formats, batched), only)
            each = (rows[own] * path.planes, wide[own], walked[own], count[own])
            times[own], bounds[own], choices[own], missed[own] = kernel_times(p, formats, each, tiles, constants)
    return GemmAnswer(times, bounds, choices, missed, path)


def _only_by_rule(answer: GemmAnswer, tiles: NDArray[np.float64], form: TileForm | None) -> GemmAnswer:
    """Answers of a kernel that has one tile for each shape: infinite where that is not the one asked for."""
    if form is None:
        return answer
    taken = tiles[answer.choices[:, 0].astype(np.int64), :3]
    same = (taken == (form.tm, form.tn, form.tk)).all(axis=1) & (form.split == 1)
    return replace(answer, times_s=np.where(same, answer.times_s, np.inf), choices=answer.choices * (0.0, 1.0))


def _only(tiles: NDArray[np.float64], form: TileForm | None) -> NDArray[np.float64]:
    """The rows of a menu, or the one that a mapping names; none where it is not there."""
    if form is None:
        return tiles
    named = (tiles[:, :3] == (form.tm, form.tn, form.tk)).all(axis=1)
    return np.ascontiguousarray(tiles[named])


def _not_on_menu(p: GpuParameters, form: TileForm) -> Infeasible:
    """Why a mapping's tile cannot run: it is not among the tiles and splits that the stack has for the product."""
    tile = f"{form.tm}x{form.tn}x{form.tk}"
    reason = f"the stack {p.stack} of {p.name} does not offer the tile {tile} in {form.split} splits for this product"
    levers = ("a tile of its menu: hwsim map shows it", "split: 1", "another stack")
    return Infeasible("tile", 1, 0, "kernels", reason, {tile: 1}, levers)


def _quantize_s(
    p: GpuParameters, rows: NDArray[np.float64], k: NDArray[np.float64], formats: GemmFormats
) -> NDArray[np.float64]:
    """Time of quantising activations: passes that read 16 bits, and one that writes the narrow format."""
    scaled, elements = FORMATS[formats.a].group > 0, rows * k
    floor = p.software.gemm.quantize_block if scaled else p.software.gemm.quantize
    moved = elements * (2.0 * (1 if scaled else _DYNAMIC_READS) + FORMATS[formats.a].bits_per_element / 8.0)
    cold = np.clip(elements * 2.0 / l2_bytes(p) - 1.0, 0.0, 1.0)
    rate = p.stream_bytes_s * p.software.dram_share.value
    hot = p.l2.bandwidth.value * p.software.vector.l2_share.value
    stream = moved * (cold / rate + (1.0 - cold) / hot)
    block = block_kernel(p, formats)
    if block is not None:
        stream = np.hypot(stream, quantize_chain_s(p, block, rows, k))
    return floor.value + stream + (_reorder_s(p, elements, formats) if scaled else 0.0)


def _reorder_s(p: GpuParameters, elements: NDArray[np.float64], formats: GemmFormats) -> NDArray[np.float64] | float:
    """Time of the kernels that move scales into the order of the products, each out of L2 and back."""
    if p.software.gemm.reorder is None:
        return 0.0
    a, vector = FORMATS[formats.a], p.software.vector
    moved = 2.0 * elements * a.scale_bits / a.group / 8.0
    rate = p.l2.bandwidth.value * vector.l2_share.value
    times: NDArray[np.float64] = p.software.gemm.reorder.value * (vector.floor.value + moved / rate)
    return times


def formats_of(op: Op) -> GemmFormats:
    """The formats of a gemm op."""
    b = op.operand("b")
    text = {name: op.attributes.get(name, default) for name, default in (("acc", "auto"), ("quantize", "none"))}
    return GemmFormats(
        a=op.operand("a").format,
        b=b.format,
        out=op.output.format,
        acc=str(text["acc"]),
        group=int(op.attributes.get("group", 0)),
        quantize=str(text["quantize"]),
        density=b.density,
        structure=b.structure,
    )


def _flows(op: Op) -> bool:
    """Whether a product's second operand was just written, as its first: an activation not kept since the forward.

    Then it comes from L2 as far as that holds all three operands, where weights come from memory in a model.
    """
    return op.operand("b").role == "activation" and not op.name.endswith(GRAD_WEIGHT)


def limits(path: TensorPath, bounds: NDArray[np.int64]) -> NDArray[np.object_]:
    """Resources that limit products, as a result names them; fp32 multiplies on the ALUs, not on tensor cores."""
    from hwsim.kernels.gpu_gemm import BOUNDS  # noqa: PLC0415 - brings in numba

    names = _LIMITS | ({"tensor": "alu"} if path.name == "fp32" else {})
    return np.array([names[each] for each in BOUNDS], dtype=object)[bounds]


def gemm_estimate(p: GpuParameters, op: Op, setting: Setting, only: TileForm | None = None) -> Estimate | Infeasible:
    """Time of a gemm op. Experts are products side by side (a grouped GEMM), each with its share of the rows.

    Args:
        p: the card.
        op: the product.
        setting: alone or in a model.
        only: the tile and split to take, instead of the best of the menu.
    """
    d, (count, rows) = op.dims, op.side_by_side
    if _flows(op):
        setting = replace(setting, weight_copies=1.0)
    answer = gemm_rows(p, rows, d["n"], d["k"], formats_of(op), count, setting, only)
    if isinstance(answer, Infeasible):
        return answer
    tile = _only(tiles_of(p, formats_of(op), count > 1), only)[int(answer.choices[0, 0])]
    split = int(answer.choices[0, 1])
    ctas = count * math.ceil(rows * answer.path.planes / tile[0]) * math.ceil(d["n"] / tile[1]) * split
    mapping: dict[str, float | str] = {"tm": tile[0], "tn": tile[1], "tk": tile[2], "split": split, "ctas": ctas}
    mapping["waves"] = ctas / (p.chip.sms.value * tile[3])
    return Estimate(
        time_s=float(answer.times_s[0]),
        bound=str(limits(answer.path, answer.bounds)[0]),
        bytes={"dram": float(answer.dram_bytes[0])},
        flop=2.0 * op.macs,
        path=answer.path.name,
        mapping=mapping,
    )
