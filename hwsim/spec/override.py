"""``--set PATH=VALUE``: one value laid over a document, before it is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, NoReturn

from hwsim.errors import HwsimError, Where, did_you_mean
from hwsim.spec.fields import Unit
from hwsim.spec.nodes import Document, Entry, MappingNode, Node, ScalarNode, SequenceNode, join
from hwsim.spec.quantity import SOURCE_OF_SET, Quantity
from hwsim.spec.shape import Hint, alternatives, below, known_keys, mark_of, paths
from hwsim.spec.shorthand import is_quantity, split_number, text_node, with_value
from hwsim.spec.text import parse
from hwsim.spec.words import listed, quoted

__all__ = ["append", "override"]

_PATH: Final = re.compile(r"[^.\[\]]+(?:\[[0-9]{1,9}\]|\.[^.\[\]]+)*")
_STEP: Final = re.compile(r"[^.\[\]]+")
_INDEX: Final = re.compile(r"[0-9]{1,9}")
_MAX_PATHS: Final = 2000


def override(document: Document, path: str, text: str, where: str, schema: type | None = None) -> Document:
    """Lay one value over a document.

    A number over a quantity keeps the quantity's unit, unless it names its own (``819.2 GB/s``), and turns its
    kind to ``set``. A list or mapping replaces what stood there.

    Args:
        document: the document; it is not changed.
        path: keys with dots, list indices from 0 in brackets or as keys: ``tree.parents[2]``, ``a.0``.
        text: the value as YAML flow: ``[0,0,1]``, ``819.2e9``, ``819.2 GB/s``.
        where: what to call this setting in faults, as ``--set tree.parents[2]=1``.
        schema: the dataclass that the document will be loaded as; with it, fields that the file leaves out
            can be set too.

    Raises:
        HwsimError: no such path (the nearest one is suggested), or the text is no YAML value.
    """
    at = Where(where)
    if not _PATH.fullmatch(path):
        raise HwsimError.at(at, f"the path {quoted(path)}", "keys with dots between them, as tree.parents[2]")
    if not text.strip():
        raise HwsimError.at(at, f"no value for {path}", "a YAML value, as 4, [0, 0, 1] or 819.2 GB/s")
    value = parse(text, where, positions=False).root
    setting = _Setting(document.root, path, value, at, schema)
    hints = () if schema is None else (schema,)
    return replace(document, root=setting.put(document.root, tuple(_STEP.findall(path)), hints, ""))


def append(document: Document, key: str, text: str, where: str) -> Document:
    """Add one item to a list at the top of a document; the list is made when the file has none.

    Args:
        document: the document; it is not changed.
        key: the list's key.
        text: the item as YAML flow: ``{name: sparsity, weights: 0.5}``.
        where: what to call this item in faults.

    Raises:
        HwsimError: the text is no YAML value, or what stands there is no list.
    """
    item = parse(text, where, positions=False).root
    if not isinstance(document.root, MappingNode):
        return document  # no mapping: `load` says so
    entry = document.root.entries.get(key)
    if entry is None or (isinstance(entry.node, ScalarNode) and entry.node.value is None):
        entry = Entry(Where(where), SequenceNode((), Where(where)))
    if not isinstance(entry.node, SequenceNode):
        raise HwsimError.at(entry.node.where, f"a single value for {key}", "a list, as [a, b]")
    grown = replace(entry, node=replace(entry.node, items=(*entry.node.items, item)))
    return replace(document, root=replace(document.root, entries={**document.root.entries, key: grown}))


@dataclass(frozen=True, slots=True)
class _Setting:
    """One value on its way to its path."""

    root: Node
    path: str
    value: Node
    at: Where
    schema: type | None

    def put(self, node: Node | None, steps: tuple[str, ...], hints: tuple[Hint, ...], path: str) -> Node:
        """``node`` with the value laid over what ``steps`` lead to; ``hints`` are its types, ``path`` its place."""
        if not steps or (is_quantity(node) and steps == ("value",)):
            return self._laid_over(node, self.value, hints, path)
        if isinstance(node, SequenceNode):
            return self._put_item(node, steps, hints, path)
        if isinstance(node, MappingNode):
            return self._put_key(node, steps, hints, path)
        if node is None or (isinstance(node, ScalarNode) and node.value is None):
            return self._put_key(MappingNode({}, self.at), steps, hints, path)
        self._unknown(path, f"nothing below {path}, which is a single value")

    def _put_item(self, node: SequenceNode, steps: tuple[str, ...], hints: tuple[Hint, ...], path: str) -> Node:
        count = len(node.items)
        index = int(steps[0]) if _INDEX.fullmatch(steps[0]) else count
        if index >= count:
            self._unknown(path, f"an index from 0 to {count - 1} for {path}" if count else f"no index: {path} is empty")
        items = list(node.items)
        items[index] = self.put(items[index], steps[1:], _below(hints, index), join(path, index))
        return replace(node, items=tuple(items))

    def _put_key(self, node: MappingNode, steps: tuple[str, ...], hints: tuple[Hint, ...], path: str) -> Node:
        key = steps[0]
        entry = node.entries.get(key)
        inner = _below(hints, key)
        if entry is None and not inner:
            keys = dict.fromkeys([*node.entries, *(name for hint in hints for name in known_keys(hint))])
            self._unknown(path, f"one of {listed(keys)}" if keys else "a path that exists", tuple(keys))
        child = self.put(entry.node if entry else None, steps[1:], inner, join(path, key))
        entries = {**node.entries, key: Entry(entry.key_where if entry else self.at, child)}
        if is_quantity(node) and steps == ("unit",):
            marks = {"kind": text_node("set", self.at), "source": text_node(SOURCE_OF_SET, self.at)}
            entries |= {name: Entry(self.at, mark) for name, mark in marks.items()}
        return replace(node, entries=entries)

    def _laid_over(self, old: Node | None, value: Node, hints: tuple[Hint, ...], path: str) -> Node:
        """``value`` in the place of ``old``, shorthand for quantities written out."""
        kinds = [member for hint in hints for member in alternatives(hint)]
        marks = next((marks for kind, marks in kinds if kind is Quantity), None)
        quantity = marks is not None or is_quantity(old)
        unit = mark_of(marks or (), Unit)
        if isinstance(value, ScalarNode):
            only = all(kind is Quantity for kind, _ in kinds)
            if not quantity or value.value is None or (split_number(value) is None and not only):
                return value
            return with_value(old, value, unit.name if unit else None, SOURCE_OF_SET, path)
        if isinstance(value, SequenceNode):
            items = (
                self._laid_over(None, item, _below(hints, index), join(path, index))
                for index, item in enumerate(value.items)
            )
            return replace(value, items=tuple(items))
        if quantity and "value" in value.entries:
            return _completed(value, old, unit)
        entries = {
            key: replace(entry, node=self._laid_over(None, entry.node, _below(hints, key), join(path, key)))
            for key, entry in value.entries.items()
        }
        return replace(value, entries=entries)

    def _unknown(self, path: str, expected: str, keys: tuple[str, ...] = ()) -> NoReturn:
        """Refuse the path, with the nearest one that exists."""
        known = dict.fromkeys(islice(_paths_of(self.root, ""), _MAX_PATHS))
        if self.schema is not None:
            known |= dict.fromkeys(paths(self.schema))
        last = _STEP.findall(self.path)[-1]
        same_name = [each for each in known if _STEP.findall(each)[-1] == last]
        near = did_you_mean(self.path, known) or (same_name[0] if same_name else None)
        for key in _near_keys(self.path, path, keys):
            near = near or key
        raise HwsimError.at(self.at, f"unknown path {quoted(self.path)}", expected, near)


def _near_keys(wanted: str, path: str, keys: tuple[str, ...]) -> Iterator[str]:
    """The key at the level where the path breaks off that looks like the one asked for."""
    step = _STEP.findall(wanted[len(path) :])
    near = did_you_mean(step[0], keys) if step else None
    if near:
        yield join(path, near)


def _completed(value: MappingNode, old: Node | None, unit: Unit | None) -> Node:
    """A quantity written as a mapping, with what it leaves out: the old unit, and ``set`` as its kind."""
    kept = old.get("unit") if isinstance(old, MappingNode) else None
    defaults = {"unit": kept or (text_node(unit.name, value.where) if unit else None)}
    if not {"kind", "source"} & value.entries.keys():
        defaults |= {"kind": text_node("set", value.where), "source": text_node(SOURCE_OF_SET, value.where)}
    added = {key: Entry(value.where, node) for key, node in defaults.items() if node and key not in value.entries}
    return replace(value, entries={**value.entries, **added})


def _below(hints: tuple[Hint, ...], key: str | int) -> tuple[Hint, ...]:
    return tuple(inner for hint in hints for inner in below(hint, key))


def _paths_of(node: Node, path: str) -> Iterator[str]:
    """Every path that a document holds, the parts of quantities left out."""
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            yield join(path, index)
            yield from _paths_of(item, join(path, index))
    elif isinstance(node, MappingNode) and not is_quantity(node):
        for key, entry in node.entries.items():
            yield join(path, key)
            yield from _paths_of(entry.node, join(path, key))
