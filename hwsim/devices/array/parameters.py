"""What a catalog file of the array family holds, and the hierarchy that the mapper makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from hwsim.devices.ranges import CLOCK, COUNT, ENERGY, RATE, STOCK
from hwsim.formats import FORMATS
from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.spec import OneOf, Quantity, Refused, Unit

__all__ = ["ArrayParameters", "AxisParameters", "HostParameters", "LevelParameters", "hierarchy_of"]

Count: TypeAlias = Annotated[Quantity, Unit("1"), COUNT]
Clock: TypeAlias = Annotated[Quantity, Unit("Hz"), CLOCK]
Bandwidth: TypeAlias = Annotated[Quantity, Unit("bytes/s"), RATE]
Bytes: TypeAlias = Annotated[Quantity, Unit("bytes"), STOCK]
ByteEnergy: TypeAlias = Annotated[Quantity, Unit("pJ/byte"), ENERGY]
MacEnergy: TypeAlias = Annotated[Quantity, Unit("pJ/mac"), ENERGY]
OpRate: TypeAlias = Annotated[Quantity, Unit("op/s"), RATE]
OpEnergy: TypeAlias = Annotated[Quantity, Unit("pJ/op"), ENERGY]
RoleName: TypeAlias = Annotated[str, OneOf(("input", "weight", "output"))]


@dataclass(frozen=True, slots=True)
class LevelParameters:
    """A memory level; every figure is of one instance.

    Attributes:
        name: as nests and reports call it.
        capacity: bytes; ``.inf`` for main memory.
        read_bandwidth: bytes per second of the read port, or of the only one when ``shared_port``.
        write_bandwidth: bytes per second of the write port.
        read_energy: energy per byte read.
        write_energy: energy per byte written.
        may: roles that it can hold.
        must: roles that it has to hold.
        shared_port: reads and writes share the port.
        double_buffered: a held tile takes its room twice.
    """

    name: str
    capacity: Bytes
    read_bandwidth: Bandwidth
    write_bandwidth: Bandwidth
    read_energy: ByteEnergy
    write_energy: ByteEnergy
    may: tuple[RoleName, ...] = ("input", "weight", "output")
    must: tuple[RoleName, ...] = ()
    shared_port: bool = False
    double_buffered: bool = False


@dataclass(frozen=True, slots=True)
class AxisParameters:
    """A spatial axis below the level called ``below``; axes below the same level form one grid.

    Attributes:
        name: ``rows``, ``columns`` …
        below: the level that feeds it.
        extent: instances along it.
        dims: dimensions that may be laid on it.
        multicast: roles of which one word serves the whole axis; ``output`` if partial sums are added along it.
        full: the dataflow fixes the axis: it takes the largest factor that divides.
    """

    name: str
    below: str
    extent: Count
    dims: tuple[str, ...]
    multicast: tuple[RoleName, ...] = ()
    full: bool = False

    def __post_init__(self) -> None:
        if self.extent.value != int(self.extent.value):
            raise Refused(f"{self.extent.value:g} instances", "a whole number", at="extent")


@dataclass(frozen=True, slots=True)
class HostParameters:
    """What computes the ops that are no matrix products, beside the array, on operands in main memory.

    Attributes:
        rate: scalar operations per second.
        energy: energy per operation.
    """

    rate: OpRate
    energy: OpEnergy


@dataclass(frozen=True, slots=True)
class ArrayParameters:
    """A spatial array.

    Attributes:
        family: ``array``.
        name: the name the user types.
        description: one line.
        clock: clock that cycles are counted in.
        mac_energy: energy of one multiply-accumulate.
        format: number format of inputs and weights, at every level.
        sum_bits: bits of an output word at every level, partial sums included.
        levels: memory levels, outermost first.
        axes: spatial axes, outermost first.
        cycles: ``ideal``, or ``pipelined``: with fill, drain and stalls (`hwsim.mapping.pipelined`).
        systolic: the operand that stays in a square systolic array; it has the timing of `hwsim.timing.linear`.
        host: what runs the other ops; without it they are infeasible.
    """

    family: Literal["array"]
    name: str
    description: str
    clock: Clock
    mac_energy: MacEnergy
    format: Annotated[str, OneOf(tuple(FORMATS))]
    sum_bits: Count
    levels: tuple[LevelParameters, ...]
    axes: tuple[AxisParameters, ...] = ()
    cycles: Literal["ideal", "pipelined"] = "ideal"
    systolic: Literal["weight", "output"] | None = None
    host: HostParameters | None = None

    def __post_init__(self) -> None:
        names = [level.name for level in self.levels]
        for axis in self.axes:
            if axis.below not in names:
                raise Refused(f"axis {axis.name} below {axis.below!r}", "one of " + ", ".join(names), at="axes")
        if self.sum_bits.value != int(self.sum_bits.value):
            raise Refused(f"{self.sum_bits.value:g} bits", "a whole number", at="sum_bits")


def hierarchy_of(parameters: ArrayParameters) -> Hierarchy:
    """The machine as the mapper sees it: rates per cycle, axes as fan-outs below their levels.

    Raises:
        HwsimError: the outermost level cannot hold every role, or names stand twice.
    """
    clock = parameters.clock.value
    parts: list[Level | Fanout] = []
    for level in parameters.levels:
        parts.append(
            Level(
                level.name,
                level.capacity.value,
                level.read_bandwidth.value / clock,
                level.write_bandwidth.value / clock,
                level.read_energy.value,
                level.write_energy.value,
                frozenset(level.may),  # type: ignore[arg-type]
                frozenset(level.must),  # type: ignore[arg-type]
                level.shared_port,
                level.double_buffered,
            )
        )
        axes = tuple(
            SpatialAxis(
                axis.name,
                int(axis.extent.value),
                axis.dims,
                frozenset(axis.multicast),  # type: ignore[arg-type]
                axis.full,
            )
            for axis in parameters.axes
            if axis.below == level.name
        )
        if axes:
            parts.append(Fanout(axes))
    return Hierarchy(
        parameters.name, clock, tuple(parts), parameters.mac_energy.value, systolic=parameters.systolic or ""
    )
