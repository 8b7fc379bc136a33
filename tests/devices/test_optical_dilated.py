"""Dilated convolutions on the 4f machine: kernels with dark pixels between their taps, laid out like any other."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.optical.jobs import jobs_of
from hwsim.devices.optical.layout import best_layout, counts, grid
from hwsim.devices.optical.precision import snr_of
from hwsim.devices.optical.work import Placed, placed
from hwsim.errors import Infeasible
from hwsim.golden.optics_tiling import tiled_frame
from hwsim.workload.kernel import build_kernel

PAPER = find_device("optical-4k-2mhz").parameters


def small(pixels, guard):
    """The paper's machine with a small aperture, pixel for pixel."""
    rows, columns = (replace(PAPER.plane.rows, value=float(each)) for each in pixels)
    return replace(PAPER, plane=replace(PAPER.plane, rows=rows, columns=columns), guard=guard)


def conv(**shape):
    """A dilated convolution as `hwsim kernel` builds it."""
    return build_kernel("conv2d", {"batch": 1, "dtype": "int8", **shape})


def summed(image, weights, stride, dilation, padding, out):
    """[n, o, y, x] by the definition: a tap at a time."""
    wide = np.pad(image, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    result = np.zeros((image.shape[0], weights.shape[0], *out))
    for r in range(weights.shape[2]):
        for s in range(weights.shape[3]):
            seen = wide[:, :, r * dilation :: stride, s * dilation :: stride][:, :, : out[0], : out[1]]
            result += np.einsum("niyx,oi->noyx", seen, weights[:, :, r, s])
    return result


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(), guard=st.sampled_from(["full", "least"]), taps=st.integers(2, 3), dilation=st.integers(1, 3),
    stride=st.integers(1, 2), y=st.integers(1, 4), pixels=st.tuples(st.integers(16, 60), st.integers(16, 60)),
)  # fmt: skip
def test_frames_of_the_layout_give_the_dilated_sums(data, guard, taps, dilation, stride, y, pixels):
    """Every frame of the layout through the field model, the kernel dark between taps; frames counted one by one."""
    reach = dilation * (taps - 1) + 1
    padding = data.draw(st.integers(0, reach // 2))
    inside = stride * (y - 1) + reach - 2 * padding
    if inside < 1:
        return
    batch, ic, oc = (data.draw(st.integers(1, 3)) for _ in range(3))
    op = conv(batch=batch, oc=oc, ic=ic, y=y, x=y, r=taps, s=taps, stride=stride, padding=padding, dilation=dilation)
    (job,) = jobs_of(op)
    assert (job.image_rows, job.rows, job.out_rows, job.padding) == (inside, reach, stride * (y - 1) + 1, padding)
    machine = small(pixels, guard)
    found = grid(machine, job)
    if found.patches != (1, 1):
        return
    layout = best_layout(machine, job)
    rng = np.random.default_rng(batch + 3 * ic + 9 * oc)
    image = rng.integers(0, 9, (batch, ic, inside, inside)).astype(float)
    weights = rng.integers(-9, 9, (oc, ic, taps, taps)).astype(float)
    mask = np.zeros((oc, ic, reach, reach))
    mask[:, :, ::dilation, ::dilation] = weights[:, :, ::-1, ::-1]  # optics convolve, a layer correlates
    n, c, k = (prod(tiles) for tiles in (layout.images, layout.channels, layout.kernels))
    frames, seen = 0, np.zeros((batch, oc, y, y))
    for images in (slice(at, at + n) for at in range(0, batch, n)):
        for kernels in (slice(at, at + k) for at in range(0, oc, k)):
            for channels in (slice(at, at + c) for at in range(0, ic, c)):
                frames += 1
                whole = tiled_frame(
                    image[images, channels], mask[kernels, channels], padding, layout.images, layout.channels,
                    layout.kernels, layout.block,
                )  # fmt: skip
                seen[images, kernels] += whole[:, :, ::stride, ::stride]
    assert np.allclose(seen, summed(image, weights, stride, dilation, padding, (y, y)))
    assert counts(job, layout, 1).frames == frames


def test_the_guard_band_grows_with_the_taps_distance():
    """3 x 3 taps four apart reach over 9: blocks of 32 + 8 with the full guard band, 32 + 4 with the least."""
    (job,) = jobs_of(conv(oc=8, ic=4, y=32, x=32, r=3, s=3, padding=4, dilation=4))
    assert (job.image_rows, job.rows, job.padding) == (32, 9, 4)
    assert [grid(replace(PAPER, guard=guard), job).block for guard in ("full", "least")] == [(40, 40), (36, 36)]


def test_taps_beyond_the_aperture_are_infeasible():
    """The reach counts, and the levers name the dilation."""
    op = conv(oc=1, ic=1, y=4, x=4, r=3, s=3, dilation=40)
    found = placed(small((64, 64), "full"), op)
    assert isinstance(found, Infeasible)
    assert (found.demand, found.bound, found.terms) == (81, 64, {"kernel rows": 81})
    assert "a kernel of 81, taps 40 apart" in found.reason
    assert "a smaller dilation" in found.levers


@pytest.mark.parametrize("bits", [6.0, 10.0])
def test_precision_is_that_of_the_taps(bits):
    """The sample is dark between taps: not the ratio of a dense kernel of the same reach, and it follows the bits."""
    machine = replace(PAPER, camera=replace(PAPER.camera, bits=replace(PAPER.camera.bits, value=bits)))

    def ratio(dilation, taps, camera):
        op = conv(oc=2, ic=2, y=12, x=12, r=taps, s=taps, dilation=dilation)
        (job,) = jobs_of(op)
        layout = best_layout(camera, job)
        return snr_of(camera, (Placed(job, layout, counts(job, layout, 1)),))

    assert ratio(2, 3, machine) != ratio(1, 5, machine)
    assert ratio(2, 3, machine) < ratio(
        2, 3, replace(machine, camera=replace(PAPER.camera, bits=replace(PAPER.camera.bits, value=bits + 2)))
    )
