"""`hwsim show`: everything about one device, workload or paper."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, Final

from hwsim.commands.arguments import Parser, choice
from hwsim.commands.console import Console
from hwsim.commands.inputs import device_of, split_overrides, workload_of
from hwsim.errors import HwsimError
from hwsim.report.table import Block

__all__ = ["add_arguments", "run"]

_KINDS: Final = ("device", "workload", "paper")
Shown = tuple[dict[str, Any], list[Block]]


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "what", type=choice("hwsim show", "kind of thing", _KINDS), metavar="|".join(_KINDS), help="what to show"
    )
    parser.add_argument("name", metavar="NAME", help="a shipped name or a file")
    parser.add_set()
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Print one thing."""
    console = Console(arguments.json, arguments.quiet)
    show = {"device": _device, "workload": _workload, "paper": _paper}[arguments.what]
    form, blocks = show(arguments)
    console.show(blocks)
    console.write_json(form)
    return 0


def _device(arguments: Namespace) -> Shown:
    """Every constant of a machine, with value, unit, kind and source."""
    from hwsim.report.show import device_blocks, device_form  # noqa: PLC0415

    loaded = device_of(arguments.name, split_overrides(arguments.overrides))
    form = device_form(loaded.value, loaded.inputs)
    return form, device_blocks(form)


def _workload(arguments: Namespace) -> Shown:
    """Parameters, MACs and bytes of a workload, by layer kind."""
    from hwsim.report.show import workload_blocks, workload_form  # noqa: PLC0415

    loaded = workload_of(arguments.name, split_overrides(arguments.overrides))
    form = workload_form(loaded.value, loaded.inputs)
    return form, workload_blocks(form)


def _paper(arguments: Namespace) -> Shown:
    """The rows that a paper's catalogue holds."""
    from hwsim.published.model import find_paper  # noqa: PLC0415
    from hwsim.report.show import paper_blocks  # noqa: PLC0415

    if arguments.overrides:
        raise HwsimError.at("--set", arguments.overrides[0], "no --set: a paper's figures are what it published")
    paper = find_paper(arguments.name)
    return paper.to_dict(), paper_blocks(paper.to_dict())
