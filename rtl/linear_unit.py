"""The hardware of the GEMM/GEMV tensor core (`rtl.linear` has its parameters and its stages)."""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib.memory import Memory

from rtl.base import Core, Unit, Wire
from rtl.fixed_formats import integer, requantise

if TYPE_CHECKING:
    from rtl.linear import Linear

__all__ = ["LinearUnit"]


class LinearUnit(Unit):
    """The tensor core; see `rtl.linear` for its stages."""

    i_act: Wire
    i_weight: Wire
    o: Wire

    def elaborate(self, platform: Wire) -> Module:
        """Wire sequencer, buffers, multipliers, adder trees and accumulators."""
        m = Module()
        core = Core(m, self.o)
        flags = self._sequence(m, core)
        act, weight = self._operands(m, core, flags)
        sums = self._multiply(core, act, weight)
        self._accumulate(core, sums, {name: core.delay(flag, 3, name) for name, flag in flags.items()})
        return m

    def _sequence(self, m: Module, core: Core) -> dict[str, Value]:
        """Counters over (tile, pass, step); a beat fires when every stream it needs is valid."""
        p: Linear = self.parameters  # type: ignore[assignment]
        tile, turn, step = Signal(range(p.tiles)), Signal(range(p.passes)), Signal(range(p.steps))
        need_act, need_weight, fire = Signal(), Signal(), Signal()
        m.d.comb += [
            need_act.eq(tile == 0),
            need_weight.eq(turn == 0),
            fire.eq(core.en & (self.i_act.valid | ~need_act) & (self.i_weight.valid | ~need_weight)),
            self.i_act.ready.eq(fire & need_act),
            self.i_weight.ready.eq(fire & need_weight),
        ]
        end_step, end_turn, end_tile = Signal(), Signal(), Signal()
        m.d.comb += [
            end_step.eq(step == p.steps - 1),
            end_turn.eq(turn == p.passes - 1),
            end_tile.eq(tile == p.tiles - 1),
        ]
        with m.If(fire):
            m.d.sync += step.eq(Mux(end_step, 0, step + 1))
            with m.If(end_step):
                m.d.sync += turn.eq(Mux(end_turn, 0, turn + 1))
                with m.If(end_turn):
                    m.d.sync += tile.eq(Mux(end_tile, 0, tile + 1))
        self._address, self._step = turn * p.steps + step, step
        return {
            "valid": fire,
            "first": step == 0,
            "done": fire & end_step,
            "last": end_step & end_turn & end_tile,
            "from_act": need_act,
            "from_weight": need_weight,
        }

    def _replay(
        self, core: Core, stream: Wire, take: Value, fire: Value, address: Value, depth: int, name: str
    ) -> Wire:
        """The stream's beat, or the one kept at ``address`` when the stream is not taken; one cycle later."""
        layout = stream.payload.shape()
        fresh = core.reg(stream.payload, f"{name}_fresh")
        if depth == 0:
            return layout(fresh)
        memory = Memory(shape=Value.cast(stream.payload).shape(), depth=depth, init=[])
        core.add(f"{name}_buffer", memory)
        write, read = memory.write_port(), memory.read_port()
        core.m.d.comb += [
            write.addr.eq(address),
            write.data.eq(Value.cast(stream.payload)),
            write.en.eq(fire & take),
            read.addr.eq(address),
            read.en.eq(1),
        ]
        chosen = Signal(Value.cast(stream.payload).shape(), name=f"{name}_operand")
        core.m.d.comb += chosen.eq(Mux(core.reg(take, f"{name}_taken"), fresh, read.data))
        return layout(chosen)

    def _operands(self, m: Module, core: Core, flags: dict[str, Value]) -> tuple[Wire, Wire]:
        """S1: activations and weights, from their streams or from their buffers."""
        p: Linear = self.parameters  # type: ignore[assignment]
        act = self._replay(
            core,
            self.i_act,
            flags["from_act"],
            flags["valid"],
            self._address,
            p.steps * p.passes if p.tiles > 1 else 0,
            "act",
        )
        weight = self._replay(
            core,
            self.i_weight,
            flags["from_weight"],
            flags["valid"],
            self._step,
            p.steps if p.passes > 1 else 0,
            "weight",
        )
        return act, weight

    def product(self, act: Value, weight: Value) -> Value:
        """One multiplier."""
        return act * weight

    def _multiply(self, core: Core, act: Wire, weight: Wire) -> list[list[Value]]:
        """S2 products, S3 sums over CIP with their scales."""
        p: Linear = self.parameters  # type: ignore[assignment]
        sums = []
        for t in range(p.tp):
            row = []
            for c in range(p.cop):
                products = [
                    core.reg(self.product(act.a[t][i], weight.w[c][i]), f"product_{t}_{c}_{i}") for i in range(p.cip)
                ]
                total = reduce(add, products)
                if p.scaled:
                    shift = core.reg(act.shift[t] + weight.shift[c], f"shift_{t}_{c}")
                    total = total << shift
                row.append(core.reg(total, f"sum_{t}_{c}"))
            sums.append(row)
        return sums

    def _accumulate(self, core: Core, sums: list[list[Value]], flags: dict[str, Value]) -> None:
        """S4 accumulators, and S5 when the output is rounded."""
        p: Linear = self.parameters  # type: ignore[assignment]
        sync, out = core.m.d.sync, self.o.payload
        late = bool(p.out_bits)
        done, last = flags["done"], flags["last"]
        for t in range(p.tp):
            for c in range(p.cop):
                acc = Signal(signed(p.acc_bits), name=f"acc_{t}_{c}")
                total = Signal(signed(p.acc_bits), name=f"total_{t}_{c}")
                core.m.d.comb += total.eq(Mux(flags["first"], 0, acc) + sums[t][c])
                with core.m.If(flags["valid"]):
                    core.m.d.sync += acc.eq(total)
                result = requantise(acc, p.out_shift, integer(p.out_bits)) if late else total
                with core.m.If(core.reg(done, f"done_{t}_{c}") if late else done):
                    core.m.d.sync += out.y[t][c].eq(result)
        sync += [
            self.o.valid.eq(core.reg(done, "done_r") if late else done),
            out.last.eq(core.reg(last, "last_r") if late else last),
        ]
