"""The tensor core against its golden model, to the bit and to the cycle."""

import numpy as np
import pytest
from rtl_runner import verify

from rtl.linear import Linear

SHAPES = [
    Linear(),
    Linear(tp=3, cip=4, cop=2, k=10, n=5, tokens=3, act_bits=4, weight_bits=4),
    Linear(tp=2, cip=8, cop=4, k=32, n=8, tokens=5, act_bits=8, weight_bits=4, scaled=1),
    Linear(tp=2, cip=2, cop=2, k=9, n=7, tokens=4, act_bits=4, weight_bits=8, out_shift=5, out_bits=8),
    Linear(tp=1, cip=4, cop=4, k=64, n=4, tokens=1),
    Linear(tp=1, cip=4, cop=1, k=4, n=3, tokens=1),
    Linear(tp=1, cip=1, cop=1, k=1, n=1, tokens=1),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_linear_matches_values_and_cycles(shape):
    """Bit-exact and cycle-exact under every stall pattern, with two layers back to back."""
    verify(shape, jobs=2)


def test_accumulator_holds_the_extreme_sum():
    """-128 x -128 over k = 64 does not wrap: 2**20 needs 22 bits."""
    shape = Linear(k=64, n=4)
    inputs = shape.draw(np.random.default_rng(0), "lowest")
    assert shape.compute(inputs)["y"].max() == 64 << 14
    assert shape.acc_bits >= 22
