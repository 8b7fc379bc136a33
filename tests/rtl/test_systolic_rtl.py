"""The systolic arrays against the matrix product, to the bit and to the cycle."""

import numpy as np
import pytest
from rtl_runner import verify

from rtl.systolic import SystolicOs, SystolicWs

SHAPES = [
    SystolicOs(side=4, length=8),
    SystolicOs(side=4, length=4, bits=4),
    SystolicOs(side=4, length=2),
    SystolicOs(side=3, length=5),
    SystolicWs(side=4, length=8),
    SystolicWs(side=4, length=4, bits=4),
    SystolicWs(side=4, length=1),
    SystolicWs(side=3, length=5),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_systolic_matches_values_and_cycles(shape):
    """Back-to-back tiles: bit-exact and cycle-exact under every stall pattern, streams longer and shorter than N."""
    verify(shape, tiles=4)


def test_tiles_follow_without_idle_drain():
    """A further tile costs max(length, N) cycles, not 3N - 2 more."""
    for shape in (SystolicOs(side=8, length=16), SystolicWs(side=8, length=16)):
        draws = [shape.draw(np.random.default_rng(0), tiles=t) for t in (1, 2)]
        assert shape.cycles(draws[1]) - shape.cycles(draws[0]) == 16
