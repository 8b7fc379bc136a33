"""RMSNorm and the convolution against their golden models and float64."""

import numpy as np
import pytest
from rtl_runner import verify

from hwsim.golden import fixed
from hwsim.golden.fixed import FIXED, quantise, to_float
from rtl.conv import Conv, window_jobs
from rtl.norm import Norm


@pytest.mark.parametrize(
    "shape",
    [Norm(channels=8, lanes=2), Norm(channels=2, lanes=1), Norm(channels=4, lanes=4), Norm(channels=24, lanes=4)],
    ids=str,
)
def test_norm_matches_values_and_cycles(shape):
    """Bit-exact and cycle-exact, tokens overlapping; all-zero, one-step and saturated tokens."""
    verify(shape, tokens=5)


@pytest.mark.parametrize("shape", [Conv(lanes=2), Conv(lanes=1, tiles=3, slots=5, silu=0)], ids=str)
def test_conv_matches_values_and_cycles(shape):
    """Bit-exact and cycle-exact along a chain from no history."""
    verify(shape)


def test_conv_follows_ancestors():
    """A tree behind a committed chain: every node convolves its own ancestors' inputs."""
    tree = (-1, 0, 0, 1, 2, 3)
    shape = Conv(lanes=2, tiles=2, slots=9)
    parts = [window_jobs((-1, 0, 1), 2, (-1, -1, -1), range(3)), window_jobs(tree, 2, (2, 1, 0), range(3, 9))]
    jobs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    verify(shape, jobs=jobs, stalls=("none", "random"))
    inputs = shape.draw(np.random.default_rng(1), jobs=jobs)
    x = inputs["x"].reshape(-1, 2)
    node5 = np.array([x[6], x[6 + 1], x[6 + 3], x[6 + 5]])  # tile 0 of the tree starts at beat 6: 0 -> 1 -> 3 -> 5
    want = fixed.silu_fixed(fixed.conv1d_fixed(node5, inputs["taps"][2], inputs["bias"][2]))
    assert (shape.compute(inputs)["y"][6 + 5] == want).all()


def test_norm_error_against_float64():
    """Normalised channels are within 0.7 of a step of the output format over six decades of scale."""
    rng = np.random.default_rng(2)
    x = quantise(rng.normal(0, 1, (60, 64)) * np.exp(rng.uniform(-5, 3, (60, 1))), FIXED["value"])
    gain = quantise(rng.normal(1, 0.3, (1, 64)), FIXED["tap"])
    xf = to_float(x, FIXED["value"])
    want = xf / np.sqrt(np.mean(xf**2, axis=1, keepdims=True) + 1e-5) * to_float(gain, FIXED["tap"])
    got = to_float(fixed.rms_norm_fixed(x, np.broadcast_to(gain, x.shape)), FIXED["act"])
    inside = np.abs(want) < 7.9
    assert np.abs(got - want)[inside].max() < 0.55 * FIXED["act"].step


def test_conv_error_against_float64():
    """Half a step of the value format."""
    rng = np.random.default_rng(2)
    window = quantise(rng.normal(0, 2, (50, 4, 8)), FIXED["value"])
    taps = quantise(rng.normal(0, 0.5, (50, 4, 8)), FIXED["tap"])
    bias = quantise(rng.normal(0, 0.5, (50, 8)), FIXED["value"])
    want = np.sum(to_float(window, FIXED["value"]) * to_float(taps, FIXED["tap"]), axis=1)
    want += to_float(bias, FIXED["value"])
    got = to_float(fixed.conv1d_fixed(window, taps, bias), FIXED["value"])
    assert np.abs(got - want).max() <= 0.5 * FIXED["value"].step
