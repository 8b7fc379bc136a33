"""The decompressor, the sparse core, the shift-and-add core and the Hadamard network, to the bit and to the cycle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtl_runner import verify

from hwsim.timing.linear import gemm_total_cycles
from rtl.hadamard import Hadamard
from rtl.shiftadd import ShiftAdd
from rtl.sparse import Decompressor, SparseLinear

SHAPES = [
    Decompressor(lanes=8),
    Decompressor(lanes=5, bits=4),
    SparseLinear(tp=2, cip=4, cop=2, k=10, n=6, tokens=2),
    ShiftAdd(tp=1, cip=4, cop=2, k=12, n=4),
    ShiftAdd(tp=2, cip=2, cop=2, k=6, n=4, tokens=3, weight_bits=3),
    Hadamard(points=8),
    Hadamard(points=2, bits=4),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_unit_matches_values_and_cycles(shape):
    """Bit-exact and cycle-exact under every stall pattern, with empty and full bitmaps."""
    verify(shape)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 16), st.integers(1, 30), st.floats(0, 1), st.integers(0, 1 << 30))
def test_compression_round_trip(lanes, beats, density, seed):
    """Compressing and decompressing returns the dense beats."""
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 100, (beats, lanes)) * (rng.random((beats, lanes)) < density)
    unit = Decompressor(lanes=lanes)
    assert (unit.compute(unit.from_dense(dense))["v"] == dense).all()


def test_hadamard_is_its_own_inverse():
    """Twice the transform is n times the input: an oracle that knows no matrix."""
    unit = Hadamard(points=16)
    x = unit.draw(np.random.default_rng(0))["x"]
    assert (unit.compute({"x": unit.compute({"x": x})["y"]})["y"] == 16 * x).all()


def test_sparsity_costs_two_cycles_at_most():
    """The sparse core takes the dense core's cycles, and the decompressor's two."""
    shape = SparseLinear(cip=4, cop=4, k=64, n=16)
    dense = gemm_total_cycles(16, 64, 1, tp=1, cip=4, cop=4, requantised=False)
    assert shape.cycles() == dense + 2
