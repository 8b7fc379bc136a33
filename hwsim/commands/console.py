"""The only place that writes to the terminal: answers to stdout, messages to stderr."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from hwsim.report.table import Block, Bullets, Heading, Lines, Paragraph, Table, plain, printable

__all__ = ["COMPILE_S", "Console"]

T = TypeVar("T")

COMPILE_S: Final = {"simulate": 14, "search": 30, "pipelined_cycles": 24}
"""Seconds of one core that compiling takes, as measured on two shared ones, by kernel; for the message only."""
FEW_S: Final = 3
"""The same of every other kernel."""


class Console:
    """Says what a command has to say.

    Args:
        json_target: the value of `--json`: None, a file, or `-`.
        quiet: whether messages and tables are kept back.
    """

    def __init__(self, json_target: str | None = None, quiet: bool = False) -> None:
        self.json_target = json_target
        self.quiet = quiet

    @property
    def shows_text(self) -> bool:
        """Whether tables go to stdout: not when it carries JSON, nor when quiet."""
        return self.json_target != "-" and not self.quiet

    def show(self, blocks: Sequence[Block], *, after: bool = False) -> None:
        """Print the blocks to stdout: in colour on a terminal, plain otherwise.

        Args:
            blocks: what to print.
            after: whether they follow others, with an empty line between.
        """
        if not self.shows_text:
            return
        if after:
            sys.stdout.write("\n")
            sys.stdout.flush()
        if _is_terminal(sys.stdout):
            _show_rich(blocks)
        else:
            sys.stdout.write(plain(blocks))

    @contextmanager
    def progress(self, words: str, total: int) -> Iterator[Callable[[Iterable[T]], Iterator[T]]]:
        """A bar on stderr while items are gone through, on a terminal and after a second only.

        Yields:
            A function that goes through the items and moves the bar by one for each; plain iteration when quiet, or
            where no person reads stderr.
        """
        if self.quiet or not _is_terminal(sys.stderr):
            yield iter
            return
        from hwsim.commands.progress import bar  # noqa: PLC0415 - brings in rich

        with bar(words, total) as step:
            yield step

    @contextmanager
    def share(self, words: str) -> Iterator[Callable[[float], None]]:
        """The same bar for work that says which share of it is done; one bar for all parts that begin anew at 0.

        Yields:
            A function that takes the share, 0 to 1; it does nothing where `progress` would show nothing.
        """
        if self.quiet or not _is_terminal(sys.stderr):
            yield lambda share: None
            return
        from hwsim.commands.progress import share_bar  # noqa: PLC0415 - brings in rich

        with share_bar(words) as tell:
            yield tell

    def note(self, text: str) -> None:
        """Print a message to stderr, unless quiet."""
        if not self.quiet:
            with suppress(OSError):  # a note that nobody can read stops no answer
                sys.stderr.write(f"hwsim: {printable(text)}\n")
                sys.stderr.flush()

    def announce_compilation(self) -> None:
        """Have a message printed just before a kernel is compiled, which only a first run does."""
        from hwsim.kernels.jit import before_compile  # noqa: PLC0415

        def say(kernel: str) -> None:
            seconds = COMPILE_S.get(kernel, FEW_S)
            self.note(f"compiling the kernels: {kernel} (first run only, about {seconds} s of one core)")

        before_compile(say)

    def answer(self, value: Mapping[str, Any], blocks: Sequence[Block]) -> None:
        """Give the answer in the form asked for: JSON to stdout or a file, and tables where stdout is free."""
        self.show(blocks)
        self.write_json(value)

    def write_json(self, value: Mapping[str, Any]) -> None:
        """Write ``value`` where `--json` says, if it does."""
        from hwsim.result import to_json  # noqa: PLC0415

        if self.json_target is None:
            return
        text = to_json(_without_infinities(value))
        if self.json_target == "-":
            sys.stdout.write(text)
        else:
            from hwsim.report.files import write_text  # noqa: PLC0415

            write_text(Path(self.json_target), text)


def _without_infinities(value: Any) -> Any:
    """Infinity (an ideal constant) as the text that a user writes for it: JSON has none."""
    if isinstance(value, Mapping):
        return {name: _without_infinities(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    return value


def _is_terminal(stream: Any) -> bool:
    """Whether a person reads the stream (TERM=dumb counts as a pipe)."""
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def _show_rich(blocks: Sequence[Block]) -> None:
    """Print the blocks with rich, which honours NO_COLOR and the terminal's width."""
    from rich.console import Console as Terminal  # noqa: PLC0415
    from rich.padding import Padding  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    terminal = Terminal(highlight=False)
    for index, block in enumerate(blocks):
        match block:
            case Heading(text):
                terminal.print(Text(("\n" if index else "") + printable(text), style="bold"))
            case Paragraph(text):
                terminal.print(Text(printable(text)))
            case Bullets(items):
                for item in items:
                    terminal.print(Padding(Text("- " + printable(item)), (0, 0, 0, 2)))
            case Lines():
                for indent, text in block.shown():
                    terminal.print(Padding(Text(text), (0, 0, 0, len(indent))))
            case Table():
                terminal.print(Padding(_rich_table(block.shown()), (0, 0, 0, 2)))


def _rich_table(table: Table) -> Any:
    """A rich table with the same cells."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold cyan")
    for column in table.columns:
        drawn.add_column(Text(column.head), justify=column.align, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn
