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

__all__ = [
    "FIXED",
    "TABLE_FRAC",
    "Fixed",
    "conv1d_fixed",
    "decay_fixed",
    "gate_fixed",
    "linear_grouped",
    "logistic_fixed",
    "quantise",
    "requantise",
    "rms_norm_fixed",
    "round_shift",
    "rsqrt_fixed",
    "saturate",
    "silu_fixed",
    "softplus_fixed",
    "ssm_inputs_fixed",
    "ssm_step_fixed",
    "to_float",
]

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
    "drive": Fixed(27, 18, True, "dt*x; within 256"),
    "skip": Fixed(18, 14, True, "D"),
    "gate": Fixed(17, 16, False, "logistic function, 0 to 1"),
}

TABLE_FRAC: Final = 20
"""Fractional bits of every table of chords."""


def round_shift(value: Ints, shift: int) -> Ints:
    """``value * 2**-shift`` to the nearest integer, halves up; a negative shift multiplies exactly."""
    if shift <= 0:
        return value << -shift
    rounded: Ints = (value + (1 << (shift - 1))) >> shift
    return rounded


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


def _chord(ends: Floats, index: Ints, part: Ints, part_bits: int) -> Ints:
    """Piecewise-linear value: on the chord from ``ends[index]`` to ``ends[index + 1]``, ``part`` of the way."""
    table = np.floor(ends * 2.0**TABLE_FRAC + 0.5).astype(np.int64)
    return table[index] + round_shift((table[index + 1] - table[index]) * part, part_bits)


def decay_fixed(dt: Ints, rate: Ints) -> Ints:
    """exp(dt*A) as 2**-(dt*rate), with rate = -A*log2(e): 64 chords of 2**-f, then a shift.

    Args:
        dt: format ``dt``.
        rate: format ``rate``.

    Returns:
        Format ``decay``; exactly 1 where dt is 0.
    """
    exponent = round_shift(dt * rate, FIXED["dt"].frac + FIXED["rate"].frac - 16)
    whole, part = np.minimum(exponent >> 16, 18), exponent & 0xFFFF
    value = _chord(np.exp2(-np.arange(65) / 64), part >> 10, part & 1023, 10)
    shift = whole + TABLE_FRAC - FIXED["decay"].frac
    result: Ints = (value + (np.int64(1) << (shift - 1))) >> shift
    return result


def softplus_fixed(x: Ints) -> Ints:
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)): chords of 1/16; format ``value`` to format ``dt``."""
    z = np.minimum(np.abs(x), 16 << 11)
    tail = _chord(np.log1p(np.exp(-np.append(np.arange(257), 1e4) / 16)), z >> 7, z & 127, 7)
    total = tail + (np.maximum(x, 0) << (TABLE_FRAC - 11))
    return requantise(total, TABLE_FRAC - FIXED["dt"].frac, FIXED["dt"])


def logistic_fixed(x: Ints) -> Ints:
    """1/(1 + exp(-x)) by chords of 1/16 over |x|, mirrored; format ``value`` to format ``gate``."""
    z = np.minimum(np.abs(x), 16 << 11)
    upper = _chord(1 / (1 + np.exp(-np.append(np.arange(257), 1e4) / 16)), z >> 7, z & 127, 7)
    gate = round_shift(upper, TABLE_FRAC - FIXED["gate"].frac)
    return np.where(x < 0, (1 << 16) - gate, gate)


def silu_fixed(x: Ints) -> Ints:
    """X * logistic(x); format ``value`` to format ``value``."""
    return requantise(x * logistic_fixed(x), FIXED["gate"].frac, FIXED["value"])


def gate_fixed(y: Ints, z: Ints) -> Ints:
    """Y * silu(z); formats ``value``."""
    return requantise(y * silu_fixed(z), FIXED["value"].frac, FIXED["value"])


def rsqrt_fixed(v: Ints, bits: int) -> tuple[Ints, Ints]:
    """1/sqrt(v) of unsigned ``bits``-bit integers v >= 1 (``bits`` even) as mantissa * 2**-(20 + exponent).

    The argument is shifted left by an even count until its top two bits are not both zero; 192 chords then cover
    [1, 4) with steps of 1/64 (the bits below the chord's 10-bit part are dropped).
    """
    length = np.array([int(x).bit_length() for x in v.reshape(-1)], dtype=np.int64).reshape(v.shape)
    pairs = (bits - length) // 2
    top = (v << (2 * pairs)) >> (bits - 18)
    mantissa = _chord(1 / np.sqrt(np.arange(64, 257) / 64), (top >> 10) - 64, top & 1023, 10)
    return mantissa, bits // 2 - 1 - pairs


def rms_norm_fixed(x: Ints, gain: Ints, epsilon: float = 1e-5) -> Ints:
    """X / sqrt(mean(x**2) + epsilon) * gain, rounded to a linear layer's input.

    Args:
        x: (tokens, channels), format ``value``.
        gain: (tokens, channels), format ``tap``.
        epsilon: added to the mean square.

    Returns:
        (tokens, channels), format ``act``.
    """
    channels = x.shape[1]
    bits = rms_bits(channels)
    total = np.sum(x * x, axis=1) + rms_epsilon(channels, epsilon)
    mantissa, exponent = rsqrt_fixed(total, bits)
    root, root_bits = rms_root(channels)
    factor = round_shift(mantissa * root, TABLE_FRAC)
    shift = (exponent + 6 - root_bits)[:, None]
    normal = saturate((x * factor[:, None] + (np.int64(1) << (shift - 1))) >> shift, FIXED["value"])
    return requantise(normal * gain, FIXED["value"].frac + FIXED["tap"].frac - FIXED["act"].frac, FIXED["act"])


def rms_bits(channels: int) -> int:
    """Bits (even) of the sum of squares of ``channels`` values."""
    bits = 2 * (FIXED["value"].bits - 1) + (channels + 1).bit_length()
    return bits + bits % 2


def rms_epsilon(channels: int, epsilon: float = 1e-5) -> int:
    """What is added to the integer sum of squares: epsilon for each channel."""
    return int(epsilon * channels * 2.0 ** (2 * FIXED["value"].frac) + 0.5)


def rms_root(channels: int) -> tuple[int, int]:
    """sqrt(channels) as root * 2**(root_bits - 17), root of at most 17 bits and a half."""
    root_bits = ((channels - 1).bit_length() + 1) // 2
    return int(np.floor(np.sqrt(channels) * 2.0 ** (17 - root_bits) + 0.5)), root_bits


def conv1d_fixed(window: Ints, taps: Ints, bias: Ints) -> Ints:
    """Depthwise convolution of one position.

    Args:
        window: (…, 4, channels), the oldest first; format ``value``.
        taps: (…, 4, channels); format ``tap``.
        bias: (…, channels); format ``value``.

    Returns:
        (…, channels), format ``value``.
    """
    total: Ints = np.sum(window * taps, axis=-2) + (bias << FIXED["tap"].frac)
    return requantise(total, FIXED["tap"].frac, FIXED["value"])


def ssm_inputs_fixed(x: Ints, dt: Ints, rate: Ints) -> tuple[Ints, Ints]:
    """Decay and drive (dt*x) of a token; x (…, channels), dt and rate (…) in their formats."""
    shift = FIXED["dt"].frac + FIXED["value"].frac - FIXED["drive"].frac
    return decay_fixed(dt, rate), requantise(dt[..., None] * x, shift, FIXED["drive"])


def ssm_step_fixed(h: Ints, decay: Ints, drive: Ints, b: Ints, c: Ints, skip: Ints, x: Ints) -> tuple[Ints, Ints]:
    """One token of the recurrence h = decay*h + drive*b, y = c.h + skip*x.

    Args:
        h: state, (channels, d_state), format ``state``.
        decay: one for the head, format ``decay``.
        drive: (channels,), format ``drive``.
        b: (d_state,), format ``value``.
        c: (d_state,), format ``value``.
        skip: one for the head, format ``skip``.
        x: (channels,), format ``value``.

    Returns:
        The new state, and y (channels,) in format ``value``.
    """
    state, value = FIXED["state"], FIXED["value"]
    product_frac = FIXED["decay"].frac + state.frac
    driven = (drive[:, None] * b[None, :]) << (product_frac - FIXED["drive"].frac - value.frac)
    new = requantise(decay * h + driven, FIXED["decay"].frac, state)
    sum_frac = state.frac + value.frac
    total = new @ c + ((skip * x) << (sum_frac - FIXED["skip"].frac - value.frac))
    return new, requantise(total, sum_frac - value.frac, value)
