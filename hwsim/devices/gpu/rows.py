"""Many kernels at once: arrays of shapes in, times, energies and limiters out, as one by one to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hwsim.devices.base import KernelRows
from hwsim.devices.gpu.energy import dynamic_limit_w, energy_terms
from hwsim.devices.gpu.estimate import ALONE, host_s
from hwsim.devices.gpu.gemm import LIMITS, formats_of, gemm_rows
from hwsim.devices.gpu.vector import floor_s, vector_times
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS
from hwsim.units import PICO
from hwsim.workload.counts import COUNTS
from hwsim.workload.named import Named
from hwsim.workload.structured import is_structured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.op import Op

__all__ = ["kernel_rows"]

_VECTORS: Final = frozenset({"norm", "softmax", "elementwise"})
_EXACT: Final = 2.0**53
"""Whole numbers up to here are exact as floats."""


def kernel_rows(p: GpuParameters, op: Op, dims: Mapping[str, NDArray[np.float64]]) -> KernelRows | Infeasible | None:
    """Times of rows that differ from ``op`` in their dimensions only; None for kinds that are timed one by one.

    Args:
        p: the card.
        op: formats and attributes of all rows.
        dims: m, n, k and batch of each product, tokens and width of each row-wise kernel: whole numbers.
    """
    if op.kind == "gemm":
        return _products(p, op, dims)
    return _vectors(p, op, dims) if op.kind in _VECTORS and op.attributes["op"] != "hadamard" else None


def _products(p: GpuParameters, op: Op, dims: Mapping[str, NDArray[np.float64]]) -> KernelRows | Infeasible | None:
    """Matrix products."""
    from hwsim.kernels.gpu_gemm import BOUNDS  # noqa: PLC0415 - brings in numba

    m, n, k, batch = (dims[name] for name in ("m", "n", "k", "batch"))
    macs = batch * m * n * k
    if macs.max(initial=0.0) * 6.0 > _EXACT:
        return None
    formats = formats_of(op)
    if is_structured(formats.structure):
        return None
    answer = gemm_rows(p, m, n, k, formats, batch, ALONE)
    if isinstance(answer, Infeasible):
        return answer
    other = 3.0 * batch * m * k if formats.quantize == "dynamic" else np.zeros_like(macs)
    served = np.maximum(0.0, _moved(op, dims) - answer.dram_bytes)
    terms = energy_terms(p.power, op.kind, formats.a, macs, other, answer.dram_bytes, served)
    names = np.array([LIMITS[name] for name in BOUNDS], dtype=object)
    return _answer(p, answer.times_s, terms, names[answer.bounds])


def _moved(op: Op, dims: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Bytes of all operands and of the result, each once."""
    whole: dict[str, Any] = {**op.dims, **{name: extents.astype(np.int64) for name, extents in dims.items()}}
    total = np.zeros(1)
    for each in op.operands:
        stored: Any = np.ceil(each.elements(whole) * each.density).astype(np.int64)
        total = total + FORMATS[each.format].bytes_for(stored)
    return total


def _vectors(p: GpuParameters, op: Op, dims: Mapping[str, NDArray[np.float64]]) -> KernelRows | None:
    """Norms, softmax and elementwise kernels."""
    tokens, width = dims["tokens"], dims["width"]
    if (tokens * width).max(initial=0.0) * 256.0 > _EXACT:
        return None
    whole: dict[str, Any] = {**op.dims, "tokens": tokens.astype(np.int64), "width": width.astype(np.int64)}
    moved = np.asarray(sum(each.bytes(whole) for each in op.operands), dtype=np.float64)
    rows = np.asarray(op.output.bytes(whole), dtype=np.float64) / tokens
    name = str(op.attributes["op"])
    times, cold = vector_times(p, name, moved, rows)
    counted: Any = Named(whole)
    other = np.asarray(COUNTS[op.kind](counted, op.attributes)[1], dtype=np.float64)
    served = np.maximum(0.0, moved - cold)
    terms = energy_terms(p.power, op.kind, op.operands[0].format, np.zeros_like(other), other, cold, served)
    bounds = np.where(cold > 0, "memory", "l2").astype(object)
    bounds[floor_s(p, name) > 0.5 * times] = "latency"
    return _answer(p, times, terms, bounds)


def _answer(
    p: GpuParameters,
    times_s: NDArray[np.float64],
    terms: Mapping[str, NDArray[np.float64]],
    bounds: NDArray[np.object_],
) -> KernelRows:
    """Times in whole cycles with the host's part; energy within the power limit, with the idle board's."""
    clock = p.chip.boost_clock.value
    cycles = np.maximum(1.0, np.ceil((times_s + host_s(p)) * clock))
    time_s = cycles / clock
    cards = p.cluster.cards if p.cluster else 1
    spent_pj = np.maximum(sum(terms.values()), 1e-300)
    share = np.minimum(1.0, cards * dynamic_limit_w(p.power) * cycles / clock / PICO / spent_pj)
    dynamic_pj = sum(each * share for each in terms.values())
    return KernelRows(time_s, dynamic_pj * PICO + cards * p.power.idle.value * time_s, bounds)
