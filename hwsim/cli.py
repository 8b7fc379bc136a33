"""The command line: picks the command, and turns what happens into messages and exit codes.

Exit codes: 0 done; 2 the user's input (usage, file, name); 3 infeasible, or a published row marked `reproduced` that
is outside its tolerance; 1 our own bug; 130 interrupted; 141 nobody reads the output any more.

A command is a module of `hwsim.commands` with `add_arguments(parser)` and `run(arguments) -> exit code`. Only the
module of the command that was asked for is imported, and it imports what it needs inside `run`.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hwsim.errors import HwsimError

__all__ = ["COMMANDS", "main"]

EXIT_DONE: Final = 0
EXIT_BUG: Final = 1
EXIT_INPUT: Final = 2
EXIT_INTERRUPTED: Final = 130
EXIT_BROKEN_PIPE: Final = 141

_NO_ROOM: Final = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)
"""What a stream answers that takes no more: a full disk, a limit, a device that is gone. (Files say it as faults.)"""

_GC_THRESHOLDS: Final = (100_000, 50, 50)
"""Importing numba and its kin makes objects that live as long as the process; looking for garbage among them every 700
objects, as Python does by default, takes a seventh of a short run."""

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "simulate": (
        "run a workload on a machine: time, energy, and what limits it",
        "simulate mamba --device vck190-spec",
    ),
    "kernel": (
        "one operation on a machine, or a CSV file of them",
        "kernel gemm m=1 n=10576 k=2560 dtype=int4 --device vck190",
    ),
    "map": (
        "the best mapping of one operation or of each of a model, with a certificate",
        "map gemm m=1024 n=1024 k=1024 --device ws16 --objective edp",
    ),
    "compare": ("one workload on several machines, in one table", "compare mamba --device vck190 --device vck190-spec"),
    "roofline": (
        "draw a workload's operators under the machine's roofs",
        "roofline mamba --device vck190 --out mamba.svg",
    ),
    "sweep": ("every combination of the values of some axes, in one table", "sweep my-sweep.yaml --workers 2"),
    "paper": ("hold the simulator against published figures", "paper lightmamba"),
    "list": ("name the workloads, devices, mappings, papers, kernels and transforms", "list devices"),
    "show": ("print a device with its sources, a workload, or a paper", "show device vck190"),
    "import": (
        "a workload file from an ONNX file or a config.json",
        "import config.json --out my-model.yaml",
    ),
    "check": ("every fault of a workload, device, mapping, sweep or paper file", "check my-machine.yaml"),
    "diff": ("tell what changed between two results", "diff before.json after.json"),
    "measure": ("time this machine's own kernels, into a folder", "measure gpu --out my-gpu"),
    "calibrate": ("make a machine of what was measured", "calibrate my-gpu --out my-machine.yaml"),
    "rtl": ("Verilog, resources and cycles of a hardware unit; in a checkout", "rtl cycles vck190.scan"),
}
"""Command name to its meaning in one line and an example (without the leading `hwsim`)."""

_MODULES: Final = {"import": "import_model"}
"""Commands whose name no module can have."""

_HEAD: Final = """\
usage: hwsim COMMAND ...
       hwsim COMMAND --help
       hwsim --version

Bring a model, ask of a machine: how long, how much energy, and what limits it.

commands:
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing but exit codes leaves this function.

    Args:
        argv: the words after `hwsim`; by default those that the process was started with.
    """
    if argv is not None:
        return _guarded(list(argv))
    gc.set_threshold(*_GC_THRESHOLDS)
    code = _guarded(sys.argv[1:])
    gc.freeze()  # the process ends: nothing is left to collect, and looking for it would take a fifth of a short run
    return code


def _guarded(words: list[str]) -> int:
    """Run one command; whatever happens becomes a message and an exit code."""
    _ready_streams()
    try:
        code = _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say("hwsim: interrupted\n")
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        code = EXIT_BROKEN_PIPE
    except OSError as error:
        code = _report_output(error) if error.errno in _NO_ROOM and error.filename is None else _report(error)
    except Exception as error:
        code = _report(error)
    return code


def _run(words: list[str]) -> int:
    """Dispatch to the command that the first word names."""
    if not words:
        sys.stderr.write(_help())
        return EXIT_INPUT
    first, rest = words[0], words[1:]
    if first in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return EXIT_DONE
    if first in ("-V", "--version"):
        from hwsim import __version__  # noqa: PLC0415

        sys.stdout.write(f"hwsim {__version__}\n")
        return EXIT_DONE
    if first not in COMMANDS:
        raise _unknown(first)
    return _run_command(first, rest)


def _unknown(word: str) -> HwsimError:
    """The fault of a first word that is neither an option nor a command."""
    from hwsim.errors import HwsimError  # noqa: PLC0415

    if word.startswith("-"):
        return HwsimError.unknown_name("hwsim", "option", word, ["--help", "--version"])
    return HwsimError.unknown_name("hwsim", "command", word, COMMANDS)


def _run_command(name: str, words: list[str]) -> int:
    """Import the command's module, parse its words, run it."""
    from importlib import import_module  # noqa: PLC0415

    from hwsim.commands.arguments import Parser  # noqa: PLC0415

    module = import_module(f"hwsim.commands.{_MODULES.get(name, name)}")
    meaning, example = COMMANDS[name]
    parser = Parser(name, meaning, example)
    module.add_arguments(parser)
    arguments = parser.read(words)
    return EXIT_DONE if arguments is None else int(module.run(arguments))


def _help() -> str:
    """The text of `hwsim --help`."""
    width = max(map(len, COMMANDS)) + 2
    lines = []
    for name, (meaning, example) in COMMANDS.items():
        lines += [f"  {name:<{width}}{meaning}", f"  {'':<{width}}  hwsim {example}"]
    tail = "\nHWSIM_DEBUG=1 shows the full traceback of an internal error. NO_COLOR=1 switches colour off.\n"
    return _HEAD + "\n".join(lines) + "\n" + tail


def _report(error: Exception) -> int:
    """Tell the user's faults from our own."""
    from hwsim.errors import HwsimError  # noqa: PLC0415 - `hwsim --help` needs none

    return _report_faults(error) if isinstance(error, HwsimError) else _report_bug(error)


def _report_faults(error: HwsimError) -> int:
    """Print every fault of the user's input, a line each."""
    for fault in error.faults:
        _say(f"{fault}\n")
    return EXIT_INPUT


def _report_bug(error: Exception) -> int:
    """Ask for a report in one line, or show the traceback when HWSIM_DEBUG is set."""
    if os.environ.get("HWSIM_DEBUG", "") not in ("", "0"):
        import traceback  # noqa: PLC0415

        traceback.print_exception(error)
    text = " ".join(str(error).split())
    _say(
        f"hwsim: internal error, a bug in hwsim: {type(error).__name__}: {text[:200]}\n"
        "Please report it with the command that you typed; HWSIM_DEBUG=1 shows where it happened.\n"
    )
    return EXIT_BUG


def _report_output(error: OSError) -> int:
    """Say that stdout takes no more; what it took is not the whole answer."""
    _silence_stdout()
    _say(f"hwsim: cannot write to stdout: {error.strerror or error}\n")
    return EXIT_INPUT


def _say(text: str) -> None:
    """Write to stderr; where it takes nothing, the exit code alone speaks."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not fail too."""
    try:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - lives until the process ends
    except OSError:
        os._exit(EXIT_BROKEN_PIPE)


def _ready_streams() -> None:
    """Open what the shell closed, and print a question mark for what the terminal's encoding lacks."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - lives as long as we
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
