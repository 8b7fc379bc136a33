"""pydantic's error records to faults: placed on the tree, worded in the field's terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from hwsim.errors import Fault, Where, did_you_mean
from hwsim.spec.fields import Refused
from hwsim.spec.nodes import MappingNode, Node, ScalarNode, SequenceNode, join
from hwsim.spec.scalars import as_infinity, tidy_number
from hwsim.spec.shape import (
    Alternative,
    Hint,
    alternatives,
    below,
    choices,
    describe,
    fits,
    known_keys,
    tag_field,
    tagged_member,
)
from hwsim.spec.words import cut, listed, quoted

__all__ = ["Problem", "faults_of"]

_UNKNOWN_KEY: Final = "unexpected_keyword_argument"
_MISSING: Final = ("missing", "missing_argument", "missing_keyword_only_argument")

Record: TypeAlias = Mapping[str, Any]
"""One error as pydantic reports it: ``type``, ``loc``, ``ctx``."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error record: where it lies below the node at hand, and what pydantic says."""

    loc: tuple[str | int, ...]
    record: Record

    def deeper(self) -> Problem:
        """The same problem, seen from one step further down."""
        return Problem(self.loc[1:], self.record)


def faults_of(problems: list[Problem], node: Node, annotation: Hint, path: str = "") -> Iterator[Fault]:
    """The faults of a node and of all below it.

    Args:
        problems: error records, their places relative to ``node``.
        node: the node that was judged.
        annotation: the type it was judged by.
        path: its dotted path from the root.
    """
    members = alternatives(annotation)
    if tag_field(annotation) is not None:
        yield from _tagged(problems, node, annotation, path)
    elif len(members) > 1:
        yield from _union(problems, node, annotation, path)
    else:
        yield from _single(problems, node, annotation, path)


def _tagged(problems: list[Problem], node: Node, annotation: Hint, path: str) -> Iterator[Fault]:
    """Faults of a union whose members a field tells apart: pydantic puts the tag into the place."""
    for problem in problems:
        if not problem.loc:
            yield _bad_tag(node, annotation, path)
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.loc:
            groups.setdefault(str(problem.loc[0]), []).append(problem.deeper())
    for label, group in groups.items():
        yield from _single(group, node, tagged_member(annotation, label), path)


def _bad_tag(node: Node, annotation: Hint, path: str) -> Fault:
    """The fault of a tag that is missing or unknown."""
    field = tag_field(annotation) or ""
    names = [name for hint in below(annotation, field) for name in choices(hint)]
    if not isinstance(node, MappingNode):
        return Fault(node.where, _found(node, path), f"a mapping with {field}: one of {listed(names)}")
    tag = node.get(field)
    if tag is None:
        unknown = [key for key in node.entries if key not in known_keys(annotation)]
        near = did_you_mean(field, unknown)
        if near:
            where = node.entries[near].key_where
            return Fault(where, f"unknown key {quoted(near)}{_in(path)}", f"{field}: one of {listed(names)}", field)
        return Fault(node.where, f"no key {field!r}{_in(path)}", f"{field}: one of {listed(names)}")
    text = tag.text if isinstance(tag, ScalarNode) else ""
    return Fault(tag.where, _found(tag, join(path, field)), f"one of {listed(names)}", did_you_mean(text, names))


def _union(problems: list[Problem], node: Node, annotation: Hint, path: str) -> Iterator[Fault]:
    """Faults of a plain union: pydantic judges by every member in turn and puts its name into the place."""
    fitting = [member for member in alternatives(annotation) if fits(member[0], node)]
    groups: dict[str | int, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.loc[0] if problem.loc else "", []).append(problem.deeper())
    judged = [group for group in groups.values() if any(_says_more(problem) for problem in group)]
    if len(fitting) == 1 and judged:
        yield from _single(judged[0], node, _with_marks(fitting[0]), path)
    else:
        yield _wrong(node, annotation, path)


def _with_marks(member: Alternative) -> Hint:
    """A member of a union as an annotation of its own."""
    kind, marks = member
    return Annotated[kind, *marks] if marks else kind


def _says_more(problem: Problem) -> bool:
    """Whether a problem lies below its node, or comes from a check rather than from the type."""
    return bool(problem.loc) or problem.record["type"] == "value_error"


def _single(problems: list[Problem], node: Node, annotation: Hint, path: str) -> Iterator[Fault]:
    """Faults of a node judged by one type."""
    unknown = [str(each.loc[0]) for each in problems if len(each.loc) == 1 and each.record["type"] == _UNKNOWN_KEY]
    guesses = _guesses(unknown, node, annotation)
    groups: dict[str | int, list[Problem]] = {}
    for problem in problems:
        if not problem.loc:
            yield _here(problem.record, node, annotation, path)
        elif len(problem.loc) > 1 or problem.record["type"] not in (_UNKNOWN_KEY, *_MISSING):
            groups.setdefault(problem.loc[0], []).append(problem.deeper())
        elif problem.record["type"] == _UNKNOWN_KEY:
            yield _unknown_key(str(problem.loc[0]), node, annotation, path, guesses)
        elif problem.loc[0] not in guesses.values():
            yield _missing(problem.loc[0], node, annotation, path)
    for key, group in groups.items():
        yield from _child(key, group, node, annotation, path)


def _child(key: str | int, group: list[Problem], node: Node, annotation: Hint, path: str) -> Iterator[Fault]:
    """Faults below one key or index."""
    child = _step(node, key)
    hints = below(annotation, key)
    if child is not None and hints:
        yield from faults_of(group, child, hints[0], join(path, key))
    else:
        yield _wrong(node, annotation, path)


def _step(node: Node, key: str | int) -> Node | None:
    """The node under a key or index."""
    if isinstance(node, MappingNode):
        return node.get(str(key))
    if isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.items):
        return node.items[key]
    return None


def _guesses(unknown: list[str], node: Node, annotation: Hint) -> dict[str, str]:
    """For each unknown key the key that was probably meant: one that is known and not given."""
    given = set(node.entries) if isinstance(node, MappingNode) else set()
    free = [key for key in known_keys(annotation) if key not in given]
    guesses: dict[str, str] = {}
    for key in unknown:
        guess = did_you_mean(key, [name for name in free if name not in guesses.values()])
        if guess:
            guesses[key] = guess
    return guesses


def _unknown_key(key: str, node: Node, annotation: Hint, path: str, guesses: dict[str, str]) -> Fault:
    known = known_keys(annotation)
    entry = node.entries.get(key) if isinstance(node, MappingNode) else None
    where = entry.key_where if entry else node.where
    suggestion = guesses.get(key) or did_you_mean(key, known)
    return Fault(where, f"unknown key {quoted(key)}{_in(path)}", f"one of {listed(known)}", suggestion)


def _missing(key: str | int, node: Node, annotation: Hint, path: str) -> Fault:
    if isinstance(key, int):
        return _wrong(node, annotation, path)
    hints = below(annotation, key)
    return Fault(node.where, f"no key {key!r}{_in(path)}", f"{key}: {describe(hints[0]) if hints else 'a value'}")


def _here(record: Record, node: Node, annotation: Hint, path: str) -> Fault:
    """The fault of a node as a whole."""
    error = record.get("ctx", {}).get("error")
    if isinstance(error, Refused):
        where, found = _refused_at(error, node, path)
        return Fault(where, error.found or found, error.expected, error.suggestion)
    if isinstance(error, ValueError):
        found, _, expected = str(error).partition("; expected ")
        return Fault(node.where, found, expected or (f"a valid {path}" if path else "a valid file"))
    return _wrong(node, annotation, path)


def _refused_at(error: Refused, node: Node, path: str) -> tuple[Where, str]:
    """The place and the sight of what a check refused."""
    for step in error.at.replace("[", ".").replace("]", "").split("."):
        child = _step(node, int(step) if step.isdecimal() and isinstance(node, SequenceNode) else step)
        if child is None:
            break
        node, path = child, join(path, int(step) if step.isdecimal() else step)
    return node.where, _found(node, path)


def _wrong(node: Node, annotation: Hint, path: str) -> Fault:
    """The fault of a value of the wrong type, or of a name that is none of those allowed."""
    return Fault(node.where, _found(node, path), describe(annotation), _nearest(node, annotation))


def _nearest(node: Node, annotation: Hint) -> str | None:
    """The valid value nearest to what stands there."""
    if not isinstance(node, ScalarNode):
        return None
    names = choices(annotation)
    if names:
        return did_you_mean(node.text, names)
    kinds = [kind for kind, _ in alternatives(annotation)]
    if int in kinds and isinstance(node.value, float) and node.value.is_integer() and abs(node.value) < 1 << 63:
        return str(int(node.value))
    if not isinstance(node.value, str) or not (int in kinds or float in kinds):
        return None
    return tidy_number(node.text) or (as_infinity(node.text) if float in kinds else None)


def _found(node: Node, path: str) -> str:
    """What stands at a place: ``found 'int5' for formats.weights``."""
    if isinstance(node, MappingNode):
        sight = "a mapping" if node.entries else "an empty mapping"
    elif isinstance(node, SequenceNode):
        sight = f"a list of {len(node.items)}"
    elif isinstance(node.value, str):
        sight = quoted(node.value)
    else:
        sight = cut(node.text) or "nothing"
    return f"found {sight} for {path}" if path else f"found {sight}"


def _in(path: str) -> str:
    return f" in {path}" if path else ""
