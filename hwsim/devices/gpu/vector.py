"""Bandwidth-bound kernels: norms, softmax, elementwise ops, embeddings; fused ones pay no kernel of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hwsim.devices.gpu.estimate import NO_KERNEL, Estimate, Setting, l2_bytes, limiter
from hwsim.formats import FORMATS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.devices.gpu.stack import BlockRow
    from hwsim.workload.op import Op

    Floats = NDArray[np.float64]

__all__ = ["FUSED", "RowForm", "floor_s", "vector_class", "vector_estimate", "vector_times"]

_CLASSES: Final = {
    "topk": "gather",
    "weighted_sum": "gather",
    "layernorm": "rowwise",
    "softmax": "rowwise",
    "absmax_scale": "gather",
}


@dataclass(frozen=True, slots=True)
class RowForm:
    """How a kernel of one thread block for each token divides it among threads.

    Attributes:
        constants: its constants in the stack (`hwsim.devices.gpu.parameters.RowKernel`).
        threads: most threads of a block.
        passes: walks over the token: two to sum and then scale, or over queries and then keys.
        items: steps of all threads in one pass, for each element of the output.
        spills: of ops whose input a matrix product wrote, whose weights take half of L2: bytes moved, over that half,
            from which on some come from memory and from which on all do; None for others.
    """

    constants: str
    threads: int
    passes: float
    items: float = 1.0
    spills: tuple[float, float] | None = None


_ROWS: Final = {
    "rmsnorm": RowForm("norm", 1024, 2.0),
    "rope": RowForm("rotary", 512, 2.0, 0.25, spills=(1.0, 1.5)),
    "silu_mul": RowForm("gated", 1024, 1.0, spills=(0.95, 1.05)),
    "gelu_mul": RowForm("gated", 1024, 1.0, spills=(0.95, 1.05)),
}
"""Kernels of vLLM's csrc (layernorm, pos_encoding, activation; 2023): grid of tokens, threads that stride over
elements. Rotary embedding takes pairs of elements, queries first; as many keys as queries are assumed. It turns its
rows in place and leaves L2 by and by; gates leave it at once, as all that is read in turn (read off the rows).
Mamba-2's gated norm is none of them: a Triton kernel that holds a row in registers."""

FUSED: Final = frozenset({"add", "rope", "softplus", "softplus_bias", "copy", "scale", "channel_scale", "silu", "mul"})
"""Elementwise ops that engines fuse into a neighbour: residual adds into norms, rope into the cache write, softplus and
gates into scans."""


def vector_class(op: str) -> str:
    """Which of a stack's achieved bandwidths an op gets: stream, gather or rowwise."""
    return _CLASSES.get(op, "stream")


@dataclass(frozen=True, slots=True)
class _Again:
    """How a kernel of PyTorch reads a row again.

    Attributes:
        reads: further reads of it.
        threads: threads of a block; 0 for softmax's own rule.
        held: elements of a row that registers hold, so that it is read once.
        begins: rows at work, over L2, from which on some are read from memory again.
        gone: the same from which on all are.
    """

    reads: float
    threads: float
    held: float
    begins: float
    gone: float


_AGAIN: Final = {"layernorm": _Again(1.0, 128.0, 0.0, 0.5, 1.3), "softmax": _Again(2.0, 0.0, 1024.0, 0.7, 1.5)}
"""PyTorch's layer norm takes two passes over a row, its softmax three, or a warp that holds up to 1,024 elements."""
_PAIRED: Final = frozenset({"add", "mul"})
"""Elementwise ops of two operands."""
_VECTOR_BYTES: Final = 16.0
"""Bytes that a thread loads at once."""
_SOFTMAX_PASSES: Final = 3.0
_TURNED: Final = 256
"""Elements of the tile that a warp turns (QuTLASS, quartet_bwd_sm120.cu: 8 by 32)."""


def _threads_held(p: GpuParameters) -> float:
    """Threads that an SM holds at once."""
    return p.chip.threads.value if p.chip.threads else 2048.0


def _softmax_blocks(row_bytes: Floats, width: Floats) -> tuple[Floats, Floats]:
    """(threads of a block, steps of it along a row) of PyTorch's softmax.

    At least half of the loads are vectors (``SoftMax_getBlockSize``); what is left after whole steps of vectors goes
    by single elements.
    """
    lanes = np.maximum(1.0, _VECTOR_BYTES * width / row_bytes)
    half = np.maximum(1.0, np.floor(np.minimum(np.floor(width / lanes), 1024.0) / 2.0))
    threads = np.maximum(32.0, 2.0 ** np.ceil(np.log2(half)))
    whole = np.floor(width / (lanes * threads))
    return threads, whole + np.ceil((width - whole * lanes * threads) / threads)


def _read_again(p: GpuParameters, op: str, row_bytes: Floats, width: Floats) -> Floats:
    """Bytes that a row kernel reads again, over those of one pass: none while L2 holds the rows at work."""
    if op not in _AGAIN:
        return np.zeros_like(row_bytes)
    form = _AGAIN[op]
    threads = form.threads if form.threads else _softmax_blocks(row_bytes, width)[0]
    at_work = row_bytes * _threads_held(p) / threads * p.chip.sms.value / l2_bytes(p)
    missed = np.clip((at_work - form.begins) / (form.gone - form.begins), 0.0, 1.0) * (width > form.held)
    again: Floats = form.reads * missed * p.software.vector.rereads.value
    return again


def _softmax_cubed(p: GpuParameters, block: BlockRow, tokens: Floats, row_bytes: Floats, width: Floats) -> Floats:
    """Cubes of the seconds of softmax whatever the bandwidth, added: its arithmetic, and the chain of its steps."""
    clock, sms = p.chip.tensor_clock.value, p.chip.sms.value
    threads, steps = _softmax_blocks(row_bytes, width)
    arithmetic = tokens * width * block.element.value / (sms * clock)
    rounds = tokens * threads / (_threads_held(p) * sms)
    each = np.maximum(block.alone.value, rounds * block.step.value)  # an SM that is not full delays a step the less
    chain = _SOFTMAX_PASSES * steps * each / clock * (width > _AGAIN["softmax"].held)
    cubed: Floats = arithmetic**3 + chain**3
    return cubed


def floor_s(p: GpuParameters, op: str) -> float:
    """Time of a kernel that does nothing.

    The largest magnitude of a tensor takes several kernels: what quantising within a product costs, less those of the
    cast and of the product.
    """
    floor = p.software.vector.floor.value
    return max(floor, p.software.gemm.quantize.value - 2.0 * floor) if op == "absmax_scale" else floor


def _hot_bytes(p: GpuParameters, op: str, moved: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bytes that L2 serves: those that fit.

    After a product whose weights passed through L2, those that fit half of it, and none of them once they are too many.
    """
    fits = l2_bytes(p)
    spills = _ROWS[op].spills if op in _ROWS else None
    if spills is None:
        return np.minimum(moved, fits)
    some, all_ = spills
    return moved * np.clip((all_ - moved / (0.5 * fits)) / (all_ - some), 0.0, 1.0)


def _row_s(
    p: GpuParameters, op: str, tokens: ArrayLike, width: ArrayLike, cold_share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Seconds that SMs need for a kernel of one thread block per token, whatever the bandwidth: chain and work.

    Blocks run in waves, as many together as an SM holds threads for; each waits for the chain of its threads' steps.
    An SM takes so many clocks for a step of a warp.
    """
    form, chip = _ROWS[op], p.chip
    constants = getattr(p.software.vector, form.constants)
    items = form.items * np.asarray(width, dtype=np.float64)
    threads = np.minimum(np.ceil(items), form.threads)
    warps = np.ceil(threads / 32.0)
    together = np.maximum(1.0, np.floor(_threads_held(p) / 32.0 / warps))
    clock, count = chip.tensor_clock.value, np.asarray(tokens, dtype=np.float64)
    waves = np.ceil(count / (together * chip.sms.value))
    chain = waves * form.passes * np.ceil(items / threads) * constants.step.value / clock
    each = constants.hot.value + cold_share * (constants.cold.value - constants.hot.value)
    work = count * form.passes * np.ceil(items / 32.0) * each / (chip.sms.value * clock)
    total: NDArray[np.float64] = np.hypot(chain, work)
    return total


def vector_times(
    p: GpuParameters, op: str, moved_bytes: ArrayLike, tokens: ArrayLike = 1.0, width: ArrayLike = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds of kernels that move ``moved_bytes``, and the bytes that miss L2.

    ``T = floor + hot bytes / L2 rate + cold bytes / DRAM rate``; engines' kernels of one thread block for each token
    also keep their SMs busy, which hides behind the traffic (the root of the squares).

    Args:
        p: the card.
        op: which op.
        moved_bytes: bytes read and written once.
        tokens: rows.
        width: elements of the output in a row.
    """
    v = p.software.vector
    moved, rows, columns = (np.asarray(each, dtype=np.float64) for each in (moved_bytes, tokens, width))
    row_bytes = 0.5 * moved / rows  # ops that read again move one row in, one out
    moved = moved * (1.0 + 0.5 * _read_again(p, op, row_bytes, columns))
    hot = _hot_bytes(p, op, moved)
    cold = moved - hot
    share = getattr(v, vector_class(op)).value * (v.paired.value if v.paired and op in _PAIRED else 1.0)
    l2_rate = p.l2.bandwidth.value * v.l2_share.value * min(1.0, share / v.stream.value)
    stream = hot / l2_rate + cold / (p.stream_bytes_s * share)
    if op in _ROWS:
        stream = np.hypot(stream, _row_s(p, op, tokens, width, cold / np.maximum(moved, 1.0)))
    if op == "softmax" and v.softmax is not None:
        stream = np.cbrt(stream**3 + _softmax_cubed(p, v.softmax, rows, row_bytes, columns))
    least = np.maximum(cold / p.memory.bandwidth.value, moved / p.l2.bandwidth.value)
    return np.maximum(floor_s(p, op) + stream, least), cold


def _turn_s(p: GpuParameters, op: Op) -> float:
    """Seconds that the SMs need for a pass that transposes, whatever the bandwidth."""
    turn, scaled = p.software.gemm.turn, FORMATS[op.output.format].group > 0
    if turn is None or not (scaled and op.attributes.get("turned")):
        return 0.0
    tiles = op.dims["tokens"] * op.dims["width"] / _TURNED
    return tiles * turn.value / (p.chip.sms.value * p.chip.tensor_clock.value)


def _read_either_way(p: GpuParameters, op: Op) -> bool:
    """Whether products read operands with a scale for each tensor along either dimension, so that none is turned.

    Those of 8 bits on Ada, Hopper and GeForce Blackwell need both along the summed one ("TN"; cuBLAS, cublasLtMatmul).
    """
    return bool(op.attributes.get("turned")) and p.issue == "tcgen05" and not FORMATS[op.output.format].group


def vector_estimate(p: GpuParameters, op: Op, setting: Setting) -> Estimate:
    """Time of a norm, softmax, elementwise op or embedding."""
    if _read_either_way(p, op):
        return NO_KERNEL
    name = str(op.attributes.get("op", "copy"))
    moved = 1.0 * sum(op.bytes_by_role.values())
    times, cold = vector_times(p, name, moved, op.dims["tokens"], op.dims["width"])
    turn = _turn_s(p, op)
    time: Any = np.maximum(times[()], floor_s(p, name) + turn) if turn else times[()]
    missed: Any = cold[()]
    floor = floor_s(p, name)
    if not setting.replayed and p.fusion == "fused" and name in FUSED:
        time -= floor
        floor = 0.0
    held = turn > 0.5 * time
    bound = limiter((floor > 0.5 * time, "latency"), (held, "alu"), (cold > 0, "memory"), otherwise="l2")
    return Estimate(time, bound, {"dram": missed}, alu_ops=1.0 * op.other_ops)
