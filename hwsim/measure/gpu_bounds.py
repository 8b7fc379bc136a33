"""What no card can have done: rows held to the nominal rates of the card that they are said to be of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hwsim.errors import Fault, HwsimError
from hwsim.measure.gpu_cases import TIMED
from hwsim.workload.kernel import build_kernel

if TYPE_CHECKING:
    from hwsim.devices.gpu import GpuDevice
    from hwsim.measure.folder import Line
    from hwsim.workload.op import Op

__all__ = ["least_s", "op_of", "row_fault"]

_SLACK: Final = 1.02
_L2_SLACK: Final = 2.0
"""L2 bandwidths are seldom published: a row that is served from L2 may be this much faster than the file says."""
_COLD: Final = 3.0
"""Footprints beyond this many times L2 cannot be served from it."""


def op_of(kind: str, line: Line) -> Op:
    """The op of a row.

    Raises:
        HwsimError: its arguments make no sense, by file and line.
    """
    arguments = {name: cell for name, cell in line.cells.items() if name not in TIMED}
    return build_kernel(kind, arguments, str(line.where))


def least_s(device: GpuDevice, op: Op) -> float:
    """The least time in which the card can run an op: arithmetic at the highest clock, bytes at nominal bandwidth."""
    roofs = device.roofs
    peak = roofs.macs_per_s.get(op.operands[0].format, 0.0)
    moved = float(sum(op.bytes_by_role.values()))
    bandwidth = roofs.bytes_per_s["l2"] * _L2_SLACK
    if moved > _COLD * device.parameters.l2.capacity.value:
        bandwidth = roofs.bytes_per_s["dram"]
    return max(op.macs / peak if peak else 0.0, moved / bandwidth)


def row_fault(device: GpuDevice, kind: str, line: Line) -> Fault | None:
    """Why a row cannot be true of the card; None where it can.

    Raises:
        HwsimError: a cell is no number, or the arguments make no sense.
    """
    time_s = line.number("time_s")
    if time_s <= 0:
        return Fault(line.where, f"time_s {time_s:g}", "a time above 0")
    try:
        least = least_s(device, op_of(kind, line)) / _SLACK
    except HwsimError as error:
        return error.faults[0]
    if time_s >= least:
        return None
    expected = f"at least {least:.3g} s, which {device.name} takes at its nominal rates"
    return Fault(line.where, f"time_s {time_s:.3g}", expected)
