"""State updates, convolutions and scans against loops in plain Python, and the two forms of Mamba-2's scan."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.golden.ssm import (
    ScanToken,
    causal_conv1d,
    conv_step,
    expand_groups,
    gated_rms_norm,
    ordered_sum,
    rms_norm,
    scan,
    silu,
    softplus,
    ssd_chunked,
    state_update,
)


def test_elementary_functions_against_math() -> None:
    """SiLU, softplus and RMSNorm follow their definitions, and stay finite far out."""
    xs = [-800.0, -30.0, -1.5, 0.0, 0.7, 25.0, 800.0]
    assert silu(np.array(xs)) == pytest.approx([x / (1 + math.exp(-x)) if x > -700 else 0.0 for x in xs], rel=1e-14)
    assert softplus(np.array(xs)) == pytest.approx([math.log1p(math.exp(x)) if x < 700 else x for x in xs], rel=1e-14)
    row = [0.5, -2.0, 3.0]
    scale = 1 / math.sqrt(sum(x * x for x in row) / 3 + 1e-5)
    assert rms_norm(np.array(row), np.array([1.0, 2.0, 0.5])) == pytest.approx(
        [0.5 * scale, -4.0 * scale, 1.5 * scale], rel=1e-14
    )


def test_gate_is_applied_before_the_norm() -> None:
    """norm_before_gate=False: the gated values are normalised, group by group."""
    y, z, weight = np.random.default_rng(1).standard_normal((3, 6))
    gated = [a * g / (1 + math.exp(-g)) for a, g in zip(y, z, strict=True)]
    expected = []
    for first in (0, 3):
        part = gated[first : first + 3]
        scale = 1 / math.sqrt(sum(v * v for v in part) / 3 + 1e-5)
        expected += [v * scale * w for v, w in zip(part, weight[first : first + 3], strict=True)]
    assert gated_rms_norm(y, z, weight, groups=2) == pytest.approx(expected, rel=1e-13)


def test_ordered_sum_runs_left_to_right() -> None:
    """The sum has the bits of a plain loop, even where another order would differ."""
    terms = np.random.default_rng(2).standard_normal((5, 1000)) * 10.0 ** np.random.default_rng(3).integers(-8, 9, 1000)
    for row, total in zip(terms, ordered_sum(terms), strict=True):
        plain = 0.0
        for term in row:
            plain += float(term)
        assert total == plain


def test_groups_share_b_and_c() -> None:
    """Four heads in two groups: heads 0 and 1 take group 0."""
    assert expand_groups(np.array([[1.0], [2.0]]), 4)[:, 0].tolist() == [1, 1, 2, 2]


def test_state_update_against_loops() -> None:
    """h' = decay h + dt x B and y = h'.C + D x, element by element, for a decay per head and per state."""
    rng = np.random.default_rng(4)
    for decay_shape in ((2, 1, 1), (2, 1, 4)):
        decay = rng.uniform(0.1, 1.0, decay_shape)
        drive, skip = rng.standard_normal((2, 2, 3))
        b, c = rng.standard_normal((2, 2, 4))
        h = rng.standard_normal((2, 3, 4))
        after, y = state_update(h, ScanToken(decay, drive, b, c, skip))
        full = np.broadcast_to(decay, (2, 1, 4))
        for i in range(2):
            for p in range(3):
                row = [full[i, 0, n] * h[i, p, n] + drive[i, p] * b[i, n] for n in range(4)]
                assert after[i, p].tolist() == row
                assert y[i, p] == sum(v * c[i, n] for n, v in enumerate(row)) + skip[i, p]


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_convolution_is_causal_and_equals_its_steps(
    length: int, channels: int, taps: int, warm: bool, seed: int
) -> None:
    """The sequence form equals a definition in loops and the shift register, token by token."""
    rng = np.random.default_rng(seed)
    x, weight, bias = rng.standard_normal((length, channels)), rng.standard_normal((channels, taps)), np.ones(channels)
    window = rng.standard_normal((taps - 1, channels)) if warm else None
    out = causal_conv1d(x, weight, bias, window)
    past = register = np.zeros((taps - 1, channels)) if window is None else window
    for t in range(length):
        for ch in range(channels):
            total = bias[ch]
            for k in range(taps):
                source = t - (taps - 1) + k
                total += weight[ch, k] * (x[source, ch] if source >= 0 else past[source, ch])
            assert out[t, ch] == pytest.approx(total, rel=1e-12, abs=1e-12)
        register, stepped = conv_step(register, x[t], weight, bias)
        assert stepped == pytest.approx(out[t], rel=1e-12, abs=1e-12)


@given(
    st.integers(1, 40),
    st.integers(1, 17),
    st.sampled_from([(2, 1), (4, 2), (3, 3)]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_chunked_form_equals_the_recurrence(
    length: int, chunk: int, heads_groups: tuple[int, int], warm: bool, seed: int
) -> None:
    """Matrix products by chunk give the outputs and the last state of the token-by-token recurrence."""
    heads, groups = heads_groups
    rng = np.random.default_rng(seed)
    rows, states = 3, 5
    x = rng.standard_normal((length, heads, rows))
    dt = np.exp(rng.uniform(-7, 0.5, (length, heads)))
    a = -rng.uniform(0.5, 16, heads)
    b, c = rng.standard_normal((2, length, groups, states))
    h = rng.standard_normal((heads, rows, states)) if warm else np.zeros((heads, rows, states))
    tokens = [
        ScanToken(
            np.exp(dt[t] * a)[:, None, None],
            dt[t][:, None] * x[t],
            expand_groups(b[t], heads),
            expand_groups(c[t], heads),
            np.zeros((heads, rows)),
        )
        for t in range(length)
    ]
    last, outputs = scan(h, tokens)
    y, chunked_last = ssd_chunked(x, dt, a, b, c, chunk, h if warm else None)
    np.testing.assert_allclose(y, outputs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(chunked_last, last, rtol=1e-10, atol=1e-12)
