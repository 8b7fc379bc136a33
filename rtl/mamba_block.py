"""The whole Mamba-2 block as one streaming top: in_proj, conv, dt, scan, gate, norm, out_proj.

    act ─► in_proj ─► router ─┬─► conv+SiLU ─┬─► B, C store ─────────► scan ─► gate ─► norm ─► out_proj ─► o
                              │              └─► x ─► jobs ────────────┘  ▲      ▲
                              ├─► softplus(dt + bias) ─────┘              │      │
                              └─► z ──────────────────────────────────────┼──────┘
                                                        FIFO of parents ◄─┘

A step runs ``nodes`` tokens: the linear layers take them all at once (weights are read once), the scan takes them one
after the other, inside each tile of channels. Output tiles of in_proj come in LightMamba's interleaved order, so that
the scan of a tile hides behind the next tiles' in_proj (or one kind after the other, to compare). With ``speculative``
the nodes form a tree that is verified without touching the committed state; the host then names the accepted path,
which is replayed from the kept inputs.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from amaranth.lib import wiring

from hwsim.golden import fixed
from hwsim.timing import block as timing
from hwsim.timing.block_resources import glue_dsp, glue_flip_flops, glue_memories
from hwsim.timing.memories import Placed, total
from rtl.base import Ints, Parameters, require
from rtl.beat import Beat, u
from rtl.block_unit import NODE_FIELDS, MambaBlockUnit
from rtl.conv import TAPS, Conv
from rtl.fixed_formats import FIXED, field
from rtl.jobs import FROM_MEMORY, FROM_ZERO, chain_jobs
from rtl.linear import Linear
from rtl.nonlinear import Gate, Softplus
from rtl.norm import Norm
from rtl.ssm import Ssm

__all__ = ["MambaBlock"]


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
        interleaved: 1 for in_proj's tiles in the order that hides the scan, 0 for one kind after the other.
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
    in_shift: int = 0
    out_shift: int = 3
    interleaved: int = 1

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
            (self.interleaved in (0, 1), f"interleaved={self.interleaved}", "0 or 1"),
        )

    @property
    def shape(self) -> timing.BlockShape:
        """What the timing depends on."""
        return timing.BlockShape(
            lanes=self.lanes,
            d_model=self.d_model,
            heads=self.heads,
            head_dim=self.head_dim,
            d_state=self.d_state,
            nodes=self.nodes,
            rows=self.rows,
            ports=self.ports,
            interleaved=bool(self.interleaved),
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
        """The input projection; its rows are already in the block's order."""
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
        return Beat(*(fields[name] for name in NODE_FIELDS))

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
            control = {name: np.tile(inputs[name][step], self.tiles) for name in NODE_FIELDS[:4]}
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
        nodes = {name: inputs[name].reshape(-1, *inputs[name].shape[2:]) for name in NODE_FIELDS}
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
            "head_bias": q(rng.uniform(-2, 1, (groups, self.lanes)), FIXED["value"]),
            "rate": q(rng.uniform(1, 8, (groups, self.lanes)), FIXED["rate"]),
            "skip": q(rng.normal(1, 0.3, (groups, self.lanes)), FIXED["skip"]),
            "taps": q(rng.normal(0, 0.7, (tiles, TAPS, self.lanes)), FIXED["tap"]),
            "bias": q(rng.normal(0, 0.2, (tiles, self.lanes)), FIXED["value"]),
            "gain": q(rng.normal(1, 0.3, self.d_inner), FIXED["tap"]),
        }

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """The phases of a step, times the steps; the last one's write-back lies behind its outputs."""
        steps = 1 if inputs is None else len(inputs["act"])
        phases = timing.block_phases(self.shape)
        between = {"write-back not hidden": (steps - 1) * phases.pop("write-back not hidden")}
        return {name: steps * cycles for name, cycles in phases.items()} | between

    @property
    def units(self) -> tuple[Parameters, ...]:
        """The units it is made of."""
        vector = Gate(lanes=self.lanes), Softplus(lanes=self.lanes)
        return (self.in_proj, self.out_proj, self.conv, self.scan, self.norm, *vector)

    def dsp_blocks(self) -> int:
        """Those of its units, and of addresses between them."""
        return glue_dsp(self.shape, speculative=self.speculative) + sum(unit.dsp_blocks() for unit in self.units)

    def memories(self) -> Placed:
        """Those of its units, and a FIFO; its other FIFOs and stores lie in LUTs."""
        return total([glue_memories(self.shape), *(unit.memories() for unit in self.units)])

    def flip_flops(self) -> int:
        """Those of its units, and of what stands between them."""
        glue = glue_flip_flops(self.shape, speculative=self.speculative)
        return glue + sum(unit.flip_flops() for unit in self.units)

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
