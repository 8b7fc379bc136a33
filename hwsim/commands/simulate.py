"""`hwsim simulate`: one workload on one machine."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hwsim.commands.arguments import Parser, one_device, path
from hwsim.commands.console import Console
from hwsim.commands.inputs import (
    LoadedDevice,
    Overrides,
    device_of,
    question_of,
    split_overrides,
    with_mapping_file,
    workload_of,
)
from hwsim.errors import Infeasible

if TYPE_CHECKING:
    from hwsim.analysis.sensitivity import Parameter, Sensitivity
    from hwsim.commands.inputs import LoadedWorkload
    from hwsim.devices.base import Device
    from hwsim.result import Result
    from hwsim.workload.model import Workload

__all__ = ["DEFAULT_DEVICES", "EXIT_INFEASIBLE", "add_arguments", "run"]

DEFAULT_DEVICES: Final = ("vck190-spec", "h100-sxm")
"""Machines that are taken when `--device` is left out: for a Mamba, and for all else."""

EXIT_INFEASIBLE: Final = 3

_FORMATS_STAY: Final = (
    "; the shape of the array, its fabric and the energy of its operations stay those that the machine's file has for "
    "its own formats"
)
"""What a user who sets a machine's format must know: nothing else of the machine follows it."""


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("workload", metavar="WORKLOAD", help="a shipped workload (hwsim list workloads) or a file")
    parser.add_device(required=False)
    parser.add_argument("--mapping", default="auto", metavar="FILE|auto", help="how work is laid onto the machine")
    parser.add_question()
    parser.add_set()
    parser.add_argument("--trace", type=path("--trace"), metavar="FILE", help="write a step as a Perfetto trace")
    meaning = "vary every constant of the machine's file: what would make it faster"
    parser.add_argument("--sensitivity", action="store_true", help=meaning)
    out = "write report.html, result.json, the figures as SVG and trace.json into this folder"
    parser.add_argument("--out", type=path("--out"), metavar="DIR", help=out)
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Simulate, print, write; 3 when the machine cannot run the workload."""
    from hwsim.pipeline import simulate  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    overrides = split_overrides(arguments.overrides, arguments.transforms)
    workload = workload_of(arguments.workload, overrides)
    if not arguments.device:
        arguments.device = [_default_device(workload.value)]
        console.note(f"no --device given, taking {arguments.device[0]}")
    device = device_of(one_device(arguments.device, "simulate"), overrides, arguments.mapping)
    console.announce_compilation()
    with console.progress("simulating", 1) as step:
        question = question_of(arguments, workload, device, leaning=True)
        (answer,) = [simulate(workload.value, each.value, question) for each in step([device])]
    if isinstance(answer, Infeasible):
        return _cannot(console, workload.value, device.value, answer)
    notes = (*answer.notes, *_setting_notes(arguments.overrides, answer), *_mapping_notes(arguments.mapping))
    answer = replace(answer, notes=notes)
    rival = _rival(arguments, workload, device.value, answer)
    found = _sensitivity(console, arguments, workload, device.value, answer) if arguments.sensitivity else None
    _show(console, answer, rival, arguments.device[0], found)
    _write_files(console, arguments, answer, rival, found)
    return 0


def _default_device(workload: Workload) -> str:
    """The machine of a workload that was asked for without one."""
    from hwsim.workload.families import Mamba1Model, Mamba2Model  # noqa: PLC0415

    return DEFAULT_DEVICES[0 if isinstance(workload.model, Mamba1Model | Mamba2Model) else 1]


def _mapping_notes(mapping: str) -> Iterator[str]:
    """A note when mappings came from a file: the others were searched."""
    if mapping != "auto":
        yield f"mappings of {mapping} for ops of their shapes; all others by their best"


def _cannot(console: Console, workload: Workload, device: Device, answer: Infeasible) -> int:
    """Say why the machine cannot run the workload."""
    from hwsim.report.answer import infeasible_blocks  # noqa: PLC0415

    shown = {"workload": workload.name, "device": device.name, "infeasible": answer.to_dict()}
    console.answer(shown, infeasible_blocks(workload.name, device.name, answer))
    return EXIT_INFEASIBLE


def _rival(
    arguments: Namespace, workload: LoadedWorkload, device: Device, answer: Result
) -> Result | Infeasible | None:
    """The same workload, one token at a time, on the machine that the catalog names to compare with."""
    name = getattr(device.parameters, "compare_with", None)
    if answer.speculative is None or name is None:
        return None
    from hwsim.pipeline import simulate  # noqa: PLC0415
    from hwsim.workload.decoding import Autoregressive  # noqa: PLC0415

    rival = device_of(name, Overrides())
    one_by_one = replace(workload.value, decoding=Autoregressive())
    return simulate(one_by_one, rival.value, question_of(arguments, workload, rival))


def _setting_notes(overrides: Sequence[str], answer: Result) -> Iterator[str]:
    """A note for each `--set` that is no constant with a unit: those stand among the constants set for this run."""
    for text in overrides:
        path = text.partition("=")[0]
        if any(each.path == path or path.startswith(f"{each.path}.") for each in answer.set_by_user):
            continue
        stays = _FORMATS_STAY if f"{path}.".startswith("device.formats.") else ""
        yield f"set for this run: {text}{stays}"


def _sensitivity(
    console: Console, arguments: Namespace, workload: LoadedWorkload, device: Device, answer: Result
) -> Sensitivity:
    """The same question with each of the machine's constants, one at a time, a little lower and a little higher."""
    from hwsim.analysis.sensitivity import parameters_of, sensitivity  # noqa: PLC0415
    from hwsim.devices.catalog import device_document, varied  # noqa: PLC0415
    from hwsim.pipeline import seconds  # noqa: PLC0415

    document = device_document(arguments.device[0], split_overrides(arguments.overrides).device)
    question = question_of(arguments, workload)
    unread = _unread(device, answer)
    every = parameters_of(device.parameters)
    parameters = [each for each in every if device.enters(each.path) == "time"]
    not_in_time = tuple(each.path for each in every if each not in parameters)

    def run(parameter: Parameter, value: float) -> float | Infeasible:
        unit = "" if parameter.unit == "1" else f" {parameter.unit}"
        text = f"{value:.0f}" if parameter.kind == "count" and value.is_integer() else f"{value!r}{unit}"
        changed = LoadedDevice(varied(document, parameter.path, text), {})
        if parameter.path.startswith(unread):
            return answer.time_s
        if arguments.mapping != "auto":
            changed = with_mapping_file(changed, arguments.mapping)
        return seconds(workload.value, changed.value, question)

    with console.progress("varying the machine's constants", len(parameters)) as step:
        return sensitivity(answer, step(parameters), run, not_in_time)


def _unread(device: Device, answer: Result) -> tuple[str, ...]:
    """Prefixes of the constants that nothing in a run reads."""
    from hwsim.devices.base import ReadsInPart  # noqa: PLC0415

    return device.unread({op.kind for op in answer.ops}) if isinstance(device, ReadsInPart) else ()


def _show(
    console: Console, answer: Result, rival: Result | Infeasible | None, device: str, found: Sensitivity | None
) -> None:
    """Print the tables, and the JSON where asked."""
    if console.shows_text:
        from hwsim.report.answer import answer_blocks  # noqa: PLC0415

        console.show(answer_blocks(answer, rival, device))
        if found is not None:
            from hwsim.report.tornado import sensitivity_blocks  # noqa: PLC0415

            console.show(sensitivity_blocks(found), after=True)
    if console.json_target is not None:
        console.write_json(_json_form(answer, rival) | ({"sensitivity": found.to_dict()} if found else {}))


def _json_form(answer: Result, rival: Result | Infeasible | None) -> dict[str, Any]:
    """The result with what it was compared with."""
    plain = answer.to_dict()
    plain["baseline"] = None
    if isinstance(rival, Infeasible):
        plain["baseline"] = {"infeasible": rival.to_dict()}
    elif rival is not None:
        from hwsim.analysis.breakdown import speed_up  # noqa: PLC0415

        names = ("workload", "device", "phase", "time_per_token_s", "tokens_per_s", "tokens_per_j", "bound")
        plain["baseline"] = {name: getattr(rival, name) for name in names}
        plain["baseline"] |= {"decoding": "autoregressive", "speed_up": speed_up(answer, rival)}
    return plain


def _write_files(
    console: Console, arguments: Namespace, answer: Result, rival: Result | Infeasible | None, found: Sensitivity | None
) -> None:
    """Write the trace and the folder where they were asked for."""
    if arguments.trace is not None:
        from hwsim.commands.folder import write_trace  # noqa: PLC0415

        write_trace(console, arguments.trace, answer)
    if arguments.out is not None:
        from hwsim.commands.folder import write_folder  # noqa: PLC0415

        write_folder(console, arguments.out, answer, rival, found, arguments.repeat)
