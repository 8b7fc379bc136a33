"""Which constants an answer leans on: those that move its time or its energy when they are moved."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hwsim.devices.base import Enters, SearchesMappings
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline.accounts import constants_of
from hwsim.pipeline.outcome import priced_pass
from hwsim.pipeline.single import KernelResult, configured, figures
from hwsim.spec import Quantity, Refused
from hwsim.units import PICO
from hwsim.workload.kernel import SETTINGS
from hwsim.workload.named import Named

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.pipeline.question import Simulated
    from hwsim.result import Constant
    from hwsim.workload.op import Op

__all__ = ["Cost", "Run", "leaning_constants", "leaning_of", "moving", "scaled", "with_leaning"]

Cost: TypeAlias = "tuple[float, float]"
"""Seconds and joules."""
Run: TypeAlias = "Callable[[Device], Cost | None]"
"""What a question costs on a machine; None where it cannot run."""

_STEPS: Final = (0.9, 2.0, 0.5)
"""Factors by which a constant is moved, each tried where the machine refuses those before it (lanes come whole)."""
_SAME: Final = 1e-4
_ROOT: Final = "device."
_ENTERED: Final[tuple[Enters, Enters]] = ("time", "energy")
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
    """Fitted and assumed constants that a kernel's time or energy leans on; see `moving`.

    Args:
        device: the machine.
        op: the kernel; its settings (launch, stack, cores) are applied first.
    """
    ready = configured(op, device)
    bare = replace(op, attributes=Named({k: v for k, v in op.attributes.items() if k not in _SETTING_NAMES}))

    def run(machine: Device) -> Cost | None:
        answer = figures(bare, machine)
        return None if isinstance(answer, Infeasible) else (answer.time_s, answer.energy_j)

    fitted, assumed, _ = constants_of(ready, None, {op.kind})
    return moving(tuple(each for each in (*fitted, *assumed) if each.enters != "capacity"), ready, run)


def leaning_of(found: Simulated, constants: tuple[Constant, ...]) -> tuple[Constant, ...]:
    """Those of ``constants`` that a simulation leans on; see `moving`.

    Policies are held, and equal layers are taken together, as a constant moves them alike.
    Constants of the workload, and those that decide whether things fit, stand as they are; so do all of a machine that
    would search its mappings anew for each.

    Args:
        found: the simulation.
        constants: fitted and assumed ones of its machine and its workload.
    """
    if isinstance(found.device, SearchesMappings):
        return constants
    parts = [
        (each.graph.gathered(), each.work, times)
        for passes, times in ((found.prompt, 1.0), (found.passes, found.steps))
        for each in passes
    ]

    def run(machine: Device) -> Cost | None:
        costs = [(*priced_pass(machine, graph, work), times) for graph, work, times in parts]
        time_s = sum(cycles * times for cycles, _, times in costs) / machine.clock_hz
        return time_s, sum(pj * times for _, pj, times in costs) * PICO + machine.static_power_w() * time_s

    tried = [each for each in constants if each.enters != "capacity" and each.path.startswith(_ROOT)]
    moved = {each.path: each for each in moving(tuple(tried), found.device, run)}
    kept = (moved.get(each.path) if each in tried else each for each in constants)
    return tuple(each for each in kept if each is not None)


def moving(constants: tuple[Constant, ...], device: Device, run: Run) -> tuple[Constant, ...]:
    """Those of ``constants`` that change time or energy by over 0.01 percent when cut by 10 percent.

    Each stands as entering the time if it changes that, else the energy. One that cannot be moved stands as it is. None
    of a question that cannot run.

    Args:
        constants: of the machine, by paths that begin with ``device.``.
        device: the machine.
        run: asks the question of a machine with one constant moved.
    """
    base = run(device)
    if base is None:
        return ()
    return tuple(found for each in constants if (found := _moving(each, device, run, base)))


def _moving(constant: Constant, device: Device, run: Run, base: Cost) -> Constant | None:
    """The constant as it enters, or None where it moves nothing."""
    cost = _moved(constant, device, run)
    if cost is None:
        return constant
    for name, now, before in zip(_ENTERED, cost, base, strict=True):
        if abs(now - before) > _SAME * before:
            return replace(constant, enters=name)
    return None


def _moved(constant: Constant, device: Any, run: Run) -> Cost | None:
    """Time and energy with the constant moved; None where the machine takes no other value."""
    path = tuple(_SEGMENT.findall(constant.path.removeprefix(_ROOT)))
    for step in _STEPS:
        try:
            cost = run(replace(device, parameters=scaled(device.parameters, path, step)))
        except (HwsimError, Refused, ValueError):  # ValueError: an op that such a machine would not support is lowered
            continue
        if cost is not None:
            return cost
    return None


def with_leaning(answer: KernelResult, op: Op, device: Device) -> KernelResult:
    """The answer with only those constants that its own time and energy lean on."""
    found = leaning_constants(device, op)
    fitted, assumed = (tuple(each for each in found if each.kind == kind) for kind in ("fitted", "assumed"))
    return replace(answer, fitted=fitted, assumed=assumed)
