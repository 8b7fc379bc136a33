"""Streaming function units: decay (exp), softplus, SiLU, gate, reciprocal square root; II = 1.

Each beat carries ``lanes`` values. The error of each against float64 is stated in `ERROR_BUDGET` and tested over the
whole input range.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring

from hwsim.golden import fixed
from hwsim.timing import flip_flops, resources, stalls
from hwsim.timing import vector as timing
from hwsim.timing.memories import Placed
from rtl import functions
from rtl.base import Core, Ints, Parameters, Unit, Wire, require
from rtl.beat import Beat, Field, u
from rtl.fixed_formats import FIXED, field, requantise

__all__ = ["ERROR_BUDGET", "Decay", "Gate", "Rsqrt", "Silu", "Softplus"]

ERROR_BUDGET: Final[dict[str, float]] = {
    "decay": 2.8e-5,
    "softplus": 1.4e-4,
    "logistic": 6e-5,
    "silu": 6e-4,
    "rsqrt": 3e-5,
}
"""Greatest absolute error against float64 (rsqrt: relative; silu: for |x| < 8, half a step included)."""


@dataclass(frozen=True)
class _Function(Parameters):
    """A function unit over ``lanes`` values per beat."""

    lanes: int = 2

    def dsp_blocks(self) -> int:
        """The chord's product of each lane, and those of the function around it."""
        return resources.function_dsp(self.unit, self.lanes)

    def memories(self) -> Placed:
        """The longer tables."""
        return flip_flops.function_memories(self.unit, self.lanes)

    def flip_flops(self) -> int:
        """The lanes' registers and the valid bits."""
        return flip_flops.function_flip_flops(self.unit, self.lanes)

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        require(self.unit, (self.lanes >= 1, f"lanes={self.lanes}", "1 or more"))

    @abstractmethod
    def fields_in(self) -> tuple[Field, ...]:
        """The fields of an input beat."""

    @abstractmethod
    def field_out(self) -> tuple[Field, ...]:
        """The fields of an output beat."""

    def ports_in(self) -> dict[str, Beat]:
        """``i``: the arguments."""
        return {"i": Beat(*self.fields_in())}

    def ports_out(self) -> dict[str, Beat]:
        """``o``: the values."""
        return {"o": Beat(*self.field_out())}

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """A beat for each row of ``lanes`` values."""
        return {name: beat.pack_all(inputs) for name, beat in self.ports_in().items()}

    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """A beat for each beat in."""
        return {"o": self.ports_out()["o"].pack_all(self.compute(inputs))}

    def _beats(self, inputs: Mapping[str, Ints] | None) -> int:
        return 1 if inputs is None else len(next(iter(inputs.values())))

    def draw(self, rng: np.random.Generator, corner: str = "", beats: int = 40) -> dict[str, Ints]:
        """Random arguments over the whole range, or only the ends of it and zero."""
        out = {}
        for beat in self.ports_in().values():
            for f in beat.fields:
                low, high = (-(1 << (f.bits - 1)), 1 << (f.bits - 1)) if f.signed else (0, 1 << f.bits)
                shape = (beats, *f.shape)
                ends = np.array([low, low + 1, 0, 1, high - 1])
                wide = rng.integers(low, high, shape)
                near = wide >> rng.integers(0, f.bits - 1, shape)
                out[f.name] = rng.choice(ends, shape) if corner else near
        return out

    corners: ClassVar[tuple[str, ...]] = ("ends",)

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """One cycle a beat, then the pipeline's latency."""
        beats = self._beats(inputs)
        return {"stream": beats, "drain": timing.function_cycles(self.unit, beats) - beats}

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """A beat of every port in, a beat out."""
        return stalls.streamed(self._beats(inputs), self.ports_in(), timing.FUNCTION_CYCLES[self.unit])


@dataclass(frozen=True)
class Decay(_Function):
    """exp(dt*A) as 2**-(dt*rate)."""

    unit: ClassVar[str] = "decay"

    def fields_in(self) -> tuple[Field, ...]:
        """``dt``, ``rate``."""
        return field("dt", "dt", self.lanes), field("rate", "rate", self.lanes)

    def field_out(self) -> tuple[Field, ...]:
        """``y``."""
        return (field("y", "decay", self.lanes),)

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """dt, rate (beats, lanes) to y."""
        return {"y": fixed.decay_fixed(inputs["dt"], inputs["rate"])}

    def create(self) -> wiring.Component:
        """The hardware."""
        return FunctionUnit(self)


@dataclass(frozen=True)
class Softplus(_Function):
    """log(1 + exp(x))."""

    unit: ClassVar[str] = "softplus"

    def fields_in(self) -> tuple[Field, ...]:
        """``x``."""
        return (field("x", "value", self.lanes),)

    def field_out(self) -> tuple[Field, ...]:
        """``y``."""
        return (field("y", "dt", self.lanes),)

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """X (beats, lanes) to y."""
        return {"y": fixed.softplus_fixed(inputs["x"])}

    def create(self) -> wiring.Component:
        """The hardware."""
        return FunctionUnit(self)


@dataclass(frozen=True)
class Silu(_Function):
    """x * logistic(x)."""

    unit: ClassVar[str] = "silu"

    def fields_in(self) -> tuple[Field, ...]:
        """``x``."""
        return (field("x", "value", self.lanes),)

    def field_out(self) -> tuple[Field, ...]:
        """``y``."""
        return (field("y", "value", self.lanes),)

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """X (beats, lanes) to y."""
        return {"y": fixed.silu_fixed(inputs["x"])}

    def create(self) -> wiring.Component:
        """The hardware."""
        return FunctionUnit(self)


@dataclass(frozen=True)
class Gate(_Function):
    """y * silu(z), two streams joined."""

    unit: ClassVar[str] = "gate"

    def fields_in(self) -> tuple[Field, ...]:
        """``x``: what is gated."""
        return (field("x", "value", self.lanes),)

    def field_out(self) -> tuple[Field, ...]:
        """``y``."""
        return (field("y", "value", self.lanes),)

    def ports_in(self) -> dict[str, Beat]:
        """``i``: what is gated; ``i_z``: the gate's argument."""
        return {**super().ports_in(), "i_z": Beat(field("z", "value", self.lanes))}

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """x, z (beats, lanes) to y."""
        return {"y": fixed.gate_fixed(inputs["x"], inputs["z"])}

    def create(self) -> wiring.Component:
        """The hardware."""
        return GateUnit(self)


@dataclass(frozen=True)
class Rsqrt(_Function):
    """1/sqrt(v) of unsigned integers as mantissa * 2**-(20 + exponent); 0 has no meaning.

    Attributes:
        bits: bits of the argument, even.
    """

    unit: ClassVar[str] = "rsqrt"

    bits: int = 32

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        super().__post_init__()
        require(self.unit, (self.bits >= 20 and self.bits % 2 == 0, f"bits={self.bits}", "an even count from 20"))

    def fields_in(self) -> tuple[Field, ...]:
        """``x``."""
        return (u("x", self.bits, self.lanes),)

    def field_out(self) -> tuple[Field, ...]:
        """``y`` (the mantissa) and ``exponent``."""
        return u("y", 21, self.lanes), u("exponent", (self.bits // 2).bit_length(), self.lanes)

    def flip_flops(self) -> int:
        """As those of the other units; the argument's width counts."""
        return flip_flops.function_flip_flops(self.unit, self.lanes, self.bits)

    def draw(self, rng: np.random.Generator, corner: str = "", beats: int = 40) -> dict[str, Ints]:
        """Random arguments from 1 on."""
        return {"x": np.maximum(super().draw(rng, corner, beats)["x"], 1)}

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """X (beats, lanes) to y and exponent."""
        mantissa, exponent = fixed.rsqrt_fixed(inputs["x"], self.bits)
        return {"y": mantissa, "exponent": exponent}

    def create(self) -> wiring.Component:
        """The hardware."""
        return FunctionUnit(self)


class FunctionUnit(Unit):
    """A function of one stream, lane by lane."""

    i: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Wire a pipeline for each lane."""
        p: _Function = self.parameters  # type: ignore[assignment]
        m = Module()
        core = Core(m, self.o)
        fire = self.i.valid & core.en
        m.d.comb += self.i.ready.eq(core.en)
        for lane in range(p.lanes):
            self._lane(core, p, lane)
        latency = timing.FUNCTION_CYCLES[p.unit]
        core.m.d.sync += self.o.valid.eq(core.delay(fire, latency - 1, "valid"))
        return m

    def _lane(self, core: Core, p: _Function, lane: int) -> None:
        """One lane's pipeline into its output register."""
        i, o, name = self.i.payload, self.o.payload, f"{p.unit}_{lane}"
        if isinstance(p, Decay):
            core.m.d.sync += o.y[lane].eq(functions.decay(core, i.dt[lane], i.rate[lane], name))
        elif isinstance(p, Rsqrt):
            mantissa, exponent = functions.rsqrt(core, i.x[lane], p.bits, name)
            core.m.d.sync += [o.y[lane].eq(mantissa), o.exponent[lane].eq(exponent)]
        else:
            function = functions.softplus if isinstance(p, Softplus) else functions.silu
            core.m.d.sync += o.y[lane].eq(function(core, i.x[lane], name))


class GateUnit(Unit):
    """The gate: y * silu(z)."""

    i: Wire
    i_z: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Join the two streams; wire a pipeline for each lane."""
        p: Gate = self.parameters  # type: ignore[assignment]
        m = Module()
        core = Core(m, self.o)
        fire = self.i.valid & self.i_z.valid & core.en
        m.d.comb += [self.i.ready.eq(fire), self.i_z.ready.eq(fire)]
        for lane in range(p.lanes):
            z = functions.silu(core, self.i_z.payload.z[lane], f"silu_{lane}")
            x = core.delay(self.i.payload.x[lane], functions.SILU_REGISTERS, f"x_{lane}")
            product = core.reg(x * z, f"product_{lane}")
            core.m.d.sync += self.o.payload.y[lane].eq(requantise(product, FIXED["value"].frac, "value"))
        latency = timing.FUNCTION_CYCLES[p.unit]
        core.m.d.sync += self.o.valid.eq(core.delay(fire, latency - 1, "valid"))
        return m
