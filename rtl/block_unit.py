"""The hardware of the Mamba-2 block: its units and the streams between them (`rtl.mamba_block` has the parameters)."""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory

from hwsim.timing import block as timing
from rtl.base import Unit, Wire
from rtl.fixed_formats import FIXED, saturate
from rtl.glue import Fifo, Pack, Transpose, Unpack, link
from rtl.jobs import FROM_MEMORY, FROM_ZERO
from rtl.nonlinear import Gate, Softplus

if TYPE_CHECKING:
    from rtl.mamba_block import MambaBlock

__all__ = ["NODE_FIELDS", "MambaBlockUnit"]

NODE_FIELDS = ("source", "pop", "push", "commit", "slot", "ancestor", "blank")
"""Fields of a node's beat."""


class MambaBlockUnit(Unit):
    """The block; see the module's docstring."""

    i_node: Wire
    i_act: Wire
    i_in: Wire
    i_head: Wire
    i_tap: Wire
    i_gain: Wire
    i_out: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Wire the units and the streams between them."""
        p: MambaBlock = self.parameters  # type: ignore[assignment]
        m = Module()
        self.value_bits = FIXED["value"].bits * p.lanes
        for name in ("in_proj", "out_proj", "conv", "scan", "norm"):
            setattr(m.submodules, name, getattr(p, name).create())
        m.submodules.gate = Gate(lanes=p.lanes).create()
        m.submodules.softplus = Softplus(lanes=p.lanes).create()
        self._control(m, p)
        self._router(m, p)
        self._dt(m, p)
        self._convolved(m, p)
        self._job_former(m, p)
        self._behind_the_scan(m, p)
        return m

    def _control(self, m: Module, p: MambaBlock) -> None:
        """A step: the node table, the run until the last output, and the replay of the accepted path."""
        layout = self.i_node.payload.shape()
        self.nodes = Array(Signal(layout, name=f"node_{k}") for k in range(p.nodes))
        table = [Signal.like(Value.cast(node), name=f"table_{k}") for k, node in enumerate(self.nodes)]
        count, running, feeding = Signal(range(p.nodes)), Signal(), Signal()
        self.replaying, self.accepting = Signal(), Signal()
        idle = m.submodules.scan.idle  # a write pass may outlast the step's outputs
        m.d.comb += self.i_node.ready.eq(~running & ~self.replaying & ~self.accepting & idle)
        taken = self.i_node.valid & self.i_node.ready
        with m.If(taken):
            m.d.sync += count.eq(Mux(count == p.nodes - 1, 0, count + 1))
            with m.If(count == p.nodes - 1):
                m.d.sync += [running.eq(1), feeding.eq(1)]
        for k, row in enumerate(table):
            m.d.comb += Value.cast(self.nodes[k]).eq(row)
            with m.If(taken & (count == k)):
                m.d.sync += row.eq(Value.cast(self.i_node.payload))
        core = m.submodules.in_proj
        beats = len(p.order) * p.in_proj.steps
        fed = Signal(range(beats), name="weights_fed")
        with m.If(self.i_in.valid & self.i_in.ready):
            m.d.sync += fed.eq(Mux(fed == beats - 1, 0, fed + 1))
            with m.If(fed == beats - 1):
                m.d.sync += feeding.eq(0)
        for outer, inner in ((self.i_act, core.i_act), (self.i_in, core.i_weight)):
            m.d.comb += [
                Value.cast(inner.payload).eq(Value.cast(outer.payload)),
                inner.valid.eq(outer.valid & feeding),
                outer.ready.eq(inner.ready & feeding),
            ]
        with m.If(self.o.valid & self.o.ready & self.o.payload.last):
            m.d.sync += [running.eq(0), self.accepting.eq(p.speculative)]

    def _router(self, m: Module, p: MambaBlock) -> None:
        """in_proj's tiles, by the interleaved order, to conv and dt (node by node) and to z (whole)."""
        wide = self.value_bits * p.nodes
        m.submodules.projected = projected = Fifo(wide, len(p.order))
        core = m.submodules.in_proj
        m.d.comb += [
            projected.i.payload.eq(Value.cast(core.o.payload.y)),
            projected.i.valid.eq(core.o.valid),
            core.o.ready.eq(projected.i.ready),
        ]
        kinds = [kind for kind, _ in p.order]
        position, end = Signal(range(len(kinds))), Signal()
        with m.If(end):
            m.d.sync += position.eq(Mux(position == len(kinds) - 1, 0, position + 1))
        to_z, to_dt = Signal(), Signal()
        with m.Switch(position):
            for k, kind in enumerate(kinds):
                with m.Case(k):
                    m.d.comb += [to_z.eq(kind == timing.GATE), to_dt.eq(kind == timing.DT)]
        m.submodules.split = split = Unpack(self.value_bits, p.nodes)
        m.submodules.z_tiles = z_tiles = Fifo(wide, p.tiles)
        m.d.comb += [
            split.i.payload.eq(projected.o.payload),
            z_tiles.i.payload.eq(projected.o.payload),
            split.i.valid.eq(projected.o.valid & ~to_z),
            z_tiles.i.valid.eq(projected.o.valid & to_z),
            projected.o.ready.eq(Mux(to_z, z_tiles.i.ready, split.i.ready)),
            end.eq(projected.o.valid & projected.o.ready),
        ]
        self.split, self.to_dt, self.z_tiles = split.o, to_dt, z_tiles.o

    def _dt(self, m: Module, p: MambaBlock) -> None:
        """Bias and softplus; a group's dt, rate and skip wait together until its x tiles are through."""
        soft, head = m.submodules.softplus, self.i_head.payload
        layout = data.ArrayLayout(FIXED["value"].bits, p.lanes)
        x = layout(self.split.payload)
        for k in range(p.lanes):
            m.d.comb += soft.i.payload.x[k].eq(saturate(x[k].as_signed() + head.bias[k], "value"))
        bits = FIXED["dt"].bits * p.lanes
        m.submodules.dt_pack = pack = Pack(bits, p.nodes)
        m.submodules.groups = groups = Fifo(bits * p.nodes, max(2, p.heads // p.lanes))
        link(m, soft.o, pack.i)
        link(m, pack.o, groups.i)
        parameters = Value.cast(Cat(Value.cast(head.rate), Value.cast(head.skip)))
        m.submodules.head_parameters = kept = Fifo(len(parameters), max(2, p.heads // p.lanes))
        node = Signal(range(p.nodes), name="dt_node")
        end = node == p.nodes - 1
        go = self.split.valid & self.to_dt & self.i_head.valid & (kept.i.ready | ~end)
        m.d.comb += [
            soft.i.valid.eq(go),
            kept.i.payload.eq(parameters),
            kept.i.valid.eq(go & soft.i.ready & end),
            self.i_head.ready.eq(go & soft.i.ready & end),
        ]
        with m.If(soft.i.valid & soft.i.ready):
            m.d.sync += node.eq(Mux(end, 0, node + 1))
        self.groups, self.head_parameters, self.dt_go = groups.o, kept.o, go

    def _convolved(self, m: Module, p: MambaBlock) -> None:
        """The convolution over B, C and x; B and C to their store, x to the jobs."""
        conv = m.submodules.conv
        tile, node = Signal(range(p.conv.tiles), name="conv_tile"), Signal(range(p.nodes), name="conv_node")
        control = self.nodes[node]
        i = conv.i.payload
        m.d.comb += [
            Value.cast(i.x).eq(self.split.payload),
            i.tile.eq(tile),
            i.slot.eq(control.slot),
            Value.cast(i.ancestor).eq(Value.cast(control.ancestor)),
            Value.cast(i.blank).eq(Value.cast(control.blank)),
            i.fresh.eq(node == 0),
            conv.i.valid.eq(self.split.valid & ~self.to_dt),
            self.split.ready.eq(Mux(self.to_dt, self.dt_go & m.submodules.softplus.i.ready, conv.i.ready)),
        ]
        self._count(m, conv.i, node, tile, p.nodes, p.conv.tiles)
        link(m, self.i_tap, conv.i_tap)
        out_tile, out_node = Signal(range(p.conv.tiles), name="out_tile"), Signal(range(p.nodes), name="out_node")
        self._count(m, conv.o, out_node, out_tile, p.nodes, p.conv.tiles)
        to_store = out_tile < p.state_tiles
        m.submodules.x_beats = x_beats = Fifo(self.value_bits, p.tiles * p.nodes)
        store_ready = self._store(m, p, conv.o, to_store)
        m.d.comb += [
            x_beats.i.payload.eq(Value.cast(conv.o.payload)),
            x_beats.i.valid.eq(conv.o.valid & ~to_store),
            conv.o.ready.eq(Mux(to_store, store_ready, x_beats.i.ready)),
        ]
        self.x_beats = x_beats.o

    @staticmethod
    def _count(m: Module, port: Wire, inner: Value, outer: Value, inners: int, outers: int) -> None:
        """Count a stream's transfers as (outer, inner)."""
        with m.If(port.valid & port.ready):
            m.d.sync += inner.eq(Mux(inner == inners - 1, 0, inner + 1))
            with m.If(inner == inners - 1):
                m.d.sync += outer.eq(Mux(outer == outers - 1, 0, outer + 1))

    def _store(self, m: Module, p: MambaBlock, port: Wire, mine: Value) -> Value:
        """B and C of all nodes, kept as they come tile by tile, given to the scan node by node."""
        half, scan = p.state_tiles // 2 * p.nodes, m.submodules.scan
        banks = []
        filled, draining = Signal(range(2 * half + 1), name="store_filled"), Signal(name="store_draining")
        word, part = Signal(range(half), name="store_word"), Signal(range(p.lanes // p.rows), name="store_part")
        node, tile = Signal(range(p.nodes), name="store_node"), Signal(range(p.state_tiles // 2), name="store_tile")
        m.d.comb += word.eq(tile * p.nodes + node)
        for k, name in enumerate(("b_bank", "c_bank")):
            bank = Memory(shape=self.value_bits, depth=half, init=[])
            setattr(m.submodules, name, bank)
            write, read = bank.write_port(), bank.read_port(domain="comb")
            m.d.comb += [
                write.addr.eq(filled - k * half),
                write.data.eq(Value.cast(port.payload)),
                write.en.eq(port.valid & mine & ~draining & (filled >= k * half) & (filled < (k + 1) * half)),
                read.addr.eq(word),
            ]
            banks.append(read.data.word_select(part, FIXED["value"].bits * p.rows))
        with m.If(port.valid & mine & ~draining):
            m.d.sync += filled.eq(filled + 1)
            with m.If(filled == 2 * half - 1):
                m.d.sync += [filled.eq(0), draining.eq(1)]
        m.d.comb += [Value.cast(scan.i_bc.payload).eq(Cat(banks)), scan.i_bc.valid.eq(draining)]
        last_part, last_tile = part == p.lanes // p.rows - 1, tile == p.state_tiles // 2 - 1
        with m.If(scan.i_bc.valid & scan.i_bc.ready):
            m.d.sync += part.eq(Mux(last_part, 0, part + 1))
            with m.If(last_part):
                m.d.sync += tile.eq(Mux(last_tile, 0, tile + 1))
                with m.If(last_tile):
                    m.d.sync += node.eq(Mux(node == p.nodes - 1, 0, node + 1))
                    with m.If(node == p.nodes - 1):
                        m.d.sync += draining.eq(0)
        return ~draining

    def _job_former(self, m: Module, p: MambaBlock) -> None:
        """x, its group's dt, rate and skip, and its node's control become a job."""
        scan = m.submodules.scan
        tile, node = Signal(range(p.tiles), name="job_tile"), Signal(range(p.nodes), name="job_node")
        head = Signal(range(p.lanes), name="job_head")
        in_head = Signal(range(p.head_dim // p.lanes), name="job_tile_of_head")
        job = Signal(scan.i_job.payload.shape(), name="fresh_job")
        dt_words = self.groups.payload.word_select(node * p.lanes + head, FIXED["dt"].bits)
        rates = self.head_parameters.payload[: FIXED["rate"].bits * p.lanes]
        skips = self.head_parameters.payload[FIXED["rate"].bits * p.lanes :]
        control = self.nodes[node]
        m.d.comb += [
            Value.cast(job.x).eq(self.x_beats.payload),
            job.dt.eq(dt_words),
            job.rate.eq(rates.word_select(head, FIXED["rate"].bits)),
            job.skip.eq(skips.word_select(head, FIXED["skip"].bits)),
            job.tile.eq(tile),
            job.node.eq(node),
            job.fresh.eq(tile == 0),
            *(getattr(job, name).eq(getattr(control, name)) for name in NODE_FIELDS[:4]),
        ]
        ready = Signal(name="job_ready")
        there = self.x_beats.valid & self.groups.valid & self.head_parameters.valid
        taken = Signal(name="job_taken")
        last_node, last_tile = node == p.nodes - 1, in_head == p.head_dim // p.lanes - 1
        group_end = taken & last_node & last_tile & (head == p.lanes - 1)
        m.d.comb += [
            taken.eq(there & ready),
            self.x_beats.ready.eq(taken),
            self.groups.ready.eq(group_end),
            self.head_parameters.ready.eq(group_end),
        ]
        with m.If(taken):
            m.d.sync += node.eq(Mux(last_node, 0, node + 1))
            with m.If(last_node):
                m.d.sync += [tile.eq(Mux(tile == p.tiles - 1, 0, tile + 1)), in_head.eq(Mux(last_tile, 0, in_head + 1))]
                with m.If(last_tile):
                    m.d.sync += head.eq(Mux(head == p.lanes - 1, 0, head + 1))
        if not p.speculative:
            m.d.comb += [scan.i_job.payload.eq(job), scan.i_job.valid.eq(there), ready.eq(scan.i_job.ready)]
            return
        replayed, valid = self._replay(m, p, job, taken, tile * p.nodes + node)
        m.d.comb += [
            scan.i_job.payload.eq(Mux(self.replaying, Value.cast(replayed), Value.cast(job))),
            scan.i_job.valid.eq(Mux(self.replaying, valid, there)),
            ready.eq(scan.i_job.ready & ~self.replaying),
        ]

    def _replay(self, m: Module, p: MambaBlock, job: Wire, taken: Value, address: Value) -> tuple[Wire, Value]:
        """Keep every job of the step; give those of the accepted path again, tile by tile, to be committed."""
        scan, path = m.submodules.scan, [Signal(range(p.nodes), name=f"path_{k}") for k in range(p.nodes)]
        accept: Wire = self.i_accept
        length, zero = Signal(range(p.nodes + 1), name="path_nodes"), Signal(name="path_from_zero")
        tile, step = Signal(range(p.tiles), name="replay_tile"), Signal(range(p.nodes), name="replay_step")
        sent, seen = Signal(name="replay_sent"), Signal(range(p.tiles * p.nodes + 1), name="replay_outputs")
        m.d.comb += accept.ready.eq(self.accepting & scan.idle)
        with m.If(accept.valid & accept.ready):
            m.d.sync += [length.eq(length + 1), zero.eq(accept.payload.zero)]
            with m.Switch(length):
                for k, node in enumerate(path):
                    with m.Case(k):
                        m.d.sync += node.eq(accept.payload.node)
            with m.If(accept.payload.last):
                m.d.sync += [self.accepting.eq(0), self.replaying.eq(1)]
        kept = Memory(shape=Value.cast(job).shape(), depth=p.tiles * p.nodes, init=[])
        m.submodules.kept_jobs = kept
        write, read = kept.write_port(), kept.read_port(domain="comb")
        node = Array(path)[step]
        m.d.comb += [
            write.addr.eq(address),
            write.data.eq(Value.cast(job)),
            write.en.eq(taken),
            read.addr.eq(tile * p.nodes + node),
        ]
        out = Signal(job.shape(), name="replayed_job")
        kept_job = job.shape()(read.data)
        first = step == 0
        m.d.comb += out.eq(kept_job)
        for name, value in (
            ("source", Mux(zero & first, FROM_ZERO, FROM_MEMORY)),
            ("fresh", 0),
            ("pop", 0),
            ("push", 0),
            ("commit", 1),
        ):
            m.d.comb += getattr(out, name).eq(value)
        end = step == length - 1
        with m.If(self.replaying & ~sent & scan.i_job.ready):
            m.d.sync += step.eq(Mux(end, 0, step + 1))
            with m.If(end):
                m.d.sync += tile.eq(Mux(tile == p.tiles - 1, 0, tile + 1))
                with m.If(tile == p.tiles - 1):
                    m.d.sync += sent.eq(1)
        with m.If(self.replaying & scan.o.valid):
            m.d.sync += seen.eq(seen + 1)
            with m.If(seen == length * p.tiles - 1):
                m.d.sync += [seen.eq(0), sent.eq(0), length.eq(0), self.replaying.eq(0)]
        return out, ~sent

    def _behind_the_scan(self, m: Module, p: MambaBlock) -> None:
        """Y gated by z, normalised token by token, projected."""
        scan, gate, norm, core = (m.submodules[name] for name in ("scan", "gate", "norm", "out_proj"))
        act_bits = FIXED["act"].bits * p.lanes
        m.submodules.y_beats = y_beats = Fifo(self.value_bits, p.tiles * p.nodes)
        m.d.comb += [
            y_beats.i.payload.eq(Value.cast(scan.o.payload)),
            y_beats.i.valid.eq(scan.o.valid & ~self.replaying),
            scan.o.ready.eq(y_beats.i.ready | self.replaying),
        ]
        m.submodules.z_split = z_split = Unpack(self.value_bits, p.nodes)
        m.submodules.by_node = by_node = Transpose(self.value_bits, p.tiles, p.nodes)
        m.submodules.by_tile = by_tile = Transpose(act_bits, p.nodes, p.tiles)
        m.submodules.act_pack = pack = Pack(act_bits, p.nodes)
        link(m, y_beats.o, gate.i)
        link(m, self.z_tiles, z_split.i)
        link(m, z_split.o, gate.i_z)
        link(m, gate.o, by_node.i)
        link(m, by_node.o, norm.i)
        link(m, self.i_gain, norm.i_gain)
        m.d.comb += [
            by_tile.i.payload.eq(Value.cast(norm.o.payload.y)),
            by_tile.i.valid.eq(norm.o.valid),
            norm.o.ready.eq(by_tile.i.ready),
        ]
        link(m, by_tile.o, pack.i)
        link(m, pack.o, core.i_act)
        link(m, self.i_out, core.i_weight)
        link(m, core.o, self.o)
