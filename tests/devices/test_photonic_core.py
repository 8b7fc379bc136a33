"""The photonic tensor core and the optical buffer: closed forms against published figures and brute force."""

from itertools import product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.optical.buffer import (
    feed_forward_split,
    line_loss,
    optimal_split,
    relative_laser_power,
    stored_power,
)
from hwsim.devices.optical.photonic_core import (
    Product,
    core_named,
    product_cycles,
    product_energy_pj,
    product_seconds,
)

CORE = core_named("lightening-transformer")


@pytest.mark.parametrize(
    ("m", "k", "microseconds"), [(576, 192, 3.9168), (192, 192, 1.3056), (768, 192, 5.2224), (192, 768, 5.2224)]
)
def test_latency_of_deit_t_products(m, k, microseconds):
    """QKV, projection and both MLP products of twelve layers: the released simulator's rows, exactly."""
    assert product_seconds(CORE, Product(m, 197, k, 12), 4) * 1e6 == pytest.approx(microseconds, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 60), n=st.integers(1, 60), k=st.integers(1, 60), count=st.integers(1, 3))
def test_cycles_count_blocks(m, n, k, count):
    """Every block of 12 x 12 x 12 in its turn on eight cores."""
    blocks = sum(1 for _ in range(0, m, 12) for _ in range(0, n, 12) for _ in range(0, k, 12))
    assert product_cycles(CORE, Product(m, n, k, count)) == count * -(-blocks // 8)
    assert product_cycles(CORE, Product(m, n, k, count, weights=False)) == -(-blocks * count // 8)


def best_on_axes(*blocks):
    """Fewest cycles when the eight cores, as axes of any factors of 8, are each laid on one dimension."""
    return min(
        prod(-(-count // lanes) for count, lanes in zip(blocks, laid, strict=True))
        for laid in product((1, 2, 4, 8), repeat=len(blocks))
        if prod(laid) == 8
    )


def test_named_axes_cannot_deal_blocks_in_turn():
    """The array family states the linear layers' cycles, but not those of attention (docs/optics.md)."""
    for rows, depth in ((576, 192), (192, 192), (768, 192), (192, 768)):
        assert best_on_axes(rows // 12, 17, depth // 12) == product_cycles(CORE, Product(rows, 197, depth))
    assert best_on_axes(3, 17, 17, 6) == 729
    assert product_cycles(CORE, Product(197, 197, 64, 3, weights=False)) == 651


def test_figures_of_what_an_array_cannot_state():
    """Activations through DRAM at 4 bits add 34 % to the energy of qkv; the laser grows 16 times from 4 to 8."""
    qkv = Product(576, 197, 192)
    four, eight = (product_energy_pj(CORE, qkv, bits) for bits in (4, 8))
    moved = four["dram"] / (qkv.m * qkv.k) * qkv.n * (qkv.k + qkv.m)
    assert moved / sum(four.values()) == pytest.approx(0.34, abs=0.005)
    assert eight["laser"] / four["laser"] == pytest.approx(16)


def test_the_head_waits_for_its_weights():
    """One row of 1000 classes: loading 21 strips takes longer than its blocks."""
    head = Product(1000, 1, 192)
    assert product_seconds(CORE, head, 4) == pytest.approx(21 * 3 / 500e6)
    assert product_seconds(CORE, head, 8) == pytest.approx(21 * 5 / 500e6)


def test_energy_grows_with_bits_and_work():
    """Eight bits cost more than four, all components positive; activations move nothing from DRAM."""
    four, eight = (product_energy_pj(CORE, Product(192, 197, 192), bits) for bits in (4, 8))
    assert all(0 < four[name] <= eight[name] for name in four)
    assert product_energy_pj(CORE, Product(197, 197, 64, 3, False), 4)["dram"] == 0
    twice = product_energy_pj(CORE, Product(192, 197, 192, 2), 4)
    assert sum(twice.values()) == pytest.approx(2 * sum(four.values()))


@pytest.mark.parametrize(("reuses", "published"), [(1, 2.05), (3, 2.56), (7, 3.05), (15, 3.87), (31, 5.96), (63, 13.7)])
def test_refocus_table_5(reuses, published):
    """Laser power at the optimal split, 16 delays of 6.94e-3 dB: within 2 %."""
    loss = line_loss(16 * 6.94e-3)
    assert relative_laser_power(reuses, loss) == pytest.approx(published, rel=0.02)


@given(reuses=st.integers(1, 63), split=st.floats(0.01, 0.95))
def test_no_split_beats_the_optimal(reuses, split):
    """1 / (R + 1) needs the least light."""
    assert relative_laser_power(reuses, 0.02, split) >= relative_laser_power(reuses, 0.02) * (1 - 1e-12)
    assert optimal_split(reuses) == 1 / (reuses + 1)


def test_feed_forward_copies_are_equal():
    """The direct tap equals what goes through the line once: a = (1 - a)(1 - l)."""
    split = feed_forward_split(0.1)
    assert split == pytest.approx((1 - split) * 0.9)
    assert stored_power(2, 0.1, 0.5) == pytest.approx(0.2025)
