"""Bandwidth-bound kernels: norms, softmax, elementwise ops, embeddings; fused ones pay no kernel of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hwsim.devices.gpu.estimate import Estimate, Setting, l2_bytes, limiter

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.op import Op

__all__ = ["FUSED", "floor_s", "vector_class", "vector_estimate", "vector_times"]

_CLASSES: Final = {
    "rope": "gather",
    "topk": "gather",
    "weighted_sum": "gather",
    "silu_mul": "gated",
    "gelu_mul": "gated",
    "rmsnorm": "rowwise",
    "layernorm": "rowwise",
    "gated_rmsnorm": "rowwise",
    "softmax": "rowwise",
    "absmax_scale": "gather",
}

FUSED: Final = frozenset({"add", "rope", "softplus", "softplus_bias", "copy", "scale", "silu", "mul"})
"""Elementwise ops that engines fuse into a neighbour: residual adds into norms, rope into the cache write, softplus and
gates into scans."""


def vector_class(op: str) -> str:
    """Which of a stack's achieved bandwidths an op gets: stream, gather, gated or rowwise."""
    return _CLASSES.get(op, "stream")


_AGAIN: Final = {"layernorm": (1.0, 16.0, 0), "rmsnorm": (1.0, 16.0, 0), "softmax": (2.0, 2.0, 4096)}
"""Op -> (further reads of a row, thread blocks of one row each per SM, bytes of a row that registers hold): PyTorch's
layer norm takes blocks of 128 threads and two passes, its softmax blocks of 1,024 and three, or a warp up to 1,024."""


def _read_again(p: GpuParameters, op: str, row_bytes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bytes that a row kernel reads again, over those of one pass: none while L2 holds the rows at work.

    L2 begins to miss when they take a third of it, and holds none of them at three quarters.
    """
    reads, blocks, held = _AGAIN.get(op, (0.0, 0.0, 0))
    at_work = row_bytes * blocks * p.chip.sms.value / l2_bytes(p)
    missed = np.clip((at_work - 0.35) / 0.4, 0.0, 1.0) * (row_bytes > held)
    again: NDArray[np.float64] = reads * missed * p.software.vector.rereads.value
    return again


def floor_s(p: GpuParameters, op: str) -> float:
    """Time of a kernel that does nothing.

    The largest magnitude of a tensor takes several kernels: what quantising within a product costs, less those of the
    cast and of the product.
    """
    floor = p.software.vector.floor.value
    return max(floor, p.software.gemm.quantize.value - 2.0 * floor) if op == "absmax_scale" else floor


def vector_times(
    p: GpuParameters, op: str, moved_bytes: ArrayLike, row_bytes: ArrayLike = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds of kernels that move ``moved_bytes``, and the bytes that miss L2.

    ``T = floor + hot bytes / L2 rate + cold bytes / DRAM rate``: what exceeds L2's capacity is cold.

    Args:
        p: the card.
        op: which op.
        moved_bytes: bytes read and written once.
        row_bytes: bytes of one row, for ops that reduce rows.
    """
    v = p.software.vector
    moved = np.asarray(moved_bytes, dtype=np.float64)
    moved = moved * (1.0 + 0.5 * _read_again(p, op, np.asarray(row_bytes, dtype=np.float64)))
    hot = np.minimum(moved, l2_bytes(p))
    cold = moved - hot
    share = getattr(v, vector_class(op)).value
    l2_rate = p.l2.bandwidth.value * v.l2_share.value * min(1.0, share / v.stream.value)
    times = floor_s(p, op) + hot / l2_rate + cold / (p.stream_bytes_s * share)
    least = np.maximum(cold / p.memory.bandwidth.value, moved / p.l2.bandwidth.value)
    return np.maximum(times, least), cold


def vector_estimate(p: GpuParameters, op: Op, setting: Setting) -> Estimate:
    """Time of a norm, softmax, elementwise op or embedding."""
    name = str(op.attributes.get("op", "copy"))
    moved = 1.0 * sum(op.bytes_by_role.values())
    times, cold = vector_times(p, name, moved, op.output.bytes(op.dims) / op.dims["tokens"])
    time: Any = times[()]
    missed: Any = cold[()]
    floor = floor_s(p, name)
    if not setting.replayed and p.fusion == "fused" and name in FUSED:
        time -= floor
        floor = 0.0
    bound = limiter((floor > 0.5 * time, "latency"), (cold > 0, "memory"), otherwise="l2")
    return Estimate(time, bound, {"dram": missed}, alu_ops=1.0 * op.other_ops)
