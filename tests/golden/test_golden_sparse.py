"""Bitmap-sparse weights and tile products against second formulations, element by element."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.golden.sparse import (
    bf16_bits,
    bf16_values,
    gemm_sparse,
    pack,
    pack_cache,
    tdpbf16ps,
    tdpbssd,
    tile_of,
    unpack,
)

KINDS = st.sampled_from(["bf16", "int8"])


def weights(kind, n, k, sparsity, seed):
    """Random weights with about ``sparsity`` zeros."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(n, k)).astype(np.float32) if kind == "bf16" else rng.integers(-128, 128, (n, k), dtype=np.int8)
    w[rng.random((n, k)) < sparsity] = 0
    return w


def stored_order(kind, n, k, grouped):
    """(n, k) of every element in stored order, by the formula of the format; the release needs whole tiles."""
    e = 2 if kind == "bf16" else 4
    places = []
    step = 2 if grouped else 1
    for p in range(n // (16 * step)):
        for t in range(k // (16 * e)):
            for j in range(step):
                for r in range(16):
                    places += [
                        (16 * step * p + 16 * j + lane // e, 16 * e * t + e * r + lane % e) for lane in range(16 * e)
                    ]
    return places


@settings(max_examples=40, deadline=None)
@given(KINDS, st.integers(1, 3), st.integers(1, 3), st.floats(0, 1), st.booleans(), st.integers(0, 99))
def test_values_stand_in_the_order_of_the_format(kind, pairs, depths, sparsity, grouped, seed):
    """Values and bits are those that a walk by the format's formula meets, tile for tile."""
    n, k = 32 * pairs, depths * (32 if kind == "bf16" else 64)
    w = weights(kind, n, k, sparsity, seed)
    packed = pack(w, kind, grouped=grouped)
    bits = bf16_bits(w) if kind == "bf16" else w
    walked = np.array([bits[place] for place in stored_order(kind, n, k, grouped)])
    mask = np.unpackbits(packed.metadata.reshape(-1), bitorder="little").astype(bool)
    assert np.array_equal(mask, walked != 0)
    assert np.array_equal(packed.values, walked[walked != 0])


@settings(max_examples=60, deadline=None)
@given(KINDS, st.integers(1, 100), st.integers(1, 200), st.floats(0, 1), st.integers(0, 99), st.data())
def test_packing_loses_nothing(kind, n, k, sparsity, seed, data):
    """Any shape (padded), sparsity and thread count: unpack(pack(w)) is w."""
    w = weights(kind, n, k, sparsity, seed)
    threads = data.draw(st.integers(1, -(-n // 16)))
    back = unpack(pack(w, kind, threads))
    assert np.array_equal(back, bf16_bits(w) if kind == "bf16" else w)


@settings(max_examples=30, deadline=None)
@given(KINDS, st.integers(1, 9), st.integers(1, 3), st.floats(0, 1), st.booleans(), st.integers(0, 99), st.data())
def test_starts_lead_each_thread_to_its_tiles(kind, columns, depths, sparsity, grouped, seed, data):
    """Expanding from a thread's start gives the same tiles as one pass over all of them."""
    depth = 32 if kind == "bf16" else 64
    threads = data.draw(st.integers(1, columns))
    packed = pack(weights(kind, 16 * columns, depth * depths, sparsity, seed), kind, threads, grouped)
    before = [0]
    for tile in range(columns * depths):
        before.append(tile_of(packed, tile, before[-1])[1])
    assert before[-1] == len(packed.values)
    assert set(packed.starts) <= set(before)
    assert list(packed.starts) == sorted(packed.starts)
    assert packed.starts[0] == 0


@settings(max_examples=30, deadline=None)
@given(KINDS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.floats(0, 1), st.integers(0, 99))
def test_threads_own_equal_tiles_and_start_at_their_prefix(kind, threads, each, depths, sparsity, seed):
    """Equal column tiles a thread: its start counts the non-zeros of all columns before its own, from the weights."""
    e = 2 if kind == "bf16" else 4
    w = weights(kind, 16 * threads * each, 16 * e * depths, sparsity, seed)
    packed = pack(w, kind, threads, grouped=each % 2 == 0)
    assert list(packed.starts) == [np.count_nonzero(w[: 16 * each * thread]) for thread in range(threads)]


@pytest.mark.parametrize(("threads", "grouped"), [(1, True), (3, True), (4, False)])
def test_tiles_are_grouped_where_a_thread_owns_more_than_one(threads, grouped):
    """Four column tiles: pairs on three threads and fewer, single ones on four (the release's rule)."""
    assert pack(weights("bf16", 64, 32, 0.5, 0), "bf16", threads).grouped is grouped


@pytest.mark.parametrize(("kind", "sparsity", "expected"), [("bf16", 0.5, 576), ("int8", 0.5, 640), ("bf16", 1.0, 64)])
def test_bytes_of_a_packed_tile(kind, sparsity, expected):
    """64 + 1024 d bytes in bf16, 128 + 1024 d in int8."""
    w = np.ones((16, 32 if kind == "bf16" else 64), dtype=np.float32 if kind == "bf16" else np.int8)
    w.ravel()[: int(sparsity * w.size)] = 0
    assert pack(w, kind).packed_bytes == expected


def fp32(x: Fraction) -> Fraction:
    """Round to 24 bits, nearest even, denormals to zero: integers only."""
    if x == 0:
        return x
    exponent = abs(x).numerator.bit_length() - abs(x).denominator.bit_length()
    for guess in (exponent - 1, exponent, exponent + 1):
        if Fraction(2) ** guess <= abs(x) < Fraction(2) ** (guess + 1):
            exponent = guess
    unit = Fraction(2) ** (exponent - 23)
    rounded = round(x / unit) * unit  # Python's round of a Fraction is to even
    return rounded if abs(rounded) >= Fraction(2) ** -126 else Fraction(0)


def exact_tile(c, a, b):
    """One tile product in rational arithmetic, rounded where the instruction rounds."""
    out = np.zeros(c.shape, dtype=np.float32)
    for m in range(a.shape[0]):
        for n in range(16):
            even = odd = Fraction(0)
            for pair in range(16):
                even = fp32(even + Fraction(float(a[m, 2 * pair])) * Fraction(float(b[pair, 2 * n])))
                odd = fp32(odd + Fraction(float(a[m, 2 * pair + 1])) * Fraction(float(b[pair, 2 * n + 1])))
            out[m, n] = float(fp32(Fraction(float(c[m, n])) + fp32(even + odd)))
    return out


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 999), st.integers(0, 60), st.integers(1, 3))
def test_bf16_tile_rounds_as_exact_arithmetic_does(seed, spread, rows):
    """Bit for bit against fractions, also where exponents lie far apart and sums cancel."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return (rng.normal(size=shape) * 2.0 ** rng.integers(-spread, spread + 1, shape)).astype(np.float32)

    a, b, c = bf16_bits(draw(rows, 32)), bf16_bits(draw(16, 32)), draw(rows, 16)
    got = tdpbf16ps(c, a, b)
    assert np.array_equal(got.view(np.uint32), exact_tile(c, bf16_values(a), bf16_values(b)).view(np.uint32))


def test_denormals_are_zeros():
    """Inputs and results below 2^-126 count as zero."""
    tiny = bf16_bits(np.full((1, 32), 2.0**-130, dtype=np.float32))
    ones = bf16_bits(np.ones((16, 32), dtype=np.float32))
    assert not tdpbf16ps(np.full((1, 16), 2.0**-140, dtype=np.float32), tiny, ones).any()
    large = bf16_bits(np.full((16, 32), 2.0**40, dtype=np.float32))
    assert not tdpbf16ps(np.zeros((1, 16), dtype=np.float32), tiny, large).any()  # the product would be normal


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 16), st.integers(0, 99))
def test_int8_tile_adds_and_wraps(rows, seed):
    """Against a loop over k in Python integers; the accumulator wraps at 32 bits."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-128, 128, (rows, 64), dtype=np.int8), rng.integers(-128, 128, (16, 64), dtype=np.int8)
    c = rng.integers(-(2**31), 2**31, (rows, 16), dtype=np.int64).astype(np.int32)
    got = tdpbssd(c, a, b)
    m, n = rows - 1, seed % 16
    total = int(c[m, n]) + sum(int(a[m, k]) * int(b[k // 4, 4 * n + k % 4]) for k in range(64))
    assert int(got[m, n]) == (total + 2**31) % 2**32 - 2**31


def test_int8_accumulators_wrap_and_do_not_saturate():
    """The largest accumulator plus 64 products of 127 x 127, modulo 2^32; and the least minus as much."""
    most, ones = np.full((1, 16), 2**31 - 1, dtype=np.int32), np.full((1, 64), 127, dtype=np.int8)
    weights_127 = np.full((16, 64), 127, dtype=np.int8)
    step = 64 * 127 * 127
    assert (tdpbssd(most, ones, weights_127) == step - 1 - 2**31).all()
    assert (tdpbssd(-most - 1, -ones, weights_127) == 2**31 - step).all()


def test_zeros_of_either_sign_are_not_stored():
    """Minus zero is a zero: no bit, no value."""
    w = np.full((16, 32), -0.0, dtype=np.float32)
    w[3, 5] = -1.5
    packed = pack(w, "bf16")
    assert len(packed.values) == 1
    assert np.unpackbits(packed.metadata.reshape(-1)).sum() == 1


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 20), st.integers(1, 70), st.integers(1, 150), st.floats(0, 1), st.integers(0, 99), st.booleans())
def test_int8_products_are_exact(m, n, k, sparsity, seed, grouped):
    """Any shape, sparsity and order of tiles: the integer matrix product."""
    w = weights("int8", n, k, sparsity, seed)
    a = np.random.default_rng(seed + 1).integers(-128, 128, (m, k), dtype=np.int8)
    assert np.array_equal(gemm_sparse(a, pack(w, "int8", grouped=grouped)), a.astype(np.int32) @ w.T.astype(np.int32))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 100), st.floats(0, 1), st.integers(0, 99))
def test_bf16_products_do_not_depend_on_the_order_of_tiles(m, n, k, sparsity, seed):
    """Grouped or not, on any thread: the same bits, and close to the product in float64."""
    w = weights("bf16", n, k, sparsity, seed)
    a = weights("bf16", m, k, 0, seed + 1)
    first, second = (gemm_sparse(a, pack(w, "bf16", grouped=grouped)) for grouped in (False, True))
    assert np.array_equal(first.view(np.uint32), second.view(np.uint32))
    exact = bf16_values(bf16_bits(a)).astype(np.float64) @ bf16_values(bf16_bits(w)).T.astype(np.float64)
    scale = np.abs(bf16_values(bf16_bits(a))) @ np.abs(bf16_values(bf16_bits(w))).T
    assert np.all(np.abs(first - exact) <= 1e-5 * scale + 1e-30)


def test_bf16_rounds_to_even_and_keeps_nan():
    """Ties go to the even neighbour; NaN stays NaN whatever its payload."""
    x = np.array([0x3F808000, 0x3F818000, 0x7F800001, 0x7F800000], dtype=np.uint32).view(np.float32)
    assert list(bf16_bits(x)) == [0x3F80, 0x3F82, 0x7FC0, 0x7F80]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 40), st.floats(0, 1), st.integers(0, 99))
def test_a_pruned_cache_keeps_the_largest(heads, positions, keep, seed):
    """Over all heads together the kept share is what was asked, no dropped element exceeds a kept one."""
    cache = np.random.default_rng(seed).normal(size=(heads, positions, 32)).astype(np.float32)
    packed, before = pack_cache(cache, keep)
    back = np.stack([bf16_values(unpack(head)) for head in packed])
    kept = back != 0
    assert kept.sum() == round(keep * cache.size)
    assert np.array_equal(before, np.cumsum([0, *(len(head.values) for head in packed)])[:-1])
    if kept.any() and not kept.all():
        assert np.abs(cache[kept]).min() >= np.abs(cache[~kept]).max()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda w: pack(w, "bf16", threads=9), "the 2 column tiles"),
        (lambda w: pack(w, "bf16", threads=0), "1 to"),
        (lambda w: gemm_sparse(np.ones((1, 5), np.float32), pack(w, "bf16")), "K=32"),
        (lambda w: pack_cache(w[None], 1.5), "a fraction"),
    ],
)
def test_what_makes_no_sense_is_refused(call, words):
    """Threads without tiles, products of unequal depth, keeping more than all."""
    with pytest.raises(HwsimError, match=words):
        call(np.ones((32, 32), dtype=np.float32))
