"""`hwsim kernel`: one operation on a machine, or a CSV file of them."""

from __future__ import annotations

import re
from argparse import Namespace
from typing import TYPE_CHECKING, Final

from hwsim.commands.arguments import Parser, one_device, path
from hwsim.commands.console import Console
from hwsim.commands.inputs import device_of, split_overrides
from hwsim.errors import HwsimError, Infeasible

if TYPE_CHECKING:
    from hwsim.devices.base import Device

__all__ = ["add_arguments", "run"]

EXIT_INFEASIBLE = 3
_PAIR: Final = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    meaning = "a kind (hwsim list kernels), then its arguments as name=value, anywhere among the options"
    parser.add_argument("words", nargs="*", metavar="KIND name=value", help=meaning)
    parser.add_device()
    parser.add_set()
    parser.add_argument("--mapping", default="auto", metavar="FILE|auto", help="how work is laid onto the machine")
    rows = "a kernel per row, a column per argument; needs --out"
    parser.add_argument("--csv", type=path("--csv"), metavar="IN.csv", help=rows)
    appended = "the same rows with time_s, energy_j, bound and infeasible appended"
    parser.add_argument("--out", type=path("--out"), metavar="OUT.csv", help=appended)
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Time one kernel, or each row of a file."""
    console = Console(arguments.json, arguments.quiet)
    kind, pairs = _kind_and_pairs(arguments.words)
    overrides = split_overrides(arguments.overrides)
    if overrides.workload:
        raise HwsimError.at("--set", f"workload.{overrides.workload[0]}", "device.PATH=VALUE: a kernel has no workload")
    device = device_of(one_device(arguments.device, "kernel"), overrides, arguments.mapping).value
    if arguments.csv is not None:
        return _run_file(console, arguments, kind, pairs, device)
    if arguments.out is not None:
        raise HwsimError.at("--out", str(arguments.out), "--csv IN.csv beside it; --json FILE writes one kernel")
    return _run_one(console, kind, pairs, device)


def _kind_and_pairs(words: list[str]) -> tuple[str, dict[str, str]]:
    """The kind, and the arguments by name.

    Raises:
        HwsimError: no kind, several, or an argument that stands twice.
    """
    from hwsim.workload.kernel import KERNELS  # noqa: PLC0415

    kinds = [word for word in words if not _PAIR.fullmatch(word)]
    if not kinds:
        raise HwsimError.at("hwsim kernel", "no kind of kernel", "one of " + ", ".join(sorted(KERNELS)))
    if len(kinds) > 1:
        found = f"{kinds[1]!r} after the kind {kinds[0]!r}"
        raise HwsimError.at("hwsim kernel", found, "arguments as name=value, for example m=1")
    if kinds[0] not in KERNELS:
        raise HwsimError.unknown_name("hwsim kernel", "kind of kernel", kinds[0], KERNELS)
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            continue
        if name in pairs:
            raise HwsimError.at("hwsim kernel", f"{name} given twice", "each argument once")
        pairs[name] = value
    return kinds[0], pairs


def _run_one(console: Console, kind: str, pairs: dict[str, str], device: Device) -> int:
    """Time one kernel and print it."""
    from hwsim.pipeline import kernel  # noqa: PLC0415
    from hwsim.pipeline.leaning import with_leaning  # noqa: PLC0415
    from hwsim.report.kernel import kernel_blocks  # noqa: PLC0415
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415

    op = build_kernel(kind, pairs, "hwsim kernel")
    console.announce_compilation()
    answer = kernel(op, device)
    if isinstance(answer, Infeasible):
        from hwsim.report.answer import infeasible_blocks  # noqa: PLC0415

        form = {"kind": kind, "device": device.name, "infeasible": answer.to_dict()}
        console.answer(form, infeasible_blocks(kind, device.name, answer))
        return EXIT_INFEASIBLE
    words = " ".join(f"{name}={value}" for name, value in pairs.items())
    answer = with_leaning(answer, op, device)
    console.answer({**answer.to_dict(), "arguments": pairs}, kernel_blocks(answer, words))
    return 0


def _run_file(console: Console, arguments: Namespace, kind: str, pairs: dict[str, str], device: Device) -> int:
    """Time every row of a CSV file; rows that the machine cannot run stay, blank, with the reason."""
    from hwsim.commands.kernel_csv import read_rows, write_rows  # noqa: PLC0415
    from hwsim.commands.kernel_rows import run_rows  # noqa: PLC0415
    from hwsim.pipeline import kernels  # noqa: PLC0415

    if arguments.out is None:
        raise HwsimError.at("--csv", str(arguments.csv), "--out OUT.csv beside it")
    console.announce_compilation()
    if console.json_target is None:
        with console.share("timing kernels") as tell:
            counts = run_rows(arguments.csv, arguments.out, kind, pairs, device, tell)
        if counts:
            console.note(f"wrote {arguments.out}: {counts[0]} rows, {counts[1]} of them infeasible")
            return 0
    table = read_rows(arguments.csv, kind, pairs)
    with console.progress("timing kernels", len(table.ops)) as step:
        answers = kernels(step(table.ops), device)
    write_rows(arguments.out, table, answers)
    cannot = sum(isinstance(answer, Infeasible) for answer in answers)
    console.note(f"wrote {arguments.out}: {len(answers)} rows, {cannot} of them infeasible")
    if console.json_target is not None:
        forms = [{"infeasible": a.to_dict()} if isinstance(a, Infeasible) else a.to_dict() for a in answers]
        console.write_json({"results": forms})
    return 0
