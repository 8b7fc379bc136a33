"""AXI at the edges: AXI-Stream wrappers of any unit, and the weight reader (AXI4 bursts into a stream).

The wrapper only renames: ``tdata`` is the payload padded to whole bytes, ``tlast`` the payload's ``last`` field.
The reader turns one request (address, beats) into bursts that never cross a 4 KiB boundary (AMBA AXI4, A3.4.1).
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hwsim.timing import stream as timing
from rtl.base import Parameters, Wire, require
from rtl.beat import Beat, u

__all__ = ["AxisUnit", "WeightReader", "WeightReaderUnit"]


def _bytes_up(bits: int) -> int:
    """Bits rounded up to whole bytes."""
    return -(-bits // 8) * 8


class AxisUnit(wiring.Component):
    """A unit with AXI-Stream ports: ``s_axis_NAME_*`` for each input, ``m_axis_NAME_*`` for each output.

    Args:
        parameters: the unit inside.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        members: dict[str, Any] = {}
        for ports, prefix, forward, back in (
            (parameters.ports_in(), "s_axis", In, Out),
            (parameters.ports_out(), "m_axis", Out, In),
        ):
            for name, beat in ports.items():
                members[f"{prefix}_{name}_tdata"] = forward(_bytes_up(beat.bits))
                members[f"{prefix}_{name}_tvalid"] = forward(1)
                members[f"{prefix}_{name}_tlast"] = forward(1)
                members[f"{prefix}_{name}_tready"] = back(1)
        super().__init__(members)

    def elaborate(self, platform: Wire) -> Module:
        """Connect each stream to its AXI-Stream."""
        m = Module()
        m.submodules.unit = unit = self.parameters.create()
        for name, beat in self.parameters.ports_in().items():
            port = getattr(unit, name)
            m.d.comb += [
                Value.cast(port.payload).eq(getattr(self, f"s_axis_{name}_tdata")[: beat.bits]),
                port.valid.eq(getattr(self, f"s_axis_{name}_tvalid")),
                getattr(self, f"s_axis_{name}_tready").eq(port.ready),
            ]
        for name, beat in self.parameters.ports_out().items():
            port = getattr(unit, name)
            last = port.payload.last if any(f.name == "last" for f in beat.fields) else 1
            m.d.comb += [
                getattr(self, f"m_axis_{name}_tdata").eq(Value.cast(port.payload)),
                getattr(self, f"m_axis_{name}_tvalid").eq(port.valid),
                getattr(self, f"m_axis_{name}_tlast").eq(last),
                port.ready.eq(getattr(self, f"m_axis_{name}_tready")),
            ]
        return m


@dataclass(frozen=True)
class WeightReader:
    """Parameters of the weight reader.

    Attributes:
        data_bits: bits of a data beat.
        address_bits: bits of a byte address.
        burst: most beats of a burst (a burst also ends at a 4 KiB boundary).
    """

    unit: ClassVar[str] = "weight_reader"

    data_bits: int = 256
    address_bits: int = 32
    burst: int = 256

    def __post_init__(self) -> None:
        """Refuse what AXI4 does not allow."""
        widths = {8 << k for k in range(8)}
        require(
            self.unit,
            (self.data_bits in widths, f"data_bits={self.data_bits}", "a power of two from 8 to 1024"),
            (1 <= self.burst <= 256, f"burst={self.burst}", "1 to 256"),
            (13 <= self.address_bits <= 64, f"address_bits={self.address_bits}", "13 to 64"),
        )

    @property
    def beat_bytes(self) -> int:
        """Bytes of a data beat."""
        return self.data_bits // 8

    def request(self) -> Beat:
        """``i``: the byte address of the first beat (aligned to a beat) and how many beats."""
        return Beat(u("address", self.address_bits), u("beats", 24))

    def bursts(self, address: int, beats: int) -> list[tuple[int, int]]:
        """(address, beats) of each burst."""
        return timing.axi_bursts(address, beats, beat_bytes=self.beat_bytes, burst=self.burst)

    def cycles(self, beats: int, *, memory_cycles: int) -> int:
        """Cycles from the request to the last beat out, on a memory that answers after ``memory_cycles``."""
        return timing.read_cycles(beats, memory_cycles=memory_cycles)

    def create(self) -> WeightReaderUnit:
        """The hardware."""
        return WeightReaderUnit(self)


class WeightReaderUnit(wiring.Component):
    """The weight reader: an AXI4 read master with a request stream in and a data stream out."""

    i: Wire
    o: Wire
    m_axi_araddr: Wire
    m_axi_arlen: Wire
    m_axi_arsize: Wire
    m_axi_arburst: Wire
    m_axi_arvalid: Wire
    m_axi_arready: Wire
    m_axi_rdata: Wire
    m_axi_rvalid: Wire
    m_axi_rready: Wire

    def __init__(self, parameters: WeightReader) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(p.request().layout())),
                "o": Out(stream.Signature(p.data_bits)),
                "m_axi_arid": Out(1),
                "m_axi_araddr": Out(p.address_bits),
                "m_axi_arlen": Out(8),
                "m_axi_arsize": Out(3),
                "m_axi_arburst": Out(2),
                "m_axi_arvalid": Out(1),
                "m_axi_arready": In(1),
                "m_axi_rid": In(1),
                "m_axi_rdata": In(p.data_bits),
                "m_axi_rresp": In(2),
                "m_axi_rlast": In(1),
                "m_axi_rvalid": In(1),
                "m_axi_rready": Out(1),
            }
        )

    def elaborate(self, platform: Wire) -> Module:
        """Wire the burst generator and the data register."""
        p, m = self.parameters, Module()
        shift = p.beat_bytes.bit_length() - 1
        left, address = Signal(24, name="beats_left"), Signal(p.address_bits, name="next_address")
        room, count = Signal(13, name="beats_to_boundary"), Signal(9, name="burst_beats")
        free = ~self.m_axi_arvalid | self.m_axi_arready
        m.d.comb += [
            self.m_axi_arsize.eq(shift),
            self.m_axi_arburst.eq(1),
            self.i.ready.eq(left == 0),
            room.eq((4096 - address[:12]) >> shift),
            count.eq(self._least(self._least(left, room), p.burst)),
        ]
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [left.eq(self.i.payload.beats), address.eq(self.i.payload.address)]
        with m.If(free):
            m.d.sync += [
                self.m_axi_arvalid.eq(left != 0),
                self.m_axi_araddr.eq(address),
                self.m_axi_arlen.eq(count - 1),
            ]
            with m.If(left != 0):
                m.d.sync += [left.eq(left - count), address.eq(address + (count << shift))]
        m.d.comb += self.m_axi_rready.eq(~self.o.valid | self.o.ready)
        with m.If(self.m_axi_rready):
            m.d.sync += [self.o.valid.eq(self.m_axi_rvalid), self.o.payload.eq(self.m_axi_rdata)]
        return m

    @staticmethod
    def _least(a: Wire, b: Wire) -> Value:
        """The smaller of two values."""
        return Mux(a < b, a, b)
