"""How convolutions lie on the aperture: images, channels and kernels per frame, and the frames that this makes.

`hwsim.golden.optics_tiling` holds that every such layout gives the right sums. Counts are closed forms; the best layout
is found by evaluating all of a declared menu (`MENU` for channels and kernels along each axis, images in what is left).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from hwsim.errors import Infeasible
from hwsim.golden.optics_tiling import block_pixels
from hwsim.mapping.forms import FrameForm, LayoutForm, Mismatch, head_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwsim.devices.optical.jobs import Job
    from hwsim.devices.optical.parameters import OpticalParameters
    from hwsim.workload.op import Op

__all__ = [
    "MENU", "Counts", "Layout", "best_layout", "counts", "frame_mismatches", "given_layout", "grid", "layout_form",
    "layouts_tried",
]  # fmt: skip

MENU: Final = (*range(1, 17), *(step << shift for shift in range(11) for step in (20, 24, 28, 32)))
"""Tiles of channels or kernels along an axis that the mapper tries, beside all that is left for the kernels."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What one frame holds.

    Attributes:
        images: tiles of images along rows and columns.
        channels: tiles of channels, summed in light.
        kernels: tiles of kernels (outputs).
        block: pixels of a tile with its guard band, along rows and columns.
        patches: pieces along rows and columns into which an image larger than the aperture is cut.
        held: the plane that stays while the other changes: ``kernel`` or ``input``.
    """

    images: tuple[int, int]
    channels: tuple[int, int]
    kernels: tuple[int, int]
    block: tuple[int, int]
    patches: tuple[int, int] = (1, 1)
    held: str = "kernel"

    def __str__(self) -> str:
        parts = (("images", self.images), ("channels", self.channels), ("kernels", self.kernels))
        cut = "" if self.patches == (1, 1) else f", image in {self.patches[0]}x{self.patches[1]} patches"
        words = ", ".join(f"{tiles[0]}x{tiles[1]} {name}" for name, tiles in parts)
        return f"{words} of {self.block[0]}x{self.block[1]} pixels, {self.held} held{cut}"


@dataclass(frozen=True, slots=True)
class Counts:
    """What a job takes under a layout.

    Attributes:
        frames: frames in all, both signs.
        input_loads: pictures loaded into the input modulator.
        kernel_loads: masks loaded.
        read_pixels: pixels that are read, partial sums included.
        channel_parts: partial sums that the host adds up (or subtracts) for each pixel of a result.
    """

    frames: int
    input_loads: int
    kernel_loads: int
    read_pixels: int
    channel_parts: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Blocks that fit the aperture: their pixels, how many along each axis, and the patches of an image."""

    block: tuple[int, int]
    blocks: tuple[int, int]
    patches: tuple[int, int]


def grid(p: OpticalParameters, job: Job) -> Grid | Infeasible:
    """Tiles of a job on the aperture. An image that is too large is cut into patches that overlap by the kernel."""
    plane = (p.image_rows, p.image_columns)
    image, kernel = (job.image_rows, job.image_columns), (job.rows, job.columns)
    out = (job.out_rows, job.out_columns)
    for place, name in enumerate(("rows", "columns")):
        if kernel[place] > plane[place]:
            return _too_large(p, job, name, kernel[place], plane[place])
    block, blocks, patches = [], [], []
    for extent, taps, size, limit in zip(image, kernel, out, plane, strict=True):
        guard = extent + taps - 1 if p.guard == "full" else block_pixels(extent, taps, job.padding)
        if guard <= limit:
            block.append(guard)
            blocks.append(limit // guard)
            patches.append(1)
        else:
            block.append(limit)
            blocks.append(1)
            patches.append(-(-size // (limit - taps + 1)))
    return Grid((block[0], block[1]), (blocks[0], blocks[1]), (patches[0], patches[1]))


def _too_large(p: OpticalParameters, job: Job, name: str, kernel: int, limit: int) -> Infeasible:
    superpixel = int(p.plane.superpixel.value)
    dilated = f", taps {job.dilation} apart" if job.dilation > 1 else ""
    return Infeasible(
        "aperture",
        kernel,
        limit,
        "pixels",
        f"{p.name} has an aperture of {limit:,} {name}, too small for a kernel of {kernel:,}{dilated}",
        {f"kernel {name}": kernel},
        ("a larger aperture (plane.rows, plane.columns)",)
        + (("a smaller superpixel (plane.superpixel)",) if superpixel > 1 else ())
        + (("a smaller dilation",) if dilated else ()),
    )


def counts(job: Job, layout: Layout, signs: int) -> Counts:
    """Closed forms of a job under a layout.

    ``frames = groups * ceil(images / tiles) * ceil(channels / tiles) * ceil(kernels / tiles) * signs * patches``. The
    plane that is held is loaded once for each of its contents, the other with every frame (or as seldom as the held
    one, where it has but one content).
    """
    pieces = layout.patches[0] * layout.patches[1]
    n = -(-job.images * pieces // _tiles(layout.images))
    c = -(-job.channels // _tiles(layout.channels))
    k = -(-job.kernels // _tiles(layout.kernels)) * signs
    sets = job.groups * c
    frames = sets * n * k
    if layout.held == "kernel":
        kernel_loads, input_loads = sets * k, frames if n > 1 else sets
    else:
        input_loads, kernel_loads = sets * n, frames if k > 1 else sets
    pixels = job.images * job.groups * job.kernels * job.out_rows * job.out_columns * c * signs
    return Counts(frames, input_loads, kernel_loads, pixels, c * signs)


def _tiles(tiles: tuple[int, int]) -> int:
    return tiles[0] * tiles[1]


def best_layout(p: OpticalParameters, job: Job) -> Layout | Infeasible:
    """The layout of the menu with the least time, then the fewest frames, then the fewest loads."""
    found = grid(p, job)
    if isinstance(found, Infeasible):
        return found
    seconds = _plane_seconds(p)
    images, channels, kernels, held = _search(job, found, p.tiling, p.signs, seconds)
    return Layout(images, channels, kernels, found.block, found.patches, held)


def layouts_tried(p: OpticalParameters, job: Job) -> int:
    """Layouts of the menu that a job has on the aperture; 0 where its kernel does not fit."""
    found = grid(p, job)
    return 0 if isinstance(found, Infeasible) else 2 * len(_pairs(found.blocks, p.tiling)[0])


def given_layout(p: OpticalParameters, job: Job, frame: FrameForm) -> Layout | Infeasible:
    """A layout from a mapping file, if the aperture has room for its blocks."""
    found = grid(p, job)
    if isinstance(found, Infeasible):
        return found
    for axis, name in enumerate(("rows", "columns")):
        blocks = frame.images[axis] * frame.channels[axis] * frame.kernels[axis]
        if blocks > found.blocks[axis]:
            pixels, limit = blocks * found.block[axis], (p.image_rows, p.image_columns)[axis]
            reason = f"{p.name} has room for {found.blocks[axis]} blocks of {found.block[axis]} pixels along its {name}"
            levers = ("fewer images, channels or kernels in a frame", f"a larger aperture (plane.{name})")
            return Infeasible("aperture", pixels, limit, "pixels", reason, {f"blocks along {name}": blocks}, levers)
    return Layout(frame.images, frame.channels, frame.kernels, found.block, found.patches, frame.held)


def frame_mismatches(p: OpticalParameters, form: LayoutForm) -> Iterator[Mismatch]:
    """Frames that no aperture of the machine has room for, whatever a block: a block is a pixel at least."""
    limits = (p.image_rows, p.image_columns)
    for frame in form.frames:
        for axis, name in enumerate(("rows", "columns")):
            blocks = frame.images[axis] * frame.channels[axis] * frame.kernels[axis]
            if blocks > limits[axis]:
                yield (
                    "frames",
                    f"{blocks:,} blocks along the {name}",
                    f"at most the {limits[axis]:,} pixels of {p.name}",
                )


def layout_form(op: Op, layouts: tuple[Layout, ...]) -> LayoutForm:
    """The layouts of an op's jobs as a file states them."""
    frames = tuple(
        FrameForm(each.images, each.channels, each.kernels, "kernel" if each.held == "kernel" else "input")
        for each in layouts
    )
    return LayoutForm(**head_of(op), frames=frames)


def _plane_seconds(p: OpticalParameters) -> tuple[float, float, float, float]:
    """Seconds of an input picture, a mask, a frame, and a pixel read."""
    if p.timing == "paper":
        return 0.0, 0.0, 1.0 / p.frame_rate.value, 0.0
    return p.input.picture_s, p.kernel.picture_s, p.camera.frame_s, 1.0 / p.camera.readout.value


@lru_cache(maxsize=4096)
def _search(
    job: Job, found: Grid, tiling: str, signs: int, seconds: tuple[float, float, float, float]
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], str]:
    """Tiles of images, channels and kernels, and the plane that is held."""
    along, across = _pairs(found.blocks, tiling)
    tiles = (along * across).astype(np.float64)
    pieces = found.patches[0] * found.patches[1]
    totals = (float(job.images * pieces), float(job.channels), float(job.kernels))
    n, c, k = (np.ceil(total / tiles[:, place]) for place, total in enumerate(totals))
    k = k * signs
    sets = job.groups * c
    frames = sets * n * k
    pixels = float(job.images * job.groups * job.kernels * job.out_rows * job.out_columns * signs) * c
    orders = (
        ("kernel", np.where(n > 1, frames, sets), sets * k),
        ("input", sets * n, np.where(k > 1, frames, sets)),
    )
    best: tuple[tuple[float, ...], int, str] | None = None
    for held, input_loads, kernel_loads in orders:
        time = np.maximum.reduce(
            [input_loads * seconds[0], kernel_loads * seconds[1], frames * seconds[2], pixels * seconds[3]]
        )
        place = int(np.lexsort((tiles[:, 1] + tiles[:, 2], input_loads + kernel_loads, frames, time))[0])
        key = (float(time[place]), float(frames[place]), float((input_loads + kernel_loads)[place]))
        if best is None or key < best[0]:
            best = (key, place, held)
    if best is None:
        raise ValueError("there is always a plane that can be held")
    images, channels, kernels = ((int(along[best[1], i]), int(across[best[1], i])) for i in range(3))
    return images, channels, kernels, best[2]


@lru_cache(maxsize=16)
def _pairs(blocks: tuple[int, int], tiling: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every pair of options along rows and columns, [pairs, 3] each; of two that mirror each other, the first."""
    rows, columns = (_axis(each, tiling) for each in blocks)
    i, j = (each.ravel() for each in np.indices((len(rows), len(columns))))
    if blocks[0] == blocks[1]:
        first = i <= j
        i, j = i[first], j[first]
    return rows[i], columns[j]


@lru_cache(maxsize=256)
def _axis(blocks: int, tiling: str) -> NDArray[np.int64]:
    """(images, channels, kernels) along one axis that the menu offers, [options, 3]."""
    if tiling == "none":
        return np.ones((1, 3), dtype=np.int64)
    if tiling == "images":
        return np.array([[blocks, 1, 1]], dtype=np.int64)
    options = set()
    for c in (each for each in MENU if each <= blocks):
        for k in {*(each for each in MENU if c * each <= blocks), blocks // c}:
            options.add((blocks // (c * k) if tiling == "best" else 1, c, k))
    return np.array(sorted(options), dtype=np.int64)
