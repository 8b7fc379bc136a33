"""Open accounts: which fitted, assumed and user-set constants an answer leans on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.result import Constant
from hwsim.spec import quantities

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.workload.model import Workload

__all__ = ["constants_of"]


def constants_of(
    device: Device, workload: Workload | None
) -> tuple[tuple[Constant, ...], tuple[Constant, ...], tuple[Constant, ...]]:
    """(fitted, assumed, set) constants of a machine and a workload, in the order of their files."""
    found: dict[str, list[Constant]] = {"fitted": [], "assumed": [], "set": []}
    roots = [("device", device.parameters)]
    if workload is not None:
        roots.append(("workload", workload))
    for root, value in roots:
        for path, quantity in quantities(value, root):
            if quantity.kind in found:
                enters = device.enters(path.removeprefix("device.")) if root == "device" else "time"
                row = Constant(path, quantity.value, quantity.unit, quantity.kind, quantity.source, enters)
                found[quantity.kind].append(row)
    return tuple(found["fitted"]), tuple(found["assumed"]), tuple(found["set"])
