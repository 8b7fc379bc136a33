"""The GEMM/GEMV tensor core: TP x CIP x COP multipliers, II = 1, weights broadcast over TP token slots.

Each cycle takes CIP channels of COP weight rows and updates COP sums of each of TP tokens. The activation vector
is taken from its stream during the first output tile and replayed from a buffer for the others; with more tokens
than TP the weights of a tile are replayed from a tile buffer, so that each is read once whatever the token count.

Shape after PKU-SEC-Lab/LightMamba ``tensor_core.h`` (scales: 4-bit shifts per activation group, 3-bit shifts per
weight group); the pipeline is this project's own:

    act  ─┬─► S1 operands ─► S2 products ─► S3 sum over CIP, scaled ─► S4 accumulate ─► (S5 round) ─► o
    buffer┘
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from amaranth.lib import wiring

from hwsim.golden.fixed import linear_grouped
from hwsim.golden.fixed import requantise as golden_requantise
from hwsim.timing import flip_flops, resources, stalls
from hwsim.timing import linear as timing
from hwsim.timing.memories import Placed
from rtl.base import Ints, Parameters, require
from rtl.beat import Beat, Field, s, u
from rtl.fixed_formats import integer
from rtl.linear_unit import LinearUnit

__all__ = ["Linear"]

ACT_SHIFT_BITS, WEIGHT_SHIFT_BITS = 4, 3


@dataclass(frozen=True)
class Linear(Parameters):
    """Parameters of the tensor core.

    Attributes:
        tp: token slots (weights are broadcast over them).
        cip: input channels per cycle.
        cop: outputs per tile.
        k: input channels of the layer.
        n: outputs of the layer.
        tokens: tokens that share one read of the weights.
        act_bits: bits of an activation.
        weight_bits: bits of a weight.
        scaled: 1 when groups of ``cip`` channels carry power-of-two scales.
        out_shift: right shift of the rounded output (used when ``out_bits`` is set).
        out_bits: bits of the saturated output; 0 gives the exact sums.
    """

    unit: ClassVar[str] = "linear"
    corners: ClassVar[tuple[str, ...]] = ("lowest", "highest", "mixed", "zero")

    tp: int = 1
    cip: int = 4
    cop: int = 4
    k: int = 16
    n: int = 8
    tokens: int = 1
    act_bits: int = 8
    weight_bits: int = 8
    scaled: int = 0
    out_shift: int = 0
    out_bits: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        counts = (self.tp, self.cip, self.cop, self.k, self.n, self.tokens)
        require(
            self.unit,
            (min(counts) >= 1, f"tp, cip, cop, k, n, tokens = {counts}", "each at least 1"),
            (min(self.act_bits, self.weight_bits) >= 2, "operands below 2 bits", "act_bits, weight_bits >= 2"),
            (self.scaled in {0, 1}, f"scaled={self.scaled}", "0 or 1"),
            (self.out_bits >= 0 and self.out_shift >= 0, "a negative output width or shift", "0 or more"),
        )

    @property
    def passes(self) -> int:
        """Passes over a weight tile."""
        return timing.token_passes(self.tokens, self.tp)

    @property
    def steps(self) -> int:
        """Beats along k."""
        return -(-self.k // self.cip)

    @property
    def tiles(self) -> int:
        """Output tiles."""
        return timing.output_tiles(self.n, self.cop)

    @property
    def acc_bits(self) -> int:
        """Bits that hold any sum exactly."""
        shift = (1 << ACT_SHIFT_BITS) - 1 + (1 << WEIGHT_SHIFT_BITS) - 1 if self.scaled else 0
        largest = (self.steps * self.cip << self.product_top) << shift
        return largest.bit_length() + 1

    @property
    def product_top(self) -> int:
        """log2 of the largest product."""
        return self.act_bits + self.weight_bits - 2

    def weight_field(self) -> Field:
        """The weights of a beat."""
        return s("w", self.weight_bits, self.cop, self.cip)

    @property
    def result_bits(self) -> int:
        """Bits of one output."""
        return self.out_bits or self.acc_bits

    def ports_in(self) -> dict[str, Beat]:
        """``i_act``: CIP channels of TP tokens; ``i_weight``: CIP channels of COP rows."""
        act, weight = [s("a", self.act_bits, self.tp, self.cip)], [self.weight_field()]
        if self.scaled:
            act.append(u("shift", ACT_SHIFT_BITS, self.tp))
            weight.append(u("shift", WEIGHT_SHIFT_BITS, self.cop))
        return {"i_act": Beat(*act), "i_weight": Beat(*weight)}

    def ports_out(self) -> dict[str, Beat]:
        """``o``: COP outputs of TP tokens; ``last`` marks the layer's last beat."""
        return {"o": Beat(s("y", self.result_bits, self.tp, self.cop), u("last", 1))}

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """Act (jobs, tokens, k) and weight (jobs, n, k) to y (jobs, tokens, n)."""
        rows = []
        for job in range(len(inputs["act"])):
            scales = [inputs[name][job] if self.scaled else None for name in ("act_shift", "weight_shift")]
            y = linear_grouped(inputs["act"][job], inputs["weight"][job], *scales)
            rows.append(golden_requantise(y, self.out_shift, integer(self.out_bits)) if self.out_bits else y)
        return {"y": np.array(rows)}

    def _tokens(self, values: Ints) -> Ints:
        """(jobs, tokens, c, …) padded with zeros to (jobs, passes, tp, c, …)."""
        pad = self.passes * self.tp - self.tokens
        wide = np.pad(values, [(0, 0), (0, pad)] + [(0, 0)] * (values.ndim - 2))
        return wide.reshape(values.shape[0], self.passes, self.tp, *values.shape[2:])

    def _channels(self, values: Ints) -> Ints:
        """(…, k) padded with zeros to (…, steps, cip)."""
        pad = self.steps * self.cip - self.k
        return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, pad)]).reshape(
            *values.shape[:-1], self.steps, self.cip
        )

    def _rows(self, values: Ints) -> Ints:
        """(jobs, n, …) padded with zeros to (jobs, tiles, cop, …)."""
        pad = self.tiles * self.cop - self.n
        wide = np.pad(values, [(0, 0), (0, pad)] + [(0, 0)] * (values.ndim - 2))
        return wide.reshape(values.shape[0], self.tiles, self.cop, *values.shape[2:])

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """Activations by pass and step; weights by tile and step."""
        act = {"a": np.moveaxis(self._tokens(self._channels(inputs["act"])), 2, 3)}
        weight = {"w": np.moveaxis(self._rows(self._channels(inputs["weight"])), 2, 3)}
        if self.scaled:
            act["shift"] = np.moveaxis(self._tokens(inputs["act_shift"]), 2, 3)
            weight["shift"] = np.moveaxis(self._rows(inputs["weight_shift"]), 2, 3)
        beats = {}
        for port, columns in (("i_act", act), ("i_weight", weight)):
            beat = self.ports_in()[port]
            shaped = {f.name: columns[f.name].reshape(-1, *f.shape) for f in beat.fields}
            beats[port] = beat.pack_all(shaped)
        return beats

    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """Outputs by tile and pass."""
        y = np.moveaxis(self.compute(inputs)["y"], 1, 2)  # jobs, n, tokens
        tiles = self._tokens(np.moveaxis(self._rows(y), 3, 1))  # jobs, passes, tp, tiles, cop
        flat = np.moveaxis(tiles, 3, 1).reshape(-1, self.tp, self.cop)
        last = (np.arange(len(flat)) + 1) % (self.tiles * self.passes) == 0
        return {"o": self.ports_out()["o"].pack_all({"y": flat, "last": last})}

    def draw(self, rng: np.random.Generator, corner: str = "", jobs: int = 1) -> dict[str, Ints]:
        """Random layers; the corners hold every operand at an end of its range."""

        def operand(bits: int, *shape: int) -> Ints:
            low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
            if corner == "lowest":
                return np.full(shape, low)
            if corner == "highest":
                return np.full(shape, high)
            if corner == "zero":
                return np.zeros(shape, dtype=np.int64)
            if corner == "mixed":
                return rng.choice(np.array([low, high]), shape)
            return rng.integers(low, high + 1, shape)

        out = {
            "act": operand(self.act_bits, jobs, self.tokens, self.k),
            "weight": operand(self.weight_bits, jobs, self.n, self.k),
        }
        if self.scaled:
            full = corner in self.corners[:3]
            a_max, w_max = (1 << ACT_SHIFT_BITS) - 1, (1 << WEIGHT_SHIFT_BITS) - 1
            a_shape, w_shape = (jobs, self.tokens, self.steps), (jobs, self.n, self.steps)
            out["act_shift"] = np.full(a_shape, a_max) if full else rng.integers(0, a_max + 1, a_shape)
            out["weight_shift"] = np.full(w_shape, w_max) if full else rng.integers(0, w_max + 1, w_shape)
        return out

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """The layer's beats, then the pipeline's latency."""
        jobs = 1 if inputs is None else len(inputs["act"])
        one = timing.gemm_cycles(self.n, self.k, self.tokens, tp=self.tp, cip=self.cip, cop=self.cop)
        return {"multiply": jobs * one, "drain": timing.core_latency_cycles(bool(self.out_bits))}

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """Activations for the first tile, weights for the first pass; sums leave with the last beat of their tile."""
        leaves = 1 << timing.core_latency_cycles(bool(self.out_bits))
        job = [
            stalls.Slot(
                frozenset(port for port, needed in (("i_act", tile == 0), ("i_weight", turn == 0)) if needed),
                leaves if step == self.steps - 1 else 0,
            )
            for tile in range(self.tiles)
            for turn in range(self.passes)
            for step in range(self.steps)
        ]
        return stalls.Sequenced(job * len(inputs["act"]))

    def dsp_blocks(self) -> int:
        """One for each product of at least 9 bits (Yosys keeps smaller ones in LUTs)."""
        return resources.linear_dsp(self.tp * self.cop * self.cip, self.act_bits, self.weight_bits) + self.address_dsp

    @property
    def address_dsp(self) -> int:
        """Blocks of the replayed activations' address."""
        return resources.address_dsp(self.passes, self.steps) if self.tiles > 1 else 0

    @property
    def product_bits(self) -> int:
        """Bits of a product."""
        return self.act_bits + self.weight_bits

    @property
    def core_shape(self) -> flip_flops.CoreShape:
        """What registers and buffers depend on."""
        return flip_flops.CoreShape(
            tp=self.tp,
            cip=self.cip,
            cop=self.cop,
            steps=self.steps,
            tiles=self.tiles,
            passes=self.passes,
            act_bits=self.act_bits,
            weight_bits=self.weight_bits,
            product_bits=self.product_bits,
            acc_bits=self.acc_bits,
            out_bits=self.out_bits,
            out_shift=self.out_shift,
            act_shift_bits=ACT_SHIFT_BITS * self.scaled,
            weight_shift_bits=WEIGHT_SHIFT_BITS * self.scaled,
        )

    def memories(self) -> Placed:
        """Replay buffers."""
        return flip_flops.linear_memories(self.core_shape)

    def flip_flops(self) -> int:
        """Operands, products, sums, accumulators, outputs and control."""
        return flip_flops.linear_flip_flops(self.core_shape)

    def create(self) -> wiring.Component:
        """The hardware."""
        return LinearUnit(self)
