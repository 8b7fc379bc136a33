"""Tiles of prefill attention: heads padded to the widths that kernels are built for, steps by width and format."""

import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.attention import attention_estimate
from hwsim.devices.gpu.estimate import ALONE
from hwsim.errors import Infeasible
from hwsim.pipeline import kernel
from hwsim.workload.kernel import build_kernel


def prefill_us(card, phase="bidirectional", **shape):
    """Microseconds of attention over 4,096 tokens of 16 sequences and heads."""
    arguments = {"phase": phase, "batch": 16, "heads": 16, "kv_heads": 16, "q_len": 4096, "kv_len": 4096, **shape}
    answer = kernel(build_kernel("attention", {"dtype": "bf16", **arguments}), find_device(card))
    assert not isinstance(answer, Infeasible)
    return answer.time_s * 1e6


@pytest.mark.parametrize("head_dim", [72, 80, 120])
def test_heads_between_two_widths_cost_the_wider(head_dim):
    """ViT's heads of 72 and 80 run in Hopper tiles of 128: as long as a head of 128, beyond that of 64."""
    padded, wide = prefill_us("h100-sxm", head_dim=head_dim), prefill_us("h100-sxm", head_dim=128)
    assert padded == pytest.approx(wide, rel=0.02)
    assert padded > 1.25 * prefill_us("h100-sxm", head_dim=64)


def test_flash_attention_2_has_a_width_of_96():
    """On A100, a head of 80 is padded to 96, not to 128."""
    assert prefill_us("a100-sxm-80", head_dim=80) == pytest.approx(prefill_us("a100-sxm-80", head_dim=96), rel=0.02)
    assert prefill_us("a100-sxm-80", head_dim=96) < 0.9 * prefill_us("a100-sxm-80", head_dim=128)


def test_a_narrow_window_saves_less_than_its_share():
    """A window of 128 sees whole steps of 256 positions with heads of 64: far more than its pairs."""
    full = prefill_us("h100-sxm", "prefill", head_dim=64)
    windowed = prefill_us("h100-sxm", "prefill", head_dim=64, window=128)
    pairs = 128 / (4096 / 2)
    assert 2.0 * pairs < windowed / full < 0.5


def test_a_prompt_s_own_positions_cost_more_where_all_are_masked():
    """The paged kernel of 2023 masks all of the prompt; FlashAttention's the diagonal, whatever the stack."""
    p = find_device("a100-sxm-80", ("stack=torch-2",)).parameters
    shape = {"batch": 1, "heads": 32, "kv_heads": 4, "head_dim": 128, "dtype": "fp16", "phase": "prefill"}

    def gain(name):
        """Time of 1,024 new tokens over that of 1,024 behind a cache of as many."""
        ops = [build_kernel("attention", {**shape, "kernel": name, "q_len": 1024, "kv_len": kv}) for kv in (1024, 2048)]
        own, cached = (attention_estimate(p, op, ALONE).time_s for op in ops)
        return own / cached

    assert p.software.attention.own_step.value > 1
    assert gain("paged") > 1.5 * gain("fa2")
