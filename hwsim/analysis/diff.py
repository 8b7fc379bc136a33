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
    """One value that differs. A value that is missing on a side is None there."""

    path: str
    before: Any
    after: Any

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
        outcomes: what came out.
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
    causes = tuple(c for c in changes if c.path.split(".")[0] in _CAUSES)
    return Difference(causes, tuple(c for c in changes if c.path.split(".")[0] not in _CAUSES))


def _changes(path: str, before: Any, after: Any) -> Iterator[Change]:
    """Differing leaves below ``path``."""
    left, right = _as_mapping(before), _as_mapping(after)
    if left is None or right is None:
        if before != after:
            yield Change(path, before, after)
        return
    for key in (*left, *(key for key in right if key not in left)):
        below = f"{path}.{key}" if path else str(key)
        if key in left and key in right:
            yield from _changes(below, left[key], right[key])
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
