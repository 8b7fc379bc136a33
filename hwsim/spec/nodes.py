"""The positioned tree: YAML values that remember the file, line and column they came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from hwsim.errors import Where

__all__ = ["Document", "Entry", "MappingNode", "Node", "ScalarNode", "ScalarValue", "SequenceNode", "plain"]

ScalarValue: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value.

    Attributes:
        value: the value as YAML 1.2 reads it.
        text: what the user wrote, without quotes.
        where: its place.
    """

    value: ScalarValue
    text: str
    where: Where


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list of nodes in order."""

    items: tuple[Node, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a mapping, with the place of its key."""

    key_where: Where
    node: Node


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Named values in the order of the file. Treat ``entries`` as read-only."""

    entries: dict[str, Entry]
    where: Where

    def get(self, key: str) -> Node | None:
        """The node under ``key``, or None."""
        entry = self.entries.get(key)
        return entry.node if entry else None


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML text as a positioned tree.

    Attributes:
        source: the file name as the user gave it, or a word for text that is in no file.
        sha256: hexadecimal SHA-256 of the file's bytes.
        root: the tree, after ``extends`` and ``--set``.
        parents: source and sha256 of each file that this one extends, nearest first.
    """

    source: str
    sha256: str
    root: Node
    parents: tuple[tuple[str, str], ...] = ()

    @property
    def inputs(self) -> dict[str, str]:
        """The SHA-256 of every file that the tree was made of, by source."""
        return {self.source: self.sha256, **dict(self.parents)}


def plain(node: Node) -> Any:
    """The tree as plain dicts, lists and scalars, places dropped."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    return {key: plain(entry.node) for key, entry in node.entries.items()}


def scalars(node: Node, path: str = "") -> Iterator[tuple[str, ScalarNode]]:
    """Every scalar below ``node`` with its dotted path."""
    if isinstance(node, ScalarNode):
        yield path, node
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            yield from scalars(item, f"{path}[{index}]")
    else:
        for key, entry in node.entries.items():
            yield from scalars(entry.node, join(path, key))


def join(path: str, key: str | int) -> str:
    """``path`` extended by a key (dotted) or by a list index (in brackets)."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key
