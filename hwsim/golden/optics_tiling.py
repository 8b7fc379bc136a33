"""Many small convolutions in one 4f frame: tiles of images, of channels and of kernels on one plane.

A frame convolves the whole input plane with the whole kernel plane. Put the tile of image n and channel i at
``u_n + p_i`` and the kernel of output o and channel i at ``c_o - p_i``: the sum over channels of image n and output o
comes out at ``u_n + c_o``, and every mixture of two channels elsewhere. With channels one block apart, outputs one set
of channels apart and images one set of outputs apart, no mixture falls onto a result (the plane wraps around, so only
the blocks used must fit). The block is what keeps neighbours out of the pixels that are read.

Channel tiling: Hu/Li et al., SPIE 12019 120190B, section 3.2. The product as one convolution: rows of A, reversed, as
columns of the kernel (the idea of the group behind ConvShareViT).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from hwsim.golden.optics4f import F64

__all__ = ["Tiles", "block_pixels", "full_convolution", "gemm_on_plane", "gemm_planes", "tiled_frame"]

Tiles: TypeAlias = tuple[int, int]
"""Tiles along rows and along columns."""


def full_convolution(x: F64, k: F64, plane: tuple[int, int]) -> F64:
    """The circular convolution that an ideal frame gives, [plane]."""
    spectrum = np.fft.rfft2(x, s=plane) * np.fft.rfft2(k, s=plane)
    return np.asarray(np.fft.irfft2(spectrum, s=plane))


def block_pixels(image: int, kernel: int, padding: int) -> int:
    """Least distance of tiles at which no neighbour reaches the pixels read: ``image + padding``.

    Of the full result, ``image + kernel - 1`` pixels, those from ``kernel - 1 - padding`` on are read,
    ``image + 2 padding - kernel + 1`` of them. The neighbour before ends at ``kernel - 2`` plus its distance below
    zero, the one behind begins at the distance: both stay out from ``image + padding`` on. Valid: image; same: image +
    floor(kernel / 2); full: image + kernel - 1.
    """
    return image + min(padding, kernel - 1)


def tiled_frame(
    x: F64,
    k: F64,
    padding: int,
    images: Tiles,
    channels: Tiles,
    kernels: Tiles,
    block: tuple[int, int],
    frame: Callable[[F64, F64, tuple[int, int]], F64] = full_convolution,
) -> F64:
    """One frame: every image with every kernel, summed over channels, [n, o, rows out, columns out].

    Args:
        x: images, [n, i, rows, columns]; n and i at most the tiles of images and of channels.
        k: kernels, [o, i, r, s]; o at most the tiles of kernels.
        padding: zeros around an image on each side, as a convolution layer counts them.
        images: tiles of images.
        channels: tiles of channels.
        kernels: tiles of kernels.
        block: rows and columns of a tile with its guard band.
        frame: the optics, (input plane, kernel plane, plane) -> result.
    """
    rows, columns = x.shape[2], x.shape[3]
    r, s = k.shape[2], k.shape[3]
    plane = (
        block[0] * images[0] * channels[0] * kernels[0] + max(0, rows + r - 1 - block[0]),
        block[1] * images[1] * channels[1] * kernels[1] + max(0, columns + s - 1 - block[1]),
    )
    output_step = (block[0] * channels[0], block[1] * channels[1])
    image_step = (output_step[0] * kernels[0], output_step[1] * kernels[1])
    shown, mask = np.zeros(plane), np.zeros(plane)
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            top, left = _sum(_at(n, images, image_step), _at(i, channels, block))
            shown[top : top + rows, left : left + columns] += x[n, i]
    for o in range(k.shape[0]):
        for i in range(k.shape[1]):
            target, place = _at(o, kernels, output_step), _at(i, channels, block)
            _add_wrapped(mask, k[o, i], (target[0] - place[0], target[1] - place[1]))
    seen = frame(shown, mask, plane)
    out = (rows + 2 * padding - r + 1, columns + 2 * padding - s + 1)
    result = np.zeros((x.shape[0], k.shape[0], *out))
    for n in range(x.shape[0]):
        for o in range(k.shape[0]):
            top, left = _sum(_at(n, images, image_step), _at(o, kernels, output_step))
            result[n, o] = _read_wrapped(seen, (top + r - 1 - padding, left + s - 1 - padding), out)
    return result


def _at(index: int, tiles: Tiles, step: tuple[int, int]) -> tuple[int, int]:
    row, column = divmod(index, tiles[1])
    return row * step[0], column * step[1]


def _sum(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]


def _add_wrapped(plane: F64, tile: F64, at: tuple[int, int]) -> None:
    """Add a tile whose corner may lie outside: the plane wraps around."""
    rows = (at[0] + np.arange(tile.shape[0])) % plane.shape[0]
    columns = (at[1] + np.arange(tile.shape[1])) % plane.shape[1]
    plane[np.ix_(rows, columns)] += tile


def _read_wrapped(plane: F64, at: tuple[int, int], extent: tuple[int, int]) -> F64:
    rows = (at[0] + np.arange(extent[0])) % plane.shape[0]
    columns = (at[1] + np.arange(extent[1])) % plane.shape[1]
    return np.asarray(plane[np.ix_(rows, columns)])


def gemm_planes(a: F64, b: F64) -> tuple[F64, F64, tuple[int, int]]:
    """Input plane, kernel plane and extent whose convolution holds ``a @ b`` in row k - 1.

    Args:
        a: [m, k]; its rows, reversed, stand as columns of the kernel, n columns apart.
        b: [k, n], the input plane.
    """
    (m, depth), n = a.shape, b.shape[1]
    kernel = np.zeros((depth, (m - 1) * n + 1))
    kernel[:, ::n] = a[:, ::-1].T
    return b, kernel, (2 * depth - 1, m * n)


def gemm_on_plane(a: F64, b: F64) -> F64:
    """``a @ b`` by one 4f convolution; of 2k - 1 rows one is used. [m, k], [k, n] -> [m, n]."""
    shown, kernel, plane = gemm_planes(a, b)
    row = full_convolution(shown, kernel, plane)[a.shape[1] - 1]
    return np.asarray(row[: len(a) * b.shape[1]].reshape(len(a), b.shape[1]))
