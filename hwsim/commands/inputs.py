"""From the words of a command line to workloads, devices and questions."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwsim.errors import HwsimError, did_you_mean

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.pipeline import Question
    from hwsim.workload import Workload

__all__ = ["Overrides", "device_of", "question_of", "split_overrides", "workload_of"]

_HEADS = ("device", "workload")


@dataclass(frozen=True, slots=True)
class Overrides:
    """The values of `--set`, without the head that says whose they are."""

    device: tuple[str, ...] = ()
    workload: tuple[str, ...] = ()


def split_overrides(texts: Sequence[str]) -> Overrides:
    """Sort the values of `--set` by what they change.

    Raises:
        HwsimError: one or more do not begin with ``device.`` or ``workload.``, or have no ``=``.
    """
    parts: dict[str, list[str]] = {head: [] for head in _HEADS}
    for text in texts:
        path, equals, _ = text.partition("=")
        head, dot, rest = path.partition(".")
        if not (equals and dot and rest and head in parts):
            raise HwsimError.at(
                f"--set {text}", f"{path!r}", "device.PATH=VALUE or workload.PATH=VALUE", _nearest(head, text)
            )
        parts[head].append(text.partition(".")[2])
    return Overrides(tuple(parts["device"]), tuple(parts["workload"]))


def _nearest(head: str, text: str) -> str | None:
    """The same setting under the head that was probably meant."""
    near = did_you_mean(head, _HEADS)
    return f"{near}{text[len(head) :]}" if near and near != head else None


def workload_of(name: str, overrides: Overrides) -> Workload:
    """The workload of a name or file, with the `--set workload.…` values laid over it."""
    from hwsim.workload import find_workload  # noqa: PLC0415

    return find_workload(name, overrides.workload)


def device_of(name: str, overrides: Overrides) -> Device:
    """The machine of a name or file, with the `--set device.…` values laid over it."""
    from hwsim.devices.catalog import find_device  # noqa: PLC0415

    return find_device(name, overrides.device)


def question_of(arguments: Namespace) -> Question:
    """What is asked, with None where the workload's own `run` answers."""
    from hwsim.pipeline import Question  # noqa: PLC0415

    return Question(
        phase=arguments.phase,
        batch=arguments.batch,
        context=arguments.context,
        new_tokens=arguments.new_tokens,
        mapping=getattr(arguments, "mapping", "auto"),
    )
