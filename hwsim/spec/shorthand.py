"""Shorthand for quantities: a plain number, or ``819.2 GB/s``, over a quantity that a file declares."""

from __future__ import annotations

import re
from typing import Final

from hwsim.errors import HwsimError, Where
from hwsim.spec.nodes import Entry, MappingNode, Node, ScalarNode, ScalarValue
from hwsim.spec.scalars import as_infinity, resolve
from hwsim.spec.words import quoted

__all__ = ["is_quantity", "split_number", "text_node", "with_value"]

_PARTS: Final = frozenset({"value", "unit", "kind", "source", "rows"})
_SPACED: Final = re.compile(r"(\S+)\s+(\S+)")
_JOINED: Final = re.compile(r"([-+.0-9eE]*[.0-9])([a-zA-Zµ%]\S*)")


def is_quantity(node: Node | None) -> bool:
    """Whether a node has the form of a quantity: ``value`` and ``unit``, and nothing foreign."""
    return isinstance(node, MappingNode) and {"value", "unit"} <= node.entries.keys() <= _PARTS


def split_number(node: ScalarNode) -> tuple[ScalarValue, str | None] | None:
    """The number and the unit (None when it has none) of a shorthand; None when it is no such thing."""
    if isinstance(node.value, bool):
        return None
    if isinstance(node.value, int | float):
        return node.value, None
    match = _SPACED.fullmatch(node.text) or _JOINED.fullmatch(node.text)
    if match is None:
        return None
    try:
        number = resolve(match[1])
    except ValueError:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return number, match[2]


def with_value(old: Node | None, new: ScalarNode, unit: str | None, source: str, path: str) -> MappingNode:
    """A quantity node with a new value, of kind ``set``.

    Args:
        old: the quantity that it replaces, whose unit is kept when the shorthand names none.
        new: the shorthand.
        unit: the unit when neither has one.
        source: what the new quantity gives as its source.
        path: dotted path of the quantity, for the message.

    Raises:
        HwsimError: the shorthand is no number, or no unit is known.
    """
    parts = split_number(new)
    if parts is None:
        example = "819.2 GB/s" if unit is None else f"1.5 {unit}"
        expected = f"a number, or one with its unit ({example})"
        raise HwsimError.at(new.where, f"found {quoted(new.text)} for {path}", expected, as_infinity(new.text))
    number, written_unit = parts
    kept = old.get("unit") if isinstance(old, MappingNode) else None
    if written_unit is None and kept is None and unit is None:
        raise HwsimError.at(new.where, f"found {quoted(new.text)} without a unit for {path}", "a number with its unit")
    unit_node = kept if written_unit is None and kept else text_node(written_unit or unit or "", new.where)
    where = new.where
    value = ScalarNode(number, new.text, where)
    entries = {"value": value, "unit": unit_node, "kind": text_node("set", where), "source": text_node(source, where)}
    return MappingNode({key: Entry(where, node) for key, node in entries.items()}, where)


def text_node(text: str, where: Where) -> ScalarNode:
    """A node of plain text."""
    return ScalarNode(text, text, where)
