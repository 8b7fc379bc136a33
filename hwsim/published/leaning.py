"""Which constants a kernel's time leans on: those that move it when they are moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import kernel
from hwsim.pipeline.accounts import constants_of
from hwsim.spec import Quantity, Refused

if TYPE_CHECKING:
    from hwsim.devices.gpu import GpuDevice
    from hwsim.result import Constant
    from hwsim.workload.op import Op

__all__ = ["leaning_constants", "scaled"]

_STEP: Final = 0.9
_SAME: Final = 1e-4


def scaled(value: Any, path: tuple[str, ...], factor: float) -> Any:
    """The frozen tree with the quantity at ``path`` multiplied; path segments are fields, keys or indices."""
    if isinstance(value, Quantity):
        return replace(value, value=value.value * factor)
    if isinstance(value, Mapping):
        return {key: scaled(item, path[1:], factor) if key == path[0] else item for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        names = {each.name for each in fields(value)}
        if path[0] in names:
            return replace(value, **{path[0]: scaled(getattr(value, path[0]), path[1:], factor)})
    raise KeyError(path[0])


def leaning_constants(device: GpuDevice, op: Op) -> tuple[Constant, ...]:
    """Fitted and assumed constants of a card that change a kernel's time by more than 0.01 percent when cut by 10.

    Whole numbers such as SM counts are moved like the rest: what matters is whether the closed form reads them.
    """
    base = kernel(op, device)
    if isinstance(base, Infeasible):
        return ()
    fitted, assumed, _ = constants_of(device, None)
    found = []
    for constant in (*fitted, *assumed):
        if constant.enters != "time":
            continue
        path = tuple(constant.path.removeprefix("device.").split("."))
        try:
            moved = kernel(op, replace(device, parameters=scaled(device.parameters, path, _STEP)))
        except (HwsimError, Refused):
            continue
        if isinstance(moved, Infeasible) or abs(moved.time_s / base.time_s - 1.0) > _SAME:
            found.append(constant)
    return tuple(found)
