"""The points of a sweep: every combination of its axes, each as the words of a `simulate` call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from hwsim.sweep.spec import Scalar, Sweep

__all__ = ["Point", "checked_points", "points_of"]


@dataclass(frozen=True, slots=True)
class Point:
    """One point.

    Attributes:
        index: place in the sweep, from 0.
        values: axis -> value.
        workload: a shipped name or a file.
        device: likewise.
        question: phase, batch, context, new_tokens; those that are None are left to the workload.
        settings: as `--set`.
        transforms: as `--transform`.
    """

    index: int
    values: Mapping[str, Scalar]
    workload: str
    device: str
    question: Mapping[str, Scalar | None] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()


def points_of(sweep: Sweep, folder: Path) -> Iterator[Point]:
    """The points in order, the last axis fastest.

    Args:
        sweep: the sweep.
        folder: where its file lies; files that it names are looked for from there.
    """
    for index, values in enumerate(product(*(sweep.values(name) for name in sweep.axes))):
        yield _point(sweep, folder, index, dict(zip(sweep.axes, values, strict=True)))


def checked_points(sweep: Sweep, folder: Path, check: Callable[[Point], None]) -> tuple[Point, ...]:
    """All points, after every value of every axis was checked once, beside the first values of the other axes.

    Args:
        sweep: the sweep.
        folder: where its file lies.
        check: raises where a point's words are faulty.
    """
    points = tuple(points_of(sweep, folder))
    first = points[0].values
    for point in points:
        if sum(point.values[name] != first[name] for name in first) <= 1:
            check(point)
    return points


def _point(sweep: Sweep, folder: Path, index: int, values: Mapping[str, Scalar]) -> Point:
    q = sweep.question
    asked = {"phase": q.phase, "batch": q.batch, "context": q.context, "new_tokens": q.new_tokens}
    paths = {**sweep.set, **{name: value for name, value in values.items() if "." in name}}
    changed = (str(values["transform"]),) if values.get("transform") else ()
    return Point(
        index=index,
        values=values,
        workload=_located(str(values.get("workload", sweep.workload)), folder),
        device=_located(str(values.get("device", sweep.device)), folder),
        question={name: values.get(name, value) for name, value in asked.items()},
        settings=tuple(f"{path}={_text(value)}" for path, value in paths.items()),
        transforms=(*sweep.transforms, *changed),
    )


def _located(name: str, folder: Path) -> str:
    """A shipped name as it is; a file from the folder of the sweep's own."""
    is_file = "/" in name or name.endswith((".yaml", ".yml"))
    return str(folder / name) if is_file else name


def _text(value: Scalar) -> str:
    """A value as a user types it behind `--set`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
