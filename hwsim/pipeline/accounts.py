"""Open accounts: which fitted, assumed and user-set constants an answer leans on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.devices.base import ReadsInPart
from hwsim.result import Constant
from hwsim.spec import quantities

if TYPE_CHECKING:
    from collections.abc import Collection

    from hwsim.devices.base import Device
    from hwsim.workload.model import Workload

__all__ = ["constants_of"]


def constants_of(
    device: Device, workload: Workload | None, kinds: Collection[str] | None = None
) -> tuple[tuple[Constant, ...], tuple[Constant, ...], tuple[Constant, ...]]:
    """(fitted, assumed, set) constants of a machine and a workload, in the order of their files.

    Args:
        device: the machine.
        workload: what it runs, if a workload.
        kinds: kinds of the kernels that it runs; fitted and assumed constants of other kinds are left out.
    """
    unread = device.unread(kinds) if kinds is not None and isinstance(device, ReadsInPart) else ()
    found: dict[str, list[Constant]] = {"fitted": [], "assumed": [], "set": []}
    roots = [("device", device.parameters)]
    if workload is not None:
        roots.append(("workload", workload))
    for root, value in roots:
        for path, quantity in quantities(value, root):
            aside = root == "device" and path.removeprefix("device.").startswith(unread)
            if quantity.kind in found and not (aside and quantity.kind != "set"):
                enters = device.enters(path.removeprefix("device.")) if root == "device" else "time"
                row = Constant(path, quantity.value, quantity.unit, quantity.kind, quantity.source, enters)
                found[quantity.kind].append(row)
    return tuple(found["fitted"]), tuple(found["assumed"]), tuple(found["set"])
