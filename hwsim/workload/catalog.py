"""Shipped files by name: where they lie, and the workload that a name or a file means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

from hwsim.errors import HwsimError
from hwsim.spec import Document, load, override, read
from hwsim.workload.model import Workload

__all__ = [
    "Shelf",
    "document_of",
    "find_file",
    "find_workload",
    "shelf",
    "shipped_names",
    "workload_names",
]

Shelf: TypeAlias = Literal["workloads", "mappings"]
_PACKAGE: Final = Path(__file__).resolve().parent.parent


@cache
def shelf(kind: Shelf) -> Path:
    """The directory of the shipped files of a kind: ``hwsim/_data`` in the wheel, the root in a checkout."""
    installed = _PACKAGE / "_data" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def shipped_names(kind: Shelf) -> tuple[str, ...]:
    """Names of the shipped files of a kind, sorted."""
    return tuple(sorted(path.stem for path in shelf(kind).glob("*.yaml")))


def find_file(kind: Shelf, name_or_file: str) -> Path:
    """The file that a shipped name or a path means; a path has a slash or ends in ``.yaml``.

    Raises:
        HwsimError: no shipped file has this name; the nearest is suggested. (A path is taken as it is: reading it
            tells whether it exists.)
    """
    if "/" in name_or_file or name_or_file.endswith((".yaml", ".yml")):
        return Path(name_or_file)
    names = shipped_names(kind)
    if name_or_file not in names:
        raise HwsimError.unknown_name(name_or_file or "''", kind[:-1], name_or_file, names)
    return shelf(kind) / f"{name_or_file}.yaml"


def workload_names() -> tuple[str, ...]:
    """Names of the shipped workloads, sorted."""
    return shipped_names("workloads")


def document_of(name_or_file: str) -> Document:
    """The text of a workload with what it extends, before it is checked."""
    return read(find_file("workloads", name_or_file), lambda name: find_file("workloads", name))


def find_workload(name_or_file: str, settings: Sequence[str] = ()) -> Workload:
    """The workload that a shipped name or a file means.

    Args:
        name_or_file: a name of :func:`workload_names`, or a path.
        settings: ``PATH=VALUE`` texts laid over the file, as ``run.batch=4`` or ``decoding.tree.chain=5``.

    Raises:
        HwsimError: there is no such name or file, or all that is wrong in it.
    """
    document = document_of(name_or_file)
    for setting in settings:
        path, _, value = setting.partition("=")
        document = override(document, path, value, f"--set workload.{setting}", Workload)
    return load(document, Workload)
