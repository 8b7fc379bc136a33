"""Integer matrix products and the quantisation around them, exact to the bit.

Glossary:

* ``a`` activations [M, K]; ``w`` weights [N, K]; the product is a @ w.T, [M, N].
* ``q`` integers of ``bits`` bits, two's complement; value = q * scale (``dequantize``).
* ``shift`` <- the exponent of a power-of-two scale: value = q * 2**shift.
* W4A4 (LightMamba): activations of 4 bits with a 4-bit shift per group of 8 along K; weights of 4 bits with two 3-bit
  shifts s1, s2 per group of 128, so that a weight's value is w * (2**s1 + 2**s2) times one unit of the tensor.

Sources: widths ``src/common.h``, accumulation ``src/accumulator.h``, activation shifts ``src/quantizer.h`` of
PKU-SEC-Lab/LightMamba. Two declared departures: one rounding rule for everything, half to even (the release rounds
halves up), and weight shifts chosen by :func:`quantize_two_shift` (the release's own choice was not read).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwsim.golden.ssm import F64

__all__ = [
    "I64",
    "TWO_SHIFT_LEVELS",
    "ShiftQuantized",
    "TwoShiftWeights",
    "accumulator_bits",
    "bounds",
    "dequantize",
    "gemm_error_bound",
    "gemm_integer",
    "gemm_w4a4",
    "pack_int4",
    "quantize",
    "quantize_shift",
    "quantize_two_shift",
    "rounded_shift",
    "saturate",
    "unpack_int4",
]

I64: TypeAlias = NDArray[np.int64]

ACTIVATION_GROUP: Final = 8
ACTIVATION_SHIFT_MAX: Final = 15
WEIGHT_GROUP: Final = 128
WEIGHT_SHIFT_MAX: Final = 7

TWO_SHIFT_LEVELS: Final = tuple(
    sorted((2**s1 + 2**s2, s1, s2) for s1 in range(WEIGHT_SHIFT_MAX + 1) for s2 in range(s1 + 1))
)
"""Every scale that two 3-bit shifts can make, as (2**s1 + 2**s2, s1, s2) with s1 >= s2, ascending: 36 of them."""


@dataclass(frozen=True, slots=True, eq=False)
class ShiftQuantized:
    """Integers with a power-of-two scale per group: value = q * 2**shift.

    Attributes:
        q: [..., K].
        shift: [..., K / group].
        group: elements per shift.
    """

    q: I64
    shift: I64
    group: int

    @property
    def values(self) -> I64:
        """Q * 2**shift, [..., K]."""
        return self.q << np.repeat(self.shift, self.group, axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class TwoShiftWeights:
    """4-bit weights with two shifts per group: value = q * (2**s1 + 2**s2) * unit.

    Attributes:
        q: [N, K].
        s1: [N, K / group].
        s2: [N, K / group].
        unit: value of one, the same for the whole tensor.
        group: elements per pair of shifts.
    """

    q: I64
    s1: I64
    s2: I64
    unit: float
    group: int

    @property
    def steps(self) -> F64:
        """Distance between neighbouring weight values, [N, K]."""
        sums = (np.int64(1) << self.s1) + (np.int64(1) << self.s2)
        return np.repeat(sums, self.group, axis=-1) * self.unit

    @property
    def values(self) -> F64:
        """Weights as numbers, [N, K]."""
        return np.asarray(self.q * self.steps, dtype=np.float64)


def bounds(bits: int) -> tuple[int, int]:
    """Least and greatest two's complement integer of ``bits`` bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def saturate(q: I64, bits: int) -> I64:
    """``q`` held within the range of ``bits`` bits."""
    return np.clip(q, *bounds(bits))


def quantize(x: F64, scale: F64 | float, bits: int) -> I64:
    """X / scale, rounded half to even and saturated to ``bits`` bits."""
    low, high = bounds(bits)
    return np.clip(np.rint(x / scale), low, high).astype(np.int64)


def dequantize(q: I64, scale: F64 | float) -> F64:
    """Q * scale."""
    return np.asarray(q * scale, dtype=np.float64)


def rounded_shift(x: I64, shift: I64 | int) -> I64:
    """X / 2**shift, rounded half to even, in integers; ``shift`` is 0 or more."""
    shift = np.asarray(shift, dtype=np.int64)
    floor = x >> shift
    rest = x - (floor << shift)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    up = (shift > 0) & ((rest > half) | ((rest == half) & (floor & 1 == 1)))
    return np.asarray(floor + up, dtype=np.int64)


def quantize_shift(
    x: I64, bits: int = 4, group: int = ACTIVATION_GROUP, shift_max: int = ACTIVATION_SHIFT_MAX
) -> ShiftQuantized:
    """Integers to fewer bits with one shift per group: shift = ceil(log2(max |x|)) - (bits - 1), within [0, shift_max].

    Args:
        x: integers, [..., K]; K is a multiple of ``group``.
        bits: bits of the result.
        group: elements that share a shift.
        shift_max: greatest shift that its field holds.
    """
    groups = x.reshape(*x.shape[:-1], -1, group)
    greatest = np.abs(groups).max(axis=-1)
    log2_ceil = np.array([int(value - 1).bit_length() if value > 0 else 0 for value in greatest.ravel()])
    shift = np.clip(log2_ceil.reshape(greatest.shape) - (bits - 1), 0, shift_max).astype(np.int64)
    q = saturate(rounded_shift(groups, shift[..., None]), bits)
    return ShiftQuantized(q.reshape(x.shape), shift, group)


def quantize_two_shift(w: F64, bits: int = 4, group: int = WEIGHT_GROUP) -> TwoShiftWeights:
    """Weights to ``bits`` bits with two shifts per group: the least scale at which no weight saturates.

    The unit is such that the greatest weight of the tensor just fits the greatest scale; a group so small that the
    least scale would do for less still takes the least.

    Args:
        w: weights, [N, K]; K is a multiple of ``group``.
        bits: bits of a weight.
        group: elements that share a pair of shifts.
    """
    greatest = np.abs(w).reshape(len(w), -1, group).max(axis=-1)
    top = bounds(bits)[1]
    level_sums = np.array([level[0] for level in TWO_SHIFT_LEVELS], dtype=np.float64)
    unit = float(greatest.max()) / (top * level_sums[-1]) or 1.0
    needed = greatest / (top * unit)
    chosen = np.minimum(np.searchsorted(level_sums * (1 + 1e-12), needed), len(level_sums) - 1)
    s1, s2 = (np.array([level[i] for level in TWO_SHIFT_LEVELS], dtype=np.int64)[chosen] for i in (1, 2))
    steps = np.repeat(level_sums[chosen], group, axis=-1) * unit
    return TwoShiftWeights(quantize(w, steps, bits), s1, s2, unit, group)


def pack_int4(q: I64) -> NDArray[np.uint8]:
    """Two 4-bit integers per byte, the first in the low half: [..., K] -> [..., K / 2].

    Raises:
        ValueError: K is odd, or a value does not fit 4 bits.
    """
    low, high = bounds(4)
    if q.shape[-1] % 2:
        raise ValueError(f"{q.shape[-1]} elements do not fill whole bytes")
    if q.size and not (low <= int(q.min()) and int(q.max()) <= high):
        raise ValueError(f"values from {q.min()} to {q.max()} do not fit 4 bits")
    nibbles = (q & 15).astype(np.uint8)
    return np.asarray(nibbles[..., ::2] | (nibbles[..., 1::2] << 4), dtype=np.uint8)


def unpack_int4(packed: NDArray[np.uint8]) -> I64:
    """The inverse of :func:`pack_int4`: [..., K / 2] -> [..., K]."""
    nibbles = np.stack([packed & 15, packed >> 4], axis=-1).astype(np.int64)
    signed = nibbles - ((nibbles & 8) << 1)
    return signed.reshape(*packed.shape[:-1], -1)


def accumulator_bits(k: int, a_bits: int, w_bits: int) -> int:
    """Bits that hold any sum of ``k`` products; the greatest, of both least integers, is k * 2**(a_bits+w_bits-2)."""
    return (k << (a_bits + w_bits - 2)).bit_length() + 1


def gemm_integer(a: I64, w: I64, a_bits: int, w_bits: int) -> I64:
    """A @ w.T in exact integers: [M, K], [N, K] -> [M, N]; int8 x int8, int4 x int4, int4 x int8 alike.

    Raises:
        ValueError: an operand does not fit its bits, or a sum could pass 64 bits.
    """
    for name, operand, bits in (("a", a, a_bits), ("w", w, w_bits)):
        low, high = bounds(bits)
        if operand.size and not (low <= int(operand.min()) and int(operand.max()) <= high):
            raise ValueError(f"{name} holds values from {operand.min()} to {operand.max()}, which {bits} bits cannot")
    if accumulator_bits(a.shape[-1], a_bits, w_bits) > 64:
        raise ValueError(f"a sum of {a.shape[-1]} products of {a_bits} x {w_bits} bits may pass 64 bits")
    return a.astype(np.int64) @ w.astype(np.int64).T


def gemm_w4a4(a: ShiftQuantized, w: TwoShiftWeights) -> I64:
    """The product in units of the weights' unit: sum_k (a_q << shift) * ((w_q << s1) + (w_q << s2)), [M, N].

    The accumulator of the release, group by group: the dot product of each activation group is shifted by the sum of
    the activation's and each of the weight's shifts. Its final truncation belongs to the machine and is left out.

    Args:
        a: activations, q [M, K].
        w: weights, q [N, K]; the weight group is a multiple of the activation group.
    """
    rows = np.zeros((len(a.q), len(w.q)), dtype=np.int64)
    for index in range(a.shift.shape[-1]):
        part = slice(index * a.group, (index + 1) * a.group)
        dots = a.q[:, part] @ w.q[:, part].T
        by_weight = index * a.group // w.group
        for shift in (w.s1[:, by_weight], w.s2[:, by_weight]):
            rows += dots << (a.shift[:, index, None] + shift)
    return rows


def gemm_error_bound(a: F64, w: F64, a_error: F64, w_error: F64) -> F64:
    """Greatest error of a product of quantised operands, |a'w' - aw| <= sum_k |a| ew + ea |w| + ea ew, [M, N].

    Args:
        a: exact activations, [M, K].
        w: exact weights, [N, K].
        a_error: greatest error of each activation (half a step where nothing saturates), [M, K].
        w_error: greatest error of each weight, [N, K].
    """
    return np.asarray(np.abs(a) @ w_error.T + a_error @ (np.abs(w) + w_error).T, dtype=np.float64)
