"""`Hierarchy`: memory levels and spatial axes of a PE array, outermost first, the multipliers innermost."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from hwsim.errors import Fault, HwsimError, Where
from hwsim.mapping.problem import Operand, Problem, Role

__all__ = ["Fanout", "Hierarchy", "Level", "SpatialAxis"]


@dataclass(frozen=True, slots=True)
class Level:
    """A memory level; every figure is of one instance.

    Attributes:
        name: as nests and reports call it.
        capacity_bytes: bytes of one instance; infinite for main memory.
        read_bytes_per_cycle: read port, or the one port when ``shared_port``.
        write_bytes_per_cycle: write port; unused when ``shared_port``.
        read_pj_per_byte: energy of a byte read.
        write_pj_per_byte: energy of a byte written.
        may: roles that it can hold.
        must: roles that it has to hold (no bypass).
        shared_port: reads and writes share one port.
        double_buffered: a held tile takes its room twice.
    """

    name: str
    capacity_bytes: float
    read_bytes_per_cycle: float
    write_bytes_per_cycle: float
    read_pj_per_byte: float
    write_pj_per_byte: float
    may: frozenset[Role]
    must: frozenset[Role] = frozenset()
    shared_port: bool = False
    double_buffered: bool = False


@dataclass(frozen=True, slots=True)
class SpatialAxis:
    """One axis of parallel instances.

    Attributes:
        name: ``rows``, ``columns`` …
        extent: instances along it.
        dims: dimensions that may be laid on it.
        multicast: roles of which one word can serve every instance of the axis in a cycle; for ``output``, that the
            axis adds partial sums up on their way out.
        full: the axis takes the largest factor that the space allows, none smaller (a fixed dataflow).
    """

    name: str
    extent: int
    dims: tuple[str, ...]
    multicast: frozenset[Role] = frozenset()
    full: bool = False

    def carries(self, problem: Problem, dim: str) -> bool:
        """Whether ``dim`` may be laid on it: each operand that does not move with it must multicast (or add up)."""
        return dim in self.dims and not self.blockers(problem, dim)

    def blockers(self, problem: Problem, dim: str) -> tuple[Operand, ...]:
        """Operands that ``dim`` leaves in place and that this axis cannot multicast (or reduce)."""
        return tuple(o for o in problem.operands if dim not in o.dims and o.role not in self.multicast)


@dataclass(frozen=True, slots=True)
class Fanout:
    """The step from one instance of the level above to many of what is below: one or more axes."""

    axes: tuple[SpatialAxis, ...]


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A machine as the mapper sees it.

    Attributes:
        name: the machine's.
        clock_hz: clock that cycles are counted in.
        parts: levels and fan-outs, outermost first. The first is a level that may hold every role.
        mac_pj: energy of one multiply-accumulate.
        macs_per_cycle: multiply-accumulates per cycle of one PE.
        systolic: the operand that stays in a square systolic array, for ``pipelined`` cycles; empty for none.
    """

    name: str
    clock_hz: float
    parts: tuple[Level | Fanout, ...]
    mac_pj: float
    macs_per_cycle: int = 1
    systolic: Literal["", "weight", "output"] = ""

    def __post_init__(self) -> None:
        faults = tuple(self._faults())
        if faults:
            raise HwsimError(*faults)

    def _faults(self) -> list[Fault]:
        """What makes the hierarchy unusable, all of it."""
        where = Where(self.name)
        first = self.parts[0] if self.parts else None
        if not isinstance(first, Level):
            return [Fault(where, "no level before the first fan-out", "an outermost level, main memory")]
        faults = []
        missing = {"input", "weight", "output"} - first.may
        if missing:
            lacks = ", ".join(sorted(missing))
            faults.append(Fault(where, f"{first.name} may not hold {lacks}", "an outermost level that holds all roles"))
        names = [level.name for level in self.levels] + [axis.name for axis in self.axes]
        faults += [
            Fault(where, f"two parts called {name!r}", "names used once")
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
        if self.systolic and len({axis.extent for axis in self.axes}) != 1:
            sides = " x ".join(str(axis.extent) for axis in self.axes) or "no axis"
            faults.append(Fault(where, f"a systolic array of {sides}", "axes of one extent"))
        for level in self.levels:
            if not level.must <= level.may:
                extra = ", ".join(sorted(level.must - level.may))
                faults.append(Fault(where, f"{level.name} must hold {extra} but may not", "must to be part of may"))
        return faults

    @property
    def levels(self) -> tuple[Level, ...]:
        """Memory levels, outermost first."""
        return tuple(part for part in self.parts if isinstance(part, Level))

    @property
    def fanouts(self) -> tuple[Fanout, ...]:
        """Fan-outs, outermost first."""
        return tuple(part for part in self.parts if isinstance(part, Fanout))

    @property
    def axes(self) -> tuple[SpatialAxis, ...]:
        """Every spatial axis, outermost first."""
        return tuple(axis for fanout in self.fanouts for axis in fanout.axes)

    @property
    def pes(self) -> int:
        """Processing elements: the product of all axes."""
        return prod(axis.extent for axis in self.axes)

    @property
    def side(self) -> int:
        """Extent of the longest axis: the side of a square array."""
        return max((axis.extent for axis in self.axes), default=1)

    def level_index(self, name: str) -> int:
        """Position among the levels of the one called ``name``.

        Raises:
            HwsimError: there is none.
        """
        for index, level in enumerate(self.levels):
            if level.name == name:
                return index
        raise HwsimError.unknown_name(self.name, "level", name, [level.name for level in self.levels])

    def axis(self, name: str) -> SpatialAxis:
        """The spatial axis called ``name``.

        Raises:
            HwsimError: there is none.
        """
        for axis in self.axes:
            if axis.name == name:
                return axis
        raise HwsimError.unknown_name(self.name, "spatial axis", name, [axis.name for axis in self.axes])

    def fanouts_above(self, level: int) -> int:
        """Fan-outs above the level at this index (the number of levels stands for the multipliers)."""
        seen = fanouts = 0
        for part in self.parts:
            if isinstance(part, Fanout):
                fanouts += 1
            else:
                if seen == level:
                    return fanouts
                seen += 1
        return fanouts

    def fanout_of(self, axis: str) -> int:
        """Index of the fan-out that has this axis."""
        return next(i for i, fanout in enumerate(self.fanouts) if any(a.name == axis for a in fanout.axes))
