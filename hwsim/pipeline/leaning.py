"""Which constants a kernel's figures lean on: those that move its time or its energy when they are moved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline.accounts import constants_of
from hwsim.pipeline.single import KernelResult, configured, figures
from hwsim.spec import Quantity, Refused
from hwsim.workload.kernel import SETTINGS
from hwsim.workload.named import Named

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.result import Constant
    from hwsim.workload.op import Op

__all__ = ["leaning_constants", "scaled", "with_leaning"]

_STEPS: Final = (0.9, 2.0, 0.5)
"""Factors by which a constant is moved, each tried where the machine refuses those before it (lanes come whole)."""
_SAME: Final = 1e-4
_SEGMENT: Final = re.compile(r"[^.\[\]]+")
_SETTING_NAMES: Final = frozenset(each.name for each in SETTINGS)


def scaled(value: Any, path: tuple[str, ...], factor: float) -> Any:
    """The frozen tree with the quantity at ``path`` multiplied; path segments are fields, keys or indices."""
    if isinstance(value, Quantity):
        return replace(value, value=value.value * factor)
    if isinstance(value, Mapping):
        return {key: scaled(item, path[1:], factor) if key == path[0] else item for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(scaled(item, path[1:], factor) if str(i) == path[0] else item for i, item in enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        names = {each.name for each in fields(value)}
        if path[0] in names:
            return replace(value, **{path[0]: scaled(getattr(value, path[0]), path[1:], factor)})
    raise KeyError(path[0])


def leaning_constants(device: Device, op: Op) -> tuple[Constant, ...]:
    """Fitted and assumed constants that move a kernel's time or energy by over 0.01 percent when cut by 10 percent.

    Each stands as entering the time if it moves that, else the energy. One that cannot be moved stands as it is.

    Args:
        device: the machine.
        op: the kernel; its settings (launch, stack, cores) are applied first.
    """
    ready = configured(op, device)
    bare = replace(op, attributes=Named({k: v for k, v in op.attributes.items() if k not in _SETTING_NAMES}))
    base = figures(bare, ready)
    if isinstance(base, Infeasible):
        return ()
    fitted, assumed, _ = constants_of(ready, None, {op.kind})
    weighty = (each for each in (*fitted, *assumed) if each.enters != "capacity")
    return tuple(found for each in weighty if (found := _moving(each, ready, bare, base)))


def _moving(constant: Constant, device: Any, op: Op, base: KernelResult) -> Constant | None:
    """The constant as it enters, or None where it moves nothing."""
    moved = _moved(constant, device, op)
    if moved is None:
        return constant
    if abs(moved.time_s / base.time_s - 1.0) > _SAME:
        return replace(constant, enters="time")
    if abs(moved.energy_j / base.energy_j - 1.0) > _SAME:
        return replace(constant, enters="energy")
    return None


def _moved(constant: Constant, device: Any, op: Op) -> KernelResult | None:
    """The kernel with the constant moved; None where the machine takes no other value."""
    path = tuple(_SEGMENT.findall(constant.path.removeprefix("device.")))
    for step in _STEPS:
        try:
            answer = figures(op, replace(device, parameters=scaled(device.parameters, path, step)))
        except (HwsimError, Refused):
            continue
        if isinstance(answer, KernelResult):
            return answer
    return None


def with_leaning(answer: KernelResult, op: Op, device: Device) -> KernelResult:
    """The answer with only those constants that its own time and energy lean on."""
    found = leaning_constants(device, op)
    fitted, assumed = (tuple(each for each in found if each.kind == kind) for kind in ("fitted", "assumed"))
    return replace(answer, fitted=fitted, assumed=assumed)
