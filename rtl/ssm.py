"""The selective-state-update lanes and the FIFO of parent states.

A job is one token (or tree node) on one tile of channels: ``d_state / rows`` state elements of each channel pass
through the lanes each cycle. B and C of a token are taken from their stream by its first job and replayed for the
other tiles. dt, rate and x become decay and drive in a short pipeline ahead of the lanes:

    job ─► decay, dt*x, D*x (5 registers) ─► queue ─► state row ─► products ─► new state ─► products ─► sum ─► y
                                                        ▲                        │ (write-back)
                                                    state memory, FIFO of parents ◄┘

The state comes from the tile's memory, from the oldest live parent in the FIFO, or is zero; the new state is
committed to the memory, pushed to the FIFO, or dropped. Breadth-first order makes parents leave in the order they
came, so a token tree needs no other bookkeeping; committing the accepted path later replays it from kept inputs.

With one port the memory is read for a whole job and then written for a whole job (as LightMamba's HT_STATE), from a
row buffer; with two, both happen in one pass.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import reduce
from operator import add
from typing import ClassVar

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory

from hwsim.golden import fixed
from hwsim.timing import flip_flops, resources, stalls
from hwsim.timing import scan as timing
from hwsim.timing.memories import Placed
from rtl import functions
from rtl.base import Core, Ints, Parameters, Unit, Wire, require
from rtl.beat import Beat, u
from rtl.fixed_formats import FIXED, field, requantise
from rtl.jobs import FLAGS, FROM_FIFO, FROM_MEMORY, FROM_ZERO, chain_jobs

__all__ = ["Ssm"]


@dataclass(frozen=True)
class Ssm(Parameters):
    """Parameters of the lanes.

    Attributes:
        channels: channels of a tile (all of one head).
        rows: state elements of each channel per cycle; lanes = channels * rows.
        d_state: state elements of a channel.
        tiles: tiles whose state the memory holds.
        nodes: tokens whose B and C are kept.
        ports: 1 or 2 ports of the state memory.
        fifo: parent states that the FIFO holds; 0 leaves it out.
    """

    unit: ClassVar[str] = "ssm"
    corners: ClassVar[tuple[str, ...]] = ("saturate", "still", "vanish")

    channels: int = 2
    rows: int = 1
    d_state: int = 8
    tiles: int = 2
    nodes: int = 4
    ports: int = 2
    fifo: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        counts = (self.channels, self.rows, self.d_state, self.tiles, self.nodes)
        require(
            self.unit,
            (min(counts) >= 1, f"channels, rows, d_state, tiles, nodes = {counts}", "each at least 1"),
            (self.rows >= 1 and self.d_state % self.rows == 0, f"rows={self.rows}", f"a divisor of {self.d_state}"),
            (self.ports in {1, 2}, f"ports={self.ports}", "1 or 2"),
            (self.fifo >= 0, f"fifo={self.fifo}", "0 or more"),
        )

    @property
    def steps(self) -> int:
        """State rows of a job."""
        return self.d_state // self.rows

    @property
    def slots(self) -> int:
        """States that the memory holds: the tiles' and the FIFO's."""
        return self.tiles + self.fifo

    @property
    def sum_bits(self) -> int:
        """Bits of y before rounding."""
        return FIXED["state"].bits + FIXED["value"].bits + self.d_state.bit_length()

    def ports_in(self) -> dict[str, Beat]:
        """``i_job``: a token on a tile; ``i_bc``: ``rows`` elements of B and C of a fresh token."""
        job = (
            field("x", "value", self.channels),
            field("dt", "dt"),
            field("rate", "rate"),
            field("skip", "skip"),
            u("tile", max(1, (self.tiles - 1).bit_length())),
            u("node", max(1, (self.nodes - 1).bit_length())),
            u("source", 2),
            *(u(name, 1) for name in FLAGS[3:]),
        )
        return {
            "i_job": Beat(*job),
            "i_bc": Beat(field("b", "value", self.rows), field("c", "value", self.rows)),
        }

    def ports_out(self) -> dict[str, Beat]:
        """``o``: y of a job."""
        return {"o": Beat(field("y", "value", self.channels))}

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """Run the jobs in order: x (jobs, channels), b and c (fresh jobs, d_state), the others (jobs,), to y."""
        memory: dict[int, Ints] = {}
        fifo: list[Ints] = []
        kept: dict[int, tuple[Ints, Ints]] = {}
        fresh, y = iter(zip(inputs["b"], inputs["c"], strict=True)), []
        for k in range(len(inputs["x"])):
            job = {name: int(inputs[name][k]) for name in FLAGS}
            if job["fresh"]:
                kept[job["node"]] = next(fresh)
            if job["source"] == FROM_MEMORY:
                h = memory[job["tile"]]
            else:
                zero = np.zeros((self.channels, self.d_state), dtype=np.int64)
                h = fifo[0] if job["source"] == FROM_FIFO else zero
            x, dt, rate, skip = (inputs[name][k] for name in ("x", "dt", "rate", "skip"))
            decay, drive = fixed.ssm_inputs_fixed(x, dt, rate)
            new, out = fixed.ssm_step_fixed(h, decay, drive, *kept[job["node"]], skip, x)
            y.append(out)
            fifo = fifo[job["pop"] :] + [new] * job["push"]
            if job["commit"]:
                memory[job["tile"]] = new
        return {"y": np.array(y)}

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """A beat for each job; B and C of fresh jobs, ``rows`` elements a beat."""
        ports = self.ports_in()
        bc = {name: inputs[name].reshape(-1, self.rows) for name in ("b", "c")}
        return {"i_job": ports["i_job"].pack_all(inputs), "i_bc": ports["i_bc"].pack_all(bc)}

    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """A beat for each job."""
        return {"o": self.ports_out()["o"].pack_all(self.compute(inputs))}

    def draw(self, rng: np.random.Generator, corner: str = "", jobs: dict[str, Ints] | None = None) -> dict[str, Ints]:
        """Mamba-like tokens for the given jobs (default: a chain from zero, then a replay of it, then fresh tokens).

        Corners: ``saturate`` drives state and y to the ends; ``still`` has dt = 0; ``vanish`` has decay 0.
        """
        if jobs is None:
            ids = range(self.nodes)
            parts = [chain_jobs(ids, self.tiles, fresh=True, zero=True), chain_jobs(ids, self.tiles, fresh=False)]
            jobs = {name: np.concatenate([part[name] for part in parts]) for name in FLAGS}
        count, fresh = len(jobs["tile"]), int(jobs["fresh"].sum())
        q = {name: fixed.quantise for name in FIXED}
        scale = 40.0 if corner == "saturate" else 1.5
        out = dict(jobs)
        out["x"] = q["value"](rng.normal(0, scale, (count, self.channels)), FIXED["value"])
        out["b"] = q["value"](rng.normal(0, scale, (fresh, self.d_state)), FIXED["value"])
        out["c"] = q["value"](rng.normal(0, scale, (fresh, self.d_state)), FIXED["value"])
        out["dt"] = q["dt"](np.exp(rng.uniform(-7, 0, count)), FIXED["dt"])
        out["rate"] = q["rate"](rng.uniform(1, 16, count) * np.log2(np.e), FIXED["rate"])
        out["skip"] = q["skip"](rng.normal(0, 1.5, count), FIXED["skip"])
        if corner == "saturate":
            out["dt"] = np.full(count, FIXED["dt"].high)
            out["rate"] = np.ones(count, dtype=np.int64)
        if corner == "still":
            out["dt"] = rng.choice(np.array([0, FIXED["dt"].high]), count, p=[0.7, 0.3])
            out["rate"] = np.ones(count, dtype=np.int64)
        if corner == "vanish":
            out["dt"] = np.full(count, FIXED["dt"].high)
            out["rate"] = np.full(count, FIXED["rate"].high)
        return out

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """The first job's preparation, the jobs, and the last job's latency."""
        jobs = 1 if inputs is None else len(inputs["tile"])
        total = timing.scan_total_cycles(jobs, self.steps, ports=self.ports)
        return {
            "prepare": timing.PREPARE_CYCLES,
            "scan": total - timing.PREPARE_CYCLES - timing.LANE_CYCLES,
            "drain": timing.LANE_CYCLES,
        }

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """Jobs through preparation, queue and lanes."""
        return stalls.Scanning(inputs["fresh"].astype(bool).tolist(), self.steps, self.ports, "i_job", "i_bc")

    def dsp_blocks(self) -> int:
        """Three for each lane, two for each channel (dt*x, D*x), two for the decay; wide addresses."""
        addresses = resources.scan_address_dsp(self.slots, self.nodes, self.steps)
        return resources.scan_dsp(self.channels, self.rows) + addresses

    def _sizes(self) -> dict[str, int]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def memories(self) -> Placed:
        """The states, and the nodes' B and C."""
        return flip_flops.scan_memories(**{name: n for name, n in self._sizes().items() if name != "ports"})

    def flip_flops(self) -> int:
        """Preparation, sequencer, operands, lanes and write-back."""
        return flip_flops.scan_flip_flops(**self._sizes())

    def create(self) -> wiring.Component:
        """The hardware."""
        return SsmUnit(self)


class SsmUnit(Unit):
    """The lanes; see the module's docstring."""

    i_job: Wire
    i_bc: Wire
    o: Wire

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.idle = Signal()
        """No pass of the state memory runs."""

    def elaborate(self, platform: Wire) -> Module:
        """Wire preparation, sequencer, state memory and lanes."""
        p: Ssm = self.parameters  # type: ignore[assignment]
        m = Module()
        core = Core(m, self.o)
        prepare = Core(m, name="prepare")
        self._prepare(m, prepare, p)
        self._sequence(m, core, p)
        self._fifo(core, p)
        operands = self._operands(core, p)
        self._lanes(core, p, operands)
        return m

    def _prepare(self, m: Module, prepare: Core, p: Ssm) -> None:
        """Decay, drive and skip*x of each job, 5 registers and a queue ahead of the lanes.

        The registers never stop: a job is taken only while the queue has room for all that are on their way.
        """
        job, registers = self.i_job.payload, timing.PREPARE_CYCLES - 1
        taken, flight = Signal(), Signal(range(timing.QUEUE_JOBS + 1), name="jobs_in_flight")
        m.d.comb += [prepare.en.eq(1), self.i_job.ready.eq(flight != timing.QUEUE_JOBS)]
        m.d.comb += taken.eq(self.i_job.valid & self.i_job.ready)
        self.end = Signal()
        m.d.sync += flight.eq(flight + taken - self.end)
        parts = [functions.decay(prepare, job.dt, job.rate)]
        shift = FIXED["dt"].frac + FIXED["value"].frac - FIXED["drive"].frac
        for c in range(p.channels):
            drive = prepare.reg(job.dt * job.x[c], f"drive_product_{c}")
            drive = prepare.reg(requantise(drive, shift, "drive"), f"drive_{c}")
            parts.append(prepare.delay(drive, registers - 2, f"drive_{c}"))
            skip = prepare.reg(job.skip * job.x[c], f"skip_product_{c}")
            parts.append(prepare.delay(skip, registers - 1, f"skip_{c}"))
        parts += [prepare.delay(getattr(job, name), registers, name) for name in FLAGS]
        m.submodules.queue = queue = SyncFIFO(width=sum(len(Value.cast(x)) for x in parts), depth=timing.QUEUE_JOBS)
        m.d.comb += [
            queue.w_data.eq(Cat(parts)),
            queue.w_en.eq(prepare.delay(taken, registers, "job_valid")),
            queue.r_en.eq(self.end),
        ]
        self.valid, words, offset = queue.r_rdy, [], 0
        for part in parts:
            shape = Value.cast(part).shape()
            word = queue.r_data[offset : offset + shape.width]
            words.append(word.as_signed() if shape.signed else word)
            offset += shape.width
        self.decay, self.drive, self.skip = words[0], words[1 : 2 * p.channels : 2], words[2 : 2 * p.channels + 1 : 2]
        self.job = dict(zip(FLAGS, words[2 * p.channels + 1 :], strict=True))

    def _sequence(self, m: Module, core: Core, p: Ssm) -> None:
        """Issue the head's rows; then hold for the write pass (one port) or the first row's write-back."""
        rest = timing.scan_job_interval(p.steps, p.ports) - p.steps
        self.step, self.pause = Signal(range(p.steps)), Signal(range(rest + 1))
        self.fire = Signal()
        m.d.comb += [
            self.fire.eq(core.en & self.valid & (self.pause == 0) & (self.i_bc.valid | ~self.job["fresh"])),
            self.end.eq(self.fire & (self.step == p.steps - 1)),
            self.i_bc.ready.eq(self.fire & self.job["fresh"]),
            self.idle.eq((self.pause == 0) & (self.step == 0)),
        ]
        with core.m.If(self.end):
            core.m.d.sync += self.step.eq(0)
        with core.m.Elif(self.fire):
            core.m.d.sync += self.step.eq(self.step + 1)
        with core.m.If(self.end):
            core.m.d.sync += self.pause.eq(rest)
        with core.m.Elif(self.pause != 0):
            core.m.d.sync += self.pause.eq(self.pause - 1)

    def _fifo(self, core: Core, p: Ssm) -> None:
        """Slots of the FIFO's oldest state and of the next free one; where this job reads and writes."""
        self.read_slot, self.write_slot = Signal(range(p.slots)), Signal(range(p.slots))
        self.writes = self.job["commit"]
        if not p.fifo:
            core.m.d.comb += [self.read_slot.eq(self.job["tile"]), self.write_slot.eq(self.job["tile"])]
            return
        head, tail = Signal(range(p.fifo)), Signal(range(p.fifo))
        for pointer, moves in ((head, self.job["pop"]), (tail, self.job["push"])):
            with core.m.If(self.end & moves):
                core.m.d.sync += pointer.eq(Mux(pointer == p.fifo - 1, 0, pointer + 1))
        self.writes = self.job["commit"] | self.job["push"]
        core.m.d.comb += [
            self.read_slot.eq(Mux(self.job["source"] == FROM_FIFO, p.tiles + head, self.job["tile"])),
            self.write_slot.eq(Mux(self.job["push"], p.tiles + tail, self.job["tile"])),
        ]

    def _operands(self, core: Core, p: Ssm) -> tuple[list[Value], Wire]:
        """The state row and the B and C elements, one cycle after the issue."""
        self.state = Memory(shape=FIXED["state"].bits * p.channels * p.rows, depth=p.slots * p.steps, init=[])
        core.add("state", self.state)
        self.read = self.state.read_port()
        core.m.d.comb += [self.read.addr.eq(self.read_slot * p.steps + self.step), self.read.en.eq(1)]
        blank = core.reg(self.job["source"] == FROM_ZERO, "blank")
        bits = FIXED["state"].bits
        row = [Mux(blank, 0, self.read.data[k * bits : (k + 1) * bits]).as_signed() for k in range(p.channels * p.rows)]
        layout, word = self.i_bc.payload.shape(), Value.cast(self.i_bc.payload)
        kept = Memory(shape=word.shape(), depth=p.nodes * p.steps, init=[])
        core.add("bc", kept)
        write, read = kept.write_port(), kept.read_port()
        address = self.job["node"] * p.steps + self.step
        core.m.d.comb += [
            write.addr.eq(address),
            write.data.eq(word),
            write.en.eq(self.fire & self.job["fresh"]),
            read.addr.eq(address),
            read.en.eq(1),
        ]
        chosen = Signal(word.shape(), name="bc_chosen")
        core.m.d.comb += chosen.eq(Mux(core.reg(self.job["fresh"], "bc_fresh"), core.reg(word, "bc_taken"), read.data))
        return row, layout(chosen)

    def _lanes(self, core: Core, p: Ssm, operands: tuple[list[Value], Wire]) -> None:
        """Products, new state, products with C, sums and y."""
        row, bc = operands
        first, end = self.step == 0, self.end
        decay = core.reg(self.decay, "decay")
        product_frac = FIXED["decay"].frac + FIXED["state"].frac
        driven_shift = product_frac - FIXED["drive"].frac - FIXED["value"].frac
        c_late = [core.delay(bc.c[r], 2, f"c_{r}") for r in range(p.rows)]
        fresh_row: list[Value] = []
        for channel in range(p.channels):
            drive = core.reg(self.drive[channel], f"drive_{channel}")
            products = []
            for r in range(p.rows):
                name = f"{channel}_{r}"
                kept = core.reg(decay * row[channel * p.rows + r], f"kept_{name}")
                driven = core.reg(drive * bc.b[r], f"driven_{name}")
                total = kept + (driven << driven_shift)
                new = core.reg(requantise(total, FIXED["decay"].frac, "state"), f"new_{name}")
                fresh_row.append(new)
                products.append(core.reg(new * c_late[r], f"read_{name}"))
            self._output(core, p, channel, reduce(add, products), first)
        self._write(core, p, Cat(fresh_row))
        core.m.d.sync += self.o.valid.eq(core.delay(end, 5, "end"))

    def _output(self, core: Core, p: Ssm, channel: int, row_sum: Value, first: Value) -> None:
        """Accumulate y over the rows, starting from skip*x, and round it."""
        sum_frac = FIXED["state"].frac + FIXED["value"].frac
        skip = core.delay(self.skip[channel], 4, f"skip_row_{channel}")
        skip_shift = sum_frac - FIXED["skip"].frac - FIXED["value"].frac
        starts = core.delay(Cat(first, self.fire), 4, f"starts_{channel}")
        acc = Signal(signed(p.sum_bits), name=f"acc_{channel}")
        with core.m.If(starts[1]):
            core.m.d.sync += acc.eq(Mux(starts[0], skip << skip_shift, acc) + row_sum)
        core.m.d.sync += self.o.payload.y[channel].eq(requantise(acc, sum_frac - FIXED["value"].frac, "value"))

    def _write(self, core: Core, p: Ssm, new_row: Value) -> None:
        """Write-back: three cycles after the read (two ports), or in a pass of its own from a row buffer (one port)."""
        port = self.state.write_port()
        late = core.delay(Cat(self.fire & self.writes, self.step), 3, "write")
        slot = core.delay(self.write_slot, 3, "write_slot")
        if p.ports == 2:
            core.m.d.comb += [port.addr.eq(slot * p.steps + late[1:]), port.data.eq(new_row), port.en.eq(late[0])]
            return
        held = Memory(shape=len(new_row), depth=p.steps, init=[])
        core.add("row_buffer", held)
        fill, drain = held.write_port(), held.read_port(domain="comb")
        core.m.d.comb += [fill.addr.eq(late[1:]), fill.data.eq(new_row), fill.en.eq(late[0])]
        target, writes = Signal(range(p.slots), name="target"), Signal(name="target_writes")
        with core.m.If(self.end):
            core.m.d.sync += [target.eq(self.write_slot), writes.eq(self.writes)]
        active, row = Signal(name="write_pass"), Signal(range(p.steps), name="write_row")
        core.m.d.comb += [
            active.eq((self.pause != 0) & (self.pause <= p.steps)),
            row.eq(p.steps - self.pause),
            drain.addr.eq(row),
            port.addr.eq(target * p.steps + row),
            port.data.eq(drain.data),
            port.en.eq(active & writes),
        ]
