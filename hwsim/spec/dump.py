"""Loaded values back to YAML: the same value, the same bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Final, TypeAlias

import yaml

from hwsim.spec.quantity import Quantity
from hwsim.spec.scalars import resolve

__all__ = ["OneLine", "dump_yaml"]

_SAFE: Final = re.compile(r"[A-Za-z_./][A-Za-z0-9_./ -]*(?<! )")
_WORDS_OF_YAML_1_1: Final = frozenset({"y", "n", "yes", "no", "on", "off"})
_WIDTH: Final = 110

_Tree: TypeAlias = "dict[str, _Tree] | list[_Tree] | _Flow | str | int | float | bool | None"


class _Flow(dict[str, _Tree]):
    """A mapping to be written on one line."""


class _Line(_Flow):
    """One that has the line for itself, also in a list of its like."""


class OneLine(dict[str, object]):
    """A mapping that :func:`dump_yaml` writes on one line."""


def dump_yaml(value: object) -> str:
    """YAML text that :func:`hwsim.spec.load` turns back into ``value``.

    Fields stand in the order of the class; those that are None by default and hold None are left out.

    Args:
        value: a loaded dataclass (or a mapping or list of them).

    Raises:
        TypeError: the value holds something that no schema can.
    """
    start: list[yaml.Event] = [yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False)]
    end: list[yaml.Event] = [yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent()]
    text: str = yaml.emit([*start, *_events(_tree(value)), *end], width=_WIDTH, allow_unicode=True)
    return text.removesuffix("...\n")


def _tree(value: object) -> _Tree:
    """A loaded value as mappings, lists and scalars."""
    if isinstance(value, Enum):
        return _tree(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    if is_dataclass(value):
        whole = ((each.name, getattr(value, each.name), each) for each in fields(value))
        entries = {name: _tree(item) for name, item, each in whole if not _left_out(item, each)}
        return _Flow(entries) if isinstance(value, Quantity) else entries
    if isinstance(value, Mapping):
        entries = {str(key): _tree(item) for key, item in value.items()}
        return _Line(entries) if isinstance(value, OneLine) else entries
    if isinstance(value, tuple | list):
        return [_tree(item) for item in value]
    raise TypeError(f"no YAML form for a {type(value).__name__}")


def _left_out(item: object, each: Field[object]) -> bool:
    return not each.init or (item is None and each.default is not MISSING and each.default is None)


def _events(tree: _Tree) -> Iterator[yaml.Event]:
    """The emitter's events for a tree."""
    if isinstance(tree, dict):
        yield yaml.MappingStartEvent(None, None, True, flow_style=isinstance(tree, _Flow) or not tree)
        for key, item in tree.items():
            yield _scalar(key)
            yield from _events(item)
        yield yaml.MappingEndEvent()
    elif isinstance(tree, list):
        flat = not any(isinstance(item, dict | list) and type(item) is not _Flow for item in tree)
        yield yaml.SequenceStartEvent(None, None, True, flow_style=flat)
        for item in tree:
            yield from _events(item)
        yield yaml.SequenceEndEvent()
    else:
        yield _scalar(tree)


def _scalar(value: str | float | bool | None) -> yaml.ScalarEvent:
    """One scalar; text that any YAML reader, 1.1 or 1.2, could take for something else is quoted."""
    if isinstance(value, str):
        is_plain = _SAFE.fullmatch(value) and value.lower() not in _WORDS_OF_YAML_1_1 and resolve(value) == value
        return yaml.ScalarEvent(None, None, (bool(is_plain), True), value, style=None if is_plain else '"')
    return yaml.ScalarEvent(None, None, (True, True), _literal(value))


def _literal(value: float | bool | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return repr(value)
