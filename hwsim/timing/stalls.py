"""Exact cycles of a hardware unit whose streams stall: its control alone, stepped over any trace of stalls.

The registers of a unit move together and stand still while an output beat waits for its sink (`rtl.base.Core`). So of
a unit without its data little is left: which streams must offer a beat for it to go on, and how many *moving* cycles
later something leaves. `transfers` steps that through a trace and gives the cycle of every transfer; where nothing
stalls these are the closed forms of the other modules.

Derived from the units of `rtl`; tests/rtl holds every transfer of every stalled run to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Protocol

from hwsim.timing import linear, scan, sparse, vector

__all__ = [
    "Chained",
    "Control",
    "Decompressing",
    "Scanning",
    "Sequenced",
    "Slot",
    "Trace",
    "TwoPasses",
    "WeightStationary",
    "starved_cycles",
    "streamed",
    "throttled_cycles",
    "transfers",
]

NOTHING: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Trace:
    """How the world around a unit stalls.

    Attributes:
        gaps: for each input port the cycles it waits before it offers each beat, counted from the cycle after the
            beat before it was taken (the first: from cycle 0); ports and beats left out never wait.
        accepts: whether the sink takes a beat in a cycle.
    """

    gaps: Mapping[str, Sequence[int]]
    accepts: Callable[[int], bool]


class Control(Protocol):
    """A unit as seen from its streams."""

    @property
    def valid(self) -> bool:
        """Whether the output offers a beat."""

    def step(self, offered: AbstractSet[str], ready: bool) -> AbstractSet[str]:
        """One clock cycle.

        Args:
            offered: input ports that offer a beat.
            ready: whether the sink takes a beat.

        Returns:
            The ports whose beat is taken.
        """


class _Frozen(ABC):
    """A unit whose registers all stand still while an output beat waits."""

    def __init__(self) -> None:
        self._due = 0
        """Bit d: an output beat in d moving cycles."""

    @property
    def valid(self) -> bool:
        """Whether the output offers a beat."""
        return bool(self._due & 1)

    def step(self, offered: AbstractSet[str], ready: bool) -> AbstractSet[str]:
        """One clock cycle; see `Control`."""
        if self.valid and not ready:
            return NOTHING
        taken, leaves = self.issue(offered)
        self._due = (self._due | leaves) >> 1
        return taken

    @abstractmethod
    def issue(self, offered: AbstractSet[str]) -> tuple[AbstractSet[str], int]:
        """One moving cycle: the ports taken, and what leaves because of it (bit d: a beat d moving cycles later)."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One turn of a unit that does the same things in the same order whatever its data.

    Attributes:
        needs: input ports of which it takes a beat; it waits until all of them offer one.
        leaves: bit d is set when a beat leaves d moving cycles later.
        rest: moving cycles before the next turn can begin.
    """

    needs: frozenset[str]
    leaves: int = 0
    rest: int = 0


class Sequenced(_Frozen):
    """Turns in a fixed order: tensor core, output-stationary array, convolution, function units.

    Args:
        slots: the turns.
    """

    def __init__(self, slots: Iterable[Slot]) -> None:
        super().__init__()
        self._slots, self._rest = iter(slots), 0
        self._slot = next(self._slots, None)

    def issue(self, offered: AbstractSet[str]) -> tuple[AbstractSet[str], int]:
        """The next turn, once the rest of the last is over and its ports offer."""
        slot = self._slot
        if self._rest or slot is None or not slot.needs <= offered:
            self._rest -= self._rest > 0
            return NOTHING, 0
        self._slot, self._rest = next(self._slots, None), slot.rest
        return slot.needs, slot.leaves


def streamed(beats: int, ports: Iterable[str], latency: int) -> Sequenced:
    """A unit that takes a beat of each port every cycle and gives one ``latency`` cycles later."""
    return Sequenced([Slot(frozenset(ports), 1 << latency)] * beats)


class WeightStationary(_Frozen):
    """The weight-stationary array: a tile's rows wait for its weights, the next weights for the first row.

    Args:
        side: rows and columns of the array.
        length: rows of A that use one tile of weights.
        rows: the port of A.
        weights: the port of the weights.
    """

    def __init__(self, side: int, length: int, rows: str, weights: str) -> None:
        super().__init__()
        self._side, self._length, self._rows, self._weights = side, length, rows, weights
        self._row, self._loaded = 0, 0

    def issue(self, offered: AbstractSet[str]) -> tuple[AbstractSet[str], int]:
        """A row of A, a row of weights, or both."""
        row = self._rows in offered and (self._row > 0 or self._loaded == self._side)
        swap = row and self._row == 0
        load = self._weights in offered and (self._loaded < self._side or swap)
        self._row = (self._row + row) % self._length
        self._loaded = (0 if swap else self._loaded) + load
        taken = {port for port, moves in ((self._rows, row), (self._weights, load)) if moves}
        return taken, row << linear.systolic_wave_cycles(self._side)


class Decompressing(_Frozen):
    """The bitmap decompressor, its buffer of two beats in front.

    Args:
        counts: set bits of each bitmap.
        lanes: values of a beat.
        masks: the port of the bitmaps.
        packed: the port of the packed values.
    """

    def __init__(self, counts: Sequence[int], lanes: int, masks: str, packed: str) -> None:
        super().__init__()
        self._counts, self._lanes, self._masks, self._packed = counts, lanes, masks, packed
        self._held, self._at = 0, 0

    def issue(self, offered: AbstractSet[str]) -> tuple[AbstractSet[str], int]:
        """A bitmap when its values are held; a packed beat when what is left is at most one."""
        fire = self._masks in offered and self._held >= self._counts[self._at]
        left = self._held - (self._counts[self._at] if fire else 0)
        take = self._packed in offered and left <= self._lanes
        self._at += fire
        self._held = left + take * self._lanes
        taken = {port for port, moves in ((self._masks, fire), (self._packed, take)) if moves}
        return taken, fire << sparse.DECOMPRESS_CYCLES


class TwoPasses(_Frozen):
    """RMSNorm: the second pass of a token needs its root, the first pass a free place in the ring.

    Args:
        steps: beats of a token.
        ring: beats that the ring holds.
        values: the port of the channels.
        gains: the port of the gains.
    """

    def __init__(self, steps: int, ring: int, values: str, gains: str) -> None:
        super().__init__()
        self._steps, self._ring, self._values, self._gains = steps, ring, values, gains
        self._filled, self._scaled, self._roots, self._rooting = 0, 0, 0, 0

    def issue(self, offered: AbstractSet[str]) -> tuple[AbstractSet[str], int]:
        """A beat of the first pass, one of the second, or both."""
        fill = self._values in offered and self._filled - self._scaled < self._ring
        take = self._gains in offered and self._roots > 0
        self._filled += fill
        self._scaled += take
        if fill and self._filled % self._steps == 0:
            self._rooting |= 1 << vector.NORM_ROOT_CYCLES
        self._rooting >>= 1
        self._roots += (self._rooting & 1) - (take and self._scaled % self._steps == 0)
        taken = {port for port, moves in ((self._values, fill), (self._gains, take)) if moves}
        return taken, take << vector.NORM_SCALE_CYCLES


class Scanning:
    """The scan lanes. Their preparation never stands still: it takes a job while the queue has room for it.

    Args:
        fresh: for each job whether it takes B and C from their stream.
        rows: state rows of a job.
        ports: ports of the state memory.
        jobs: the port of the jobs.
        inputs: the port of B and C.
    """

    def __init__(self, fresh: Sequence[bool], rows: int, ports: int, jobs: str, inputs: str) -> None:
        self._fresh, self._rows, self._jobs, self._inputs = fresh, rows, jobs, inputs
        self._rest = scan.scan_job_interval(rows, ports) - rows
        self._due, self._preparing = 0, 0
        self._flight, self._queued, self._at, self._row, self._pause = 0, 0, 0, 0, 0

    @property
    def valid(self) -> bool:
        """Whether the output offers a beat."""
        return bool(self._due & 1)

    def step(self, offered: AbstractSet[str], ready: bool) -> AbstractSet[str]:
        """One clock cycle; see `Control`."""
        taken: set[str] = set()
        end = False
        job = self._jobs in offered and self._flight < scan.QUEUE_JOBS
        if ready or not self.valid:
            fire = self._fires(offered)
            end = fire and self._row == self._rows - 1
            if fire and self._fresh[self._at]:
                taken.add(self._inputs)
            self._row = 0 if end else self._row + fire
            self._pause = self._rest if end else max(0, self._pause - 1)
            self._due = (self._due | end << scan.LANE_CYCLES) >> 1
        if job:
            taken.add(self._jobs)
        self._preparing = (self._preparing | job << scan.PREPARE_CYCLES) >> 1
        self._queued += (self._preparing & 1) - end
        self._flight += job - end
        self._at += end
        return taken

    def _fires(self, offered: AbstractSet[str]) -> bool:
        """Whether a state row enters the lanes."""
        there = self._queued > 0 and self._pause == 0
        return there and (self._inputs in offered or not self._fresh[self._at])


class Chained:
    """A unit whose output is an input of the next.

    Args:
        first: the unit in front.
        second: the unit behind it.
        port: the second's port between them.
    """

    def __init__(self, first: Control, second: Control, port: str) -> None:
        self._first, self._second, self._port = first, second, port

    @property
    def valid(self) -> bool:
        """Whether the second's output offers a beat."""
        return self._second.valid

    def step(self, offered: AbstractSet[str], ready: bool) -> AbstractSet[str]:
        """One clock cycle; see `Control`."""
        between = {self._port} if self._first.valid else NOTHING
        behind = self._second.step(offered | between, ready)
        return self._first.step(offered, self._port in behind) | (behind - {self._port})


def transfers(control: Control, beats: Mapping[str, int], outputs: int, trace: Trace) -> dict[str, list[int]]:
    """The cycle of each transfer, by port; the output's are under ``""``.

    Args:
        control: the unit, fresh from reset in cycle 0.
        beats: beats that each input port has to give.
        outputs: beats that the unit gives for them.
        trace: the stalls; its sink must go on accepting, or this does not end.
    """
    moves: dict[str, list[int]] = {port: [] for port in beats}
    leaving: list[int] = []
    since = dict.fromkeys(beats, 0)
    cycle = 0
    while len(leaving) < outputs or any(len(moves[port]) < count for port, count in beats.items()):
        offered = {
            port
            for port, count in beats.items()
            if (at := len(moves[port])) < count and cycle - since[port] >= _gap(trace, port, at)
        }
        ready = trace.accepts(cycle)
        if control.valid and ready:
            leaving.append(cycle)
        for port in control.step(offered, ready):
            moves[port].append(cycle)
            since[port] = cycle + 1
        cycle += 1
    return {**moves, "": leaving}


def _gap(trace: Trace, port: str, beat: int) -> int:
    gaps = trace.gaps.get(port, ())
    return gaps[beat] if beat < len(gaps) else 0


def starved_cycles(beats: int, latency: int, period: int) -> int:
    """Cycles of a `streamed` unit whose input comes every ``period``-th cycle, its sink always ready."""
    return (beats - 1) * period + latency + 1


def throttled_cycles(beats: int, latency: int, period: int) -> int:
    """Cycles of a `streamed` unit whose sink takes a beat in every ``period``-th cycle, cycle 0 of the run among them.

    The first beat waits at the output for the first of these cycles; each of the others, standing right behind it, for
    the next.
    """
    return (-(-latency // period) + beats - 1) * period + 1
