"""Bitmap-sparse weights: the decompressor, and the tensor core fed by it.

A beat of ``lanes`` values is a bitmap and its non-zero values; the non-zero values of all beats are packed without
gaps. A buffer of two beats holds packed values; each lane takes the value whose number is the count of set bits below
it (prefix popcount), or zero. One beat leaves per cycle whatever the density: the buffer holds at least one full beat
once the first packed beat is in.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring

from hwsim.timing import flip_flops, stalls
from hwsim.timing import sparse as timing
from rtl.base import Core, Ints, Parameters, Unit, Wire, require
from rtl.beat import Beat, s, u
from rtl.linear import Linear

__all__ = ["Decompressor", "SparseLinear"]


def _packed(values: Ints, lanes: int) -> Ints:
    """The non-zero values in order, in beats of ``lanes`` (the last padded with zeros)."""
    flat = values.reshape(-1)
    flat = flat[flat != 0]
    return np.pad(flat, (0, -len(flat) % lanes)).reshape(-1, lanes)


@dataclass(frozen=True)
class Decompressor(Parameters):
    """Parameters of the decompressor.

    Attributes:
        lanes: values of a beat.
        bits: bits of a value.
    """

    unit: ClassVar[str] = "decompressor"
    corners: ClassVar[tuple[str, ...]] = ("empty", "full", "late", "alternate")

    lanes: int = 8
    bits: int = 8

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        require(
            self.unit,
            (self.lanes >= 2, f"lanes={self.lanes}", "2 or more"),
            (self.bits >= 2, f"bits={self.bits}", "2 or more"),
        )

    def ports_in(self) -> dict[str, Beat]:
        """``i_mask``: a bitmap for each beat; ``i_packed``: non-zero values without gaps."""
        return {"i_mask": Beat(u("mask", self.lanes)), "i_packed": Beat(s("v", self.bits, self.lanes))}

    def ports_out(self) -> dict[str, Beat]:
        """``o``: the dense beats."""
        return {"o": Beat(s("v", self.bits, self.lanes))}

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """Mask (beats,) and packed (packed beats, lanes) to v (beats, lanes)."""
        queue = iter(inputs["packed"].reshape(-1).tolist())
        rows = [[next(queue) if mask >> k & 1 else 0 for k in range(self.lanes)] for mask in inputs["mask"].tolist()]
        return {"v": np.array(rows, dtype=np.int64)}

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """Bitmaps and packed beats."""
        ports = self.ports_in()
        return {
            "i_mask": ports["i_mask"].pack_all({"mask": inputs["mask"]}),
            "i_packed": ports["i_packed"].pack_all({"v": inputs["packed"]}),
        }

    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """The dense beats."""
        return {"o": self.ports_out()["o"].pack_all(self.compute(inputs))}

    def from_dense(self, dense: Ints) -> dict[str, Ints]:
        """Inputs that decompress to ``dense`` (beats, lanes)."""
        mask = ((dense != 0) << np.arange(self.lanes)).sum(axis=1)
        return {"mask": mask, "packed": _packed(dense, self.lanes)}

    def draw(self, rng: np.random.Generator, corner: str = "", beats: int = 40) -> dict[str, Ints]:
        """Random beats whose density changes; corners: all empty, all full, empty at first, empty and full in turn."""
        low, high = -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        values = rng.integers(low, high + 1, (beats, self.lanes))
        values[values == 0] = high
        keep = rng.random((beats, self.lanes)) < rng.random((beats, 1))
        if corner:
            rows = np.arange(beats)[:, None]
            keep = {"empty": rows < 0, "full": rows >= 0, "late": rows >= beats // 2, "alternate": rows % 2 == 1}[
                corner
            ]
        return self.from_dense(np.where(keep, values, 0))

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """The first packed beat, one cycle a beat, the output register."""
        beats, waits = (1, True) if inputs is None else (len(inputs["mask"]), bool(inputs["mask"][0]))
        return {
            "fill": timing.fill_cycles(waits),
            "stream": beats,
            "drain": timing.DECOMPRESS_CYCLES,
        }

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """Bitmaps wait for their values."""
        counts = [int(mask).bit_count() for mask in inputs["mask"]]
        return stalls.Decompressing(counts, self.lanes, "i_mask", "i_packed")

    def flip_flops(self) -> int:
        """The buffer, its fill and the output."""
        return flip_flops.decompressor_flip_flops(self.lanes, self.bits)

    def create(self) -> wiring.Component:
        """The hardware."""
        return DecompressorUnit(self)


class DecompressorUnit(Unit):
    """Prefix popcount, select, and the two-beat buffer."""

    i_mask: Wire
    i_packed: Wire
    o: Wire

    def __init__(self, parameters: Decompressor) -> None:
        n = parameters.lanes
        self.held, self.buffer = Signal(range(2 * n + 1), name="held"), Signal(2 * n * parameters.bits, name="buffer")
        super().__init__(parameters)

    def elaborate(self, platform: Wire) -> Module:
        """Wire the buffer and the lanes."""
        p: Decompressor = self.parameters  # type: ignore[assignment]
        n, m = p.lanes, Module()
        core = Core(m, self.o)
        mask = self.i_mask.payload.mask
        counts = [Signal(range(n + 1), name=f"below_{k}") for k in range(n + 1)]
        for k in range(n):
            core.m.d.comb += counts[k + 1].eq(counts[k] + mask[k])
        used, left, fire, take = Signal(range(n + 1)), Signal(range(2 * n + 1)), Signal(), Signal()
        m.d.comb += [
            fire.eq(core.en & self.i_mask.valid & (self.held >= counts[n])),
            used.eq(Mux(fire, counts[n], 0)),
            left.eq(self.held - used),
            take.eq(core.en & self.i_packed.valid & (left <= n)),
            self.i_mask.ready.eq(fire),
            self.i_packed.ready.eq(core.en & (left <= n)),
        ]
        words = Array(self.buffer[k * p.bits : (k + 1) * p.bits] for k in range(n))
        with core.m.If(fire):
            core.m.d.sync += [self.o.payload.v[k].eq(Mux(mask[k], words[counts[k]], 0)) for k in range(n)]
        self._refill(core, p, used, left, take)
        core.m.d.sync += self.o.valid.eq(fire)
        return m

    def _refill(self, core: Core, p: Decompressor, used: Value, left: Value, take: Value) -> None:
        """Drop the used values; put a packed beat behind those left."""
        rest = Signal(2 * p.lanes * p.bits, name="rest")
        shifts = Array(self.buffer[k * p.bits :] for k in range(p.lanes + 1))
        core.m.d.comb += rest.eq(shifts[used])
        packed = Value.cast(self.i_packed.payload)
        places = Array(Cat(rest[: k * p.bits], packed) for k in range(p.lanes + 1))
        core.m.d.sync += [
            self.buffer.eq(Mux(take, places[left], rest)),
            self.held.eq(left + Mux(take, p.lanes, 0)),
        ]


@dataclass(frozen=True)
class SparseLinear(Linear):
    """Parameters of the tensor core with bitmap-sparse weights: as `Linear`, unscaled."""

    unit: ClassVar[str] = "sparse_linear"
    corners: ClassVar[tuple[str, ...]] = ("lowest", "zero")

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        super().__post_init__()
        require(self.unit, (self.scaled == 0, "scaled=1", "0: scales are not carried by the bitmap stream"))

    @property
    def decompressor(self) -> Decompressor:
        """The decompressor of one weight beat."""
        return Decompressor(lanes=self.cip * self.cop, bits=self.weight_bits)

    def ports_in(self) -> dict[str, Beat]:
        """``i_act`` as in `Linear`; ``i_mask`` and ``i_packed`` in place of the weights."""
        return {"i_act": super().ports_in()["i_act"], **self.decompressor.ports_in()}

    def _dense(self, inputs: Mapping[str, Ints]) -> Ints:
        """Weight beats as the core takes them, (beats, lanes)."""
        rows = np.moveaxis(self._rows(self._channels(inputs["weight"])), 2, 3)
        return rows.reshape(-1, self.cip * self.cop)

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """Activations as in `Linear`; bitmaps and packed weights."""
        act = np.moveaxis(self._tokens(self._channels(inputs["act"])), 2, 3).reshape(-1, self.tp, self.cip)
        sparse = self.decompressor
        return {
            "i_act": self.ports_in()["i_act"].pack_all({"a": act}),
            **sparse.encode(sparse.from_dense(self._dense(inputs))),
        }

    def draw(self, rng: np.random.Generator, corner: str = "", jobs: int = 1) -> dict[str, Ints]:
        """As `Linear`, about half of the weights zero."""
        out = super().draw(rng, corner, jobs)
        if not corner:
            out["weight"] = np.where(rng.random(out["weight"].shape) < 0.5, 0, out["weight"])
        return out

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """The decompressor's fill and register, then the core."""
        waits = inputs is None or bool(self._dense(inputs)[0].any())
        return {"decompress": timing.fill_cycles(waits) + timing.DECOMPRESS_CYCLES, **super().phases(inputs)}

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """The decompressor's, in front of the core's."""
        core = super().flow(inputs)
        dense = self.decompressor.flow(self.decompressor.from_dense(self._dense(inputs)))
        return core and dense and stalls.Chained(dense, core, "i_weight")

    def flip_flops(self) -> int:
        """The decompressor's and the core's."""
        return self.decompressor.flip_flops() + super().flip_flops()

    def create(self) -> wiring.Component:
        """The hardware."""
        return SparseLinearUnit(self)


class SparseLinearUnit(Unit):
    """The decompressor in front of the tensor core's weight port."""

    i_act: Wire
    i_mask: Wire
    i_packed: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Connect the two units."""
        p: SparseLinear = self.parameters  # type: ignore[assignment]
        m = Module()
        m.submodules.decompressor = dense = p.decompressor.create()
        base = {f.name: getattr(p, f.name) for f in fields(p)}
        m.submodules.core = core = Linear(**base).create()
        for port in ("i_mask", "i_packed"):
            wiring.connect(m, wiring.flipped(getattr(self, port)), getattr(dense, port))
        wiring.connect(m, wiring.flipped(self.i_act), core.i_act)
        wiring.connect(m, core.o, wiring.flipped(self.o))
        m.d.comb += [
            Value.cast(core.i_weight.payload).eq(Value.cast(dense.o.payload)),
            core.i_weight.valid.eq(dense.o.valid),
            dense.o.ready.eq(core.i_weight.ready),
        ]
        return m
