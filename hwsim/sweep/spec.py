"""What a sweep's file says: what is held, and the axes that are gone through.

sweep: lanes-and-slots
workload: mamba-tree                      # a shipped name, or a file beside this one
device: vck190-spec
question: {batch: 1}
set: {device.memory.bandwidth: 12.8 GB/s} # for every point, as `--set`
axes:                                     # every combination; the last axis changes fastest
  device.linear.tp: [4, 13]
  device.scan.lanes: {start: 16, to: 64, step: 16}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from hwsim.errors import did_you_mean
from hwsim.spec import Bound, Positive, Refused, load, read
from hwsim.workload.model import Phase

__all__ = ["MOST_POINTS", "Question", "Range", "Scalar", "Sweep", "load_sweep"]

Scalar: TypeAlias = int | float | bool | str
"""A value of an axis, as `--set`, `--batch` or `--device` would take it."""

MOST_POINTS: Final = 100_000
"""Points of one sweep; more is an error that says how many there are."""

_ASKED: Final = ("phase", "batch", "context", "new_tokens")
_NAMES: Final = ("workload", "device", "transform", *_ASKED)
_HEADS: Final = ("device.", "workload.")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``start`` up to ``to``, ``to`` included where it is met.

    Attributes:
        start: the first number.
        to: no number is above it.
        step: what is added each time; or
        factor: what is multiplied with each time.
    """

    start: int | float
    to: int | float
    step: Annotated[int | float, Positive] | None = None
    factor: Annotated[int | float, Bound(low=1, open_low=True)] | None = None

    def __post_init__(self) -> None:
        if (self.step is None) == (self.factor is None):
            raise Refused("step and factor" if self.step is not None else "neither step nor factor", "one of the two")
        if self.to < self.start:
            raise Refused("", f"a number of at least start, {self.start}", at="to")
        if self.factor is not None and self.start <= 0:
            raise Refused("", "a number above 0, as factor multiplies it", at="start")

    @property
    def values(self) -> tuple[int | float, ...]:
        """The numbers, to 12 digits; whole ones stay whole."""
        found: list[int | float] = []
        while len(found) <= MOST_POINTS and (value := self._value(len(found))) <= self.to:
            found.append(value)
        return tuple(found)

    def _value(self, place: int) -> int | float:
        """The number at a place; without the error of binary fractions, which would miss a ``to`` that is met."""
        value = self.start + place * self.step if self.step is not None else self.start * (self.factor or 2) ** place
        return float(f"{value:.12g}") if isinstance(value, float) else value


Axis: TypeAlias = tuple[Scalar, ...] | Range


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the workload at every point, unless an axis says otherwise; None: the workload's own run."""

    phase: Phase | None = None
    batch: Annotated[int, Bound(low=1)] | None = None
    context: Annotated[int, Bound(low=0)] | None = None
    new_tokens: Annotated[int, Bound(low=1)] | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep.

    Attributes:
        sweep: its name.
        axes: what changes: ``workload``, ``device``, ``transform``, ``phase``, ``batch``, ``context``, ``new_tokens``,
            or a path of `--set`; each with its values.
        workload: a shipped name or a file, unless an axis says.
        device: a shipped name or a file, unless an axis says.
        question: what is asked.
        set: values as `--set` for every point, by path.
        transforms: as `--transform`, for every point, before that of an axis.
        description: a line for the reader.
    """

    sweep: str
    axes: dict[str, Axis]
    workload: str | None = None
    device: str | None = None
    question: Question = field(default_factory=Question)
    set: dict[str, Scalar] = field(default_factory=dict)
    transforms: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        if not self.axes:
            raise Refused("no axis", "at least one, as batch: [1, 8, 64]", at="axes")
        for name in self.axes:
            _check_axis(name)
            if not self.values(name):
                raise Refused("no value", "at least one", at=f"axes.{name}")
        self._check_held()
        if self.points > MOST_POINTS:
            raise Refused(f"{self.points:,} points", f"at most {MOST_POINTS:,}", at="axes")

    def _check_held(self) -> None:
        """What is held and what an axis changes exclude each other; a workload and a device are one of the two."""
        for name in ("workload", "device"):
            given = [getattr(self, name) is not None, name in self.axes]
            if given == [False, False]:
                raise Refused(f"no {name}", f"{name}: NAME, or an axis of that name")
            if given == [True, True]:
                raise Refused("", f"no {name} here, as an axis says it", at=name)
        for path in self.set:
            if not path.startswith(_HEADS):
                raise Refused(f"path {path!r}", "device.PATH or workload.PATH", at="set")
            if path in self.axes:
                raise Refused("", "no such path here, as an axis changes it", at=f"set.{path}")

    def values(self, name: str) -> tuple[Scalar, ...]:
        """The values of an axis."""
        axis = self.axes[name]
        return axis.values if isinstance(axis, Range) else axis

    @property
    def points(self) -> int:
        """Every combination of the axes' values."""
        count = 1
        for name in self.axes:
            count *= len(self.values(name))
        return count


def _check_axis(name: str) -> None:
    if name in _NAMES or (name.startswith(_HEADS) and not name.endswith(".")):
        return
    expected = f"one of {', '.join(_NAMES)}, device.PATH or workload.PATH"
    raise Refused(f"unknown axis {name!r}", expected, at="axes", suggestion=did_you_mean(name, _NAMES))


def load_sweep(file: str | Path) -> tuple[Sweep, dict[str, str]]:
    """The sweep of a file, and file -> SHA-256 of what it was read from.

    Raises:
        HwsimError: the file cannot be read, or all that is wrong with it.
    """
    document = read(file)
    return load(document, Sweep), document.inputs
