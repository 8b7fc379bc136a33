"""Recurrent mixers on cards: what the kernels of a chunked scan do, and where a state comes from."""

from __future__ import annotations

import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.estimate import ALONE, IN_MODEL
from hwsim.devices.gpu.recurrent import scan_estimate
from hwsim.workload.kernel import build_kernel


def scan(mixer: str, setting=ALONE, **change):
    """The estimate of a scan on an H100."""
    shape = {"phase": "prefill", "batch": 1, "seq_len": 4096, "heads": 80, "head_dim": 64, "d_state": 128, **change}
    return scan_estimate(find_device("h100-sxm").parameters, build_kernel("scan", {"mixer": mixer, **shape}), setting)


def test_products_of_mamba2_are_counted_from_its_kernels() -> None:
    """Scores once for each group; the lower triangle in blocks of 64 rows; states in and out."""
    tokens, chunk = 4096, 256
    scores = 2 * tokens * chunk * 128
    within = 2 * tokens * 80 * (chunk + 64) / 2 * 64
    states = 2 * 2 * tokens * 80 * 128 * 64
    assert scan("mamba2", chunk=chunk, groups=1).flop == pytest.approx(scores + within + states)


def test_groups_that_share_scores_save_time() -> None:
    """Eighty groups write eighty score matrices, one group one."""
    assert scan("mamba2", chunk=256, groups=80).time_s > 1.2 * scan("mamba2", chunk=256, groups=1).time_s


def test_passing_a_state_costs_mamba2_less_than_the_delta_rule() -> None:
    """A long sequence with few heads: Mamba-2 passes states elementwise, the delta rule with products in the chain."""
    few = {"heads": 4, "seq_len": 32768, "chunk": 64}
    assert scan("mamba2", **few).time_s < 0.5 * scan("gdn", groups=4, **few).time_s


def test_scores_within_gla_s_sub_chunks_take_exponentials() -> None:
    """GLA differs from linear attention by 16 exponentials for each token, head and element of the keys."""
    p = find_device("h100-sxm").parameters
    least = 4096 * 80 * 16 * 128 / p.chip.sfu_lanes.value / p.chip.sms.value / p.chip.tensor_clock.value
    assert scan("gla", groups=80).time_s - scan("linear", groups=80).time_s > least


def test_a_state_comes_from_memory_in_a_model() -> None:
    """Repeated alone, a small state stays in L2; in a model the other layers' weights have replaced it."""
    one = {"phase": "decode", "seq_len": 1, "batch": 16}
    alone, within = scan("mamba2", ALONE, **one), scan("mamba2", IN_MODEL, **one)
    assert alone.bytes["dram"] < within.bytes["dram"]
    assert alone.time_s < within.time_s
