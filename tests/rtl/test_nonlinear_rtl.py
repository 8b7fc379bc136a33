"""The function units: bit-exact, cycle-exact, within their error budgets, with the tables checked from outside."""

import numpy as np
import pytest
from rtl_runner import verify

from hwsim.golden import fixed
from rtl import tables
from rtl.nonlinear import ERROR_BUDGET, Decay, Gate, Rsqrt, Silu, Softplus

SHAPES = [Decay(lanes=2), Softplus(lanes=2), Silu(lanes=2), Gate(lanes=2), Rsqrt(lanes=1), Rsqrt(lanes=2, bits=44)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_function_matches_values_and_cycles(shape):
    """Bit-exact and cycle-exact over the whole range and its ends."""
    verify(shape)


VALUES = np.arange(-(1 << 17), 1 << 17)
X = VALUES * 2.0**-11


def test_decay_error_and_ends():
    """Every exponent up to underflow is within budget; dt = 0 gives exactly 1; a large product gives exactly 0."""
    dt = np.arange(0, 1 << 18, 7)
    for rate in (1, 2047, 2955, 30000, 65535):
        got = fixed.decay_fixed(dt, np.full_like(dt, rate)) * 2.0**-16
        want = np.exp2(-dt * 2.0**-15 * rate * 2.0**-11)
        assert np.abs(got - want).max() < ERROR_BUDGET["decay"]
    assert fixed.decay_fixed(np.array([0, (1 << 18) - 1]), np.array([65535, 65535])).tolist() == [65536, 0]


def test_softplus_error():
    """Every argument whose softplus stays below 8 is within budget; beyond, it saturates."""
    got = fixed.softplus_fixed(VALUES) * 2.0**-15
    want = np.minimum(np.logaddexp(0, X), 8 - 2.0**-15)
    assert np.abs(got - want).max() < ERROR_BUDGET["softplus"]


def test_logistic_and_silu_error():
    """Every argument is within budget."""
    want = 1 / (1 + np.exp(-X))
    assert np.abs(fixed.logistic_fixed(VALUES) * 2.0**-16 - want).max() < ERROR_BUDGET["logistic"]
    near = np.abs(X) < 8
    error = np.abs(fixed.silu_fixed(VALUES) * 2.0**-11 - X * want)
    assert error[near].max() < ERROR_BUDGET["silu"]
    assert error.max() < 2 * ERROR_BUDGET["silu"]


def test_rsqrt_error():
    """Arguments over all magnitudes are within the relative budget."""
    v = np.unique(np.concatenate([np.arange(1, 5000), (1.01 ** np.arange(860, 2200)).astype(np.int64)]))
    v = v[v < 1 << 32]
    mantissa, exponent = fixed.rsqrt_fixed(v, 32)
    got = mantissa * 2.0 ** -(20.0 + exponent)
    assert np.abs(got * np.sqrt(v) - 1).max() < ERROR_BUDGET["rsqrt"]


@pytest.mark.parametrize(
    ("table", "function", "points"),
    [
        (tables.decay_table(), lambda f: np.exp2(-f), np.arange(64) / 64),
        (tables.softplus_table()[:-1], lambda z: np.log1p(np.exp(-z)), np.arange(256) / 16),
        (tables.logistic_table()[:-1], lambda z: 1 / (1 + np.exp(-z)), np.arange(256) / 16),
        (tables.rsqrt_table(), lambda q: 1 / np.sqrt(q), np.arange(64, 256) / 64),
    ],
)
def test_tables_against_float64(table, function, points):
    """Every entry, and every chord's far end, is float64's value to half a unit of 2**-20."""
    base, rise = np.array(table).T
    assert np.abs(base - function(points) * 2**20).max() <= 0.5 + 1e-6
    assert np.abs((base + rise)[:-1] - base[1:]).max() == 0
