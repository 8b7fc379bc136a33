"""Many kernels at once: arrays of shapes in, times, energies and limiters out, as one by one to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hwsim.devices.base import KernelRows
from hwsim.devices.gpu.energy import dynamic_limit_w, energy_terms
from hwsim.devices.gpu.estimate import ALONE, Estimate, host_s, is_linear
from hwsim.devices.gpu.gemm import formats_of, gemm_rows, limits
from hwsim.devices.gpu.kernels import estimate
from hwsim.devices.gpu.structured import multiplied_share
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS
from hwsim.units import PICO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.op import Op

__all__ = ["kernel_rows"]

_EXACT: Final = 2.0**53
"""Whole numbers up to here are exact as floats."""


def kernel_rows(p: GpuParameters, op: Op) -> KernelRows | Infeasible | None:
    """Times of the rows of an op whose dimensions are arrays (`hwsim.workload.rows`).

    Args:
        p: the card.
        op: the rows.

    Returns:
        Times, energies and limiters; why the card runs none of them; None where floats cannot hold a row's counts.
    """
    macs, other = (1.0 * np.asarray(each) for each in (op.macs, op.other_ops))
    if max(macs.max(initial=0.0), other.max(initial=0.0)) > _EXACT:
        return None
    found = _products(p, op) if op.kind == "gemm" else estimate(p, op, ALONE)
    if isinstance(found, Infeasible):
        return found
    dram = np.asarray(found.bytes.get("dram", 0.0))
    served = np.maximum(0.0, _moved(op) - dram)
    terms: Mapping[str, Any] = energy_terms(
        p.power, op.kind, op.operands[0].format, macs * multiplied_share(op), other, dram, served
    )
    return _answer(p, found, terms, host_s(p, is_linear(op)))


def _moved(op: Op) -> NDArray[np.float64]:
    """Bytes of all operands and of the result, each once, and of a state twice."""
    total = np.zeros(1)
    for each in op.operands:
        stored: Any = np.ceil(each.elements(op.dims) * each.density).astype(np.int64)
        total = total + FORMATS[each.format].bytes_for(stored) * (2 if each.role == "state" else 1)
    return total


def _products(p: GpuParameters, op: Op) -> Estimate | Infeasible:
    """Matrix products, without the tile of each."""
    m, n, k, batch = (op.dims[name] for name in ("m", "n", "k", "batch"))
    answer = gemm_rows(p, m, n, k, formats_of(op), batch, ALONE)
    if isinstance(answer, Infeasible):
        return answer
    names: Any = limits(answer.path, answer.bounds)
    times: Any = answer.times_s
    moved: Any = answer.dram_bytes
    return Estimate(times, names, {"dram": moved})


def _answer(p: GpuParameters, found: Estimate, terms: Mapping[str, NDArray[np.float64]], host: Any) -> KernelRows:
    """Times in whole cycles with the host's part; energy within the power limit, with the idle board's."""
    clock = p.chip.boost_clock.value
    cycles = np.maximum(1.0, np.ceil((found.time_s + host) * clock))
    time_s = cycles / clock
    cards = p.cluster.cards if p.cluster else 1
    spent_pj = np.maximum(sum(terms.values()), 1e-30)
    share = np.minimum(1.0, cards * dynamic_limit_w(p.power) * cycles / clock / PICO / spent_pj)
    dynamic_pj = sum(each * share for each in terms.values())
    energy_j = dynamic_pj * PICO + cards * p.power.idle.value * time_s
    bounds = np.broadcast_to(np.asarray(found.bound, dtype=object), time_s.shape)
    return KernelRows(time_s, energy_j, bounds)
