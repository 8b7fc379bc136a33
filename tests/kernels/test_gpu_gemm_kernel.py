"""The closed form of matrix products on a GPU: against hand counts and its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernels.gpu_gemm import BOUNDS, SPLITS, GemmPath, gemm_times, pairs_tried, times_of_products

PLAIN = GemmPath(
    sms=10.0,
    tensor_flop_s=1e12,
    feed_bytes_s=1e15,
    dram_bytes_s=1e15,
    sm_dram_bytes_s=1e15,
    convert_weights_s=np.inf,
    unpack_weights_s=np.inf,
    step_s=0.0,
    hot_bytes_s=1e15,
    l2_bytes=1e6,
    spill_bytes=1.1e6,
    copies=1e6,
    turn_bytes=np.inf,
    most_split=16.0,
    least_split=1.0,
    least_part=0.0,
    a_bytes=2.0,
    b_bytes=2.0,
    out_bytes=2.0,
    floor_s=1e-6,
    fill_s=0.0,
    store_s=0.0,
    split_s=1e-6,
    turn_s=0.0,
    power_share=1.0,
    power_time_s=1e-3,
    peak_flop_s=1e13,
    peak_dram_bytes_s=1e15,
    peak_l2_bytes_s=1e15,
)
ONE_TILE = np.array([[128.0, 128.0, 32.0, 1.0]])
SIZES = st.integers(1, 4096)


def run(m, n, k, batch=1, menu=ONE_TILE, path=PLAIN):
    """Times of one shape, as plain numbers."""
    columns = [np.array([float(each)]) for each in (m, n, k, batch)]
    times, bounds, choices, missed = gemm_times(*columns, menu, path)
    return float(times[0]), BOUNDS[int(bounds[0])], tuple(choices[0]), float(missed[0])


def test_waves_step_by_whole_tiles():
    """Ten tiles on ten SMs take as long as one; an eleventh takes a second wave."""
    one_tile = 2 * 128 * 128 * 4096 / 1e12
    for tiles, waves in ((1, 1), (10, 1), (11, 2)):
        time, bound, _, _ = run(128, 128, 4096, batch=tiles, path=PLAIN._replace(split_s=1.0))
        assert time == pytest.approx(1e-6 + waves * one_tile, rel=1e-4)
        assert bound == "tensor"


def test_split_fills_the_card():
    """One tile of a long k is split over SMs when the second pass costs less than it saves."""
    _, _, choice, _ = run(128, 128, 1 << 20)
    assert choice[1] > 1


def test_memory_bound_product_streams_its_weights():
    """With slow memory the time is the weights over the bandwidth, and memory is named."""
    time, bound, _, missed = run(1, 8192, 8192, path=PLAIN._replace(dram_bytes_s=1e11, tensor_flop_s=1e15))
    assert missed == pytest.approx(8192 * 8192 * 2, rel=1e-9)
    assert time == pytest.approx(missed / 1e11, rel=0.02)
    assert bound == "memory"


def test_weights_that_stay_in_l2_do_not_move():
    """One set of weights within L2 misses nothing when the same product runs again."""
    assert run(16, 256, 256, path=PLAIN._replace(copies=1.0))[3] == 0.0


def test_power_limit_slows_long_products_only():
    """A board at half its tensor power takes nearly twice as long for a long product, not for a short one."""
    capped = PLAIN._replace(power_share=0.5)
    long_, short = (4096, 8192, 65536), (128, 128, 64)
    assert run(*long_, path=capped)[0] > 1.8 * run(*long_)[0]
    assert run(*short, path=capped)[0] < 1.01 * run(*short)[0]


@settings(max_examples=60, deadline=None)
@given(m=SIZES, n=SIZES, k=SIZES, batch=st.integers(1, 8))
def test_never_below_the_roofline(m, n, k, batch):
    """Time is at least operations over peak and missed bytes over bandwidth."""
    time, _, _, missed = run(m, n, k, batch, path=PLAIN._replace(peak_flop_s=1e12, peak_dram_bytes_s=1e11))
    assert time >= 2.0 * m * n * k * batch / 1e12
    assert time >= missed / 1e11


@settings(max_examples=60, deadline=None)
@given(m=SIZES, n=SIZES, k=SIZES, name=st.sampled_from(["tensor_flop_s", "feed_bytes_s", "dram_bytes_s", "l2_bytes"]))
def test_more_of_anything_is_never_slower(m, n, k, name):
    """Doubling a rate or L2 never lengthens a product."""
    tight = PLAIN._replace(feed_bytes_s=1e11, dram_bytes_s=1e12, sm_dram_bytes_s=2e11)
    more = tight._replace(**{name: 2 * getattr(tight, name)})
    assert run(m, n, k, path=more)[0] <= run(m, n, k, path=tight)[0] * (1 + 1e-12)


def test_weights_in_turn_miss_l2_when_together_they_exceed_it():
    """Two sets that just fit stay; a tenth more than fits misses wholly; in between a share misses."""
    small = PLAIN._replace(copies=5.0, turn_bytes=1e6, l2_bytes=1.01e6, spill_bytes=1.1e6)
    k = 250  # a set of 500 kB: 1,000 columns of 250 weights of two bytes
    *_, fits = run(1, 1000, k, path=small)
    *_, spilt = run(1, 1000, k, path=small._replace(turn_bytes=1.2e6))
    assert fits == 0.0
    assert spilt == 1000 * k * 2.0
    *_, part = run(1, 1000, k, path=small._replace(l2_bytes=0.9e6, spill_bytes=1.2e6))
    assert 0.0 < part < spilt


def test_operands_in_l2_stream_at_its_rate():
    """Weights that stay in L2 take their bytes over its rate, not no time."""
    time, bound, _, missed = run(
        1, 8192, 8192, path=PLAIN._replace(l2_bytes=1e15, hot_bytes_s=1e12, tensor_flop_s=1e15)
    )
    assert missed == 0.0
    assert bound == "memory"
    assert time == pytest.approx(1e-6 + 8192 * 8192 * 2 / 1e12, rel=0.01)


def test_kernels_without_splits_use_one_block_for_each_tile():
    """Where a kernel offers no split, a long k is walked by one thread block."""
    whole = PLAIN._replace(most_split=1.0)
    assert run(128, 128, 1 << 20, path=whole)[2][1] == 1
    assert pairs_tried(128.0, 128.0, float(1 << 20), 1.0, ONE_TILE, whole) == 1
    assert pairs_tried(128.0, 128.0, float(1 << 20), 1.0, ONE_TILE, PLAIN) > 1


def test_weights_unpacked_between_products_add_to_their_time():
    """One tile: products of 128 x 128 x k and 128 k weights, one after the other."""
    rate = 1e10
    time, bound, _, _ = run(128, 128, 4096, path=PLAIN._replace(most_split=1.0, unpack_weights_s=rate))
    assert time == pytest.approx(1e-6 + 2 * 128 * 128 * 4096 / 1e12 + 128 * 4096 / rate, rel=1e-4)
    assert bound == "tensor"


def test_a_chain_of_steps_is_waited_for_once_in_a_wave():
    """Ten narrow tiles side by side take as long as one when each step along k is long; eleven a second wave."""
    slow = PLAIN._replace(most_split=1.0, step_s=1e-7, tensor_flop_s=1e15)
    times = [run(1, 128 * tiles, 4096, path=slow)[0] for tiles in (1, 10, 11)]
    assert times[0] == pytest.approx(1e-6 + 4096 * 1e-7, rel=1e-3)
    assert times[1] == pytest.approx(times[0], rel=1e-3)
    assert times[2] == pytest.approx(1e-6 + 2 * 4096 * 1e-7, rel=1e-3)


def test_blocks_of_a_split_wait_for_their_turn():
    """Four blocks of one tile: a quarter of the steps, and three turns."""
    chain = PLAIN._replace(least_split=4.0, most_split=4.0, split_s=0.0, turn_s=1e-6, step_s=1e-7, tensor_flop_s=1e15)
    assert run(1, 128, 4096, path=chain)[0] == pytest.approx(1e-6 + 1024 * 1e-7 + 3e-6, rel=1e-3)


def test_splits_even_out_waves_of_long_products():
    """Eleven tiles on ten SMs: split along a long k they take less than two whole waves."""
    one_tile = 2 * 128 * 128 * (1 << 18) / 1e12
    time, _, choice, _ = run(128, 128, 1 << 18, batch=11)
    assert choice[1] > 1
    assert 1.1 * one_tile < time < 1.6 * one_tile


@settings(max_examples=60, deadline=None)
@given(
    m=SIZES,
    n=SIZES,
    k=st.integers(1, 1 << 17),
    batch=st.integers(1, 3),
    rate=st.sampled_from((1e9, 2e11, 1e15)),
    unpack=st.sampled_from((1e9, 1e12, np.inf)),
    chain=st.sampled_from((0.0, 1e-9, 1e-7)),
)
def test_bounds_leave_out_no_better_choice(m, n, k, batch, rate, unpack, chain):
    """The least time of a menu is that of its pairs of tile and split, each on its own where none is left out."""
    menu = np.array(
        [(tm, tn, 32.0, 2.0 if tm * tn < 8192 else 1.0) for tn in (64.0, 128.0) for tm in (16.0, 64.0, 256.0)]
    )
    path = PLAIN._replace(feed_bytes_s=3e10, dram_bytes_s=rate, sm_dram_bytes_s=3e10, fill_s=1e-6, store_s=1e-11)
    path = path._replace(unpack_weights_s=unpack, step_s=chain, turn_s=chain * 10)
    columns = [np.array([float(each)]) for each in (m, n, k, batch)]
    alone = [
        gemm_times(*columns, menu[row : row + 1], path._replace(least_split=float(split), most_split=float(split)))[0]
        for row in range(len(menu))
        for split in SPLITS
    ]
    assert gemm_times(*columns, menu, path)[0] == min(alone)


def test_parts_of_a_split_are_not_short():
    """A k of three least parts is split in three, one shorter than two of them not at all."""
    parts = PLAIN._replace(least_part=4096.0)
    assert run(128, 128, 3 * 4096, path=parts)[2][1] == 3
    assert run(128, 128, 2 * 4096 - 32, path=parts)[2][1] == 1
    assert run(128, 128, 3 * 4096)[2][1] > 3


def test_one_compiled_form_serves_every_menu():
    """Whether a menu may be written is no reason to compile again: the answer is the same, and compiled once."""
    closed = ONE_TILE.copy()
    closed.setflags(write=False)
    assert run(128, 128, 4096, menu=closed) == run(128, 128, 4096)
    assert len(getattr(times_of_products, "signatures", [0])) == 1
