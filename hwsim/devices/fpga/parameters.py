"""What a catalog file of the FPGA family holds. Every number is a `Quantity` with its unit, source and kind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from hwsim.devices.ranges import AMOUNT, CLOCK, COUNT, ENERGY, POWER, RATE, SHARE, STOCK
from hwsim.formats import FORMATS
from hwsim.spec import OneOf, Quantity, Refused, Unit

__all__ = [
    "Clock",
    "Energy",
    "Fabric",
    "Fifos",
    "FpgaParameters",
    "Linear",
    "Memory",
    "Number",
    "Part",
    "Scan",
    "Vector",
    "whole",
]

Stock: TypeAlias = Annotated[Quantity, Unit("1"), STOCK]
Bandwidth: TypeAlias = Annotated[Quantity, Unit("bytes/s"), RATE]
Bytes: TypeAlias = Annotated[Quantity, Unit("bytes"), STOCK]
Count: TypeAlias = Annotated[Quantity, Unit("1"), COUNT]
Cycles: TypeAlias = Annotated[Quantity, Unit("cycles"), COUNT]
Amount: TypeAlias = Annotated[Quantity, Unit("1"), AMOUNT]
Clock: TypeAlias = Annotated[Quantity, Unit("Hz"), CLOCK]
Share: TypeAlias = Annotated[Quantity, Unit("1"), SHARE]
Power: TypeAlias = Annotated[Quantity, Unit("W"), POWER]
OpEnergy: TypeAlias = Annotated[Quantity, Unit("pJ"), ENERGY]
ByteEnergy: TypeAlias = Annotated[Quantity, Unit("pJ/byte"), ENERGY]
Name: TypeAlias = Annotated[str, OneOf(tuple(FORMATS))]


def whole(quantity: Quantity) -> int:
    """The value of a count, as an int."""
    return int(quantity.value)


def _require_whole(owner: Any, *names: str) -> None:
    """Refuse a count that is no whole number."""
    for name in names:
        if getattr(owner, name).value != int(getattr(owner, name).value):
            raise Refused(f"{getattr(owner, name).value:g} for {name}", "a whole number", at=name)


@dataclass(frozen=True, slots=True)
class Part:
    """What the chip offers. ``uram`` are blocks of 288 Kb, ``bram`` blocks of 36 Kb."""

    lut: Stock
    dsp: Stock
    bram: Stock
    uram: Stock

    def __post_init__(self) -> None:
        _require_whole(
            self, *(name for name in ("lut", "dsp", "bram", "uram") if getattr(self, name).value != math.inf)
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """Off-chip memory behind the AXI ports.

    Attributes:
        bandwidth: bytes per second that the memory offers.
        efficiency: share of it that long bursts reach.
        capacity: bytes.
        ports: AXI ports that stream side by side.
        port_bits: width of one port; a beat is ``ports * port_bits`` bits per clock.
        burst_beats: beats of one burst.

    """

    bandwidth: Bandwidth
    efficiency: Share
    capacity: Bytes
    ports: Count
    port_bits: Count
    burst_beats: Count

    def __post_init__(self) -> None:
        _require_whole(self, "ports", "port_bits", "burst_beats")
        if self.port_bits.value % 8:
            raise Refused(f"{self.port_bits.value:g} for port_bits", "whole bytes: a multiple of 8", at="port_bits")


@dataclass(frozen=True, slots=True)
class Linear:
    """The GEMM tensor core: tp token slots x cip input channels x cop output channels each cycle.

    Attributes:
        tp: token slots; weights are broadcast over them.
        cip: input channels per cycle.
        cop: output channels per cycle, the width of an output tile.
        lut_per_mac: fabric LUTs of one multiply-accumulate.
        dsp_per_mac: DSP blocks of one multiply-accumulate.

    """

    tp: Count
    cip: Count
    cop: Count
    lut_per_mac: Amount
    dsp_per_mac: Amount

    def __post_init__(self) -> None:
        _require_whole(self, "tp", "cip", "cop")


@dataclass(frozen=True, slots=True)
class Scan:
    """The state-update lanes.

    Attributes:
        lanes: state elements updated per cycle.
        tile_channels: channels whose state passes through the lanes as one tile; a multiple of the linear core's cop
            or a divisor of it.
        ports: 1 (read pass, then write pass) or 2 (both at once).
        lut_per_lane: fabric LUTs of one lane.
        dsp_per_lane: DSP blocks of one lane.

    """

    lanes: Count
    tile_channels: Count
    ports: Count
    lut_per_lane: Amount
    dsp_per_lane: Amount

    def __post_init__(self) -> None:
        _require_whole(self, "lanes", "tile_channels", "ports")
        if self.ports.value not in (1, 2):
            raise Refused(f"{self.ports.value:g} ports", "1 (single-port) or 2 (dual-port state memory)", at="ports")


@dataclass(frozen=True, slots=True)
class Vector:
    """The streaming units beside the two engines: norms, conv1d, gate, residual, each ``lanes`` channels wide.

    Attributes:
        lanes: channels per cycle of each unit.
        root_cycles: cycles of the reciprocal square root between the two passes of a norm.
        lut_per_lane: fabric LUTs per lane, all these units together.
        dsp_per_lane: DSP blocks per lane, all these units together.

    """

    lanes: Count
    root_cycles: Cycles
    lut_per_lane: Amount
    dsp_per_lane: Amount

    def __post_init__(self) -> None:
        _require_whole(self, "lanes", "root_cycles")


@dataclass(frozen=True, slots=True)
class Fifos:
    """Depths of the buffers between units.

    Attributes:
        weight_beats: beats that the weight stream can run ahead of the linear core.
        stream_tiles: output tiles that can wait between the linear core and the unit behind it.

    """

    weight_beats: Count
    stream_tiles: Count

    def __post_init__(self) -> None:
        _require_whole(self, "weight_beats", "stream_tiles")


@dataclass(frozen=True, slots=True)
class Number:
    """Number formats and their scales.

    Attributes:
        weights: format of the linear weights.
        activations: format of the linear inputs.
        state: format of the hidden state, conv weights and conv inputs.
        weight_scale_bits: bits of scale per ``weight_group`` weights.
        state_scale_bits: bits of scale per ``state_group`` elements.

    """

    weights: Name
    activations: Name
    state: Name
    weight_scale_bits: Amount
    weight_group: Count
    state_scale_bits: Amount
    state_group: Count

    def __post_init__(self) -> None:
        _require_whole(self, "weight_group", "state_group")


@dataclass(frozen=True, slots=True)
class Fabric:
    """What the design needs besides the units above: control, AXI, routing, buffers."""

    lut: Amount
    dsp: Amount
    bram: Amount


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy constants.

    Attributes:
        static_power: watts drawn whether or not work is done (clock tree and leakage included).
        mac: one multiply-accumulate of the linear core.
        scan_op: one state element updated.
        on_chip: one byte of state through URAM.
        dram: one byte to or from off-chip memory.

    """

    static_power: Power
    mac: OpEnergy
    scan_op: OpEnergy
    on_chip: ByteEnergy
    dram: ByteEnergy


@dataclass(frozen=True, slots=True)
class FpgaParameters:
    """A machine of the FPGA family.

    Attributes:
        family: always ``fpga``.
        name: the name the user types.
        description: one line.
        verifies_trees: whether the speculative extension (parent-state FIFO, ancestor windows) is built in.
        compare_with: the machine that `simulate` shows beside this one, run autoregressively.
        structure: ``dataflow``, LightMamba's units behind one memory port; or ``block``, the RTL's Mamba-2 block on
            memory that is never the limit.
        order: of in_proj's output tiles, ``interleaved`` or, for a block, ``sequential``.

    """

    family: Literal["fpga"]
    name: str
    description: str
    verifies_trees: bool
    clock: Clock
    part: Part
    memory: Memory
    linear: Linear
    scan: Scan
    vector: Vector
    fifo: Fifos
    formats: Number
    fabric: Fabric
    energy: Energy
    compare_with: str | None = None
    structure: Literal["dataflow", "block"] = "dataflow"
    order: Literal["interleaved", "sequential"] = "interleaved"

    def __post_init__(self) -> None:
        self._require_tiles()
        if self.structure == "block":
            self._require_block()
        elif self.order != "interleaved":
            raise Refused(f"{self.order} for order", "interleaved, or structure: block", at="order")

    def _require_block(self) -> None:
        """The block is as wide everywhere, and nothing in it waits for memory."""
        cop, lanes = whole(self.linear.cop), whole(self.scan.lanes)
        wide = {
            "linear.cip": self.linear.cip,
            "scan.tile_channels": self.scan.tile_channels,
            "vector.lanes": self.vector.lanes,
        }
        for at, quantity in wide.items():
            if whole(quantity) != cop:
                raise Refused(
                    f"{quantity.value:g} for {at}", f"linear.cop = {cop}: a block is as wide everywhere", at=at
                )
        if lanes % cop or cop % (lanes // cop):
            expected = f"linear.cop = {cop} times a divisor of it"
            raise Refused(f"{lanes} for lanes", expected, at="scan.lanes")
        if self.memory.bandwidth.value != math.inf:
            expected = ".inf: a block has no memory port to wait for"
            raise Refused(f"{self.memory.bandwidth.value:g} for bandwidth", expected, at="memory.bandwidth")

    def _require_tiles(self) -> None:
        tile, cop = whole(self.scan.tile_channels), whole(self.linear.cop)
        if tile % cop and cop % tile:
            expected = f"a multiple or a divisor of linear.cop = {cop}"
            raise Refused(f"{tile} for tile_channels", expected, at="scan.tile_channels")
