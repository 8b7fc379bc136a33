"""`hwsim roofline`: a workload's operators under the machine's roofs, as a table and as a figure."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwsim.commands.arguments import Parser, choice, path
from hwsim.commands.console import Console
from hwsim.commands.figure import figure_kind, write_figure
from hwsim.commands.inputs import device_of, question_of, split_overrides, workload_of
from hwsim.errors import HwsimError, Infeasible

if TYPE_CHECKING:
    from hwsim.analysis.roofline import Roofline

__all__ = ["add_arguments", "run"]

EXIT_INFEASIBLE = 3
MOST_TOGETHER: Final = 8
"""Machines that one frame can tell apart."""


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("workload", metavar="WORKLOAD", help="a shipped workload (hwsim list workloads) or a file")
    parser.add_device(several=True)
    parser.add_question()
    parser.add_set()
    level = "memory level whose bytes count; default: the slowest"
    parser.add_argument("--level", metavar="NAME", help=level)
    counting = ("performed", "dense-equivalent")
    parser.add_argument(
        "--sparse", type=choice("--sparse", "way of counting", counting), default="performed",
        metavar="|".join(counting), help="how sparse work is counted",
    )  # fmt: skip
    parser.add_argument("--together", action="store_true", help="draw all machines in one frame, without operators")
    parser.add_argument("--out", type=path("--out"), metavar="FILE", help="draw the figure: FILE.svg or FILE.png")
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Print the numbers, draw the figure where asked; 3 when no machine can run the workload."""
    from hwsim.analysis.roofline import roofline  # noqa: PLC0415
    from hwsim.pipeline import simulate  # noqa: PLC0415
    from hwsim.report.answer import why_not  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    figure_kind(arguments.out)
    overrides = split_overrides(arguments.overrides, arguments.transforms)
    _check_together(arguments)
    workload = workload_of(arguments.workload, overrides)
    devices = [device_of(name, overrides) for name in arguments.device]
    console.announce_compilation()
    drawn: list[Roofline] = []
    forms = []
    with console.progress("simulating", len(devices)) as step:
        answers = [
            simulate(workload.value, device.value, question_of(arguments, workload, device)) for device in step(devices)
        ]
    for device, answer in zip(devices, answers, strict=True):
        if isinstance(answer, Infeasible):
            forms.append({"device": device.value.name, "infeasible": answer.to_dict()})
            console.note(f"{device.value.name}: {why_not(answer)}")
        else:
            drawn.append(roofline(answer, arguments.level, arguments.sparse))
            forms.append(drawn[-1].to_dict())
    _show(console, drawn)
    console.write_json({"results": forms})
    if drawn and arguments.out is not None:
        _draw(console, arguments.out, drawn, arguments.together)
    return 0 if drawn else EXIT_INFEASIBLE


def _check_together(arguments: Namespace) -> None:
    """Refuse more machines in one frame than it can tell apart."""
    if arguments.together and len(arguments.device) > MOST_TOGETHER:
        found = f"{len(arguments.device)} machines with --together"
        raise HwsimError.at("--together", found, f"at most {MOST_TOGETHER}")


def _show(console: Console, drawn: list[Roofline]) -> None:
    if console.shows_text and drawn:
        from hwsim.report.roofline_table import roofline_blocks  # noqa: PLC0415

        console.show([block for each in drawn for block in roofline_blocks(each)])


def _draw(console: Console, out: Path, drawn: list[Roofline], together: bool) -> None:
    from hwsim.report.roofline import roofline_figure  # noqa: PLC0415
    from hwsim.report.roofline_together import together_figure  # noqa: PLC0415

    write_figure(console, out, together_figure(drawn) if together else roofline_figure(drawn))
