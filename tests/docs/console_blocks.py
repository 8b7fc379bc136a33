"""Pages as programs: what a page shows as typed is run, and what it shows as printed is compared with what came out.

A page holds fenced blocks. ``console`` blocks hold commands after ``$`` and what they print; a line ``...`` stands for
any lines left out. ``yaml NAME`` and ``json NAME`` blocks are files that the reader saves under NAME. ``calc`` blocks
hold arithmetic, ``expression = result``, a line each. All of a page's commands run in one folder, in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["ELISION", "Block", "Command", "blocks", "commands", "matches", "prose", "renewed", "replaced"]

ELISION = "..."
_FENCE = re.compile(r"^```(\w*) ?(.*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what stands behind it, its lines, and the index of the first of them."""

    language: str
    title: str
    lines: tuple[str, ...]
    start: int


@dataclass(frozen=True)
class Command:
    """A line that the reader types, and the lines that the page shows below it."""

    typed: str
    shown: tuple[str, ...]


@dataclass
class _Open:
    language: str
    title: str
    start: int
    lines: list[str] = field(default_factory=list)


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    block: _Open | None = None
    for index, line in enumerate(page.splitlines()):
        fence = _FENCE.match(line)
        if block is None and fence:
            block = _Open(fence[1], fence[2], index + 1)
        elif block is not None and line == "```":
            yield Block(block.language, block.title, tuple(block.lines), block.start)
            block = None
        elif block is not None:
            block.lines.append(line)
    if block is not None:
        raise ValueError(f"the block that begins at line {block.start} has no end")


def prose(page: str) -> str:
    """A page without its fenced blocks, code spans, targets of links, and numbers of papers and of Python versions."""
    text = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\b(arXiv|Python)\s[\d.]*\d", r"\1", text)
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "", text))


def commands(block: Block) -> list[Command]:
    """The commands of a ``console`` block; blank lines between an output and the next command count for neither."""
    found: list[tuple[str, list[str]]] = []
    for line in block.lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
        elif line:
            raise ValueError(f"line {block.start + 1}: output before the first command")
    return [Command(typed, tuple(_stripped(shown))) for typed, shown in found]


def _stripped(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _segments(shown: Sequence[str]) -> list[list[str]]:
    """Stretches between elisions; an empty first or last one when the page begins or ends with an elision."""
    parts: list[list[str]] = [[]]
    for line in shown:
        if line == ELISION:
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def matches(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether the lines printed are those shown, an elision standing for any lines."""
    parts, printed = _segments(shown), list(printed)
    if len(parts) == 1:
        return parts[0] == printed
    first, *middle, last = parts
    end = len(printed) - len(last)
    if len(first) > end or printed[: len(first)] != first or printed[end:] != last:
        return False
    at = len(first)
    for part in middle:
        found = next((i for i in range(at, end - len(part) + 1) if printed[i : i + len(part)] == part), None)
        if found is None:
            return False
        at = found + len(part)
    return True


def _label(line: str) -> str:
    """The words of a line before its first figure; a digit within a word (`trtllm-1.gemm`) is none."""
    return " ".join(re.split(r"(?<![\w-])-?\d", line, maxsplit=1)[0].split())


def renewed(shown: Sequence[str], printed: Sequence[str]) -> list[str]:
    """The lines to show from now on: as many per stretch as before, each found by the words that it begins with.

    Raises:
        ValueError: a stretch begins with a line that is printed no more.
    """
    parts, out, at = _segments(shown), [], 0
    if len(parts) == 1:
        return list(printed)
    for index, part in enumerate(parts):
        if index:
            out.append(ELISION)
            if index == len(parts) - 1:
                at = len(printed) - len(part)
            elif part:
                at = _find(part[0], printed, at)
        out += printed[at : at + len(part)]
        at += len(part)
    return out


def _find(line: str, printed: Sequence[str], at: int) -> int:
    for index in range(at, len(printed)):
        if _label(printed[index]) == _label(line):
            return index
    raise ValueError(f"no line printed begins like {line!r}")


def replaced(page: str, block: Block, lines: Sequence[str]) -> str:
    """The page with other lines in a block."""
    rows = page.splitlines()
    rows[block.start : block.start + len(block.lines)] = lines
    return "\n".join(rows) + "\n"
