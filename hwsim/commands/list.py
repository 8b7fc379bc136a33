"""`hwsim list`: what exists by name."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any, Final

from hwsim.commands.arguments import Parser, choice
from hwsim.commands.console import Console

__all__ = ["add_arguments", "run"]


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "what", type=choice("hwsim list", "kind of thing", _LISTS), metavar="|".join(_LISTS), help="what to list"
    )
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Print names with a line each."""
    from hwsim.report.table import Column, Table  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    rows = _LISTS[arguments.what]()
    names = list(dict.fromkeys(key for row in rows for key in row))
    cells = tuple(tuple(_cell(row.get(name)) for name in names) for row in rows)
    if rows:
        console.show([Table(tuple(Column(name) for name in names), cells)])
    else:
        console.note(f"no {arguments.what} are shipped")
    console.write_json({"results": rows})
    return 0


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def _workloads() -> list[dict[str, Any]]:
    from hwsim.workload.catalog import find_workload, workload_names  # noqa: PLC0415

    rows = []
    for name in workload_names():
        workload = find_workload(name)
        decoding = workload.decoding.mode if workload.run.phase == "decode" else ""
        rows.append(
            {
                "name": name,
                "family": workload.model.family,
                "phase": workload.run.phase,
                "decoding": decoding,
                "description": workload.description,
            }
        )
    return rows


def _devices() -> list[dict[str, Any]]:
    from hwsim.devices.catalog import device_names, find_device  # noqa: PLC0415

    rows = []
    for name in device_names():
        device = find_device(name)
        about = str(getattr(device.parameters, "description", ""))
        rows.append({"name": name, "family": device.family, "description": about})
    return rows


def _mappings() -> list[dict[str, Any]]:
    from hwsim.mapping.files import read_mapping  # noqa: PLC0415
    from hwsim.spec import read  # noqa: PLC0415
    from hwsim.workload.catalog import find_file, shipped_names  # noqa: PLC0415

    names = shipped_names("mappings")
    files = [(name, read_mapping(read(find_file("mappings", name)))) for name in names]
    return [
        {"name": name, "device": f.device, "holds": f.key, "entries": len(f.forms), "description": f.description}
        for name, f in files
    ]


def _papers() -> list[dict[str, Any]]:
    from hwsim.published.model import find_paper, paper_names  # noqa: PLC0415

    papers = [find_paper(name) for name in paper_names()]
    return [{"name": paper.paper, "rows": len(paper.rows), "title": paper.title} for paper in papers]


def _kernels() -> list[dict[str, Any]]:
    from hwsim.workload.kernel import KERNELS  # noqa: PLC0415

    return [
        {
            "name": spec.kind,
            "description": spec.meaning,
            "required": [argument.name for argument in spec.arguments if argument.required],
            "optional": [argument.name for argument in spec.arguments if not argument.required],
        }
        for spec in KERNELS.values()
    ]


def _transforms() -> list[dict[str, Any]]:
    from hwsim.workload.transform import TRANSFORMS  # noqa: PLC0415

    return [{"name": name, "description": transform.MEANING} for name, transform in TRANSFORMS.items()]


_LISTS: Final[dict[str, Callable[[], list[dict[str, Any]]]]] = {
    "workloads": _workloads,
    "devices": _devices,
    "mappings": _mappings,
    "papers": _papers,
    "kernels": _kernels,
    "transforms": _transforms,
}
