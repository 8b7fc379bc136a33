"""`hwsim map`: the best nest of one operation on a PE array, and the certificate that it is."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hwsim.commands.arguments import Parser, choice, one_device, path
from hwsim.commands.console import Console
from hwsim.commands.inputs import device_of, split_overrides
from hwsim.errors import HwsimError, Infeasible

if TYPE_CHECKING:
    from hwsim.devices.array import ArrayDevice
    from hwsim.mapping.hierarchy import Hierarchy
    from hwsim.mapping.problem import Problem
    from hwsim.mapping.search import Mapped
    from hwsim.report.table import Block

__all__ = ["add_arguments", "run"]

EXIT_INFEASIBLE: Final = 3
_OBJECTIVES: Final = ("latency", "energy", "edp", "pareto")
_SPACES: Final = ("perfect", "imperfect")
_NOTE_S: Final = 1.0


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("words", nargs="*", metavar="KIND name=value", help="gemm or conv2d, then its arguments")
    parser.add_device()
    parser.add_set()
    objective = "what to minimise (edp)"
    parser.add_argument(
        "--objective", type=choice("--objective", "objective", _OBJECTIVES), default="edp", help=objective
    )
    space = "perfect: factors divide; imperfect: any tile (perfect)"
    parser.add_argument("--space", type=choice("--space", "space", _SPACES), default="perfect", help=space)
    budget = "seconds after which the best so far is given, with its gap"
    parser.add_argument("--budget-s", type=_seconds, default=math.inf, metavar="S", help=budget)
    parser.add_argument("--out", type=path("--out"), metavar="FILE", help="write the answer's JSON there as well")
    parser.add_json()


def _seconds(word: str) -> float:
    """A number of seconds above zero."""
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise HwsimError.at("--budget-s", repr(word), "a number of seconds above 0")
    return value


def run(arguments: Namespace) -> int:
    """Search, and print the mapping with what it costs."""
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    kind, pairs = _kind_and_pairs(arguments.words)
    device = _array(one_device(arguments.device, "map"), arguments)
    op = build_kernel(kind, _with_format(kind, pairs, device), "hwsim map")
    form: dict[str, Any] = {"kind": kind, "arguments": pairs, "device": device.name}
    problem = device.problem(op)
    if isinstance(problem, Infeasible):
        return _cannot(console, form, problem)
    refused = device.supports_formats(op)
    if refused:
        return _cannot(console, form, refused)
    console.announce_compilation()
    answer = _search(problem, device.hierarchy, arguments, console)
    if isinstance(answer, Infeasible):
        return _cannot(console, form, answer)
    form |= answer_form(answer, problem, device.hierarchy)
    console.answer(form, _blocks(form))
    if arguments.out is not None:
        _write(arguments.out, form)
    return 0


def _array(name: str, arguments: Namespace) -> ArrayDevice:
    """The array of a name or file.

    Raises:
        HwsimError: the machine is of a family without loop nests.
    """
    from hwsim.devices.array import ArrayDevice  # noqa: PLC0415

    overrides = split_overrides(arguments.overrides)
    if overrides.workload:
        raise HwsimError.at("--set", f"workload.{overrides.workload[0]}", "device.PATH=VALUE: an op has no workload")
    device = device_of(name, overrides).value
    if not isinstance(device, ArrayDevice):
        raise HwsimError.at("--device", f"{name}, of family {device.family}", "a machine of family array")
    return device


def _with_format(kind: str, pairs: dict[str, str], device: ArrayDevice) -> dict[str, str]:
    """The arguments with the machine's number format where the user gave none."""
    from hwsim.workload.kernel import KERNELS  # noqa: PLC0415

    takes = kind in KERNELS and KERNELS[kind].argument("dtype") is not None
    return {"dtype": device.parameters.format} | pairs if takes else pairs


def _cannot(console: Console, form: dict[str, Any], answer: Infeasible) -> int:
    from hwsim.report.answer import infeasible_blocks  # noqa: PLC0415

    console.answer(form | {"infeasible": answer.to_dict()}, infeasible_blocks(form["kind"], form["device"], answer))
    return EXIT_INFEASIBLE


def _kind_and_pairs(words: list[str]) -> tuple[str, dict[str, str]]:
    """The kind and its arguments.

    Raises:
        HwsimError: no kind, several, or an argument that stands twice.
    """
    kinds = [word for word in words if "=" not in word]
    if len(kinds) != 1:
        found = f"{len(kinds)} kinds ({', '.join(kinds) or 'none'})"
        raise HwsimError.at("hwsim map", found, "one kind, gemm or conv2d, and arguments as name=value")
    pairs: dict[str, str] = {}
    for name, _, value in (word.partition("=") for word in words if "=" in word):
        if name in pairs:
            raise HwsimError.at("hwsim map", f"{name} given twice", "each argument once")
        pairs[name] = value
    return kinds[0], pairs


def _search(problem: Problem, hierarchy: Hierarchy, arguments: Namespace, console: Console) -> Mapped | Infeasible:
    """Run the search; past a second, say how far it is."""
    import time  # noqa: PLC0415

    from hwsim.mapping.search import find_best  # noqa: PLC0415

    last = time.monotonic()

    def tell(share: float) -> None:
        nonlocal last
        if time.monotonic() - last > _NOTE_S:
            last = time.monotonic()
            console.note(f"searched {share:.0%} of the families")

    return find_best(
        problem,
        hierarchy,
        arguments.objective,
        space=arguments.space,
        budget_s=arguments.budget_s,
        progress=tell,
    )


def answer_form(answer: Mapped, problem: Problem, hierarchy: Hierarchy) -> dict[str, Any]:
    """The fields of an answer as JSON: costs, the mapping, the certificate."""
    cost, certificate = answer.cost, answer.certificate
    return {
        "objective": certificate.objective,
        "energy_j": cost.energy_pj * 1e-12,
        "cycles": cost.cycles,
        "time_s": cost.cycles / hierarchy.clock_hz,
        "edp": cost.energy_pj * 1e-12 * cost.cycles / hierarchy.clock_hz,
        "mapping": answer.nest.text(problem),
        "optimal": certificate.optimal,
        "lower_bound": certificate.lower_bound,
        "gap": certificate.gap,
        "space": certificate.space,
        "nests": {
            "represented": certificate.represented,
            "evaluated": certificate.evaluated,
            "pruned": certificate.pruned,
        },
        "energy_j_by_level": {name: pj * 1e-12 for name, pj in cost.energy_pj_by.items()},
        "bytes_by_level": dict(cost.bytes_by),
        "cycles_by": dict(cost.cycles_by),
        "covers": "this op alone, unfused, ideal cycles, in this space",
        "front": [
            {"energy_j": c.energy_pj * 1e-12, "cycles": c.cycles, "mapping": nest.text(problem)}
            for nest, c in answer.front
        ],
    }


def _blocks(form: dict[str, Any]) -> list[Block]:
    """The answer as tables."""
    from hwsim.report.table import Column, Heading, Paragraph, Table  # noqa: PLC0415
    from hwsim.units import format_count, format_seconds, format_si  # noqa: PLC0415

    proof = "optimal" if form["optimal"] else f"within {form['gap']:.2%} of the best possible"
    nests = form["nests"]
    rows = [
        ("cycles", format_count(form["cycles"])),
        ("time", format_seconds(form["time_s"])),
        ("energy", format_si(form["energy_j"], "J")),
        *((f"energy, {name}", format_si(joules, "J")) for name, joules in form["energy_j_by_level"].items()),
        ("certificate", f"{proof} ({form['space']} space, {form['objective']})"),
        ("nests represented", f"{nests['represented']:.6g}"),
        ("nests evaluated", format_count(nests["evaluated"])),
        *((f"nests pruned, {rule}", f"{count:.6g}") for rule, count in nests["pruned"].items()),
    ]
    words = " ".join(f"{name}={value}" for name, value in form["arguments"].items())
    return [
        Heading(f"{form['kind']} on {form['device']}"),
        Paragraph(words),
        Paragraph(form["mapping"]),
        Table((Column("what"), Column("how much", "right")), tuple(rows)),
        Paragraph(f"The certificate covers {form['covers']}."),
    ]


def _write(target: Path, form: dict[str, Any]) -> None:
    from hwsim.report.files import write_text  # noqa: PLC0415
    from hwsim.result import to_json  # noqa: PLC0415

    write_text(target, to_json(form))
