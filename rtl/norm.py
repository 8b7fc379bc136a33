"""RMSNorm in two passes over a ring of channels: squares, reciprocal root, scaling; rounded to a linear layer's input.

The first pass of a token overlaps the second pass of the one before it: the ring holds two tokens, and the roots wait
in a short queue, so tokens follow each other every channels / lanes cycles.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import ClassVar

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory

from hwsim.golden import fixed
from hwsim.timing import flip_flops, resources, stalls
from hwsim.timing import vector as timing
from hwsim.timing.memories import Placed
from rtl import functions
from rtl.base import Core, Ints, Parameters, Unit, Wire, require
from rtl.beat import Beat, u
from rtl.fixed_formats import FIXED, field, requantise, round_shift, saturate

__all__ = ["Norm"]


@dataclass(frozen=True)
class Norm(Parameters):
    """Parameters of RMSNorm.

    Attributes:
        channels: channels of a token.
        lanes: channels per cycle.
    """

    unit: ClassVar[str] = "norm"
    corners: ClassVar[tuple[str, ...]] = ("ends", "zero", "tiny")

    channels: int = 8
    lanes: int = 2

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        require(
            self.unit,
            (self.lanes >= 1 and self.channels >= 2, "fewer than 2 channels or no lane", "channels >= 2, lanes >= 1"),
            (self.lanes < 1 or self.channels % self.lanes == 0, f"lanes={self.lanes}", f"a divisor of {self.channels}"),
        )

    @property
    def steps(self) -> int:
        """Beats of a token."""
        return timing.pass_cycles(self.channels, 1, lanes=self.lanes)

    @property
    def ring(self) -> int:
        """Beats that the ring holds: enough for the first pass never to wait."""
        return 2 * self.steps + timing.NORM_ROOT_CYCLES

    def ports_in(self) -> dict[str, Beat]:
        """``i``: channels; ``i_gain``: their gains, taken by the second pass."""
        return {"i": Beat(field("x", "value", self.lanes)), "i_gain": Beat(field("gain", "tap", self.lanes))}

    def ports_out(self) -> dict[str, Beat]:
        """``o``: channels as input of a linear layer; ``last`` marks a token's last beat."""
        return {"o": Beat(field("y", "act", self.lanes), u("last", 1))}

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """X (tokens, channels) and gain (channels,) to y (tokens, channels)."""
        gain = np.broadcast_to(inputs["gain"], inputs["x"].shape)
        return {"y": fixed.rms_norm_fixed(inputs["x"], gain)}

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """Channels of each token; the gains again for each."""
        ports = self.ports_in()
        gain = np.tile(inputs["gain"], len(inputs["x"]))
        return {
            "i": ports["i"].pack_all({"x": inputs["x"].reshape(-1, self.lanes)}),
            "i_gain": ports["i_gain"].pack_all({"gain": gain.reshape(-1, self.lanes)}),
        }

    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """Channels of each token."""
        y = self.compute(inputs)["y"].reshape(-1, self.lanes)
        last = (np.arange(len(y)) + 1) % self.steps == 0
        return {"o": self.ports_out()["o"].pack_all({"y": y, "last": last})}

    def draw(self, rng: np.random.Generator, corner: str = "", tokens: int = 4) -> dict[str, Ints]:
        """Random tokens of different scales; corners: values at the ends, all zero, one step."""
        fmt, size = FIXED["value"], (tokens, self.channels)
        scales = np.exp(rng.uniform(-5, 3, (tokens, 1)))
        x = {
            "": fixed.quantise(rng.normal(0, 1, size) * scales, fmt),
            "ends": rng.choice(np.array([fmt.low, fmt.high]), size),
            "zero": np.zeros(size, dtype=np.int64),
            "tiny": rng.integers(-1, 2, size),
        }[corner]
        return {"x": x, "gain": fixed.quantise(rng.normal(1, 0.4, self.channels), FIXED["tap"])}

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """Squares, the root of the last token, scaling."""
        tokens = 1 if inputs is None else len(inputs["x"])
        total = timing.rms_norm_total_cycles(self.channels, tokens, lanes=self.lanes)
        squares = tokens * self.steps
        return {
            "squares": squares,
            "root": timing.NORM_ROOT_CYCLES - 1,
            "scale": total - squares - timing.NORM_ROOT_CYCLES + 1,
        }

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """Two passes around the ring."""
        return stalls.TwoPasses(self.steps, self.ring, "i", "i_gain")

    def dsp_blocks(self) -> int:
        """Square, scaling and gain of each lane; the root's chord; sqrt(channels) unless it is a power of two."""
        root = fixed.rms_root(self.channels)[0]
        return resources.norm_dsp(self.lanes, even_root=root & (root - 1) == 0)

    def memories(self) -> Placed:
        """The ring."""
        return flip_flops.norm_memories(self.channels, self.lanes)

    def flip_flops(self) -> int:
        """Ring, first pass, root, queue of roots, second pass."""
        return flip_flops.norm_flip_flops(self.channels, self.lanes)

    def create(self) -> wiring.Component:
        """The hardware."""
        return NormUnit(self)


class NormUnit(Unit):
    """RMSNorm; see the module's docstring."""

    i: Wire
    i_gain: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Wire both passes around the ring."""
        p: Norm = self.parameters  # type: ignore[assignment]
        m = Module()
        core = Core(m, self.o)
        self.fill, self.take = Signal(), Signal()
        x = self._ring(m, core, p)
        self._squares(core, p)
        self._scale(core, p, x)
        return m

    def _ring(self, m: Module, core: Core, p: Norm) -> Value:
        """The ring of channel beats; the beat read, one cycle after the take."""
        held = Signal(range(p.ring + 1), name="held")
        m.d.comb += [self.fill.eq(core.en & self.i.valid & (held != p.ring)), self.i.ready.eq(self.fill)]
        core.m.d.sync += held.eq(held + self.fill - self.take)
        memory = Memory(shape=Value.cast(self.i.payload).shape(), depth=p.ring, init=[])
        core.add("ring", memory)
        write, read = memory.write_port(), memory.read_port()
        head, tail = Signal(range(p.ring), name="head"), Signal(range(p.ring), name="tail")
        for pointer, moves in ((tail, self.fill), (head, self.take)):
            with core.m.If(moves):
                core.m.d.sync += pointer.eq(Mux(pointer == p.ring - 1, 0, pointer + 1))
        core.m.d.comb += [
            write.addr.eq(tail),
            write.data.eq(Value.cast(self.i.payload)),
            write.en.eq(self.fill),
            read.addr.eq(head),
            read.en.eq(1),
        ]
        return self.i.payload.shape()(read.data)

    def _squares(self, core: Core, p: Norm) -> None:
        """First pass: squares, their sum over the lanes and the token, the root, the factor into the queue."""
        step = Signal(range(p.steps), name="square_step")
        end = Signal(name="square_end")
        core.m.d.comb += end.eq(self.fill & (step == p.steps - 1))
        with core.m.If(self.fill):
            core.m.d.sync += step.eq(Mux(end, 0, step + 1))
        squares = [core.reg(x * x, f"square_{k}") for k, x in enumerate(self.i.payload.x)]
        total = core.reg(reduce(add, squares).as_unsigned(), "square_sum")
        bits = fixed.rms_bits(p.channels)
        flags = [
            core.delay(flag, 2, name) for flag, name in ((self.fill, "squared"), (step == 0, "first"), (end, "end"))
        ]
        acc = Signal(bits, name="sum_of_squares")
        with core.m.If(flags[0]):
            core.m.d.sync += acc.eq(Mux(flags[1], fixed.rms_epsilon(p.channels), acc) + total)
        mantissa, exponent = functions.rsqrt(core, acc, bits)
        root, root_bits = fixed.rms_root(p.channels)
        factor = core.reg(round_shift(mantissa * Const(root), fixed.TABLE_FRAC)[:18], "factor")
        shift = core.reg(exponent + 6 - root_bits, "factor_shift")
        self.queue = SyncFIFO(width=18 + 6, depth=p.ring // p.steps + 2)
        core.add("roots", self.queue)
        core.m.d.comb += [
            self.queue.w_data.eq(factor | (shift[:6] << 18)),
            self.queue.w_en.eq(core.delay(flags[2], 7, "root_valid")),
        ]

    def _scale(self, core: Core, p: Norm, x: Wire) -> None:
        """Second pass: channel, product with the factor, normal, product with the gain, output."""
        step = Signal(range(p.steps), name="scale_step")
        end = Signal(name="scale_end")
        core.m.d.comb += [
            self.take.eq(core.en & self.queue.r_rdy & self.i_gain.valid),
            self.i_gain.ready.eq(self.take),
            end.eq(self.take & (step == p.steps - 1)),
            self.queue.r_en.eq(end),
        ]
        with core.m.If(self.take):
            core.m.d.sync += step.eq(Mux(end, 0, step + 1))
        factor = core.reg(self.queue.r_data[:18], "scale_factor")
        shift = core.delay(self.queue.r_data[18:], 2, "scale_shift")
        half = Signal(64, name="half")
        core.m.d.comb += half.eq(Const(1) << (shift - 1)[:6])
        for lane in range(p.lanes):
            gain = core.delay(self.i_gain.payload.gain[lane], 3, f"gain_{lane}")
            scaled = core.reg(x.x[lane] * factor, f"scaled_{lane}")
            wide = (scaled + half.as_signed()) >> shift
            normal = core.reg(saturate(wide, "value"), f"normal_{lane}")
            product = core.reg(normal * gain, f"gained_{lane}")
            drop = FIXED["value"].frac + FIXED["tap"].frac - FIXED["act"].frac
            core.m.d.sync += self.o.payload.y[lane].eq(requantise(product, drop, "act"))
        core.m.d.sync += [
            self.o.valid.eq(core.delay(self.take, 4, "scale_valid")),
            self.o.payload.last.eq(core.delay(end, 4, "scale_last")),
        ]
