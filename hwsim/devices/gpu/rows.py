"""Many products at once: arrays of shapes in, times, energies and limiters out, as one by one to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hwsim.devices.base import KernelRows
from hwsim.devices.gpu.energy import energy_terms
from hwsim.devices.gpu.estimate import ALONE, host_s
from hwsim.devices.gpu.gemm import LIMITS, formats_of, gemm_rows
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS
from hwsim.units import PICO
from hwsim.workload.structured import is_structured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.op import Op

__all__ = ["kernel_rows"]

_EXACT: Final = 2.0**53
"""Whole numbers up to here are exact as floats."""


def kernel_rows(p: GpuParameters, op: Op, dims: Mapping[str, NDArray[np.float64]]) -> KernelRows | Infeasible | None:
    """Times of rows that differ from ``op`` in their dimensions only; None for kinds that are timed one by one.

    Args:
        p: the card.
        op: formats and attributes of all rows.
        dims: m, n, k and batch of each row, whole numbers.
    """
    from hwsim.kernels.gpu_gemm import BOUNDS  # noqa: PLC0415 - brings in numba

    if op.kind != "gemm":
        return None
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
    clock = p.chip.boost_clock.value
    time_s = np.maximum(1.0, np.ceil((answer.times_s + host_s(p)) * clock)) / clock
    terms = energy_terms(p.power, op.kind, FORMATS[formats.a].bits, macs, other, answer.dram_bytes)
    dynamic = terms["dram"] + terms["tensor"] + terms["alu"]
    names = np.array([LIMITS[name] for name in BOUNDS], dtype=object)
    return KernelRows(time_s, dynamic * PICO + p.power.idle.value * time_s, names[answer.bounds])
