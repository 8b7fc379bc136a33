"""`hwsim compare`: one workload on several machines, in one table."""

from __future__ import annotations

from argparse import Namespace

from hwsim.commands.arguments import Parser, path
from hwsim.commands.console import Console
from hwsim.commands.figure import figure_kind, write_figure
from hwsim.commands.inputs import device_of, question_of, split_overrides, workload_of

__all__ = ["add_arguments", "run"]

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
    """Simulate on every machine; 3 only when none can run the workload."""
    from hwsim.analysis.compare import Entry, entry_dict, feasible  # noqa: PLC0415
    from hwsim.pipeline import simulate  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    figure_kind(arguments.out)
    overrides = split_overrides(arguments.overrides, arguments.transforms)
    workload = workload_of(arguments.workload, overrides)
    devices = [device_of(name, overrides) for name in arguments.device]
    console.announce_compilation()
    with console.progress("simulating", len(devices)) as step:
        entries = tuple(
            Entry(
                device.value.name,
                simulate(workload.value, device.value, question_of(arguments, workload, device, leaning=True)),
            )
            for device in step(devices)
        )
    if console.shows_text:
        from hwsim.report.comparison import comparison_blocks  # noqa: PLC0415

        console.show(comparison_blocks(workload.value.name, entries))
    if arguments.out is not None:
        from hwsim.report.comparison_figure import comparison_figure  # noqa: PLC0415

        write_figure(console, arguments.out, comparison_figure(workload.value.name, entries))
    console.write_json({"results": [entry_dict(entry) for entry in entries]})
    return 0 if feasible(entries) else EXIT_INFEASIBLE
