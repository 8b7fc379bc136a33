"""Engines' kernels of one thread block for each token: bound by the SMs on some cards, by memory on others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.vector import vector_times


def card(name: str):
    """The parameters of a shipped card."""
    return find_device(name).parameters


def gated_s(p, tokens: float, width: float = 11008.0) -> float:
    """Seconds of silu_mul on fp16."""
    return float(vector_times(p, "silu_mul", 6.0 * tokens * width, tokens, width)[0])


@pytest.mark.parametrize(("op", "constants"), [("rmsnorm", "norm"), ("rope", "rotary"), ("silu_mul", "gated")])
def test_one_token_waits_for_the_steps_of_its_threads(op, constants):
    """A block of 1,024 threads (512 pairs of rope) takes a step more where one element is left over."""
    p = card("a100-sxm-80")
    width = 2048.0 if op == "rope" else 1024.0
    whole, more = (float(vector_times(p, op, 4.0 * w, 1.0, w)[0]) for w in (width, width + 4))
    step = getattr(p.software.vector, constants).step.value
    passes = 1 if op == "silu_mul" else 2
    assert more - whole == pytest.approx(passes * step / p.chip.tensor_clock.value, rel=0.1)


def test_fewer_threads_of_an_sm_make_more_waves():
    """Half the threads on an SM: twice the waves of a grid that filled it, no more of one that did not."""
    p = card("a100-sxm-80")
    half = replace(p, chip=replace(p.chip, threads=replace(p.chip.sms, value=1024.0)))
    assert gated_s(half, 216) > gated_s(p, 216)
    assert gated_s(half, 108) == gated_s(p, 108)


@pytest.mark.parametrize(("name", "least", "most"), [("a100-sxm-80", 0.4, 0.6), ("l40s", 0.7, 1.0)])
def test_the_sms_bind_on_a100_and_the_memory_on_l40s(name, least, most):
    """Per clock of its SMs, an L40S has a quarter of an A100's bandwidth: there the same kernel waits for memory."""
    p = card(name)
    assert least < 6.0 * 16384 * 11008 / gated_s(p, 16384) / p.memory.bandwidth.value < most


@pytest.mark.parametrize("op", ["rmsnorm", "rope", "silu_mul", "add"])
@pytest.mark.parametrize("name", ["a100-sxm-80", "l40s", "t4", "h100-sxm"])
def test_more_tokens_never_take_less(op, name):
    """Across waves and across the edge of L2 the time only rises."""
    tokens = np.arange(1.0, 6000.0, 7.0)
    times, cold = vector_times(card(name), op, 6.0 * tokens * 4096, tokens, 4096.0)
    assert (np.diff(times) >= -1e-12).all()
    assert (np.diff(cold) >= 0).all()
