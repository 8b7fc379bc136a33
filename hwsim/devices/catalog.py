"""Machines by name or file: the catalog's YAML to a device of the right family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from hwsim.devices.array import ArrayDevice, ArrayParameters
from hwsim.devices.base import Device
from hwsim.devices.cpu import CpuParameters, cpu_device
from hwsim.devices.fpga import FpgaDevice, FpgaParameters
from hwsim.devices.gpu import GpuParameters, gpu_device
from hwsim.devices.optical import OpticalDevice, OpticalParameters
from hwsim.errors import HwsimError
from hwsim.spec import Document, load, override, plain, read

__all__ = [
    "Family", "device_document", "device_names", "device_of_document", "find_device", "register_family", "varied",
]  # fmt: skip

_CATALOG: Final = Path(__file__).resolve().parent / "catalog"


@dataclass(frozen=True, slots=True)
class Family:
    """A machine family: the schema of its files, and the device around a loaded one."""

    schema: type
    device: Callable[[Any], Device]


_FAMILIES: Final[dict[str, Family]] = {
    "array": Family(ArrayParameters, ArrayDevice),
    "fpga": Family(FpgaParameters, FpgaDevice),
    "gpu": Family(GpuParameters, gpu_device),
    "cpu": Family(CpuParameters, cpu_device),
    "optical": Family(OpticalParameters, OpticalDevice),
}
"""Families by the name that a file gives as ``family``. A new family of this package adds a line here."""

FAMILY_GROUP: Final = "hwsim.families"
"""Entry-point group in which another package declares its families: a name and where its `Family` stands."""


def register_family(name: str, family: Family) -> None:
    """Add a family for the time that the program runs, as a notebook or a script does.

    (An installed package declares an entry point of the group ``hwsim.families`` instead, which `hwsim` finds by name.)

    Raises:
        HwsimError: the name is taken by another family.
    """
    if _FAMILIES.get(name, family) != family:
        raise HwsimError.at("register_family", f"family {name!r}, which exists", "a name of its own")
    _FAMILIES[name] = family


def _family_named(name: object) -> Family | None:
    """The family of a name: this package's, a registered one, or one that an installed package declares."""
    if not isinstance(name, str):
        return None
    if name not in _FAMILIES:
        from importlib.metadata import entry_points  # noqa: PLC0415 - a family of ours needs none

        for point in entry_points(group=FAMILY_GROUP, name=name):
            found = point.load()
            if not isinstance(found, Family):
                raise HwsimError.at(f"family {name}", f"{point.value}, a {type(found).__name__}", "a Family")
            register_family(name, found)
    return _FAMILIES.get(name)


@cache
def device_names() -> tuple[str, ...]:
    """Names of the shipped machines, sorted."""
    return tuple(sorted(path.stem for path in _CATALOG.glob("*.yaml")))


def _file_of(name_or_file: str) -> Path:
    if "/" in name_or_file or name_or_file.endswith((".yaml", ".yml")):
        return Path(name_or_file)
    if name_or_file == "local":
        made = "the file of your own machine: `hwsim measure cpu --out DIR`, `hwsim calibrate DIR --out local.yaml`"
        raise HwsimError.at("--device", "local, which does not ship", f"{made}, then --device local.yaml")
    if name_or_file not in device_names():
        raise HwsimError.unknown_name("--device", "device", name_or_file, device_names())
    return _CATALOG / f"{name_or_file}.yaml"


def device_document(name_or_file: str, overrides: Sequence[str] = ()) -> Document:
    """The text of a machine with what it extends, and ``PATH=VALUE`` overrides laid over it.

    Raises:
        HwsimError: there is no such name, or the file cannot be read.
    """
    document = read(_file_of(name_or_file), _file_of)
    for text in overrides:
        path, _, value = text.partition("=")
        document = override(document, path, value, f"--set device.{text}", _family_of(document).schema)
    return document


def varied(document: Document, path: str, value: str) -> Device:
    """The device of a document with one value set, as by ``--set device.PATH=VALUE``.

    Raises:
        HwsimError: the schema does not allow the value.
    """
    changed = override(document, path, value, f"--set device.{path}={value}", _family_of(document).schema)
    return device_of_document(changed)


def device_of_document(document: Document) -> Device:
    """The device that a document describes.

    Raises:
        HwsimError: the family is missing or unknown, or all that is wrong with the file.
    """
    family = _family_of(document)
    return family.device(load(document, family.schema))


def _family_of(document: Document) -> Family:
    content = plain(document.root)
    name = content.get("family") if isinstance(content, dict) else None
    family = _family_named(name)
    if family is not None:
        return family
    if isinstance(name, str):
        raise HwsimError.unknown_name(document.source, "family", name, _FAMILIES)
    raise HwsimError.at(document.source, "no family", "family: " + " or ".join(_FAMILIES))


def find_device(name_or_file: str, overrides: Sequence[str] = ()) -> Device:
    """The machine that a shipped name or a file means, with overrides. Shipped ones are frozen and read once.

    Raises:
        HwsimError: see `device_document` and `device_of_document`.
    """
    found = _shipped if name_or_file in device_names() else _read_device
    return found(name_or_file, tuple(overrides))


def _read_device(name_or_file: str, overrides: tuple[str, ...]) -> Device:
    return device_of_document(device_document(name_or_file, overrides))


_shipped = lru_cache(maxsize=256)(_read_device)
