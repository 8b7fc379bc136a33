"""The shift-and-add tensor core (ShiftAddViT): weights are 0 or a signed power of two, so a product is a shift.

The code of a weight: the top bit is the sign, the others the exponent; an exponent of all ones is zero. Everything
else is the tensor core of `rtl.linear`, with no multiplier in it.

Source of the arithmetic: ShiftAddViT (arXiv 2306.06446), shift layers with weights sign * 2**p.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from amaranth.hdl import Mux, Value
from amaranth.lib import wiring

from rtl.base import Ints, require
from rtl.beat import Field, u
from rtl.linear import Linear
from rtl.linear_unit import LinearUnit

__all__ = ["ShiftAdd"]


@dataclass(frozen=True)
class ShiftAdd(Linear):
    """Parameters of the shift-and-add core: as `Linear`; ``weight_bits`` is the bits of a code."""

    unit: ClassVar[str] = "shiftadd"
    corners: ClassVar[tuple[str, ...]] = ("lowest", "zero")

    weight_bits: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        super().__post_init__()
        require(
            self.unit,
            (self.scaled == 0, "scaled=1", "0"),
            (self.weight_bits <= 6, f"weight_bits={self.weight_bits}", "6 or fewer"),
        )

    @property
    def zero(self) -> int:
        """The exponent that means zero."""
        return (1 << (self.weight_bits - 1)) - 1

    @property
    def product_top(self) -> int:
        """log2 of the largest product."""
        return self.act_bits - 1 + self.zero - 1

    def weight_field(self) -> Field:
        """The codes."""
        return u("w", self.weight_bits, self.cop, self.cip)

    def weights(self, codes: Ints) -> Ints:
        """The integers that codes stand for."""
        exponent, sign = codes & self.zero, codes >> (self.weight_bits - 1)
        return np.where(exponent == self.zero, 0, (1 - 2 * sign) << exponent)

    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """As `Linear`, weights given as codes."""
        return super().compute({**inputs, "weight": self.weights(inputs["weight"])})

    def draw(self, rng: np.random.Generator, corner: str = "", jobs: int = 1) -> dict[str, Ints]:
        """Random codes; corners: the largest negative products everywhere, zero everywhere."""
        out = super().draw(rng, corner, jobs)
        shape = out["weight"].shape
        codes = rng.integers(0, 1 << self.weight_bits, shape)
        largest = (1 << (self.weight_bits - 1)) | (self.zero - 1)
        out["weight"] = {"": codes, "lowest": np.full(shape, largest), "zero": np.full(shape, self.zero)}[corner]
        return out

    def dsp_blocks(self) -> int:
        """Products are shifts: those of an address alone."""
        return self.address_dsp

    @property
    def product_bits(self) -> int:
        """Bits of a shifted activation, and one for its negation."""
        return self.product_top + 3

    def create(self) -> wiring.Component:
        """The hardware."""
        return ShiftAddUnit(self)


class ShiftAddUnit(LinearUnit):
    """The tensor core with shifters for multipliers."""

    def product(self, act: Value, weight: Value) -> Value:
        """The activation shifted, negated or blanked."""
        p: ShiftAdd = self.parameters  # type: ignore[assignment]
        exponent, sign = weight[:-1], weight[-1]
        shifted = (act << exponent)[: p.product_top + 2].as_signed()
        return Mux(exponent == p.zero, 0, Mux(sign, -shifted, shifted))
