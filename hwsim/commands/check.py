"""`hwsim check`: every fault of the files that a user writes. Imports neither numba nor matplotlib."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwsim.commands.arguments import Parser
from hwsim.commands.console import Console
from hwsim.errors import Fault, HwsimError, Where, did_you_mean

if TYPE_CHECKING:
    from hwsim.spec import Document
    from hwsim.workload.model import Workload

__all__ = ["add_arguments", "run"]

EXIT_INPUT = 2
_MARKS = {"model": "workload", "family": "device", "paper": "paper", "mapping": "mapping", "sweep": "sweep"}


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="YAML files of workloads, devices, mappings, sweeps or papers"
    )
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Check each file by what it holds; 2 when any has a fault."""
    console = Console(arguments.json, arguments.quiet)
    rows: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for name in arguments.files:
        kind, found, warnings = _check(name)
        faults += found
        rows.append({"file": name, "kind": kind, "ok": not found, "faults": [_fault_form(fault) for fault in found]})
        if not found and console.shows_text:
            from hwsim.report.table import Paragraph  # noqa: PLC0415

            console.show([Paragraph(f"{name}: {kind}, no faults")])
        for warning in warnings:
            console.note(f"{name}: warning: {warning}")
    console.write_json({"results": rows})
    if faults:
        raise HwsimError(*faults)
    return 0


def _check(name: str) -> tuple[str | None, list[Fault], tuple[str, ...]]:
    """What a file is, its faults, and what is doubtful though it is no fault."""
    kind: str | None = None
    try:
        document = _read(name)
        kind = _kind(document)
        warnings = _load(kind, document)
    except HwsimError as error:
        return kind, list(error.faults), ()
    return kind, [], warnings


def _read(name: str) -> Document:
    """The file with what it extends; an extended name may be a shipped workload or a shipped device."""
    from pathlib import Path  # noqa: PLC0415

    from hwsim.devices.catalog import device_document, device_names  # noqa: PLC0415
    from hwsim.spec import read  # noqa: PLC0415
    from hwsim.workload.catalog import find_file, workload_names  # noqa: PLC0415

    def resolve(parent: str) -> Path:
        if parent in device_names():
            return Path(device_document(parent).source)
        if parent in workload_names():
            return find_file("workloads", parent)
        valid = (*workload_names(), *device_names())
        raise HwsimError.unknown_name(name, "workload or device", parent, valid)

    return read(name, resolve)


def _kind(document: Document) -> str:
    """Workload, device, mapping, sweep or paper, by the key that only it has."""
    from hwsim.spec import plain  # noqa: PLC0415

    content = plain(document.root)
    keys = list(content) if isinstance(content, dict) else []
    for mark, kind in _MARKS.items():
        if mark in keys:
            return kind
    near = next((word for word in (did_you_mean(key, _MARKS) for key in keys) if word), None)
    expected = (
        "a workload (model: ...), a device (family: ...), a mapping (mapping: ...), a sweep (sweep: ...) "
        "or a paper (paper: ...)"
    )
    found = f"none of {', '.join(_MARKS)} among its keys" if keys else "no keys"
    raise HwsimError(Fault(Where(document.source, 1, 1), found, expected, near))


def _load(kind: str, document: Document) -> tuple[str, ...]:
    """Load the document as what it is; a machine's warnings."""
    from hwsim.spec import load  # noqa: PLC0415

    if kind == "device":
        from hwsim.devices.base import Analogue  # noqa: PLC0415
        from hwsim.devices.catalog import device_of_document  # noqa: PLC0415

        device = device_of_document(document)
        return device.warnings() if isinstance(device, Analogue) else ()
    if kind == "workload":
        from hwsim.workload.model import Workload  # noqa: PLC0415

        _check_draft(document, load(document, Workload))
    elif kind == "mapping":
        from hwsim.devices.mapped import load_mapping  # noqa: PLC0415

        load_mapping(document)
    elif kind == "sweep":
        from hwsim.sweep import Sweep  # noqa: PLC0415

        load(document, Sweep)
    else:
        from hwsim.published.model import Paper  # noqa: PLC0415

        load(document, Paper)
    return ()


def _check_draft(document: Document, workload: Workload) -> None:
    """Load the draft that a speculative workload names, and point at its name when there is none."""
    from hwsim.spec.nodes import MappingNode  # noqa: PLC0415
    from hwsim.workload.catalog import find_workload  # noqa: PLC0415
    from hwsim.workload.decoding import Speculative  # noqa: PLC0415

    if not isinstance(workload.decoding, Speculative):
        return
    node = document.root.get("decoding") if isinstance(document.root, MappingNode) else None
    draft = node.get("draft") if isinstance(node, MappingNode) else None
    try:
        find_workload(workload.decoding.draft)
    except HwsimError as error:
        where = draft.where if draft is not None else Where(document.source)
        raise HwsimError(*(replace(fault, where=where) for fault in error.faults)) from None


def _fault_form(fault: Fault) -> dict[str, Any]:
    """A fault as JSON."""
    return {
        "file": fault.where.source,
        "line": fault.where.line,
        "column": fault.where.column,
        "found": fault.found,
        "expected": fault.expected,
        "suggestion": fault.suggestion,
    }
