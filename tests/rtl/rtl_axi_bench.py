"""Benches for the AXI edges: an ideal memory that counts cycles, and cocotbext-axi's models with pauses."""

import itertools
import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

PLAN = json.loads(Path(os.environ.get("RTL_PLAN", "/dev/null")).read_text() or "{}")


def pauses(seed):
    rng = random.Random(seed)
    return (rng.random() < 0.3 for _ in itertools.count())


async def reset(dut):
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


@cocotb.test()
async def axis_round(dut):
    """Frames through a wrapped unit, sources and sinks pausing."""
    from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

    dut.rst.value = 1
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_i"), dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_o"), dut.clk, dut.rst)
    await reset(dut)
    source.set_pause_generator(pauses(1))
    sink.set_pause_generator(pauses(2))
    for beat in PLAN["in"]:
        await source.send(AxiStreamFrame(bytes.fromhex(beat)))
    got = []
    for _ in range(20000):
        await RisingEdge(dut.clk)
        while not sink.empty():
            got.append(bytes(sink.recv_nowait()).hex())
        if len(got) >= PLAN["count"]:
            break
    Path(os.environ["RTL_OUTCOME"]).write_text(json.dumps({"out": got}))


@cocotb.test()
async def read_from_ram(dut):
    """Requests read through cocotbext-axi's RAM with pauses on every channel."""
    from cocotbext.axi import AxiRamRead, AxiReadBus

    dut.rst.value = 1
    ram = AxiRamRead(AxiReadBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=PLAN["ram_bytes"])
    ram.write(0, bytes.fromhex(PLAN["ram"]))
    dut.i__valid.value = 0
    dut.o__ready.value = 0
    await reset(dut)
    ram.ar_channel.set_pause_generator(pauses(3))
    ram.r_channel.set_pause_generator(pauses(4))
    rng, got, requests = random.Random(5), [], list(PLAN["requests"])
    for _ in range(20000):
        if requests:
            address, beats = requests[0]
            dut.i__payload.value = address | beats << PLAN["address_bits"]
        dut.i__valid.value = int(bool(requests))
        dut.o__ready.value = int(rng.random() < 0.7)
        await Timer(4, "ns")
        if int(dut.o__valid.value) and int(dut.o__ready.value):
            got.append(f"{int(dut.o__payload.value):x}")
        taken = requests and int(dut.i__ready.value)
        await RisingEdge(dut.clk)
        requests = requests[1:] if taken else requests
        if len(got) >= PLAN["count"]:
            break
    Path(os.environ["RTL_OUTCOME"]).write_text(json.dumps({"out": got}))


@cocotb.test()
async def read_ideal(dut):
    """An ideal memory: bursts and cycles are recorded."""
    dut.clk.value = 0
    dut.rst.value = 1
    dut.i__valid.value = dut.m_axi_rvalid.value = 0
    dut.m_axi_arready.value = dut.o__ready.value = 1
    for level in (0, 1) * 3:
        dut.clk.value = level
        await Timer(5, "ns")
    dut.rst.value = 0
    queue, bursts, got, first, last = [], [], 0, None, None
    for cycle in range(5000):
        dut.clk.value = 0
        dut.i__valid.value = int(first is None)
        dut.i__payload.value = PLAN["address"] | PLAN["beats"] << PLAN["address_bits"]
        answer = bool(queue) and queue[0] <= cycle
        dut.m_axi_rvalid.value = int(answer)
        await Timer(5, "ns")
        if first is None and int(dut.i__ready.value):
            first = cycle
        if int(dut.m_axi_arvalid.value):
            beats = int(dut.m_axi_arlen.value) + 1
            bursts.append([int(dut.m_axi_araddr.value), beats])
            queue += [cycle + PLAN["memory_cycles"]] * beats
        if answer and int(dut.m_axi_rready.value):
            queue.pop(0)
        if int(dut.o__valid.value):
            got, last = got + 1, cycle
        dut.clk.value = 1
        await Timer(5, "ns")
        if got == PLAN["beats"]:
            break
    Path(os.environ["RTL_OUTCOME"]).write_text(json.dumps({"bursts": bursts, "cycles": last - first + 1, "beats": got}))
