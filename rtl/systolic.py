"""N x N systolic arrays, output- and weight-stationary, with back-to-back tiles and no idle drain.

Output-stationary: A enters by columns from the left, B by rows from the top, both skewed; each element keeps one
output. When a tile's last products pass, each element copies its sum to a shadow register and starts the next tile at
once; the shadows of a column shift down behind the wave, so tiles follow each other every max(k, N) cycles.

Weight-stationary: each element keeps one weight and passes partial sums down. The next tile's weights travel down
their columns into shadow registers while rows stream through; a flag that travels with a tile's first row swaps them,
so tiles follow each other every max(m, N) cycles.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring

from hwsim.timing import flip_flops, resources, stalls
from hwsim.timing import linear as timing
from rtl.base import Core, Ints, Parameters, Unit, Wire, require
from rtl.beat import Beat, s, u

__all__ = ["SystolicOs", "SystolicWs"]


def _extreme(rng: np.random.Generator, bits: int, corner: str, *shape: int) -> Ints:
    """Random operands, or every one at an end of its range."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if corner == "lowest":
        return np.full(shape, low)
    if corner == "mixed":
        return rng.choice(np.array([low, high]), shape)
    return rng.integers(low, high + 1, shape)


@dataclass(frozen=True)
class _Systolic(Parameters):
    """What the two arrays share.

    Attributes:
        side: rows and columns of the array.
        length: beats of a tile: k (output-stationary) or m (weight-stationary).
        bits: bits of an operand.
    """

    corners: ClassVar[tuple[str, ...]] = ("lowest", "mixed")

    side: int = 4
    length: int = 8
    bits: int = 8

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        require(
            self.unit,
            (self.side >= 2, f"side={self.side}", "2 or more"),
            (self.length >= 1, f"length={self.length}", "1 or more"),
            (self.bits >= 2, f"bits={self.bits}", "2 or more"),
        )

    @property
    def depth(self) -> int:
        """Products summed into one output."""
        return self.length

    @property
    def acc_bits(self) -> int:
        """Bits that hold any sum exactly."""
        return (self.depth << (2 * self.bits - 2)).bit_length() + 1

    def dsp_blocks(self) -> int:
        """One for each element, from 9-bit products on."""
        return resources.linear_dsp(self.side**2, self.bits, self.bits)

    def ports_out(self) -> dict[str, Beat]:
        """``o``: one row of a tile; ``last`` marks its last row."""
        return {"o": Beat(s("y", self.acc_bits, self.side), u("last", 1))}

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """The product of each tile: a (tiles, rows, k) and b (tiles, k, columns) to y (tiles, rows, columns)."""
        return {"y": np.einsum("trk,tkc->trc", inputs["a"], inputs["b"])}

    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """The tiles' rows in order."""
        y = self.compute(inputs)["y"]
        rows = y.shape[1]
        last = np.tile(np.arange(rows) == rows - 1, len(y))
        return {"o": self.ports_out()["o"].pack_all({"y": y.reshape(-1, self.side), "last": last})}


@dataclass(frozen=True)
class SystolicOs(_Systolic):
    """Parameters of the output-stationary array; ``length`` is k."""

    unit: ClassVar[str] = "systolic_os"

    def ports_in(self) -> dict[str, Beat]:
        """``i_a``: a column of A; ``i_b``: a row of B."""
        return {"i_a": Beat(s("a", self.bits, self.side)), "i_b": Beat(s("b", self.bits, self.side))}

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """A column of A and a row of B for each k."""
        a = np.swapaxes(inputs["a"], 1, 2).reshape(-1, self.side)
        ports = self.ports_in()
        return {
            "i_a": ports["i_a"].pack_all({"a": a}),
            "i_b": ports["i_b"].pack_all({"b": inputs["b"].reshape(-1, self.side)}),
        }

    def draw(self, rng: np.random.Generator, corner: str = "", tiles: int = 3) -> dict[str, Ints]:
        """Random tiles."""
        return {
            "a": _extreme(rng, self.bits, corner, tiles, self.side, self.length),
            "b": _extreme(rng, self.bits, corner, tiles, self.length, self.side),
        }

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """Tiles back to back, then the wave across the array and the drain of the last tile."""
        tiles = 1 if inputs is None else len(inputs["a"])
        total = timing.systolic_os_cycles(tiles, self.length, self.side)
        stream = (tiles - 1) * timing.systolic_tile_interval(self.length, self.side) + self.length
        return {"stream": stream, "wave and drain": total - stream}

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """A tile's rows leave behind its wave; a tile shorter than the array waits for the drain."""
        both, wave = frozenset(self.ports_in()), timing.systolic_wave_cycles(self.side)
        rows = ((1 << self.side) - 1) << (wave + 1)
        last = stalls.Slot(both, rows, timing.systolic_tile_interval(self.length, self.side) - self.length)
        return stalls.Sequenced(([stalls.Slot(both)] * (self.length - 1) + [last]) * len(inputs["a"]))

    def flip_flops(self) -> int:
        """Skews, operands, products, sums, shadows, deskew and flags."""
        return flip_flops.systolic_os_flip_flops(self.side, self.length, self.bits, self.acc_bits)

    def create(self) -> wiring.Component:
        """The hardware."""
        return SystolicOsUnit(self)


@dataclass(frozen=True)
class SystolicWs(_Systolic):
    """Parameters of the weight-stationary array; ``length`` is m, the rows that use one tile of weights."""

    unit: ClassVar[str] = "systolic_ws"

    @property
    def depth(self) -> int:
        """Products summed into one output."""
        return self.side

    def ports_in(self) -> dict[str, Beat]:
        """``i_a``: a row of A; ``i_b``: a row of the weight tile."""
        return {"i_a": Beat(s("a", self.bits, self.side)), "i_b": Beat(s("b", self.bits, self.side))}

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """Rows of A; rows of the weight tiles."""
        ports = self.ports_in()
        return {
            "i_a": ports["i_a"].pack_all({"a": inputs["a"].reshape(-1, self.side)}),
            "i_b": ports["i_b"].pack_all({"b": inputs["b"].reshape(-1, self.side)}),
        }

    def draw(self, rng: np.random.Generator, corner: str = "", tiles: int = 3) -> dict[str, Ints]:
        """Random tiles."""
        return {
            "a": _extreme(rng, self.bits, corner, tiles, self.length, self.side),
            "b": _extreme(rng, self.bits, corner, tiles, self.side, self.side),
        }

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """The first weights, tiles back to back, then the wave across the array."""
        tiles = 1 if inputs is None else len(inputs["a"])
        total = timing.systolic_ws_cycles(tiles, self.length, self.side)
        stream = (tiles - 1) * timing.systolic_tile_interval(self.length, self.side) + self.length
        return {"load": self.side, "stream": stream, "wave": total - stream - self.side}

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """Rows wait for weights, weights for the swap."""
        return stalls.WeightStationary(self.side, self.length, "i_a", "i_b")

    def flip_flops(self) -> int:
        """Skews, operands, weights, sums, deskew and flags."""
        return flip_flops.systolic_ws_flip_flops(self.side, self.length, self.bits, self.acc_bits)

    def create(self) -> wiring.Component:
        """The hardware."""
        return SystolicWsUnit(self)


class SystolicOsUnit(Unit):
    """The output-stationary array."""

    i_a: Wire
    i_b: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Wire sequencer, elements, shadow columns and the deskewed output."""
        p: SystolicOs = self.parameters  # type: ignore[assignment]
        m = Module()
        core = Core(m, self.o)
        flags = self._sequence(m, core)
        self._line = Signal(3 * p.side)  # the tile's last flag at element (0, 0), delayed by 1, 2, …
        bottoms = self._elements(core, flags)
        n = p.side
        emit = self._line[2 * n - 2 : 3 * n - 2]
        core.m.d.sync += [self.o.valid.eq(emit.any()), self.o.payload.last.eq(emit[n - 1])]
        for j, bottom in enumerate(bottoms):
            core.m.d.sync += self.o.payload.y[j].eq(core.delay(bottom, n - 1 - j, f"deskew_{j}"))
        return m

    def _sequence(self, m: Module, core: Core) -> Value:
        """Fire a beat when both streams are valid and the last tile's drain leaves room: (valid, first, last)."""
        p: SystolicOs = self.parameters  # type: ignore[assignment]
        gap = max(0, p.side - p.length)
        step, wait = Signal(range(p.length)), Signal(range(gap + 1))
        fire, end = Signal(), Signal()
        m.d.comb += [
            fire.eq(core.en & self.i_a.valid & self.i_b.valid & (wait == 0)),
            end.eq(step == p.length - 1),
            self.i_a.ready.eq(fire),
            self.i_b.ready.eq(fire),
        ]
        with core.m.If(fire):
            core.m.d.sync += step.eq(Mux(end, 0, step + 1))
        with core.m.If(fire & end):
            core.m.d.sync += wait.eq(gap)
        with core.m.Elif(wait != 0):
            core.m.d.sync += wait.eq(wait - 1)
        return Cat(fire, step == 0, fire & end)

    def _elements(self, core: Core, flags: Value) -> list[Value]:
        """The grid; the value at the foot of each shadow column."""
        p: SystolicOs = self.parameters  # type: ignore[assignment]
        n, m = p.side, core.m
        down: list[Value] = [core.delay(self.i_b.payload.b[j], j, f"b_skew_{j}") for j in range(n)]
        above: list[Value | None] = [None] * n
        for i in range(n):
            right: Value = core.delay(self.i_a.payload.a[n - 1 - i], i, f"a_skew_{i}")
            flag: Value = core.delay(flags, i, f"flag_skew_{i}")
            for j in range(n):
                name = f"{i}_{j}"
                product = core.reg(right * down[j], f"product_{name}")
                right, down[j] = core.reg(right, f"a_{name}"), core.reg(down[j], f"b_{name}")
                flag = core.reg(flag, f"flag_{name}")
                acc, total = Signal(signed(p.acc_bits), name=f"acc_{name}"), Signal(signed(p.acc_bits))
                shadow = Signal(signed(p.acc_bits), name=f"shadow_{name}")
                m.d.comb += total.eq(Mux(flag[1], 0, acc) + product)
                with m.If(flag[0]):
                    m.d.sync += acc.eq(total)
                if i == j == 0:
                    m.d.sync += self._line.eq(Cat(flag[2], self._line))
                with m.If(flag[2]):
                    m.d.sync += shadow.eq(total)
                if i:
                    with m.Elif(self._line[n + j - 1 : n + j - 1 + i].any()):
                        m.d.sync += shadow.eq(above[j])
                above[j] = shadow
        return [value for value in above if value is not None]


class SystolicWsUnit(Unit):
    """The weight-stationary array."""

    i_a: Wire
    i_b: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Wire sequencer, elements and the deskewed output."""
        p: SystolicWs = self.parameters  # type: ignore[assignment]
        m = Module()
        core = Core(m, self.o)
        row, load = self._sequence(m, core)
        feet = self._elements(core, row, load)
        n = p.side
        late = core.delay(Cat(row[0], row[2]), 2 * n - 1, "row_late")
        core.m.d.sync += [self.o.valid.eq(late[0]), self.o.payload.last.eq(late[1])]
        for j, foot in enumerate(feet):
            core.m.d.sync += self.o.payload.y[j].eq(core.delay(foot, n - 1 - j, f"deskew_{j}"))
        return m

    def _sequence(self, m: Module, core: Core) -> tuple[Value, Value]:
        """Rows wait for a full set of weights; weights wait until the shadows are swapped.

        Returns:
            (row fired, it is the tile's first, it is the tile's last) and (weight row fired, its index).
        """
        p: SystolicWs = self.parameters  # type: ignore[assignment]
        n = p.side
        step, loaded = Signal(range(p.length)), Signal(range(n + 1))
        row, swap, end, load = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            row.eq(core.en & self.i_a.valid & ((step != 0) | (loaded == n))),
            swap.eq(row & (step == 0)),
            end.eq(step == p.length - 1),
            load.eq(core.en & self.i_b.valid & ((loaded != n) | swap)),
            self.i_a.ready.eq(row),
            self.i_b.ready.eq(load),
        ]
        with core.m.If(row):
            core.m.d.sync += step.eq(Mux(end, 0, step + 1))
        with core.m.If(swap):
            core.m.d.sync += loaded.eq(load)
        with core.m.Elif(load):
            core.m.d.sync += loaded.eq(loaded + 1)
        index = Mux(swap, 0, loaded)[: n.bit_length()]
        return Cat(row, swap, row & end), Cat(load, index)

    def _elements(self, core: Core, row: Value, load: Value) -> list[Value]:
        """The grid; the partial sum at the foot of each column."""
        p: SystolicWs = self.parameters  # type: ignore[assignment]
        n, m = p.side, core.m
        weights: list[Value] = [core.delay(self.i_b.payload.b[j], j, f"b_skew_{j}") for j in range(n)]
        loads: list[Value] = [core.delay(load, j, f"load_skew_{j}") for j in range(n)]
        sums: list[Value] = [Signal(signed(p.acc_bits), name=f"zero_{j}") for j in range(n)]
        for i in range(n):
            right: Value = core.delay(self.i_a.payload.a[i], i, f"a_skew_{i}")
            flag: Value = core.delay(row, i, f"row_skew_{i}")
            for j in range(n):
                name = f"{i}_{j}"
                shadow, held, used = (Signal(signed(p.bits), name=f"{w}_{name}") for w in ("shadow", "held", "used"))
                m.d.comb += used.eq(Mux(flag[1], shadow, held))
                m.d.sync += held.eq(used)
                with m.If(loads[j][0] & (loads[j][1:] == i)):
                    m.d.sync += shadow.eq(weights[j])
                total = Signal(signed(p.acc_bits), name=f"sum_{name}")
                m.d.sync += total.eq(sums[j] + right * used)
                right, flag = core.reg(right, f"a_{name}"), core.reg(flag, f"row_{name}")
                weights[j], loads[j] = core.reg(weights[j], f"b_{name}"), core.reg(loads[j], f"load_{name}")
                sums[j] = total
        return sums
