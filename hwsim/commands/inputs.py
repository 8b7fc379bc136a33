"""From the words of a command line to workloads, devices and questions, with the hashes of the files that they are."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwsim.errors import HwsimError, did_you_mean

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.pipeline import Question
    from hwsim.spec import Document
    from hwsim.workload.model import Workload

__all__ = [
    "LoadedDevice", "LoadedWorkload", "Overrides", "device_of", "question_of", "split_overrides", "with_mapping_file",
    "workload_of",
]  # fmt: skip

_HEADS: Final = ("device", "workload")


@dataclass(frozen=True, slots=True)
class Overrides:
    """The values of `--set`, without the head that says whose they are, and of `--transform`."""

    device: tuple[str, ...] = ()
    workload: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedWorkload:
    """A workload, and file -> SHA-256 of what it was read from, its draft included."""

    value: Workload
    inputs: dict[str, str]


@dataclass(frozen=True, slots=True)
class LoadedDevice:
    """A machine, and file -> SHA-256 of what it was read from."""

    value: Device
    inputs: dict[str, str]


def split_overrides(texts: Sequence[str], transforms: Sequence[str] = ()) -> Overrides:
    """Sort the values of `--set` by what they change, beside those of `--transform`.

    Raises:
        HwsimError: one does not begin with ``device.`` or ``workload.``, or has no ``=``.
    """
    parts: dict[str, list[str]] = {head: [] for head in _HEADS}
    for text in texts:
        path, equals, _ = text.partition("=")
        head, dot, rest = path.partition(".")
        if not (equals and dot and rest and head in parts):
            expected = "device.PATH=VALUE or workload.PATH=VALUE"
            raise HwsimError.at("--set", f"{text!r}", expected, _nearest(head, text))
        parts[head].append(text.partition(".")[2])
    return Overrides(tuple(parts["device"]), tuple(parts["workload"]), tuple(transforms))


def _nearest(head: str, text: str) -> str | None:
    """The same setting under the head that was probably meant."""
    near = did_you_mean(head, _HEADS)
    return f"{near}{text[len(head) :]}" if near and near != head else None


def workload_of(name: str, overrides: Overrides) -> LoadedWorkload:
    """The workload of a name or file, with `--set workload.…` laid over it and `--transform` added to its own."""
    from hwsim.spec import append, load, override  # noqa: PLC0415
    from hwsim.workload.catalog import document_of  # noqa: PLC0415
    from hwsim.workload.decoding import Speculative  # noqa: PLC0415
    from hwsim.workload.model import Workload  # noqa: PLC0415
    from hwsim.workload.transform import flow_of  # noqa: PLC0415

    document = document_of(name)
    for text in overrides.workload:
        path, _, value = text.partition("=")
        document = override(document, path, value, f"--set workload.{text}", Workload)
    for text in overrides.transforms:
        document = append(document, "transforms", flow_of(text), f"--transform {text}")
    workload = load(document, Workload)
    inputs = document.inputs
    if isinstance(workload.decoding, Speculative):
        inputs |= document_of(workload.decoding.draft).inputs
    return LoadedWorkload(workload, _shortened(inputs))


def device_of(name: str, overrides: Overrides, mapping: str = "auto") -> LoadedDevice:
    """The machine of a name or file, with the `--set device.…` values laid over it, and a mapping file if one is named.

    Raises:
        HwsimError: there is no such machine or mapping, or the mapping is not legal on the machine.
    """
    from hwsim.devices.catalog import device_document, device_of_document  # noqa: PLC0415

    document = device_document(name, overrides.device)
    found = LoadedDevice(device_of_document(document), _shortened(document.inputs))
    return found if mapping == "auto" else with_mapping_file(found, mapping)


def with_mapping_file(device: LoadedDevice, name: str) -> LoadedDevice:
    """The machine with the entries of a shipped mapping or a file, which counts among the inputs."""
    from hwsim.devices.mapped import with_mapping  # noqa: PLC0415
    from hwsim.spec import read  # noqa: PLC0415
    from hwsim.workload.catalog import find_file  # noqa: PLC0415

    inputs = dict(device.inputs)

    def document_of(mapping: str) -> Document:
        document = read(find_file("mappings", mapping))
        inputs.update(_shortened(document.inputs))
        return document

    return LoadedDevice(with_mapping(device.value, name, document_of), inputs)


def _shortened(inputs: dict[str, str]) -> dict[str, str]:
    """Shipped files by folder and name, wherever hwsim is installed; others as the user gave them."""
    home = Path(__file__).resolve().parent.parent.parent
    short = {}
    for source, digest in inputs.items():
        path = Path(source)
        shipped = path.is_absolute() and path.is_relative_to(home)
        short["/".join(path.parts[-2:]) if shipped else source] = digest
    return short


def question_of(arguments: Namespace, *loaded: LoadedWorkload | LoadedDevice, leaning: bool = False) -> Question:
    """What is asked, with None where the workload's own `run` answers, and the files that were read.

    Args:
        arguments: of the command.
        loaded: what was read.
        leaning: whether the answer is to name the constants that move it.
    """
    from hwsim.pipeline import Question  # noqa: PLC0415

    return Question(
        phase=arguments.phase,
        batch=arguments.batch,
        context=arguments.context,
        new_tokens=arguments.new_tokens,
        mapping=getattr(arguments, "mapping", "auto"),
        inputs={source: digest for each in loaded for source, digest in each.inputs.items()},
        leaning=leaning,
    )
