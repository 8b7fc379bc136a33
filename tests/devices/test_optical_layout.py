"""Layouts on the aperture: closed forms against brute-force enumeration, and the best of a menu."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.optical.jobs import Job, jobs_of
from hwsim.devices.optical.layout import Layout, best_layout, counts, grid
from hwsim.devices.optical.work import part_seconds
from hwsim.errors import Infeasible
from hwsim.workload.kernel import build_kernel

PAPER = find_device("optical-4k-2mhz").parameters


def job(images=1, channels=1, kernels=1, image=8, kernel=3, padding=1, groups=1):
    """A square layer."""
    out = image + 2 * padding - kernel + 1
    return Job(images, groups, channels, kernels, image, image, kernel, kernel, padding, out, out)


def small(pixels, **changes):
    """The paper's machine with a small aperture."""
    rows = replace(PAPER.plane.rows, value=float(pixels[0]))
    columns = replace(PAPER.plane.columns, value=float(pixels[1]))
    return replace(PAPER, plane=replace(PAPER.plane, rows=rows, columns=columns), **changes)


def enumerated(work, layout, signs):
    """Frames, loads and pixels by walking over every frame, the held plane in the outer loop."""
    n, c, k = (tiles[0] * tiles[1] for tiles in (layout.images, layout.channels, layout.kernels))
    shown = mask = None
    frames = input_loads = kernel_loads = pixels = 0
    images, kernels = range(0, work.images, n), range(0, work.kernels, k)
    for group, first in product(range(work.groups), range(0, work.channels, c)):
        held_kernel = [(i, o, s) for o in kernels for s in range(signs) for i in images]
        held_input = [(i, o, s) for i in images for o in kernels for s in range(signs)]
        for i, o, s in held_kernel if layout.held == "kernel" else held_input:
            frames += 1
            if shown != (group, first, i):
                shown, input_loads = (group, first, i), input_loads + 1
            if mask != (group, first, o, s):
                mask, kernel_loads = (group, first, o, s), kernel_loads + 1
            tiles = min(n, work.images - i) * min(k, work.kernels - o)
            pixels += tiles * work.out_rows * work.out_columns
    return frames, input_loads, kernel_loads, pixels


@settings(max_examples=60, deadline=None)
@given(data=st.data(), signs=st.integers(1, 2), held=st.sampled_from(["kernel", "input"]))
def test_closed_forms_are_what_walking_gives(data, signs, held):
    """Frames, loads of both planes and pixels read, for any tiles."""
    numbers = [data.draw(st.integers(1, 7)) for _ in range(4)]
    work = job(numbers[0], numbers[1], numbers[2], groups=data.draw(st.integers(1, 3)))
    tiles = [data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(3)]
    layout = Layout(tiles[0], tiles[1], tiles[2], (10, 10), (1, 1), held)
    found = counts(work, layout, signs)
    assert (found.frames, found.input_loads, found.kernel_loads, found.read_pixels) == enumerated(work, layout, signs)


@settings(max_examples=30, deadline=None)
@given(
    pixels=st.tuples(st.integers(10, 60), st.integers(10, 60)),
    images=st.integers(1, 9),
    channels=st.integers(1, 9),
    kernels=st.integers(1, 9),
)
def test_the_mapper_finds_the_fewest_frames(pixels, images, channels, kernels):
    """On small apertures no arrangement of rectangles needs fewer frames than the one that is found."""
    work, machine = job(images, channels, kernels), small(pixels)
    blocks = grid(machine, work).blocks
    rows, columns = (
        [each for each in product(range(1, limit + 1), repeat=3) if each[0] * each[1] * each[2] <= limit]
        for limit in blocks
    )
    least = min(
        counts(work, Layout((r[0], c[0]), (r[1], c[1]), (r[2], c[2]), (10, 10)), 1).frames
        for r in rows
        for c in columns
    )
    assert counts(work, best_layout(machine, work), 1).frames == least


@settings(max_examples=30, deadline=None)
@given(
    first=st.tuples(st.integers(10, 300), st.integers(10, 300)),
    more=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    numbers=st.tuples(st.integers(1, 200), st.integers(1, 64), st.integers(1, 64)),
)
def test_more_pixels_never_take_more_frames(first, more, numbers):
    """A larger aperture never needs more."""
    work = job(*numbers)
    larger = (first[0] + more[0], first[1] + more[1])
    before, after = (counts(work, best_layout(small(each), work), 1).frames for each in (first, larger))
    assert after <= before


@pytest.mark.parametrize(
    ("guard", "padding", "block"), [("full", 0, 12), ("least", 0, 8), ("least", 2, 10), ("least", 4, 12)]
)
def test_blocks_by_guard_and_padding(guard, padding, block):
    """Image 8, kernel 5: full 12; least 8 (valid), 10 (same), 12 (full padding)."""
    found = grid(replace(PAPER, guard=guard), job(image=8, kernel=5, padding=padding))
    assert found.block == (block, block)
    assert found.blocks == (4096 // block, 4096 // block)


def test_an_image_larger_than_the_aperture_is_cut():
    """Patches overlap by the kernel: 100 outputs in strips of 62 are two along each axis."""
    found = grid(small((64, 64)), job(image=100, kernel=3, padding=1))
    assert found.patches == (2, 2)
    assert counts(job(image=100), best_layout(small((64, 64)), job(image=100)), 1).frames == 4


def test_a_kernel_larger_than_the_aperture_is_infeasible():
    """The terms name the kernel, the levers the aperture."""
    found = grid(small((64, 64)), job(image=200, kernel=101, padding=0))
    assert isinstance(found, Infeasible)
    assert (found.demand, found.bound) == (101, 64)
    assert found.terms == {"kernel rows": 101}
    assert "plane.rows" in found.levers[0]


def test_jobs_of_ops():
    """A product is patches with patches; attention is two; strides count at full resolution; a norm has none."""
    gemm = jobs_of(build_kernel("gemm", {"m": 6, "n": 4, "k": 17}))
    assert gemm == (Job(6, 1, 1, 4, 5, 5, 5, 5, 0, 1, 1),)
    (cut,) = jobs_of(build_kernel("gemm", {"m": 6, "n": 4, "k": 17}), 3)
    assert (cut.channels, cut.rows) == (2, 3)
    shape = dict(phase="bidirectional", batch=2, heads=4, kv_heads=2, q_len=9, kv_len=9, head_dim=64)
    scores, values = jobs_of(build_kernel("attention", shape))
    assert (scores.groups, scores.images, scores.kernels, scores.rows) == (4, 18, 9, 8)
    assert (values.kernels, values.rows) == (64, 3)
    shape = dict(batch=2, oc=8, ic=4, y=16, x=16, r=3, s=3, stride=2, groups=2, padding=1)
    (conv,) = jobs_of(build_kernel("conv2d", shape))
    assert conv == Job(2, 2, 2, 4, 31, 31, 3, 3, 1, 31, 31)
    assert conv.convolutions == 2 * 2 * 2 * 4
    assert jobs_of(build_kernel("norm", {"op": "rmsnorm", "tokens": 2, "width": 4})) == ()


@pytest.mark.parametrize(("batch", "packed"), [(128, 1648), (1024, 12128)])
def test_attention_takes_more_frames_than_packing_all_pairs(batch, packed):
    """Queries and keys of all sequences on blocks of 12 pixels, against frames for each sequence and head."""
    tokens, layers, heads, blocks = 145, 8, 4, (4096 // 12) ** 2
    products = layers * (3 * heads + 2) * -(-batch * tokens // blocks)
    assert products + layers * 2 * heads * -(-batch * tokens**2 // blocks) == packed
    shape = dict(
        phase="bidirectional", batch=batch, heads=heads, kv_heads=heads, q_len=tokens, kv_len=tokens, head_dim=64
    )
    jobs = jobs_of(build_kernel("attention", shape), 2048)
    frames = sum(counts(job, best_layout(PAPER, job), 1).frames for job in jobs)
    assert frames == 2 * batch * heads
    assert products == layers * 14 * sum(
        counts(job, best_layout(PAPER, job), 1).frames for job in [shared(batch * tokens)]
    )
    assert products + layers * frames > packed


def shared(tokens):
    """A 7 x 7 kernel that all tokens of 8 x 8 share."""
    return job(images=tokens, image=8, kernel=7, padding=3)


def test_words_of_a_layout():
    """What `map` shows."""
    words = str(Layout((1, 2), (3, 4), (5, 6), (10, 10), (2, 1)))
    assert words == ("1x2 images, 3x4 channels, 5x6 kernels of 10x10 pixels, kernel held, image in 2x1 patches")


@settings(max_examples=25, deadline=None)
@given(
    first=st.tuples(st.integers(10, 200), st.integers(10, 200)),
    more=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    numbers=st.tuples(st.integers(1, 100), st.integers(1, 40), st.integers(1, 40)),
    guard=st.sampled_from(["full", "least"]),
)
def test_more_pixels_never_take_longer_with_parts_counted(first, more, numbers, guard):
    """Loads, exposures and read-out together, in the least time of the menu."""
    work = job(*numbers, image=24, kernel=5, padding=2)
    larger = (first[0] + more[0], first[1] + more[1])
    times = []
    for pixels in (first, larger):
        machine = small(pixels, timing="device_limited", guard=guard, detection="pseudo_negative")
        found = counts(work, best_layout(machine, work), machine.signs)
        times.append(max(part_seconds(machine, found).values()))
    assert times[1] <= times[0] * (1 + 1e-12)
