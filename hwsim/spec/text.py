"""YAML text to a positioned tree, bounded in bytes, nodes and depth.

PyYAML is used as a parser of events only: no Python object is ever built from a tag, duplicate keys and
tags are refused, and an alias shares its node, so that an alias bomb is counted but never expanded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import yaml

from hwsim.errors import Fault, HwsimError, Where
from hwsim.spec.build import TooLarge, TreeBuilder
from hwsim.spec.nodes import Document

__all__ = ["MAX_BYTES", "parse"]

MAX_BYTES: Final = 1 << 20
"""Bytes of the longest text: 1 MiB, some hundred times the longest shipped file."""

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LOADER: Final[Any] = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_REWORDED: Final = (
    ("mapping values are not allowed", "a second ':' in a plain value", "one 'key: value' per line, or quotes"),
    ("could not find expected ':'", "a line without ':'", "'key: value'"),
    ("did not find expected key", "text where a key should stand", "'key: value' in the column of the other keys"),
    ("did not find expected '-' indicator", "text inside a list that starts no item", "'- item'"),
    ("found unexpected end of stream", "a quote that is never closed", "the closing quote"),
    ("found undefined alias", "an alias without an anchor", "an anchor ('&name') before the alias"),
)


def parse(text: str | bytes, source: str = "<text>", positions: bool = True) -> Document:
    """Parse YAML text into a positioned tree; an ``extends`` key is left as it stands.

    Args:
        text: the text; bytes must be UTF-8, with or without a byte-order mark.
        source: what to call it in faults: a file name, or a word such as ``--set``.
        positions: whether faults name line and column too.

    Raises:
        HwsimError: the text is too long, not UTF-8, not YAML, or uses what hwsim refuses
            (duplicate keys, tags, several documents); each fault names its place.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(data) > MAX_BYTES:
        raise TooLarge.at(source, "a text of more than 1 MiB", f"at most {MAX_BYTES:,} bytes")

    def place(line: int, column: int) -> Where:
        return Where(source, line + 1, column + 1) if positions else Where(source)

    decoded = _decode(data, place) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    _refuse_control_characters(decoded, place)
    root = TreeBuilder(place).build(_events(decoded, place))
    if root is None:
        raise HwsimError.at(place(0, 0), "no value (the text is empty)", "'key: value' lines")
    return Document(source, hashlib.sha256(data).hexdigest(), root)


def _decode(data: bytes, place: Callable[[int, int], Where]) -> str:
    """UTF-8 bytes to text, without a byte-order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n")
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace"))
        found = "UTF-16 text" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else f"byte 0x{data[error.start]:02x}"
        raise HwsimError.at(place(line, column), f"{found}, which is not UTF-8", "UTF-8 text") from None


def _refuse_control_characters(text: str, place: Callable[[int, int], Where]) -> None:
    """Refuse characters that YAML text may not hold."""
    hit = _FORBIDDEN.search(text)
    if hit:
        line = text.count("\n", 0, hit.start())
        column = hit.start() - (text.rfind("\n", 0, hit.start()) + 1)
        raise HwsimError.at(
            place(line, column), f"control character U+{ord(hit[0]):04X}", "printable text, tabs and line ends"
        )


def _events(text: str, place: Callable[[int, int], Where]) -> Iterator[Any]:
    """The parser's events; its errors reworded as faults."""
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise HwsimError(_syntax_fault(error, text, place)) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the pure-Python scanner's chr() of a bad escape
        raise HwsimError.at(place(0, 0), f"not YAML: {error}", "YAML text") from None


def _syntax_fault(error: yaml.MarkedYAMLError, text: str, place: Callable[[int, int], Where]) -> Fault:
    """What is wrong with the text, in a reader's words."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    where = place(line, column)
    problem = error.problem or "a syntax error"
    lines = text.splitlines()
    at = lines[line][column : column + 1] if line < len(lines) else ""
    if "cannot start any token" in problem:
        if at == "\t":
            return Fault(where, "a tab in the indentation", "spaces")
        return Fault(where, f"{at!r} at the start of a value", "quotes around text that starts with it")
    for phrase, found, expected in _REWORDED:
        if phrase in problem:
            return Fault(where, found, expected)
    context = f" {error.context}" if error.context else ""
    return Fault(where, f"not YAML: {problem}{context}", "YAML text")
