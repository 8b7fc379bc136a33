"""Engines' kernels of one thread block for each token: bound by the SMs on some cards, by memory on others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.vector import _softmax_blocks, vector_times


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


@pytest.mark.parametrize(
    ("width", "element_bytes", "threads", "steps"),
    [(1280, 4, 256, 2), (1600, 4, 256, 4), (2048, 4, 256, 2), (3072, 4, 512, 3), (8192, 4, 512, 4), (4096, 2, 256, 2)],
)
def test_blocks_of_softmax_by_hand(width, element_bytes, threads, steps):
    """Threads are the power of two from half of the vectors on; what is left of a row goes by single elements."""
    row = np.array([float(width * element_bytes)])
    found = _softmax_blocks(row, np.array([float(width)]))
    assert (found[0][0], found[1][0]) == (threads, steps)


def softmax_s(name: str, rows: float, width: float, element_bytes: float = 4.0) -> float:
    """Seconds of PyTorch's softmax."""
    p = find_device(name, ("stack=torch-2",)).parameters
    return float(vector_times(p, "softmax", 2.0 * element_bytes * rows * width, rows, width)[0])


def test_softmax_of_uneven_rows_takes_longer():
    """1,600 columns end in three steps of single elements, 2,048 in none: a byte of the former takes longer."""
    assert softmax_s("a100-sxm-40", 65536, 1600) / 1600 > 1.2 * softmax_s("a100-sxm-40", 65536, 2048) / 2048


def test_softmax_of_narrow_formats_waits_for_its_arithmetic():
    """Half the bytes of an element do not halve the time: each takes the same arithmetic."""
    wide, narrow = (softmax_s("a100-sxm-80", 16384, 8192, size) for size in (4.0, 2.0))
    assert 0.6 * wide < narrow < 0.95 * wide


def test_rows_at_work_are_those_of_resident_blocks():
    """Four blocks of 512 threads to an SM: softmax of 16,384 columns reads again what A100's L2 no longer holds."""
    narrow, wide = (softmax_s("a100-sxm-40", 65536, width) / width for width in (4096, 16384))
    assert 1.6 < wide / narrow < 2.0


def test_a_step_of_softmax_waits_for_memory_at_least():
    """On an SM that few blocks share a step takes memory's latency; steps of a full one are longer."""
    p = find_device("a100-sxm-80", ("stack=torch-2",)).parameters
    block = p.software.vector.softmax
    slow = replace(p.software.vector, softmax=replace(block, alone=replace(block.alone, value=2 * block.alone.value)))
    changed = replace(p, stacks={p.stack: replace(p.software, vector=slow)})
    moved = np.array([4.0 * rows * 4096 for rows in (32, 8192)])
    before, after = (vector_times(each, "softmax", moved, np.array([32.0, 8192.0]), 4096.0)[0] for each in (p, changed))
    assert after[0] > 1.2 * before[0]
    assert after[1] == before[1]


def test_gates_leave_l2_at_once_and_rope_by_and_by():
    """A tenth more than half of L2: all of a gate's bytes come from memory, a part of rope's."""
    p = card("a100-sxm-80")
    moved = 1.1 * 0.5 * p.l2.capacity.value / p.l2.partitions.value
    assert float(vector_times(p, "silu_mul", moved, 1000.0, 4096.0)[1]) == moved
    assert 0.0 < float(vector_times(p, "rope", moved, 1000.0, 4096.0)[1]) < 0.5 * moved


@pytest.mark.parametrize(("name", "slower"), [("a100-sxm-40", True), ("v100", False)])
def test_kernels_of_two_operands_have_a_rate_of_their_own(name, slower):
    """The same bytes: an add takes longer than a copy on A100, less on V100, as their rows do."""
    p = find_device(name, ("stack=torch-2",)).parameters
    add, copy = (float(vector_times(p, op, 1e9)[0]) for op in ("add", "copy"))
    assert (add > 1.01 * copy) == slower
    assert (add < 0.995 * copy) != slower
