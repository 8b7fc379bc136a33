"""Amaranth shapes and arithmetic of the fixed-point formats (`hwsim.golden.fixed.FIXED` is the one table)."""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Mux, Shape, Value, signed, unsigned

from hwsim.golden.fixed import FIXED, Fixed
from rtl.beat import Field

__all__ = ["FIXED", "field", "integer", "requantise", "round_shift", "saturate", "shape"]


def integer(bits: int) -> Fixed:
    """A signed integer of ``bits`` bits as a format."""
    return Fixed(bits, 0, True, "integer")


def shape(fmt: Fixed | str) -> Shape:
    """The Amaranth shape of a format (or of the format so named)."""
    f = FIXED[fmt] if isinstance(fmt, str) else fmt
    return signed(f.bits) if f.signed else unsigned(f.bits)


def field(name: str, fmt: str, *dims: int) -> Field:
    """A beat's field that holds values of the named format."""
    f = FIXED[fmt]
    return Field(name, f.bits, f.signed, dims)


def round_shift(value: Value, shift: int) -> Value:
    """``value * 2**-shift`` to the nearest integer, halves up; a negative shift multiplies exactly."""
    if shift == 0:
        return value
    if shift < 0:
        return (value << -shift).as_signed() if value.shape().signed else value << -shift
    return (value + Const(1 << (shift - 1))) >> shift


def saturate(value: Value, fmt: Fixed | str) -> Value:
    """``value`` held to the ends of a format."""
    f = FIXED[fmt] if isinstance(fmt, str) else fmt
    low, high = Const(f.low, shape(f)), Const(f.high, shape(f))
    kept: Any = value[: f.bits]
    kept = kept.as_signed() if f.signed else kept
    return Mux(value > f.high, high, Mux(value < f.low, low, kept))


def requantise(value: Value, shift: int, fmt: Fixed | str) -> Value:
    """`round_shift`, then `saturate`."""
    return saturate(round_shift(value, shift), fmt)
