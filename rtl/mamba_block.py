"""The whole Mamba-2 block as one streaming top: in_proj, conv, dt, scan, gate, norm, out_proj.

    act ─► in_proj ─► router ─┬─► conv+SiLU ─┬─► B, C store ─────────► scan ─► gate ─► norm ─► out_proj ─► o
                              │              └─► x ─► jobs ────────────┘  ▲      ▲
                              ├─► softplus(dt + bias) ─────┘              │      │
                              └─► z ──────────────────────────────────────┼──────┘
                                                        FIFO of parents ◄─┘

A step runs ``nodes`` tokens: the linear layers take them all at once (weights are read once), the scan takes them one
after the other, inside each tile of channels. Output tiles of in_proj come in LightMamba's interleaved order, so that
the scan of a tile hides behind the next tiles' in_proj. With ``speculative`` the nodes form a tree that is verified
without touching the committed state; the host then names the accepted path, which is replayed from the kept inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory

from hwsim.golden import fixed
from hwsim.timing import block as timing
from hwsim.timing.scan import parent_fifo_peak
from rtl.base import Ints, Parameters, Unit, Wire, require
from rtl.beat import Beat, u
from rtl.conv import TAPS, Conv, window_jobs
from rtl.fixed_formats import FIXED, field, saturate
from rtl.glue import Fifo, Pack, Transpose, Unpack, link
from rtl.linear import Linear
from rtl.nonlinear import Gate, Softplus
from rtl.norm import Norm
from rtl.ssm import FROM_MEMORY, FROM_ZERO, Ssm, chain_jobs, tree_jobs

__all__ = ["MambaBlock", "Speculative"]

_NODE = ("source", "pop", "push", "commit", "slot", "ancestor", "blank")


@dataclass(frozen=True)
class MambaBlock(Parameters):
    """Parameters of the block; see `hwsim.timing.block.BlockShape` for the shape's words.

    Attributes:
        lanes: channels per beat (CIP = COP = lanes).
        d_model: width of the block's input and output.
        heads: heads.
        head_dim: channels of a head.
        d_state: state elements of a channel.
        nodes: tokens of a step.
        rows: state elements of each channel that the scan takes per cycle.
        ports: ports of the state memory.
        fifo: parent states that the scan's FIFO holds.
        weight_bits: bits of a weight.
        in_shift: right shift of in_proj's rounded output.
        out_shift: right shift of out_proj's rounded output.
    """

    unit: ClassVar[str] = "mamba_block"
    speculative: ClassVar[bool] = False

    lanes: int = 2
    d_model: int = 8
    heads: int = 2
    head_dim: int = 4
    d_state: int = 4
    nodes: int = 1
    rows: int = 1
    ports: int = 2
    fifo: int = 0
    weight_bits: int = 8
    in_shift: int = 3
    out_shift: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        n = self.lanes
        require(
            self.unit,
            (self.d_model % n == 0, f"d_model={self.d_model}", f"a multiple of lanes ({n})"),
            (self.head_dim % n == 0, f"head_dim={self.head_dim}", f"a multiple of lanes ({n})"),
            (self.d_state % n == 0, f"d_state={self.d_state}", f"a multiple of lanes ({n})"),
            (self.heads % n == 0, f"heads={self.heads}", f"a multiple of lanes ({n})"),
            (self.rows >= 1 and n % self.rows == 0, f"rows={self.rows}", f"a divisor of lanes ({n})"),
            (self.nodes >= 1, f"nodes={self.nodes}", "1 or more"),
        )

    @property
    def shape(self) -> timing.BlockShape:
        """What the timing depends on."""
        return timing.BlockShape(
            self.lanes, self.d_model, self.heads, self.head_dim, self.d_state, self.nodes, self.rows, self.ports
        )

    @property
    def order(self) -> list[tuple[str, int]]:
        """in_proj's output tiles."""
        return timing.in_proj_order(self.shape)

    @property
    def d_inner(self) -> int:
        """Channels of the scan."""
        return self.heads * self.head_dim

    @property
    def tiles(self) -> int:
        """Tiles of inner channels."""
        return self.d_inner // self.lanes

    @property
    def state_tiles(self) -> int:
        """Tiles of B and C."""
        return 2 * self.d_state // self.lanes

    @property
    def slots(self) -> int:
        """Convolution slots: a step's nodes and the history before it."""
        return self.nodes + TAPS - 1

    def _linear(self, k: int, n: int, shift: int) -> Linear:
        return Linear(
            tp=self.nodes,
            cip=self.lanes,
            cop=self.lanes,
            k=k,
            n=n,
            tokens=self.nodes,
            weight_bits=self.weight_bits,
            out_shift=shift,
            out_bits=FIXED["value"].bits,
        )

    @property
    def in_proj(self) -> Linear:
        """The input projection; its rows are already in the interleaved order."""
        return self._linear(self.d_model, len(self.order) * self.lanes, self.in_shift)

    @property
    def out_proj(self) -> Linear:
        """The output projection."""
        return self._linear(self.d_inner, self.d_model, self.out_shift)

    @property
    def conv(self) -> Conv:
        """The convolution over B, C and x."""
        return Conv(lanes=self.lanes, tiles=self.state_tiles + self.tiles, slots=self.slots)

    @property
    def scan(self) -> Ssm:
        """The scan lanes."""
        return Ssm(
            channels=self.lanes,
            rows=self.rows,
            d_state=self.d_state,
            tiles=self.tiles,
            nodes=self.nodes,
            ports=self.ports,
            fifo=self.fifo,
        )

    @property
    def norm(self) -> Norm:
        """The norm behind the gate."""
        return Norm(channels=self.d_inner, lanes=self.lanes)

    def node_beat(self) -> Beat:
        """``i_node``: where a node's state comes from and goes to, and its window."""
        fields = {f.name: f for port in (self.scan.ports_in()["i_job"], self.conv.ports_in()["i"]) for f in port.fields}
        return Beat(*(fields[name] for name in _NODE))

    def ports_in(self) -> dict[str, Beat]:
        """Nodes, activations, weights of both projections, head parameters, taps, gains."""
        head = Beat(
            field("bias", "value", self.lanes), field("rate", "rate", self.lanes), field("skip", "skip", self.lanes)
        )
        ports = {
            "i_node": self.node_beat(),
            "i_act": self.in_proj.ports_in()["i_act"],
            "i_in": self.in_proj.ports_in()["i_weight"],
            "i_head": head,
            "i_tap": self.conv.ports_in()["i_tap"],
            "i_gain": self.norm.ports_in()["i_gain"],
            "i_out": self.out_proj.ports_in()["i_weight"],
        }
        if self.speculative:
            ports["i_accept"] = Beat(u("node", max(1, (self.nodes - 1).bit_length())), u("zero", 1), u("last", 1))
        return ports

    def ports_out(self) -> dict[str, Beat]:
        """``o``: out_proj's tiles."""
        return {"o": self.out_proj.ports_out()["o"]}

    def _split(self, projected: Ints) -> dict[str, Ints]:
        """in_proj's columns (nodes, n) by kind, each (nodes, tiles, lanes)."""
        tiles = projected.reshape(self.nodes, -1, self.lanes)
        out = {}
        for kind in (timing.CONV, timing.DT, timing.GATE):
            out[kind] = tiles[:, [k for k, (name, _) in enumerate(self.order) if name == kind]]
        return out

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """Steps one after the other: act (steps, nodes, d_model) and the parameters to y (steps, nodes, d_model)."""
        steps, n = len(inputs["act"]), self.nodes
        projected = self.in_proj.compute({"act": inputs["act"], "weight": inputs["w_in"]})["y"]
        parts = [self._split(p) for p in projected]
        convolved = self._convolve(inputs, parts)
        jobs, kept = self._jobs(inputs, parts, convolved)
        y = self.scan.compute(jobs)["y"][kept].reshape(steps, self.tiles, n, self.lanes)
        z = np.array([np.moveaxis(part[timing.GATE], 0, 1) for part in parts])
        gated = np.moveaxis(fixed.gate_fixed(y, z), 2, 1).reshape(steps, n, self.d_inner)
        act = np.array([self.norm.compute({"x": g, "gain": inputs["gain"]})["y"] for g in gated])
        return {"y": self.out_proj.compute({"act": act, "weight": inputs["w_out"]})["y"], "act": act}

    def _convolve(self, inputs: Mapping[str, Ints], parts: list[dict[str, Ints]]) -> Ints:
        """Outputs of the convolution, (steps, tiles, nodes, lanes)."""
        steps, tiles = len(parts), self.conv.tiles
        control = [self._window(inputs, step) for step in range(steps)]
        jobs = {name: np.concatenate([c[name] for c in control]) for name in control[0]}
        x = np.array([np.moveaxis(part[timing.CONV], 0, 1) for part in parts]).reshape(-1, self.lanes)
        taps = {name: np.concatenate([inputs[name]] * steps) for name in ("taps", "bias")}
        return self.conv.compute({**jobs, "x": x, **taps})["y"].reshape(steps, tiles, self.nodes, self.lanes)

    def _window(self, inputs: Mapping[str, Ints], step: int) -> dict[str, Ints]:
        """The convolution's control fields of a step."""
        tiles, n = self.conv.tiles, self.nodes
        return {
            "tile": np.repeat(np.arange(tiles), n),
            "fresh": np.tile(np.arange(n) == 0, tiles).astype(np.int64),
            "slot": np.tile(inputs["slot"][step], tiles),
            "ancestor": np.tile(inputs["ancestor"][step], (tiles, 1)),
            "blank": np.tile(inputs["blank"][step], (tiles, 1)),
        }

    def _jobs(
        self, inputs: Mapping[str, Ints], parts: list[dict[str, Ints]], convolved: Ints
    ) -> tuple[dict[str, Ints], Ints]:
        """The scan's jobs of all steps (replays included), and which of them give outputs."""
        rows: dict[str, list[Ints]] = {}
        kept: list[bool] = []
        for step, part in enumerate(parts):
            dt_in = saturated_sum(np.moveaxis(part[timing.DT], 0, 1), inputs["head_bias"].reshape(-1, 1, self.lanes))
            dt = np.moveaxis(fixed.softplus_fixed(dt_in), 1, 2).reshape(self.heads, self.nodes)
            head = np.arange(self.tiles) * self.lanes // self.head_dim
            whole = {
                "x": convolved[step, self.state_tiles :].reshape(-1, self.lanes),
                "dt": dt[head].reshape(-1),
                "rate": np.repeat(inputs["rate"].reshape(-1)[head], self.nodes),
                "skip": np.repeat(inputs["skip"].reshape(-1)[head], self.nodes),
                "tile": np.repeat(np.arange(self.tiles), self.nodes),
                "node": np.tile(np.arange(self.nodes), self.tiles),
            }
            control = {name: np.tile(inputs[name][step], self.tiles) for name in _NODE[:4]}
            control["fresh"] = (whole["tile"] == 0).astype(np.int64)
            _extend(rows, {**whole, **control})
            kept += [True] * len(whole["tile"])
            if self.speculative:
                _extend(rows, self._replay(inputs, step, whole))
                kept += [False] * (len(inputs["accepted"][step]) * self.tiles)
        jobs = {name: np.concatenate(values) for name, values in rows.items()}
        bc = np.moveaxis(convolved[:, : self.state_tiles], 2, 1).reshape(len(parts), self.nodes, 2, self.d_state)
        jobs["b"], jobs["c"] = (bc[:, :, k].reshape(-1, self.d_state) for k in range(2))
        return jobs, np.array(kept)

    def _replay(self, inputs: Mapping[str, Ints], step: int, whole: dict[str, Ints]) -> dict[str, Ints]:
        """The jobs that commit a step's accepted path."""
        accepted = inputs["accepted"][step]
        control = chain_jobs(accepted, self.tiles, fresh=False, zero=bool(inputs["zero"][step]))
        index = control["tile"] * self.nodes + control["node"]
        return {**{name: whole[name][index] for name in ("x", "dt", "rate", "skip")}, **control}

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """Beats of all steps; parameters are streamed again for each."""
        ports, steps = self.ports_in(), len(inputs["act"])
        first = self.in_proj.encode({"act": inputs["act"], "weight": inputs["w_in"]})
        zero_act = np.zeros((steps, self.nodes, self.d_inner), dtype=np.int64)
        second = self.out_proj.encode({"act": zero_act, "weight": inputs["w_out"]})
        nodes = {name: inputs[name].reshape(-1, *inputs[name].shape[2:]) for name in _NODE}
        heads = {"bias": "head_bias", "rate": "rate", "skip": "skip"}
        gain = np.tile(inputs["gain"], steps * self.nodes).reshape(-1, self.lanes)
        beats = {
            "i_node": ports["i_node"].pack_all(nodes),
            "i_act": first["i_act"],
            "i_in": first["i_weight"],
            "i_head": ports["i_head"].pack_all({f: inputs[name] for f, name in heads.items()}) * steps,
            "i_tap": ports["i_tap"].pack_all(inputs) * steps,
            "i_gain": ports["i_gain"].pack_all({"gain": gain}),
            "i_out": second["i_weight"],
        }
        if self.speculative:
            rows = [
                {"node": node, "zero": zero, "last": k == len(path) - 1}
                for path, zero in zip(inputs["accepted"], inputs["zero"], strict=True)
                for k, node in enumerate(path)
            ]
            beats["i_accept"] = [ports["i_accept"].pack(row) for row in rows]
        return beats

    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """Output tiles of all steps."""
        return self.out_proj.expect({"act": self.compute(inputs)["act"], "weight": inputs["w_out"]})

    def control(self, steps: int) -> dict[str, Ints]:
        """Control of a chain of tokens from a zero state, step after step."""
        total, n = steps * self.nodes, self.nodes
        token = np.arange(total)
        ancestors = token[:, None] - np.arange(1, TAPS)
        one = np.ones((steps, n), dtype=np.int64)
        return {
            "source": np.where(token == 0, FROM_ZERO, FROM_MEMORY).reshape(steps, n),
            "pop": 0 * one,
            "push": 0 * one,
            "commit": one,
            "slot": (token % self.slots).reshape(steps, n),
            "ancestor": (np.maximum(ancestors, 0) % self.slots).reshape(steps, n, -1),
            "blank": (ancestors < 0).astype(np.int64).reshape(steps, n, -1),
        }

    def draw(self, rng: np.random.Generator, corner: str = "", steps: int = 3) -> dict[str, Ints]:
        """Random activations and parameters in the ranges of a trained block."""
        act_ends, weight = 1 << 6, 1 << (self.weight_bits - 2)
        groups, q = self.heads // self.lanes, fixed.quantise

        def weights(n: int, k: int) -> Ints:
            return np.broadcast_to(rng.integers(-weight, weight, (n, k)), (steps, n, k))

        tiles = self.conv.tiles
        return {
            **self.control(steps),
            "act": rng.integers(-act_ends, act_ends, (steps, self.nodes, self.d_model)),
            "w_in": weights(self.in_proj.n, self.d_model),
            "w_out": weights(self.d_model, self.d_inner),
            "head_bias": q(rng.uniform(-4, -1, (groups, self.lanes)), FIXED["value"]),
            "rate": q(rng.uniform(1, 8, (groups, self.lanes)), FIXED["rate"]),
            "skip": q(rng.normal(1, 0.3, (groups, self.lanes)), FIXED["skip"]),
            "taps": q(rng.normal(0, 0.4, (tiles, TAPS, self.lanes)), FIXED["tap"]),
            "bias": q(rng.normal(0, 0.2, (tiles, self.lanes)), FIXED["value"]),
            "gain": q(rng.normal(1, 0.3, self.d_inner), FIXED["tap"]),
        }

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """The phases of a step, times the steps."""
        steps = 1 if inputs is None else len(inputs["act"])
        return {name: steps * cycles for name, cycles in timing.block_phases(self.shape).items()}

    def dsp_blocks(self) -> int:
        """Those of its units."""
        parts = (self.in_proj, self.out_proj, self.conv, self.scan, self.norm)
        vector = Gate(lanes=self.lanes).dsp_blocks() + Softplus(lanes=self.lanes).dsp_blocks()
        return vector + sum(part.dsp_blocks() for part in parts)

    def create(self) -> wiring.Component:
        """The hardware."""
        return MambaBlockUnit(self)


def saturated_sum(a: Ints, b: Ints) -> Ints:
    """The sum in format ``value``, saturated."""
    return fixed.saturate(a + b, FIXED["value"])


def _extend(rows: dict[str, list[Ints]], more: Mapping[str, Ints]) -> None:
    """Append the columns of ``more`` to ``rows``."""
    for name, values in more.items():
        rows.setdefault(name, []).append(values)


@dataclass(frozen=True)
class Speculative(MambaBlock):
    """Parameters of the block that verifies a token tree and commits the accepted path."""

    unit: ClassVar[str] = "speculative"
    speculative: ClassVar[bool] = True

    nodes: int = 4
    fifo: int = 2

    def control_of(self, trees: Sequence[Sequence[int]], accepted: Sequence[Sequence[int]]) -> dict[str, Ints]:
        """Control of steps that verify ``trees`` and commit ``accepted`` paths, from one committed token on.

        The first step is a chain whose first node starts from zero; every tree has ``nodes`` nodes.
        """
        out: dict[str, list[Ints]] = {name: [] for name in (*_NODE, "accepted", "zero")}
        history: list[int] = [-1, -1, -1]
        for step, (tree, path) in enumerate(zip(trees, accepted, strict=True)):
            require(
                self.unit,
                (len(tree) == self.nodes, f"a tree of {len(tree)} nodes", f"{self.nodes}"),
                (
                    parent_fifo_peak(tree) <= self.fifo,
                    f"a tree that holds {parent_fifo_peak(tree)} parents",
                    f"{self.fifo}",
                ),
            )
            jobs = tree_jobs(tree, 1)
            if step == 0:
                jobs["source"] = np.where(np.array(tree) < 0, FROM_ZERO, jobs["source"])
            free = [slot for slot in range(self.slots) if slot not in history]
            window = window_jobs(tree, 1, history, free)
            for name in ("source", "pop", "push", "commit"):
                out[name].append(jobs[name])
            for name in ("slot", "ancestor", "blank"):
                out[name].append(window[name])
            out["accepted"].append(np.array(path))
            out["zero"].append(np.array(int(step == 0)))
            history = ([free[node] for node in reversed(path)] + history)[: TAPS - 1]
        arrays: dict[str, Ints] = {name: np.array(values) for name, values in out.items() if name != "accepted"}
        return {**arrays, "accepted": out["accepted"]}  # type: ignore[dict-item]

    def draw(
        self,
        rng: np.random.Generator,
        corner: str = "",
        trees: Sequence[Sequence[int]] | None = None,
        accepted: Sequence[Sequence[int]] | None = None,
    ) -> dict[str, Ints]:
        """Random data for the given trees and accepted paths (default: a chain, then trees of its nodes)."""
        chain = tuple(range(-1, self.nodes - 1))
        fan = (-1, *([0] * (self.nodes - 1)))
        trees = trees or (chain, fan, chain)
        accepted = accepted or (tuple(range(self.nodes)), (0, self.nodes - 1), (0,))
        return {**super().draw(rng, corner, len(trees)), **self.control_of(trees, accepted)}

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """The phases of the steps; all but the last step's replay lie between outputs."""
        phases = super().phases(inputs)
        paths = [] if inputs is None else list(inputs["accepted"])[:-1]
        return {**phases, "replay": sum(timing.replay_cycles(self.shape, len(path)) for path in paths)}

    def create(self) -> wiring.Component:
        """The hardware."""
        return MambaBlockUnit(self)


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
        m.d.comb += self.i_node.ready.eq(~running & ~self.replaying & ~self.accepting)
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
            *(getattr(job, name).eq(getattr(control, name)) for name in _NODE[:4]),
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
        accept: Wire = self.i_accept  # type: ignore[attr-defined]
        length, zero = Signal(range(p.nodes + 1), name="path_nodes"), Signal(name="path_from_zero")
        tile, step = Signal(range(p.tiles), name="replay_tile"), Signal(range(p.nodes), name="replay_step")
        sent, seen = Signal(name="replay_sent"), Signal(range(p.tiles * p.nodes + 1), name="replay_outputs")
        m.d.comb += accept.ready.eq(self.accepting)
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
        """y gated by z, normalised token by token, projected."""
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
