"""`hwsim calibrate`: from a folder that `hwsim measure` wrote to a machine whose constants are measured."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from hwsim.commands.arguments import Parser, path
from hwsim.commands.console import Console

__all__ = ["add_arguments", "run"]


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", metavar="DIR", help="a folder that `hwsim measure` wrote")
    parser.add_argument("--out", type=path("--out"), metavar="FILE", required=True, help="the machine's file")
    base = "the shipped machine that the file extends; by default the one that the measurement names"
    parser.add_argument("--extends", metavar="D", help=base)
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Read, hold the rows to what is possible, write the machine's file and check it."""
    from hwsim.devices.catalog import find_device  # noqa: PLC0415
    from hwsim.measure import measurer, read_measurement  # noqa: PLC0415
    from hwsim.report.files import write_text  # noqa: PLC0415
    from hwsim.spec import quantities  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    measurement = read_measurement(Path(arguments.folder))
    module = measurer(measurement.header.measurement, str(arguments.folder))
    text = module.calibrate(measurement, arguments.extends)
    write_text(arguments.out, text)
    console.note(f"wrote {arguments.out}")
    device = find_device(str(arguments.out if arguments.out.suffix in (".yaml", ".yml") else arguments.out.resolve()))
    measured = [path for path, quantity in quantities(device.parameters) if quantity.kind == "measured"]
    if console.shows_text:
        from hwsim.report.table import Paragraph  # noqa: PLC0415

        console.show([Paragraph(f"{device.name}: {len(measured)} measured constants ({', '.join(measured)})")])
    console.write_json({"device": device.name, "file": str(arguments.out), "measured": measured})
    return 0
