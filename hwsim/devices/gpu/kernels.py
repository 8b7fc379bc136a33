"""One op on a card: which closed form times it, and why a card cannot run it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hwsim.devices.gpu.attention import attention_estimate
from hwsim.devices.gpu.collective import collective_estimate
from hwsim.devices.gpu.estimate import Estimate, Setting, limiter
from hwsim.devices.gpu.gemm import GemmFormats, gemm_estimate, gemm_rows, limits
from hwsim.devices.gpu.recurrent import conv_estimate, scan_estimate
from hwsim.devices.gpu.vector import vector_estimate
from hwsim.errors import Infeasible

if TYPE_CHECKING:
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.mapping.forms import TileForm
    from hwsim.workload.op import Op

__all__ = ["estimate"]

_VECTOR: Final = frozenset({"norm", "softmax", "elementwise", "embedding"})


def estimate(p: GpuParameters, op: Op, setting: Setting, only: TileForm | None = None) -> Estimate | Infeasible:
    """Time of one kernel, or of all rows of an op of arrays; or why the card cannot run it.

    Args:
        p: the card.
        op: the op.
        setting: alone or in a model.
        only: the tile and split of a product, where a mapping says so.
    """
    found = gemm_estimate(p, op, setting, only) if only is not None else _estimate(p, op, setting)
    if isinstance(found, Infeasible) or np.ndim(found.time_s):
        return found
    moved = {level: float(amount) for level, amount in found.bytes.items()}
    return replace(found, time_s=float(found.time_s), bytes=moved, flop=float(found.flop), alu_ops=float(found.alu_ops))


def _estimate(p: GpuParameters, op: Op, setting: Setting) -> Estimate | Infeasible:
    if op.kind in _VECTOR:
        return vector_estimate(p, op, setting)
    if op.kind == "conv1d":
        return conv_estimate(p, op)
    if op.kind == "scan":
        return scan_estimate(p, op, setting)
    if op.kind == "collective":
        return collective_estimate(p, op)
    if op.kind == "attention":
        return attention_estimate(p, op, setting)
    return gemm_estimate(p, op, setting) if op.kind == "gemm" else _conv2d(p, op, setting)


def _conv2d(p: GpuParameters, op: Op, setting: Setting) -> Estimate | Infeasible:
    """A convolution as an implicit product: pixels x (output channels), depth input channels x kernel."""
    d = op.dims
    a, b, out = op.operands[0].format, op.operand("w").format, op.output.format
    rows, depth = d["batch"] * d["y"] * d["x"], d["ic"] * d["r"] * d["s"]
    answer = gemm_rows(p, rows, d["oc"], depth, GemmFormats(a, b, out), d["groups"], setting)
    if isinstance(answer, Infeasible):
        return answer
    moved = 1.0 * sum(op.bytes_by_role.values())
    memory = moved / (p.stream_bytes_s * p.software.dram_share.value)
    compute: Any = answer.times_s
    product: Any = limits(answer.path, answer.bounds)
    if not np.ndim(moved):
        compute, product = compute[0], product[0]
    bound = limiter((memory > compute, "memory"), otherwise=product)
    time: Any = np.maximum(compute, memory)
    return Estimate(time, bound, {"dram": moved}, 2.0 * op.macs, path=answer.path.name)
