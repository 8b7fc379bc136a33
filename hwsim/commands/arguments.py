"""The parser that all commands share: argparse, with faults that name the nearest valid option or choice."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from hwsim.errors import HwsimError, did_you_mean

__all__ = [
    "Parser",
    "choice",
    "one_device",
    "path",
    "repeat_command",
    "whole_number",
]


_WHERE_TO: Final = ("--out", "--json", "--trace")
"""Options that say where an answer goes, and have no say in it."""


class Parser(argparse.ArgumentParser):
    """An argument parser for one command that raises :class:`HwsimError` instead of exiting.

    Args:
        command: the command's name.
        meaning: what it does, in one line.
        example: a command line that works, without the leading `hwsim`.
    """

    def __init__(self, command: str, meaning: str, example: str) -> None:
        self.option_names: list[str] = []
        super().__init__(
            prog=f"hwsim {command}",
            description=meaning[0].upper() + meaning[1:] + ".",
            epilog=f"example: hwsim {example}",
            allow_abbrev=False,
            add_help=False,
        )
        self.add_argument("-h", "--help", action="store_true", help="show this text")

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """Add an argument as argparse does, and remember the names of options."""
        self.option_names += [name for name in names if isinstance(name, str) and name.startswith("--")]
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse complains of."""
        option, _, wrong = message.removeprefix("argument ").partition(": ")
        if wrong == "expected one argument":
            message = f"{option} without a value"
        raise HwsimError.at(self.prog, message, f"what `{self.prog} --help` shows")

    def read(self, words: Sequence[str]) -> argparse.Namespace | None:
        """Parse ``words``; positional words may stand anywhere among the options. None when help was asked for.

        Raises:
            HwsimError: an unknown option, a missing value, a wrong choice.
        """
        if _asks_help(words):
            sys.stdout.write(self.format_help())
            return None
        arguments, rest = self.parse_known_intermixed_args(words)
        if rest:
            self._refuse(rest[0])
        arguments.repeat = repeat_command(self.prog, words)
        return arguments

    def _refuse(self, word: str) -> NoReturn:
        """Raise for a word that belongs to nothing."""
        if word.startswith("-"):
            name = word.split("=", 1)[0]
            suggestion = did_you_mean(name, self.option_names)
            raise HwsimError.at(self.prog, f"unknown option {name!r}", _listed(self.option_names), suggestion)
        raise HwsimError.at(self.prog, f"one word too many, {word!r}", f"what `{self.prog} --help` shows")

    # --- options that several commands have, each with one meaning ---------------------------------------------------

    def add_device(self, *, several: bool = False, required: bool = True) -> None:
        """`--device`, and `--set` to change constants of devices and workloads for this run."""
        meaning = "a shipped machine (hwsim list devices) or a file" + ("; give it once per machine" if several else "")
        self.add_argument("--device", action="append", default=[], required=required, metavar="D", help=meaning)

    def add_set(self) -> None:
        """`--set device.PATH=VALUE` and `--set workload.PATH=VALUE`."""
        self.add_argument(
            "--set",
            dest="overrides",
            action="append",
            default=[],
            metavar="PATH=VALUE",
            help="change one value for this run: device.memory.bandwidth='819.2 GB/s', workload.run.batch=4",
        )

    def add_question(self) -> None:
        """`--transform`, `--phase`, `--batch`, `--context`, `--new-tokens`: what is asked of the workload."""
        transform = "change the model first (hwsim list transforms): sparsity:weights=0.5; may be given several times"
        self.add_argument(
            "--transform", dest="transforms", action="append", default=[], metavar="NAME:k=v,…", help=transform
        )
        phases = ("decode", "prefill", "inference", "train")
        self.add_argument(
            "--phase", type=choice("--phase", "phase", phases), metavar="|".join(phases), help="part of the work"
        )
        self.add_argument("--batch", type=whole_number("--batch", 1), metavar="N", help="sequences or images at once")
        context = "tokens before the new ones"
        self.add_argument("--context", type=whole_number("--context", 0), metavar="N", help=context)
        self.add_argument(
            "--new-tokens", type=whole_number("--new-tokens", 1), metavar="N", help="tokens to generate per sequence"
        )

    def add_json(self) -> None:
        """`--json` and `--quiet`."""
        self.add_argument("--json", metavar="FILE|-", help="write one JSON object to a file, or to stdout with -")
        self.add_quiet()

    def add_quiet(self) -> None:
        """`--quiet`."""
        self.add_argument("--quiet", action="store_true", help="print nothing but what was asked for")


def repeat_command(program: str, words: Sequence[str]) -> str:
    """The command line that gives the same answer again, quoted for a shell, without where it was written to."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _WHERE_TO:
            next(rest, None)
        elif word != "--quiet" and not word.startswith(tuple(f"{name}=" for name in _WHERE_TO)):
            kept.append(word)
    return f"{program} {shlex.join(kept)}".rstrip()


def choice(where: str, what: str, valid: Iterable[str]) -> Callable[[str], str]:
    """A reader of a word that must be one of ``valid``; ``what`` says what it names. The nearest is suggested."""
    names = tuple(valid)

    def read(word: str) -> str:
        if word not in names:
            raise HwsimError.at(where, f"unknown {what} {word!r}", _listed(names), did_you_mean(word, names))
        return word

    return read


def whole_number(option: str, least: int, most: int = 10**9) -> Callable[[str], int]:
    """A reader of a whole number from ``least`` to ``most``."""

    def read(word: str) -> int:
        try:
            value = int(word)
        except ValueError:
            raise HwsimError.at(option, f"{word!r}", f"a whole number, at least {least}") from None
        if not least <= value <= most:
            raise HwsimError.at(option, f"{value}", f"a whole number from {least} to {most:,}")
        return value

    return read


def path(option: str) -> Callable[[str], Path]:
    """A reader of a file name; an empty one is refused."""

    def read(word: str) -> Path:
        if not word or "\0" in word:
            raise HwsimError.at(option, f"{word!r}", "the name of a file or folder")
        return Path(word)

    return read


def one_device(names: Sequence[str], command: str) -> str:
    """The only device of ``names``."""
    if len(names) != 1:
        found = f"{len(names)} devices ({', '.join(names)})"
        raise HwsimError.at("--device", found, f"one for {command}; hwsim compare takes several")
    return names[0]


def _asks_help(words: Sequence[str]) -> bool:
    """Whether `-h` or `--help` stands among the words (before a `--`)."""
    before = words[: words.index("--")] if "--" in words else words
    return "-h" in before or "--help" in before


def _listed(names: Sequence[str]) -> str:
    return "one of " + ", ".join(names)
