"""Values and files that nobody means, as hypothesis strategies: scalars at their extremes, bent files, bombs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ROOT / "hwsim/devices/catalog"

EXTREMES = (
    "0",
    "-1",
    "1",
    "2",
    "1e12",
    "1000000000000",
    "1e-300",
    "1e308",
    "1e400",
    "-1e308",
    ".inf",
    "-.inf",
    ".nan",
    "nan",
    "inf",
    "9" * 25,
    "9" * 5000,
    "0x10",
    "0o7",
    "1_000",
    "1e",
    "+",
    "-",
    "~",
    "null",
    "true",
    "no",
    "''",
    '""',
    "[]",
    "{}",
    "[1, 2]",
    "{value: 1}",
    "0.5",
    "-0.0",
    "1.0",
    "١٢",
    "½",
    "é",
    "日本",
    "\u202e",
    "a b",
    "*a",
    "&a 1",
    "!!int 1",
    "!x",
    "|",
    ">",
    "#",
    "%",
    "@",
    "`",
    "? ",
    "- -",
    ": :",
    "1 TB/s",
    "0 GB/s",
    "-3 GB/s",
    "1 parsec",
    "1 byte",
    "int4",
    "fp64",
    "../../etc/passwd",
    "/",
    "/dev/null",
    "/dev/full",
    ".",
    "..",
    "",
    " ",
    "\t",
    "x" * 3000,
)
"""Scalars that nobody means."""

SOUP = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
VALUES = st.one_of(st.sampled_from(EXTREMES), st.integers(-(10**20), 10**20).map(str), st.floats().map(repr), SOUP)


@cache
def shipped_text(kind: str, name: str) -> str:
    """The text of a shipped file."""
    folder = CATALOG if kind == "devices" else ROOT / kind
    return (folder / f"{name}.yaml").read_text(encoding="utf-8")


def _new_value(draw: st.DrawFn, line: str) -> list[str]:
    return [line[: line.index(":") + 1] + " " + draw(VALUES)] if ":" in line else [line]


def _new_quantity(draw: st.DrawFn, line: str) -> list[str]:
    head, found, tail = line.partition("value:")
    return [f"{head}value: {draw(VALUES)}{tail[tail.find(',') :] if ',' in tail else ''}"] if found else [line]


def _new_key(draw: st.DrawFn, line: str) -> list[str]:
    return [draw(SOUP) + line[line.find(":") :]] if ":" in line else [line]


def _new_cell(draw: st.DrawFn, line: str) -> list[str]:
    cells = line.split(",")
    cells[draw(st.integers(0, len(cells) - 1))] = draw(VALUES)
    return [",".join(cells)]


BENDS = (
    _new_value,
    _new_quantity,
    _new_key,
    _new_cell,
    lambda draw, line: [],
    lambda draw, line: [line, line],
    lambda draw, line: [draw(st.sampled_from((" ", "    ", "\t", "- "))) + line],
    lambda draw, line: [draw(st.one_of(SOUP, VALUES)), line],
)
"""What may become of a line."""


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def _odd_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at:]


SPOILS = (
    *(lambda draw, data: data,) * 6,
    lambda draw, data: b"\xef\xbb\xbf" + data,
    _cut,
    _odd_bytes,
    lambda draw, data: data + b"\0",
    lambda draw, data: data.decode("utf-8", "replace").encode("utf-16"),
    lambda draw, data: b"",
    lambda draw, data: draw(st.binary(max_size=200)),
    lambda draw, data: data + b"# " + b"x" * draw(st.sampled_from((1000, 2_000_000))) + b"\n",
)
"""What may become of a file's bytes: a mark, a cut, odd bytes, another encoding, nothing, anything, too much."""


@st.composite
def bent(draw: st.DrawFn, text: str) -> bytes:
    """A text with some lines changed, lost, doubled or moved, or turned into something else as bytes."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(0, 3))):
        if lines:
            at = draw(st.integers(0, len(lines) - 1))
            lines[at : at + 1] = draw(st.sampled_from(BENDS))(draw, lines[at])
    data = draw(st.sampled_from(("\n", "\n", "\r\n", "\r"))).join([*lines, ""]).encode("utf-8", "surrogatepass")
    return draw(st.sampled_from(SPOILS))(draw, data)


BOMBS = (
    "a: &a [x]\nb: &b ["
    + "*a," * 30
    + "]\nc: &c ["
    + "*b," * 30
    + "]\nd: &d ["
    + "*c," * 30
    + "]\ne: ["
    + "*d," * 30
    + "]\n",
    "family: gpu\n" + "a: &a {b: *a}\n",
    "[" * 5000,
    "{a: " * 3000 + "1" + "}" * 3000,
    "".join(" " * depth + "a:\n" for depth in range(900)),
    "- " * 2000 + "1\n",
    "a: 1\na: 2\n",
    "<<: *a\n",
    "--- 1\n--- 2\n",
    "%YAML 9.9\n---\na: 1\n",
    "extends: mine.yaml\n",
    "carries: mine.yaml\n",
    "carries: gpu/ampere.yaml\nextends: l4\n",
    "extends: [a, b]\n",
    "extends: vck190\n",
    "extends: /dev/zero\n",
    "family: array\nextends: mamba\n",
    "? [a, b]\n: 1\n",
    "1: 2\n~: 3\ntrue: 4\n",
    "a: |\n" + "  x\n" * 50000,
    "name: " + "9" * 100000 + "\n",
)
"""YAML that is meant to hurt."""


def file_of(kind: str, names: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """A bent shipped file of a kind, or a bomb."""
    shipped = st.sampled_from(names).flatmap(lambda name: bent(shipped_text(kind, name)))
    return st.one_of(shipped, shipped, shipped, shipped, st.sampled_from(BOMBS).map(str.encode))
