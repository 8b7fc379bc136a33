"""Tiles on one plane: exact where they must be, wrong where they must be, against direct convolution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.golden.optics_tiling import block_pixels, full_convolution, gemm_on_plane, gemm_planes, tiled_frame


def layer(x, k, padding):
    """A convolution layer with mirrored kernels, by its definition: [n, i, y, x], [o, i, r, s] -> [n, o, y', x']."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, k.shape[2:], axis=(2, 3))
    return np.einsum("niyxrs,oirs->noyx", windows, k[:, :, ::-1, ::-1])


def operands(n, i, o, rows, kernel, seed=0):
    """Images and signed kernels."""
    rng = np.random.default_rng(seed)
    return rng.random((n, i, rows, rows)), rng.normal(size=(o, i, kernel, kernel))


@pytest.mark.parametrize(("padding", "block"), [(0, 8), (2, 10), (4, 12)])
def test_input_tiles_do_not_disturb_one_another(padding, block):
    """M = 8, N = 5 on 4 x 4 tiles: pitches M (valid), M + floor(N/2) (same) and M + N - 1 (full) have no crosstalk."""
    x, k = operands(16, 1, 1, 8, 5)
    assert block == block_pixels(8, 5, padding)
    seen = tiled_frame(x, k, padding, (4, 4), (1, 1), (1, 1), (block, block))
    assert np.abs(seen - layer(x, k, padding)).max() < 1e-12


@pytest.mark.parametrize("padding", [2, 4])
def test_one_pixel_less_and_they_do(padding):
    """Same and full padding: one pixel below the least pitch neighbours reach what is read."""
    x, k = operands(16, 1, 1, 8, 5)
    block = block_pixels(8, 5, padding) - 1
    seen = tiled_frame(x, k, padding, (4, 4), (1, 1), (1, 1), (block, block))
    assert np.abs(seen - layer(x, k, padding)).max() > 1e-2


def test_channel_tiling_sums_in_light():
    """Nine channels of 16 x 16 with 3 x 3 kernels: one frame gives their sum in the centre, and not elsewhere."""
    x, k = operands(1, 9, 1, 16, 3)
    planes = []

    def frame(shown, mask, plane):
        planes.append(full_convolution(shown, mask, plane))
        return planes[-1]

    seen = tiled_frame(x, k, 0, (1, 1), (3, 3), (1, 1), (18, 18), frame)
    assert np.abs(seen - layer(x, k, 0)).max() < 1e-12
    other = planes[0][18 + 2 : 18 + 16, 2:16]
    assert np.abs(other - layer(x, k, 0)[0, 0]).max() > 0.1


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(3, 6),
    kernel=st.integers(1, 3),
    data=st.data(),
)
def test_images_channels_and_kernels_share_a_frame(rows, kernel, data):
    """Any arrangement of the three at the least pitch gives every image with every kernel, summed over channels."""
    tiles = [data.draw(st.tuples(st.integers(1, 2), st.integers(1, 3))) for _ in range(3)]
    padding = data.draw(st.integers(0, kernel - 1))
    images, channels, kernels = tiles
    n, i, o = (a * b for a, b in tiles)
    x, k = operands(n, i, o, rows, kernel)
    block = block_pixels(rows, kernel, padding)
    seen = tiled_frame(x, k, padding, images, channels, kernels, (block, block))
    assert np.abs(seen - layer(x, k, padding)).max() < 1e-11


def test_a_product_is_one_convolution():
    """Row k - 1 of the full result, reshaped, is A B; the plane has 2k - 1 rows, of which that is one."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(5, 7)), rng.normal(size=(7, 4))
    assert np.abs(gemm_on_plane(a, b) - a @ b).max() < 1e-13
    _, _, plane = gemm_planes(a, b)
    assert plane == (13, 20)


def test_a_patch_with_a_patch_is_a_dot_product():
    """p x p tokens with p x p kernels, valid: one pixel each, the product of two matrices."""
    rng = np.random.default_rng(4)
    a, b = rng.random((6, 16)), rng.normal(size=(4, 16))
    k = b.reshape(4, 1, 4, 4)[:, :, ::-1, ::-1]
    seen = tiled_frame(a.reshape(6, 1, 4, 4), k, 0, (2, 3), (1, 1), (2, 2), (4, 4))
    assert np.abs(seen[:, :, 0, 0] - a @ b.T).max() < 1e-12
