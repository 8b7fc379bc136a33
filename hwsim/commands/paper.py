"""`hwsim paper`: published figures beside what the simulator gives."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.commands.arguments import Parser, path
from hwsim.commands.console import Console
from hwsim.errors import HwsimError

if TYPE_CHECKING:
    from hwsim.published.model import Paper
    from hwsim.published.runner import PaperResult

__all__ = ["add_arguments", "run"]

EXIT_OUTSIDE = 3


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="papers (hwsim list papers); one table of all when none is named"
    )
    out = "write the papers' figures into this folder (specmamba: tree-size.svg, convsharevit: speedup.svg)"
    parser.add_argument("--out", type=path("--out"), metavar="DIR", help=out)
    measured = "a folder that hwsim measure cpu wrote: its rows too, against a machine calibrated on it"
    parser.add_argument("--measured", type=path("--measured"), metavar="DIR", help=measured)
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Run the rows; 3 when a row marked `reproduced` is outside its tolerance."""
    from hwsim.published.blocks import paper_result_blocks, summary_blocks  # noqa: PLC0415
    from hwsim.published.model import find_paper, paper_names  # noqa: PLC0415
    from hwsim.published.runner import holds, predictors, run_paper  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    papers = [find_paper(name) for name in dict.fromkeys(arguments.names or paper_names())]
    console.announce_compilation()
    table = predictors()
    with console.progress("running the papers' rows", len(papers)) as step:
        results = [(paper, run_paper(paper, table)) for paper in step(papers)]
    if arguments.measured is not None:
        results.append(_measured(arguments.measured, [paper.paper for paper in papers]))
    if arguments.names:
        for paper, rows in results:
            console.show(paper_result_blocks(paper, rows))
    else:
        console.show(summary_blocks([rows for _, rows in results]))
    console.write_json({"results": [row.to_dict() for _, rows in results for row in rows]})
    if arguments.out is not None:
        _write_figures(console, arguments.out, [paper.paper for paper, _ in results])
    failed = [row for _, rows in results if not holds(rows) for row in rows if row.failed]
    for row in failed:
        console.note(f"{row.paper}: {row.row.id} is marked reproduced and is outside its tolerance")
    return EXIT_OUTSIDE if failed else 0


def _measured(folder: Path, names: list[str]) -> tuple[Paper, tuple[PaperResult, ...]]:
    """This machine's rows beside the shipped ones.

    Raises:
        HwsimError: the paper of the same rows is not asked for, or the folder is none of ``hwsim measure cpu``.
    """
    from hwsim.measure.cpu_paper import NAME, local_results  # noqa: PLC0415

    if NAME not in names:
        raise HwsimError.at("--measured", ", ".join(names), f"hwsim paper {NAME}, which has rows of the same loops")
    return local_results(folder)


def _write_figures(console: Console, folder: Path, names: list[str]) -> None:
    """Write the figure of each paper that has one."""
    from hwsim.published.figures import FIGURES  # noqa: PLC0415
    from hwsim.report.files import make_folder, write_bytes  # noqa: PLC0415

    make_folder(folder)
    for name in names:
        for file, draw in FIGURES.get(name, {}).items():
            write_bytes(folder / file, draw())
            console.note(f"wrote {folder / file}")
