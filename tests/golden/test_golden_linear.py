"""Integer products against loops of Python integers; quantisation against fractions; error bounds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.golden.linear import (
    TWO_SHIFT_LEVELS,
    ShiftQuantized,
    TwoShiftWeights,
    accumulator_bits,
    bounds,
    dequantize,
    gemm_error_bound,
    gemm_integer,
    gemm_w4a4,
    pack_int4,
    quantize,
    quantize_shift,
    quantize_two_shift,
    rounded_shift,
    saturate,
    unpack_int4,
)

SEEDS = st.integers(0, 2**32 - 1)


def random_int(rng: np.random.Generator, bits: int, *shape: int) -> np.ndarray:
    """Integers of all values, with the two ends over-represented."""
    low, high = bounds(bits)
    ends = rng.choice([low, high], shape)
    return np.where(rng.random(shape) < 0.3, ends, rng.integers(low, high + 1, shape))


@given(st.sampled_from([(8, 8), (4, 4), (4, 8), (8, 4)]), st.integers(1, 20), SEEDS)
@settings(max_examples=40, deadline=None)
def test_gemm_against_loops(widths: tuple[int, int], k: int, seed: int) -> None:
    """Every element is the exact sum of products, and fits the declared accumulator."""
    rng = np.random.default_rng(seed)
    a, w = random_int(rng, widths[0], 3, k), random_int(rng, widths[1], 4, k)
    out = gemm_integer(a, w, *widths)
    low, high = bounds(accumulator_bits(k, *widths))
    for m in range(3):
        for n in range(4):
            total = sum(int(x) * int(y) for x, y in zip(a[m], w[n], strict=True))
            assert out[m, n] == total
            assert low <= total <= high


def test_accumulator_is_no_wider_than_needed() -> None:
    """Both least integers at every place reach the top bit: one bit fewer would overflow."""
    for k, a_bits, w_bits in [(1, 8, 8), (2560, 4, 4), (5120, 8, 4), (7, 4, 4)]:
        bits = accumulator_bits(k, a_bits, w_bits)
        greatest = k * (1 << (a_bits - 1)) * (1 << (w_bits - 1))
        assert bounds(bits - 1)[1] < greatest <= bounds(bits)[1]


@given(st.integers(-(2**40), 2**40), st.integers(0, 20))
def test_shift_rounds_half_to_even(x: int, shift: int) -> None:
    """The integer rule is Python's own rounding of the exact quotient."""
    assert int(rounded_shift(np.array([x]), shift)[0]) == round(Fraction(x, 2**shift))


def test_one_rounding_rule_and_saturation() -> None:
    """Halves go to the even neighbour, in floats and integers alike; the ends hold."""
    assert quantize(np.array([0.5, 1.5, 2.5, -0.5, -1.5, 99.0, -99.0]), 1.0, 4).tolist() == [0, 2, 2, 0, -2, 7, -8]
    assert rounded_shift(np.array([1, 3, 5, -1, -3]), 1).tolist() == [0, 2, 2, 0, -2]
    assert saturate(np.array([-9, -8, 7, 8]), 4).tolist() == [-8, -8, 7, 7]
    assert dequantize(np.array([-8, 3]), 0.5).tolist() == [-4.0, 1.5]


@given(st.integers(1, 6), SEEDS)
def test_int4_packing_round_trips(pairs: int, seed: int) -> None:
    """Unpacking gives back every value; the first element lies in the low half."""
    q = random_int(np.random.default_rng(seed), 4, 3, 2 * pairs)
    packed = pack_int4(q)
    assert packed.nbytes == q.size // 2
    assert unpack_int4(packed).tolist() == q.tolist()
    assert int(packed[0, 0]) & 15 == int(q[0, 0]) & 15


@given(SEEDS, st.integers(1, 17))
@settings(max_examples=40, deadline=None)
def test_activation_shift_is_the_least_that_fits(seed: int, magnitude_bits: int) -> None:
    """Half a step of error, or one where +8 steps saturates to 7; half the step would not hold the greatest."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-(1 << magnitude_bits), (1 << magnitude_bits) + 1, (2, 16)) >> rng.integers(0, 8, (2, 16))
    quantized = quantize_shift(x)
    steps = np.int64(1) << np.repeat(quantized.shift, 8, axis=-1)
    error = np.abs(quantized.values - x)
    assert np.all(error <= np.where(x > 7 * steps, steps, steps // 2))
    greatest = np.repeat(np.abs(x.reshape(2, 2, 8)).max(axis=-1), 8, axis=-1)
    assert np.all((greatest > 4 * steps) | (steps == 1))


def test_activation_shift_stops_at_its_field() -> None:
    """Beyond 15 the shift holds and values saturate."""
    quantized = quantize_shift(np.array([1 << 20, -(1 << 20), 0, 1 << 16, 1, 2, 3, 4]))
    assert quantized.shift.tolist() == [15]
    assert quantized.q.tolist() == [7, -8, 0, 2, 0, 0, 0, 0]


def test_two_shifts_make_36_scales() -> None:
    """3-bit shifts: from 2 to 256, never more than half as much again from one to the next."""
    sums = sorted({level[0] for level in TWO_SHIFT_LEVELS})
    assert len(TWO_SHIFT_LEVELS) == 36
    assert (sums[0], sums[-1]) == (2, 256)
    assert max(b / a for a, b in pairwise(sums)) == 1.5
    assert all(2**s1 + 2**s2 == total and 7 >= s1 >= s2 >= 0 for total, s1, s2 in TWO_SHIFT_LEVELS)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_weights_never_saturate_and_err_half_a_step(seed: int) -> None:
    """Groups of very different size: each weight is within half a step, and the scale is the least that covers."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((3, 256)) * np.repeat(10.0 ** rng.uniform(-1.5, 0, (3, 2)), 128, axis=-1)
    quantized = quantize_two_shift(w)
    assert np.all(np.abs(quantized.values - w) <= quantized.steps / 2 * (1 + 1e-9))
    assert np.abs(quantized.q).max() <= 7
    greatest = np.abs(w.reshape(3, 2, 128)).max(axis=-1)
    steps = quantized.steps[:, ::128]
    assert np.all((greatest > 7 * steps / 1.5 * (1 - 1e-9)) | (quantized.s1 == 0))


def test_all_zero_weights_have_a_unit() -> None:
    """A tensor of zeros quantises to zeros."""
    assert not quantize_two_shift(np.zeros((2, 128))).values.any()


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_w4a4_accumulates_as_the_release_does(seed: int) -> None:
    """The grouped product equals the HLS accumulator, shift by shift in Python integers, and the product of values."""
    rng = np.random.default_rng(seed)
    a = ShiftQuantized(random_int(rng, 4, 2, 256), rng.integers(0, 16, (2, 32)), 8)
    w = TwoShiftWeights(random_int(rng, 4, 3, 256), rng.integers(0, 8, (3, 2)), rng.integers(0, 8, (3, 2)), 0.25, 128)
    out = gemm_w4a4(a, w)
    for m in range(2):
        for n in range(3):
            psum = 0
            for group in range(32):
                dot = sum(int(a.q[m, k]) * int(w.q[n, k]) for k in range(group * 8, group * 8 + 8))
                for shifts in (w.s1, w.s2):
                    psum += dot << (int(a.shift[m, group]) + int(shifts[n, group * 8 // 128]))
            assert out[m, n] == psum
    assert (out * w.unit).tolist() == (a.values.astype(float) @ w.values.T).tolist()


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_error_of_a_quantised_product_is_bounded(seed: int) -> None:
    """W4A4 of random activations and weights stays within the bound, and the bound is not idle."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-20000, 20001, (4, 128)).astype(np.int64)
    w = rng.standard_normal((5, 128))
    a_q, w_q = quantize_shift(x), quantize_two_shift(w)
    error = np.abs(gemm_w4a4(a_q, w_q) * w_q.unit - x @ w.T)
    a_error, w_error = np.abs(a_q.values - x).astype(float), np.abs(w_q.values - w)
    bound = gemm_error_bound(x.astype(float), w, a_error, w_error)
    worst_case = gemm_error_bound(
        x.astype(float), w, (np.int64(1) << np.repeat(a_q.shift, 8, axis=-1)).astype(float), w_q.steps / 2
    )
    assert np.all(error <= bound * (1 + 1e-9))
    assert np.all(bound <= worst_case * (1 + 1e-9))
    assert error.max() > 0.01 * bound.min()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gemm_integer(np.array([[8]]), np.array([[1]]), 4, 4), "a holds values from 8 to 8, which 4 bits"),
        (lambda: gemm_integer(np.array([[1]]), np.array([[-129]]), 4, 8), "w holds values from -129"),
        (lambda: gemm_integer(np.ones((1, 4), np.int64), np.ones((1, 4), np.int64), 32, 32), "may pass 64 bits"),
        (lambda: pack_int4(np.array([1, 2, 3])), "3 elements do not fill whole bytes"),
        (lambda: pack_int4(np.array([1, 9])), "values from 1 to 9 do not fit 4 bits"),
    ],
)
def test_operands_that_do_not_fit_are_refused(build: object, message: str) -> None:
    """What does not fit is said."""
    with pytest.raises(ValueError, match=message):
        build()  # type: ignore[operator]
