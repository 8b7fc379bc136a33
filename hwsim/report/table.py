"""What a command says, as values: text, tables and lists; and their plain form, the same on every machine.

`plain` is what a pipe, a file and the tests get: fixed width, ASCII rules, no colour. `hwsim.commands.console` shows
the same blocks in colour on a terminal.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hwsim.units import format_si

__all__ = [
    "WIDTH",
    "Block",
    "Bullets",
    "Column",
    "Heading",
    "Lines",
    "Paragraph",
    "Table",
    "amount",
    "energy_of_one",
    "folded",
    "number",
    "per_cent",
    "plain",
    "printable",
    "ratio",
    "shortened",
]

WIDTH: Final = 100
"""Columns of the plain form."""

_GAP: Final = "  "
_PREFIXED: Final = {"bytes/s": "B/s", "bytes": "B", "Hz": "Hz"}
"""Units that are shown with a prefix, and how."""
_LONGEST_WORD: Final = 48
"""A longer word is broken where the table is too wide."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A title above what follows."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences, wrapped."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of phrases, each wrapped with a hanging indent."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines that each stand on their own, two spaces further in for each level below the first.

    Attributes:
        lines: level and text of each.
    """

    lines: tuple[tuple[int, str], ...]

    def shown(self) -> tuple[tuple[str, str], ...]:
        """Indentation and text of each line."""
        return tuple((_GAP * (level + 1), printable(text)) for level, text in self.lines)


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its head, and whether its cells stand left or right."""

    head: str
    align: Literal["left", "right"] = "left"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under columns. A column of which all cells are empty is not shown.

    Attributes:
        columns: the columns; the widest left-aligned one is wrapped when the table is too wide.
        rows: one text per column.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.columns)]
        if wrong:
            raise ValueError(f"a row of {len(wrong[0])} cells under {len(self.columns)} columns: {wrong[0]}")

    def shown(self) -> Table:
        """The table without its empty columns."""
        keep = [i for i in range(len(self.columns)) if any(row[i] for row in self.rows)]
        columns = tuple(self.columns[i] for i in keep)
        return Table(columns, tuple(tuple(printable(row[i]) for i in keep) for row in self.rows))


Block: TypeAlias = Heading | Paragraph | Bullets | Lines | Table


def number(value: float | None, digits: int = 4) -> str:
    """A number for a table: ``digits`` significant digits, thousands apart, nothing for None."""
    if value is None:
        return ""
    if math.isfinite(value) and float(value).is_integer():
        return f"{value:,.0f}"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def amount(value: float, unit: str) -> str:
    """A value with its unit: ``10.05 GB/s``, ``400 MHz``, ``2.85x`` for a ratio, a bare number for the unit 1."""
    if unit == "s" and value:
        return format_si(value, unit)
    if unit in ("", "1", "x"):
        return number(value, 6) + ("x" if unit == "x" else "")
    if unit in _PREFIXED and abs(value) >= 1e3:
        return format_si(value, _PREFIXED[unit])
    return f"{number(value, 6)} {unit}"


def folded(paths: Sequence[str]) -> str:
    """Dotted paths in short, neighbours under one parent in braces: ``a.b, c.{d, e}``."""
    groups = [
        (parent, [path.rpartition(".")[2] for path in group])
        for parent, group in itertools.groupby(paths, key=lambda path: path.rpartition(".")[0])
    ]
    words = [f"{{{', '.join(names)}}}" if len(names) > 1 else names[0] for _, names in groups]
    return ", ".join(f"{parent}.{text}" if parent else text for (parent, _), text in zip(groups, words, strict=True))


def energy_of_one(per_joule: float | None) -> str:
    """Energy of one token or image, ``2.193 J``, from how many a joule yields; nothing for None."""
    return format_si(1 / per_joule, "J") if per_joule else ""


def per_cent(share: float) -> str:
    """A share as ``97.1 %``; what would round to nothing but is not is ``<0.1 %``."""
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def ratio(value: float) -> str:
    """A ratio as ``2.85x``."""
    return f"{value:.3g}x" if value < 999.5 else f"{value:,.0f}x"


def printable(text: str) -> str:
    """``text`` on one line without control characters, which would let a name move the cursor or fake a line."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


def shortened(name: str, most: int) -> str:
    """A name on one line of at most ``most`` letters, its end left out where it is longer."""
    name = printable(name)
    return name if len(name) <= most else name[: max(most - 3, 1)] + "..."


def plain(blocks: Sequence[Block], width: int = WIDTH) -> str:
    """The blocks as text: at most ``width`` columns where words allow, one empty line before each heading."""
    parts: list[str] = []
    for block in blocks:
        lines = _lines(block, width)
        if isinstance(block, Heading) and parts:
            parts.append("")
        parts += lines
    return "\n".join(parts) + "\n" if parts else ""


def _lines(block: Block, width: int) -> list[str]:
    """The lines of one block."""
    if isinstance(block, Heading):
        return [printable(block.text)]
    if isinstance(block, Paragraph):
        return _wrap(printable(block.text), width)
    if isinstance(block, Bullets):
        return [line for item in block.items for line in _wrap("- " + printable(item), width, "  ", "    ")]
    if isinstance(block, Lines):
        return [line for indent, text in block.shown() for line in _wrap(text, width, indent, indent + _GAP * 2)]
    return _table_lines(block.shown(), width)


def _table_lines(table: Table, width: int) -> list[str]:
    """A table's lines: heads, a rule, rows."""
    if not table.columns:
        return []
    widths = _widths(table, width - len(_GAP))
    heads = [column.head for column in table.columns]
    rule = ["-" * each for each in widths]
    lines = [*_row_lines(heads, table, widths), *_row_lines(rule, table, widths)]
    for row in table.rows:
        lines += _row_lines(row, table, widths)
    return lines


def _widths(table: Table, width: int) -> list[int]:
    """Width of each column: as wide as its widest cell, the widest left-aligned ones shortened until all fit."""
    widths = [max(len(cell) for cell in (column.head, *cells)) for column, cells in _by_column(table)]
    floors = [min(have, _floor(column, cells)) for have, (column, cells) in zip(widths, _by_column(table), strict=True)]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        slack = [have - least for have, least in zip(widths, floors, strict=True)]
        if max(slack) <= 0:
            break
        widest = max((i for i in range(len(widths)) if slack[i] > 0), key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def _floor(column: Column, cells: Sequence[str]) -> int:
    """The least width of a column: its longest word, so that none is broken; all of a column of numbers."""
    if column.align == "right":
        return max(len(cell) for cell in (column.head, *cells))
    return min(max(len(word) for cell in (column.head, *cells) for word in cell.split() or [""]), _LONGEST_WORD)


def _by_column(table: Table) -> list[tuple[Column, list[str]]]:
    """Each column with its cells."""
    return [(column, [row[i] for row in table.rows]) for i, column in enumerate(table.columns)]


def _row_lines(cells: Sequence[str], table: Table, widths: Sequence[int]) -> list[str]:
    """One row, over as many lines as its longest cell needs."""
    wrapped = [_wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for index in range(max(map(len, wrapped))):
        texts = [lines_of[index] if index < len(lines_of) else "" for lines_of in wrapped]
        placed = [
            text.rjust(width) if column.align == "right" else text.ljust(width)
            for text, width, column in zip(texts, widths, table.columns, strict=True)
        ]
        lines.append((_GAP + _GAP.join(placed)).rstrip())
    return lines


def _parts(word: str, width: int) -> Iterator[str]:
    """A word in parts that fit: dotted names behind a dot."""
    while len(word) > width and (cut := word.rfind(".", 0, width) + 1):
        yield word[:cut]
        word = word[cut:]
    yield word


def _wrap(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """``text`` in lines of at most ``width`` columns; a longer word is broken, behind a dot if it has one."""
    width = max(width, 8)
    text = " ".join(part for word in text.split(" ") for part in _parts(word, width - len(rest)))
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
