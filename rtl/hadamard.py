"""Walsh-Hadamard transform of a beat: log2(n) radix-2 stages of sums and differences, no multiplier."""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from amaranth.hdl import Module, Value
from amaranth.lib import wiring

from hwsim.timing import flip_flops, stalls
from rtl.base import Core, Ints, Parameters, Unit, Wire, require
from rtl.beat import Beat, s

__all__ = ["Hadamard"]


@dataclass(frozen=True)
class Hadamard(Parameters):
    """Parameters of the transform.

    Attributes:
        points: points of the transform, all in one beat; a power of two.
        bits: bits of an input value; an output has log2(points) more.
    """

    unit: ClassVar[str] = "hadamard"
    corners: ClassVar[tuple[str, ...]] = ("lowest", "highest")

    points: int = 8
    bits: int = 8

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        power = self.points >= 2 and self.points & (self.points - 1) == 0
        require(
            self.unit,
            (power, f"points={self.points}", "a power of two from 2"),
            (self.bits >= 2, f"bits={self.bits}", "2 or more"),
        )

    @property
    def stages(self) -> int:
        """Radix-2 stages."""
        return self.points.bit_length() - 1

    def ports_in(self) -> dict[str, Beat]:
        """``i``: the points."""
        return {"i": Beat(s("x", self.bits, self.points))}

    def ports_out(self) -> dict[str, Beat]:
        """``o``: the transform, exact."""
        return {"o": Beat(s("y", self.bits + self.stages, self.points))}

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """X (beats, points) times the Sylvester matrix H[r, c] = (-1)**popcount(r & c)."""
        index = np.arange(self.points)
        matrix = 1 - 2 * (np.bitwise_count(index[:, None] & index[None, :]).astype(np.int64) % 2)
        return {"y": inputs["x"] @ matrix}

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """A beat for each row."""
        return {"i": self.ports_in()["i"].pack_all(inputs)}

    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """A beat for each beat in."""
        return {"o": self.ports_out()["o"].pack_all(self.compute(inputs))}

    def draw(self, rng: np.random.Generator, corner: str = "", beats: int = 20) -> dict[str, Ints]:
        """Random beats; the corners hold every point at an end of its range."""
        low, high = -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        if corner:
            return {"x": np.full((beats, self.points), low if corner == "lowest" else high)}
        return {"x": rng.integers(low, high + 1, (beats, self.points))}

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """One cycle a beat, then one register a stage."""
        return {"stream": 1 if inputs is None else len(inputs["x"]), "drain": self.stages}

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """A beat in, a beat out."""
        return stalls.streamed(len(inputs["x"]), self.ports_in(), self.stages)

    def flip_flops(self) -> int:
        """Every stage's points."""
        return flip_flops.hadamard_flip_flops(self.points, self.bits)

    def create(self) -> wiring.Component:
        """The hardware."""
        return HadamardUnit(self)


class HadamardUnit(Unit):
    """The stages, the last of them in the output register."""

    i: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Wire sums and differences."""
        p: Hadamard = self.parameters  # type: ignore[assignment]
        m = Module()
        core = Core(m, self.o)
        m.d.comb += self.i.ready.eq(core.en)
        values: list[Value] = list(self.i.payload.x)
        for stage in range(p.stages):
            values = self._stage(values, 1 << stage)
            if stage < p.stages - 1:
                values = [core.reg(value, f"stage_{stage}_{k}") for k, value in enumerate(values)]
        core.m.d.sync += [self.o.payload.y[k].eq(value) for k, value in enumerate(values)]
        core.m.d.sync += self.o.valid.eq(core.delay(self.i.valid & core.en, p.stages - 1, "valid"))
        return m

    @staticmethod
    def _stage(values: list[Value], span: int) -> list[Value]:
        """Sums and differences of points ``span`` apart."""
        return [
            values[k] + values[k ^ span] if not k & span else values[k ^ span] - values[k] for k in range(len(values))
        ]
