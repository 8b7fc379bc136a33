"""Pipelined function evaluators: each returns its value a fixed number of registers after its argument.

All are chords from a table (base and rise), the part between chords multiplied in, one rounding at the end.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory

from hwsim.golden.fixed import TABLE_FRAC
from rtl.base import Core
from rtl.fixed_formats import FIXED, requantise, round_shift, shape
from rtl.tables import Chord, decay_table, logistic_table, rsqrt_table, softplus_table

__all__ = ["LOGISTIC_REGISTERS", "SILU_REGISTERS", "decay", "logistic", "rsqrt", "silu", "softplus"]

LOGISTIC_REGISTERS, SILU_REGISTERS = 4, 6


def _chord(core: Core, table: tuple[Chord, ...], index: Value, part: Value, name: str) -> Value:
    """Value on the chord: two registers to the product, the sum unregistered."""
    rise_bits = max(abs(rise) for _, rise in table).bit_length() + 1
    layout = data.StructLayout({"base": TABLE_FRAC + 1, "rise": signed(rise_bits)})
    memory = Memory(shape=layout, depth=len(table), init=[{"base": b, "rise": r} for b, r in table])
    core.add(f"{name}_table", memory)
    read = memory.read_port()
    core.m.d.comb += [read.addr.eq(index), read.en.eq(1)]
    product = core.reg(read.data.rise * core.reg(part, f"{name}_part"), f"{name}_product")
    base = core.reg(read.data.base, f"{name}_base")
    total = Signal(signed(TABLE_FRAC + 2), name=f"{name}_chord")
    core.m.d.comb += total.eq(base + round_shift(product, len(part)))
    return total


def decay(core: Core, dt: Value, rate: Value, name: str = "decay") -> Value:
    """2**-(dt*rate) after 5 registers: product, exponent, table, product, shift."""
    product = core.reg(dt * rate, f"{name}_argument")
    exponent = core.reg(round_shift(product, FIXED["dt"].frac + FIXED["rate"].frac - 16), f"{name}_exponent")
    value = _chord(core, decay_table(), exponent[10:16], exponent[:10], name)
    whole = core.delay(Mux(exponent[16:] > 18, 18, exponent[16:])[:5], 2, f"{name}_whole")
    extra = TABLE_FRAC - FIXED["decay"].frac
    shifted = Signal(shape("decay"), name=f"{name}_shifted")
    half = Signal(TABLE_FRAC + 4, name=f"{name}_half")
    core.m.d.comb += half.eq(Const(1 << (extra - 1)) << whole)
    core.m.d.comb += shifted.eq((value.as_unsigned() + half) >> (whole + extra))
    return core.reg(shifted, name)


def _magnitude(core: Core, x: Value, name: str) -> Value:
    """min(|x|, 16) in ``value``'s fraction, registered."""
    limit = 16 << FIXED["value"].frac
    size = Mux(x < 0, -x, x).as_unsigned()
    return core.reg(Mux(size > limit, limit, size)[: limit.bit_length()], f"{name}_magnitude")


def softplus(core: Core, x: Value, name: str = "softplus") -> Value:
    """log(1 + exp(x)) in format ``dt`` after 4 registers: magnitude, table, product, sum."""
    z = _magnitude(core, x, name)
    tail = _chord(core, softplus_table(), z[7:], z[:7], name)
    ramp = core.delay(Mux(x < 0, 0, x), 3, f"{name}_ramp")
    total = tail + (ramp << (TABLE_FRAC - FIXED["value"].frac))
    return core.reg(requantise(total, TABLE_FRAC - FIXED["dt"].frac, "dt"), name)


def logistic(core: Core, x: Value, name: str = "logistic") -> Value:
    """1/(1 + exp(-x)) in format ``gate`` after 4 registers."""
    z = _magnitude(core, x, name)
    upper = round_shift(_chord(core, logistic_table(), z[7:], z[:7], name), TABLE_FRAC - FIXED["gate"].frac)
    negative = core.delay(x < 0, 3, f"{name}_negative")
    one = 1 << FIXED["gate"].frac
    result = Signal(shape("gate"), name=f"{name}_value")
    core.m.d.comb += result.eq(Mux(negative, one - upper, upper))
    return core.reg(result, name)


def silu(core: Core, x: Value, name: str = "silu") -> Value:
    """X * logistic(x) in format ``value`` after 6 registers."""
    gate = logistic(core, x, f"{name}_logistic")
    product = core.reg(core.delay(x, LOGISTIC_REGISTERS, f"{name}_x") * gate, f"{name}_scaled")
    return core.reg(requantise(product, FIXED["gate"].frac, "value"), name)


def _leading_pairs(m: Module, value: Value, bits: int, name: str) -> Value:
    """Zero pairs above the highest set bit."""
    pairs = Signal(range(bits // 2), name=name)
    for pair in reversed(range(bits // 2)):  # a later assignment wins: the topmost set pair
        with m.If(value[bits - 2 * pair - 2 : bits - 2 * pair].any()):
            m.d.comb += pairs.eq(pair)
    return pairs


def rsqrt(core: Core, value: Value, bits: int, name: str = "rsqrt") -> tuple[Value, Value]:
    """Mantissa and exponent of 1/sqrt(value) after 5 registers: pairs, normalised, table, product, sum."""
    pairs = core.reg(_leading_pairs(core.m, value, bits, f"{name}_zeros"), f"{name}_pairs")
    held = core.reg(value, f"{name}_argument")
    wide = Signal(bits, name=f"{name}_wide")
    core.m.d.comb += wide.eq(held << (pairs << 1))
    top = core.reg(wide[bits - 18 :], f"{name}_top")
    mantissa = _chord(core, rsqrt_table(), (top[10:] - 64)[:8], top[:10], name)
    exponent = core.delay(bits // 2 - 1 - pairs, 4, f"{name}_exponent")
    return core.reg(mantissa[: TABLE_FRAC + 1], f"{name}_mantissa"), exponent[: (bits // 2).bit_length()]
