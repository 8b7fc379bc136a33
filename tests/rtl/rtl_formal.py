"""Proof harnesses: writes the RTLIL of a unit beside its specification. Run as a script: HOME NAME FILE.

Each harness follows one arbitrary value (number ``n`` of all that ever enter) from the input to the output: it must
come out unchanged, in its place, exactly once. Counters are modulo 256, far more than any buffer holds.
"""

import sys
from importlib import import_module
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Array, Assert, Assume, ClockDomain, Module, Signal, Value


def any_const(m, inputs, bits):
    """A free value that never changes."""
    free, was, started = Signal(bits, name="free_choice"), Signal(bits), Signal()
    inputs.append(free)
    m.d.sync += [was.eq(free), started.eq(1)]
    with m.If(started):
        m.d.comb += Assume(free == was)
    return free


def held_stream(m, port, name, kind):
    """Valid and payload stay until the transfer: assumed of inputs, asserted of outputs."""
    was, word = Signal(name=f"{name}_waiting"), Signal(Value.cast(port.payload).shape(), name=f"{name}_word")
    m.d.sync += [was.eq(port.valid & ~port.ready), word.eq(Value.cast(port.payload))]
    with m.If(was):
        m.d.comb += kind(port.valid & (Value.cast(port.payload) == word))


def start(dut):
    m = Module()
    m.domains.sync = domain = ClockDomain("sync", reset_less=True)
    m.submodules.dut = dut
    inputs = [domain.clk]  # a port: an undriven clock would make every assertion vacuous
    for name, member in dut.signature.members.items():
        port, into = getattr(dut, name), str(member.flow) == "In"
        for signal in (port.valid, Value.cast(port.payload)) if into else (port.ready,):
            free = Signal(Value.cast(signal).shape(), name=f"free_{name}_{len(inputs)}")
            inputs.append(free)
            m.d.comb += signal.eq(free)
        held_stream(m, port, name, Assume if into else Assert)
    return m, inputs


def fifo(bits=4, depth=4):
    """Order and no loss of the stream FIFO."""
    dut = import_module("rtl.glue").Fifo(bits, depth)
    probe = dut.memory.read_port(domain="comb")
    m, inputs = start(dut)
    n, sent, got, word = any_const(m, inputs, 8), Signal(8), Signal(8), Signal(bits)
    push, pop = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
    m.d.sync += [sent.eq(sent + push), got.eq(got + pop)]
    with m.If(push & (sent == n)):
        m.d.sync += word.eq(dut.i.payload)
    ahead = Signal(8)  # beats that leave before the followed one
    m.d.comb += ahead.eq(n - got)
    inside = ahead < dut.held
    m.d.comb += [
        Assert(dut.held == (sent - got)[: len(dut.held)]),
        Assert((sent - got)[:8] <= depth),
        Assert(dut.head < depth),
        Assert(dut.tail < depth),
        Assert(dut.tail == (dut.head + dut.held) % depth),
        probe.addr.eq((dut.head + ahead[:4]) % depth),
    ]
    with m.If(inside):
        m.d.comb += Assert(probe.data == word)
    with m.If(pop & (got == n)):
        m.d.comb += Assert(dut.o.payload == word)
    return m, inputs


def decompressor(lanes=4, bits=4):
    """Value, order and no loss of the bitmap decompressor."""
    sparse = import_module("rtl.sparse")
    dut = sparse.Decompressor(lanes=lanes, bits=bits).create()
    m, inputs = start(dut)
    n, used, entered, word = any_const(m, inputs, 8), Signal(8), Signal(8), Signal(bits)
    mask, packed = dut.i_mask.payload.mask, Value.cast(dut.i_packed.payload)
    fire, take = dut.i_mask.valid & dut.i_mask.ready, dut.i_packed.valid & dut.i_packed.ready
    ones = sum((mask[k] for k in range(lanes)), Signal(1))
    with m.If(fire):
        m.d.sync += used.eq(used + ones)
    place = Signal(8)  # of the followed value in the packed beat
    m.d.comb += place.eq(n - entered)
    with m.If(take):
        m.d.sync += entered.eq(entered + lanes)
        with m.If(place < lanes):
            m.d.sync += word.eq(Array(packed[k * bits : (k + 1) * bits] for k in range(lanes))[place])
    ahead = Signal(8)
    m.d.comb += [
        ahead.eq(n - used),
        Assert((entered - used)[:8] == dut.held),
        Assert(dut.held <= 2 * lanes),
    ]
    words = Array(dut.buffer[k * bits : (k + 1) * bits] for k in range(2 * lanes))
    with m.If(ahead < dut.held):
        m.d.comb += Assert(words[ahead[:4]] == word)
    fired, fired_mask, index = Signal(), Signal(lanes), Signal(8)
    with m.If(~dut.o.valid | dut.o.ready):
        m.d.sync += [fired.eq(fire), fired_mask.eq(mask), index.eq(ahead)]
    m.d.comb += Assert(dut.o.valid == fired)
    with m.If(dut.o.valid):
        for k in range(lanes):
            below = sum((fired_mask[j] for j in range(k)), Signal(1))
            with m.If(~fired_mask[k]):
                m.d.comb += Assert(dut.o.payload.v[k] == 0)
            with m.Elif(index == below):
                m.d.comb += Assert(Value.cast(dut.o.payload.v[k])[:bits] == word)
    return m, inputs


if __name__ == "__main__":
    home, name, target = sys.argv[1:]
    module, inputs = {"fifo": fifo, "decompressor": decompressor}[name]()
    files = [m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "rtl"]
    assert files, "nothing under proof"
    assert all(f.startswith(home) for f in files), "not the file under proof"
    Path(target).write_text(rtlil.convert(module, name="top", ports=inputs, emit_src=False))
