"""What a schema says about each path: the types below a dataclass, and how to name them to a user."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from hwsim.spec.fields import Bound, OneOf, Tagged, Unit
from hwsim.spec.nodes import MappingNode, Node, ScalarNode, SequenceNode, join
from hwsim.spec.quantity import Quantity
from hwsim.spec.words import listed

__all__ = ["Alternative", "Hint", "alternatives", "below", "describe", "hints", "known_keys", "mark_of", "paths"]

Hint: TypeAlias = Any
"""A type as an annotation writes it: a class, ``X | None``, ``Annotated[X, mark]`` …"""

Alternative: TypeAlias = tuple[Hint, tuple[Any, ...]]
"""One member of a field's type, null left out, with the marks that apply to it."""

_WORDS: Final[dict[Any, str]] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_MAX_PATHS: Final = 2000
_M = TypeVar("_M")


def _origin(annotation: Hint) -> Hint:
    """``tuple`` for ``tuple[int, ...]``, ``Annotated`` for a marked type; None for a plain class."""
    return get_origin(annotation)


@cache
def hints(schema: type) -> dict[str, Any]:
    """The field types of a dataclass, marks included."""
    known = get_type_hints(schema, include_extras=True)
    return {each.name: known[each.name] for each in fields(schema) if each.init}


def alternatives(annotation: Hint, marks: tuple[Any, ...] = ()) -> tuple[Alternative, ...]:
    """The members of a field's type, unions opened and null left out."""
    origin = _origin(annotation)
    if origin is Annotated:
        inner, *outer = get_args(annotation)
        return alternatives(inner, (*outer, *marks))
    if origin in (Union, types.UnionType):
        return tuple(each for member in get_args(annotation) for each in alternatives(member, marks))
    return () if annotation is type(None) else ((annotation, marks),)


def allows_null(annotation: Hint) -> bool:
    """Whether a field may be null."""
    if _origin(annotation) is Annotated:
        return allows_null(get_args(annotation)[0])
    if _origin(annotation) in (Union, types.UnionType):
        return any(allows_null(member) for member in get_args(annotation))
    return annotation is type(None)


def mark_of(marks: tuple[Any, ...], kind: type[_M]) -> _M | None:
    """The first mark of a kind, or None."""
    return next((mark for mark in marks if isinstance(mark, kind)), None)


def below(annotation: Hint, key: str | int) -> tuple[Hint, ...]:
    """The types that a field may have under a key (text) or a list index (number)."""
    found = []
    for kind, _ in alternatives(annotation):
        found += _below_one(kind, key)
    return tuple(found)


def _below_one(kind: Hint, key: str | int) -> list[Any]:
    if isinstance(kind, type) and is_dataclass(kind):
        return [hints(kind)[key]] if isinstance(key, str) and key in hints(kind) else []
    origin, args = _origin(kind), get_args(kind)
    if _is_mapping(origin):
        return [args[1]] if isinstance(key, str) else []
    if origin not in (tuple, list) or not args or isinstance(key, str):
        return []
    if origin is list or (len(args) == 2 and args[1] is Ellipsis):
        return [args[0]]
    return [args[key]] if key < len(args) else []


def _is_mapping(origin: Hint) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def known_keys(annotation: Hint) -> list[str]:
    """The keys that a field's dataclasses know, each once."""
    names: dict[str, None] = {}
    for kind, _ in alternatives(annotation):
        if isinstance(kind, type) and is_dataclass(kind):
            names.update(dict.fromkeys(hints(kind)))
    return list(names)


def fits(kind: Hint, node: Node) -> bool:
    """Whether a node has the form (mapping, list, single value) that a type needs."""
    if isinstance(kind, type) and is_dataclass(kind):
        return isinstance(node, MappingNode)
    origin = _origin(kind)
    if _is_mapping(origin):
        return isinstance(node, MappingNode)
    if origin in (tuple, list):
        return isinstance(node, SequenceNode)
    return isinstance(node, ScalarNode)


def paths(annotation: Hint) -> list[str]:
    """Every dotted path below a schema, list indices and free keys left out, at most 2000."""
    found: list[str] = []
    _collect_paths(annotation, "", (), found)
    return found


def _collect_paths(annotation: Hint, path: str, seen: tuple[Any, ...], found: list[str]) -> None:
    for kind, _ in alternatives(annotation):
        if not (isinstance(kind, type) and is_dataclass(kind)) or kind is Quantity or kind in seen:
            continue
        for name, hint in hints(kind).items():
            if len(found) >= _MAX_PATHS:
                return
            found.append(join(path, name))
            _collect_paths(hint, join(path, name), (*seen, kind), found)


def describe(annotation: Hint) -> str:
    """What a field takes, in words: ``one of cache, replay``; ``a list of whole numbers``."""
    parts = dict.fromkeys(_describe_one(kind, marks) for kind, marks in alternatives(annotation))
    if allows_null(annotation):
        parts["null"] = None
    return " or ".join(parts)


def choices(annotation: Hint) -> list[str]:
    """The texts that a field names one by one (Literal, Enum, OneOf)."""
    return [name for kind, marks in alternatives(annotation) for name in _choices_of(kind, marks)]


def _choices_of(kind: Hint, marks: tuple[Any, ...]) -> list[str]:
    named = mark_of(marks, OneOf)
    if named:
        return list(named.names)
    if _origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    return []


def _describe_one(kind: Hint, marks: tuple[Any, ...]) -> str:
    names = _choices_of(kind, marks)
    if names:
        return names[0] if len(names) == 1 else f"one of {listed(names)}"
    if kind is Quantity:
        unit = mark_of(marks, Unit)
        return f"{{value: …, unit: {unit.name if unit else '…'}, kind: …, source: …}}"
    if kind in _WORDS:
        bound = mark_of(marks, Bound)
        return f"{_WORDS[kind]} {bound}" if bound else _WORDS[kind]
    if isinstance(kind, type) and is_dataclass(kind):
        return f"a mapping with {listed(hints(kind))}"
    return _describe_collection(kind)


def _describe_collection(kind: Hint) -> str:
    origin, args = _origin(kind), get_args(kind)
    if _is_mapping(origin):
        return f"a mapping of names to {describe(args[1])}"
    if origin not in (tuple, list) or not args:
        return f"a value of type {getattr(kind, '__name__', kind)}"
    if origin is list or (len(args) == 2 and args[1] is Ellipsis):
        return f"a list, each item {describe(args[0])}"
    return f"a list of {len(args)}: {', '.join(describe(arg) for arg in args)}"


def tagged_member(annotation: Hint, label: str) -> Hint:
    """The dataclass of a tagged union that ``label`` names."""
    for kind, marks in alternatives(annotation):
        tag = mark_of(marks, Tagged)
        if tag and label in (str(choice) for choice in get_args(hints(kind).get(tag.field))):
            return kind
    return annotation


def tag_field(annotation: Hint) -> str | None:
    """The field that tells the members of a tagged union apart; None for any other type."""
    for _, marks in alternatives(annotation):
        tag = mark_of(marks, Tagged)
        if tag:
            return tag.field
    return None
