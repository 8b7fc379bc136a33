"""Equal stretches of operators folded into ``repeat``: layers are written once, and cost once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

__all__ = ["folded"]

_LEAST: Final = 4
"""Operators that a fold must save: a line or two are easier read in place."""
_MOST_PERIODS: Final = 64
_MOST_OPS: Final = 10_000
"""Operators of the longest list that is searched for layers: a few seconds where it has no order at all."""
_DEEPEST: Final = 16
"""Folds before and behind a fold, and so on: models have a few stages of layers each."""


def folded(ops: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The list with stretches that repeat written once; names within are those of the first repetition.

    The stretch that saves most is folded first, the shortest that does, then what stands before and behind it. Names
    that stand twice outside of a fold are numbered.
    """
    numbers: dict[tuple[Any, ...], int] = {}
    keys = np.array(
        [numbers.setdefault(tuple((k, v) for k, v in op.items() if k != "name"), len(numbers)) for op in ops],
        dtype=np.int64,
    )
    return _named(_fold(list(ops), keys))


def _fold(ops: list[dict[str, Any]], keys: np.ndarray[Any, np.dtype[np.int64]], depth: int = 0) -> list[dict[str, Any]]:
    if depth == _DEEPEST or len(ops) > _MOST_OPS:
        return ops
    best = (_LEAST - 1, 0, 0, 0)  # saved, start, period, times
    for period in _periods(keys):
        start, length = _longest(keys[:-period] == keys[period:])
        times = length // period + 1
        if (times - 1) * period > best[0]:
            best = ((times - 1) * period, start, period, times)
    _, start, period, times = best
    if not period:
        return ops
    end = start + period * times
    group = {"kind": "repeat", "times": times, "ops": _named(_shortened(ops[start : start + period]))}
    before, behind = _fold(ops[:start], keys[:start], depth + 1), _fold(ops[end:], keys[end:], depth + 1)
    return [*before, group, *behind]


def _periods(keys: np.ndarray[Any, np.dtype[np.int64]]) -> list[int]:
    """Lengths that a layer may have, ascending: the commonest distances from an operator to the next one like it."""
    order = np.argsort(keys, kind="stable")
    gaps = np.diff(order)[np.diff(keys[order]) == 0]
    lengths, counts = np.unique(gaps[gaps <= len(keys) // 2], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_MOST_PERIODS]
    return sorted(int(each) for each in lengths[most])


def _longest(equal: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[int, int]:
    """(start, length) of the first longest run of true values."""
    edges = np.diff(np.concatenate(([0], equal.astype(np.int8), [0])))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return 0, 0
    place = int(np.argmax(ends - starts))
    return int(starts[place]), int(ends[place] - starts[place])


def _shortened(ops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Operators without the path that most of their names begin with: that of the first layer."""
    names = [_plain(op) for op in ops]
    paths = Counter(name[: place + 1] for name in names for place, sign in enumerate(name) if sign == ".")
    most = [path for path, count in paths.items() if 2 * count > len(ops)]
    path = max(most, key=len, default="")
    return [type(op)({**op, "name": name.removeprefix(path)}) for op, name in zip(ops, names, strict=True)]


def _plain(op: dict[str, Any]) -> str:
    """An operator's name with dots for the slashes of a path."""
    return str(op["name"]).strip("/").replace("/", ".") or str(op["kind"])


def _named(ops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Operators whose names differ: a second one of a name gets a number."""
    used: set[str] = set()
    found = []
    for op in ops:
        if op["kind"] == "repeat":
            found.append(op)
            continue
        plain = _plain(op)
        name, number = plain, 1
        while name in used:
            number += 1
            name = f"{plain}.{number}"
        used.add(name)
        found.append(type(op)({**op, "name": name}))
    return found
