"""Whole blocks against loops in plain Python, and prompts against tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.golden.mamba import (
    LayerState,
    Mamba1Layer,
    Mamba2Layer,
    decode_token,
    initial_states,
    layer_step,
    mamba2_prefill,
    random_mamba1,
    random_mamba2,
    random_model,
)


def dot(row: object, x: list[float]) -> float:
    return math.fsum(float(w) * v for w, v in zip(row, x, strict=True))  # type: ignore[call-overload]


def norm(x: list[float], weight: object, eps: float = 1e-5) -> list[float]:
    scale = 1 / math.sqrt(math.fsum(v * v for v in x) / len(x) + eps)
    return [v * scale * float(w) for v, w in zip(x, weight, strict=True)]  # type: ignore[call-overload]


def swish(v: float) -> float:
    return v / (1 + math.exp(-v))


def conv(layer: Mamba1Layer | Mamba2Layer, state: LayerState, x: list[float]) -> list[float]:
    taps = [*state.window.tolist(), x]
    return [
        swish(math.fsum(taps[k][ch] * layer.conv_weight[ch, k] for k in range(len(taps))) + layer.conv_bias[ch])
        for ch in range(len(x))
    ]


def loops_mamba2(layer: Mamba2Layer, state: LayerState, u: list[float]) -> tuple[list[float], np.ndarray]:
    """Mamba-2's step as in the facts, one number at a time."""
    heads, rows, n = layer.state_shape
    e, width = heads * rows, layer.groups * n
    out = [dot(row, norm(u, layer.norm)) for row in layer.in_proj]
    z, xbc, dts = out[:e], conv(layer, state, out[e : 2 * e + 2 * width]), out[2 * e + 2 * width :]
    x, b, c = xbc[:e], xbc[e : e + width], xbc[e + width :]
    h, y = state.h.copy(), []
    for head in range(heads):
        dt = math.log1p(math.exp(dts[head] + layer.dt_bias[head]))
        decay = math.exp(dt * -math.exp(layer.a_log[head]))
        first = head * layer.groups // heads * n
        for p in range(rows):
            xi = x[head * rows + p]
            for i in range(n):
                h[head, p, i] = decay * h[head, p, i] + dt * b[first + i] * xi
            y.append(math.fsum(h[head, p, i] * c[first + i] for i in range(n)) + layer.d[head] * xi)
    gated = [a * swish(g) for a, g in zip(y, z, strict=True)]
    part = e // layer.groups
    normed = [v for g in range(layer.groups) for v in norm(gated[g * part : (g + 1) * part], [1.0] * part)]
    normed = [v * float(w) for v, w in zip(normed, layer.gate_norm, strict=True)]
    return [v + dot(row, normed) for v, row in zip(u, layer.out_proj, strict=True)], h


def loops_mamba1(layer: Mamba1Layer, state: LayerState, u: list[float]) -> tuple[list[float], np.ndarray]:
    """Mamba-1's step, one number at a time."""
    e, _, n = layer.state_shape
    rank = layer.dt_proj.shape[1]
    out = [dot(row, norm(u, layer.norm)) for row in layer.in_proj]
    x, z = conv(layer, state, out[:e]), out[e:]
    low = [dot(row, x) for row in layer.x_proj]
    b, c = low[rank : rank + n], low[rank + n :]
    h, y = state.h.copy(), []
    for ch in range(e):
        dt = math.log1p(math.exp(dot(layer.dt_proj[ch], low[:rank]) + layer.dt_bias[ch]))
        for i in range(n):
            h[ch, 0, i] = math.exp(dt * -math.exp(layer.a_log[ch, i])) * h[ch, 0, i] + dt * b[i] * x[ch]
        y.append((math.fsum(h[ch, 0, i] * c[i] for i in range(n)) + layer.d[ch] * x[ch]) * swish(z[ch]))
    return [v + dot(row, y) for v, row in zip(u, layer.out_proj, strict=True)], h


@pytest.mark.parametrize("groups", [1, 2])
def test_mamba2_step_against_loops(groups: int) -> None:
    """Three tokens through a block: outputs, state and window equal the loops'."""
    rng = np.random.default_rng(10 + groups)
    layer = random_mamba2(rng, d_model=6, heads=4, headdim=3, d_state=5, groups=groups)
    state = LayerState(rng.standard_normal((3, 12 + 10 * groups)), rng.standard_normal((4, 3, 5)))
    for u in rng.standard_normal((3, 6)):
        expected, expected_h = loops_mamba2(layer, state, u.tolist())
        state, out, trace = layer_step(layer, state, u)
        np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(state.h, expected_h, rtol=1e-11, atol=1e-12)
        assert state.window[-1].tolist() == trace.conv_input.tolist()


def test_mamba1_step_against_loops() -> None:
    """Three tokens through a Mamba-1 block equal the loops'."""
    rng = np.random.default_rng(20)
    layer = random_mamba1(rng, d_model=6, d_inner=8, d_state=4, dt_rank=2)
    state = LayerState(rng.standard_normal((3, 8)), rng.standard_normal((8, 1, 4)))
    for u in rng.standard_normal((3, 6)):
        expected, expected_h = loops_mamba1(layer, state, u.tolist())
        state, out, _ = layer_step(layer, state, u)
        np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(state.h, expected_h, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("length", "chunk"), [(1, 4), (2, 2), (13, 4), (9, 256)])
def test_prompt_equals_its_tokens(length: int, chunk: int) -> None:
    """Chunked prefill of a block gives the outputs and the state of its tokens one by one."""
    rng = np.random.default_rng(30)
    layer = random_mamba2(rng, d_model=6, heads=4, headdim=3, d_state=5, groups=2)
    state = LayerState(rng.standard_normal((3, 32)), rng.standard_normal((4, 3, 5)))
    u = rng.standard_normal((length, 6))
    after, outputs = mamba2_prefill(layer, state, u, chunk)
    for t in range(length):
        state, out, _ = layer_step(layer, state, u[t])
        np.testing.assert_allclose(outputs[t], out, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(after.h, state.h, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(after.window, state.window, rtol=1e-12, atol=1e-14)


def test_model_runs_layers_in_order() -> None:
    """A mixed model's logits are the head on the norm of the blocks in turn."""
    rng = np.random.default_rng(40)
    layers = [random_mamba2(rng, 6, 2, 3, 4), random_mamba1(rng, 6, 8, 4, 2)]
    model = random_model(rng, 11, layers)
    states = initial_states(model)
    u = model.embedding[3]
    for layer, state in zip(layers, states, strict=True):
        _, u, _ = layer_step(layer, state, u)
    expected = [dot(row, norm(u.tolist(), model.norm)) for row in model.embedding]
    _, logits, traces = decode_token(model, states, 3)
    np.testing.assert_allclose(logits, expected, rtol=1e-11)
    assert len(traces) == 2
