"""A workload in the number formats that a machine runs, its operators' own formats included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hwsim.devices.base import FormatChoice
from hwsim.workload.listed import OpsModel, in_formats

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.workload.model import Workload
    from hwsim.workload.number_formats import Formats

__all__ = ["adapted"]


def adapted(workload: Workload, device: Device) -> tuple[Workload, FormatChoice]:
    """The workload in the machine's formats, and what differs from what was asked."""
    formats, choice = _with_experts(workload.formats, device)
    if not isinstance(workload.model, OpsModel):
        return replace(workload, formats=formats), choice
    model = in_formats(workload.model, workload.formats, lambda own: device.formats(own)[0])
    return replace(workload, formats=formats, model=model), _with_own(choice, workload.model, model)


def _with_experts(asked: Formats, device: Device) -> tuple[Formats, FormatChoice]:
    """The machine's formats; weights of experts that have their own as it would run a model that is all of it."""
    formats, choice = device.formats(replace(asked, experts=None))
    if asked.experts is None:
        return formats, choice
    run = device.formats(asked.of_experts)[0].weights
    told = FormatChoice({**choice.asked, "experts": asked.experts}, {**choice.used, "experts": run})
    return replace(formats, experts=run), told


def _with_own(choice: FormatChoice, asked: OpsModel, used: OpsModel) -> FormatChoice:
    """The choice with each format that operators ask for themselves and that the machine lacks."""
    changes: dict[tuple[str, str, str], list[str]] = {}
    for (_, before), (_, after) in zip(asked.named, used.named, strict=True):
        for (name, wanted), (_, run) in zip(before, after, strict=True):
            for role in ("weights", "activations"):
                pair = (getattr(wanted, role), getattr(run, role))
                if pair[0] is not None and pair[0] != pair[1]:
                    changes.setdefault((role, *pair), []).append(name)
    more_asked, more_used = dict(choice.asked), dict(choice.used)
    for (role, wanted_format, run_format), names in changes.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        key = f"{role} of {names[0]}{more}"
        more_asked[key], more_used[key] = wanted_format, run_format
    return FormatChoice(more_asked, more_used)
