"""`Named`: an ordered, hashable, read-only mapping; the form of an op's dimensions and attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

__all__ = ["Named"]

V = TypeVar("V")


class Named(Mapping[str, V], Generic[V]):
    """An ordered tuple of (name, value) pairs with read access as a mapping.

    Two are equal when they hold the same pairs in the same order, so that equal values hash alike.

    Args:
        pairs: the pairs, or a mapping. Names are unique.

    Raises:
        ValueError: a name stands twice.
    """

    __slots__ = ("_hash", "_table", "pairs")

    pairs: tuple[tuple[str, V], ...]

    def __init__(self, pairs: Iterable[tuple[str, V]] | Mapping[str, V] = ()) -> None:
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        self.pairs = tuple(items)
        self._table = dict(self.pairs)
        self._hash: int | None = None
        if len(self._table) != len(self.pairs):
            raise ValueError(f"a name stands twice in {self.pairs}")

    def __getitem__(self, name: str) -> V:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self.pairs)

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Named) and self.pairs == other.pairs)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.pairs)
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return (Named, (self.pairs,))

    def __repr__(self) -> str:
        return "Named(" + ", ".join(f"{name}={value!r}" for name, value in self.pairs) + ")"

    def replace(self, **changes: V) -> Named[V]:
        """A copy with some values replaced, and new names appended."""
        return Named({**self._table, **changes})
