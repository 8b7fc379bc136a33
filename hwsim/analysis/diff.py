"""What changed between two results, and which of their inputs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Change", "Difference", "difference"]

_KEYED_BY: Final = ("name", "path", "role", "device")
_ASKED: Final = ("workload", "device", "mapping", "phase", "batch", "context", "new_tokens", "formats", "speculative")
_CAUSES: Final = (*_ASKED, "constants", "inputs", "hwsim_version", "schema_version")


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs. A value that is missing on a side is None there.

    Attributes:
        unit: of a constant's value; all else has its unit in its name.
    """

    path: str
    before: Any
    after: Any
    unit: str = ""

    @property
    def ratio(self) -> float | None:
        """After over before, where both are numbers and that says something."""
        if not (_is_number(self.before) and _is_number(self.after)) or not self.before:
            return None
        return float(self.after) / float(self.before)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"path": self.path, "before": self.before, "after": self.after, "ratio": self.ratio}


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs between two results.

    Attributes:
        causes: what was asked or put in: workload, machine, phase, formats, constants, hashes of files, versions.
        outcomes: what came out, with the constants that only one of the results leans on.
    """

    causes: tuple[Change, ...]
    outcomes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.causes or self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"causes": [c.to_dict() for c in self.causes], "outcomes": [c.to_dict() for c in self.outcomes]}


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """Every value that differs between two results in their JSON form; lists of named rows are matched by name."""
    changes = list(_changes("", before, after))
    named = _constants(before) & _constants(after)
    told = [(_is_cause(change, named), change) for change in changes]
    return Difference(*(tuple(change for cause, change in told if cause is side) for side in (True, False)))


def _is_cause(change: Change, named: frozenset[str]) -> bool:
    """Whether a change is of what was put in. A constant that one result does not name is not another one: it is idle.

    Args:
        change: what differs.
        named: constants that both results name, of whatever kind.
    """
    root, _, below = change.path.partition(".")
    if root == "constants" and (change.before is None or change.after is None):
        kind, _, path = below.partition(".")
        return kind == "set" or path in named
    return root in _CAUSES


def _constants(result: Mapping[str, Any]) -> frozenset[str]:
    """Paths of the constants that a result names."""
    listed = result.get("constants", {})
    return frozenset(str(row["path"]) for rows in listed.values() for row in rows if "path" in row)


def _changes(path: str, before: Any, after: Any, unit: str = "") -> Iterator[Change]:
    """Differing leaves below ``path``."""
    left, right = _as_mapping(before), _as_mapping(after)
    if left is None or right is None:
        if before != after:
            yield Change(path, before, after, unit)
        return
    unit = str(right.get("unit", ""))
    for key in (*left, *(key for key in right if key not in left)):
        below = f"{path}.{key}" if path else str(key)
        if key in left and key in right:
            yield from _changes(below, left[key], right[key], unit if key == "value" else "")
        else:
            yield Change(below, left.get(key), right.get(key))


def _as_mapping(value: Any) -> Mapping[str, Any] | None:
    """A mapping as it is, a list of rows by their names (or places), None for a leaf."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, list):
        return None
    keys: list[str] = []
    for place, row in enumerate(value):
        name = next((str(row[k]) for k in _KEYED_BY if k in row), "") if isinstance(row, Mapping) else ""
        keys.append(name if name and name not in keys else f"{name}[{place}]")
    return dict(zip(keys, value, strict=True))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
