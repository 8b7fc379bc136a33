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
    assert gain("paged") > 1.3 * gain("fa2")


def test_an_8_bit_cache_makes_products_of_8_bits_where_the_stack_does():
    """TensorRT-LLM on Hopper quantises q with the cache; a head of 256 then multiplies far faster than in bf16."""
    wide, narrow = (prefill_us("h100-sxm", "prefill", head_dim=256, kv_dtype=each) for each in ("bf16", "fp8_e4m3"))
    assert narrow < 0.8 * wide
    kept = kernel(
        build_kernel(
            "attention",
            {"phase": "prefill", "batch": 16, "heads": 16, "kv_heads": 16, "q_len": 4096, "kv_len": 4096}
            | {"head_dim": 256, "dtype": "bf16", "kv_dtype": "fp8_e4m3"},
        ),
        find_device("h100-sxm", ("stacks.trtllm-1.attention.cache_products=0",)),
    )
    assert kept.time_s * 1e6 == pytest.approx(wide, rel=0.06)


def test_one_query_fills_rows_with_the_heads_of_its_group():
    """Over pages, a prompt of one token runs a block for a key-value head, not one for each of its query heads."""
    grouped = prefill_us("a100-sxm-80", "prefill", batch=256, heads=32, kv_heads=1, q_len=1, kv_len=1, head_dim=128)
    single = prefill_us("a100-sxm-80", "prefill", batch=256, heads=32, kv_heads=32, q_len=1, kv_len=1, head_dim=128)
    assert single > 5 * grouped


def test_kernels_of_other_issue_paths_do_not_inherit_a_stack_s_share():
    """FlashAttention-2 on Hopper runs at mma.sync's rated rate, whatever the stack's own kernel reaches."""
    low, high = (
        kernel(
            build_kernel(
                "attention",
                {"phase": "bidirectional", "batch": 4, "heads": 32, "kv_heads": 32, "q_len": 8192, "kv_len": 8192}
                | {"head_dim": 128, "dtype": "fp16", "kernel": "fa2"},
            ),
            find_device("h100-sxm", (f"stacks.trtllm-1.attention.tensor_share={share}",)),
        ).time_s
        for share in (0.5, 0.9)
    )
    assert low == high


def test_values_narrower_than_keys_save_their_product():
    """Keys of 192 with values of 128: between heads of 128 and of 192 with values as wide."""
    narrow = prefill_us("h100-sxm", "prefill", head_dim=192, v_head_dim=128)
    assert prefill_us("h100-sxm", "prefill", head_dim=128) < narrow < prefill_us("h100-sxm", "prefill", head_dim=192)
    assert prefill_us("h100-sxm", "prefill", head_dim=128, v_head_dim=128) == prefill_us(
        "h100-sxm", "prefill", head_dim=128
    )


def test_a_decode_reads_values_as_wide_as_they_are():
    """Bytes of keys of 192 and values of 128 take less time than of 192 each."""
    narrow, wide = (prefill_us("h100-sxm", "decode", q_len=1, head_dim=192, v_head_dim=each) for each in (128, 192))
    assert 0.7 < narrow / wide < 0.95
