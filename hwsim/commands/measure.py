"""`hwsim measure`: time this machine's own kernels, into a folder that `hwsim calibrate` reads."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hwsim.commands.arguments import Parser, path
from hwsim.commands.console import Console

__all__ = ["add_arguments", "run"]


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("measured", metavar="cpu|gpu", help="what to time")
    out = "write machine.yaml and a CSV file per kind of kernel into this folder"
    parser.add_argument("--out", type=path("--out"), metavar="DIR", required=True, help=out)
    parser.add_argument("--date", default="not given", metavar="TEXT", help="the day, to be kept with the rows")
    parser.add_argument("--quick", action="store_true", help="fewer shapes and repetitions")
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Measure, write the folder, say what was written."""
    from hwsim.measure import Request, measurer, write_measurement  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    module = measurer(arguments.measured)
    with _folder(arguments.out), console.share("timing") as tell:
        measurement = module.measure(Request(arguments.date, arguments.quick, console.note, tell))
    written = write_measurement(arguments.out, measurement)
    rows = {table.name: len(table.lines) for table in measurement.tables}
    for file in written:
        console.note(f"wrote {file}")
    if console.shows_text:
        from hwsim.report.table import Paragraph  # noqa: PLC0415

        counts = ", ".join(f"{count} of {name}" for name, count in rows.items())
        console.show([Paragraph(f"{measurement.header.machine}: {sum(rows.values())} rows ({counts})")])
    console.write_json({"machine": measurement.header.machine, "rows": rows, "files": [str(file) for file in written]})
    return 0


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """The folder is made before what may take half an hour, and removed again where that fails."""
    from hwsim.report.files import make_folder  # noqa: PLC0415

    is_new = not folder.exists()
    make_folder(folder)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise
