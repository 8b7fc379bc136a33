"""Array machines by shipped name or file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hwsim.devices.array.parameters import ArrayParameters
from hwsim.errors import HwsimError
from hwsim.spec import load, override, read

__all__ = ["array_names", "find_array"]

_MACHINES: Final = Path(__file__).resolve().parent / "machines"


def array_names() -> tuple[str, ...]:
    """Names of the shipped arrays, sorted."""
    return tuple(sorted(path.stem for path in _MACHINES.glob("*.yaml")))


def _file_of(name_or_file: str) -> Path:
    if "/" in name_or_file or name_or_file.endswith((".yaml", ".yml")):
        return Path(name_or_file)
    if name_or_file not in array_names():
        raise HwsimError.unknown_name("--device", "array machine", name_or_file, array_names())
    return _MACHINES / f"{name_or_file}.yaml"


def find_array(name_or_file: str, overrides: Sequence[str] = ()) -> ArrayParameters:
    """The array that a shipped name or a file means, with ``PATH=VALUE`` overrides laid over it.

    Raises:
        HwsimError: there is no such name, or all that is wrong with the file.
    """
    document = read(_file_of(name_or_file), _file_of)
    for text in overrides:
        path, _, value = text.partition("=")
        document = override(document, path, value, f"--set device.{text}", ArrayParameters)
    return load(document, ArrayParameters)
