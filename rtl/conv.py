"""Depthwise causal convolution, depth 4, with ancestor windows.

Each node's inputs are kept in a slot; a beat names the slots of its three ancestors, so a token tree needs no shift
register: siblings share their ancestors' slots, and after acceptance the path's last three slots simply become the
history. Slots are per tile of ``lanes`` channels; taps and bias of a tile are taken once and held for its nodes.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import ClassVar

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from hwsim.golden import fixed
from hwsim.timing import flip_flops, resources, stalls
from hwsim.timing import vector as timing
from hwsim.timing.memories import Placed
from rtl import functions
from rtl.base import Core, Ints, Parameters, Unit, Wire, require
from rtl.beat import Beat, u
from rtl.fixed_formats import FIXED, field, requantise

__all__ = ["TAPS", "Conv", "window_jobs"]

TAPS = resources.CONV_TAPS


def window_jobs(parents: Sequence[int], tiles: int, history: Sequence[int], slots: Sequence[int]) -> dict[str, Ints]:
    """The control fields of a token tree's windows: tiles outermost, nodes in order inside.

    Args:
        parents: each node's parent, -1 for children of the last committed token.
        tiles: tiles of channels.
        history: slots of the last three committed inputs, the newest first; -1 where there is none (zeros).
        slots: the slot of each node's inputs.
    """
    rows = []
    for node in range(len(parents)):
        path, at = [], parents[node]
        while at >= 0:
            path.append(slots[at])
            at = parents[at]
        rows.append((path + list(history))[: TAPS - 1])
    ancestors = np.array(rows * tiles, dtype=np.int64)
    first = np.tile(np.arange(len(parents)) == 0, tiles)
    return {
        "tile": np.repeat(np.arange(tiles), len(parents)),
        "slot": np.tile(np.array(slots[: len(parents)], dtype=np.int64), tiles),
        "ancestor": np.maximum(ancestors, 0),
        "blank": (ancestors < 0).astype(np.int64),
        "fresh": first.astype(np.int64),
    }


@dataclass(frozen=True)
class Conv(Parameters):
    """Parameters of the convolution.

    Attributes:
        lanes: channels per cycle.
        tiles: tiles of ``lanes`` channels.
        slots: nodes and history whose inputs are kept.
        silu: 1 puts the SiLU behind the convolution.
    """

    unit: ClassVar[str] = "conv"
    corners: ClassVar[tuple[str, ...]] = ("ends",)

    lanes: int = 2
    tiles: int = 2
    slots: int = 8
    silu: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        require(
            self.unit,
            (min(self.lanes, self.tiles) >= 1, f"lanes, tiles = {self.lanes, self.tiles}", "each at least 1"),
            (self.slots >= TAPS, f"slots={self.slots}", f"{TAPS} or more"),
            (self.silu in {0, 1}, f"silu={self.silu}", "0 or 1"),
        )

    def ports_in(self) -> dict[str, Beat]:
        """``i``: a node's channels and its ancestors' slots; ``i_tap``: taps and bias of a tile."""
        slot_bits = (self.slots - 1).bit_length()
        node = Beat(
            field("x", "value", self.lanes),
            u("tile", max(1, (self.tiles - 1).bit_length())),
            u("slot", slot_bits),
            u("ancestor", slot_bits, TAPS - 1),
            u("blank", 1, TAPS - 1),
            u("fresh", 1),
        )
        return {"i": node, "i_tap": Beat(field("taps", "tap", TAPS, self.lanes), field("bias", "value", self.lanes))}

    def ports_out(self) -> dict[str, Beat]:
        """``o``: a node's channels."""
        return {"o": Beat(field("y", "value", self.lanes))}

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """X (beats, lanes) with its control fields, taps (fresh beats, 4, lanes) and bias to y (beats, lanes)."""
        kept: dict[tuple[int, int], Ints] = {}
        turn, y = -1, []
        for k, x in enumerate(inputs["x"]):
            tile = int(inputs["tile"][k])
            turn += int(inputs["fresh"][k])
            window = [x]
            for slot, blank in zip(inputs["ancestor"][k].tolist(), inputs["blank"][k].tolist(), strict=True):
                window.insert(0, np.zeros_like(x) if blank else kept[tile, slot])
            y.append(fixed.conv1d_fixed(np.array(window), inputs["taps"][turn], inputs["bias"][turn]))
            kept[tile, int(inputs["slot"][k])] = x
        out = np.array(y)
        return {"y": fixed.silu_fixed(out) if self.silu else out}

    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """A beat for each node of each tile; taps for each fresh one."""
        return {name: beat.pack_all(inputs) for name, beat in self.ports_in().items()}

    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """A beat for each beat in."""
        return {"o": self.ports_out()["o"].pack_all(self.compute(inputs))}

    def draw(self, rng: np.random.Generator, corner: str = "", jobs: dict[str, Ints] | None = None) -> dict[str, Ints]:
        """Random inputs for the given windows (default: a chain that fills the slots, from no history)."""
        if jobs is None:
            jobs = window_jobs(range(-1, self.slots - 1), self.tiles, (-1, -1, -1), range(self.slots))
        count, fresh = len(jobs["tile"]), int(jobs["fresh"].sum())
        value, tap = FIXED["value"], FIXED["tap"]

        def ends(fmt: fixed.Fixed, *shape: int) -> Ints:
            return rng.choice(np.array([fmt.low, fmt.high]), shape)

        if corner:
            data = (ends(value, count, self.lanes), ends(tap, fresh, TAPS, self.lanes), ends(value, fresh, self.lanes))
        else:
            data = (
                fixed.quantise(rng.normal(0, 2, (count, self.lanes)), value),
                fixed.quantise(rng.normal(0, 0.5, (fresh, TAPS, self.lanes)), tap),
                fixed.quantise(rng.normal(0, 0.5, (fresh, self.lanes)), value),
            )
        return {**jobs, "x": data[0], "taps": data[1], "bias": data[2]}

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """One cycle a beat, then the pipeline's latency."""
        beats = self.slots * self.tiles if inputs is None else len(inputs["tile"])
        return {"stream": beats, "drain": timing.conv_total_cycles(beats, silu=bool(self.silu)) - beats}

    def flow(self, inputs: Mapping[str, Ints]) -> stalls.Control | None:
        """A beat in, a beat out; the first of a tile takes its taps too."""
        leaves = 1 << timing.conv_total_cycles(0, silu=bool(self.silu))
        slots = (stalls.Slot(frozenset({"i"}), leaves), stalls.Slot(frozenset({"i", "i_tap"}), leaves))
        return stalls.Sequenced([slots[fresh] for fresh in inputs["fresh"].tolist()])

    def dsp_blocks(self) -> int:
        """A multiplier for each tap, and two for the SiLU; the slots' four addresses, where they are wide products."""
        addresses = resources.conv_address_dsp(self.slots, self.tiles)
        return resources.conv_dsp(self.lanes, silu=bool(self.silu)) + addresses

    def memories(self) -> Placed:
        """The slots and the SiLU's tables."""
        return flip_flops.conv_memories(self.lanes, self.tiles, self.slots, silu=bool(self.silu))

    def flip_flops(self) -> int:
        """Window, products, taps, sums and the SiLU."""
        return flip_flops.conv_flip_flops(self.lanes, self.tiles, self.slots, silu=bool(self.silu))

    def create(self) -> wiring.Component:
        """The hardware."""
        return ConvUnit(self)


class ConvUnit(Unit):
    """The convolution: window, products, sum, value, and the SiLU behind it."""

    i: Wire
    i_tap: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Wire slots, taps and lanes."""
        p: Conv = self.parameters  # type: ignore[assignment]
        m = Module()
        core = Core(m, self.o)
        node = self.i.payload
        fire = Signal()
        m.d.comb += [
            fire.eq(core.en & self.i.valid & (self.i_tap.valid | ~node.fresh)),
            self.i.ready.eq(fire),
            self.i_tap.ready.eq(fire & node.fresh),
        ]
        window = self._window(core, p, fire)
        taps = self._taps(core, fire)
        cycles = timing.conv_total_cycles(0, silu=bool(p.silu))
        for lane in range(p.lanes):
            products = [core.reg(window[t][lane] * taps.taps[t][lane], f"product_{lane}_{t}") for t in range(TAPS)]
            bias = core.reg(taps.bias[lane], f"bias_{lane}") << FIXED["tap"].frac
            total = core.reg(reduce(add, products) + bias.as_signed(), f"sum_{lane}")
            value = requantise(total, FIXED["tap"].frac, "value")
            if p.silu:
                value = functions.silu(core, core.reg(value, f"value_{lane}"), f"silu_{lane}")
            core.m.d.sync += self.o.payload.y[lane].eq(value)
        core.m.d.sync += self.o.valid.eq(core.delay(fire, cycles - 1, "valid"))
        return m

    def _window(self, core: Core, p: Conv, fire: Value) -> list[list[Value]]:
        """The four inputs of each lane, the oldest first, one cycle after the beat."""
        node = self.i.payload
        bits = FIXED["value"].bits
        slots = Memory(shape=bits * p.lanes, depth=p.slots * p.tiles, init=[])
        core.add("slots", slots)
        write = slots.write_port()
        core.m.d.comb += [
            write.addr.eq(node.slot * p.tiles + node.tile),
            write.data.eq(Value.cast(node.x)),
            write.en.eq(fire),
        ]
        rows = [[core.reg(node.x[lane], f"x_{lane}") for lane in range(p.lanes)]]
        for back in range(TAPS - 1):
            read = slots.read_port()
            core.m.d.comb += [read.addr.eq(node.ancestor[back] * p.tiles + node.tile), read.en.eq(1)]
            blank = core.reg(node.blank[back], f"blank_{back}")
            row = [read.data[k * bits : (k + 1) * bits] for k in range(p.lanes)]
            rows.insert(0, [Mux(blank, 0, word).as_signed() for word in row])
        return rows

    def _taps(self, core: Core, fire: Value) -> Wire:
        """Taps and bias of the beat's tile, one cycle after the beat."""
        held = Signal(self.i_tap.payload.shape(), name="taps")
        with core.m.If(fire & self.i.payload.fresh):
            core.m.d.sync += held.eq(self.i_tap.payload)
        return held
