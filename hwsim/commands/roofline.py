"""`hwsim roofline`: a workload's operators under the machine's roofs, as a table and as a figure."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwsim.commands.arguments import Parser, path
from hwsim.commands.console import Console
from hwsim.commands.inputs import device_of, question_of, split_overrides, workload_of
from hwsim.errors import HwsimError, Infeasible

if TYPE_CHECKING:
    from hwsim.analysis.roofline import Roofline

__all__ = ["add_arguments", "run"]

_KINDS: Final = {".svg": "svg", ".png": "png"}
EXIT_INFEASIBLE = 3


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("workload", metavar="WORKLOAD", help="a shipped workload (hwsim list workloads) or a file")
    parser.add_device(several=True)
    parser.add_question()
    parser.add_set()
    parser.add_argument("--out", type=path("--out"), metavar="FILE", help="draw the figure: FILE.svg or FILE.png")
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Print the numbers, draw the figure where asked; 3 when no machine can run the workload."""
    from hwsim.analysis.roofline import roofline  # noqa: PLC0415
    from hwsim.pipeline import simulate  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    _figure_kind(arguments.out)
    overrides = split_overrides(arguments.overrides, arguments.transforms)
    workload = workload_of(arguments.workload, overrides)
    devices = [device_of(name, overrides) for name in arguments.device]
    console.announce_compilation()
    drawn: list[Roofline] = []
    forms = []
    for device in devices:
        answer = simulate(workload.value, device.value, question_of(arguments, workload, device))
        if isinstance(answer, Infeasible):
            forms.append({"device": device.value.name, "infeasible": answer.to_dict()})
            console.note(f"{device.value.name}: {answer}")
        else:
            drawn.append(roofline(answer))
            forms.append(drawn[-1].to_dict())
    _show(console, drawn)
    console.write_json({"results": forms})
    if drawn and arguments.out is not None:
        _draw(console, arguments.out, drawn)
    return 0 if drawn else EXIT_INFEASIBLE


def _figure_kind(out: Path | None) -> str:
    """``svg`` or ``png``, by the file's name; svg when there is no file.

    Raises:
        HwsimError: neither.
    """
    if out is None:
        return "svg"
    if out.suffix.lower() not in _KINDS:
        raise HwsimError.at("--out", f"{str(out)!r}", "a name that ends in .svg or .png", str(out.with_suffix(".svg")))
    return _KINDS[out.suffix.lower()]


def _show(console: Console, drawn: list[Roofline]) -> None:
    if console.shows_text and drawn:
        from hwsim.report.roofline_table import roofline_blocks  # noqa: PLC0415

        console.show([block for each in drawn for block in roofline_blocks(each)])


def _draw(console: Console, out: Path, drawn: list[Roofline]) -> None:
    from hwsim.report.files import write_bytes  # noqa: PLC0415
    from hwsim.report.roofline import figure_bytes, roofline_figure  # noqa: PLC0415

    write_bytes(out, figure_bytes(roofline_figure(drawn), _figure_kind(out)))
    console.note(f"wrote {out}")
