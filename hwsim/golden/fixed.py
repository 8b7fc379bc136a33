"""Bit-exact fixed-point arithmetic of the hardware units, in NumPy int64.

Glossary: a value in format ``f`` is an integer ``v`` that stands for ``v * 2**-f.frac``. There is one rounding rule
(to nearest, halves up: ``floor(x + 1/2)``) and one saturation rule (to the ends of the format). `FIXED` is the one
table of formats: the RTL generator, these models and the tests import it.

Sources: derived; the arithmetic of the units is this project's own. The recurrence is Mamba-2's
(state-spaces/mamba, mamba_ssm/modules/mamba2.py): h = exp(dt*A)*h + dt*B*x, y = C.h + D*x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["FIXED", "Fixed", "linear_grouped", "quantise", "requantise", "round_shift", "saturate", "to_float"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A fixed-point format.

    Attributes:
        bits: bits of a value, the sign included.
        frac: fractional bits.
        signed: two's complement, else unsigned.
        use: what holds values in this format.
    """

    bits: int
    frac: int
    signed: bool
    use: str

    @property
    def low(self) -> int:
        """The least integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The greatest integer."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def step(self) -> float:
        """The value of one unit in the last place."""
        return 2.0**-self.frac


FIXED: Final[dict[str, Fixed]] = {
    "act": Fixed(8, 4, True, "input of a linear layer"),
    "value": Fixed(18, 11, True, "what streams between units: x, z, B, C, y"),
    "tap": Fixed(18, 14, True, "convolution taps, norm gains"),
    "dt": Fixed(18, 15, False, "softplus output; below 8"),
    "rate": Fixed(16, 11, False, "-A * log2(e), folded offline; below 32"),
    "decay": Fixed(17, 16, False, "2**-(dt*rate); 65536 is exactly 1"),
    "state": Fixed(24, 16, True, "hidden state h; within 128"),
    "skip": Fixed(18, 14, True, "D"),
    "gate": Fixed(17, 16, False, "logistic function, 0 to 1"),
}


def round_shift(value: Ints, shift: int) -> Ints:
    """``value * 2**-shift`` to the nearest integer, halves up; a negative shift multiplies exactly."""
    if shift <= 0:
        return value << -shift
    return (value + (1 << (shift - 1))) >> shift


def saturate(value: Ints, fmt: Fixed) -> Ints:
    """``value`` held to the ends of ``fmt``."""
    return np.clip(value, fmt.low, fmt.high)


def requantise(value: Ints, shift: int, fmt: Fixed) -> Ints:
    """`round_shift`, then `saturate`."""
    return saturate(round_shift(value, shift), fmt)


def quantise(value: Any, fmt: Fixed) -> Ints:
    """Real numbers to integers of ``fmt``: nearest, halves up, saturated."""
    scaled = np.floor(np.asarray(value, dtype=np.float64) * 2.0**fmt.frac + 0.5)
    return np.clip(scaled, fmt.low, fmt.high).astype(np.int64)


def to_float(value: Ints, fmt: Fixed) -> Floats:
    """Integers of ``fmt`` as real numbers."""
    return value.astype(np.float64) * fmt.step


def linear_grouped(act: Ints, weight: Ints, act_shift: Ints | None = None, weight_shift: Ints | None = None) -> Ints:
    """Matrix product with power-of-two scales per group of input channels.

    Args:
        act: activations, (tokens, k).
        weight: weights, (n, k).
        act_shift: exponents of the activations' groups, (tokens, groups); a group is k / groups channels.
        weight_shift: exponents of the weights' groups, (n, groups).

    Returns:
        (tokens, n): sum over k of act * 2**act_shift * weight * 2**weight_shift, exact.
    """

    def scaled(values: Ints, shift: Ints | None) -> Ints:
        if shift is None:
            return values
        return values << np.repeat(shift, -(-values.shape[1] // shift.shape[1]), axis=1)[:, : values.shape[1]]

    return scaled(act.astype(np.int64), act_shift) @ scaled(weight.astype(np.int64), weight_shift).T
