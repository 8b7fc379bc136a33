"""Decode attention's classes: a stream of grouped queries holds an SM; streams of one query may stay whole."""

import numpy as np
import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.attention import attention_path, form_named
from hwsim.kernels.gpu_attention import decode_times

P = find_device("a100-sxm-80").parameters
PATH = attention_path(P, "bf16", "bf16", form_named(P, "auto"), 128)._replace(combine_s=1.0)  # splits never pay


def time(batch, heads, kv_heads, kv, path=PATH):
    """Seconds of one decode step of one token."""
    columns = [np.array([float(each)]) for each in (batch, heads, kv_heads, 1, kv, 128, 0)]
    return float(decode_times(*columns, path)[0][0])


def test_grouped_streams_come_in_waves_of_sms():
    """108 streams take one wave on 108 SMs; 109 take a second."""
    one, same, two = (time(batch, 8, 1, 16) for batch in (54, 108, 109))
    assert same == pytest.approx(one, rel=0.02)
    assert two > same + 0.5 * PATH.shared_step_s


def test_single_streams_share_an_sm():
    """With one query head per key-value head two streams share an SM: 216 take one wave."""
    assert time(216, 1, 1, 16) == pytest.approx(time(108, 1, 1, 16), rel=0.05)


def test_single_streams_stay_whole_where_the_engine_never_splits():
    """A long cache of one head runs at one thread block's rate; an engine that splits is many times faster."""
    splitting = PATH._replace(splits_single=1.0, combine_s=5e-6)
    whole = splitting._replace(splits_single=0.0)
    assert time(1, 1, 1, 65536, whole) > 10 * time(1, 1, 1, 65536, splitting)
    assert time(1, 1, 1, 65536, whole) == pytest.approx(65536 * 512 / PATH.head_bytes_s, rel=0.05)


def test_narrow_caches_take_shorter_steps():
    """A cache of 8 bits has shorter steps, and never a longer time."""
    assert time(108, 8, 1, 16, PATH._replace(kv_bytes=1.0)) < time(108, 8, 1, 16)


def test_reordering_the_heads_of_a_group_costs_two_copies():
    """vLLM's FlashAttention-2 makes rows of a group's heads: a copy each way, unless there is one sequence or head."""
    assert PATH.folds > 0
    assert PATH.swap_s > 0
    plain = PATH._replace(swap_s=0.0, folds=0.0)
    assert time(4, 16, 2, 16) > time(4, 16, 2, 16, plain) + 0.99 * PATH.swap_s
    for shape in ((1, 16, 2), (4, 8, 1), (4, 2, 2)):
        assert time(*shape, 16) == time(*shape, 16, plain)


@pytest.mark.parametrize("kv", [256, 4096, 65536])
def test_a_window_is_never_slower_than_all_positions(kv):
    """Parts are chosen by all positions; those outside the window end at once."""
    path = attention_path(find_device("h100-sxm").parameters, "bf16", "bf16", form_named(P, "auto"), 64)

    def decode(window):
        columns = [np.array([float(each)]) for each in (4, 8, 1, 1, kv, 64, window)]
        return float(decode_times(*columns, path)[0][0])

    times = [decode(window) for window in (64, 128, 1024, 0)]
    assert times == sorted(times)
    assert decode(kv) == decode(0)


def test_rows_of_a_group_cost_in_eights():
    """Two and eight query heads of a key-value head take as long; sixteen take longer, in proportion to head width."""
    path = attention_path(find_device("h100-sxm").parameters, "bf16", "bf16", form_named(P, "auto"), 128)
    two, eight, sixteen = (time(132, heads, 1, 16, path) for heads in (2, 8, 16))
    assert eight == pytest.approx(two, rel=0.05)
    assert sixteen - eight == pytest.approx(8 * 128 * path.shared_row_s, rel=0.2)
