"""Parser events to nodes, with every bound checked as the tree grows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import yaml

from hwsim.errors import Fault, HwsimError, Where
from hwsim.spec.nodes import Entry, MappingNode, Node, ScalarNode, SequenceNode
from hwsim.spec.scalars import resolve
from hwsim.spec.words import quoted

__all__ = ["MAX_DEPTH", "MAX_FAULTS", "MAX_NODES", "TooLarge", "TreeBuilder"]

MAX_NODES: Final = 150_000
"""Nodes of the largest tree, each alias counted as often as it is used; long text counts as several. As many as the
longest text of short lines has: a list of 10,000 operators."""
MAX_DEPTH: Final = 64
"""Lists and mappings inside each other."""
MAX_FAULTS: Final = 100
"""Faults reported for one text."""

_CHARACTERS_PER_NODE: Final = 64
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class TooLarge(HwsimError):  # noqa: N818 - reads as a verdict where it is raised
    """A text, or the tree that it holds, is larger than any file of hwsim."""


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still open; ``entries`` is None for a list."""

    where: Where
    anchor: str | None
    entries: dict[str, Entry] | None
    items: list[Node] = field(default_factory=list)
    key: tuple[str, Where] | None = None
    nodes: int = 1
    height: int = 1


class TreeBuilder:
    """Builds one tree from the events of one text.

    Args:
        place: turns the parser's line and column (from 0) into a place.
    """

    def __init__(self, place: Callable[[int, int], Where]) -> None:
        self._place = place
        self._open: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int, int] | None] = {}
        self._root: Node | None = None
        self._nodes = 0
        self._faults: list[Fault] = []

    def build(self, events: Iterable[yaml.Event]) -> Node | None:
        """The root node, or None for a text without a document.

        Raises:
            HwsimError: a bound is passed, or the text uses what hwsim refuses.
        """
        try:
            for event in events:
                self._take(event)
                if len(self._faults) >= MAX_FAULTS:
                    break
        except HwsimError as error:
            raise type(error)(*self._faults, *error.faults) from None
        if self._faults:
            raise HwsimError(*self._faults)
        return self._root

    def _take(self, event: yaml.Event) -> None:
        """Add one event to the tree."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
            raise HwsimError.at(self._where(event), "a second document", "one document per file")

    def _where(self, event: yaml.Event) -> Where:
        mark = event.start_mark
        return self._place(mark.line, mark.column) if mark else self._place(0, 0)

    def _refuse_tag(self, tag: str | None, where: Where) -> None:
        if tag not in (None, "!"):
            raise HwsimError.at(where, f"the tag {quoted(tag)}", "plain values without tags")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        where = self._where(event)
        self._refuse_tag(event.tag, where)
        text: str = event.value
        if _SURROGATE.search(text):
            raise HwsimError.at(where, "half of a surrogate pair", "whole Unicode characters")
        is_key = self._awaits_key()
        try:
            value = resolve(text) if event.implicit[0] and not is_key else text
        except ValueError as error:
            found, _, expected = str(error).partition("; expected ")
            self._faults.append(Fault(where, found, expected))
            value = text
        self._finish(ScalarNode(value, text, where), event.anchor, 1 + len(text) // _CHARACTERS_PER_NODE, 0)

    def _alias(self, event: yaml.AliasEvent) -> None:
        where = self._where(event)
        name = event.anchor or ""
        if name not in self._anchors:
            raise HwsimError.at(
                where, f"the alias {quoted('*' + name)} without an anchor", f"{quoted('&' + name)} before it"
            )
        anchored = self._anchors[name]
        if anchored is None:
            raise HwsimError.at(where, f"the alias {quoted('*' + name)} inside its own anchor", "a tree without loops")
        node, nodes, height = anchored
        self._finish(node, None, nodes, height, where)

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        where = self._where(event)
        self._refuse_tag(event.tag, where)
        if self._awaits_key():
            raise HwsimError.at(where, "a list or mapping as a key", "a name")
        self._check_depth(1, where)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._count(1, where)
        entries: dict[str, Entry] | None = {} if isinstance(event, yaml.MappingStartEvent) else None
        self._open.append(_Frame(where, event.anchor, entries))

    def _end(self) -> None:
        frame = self._open.pop()
        node: Node
        if frame.entries is None:
            node = SequenceNode(tuple(frame.items), frame.where)
        else:
            node = MappingNode(frame.entries, frame.where)
        self._nodes -= frame.nodes  # counted again, as a whole, by _finish
        self._finish(node, frame.anchor, frame.nodes, frame.height)

    def _finish(self, node: Node, anchor: str | None, nodes: int, height: int, where: Where | None = None) -> None:
        """Count a complete node and hand it to the list or mapping that it belongs to."""
        at = where or node.where
        self._count(nodes, at)
        self._check_depth(height, at)
        if anchor is not None:
            self._anchors[anchor] = (node, nodes, height)
        if not self._open:
            self._root = node
            return
        frame = self._open[-1]
        frame.nodes += nodes
        frame.height = max(frame.height, height + 1)
        if frame.entries is None:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = self._key(frame.entries, node, at)
        else:
            key, key_where = frame.key
            frame.entries.setdefault(key, Entry(key_where, node))
            frame.key = None

    def _key(self, entries: dict[str, Entry], node: Node, where: Where) -> tuple[str, Where]:
        if not isinstance(node, ScalarNode):
            raise HwsimError.at(where, "a list or mapping as a key", "a name")
        if not node.text:
            self._faults.append(Fault(where, "an empty key", "a name before ':'"))
        elif node.text == "<<":
            self._faults.append(Fault(where, "the merge key '<<'", "the keys themselves, or 'extends: FILE'"))
        elif node.text in entries:
            first = entries[node.text].key_where
            self._faults.append(Fault(where, f"key {quoted(node.text)} again", f"each key once (first at {first})"))
        return node.text, where

    def _awaits_key(self) -> bool:
        return bool(self._open) and self._open[-1].entries is not None and self._open[-1].key is None

    def _count(self, nodes: int, where: Where) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise TooLarge.at(
                where, "a tree that is too large, with its aliases expanded", f"at most {MAX_NODES:,} nodes"
            )

    def _check_depth(self, height: int, where: Where) -> None:
        if len(self._open) + height > MAX_DEPTH:
            raise HwsimError.at(where, "lists or mappings nested too deeply", f"at most {MAX_DEPTH} levels")
