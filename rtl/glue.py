"""Stream parts between units: FIFO, one wide beat to many and back, and the transposing buffer.

Payloads are plain bits. `Unpack` and `Pack` add no cycle; a FIFO's beat can leave the cycle after it entered.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.base import Wire

__all__ = ["Fifo", "Pack", "Transpose", "Unpack", "link"]


def link(m: Module, source: Wire, sink: Wire) -> None:
    """Connect a stream to a stream of as many payload bits."""
    m.d.comb += [
        Value.cast(sink.payload).eq(Value.cast(source.payload)),
        sink.valid.eq(source.valid),
        source.ready.eq(sink.ready),
    ]


class Fifo(wiring.Component):
    """A first-in first-out buffer of ``depth`` beats; one cycle from in to out.

    Args:
        bits: bits of a beat.
        depth: beats held.
    """

    i: Wire
    o: Wire

    def __init__(self, bits: int, depth: int) -> None:
        self.bits, self.depth = bits, depth
        self.memory = Memory(shape=bits, depth=depth, init=[])
        self.held = Signal(range(depth + 1), name="held")
        self.head, self.tail = Signal(range(depth), name="head"), Signal(range(depth), name="tail")
        super().__init__({"i": In(stream.Signature(bits)), "o": Out(stream.Signature(bits))})

    def elaborate(self, platform: Wire) -> Module:
        """Wire the memory's two sides."""
        m = Module()
        m.submodules.memory = self.memory
        write, read = self.memory.write_port(), self.memory.read_port(domain="comb")
        push, pop = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(self.held != self.depth),
            self.o.valid.eq(self.held != 0),
            push.eq(self.i.valid & self.i.ready),
            pop.eq(self.o.valid & self.o.ready),
            write.addr.eq(self.tail),
            write.data.eq(self.i.payload),
            write.en.eq(push),
            read.addr.eq(self.head),
            self.o.payload.eq(read.data),
        ]
        m.d.sync += self.held.eq(self.held + push - pop)
        for pointer, moves in ((self.tail, push), (self.head, pop)):
            with m.If(moves):
                m.d.sync += pointer.eq(Mux(pointer == self.depth - 1, 0, pointer + 1))
        return m


class Unpack(wiring.Component):
    """One beat of ``count`` parts to ``count`` beats, the lowest part first."""

    i: Wire
    o: Wire

    def __init__(self, bits: int, count: int) -> None:
        self.bits, self.count = bits, count
        super().__init__({"i": In(stream.Signature(bits * count)), "o": Out(stream.Signature(bits))})

    def elaborate(self, platform: Wire) -> Module:
        """Wire the part counter."""
        m = Module()
        part = Signal(range(self.count))
        end = part == self.count - 1
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.o.payload.eq(self.i.payload.word_select(part, self.bits)),
            self.i.ready.eq(self.o.ready & end),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += part.eq(Mux(end, 0, part + 1))
        return m


class Pack(wiring.Component):
    """``count`` beats to one beat, the first in the lowest part; leaves with the last of them."""

    i: Wire
    o: Wire

    def __init__(self, bits: int, count: int) -> None:
        self.bits, self.count = bits, count
        super().__init__({"i": In(stream.Signature(bits)), "o": Out(stream.Signature(bits * count))})

    def elaborate(self, platform: Wire) -> Module:
        """Wire the parts kept and the part counter."""
        m = Module()
        part = Signal(range(self.count))
        end = part == self.count - 1
        kept = Signal(max(1, self.bits * (self.count - 1)))
        m.d.comb += [
            self.o.valid.eq(self.i.valid & end),
            self.o.payload.eq(Cat(kept, self.i.payload) if self.count > 1 else self.i.payload),
            self.i.ready.eq(self.o.ready | ~end),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += part.eq(Mux(end, 0, part + 1))
            if self.count > 1:
                m.d.sync += kept.eq(Cat(kept, self.i.payload)[self.bits :])
        return m


class Transpose(wiring.Component):
    """Takes rows x columns beats row by row, then gives them column by column.

    The first leaves the cycle after the last came.
    """

    i: Wire
    o: Wire

    def __init__(self, bits: int, rows: int, columns: int) -> None:
        self.bits, self.rows, self.columns = bits, rows, columns
        super().__init__({"i": In(stream.Signature(bits)), "o": Out(stream.Signature(bits))})

    def elaborate(self, platform: Wire) -> Module:
        """Wire the memory, the fill counter and the drain's row and column."""
        m = Module()
        total = self.rows * self.columns
        m.submodules.memory = memory = Memory(shape=self.bits, depth=total, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        filled, draining = Signal(range(total)), Signal()
        row, column = Signal(range(self.rows)), Signal(range(self.columns))
        m.d.comb += [
            write.addr.eq(filled),
            write.data.eq(self.i.payload),
            write.en.eq(self.i.valid & self.i.ready),
            read.addr.eq(row * self.columns + column),
            self.i.ready.eq(~draining),
            self.o.valid.eq(draining),
            self.o.payload.eq(read.data),
        ]
        with m.If(write.en):
            m.d.sync += filled.eq(Mux(filled == total - 1, 0, filled + 1))
            with m.If(filled == total - 1):
                m.d.sync += draining.eq(1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += row.eq(Mux(row == self.rows - 1, 0, row + 1))
            with m.If(row == self.rows - 1):
                m.d.sync += column.eq(Mux(column == self.columns - 1, 0, column + 1))
                with m.If(column == self.columns - 1):
                    m.d.sync += draining.eq(0)
        return m
