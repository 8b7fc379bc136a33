"""Tiles that libraries ship, by the name that a catalog's stack gives. Rows: tm, tn, tk, thread blocks per SM.

tm counts rows of a (tokens), tn columns of the weights. Libraries that hold matrices by columns exchange the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from hwsim.devices.gpu.block_scaled import block_scaled_tiles
from hwsim.errors import HwsimError
from hwsim.mapping.forms import Mismatch, TileForm, head_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwsim.workload.op import Op

__all__ = ["MENUS", "ON_ALUS", "menu", "tile_form", "tile_mismatches"]

_LARGEST: Final = 128 * 256
"""Elements of the largest tile: its fp32 accumulator takes half of an SM's registers."""


def _tiles(rows: tuple[int, ...], columns: tuple[int, ...], paired: int) -> tuple[tuple[int, int, int, int], ...]:
    """Every rows x columns up to the largest, two to an SM up to ``paired`` elements; k in steps of 64 or 32."""
    return tuple(
        (tm, tn, 32 if tm * tn >= 128 * 128 else 64, 2 if tm * tn <= paired else 1)
        for tn in columns
        for tm in rows
        if tm * tn <= _LARGEST
    )


_SGEMM: Final = (
    (64, 128, 8, 2),
    (64, 64, 8, 2),
    (128, 32, 8, 2),
    (32, 128, 8, 2),
    (32, 64, 32, 2),
    (32, 32, 32, 2),
)

_WEIGHT_ONLY: Final = ((16, 128), (16, 256), (32, 128), (64, 128), (128, 128))
_SMOOTHQUANT: Final = (
    (32, 128, 64),
    (64, 128, 64),
    (128, 128, 64),
    (64, 64, 128),
    (128, 256, 64),
    (256, 128, 64),
)
"""Tiles that TensorRT-LLM's int8_gemm is built with; that named 128 x 64 is 128 x 128."""

MENUS: Final[dict[str, tuple[tuple[int, int, int, int], ...]]] = {
    "mma": _tiles((16, 32, 64, 128, 256), (64, 128, 256), 0),
    "wgmma": _tiles((8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256), (64, 128, 192, 256), 64 * 128),
    "simt": ((128, 128, 8, 1), *_SGEMM),
    "simt-single": _SGEMM,
    "simt-batched": ((128, 128, 8, 1),),
    "volta": (
        *((tm, tn, 32, 2) for tm in (64, 128) for tn in (64, 128) if tm * tn < 128 * 128),
        (128, 128, 32, 1),
        *((tm, tn, 32, 1) for tm, tn in ((64, 256), (256, 64), (128, 256), (256, 128))),
    ),
    "block": ((128, 128, 128, 1), (128, 256, 128, 1), (256, 128, 128, 1)),
    "binary": tuple((tm, tn, 256, 1) for tn in (16, 32, 64) for tm in (8, 16, 24, 32, 48, 64, 128)),
    "weight-only": tuple((tm, tn, 64, 2 if tm * tn <= 64 * 128 else 1) for tm, tn in _WEIGHT_ONLY),
    "smoothquant": tuple((tm, tn, tk, 2 if tm * tn <= 64 * 128 else 1) for tm, tn, tk in _SMOOTHQUANT),
    "torch": (
        *_tiles((32, 64), (32, 64), 128 * 128),
        *_tiles((32, 64, 128, 256), (128,), 128 * 128),
        *_tiles((64, 128), (256,), 0),
        *_tiles((128, 256), (64,), 128 * 128),
        (96, 128, 64, 2),
        (128, 160, 32, 1),
    ),
}
"""Menus: ``mma`` (CUTLASS-like, m in powers of two from 16), ``wgmma`` (Hopper: m of a warp group's instruction is 64
and lies along the weights, the token side goes in steps of 8), ``simt`` (fp32 on the ALUs: the tiles that
cuBLAS's sgemm kernels are named by, the weights' side first; from Ampere on, its largest is that of batched products,
and their only one), ``volta`` (cuBLAS's s884gemm: none under 64 x 64, k in steps of 32), ``block`` (4-bit block scales:
CUTLASS has none under 128 x 128), ``binary`` (FlexQ's bit planes: rows in the eights of the binary instruction, k by
256 bits), ``weight-only`` and ``smoothquant`` (CUTLASS kernels of TensorRT-LLM for compute capability 8.0
on), ``torch`` (cuBLAS of 2023: no tile under 32 rows)."""

ON_ALUS: Final = {
    "weight-only int8": tuple((rows, 16, 1024, 8) for rows in range(1, 9)),
    "weight-only int4": tuple((rows, 32, 1024, 8) for rows in range(1, 9)),
    "smoothquant int8": tuple((rows, 2, 2048, 8) for rows in range(1, 5)),
}
"""Tiles of TensorRT-LLM's kernels for few rows, which multiply on the ALUs, by kernel and format of the weights: all
rows, 8 columns (interleaved by 2 and 4) or 2, what 128 threads take of k in one round of 16-byte loads. Eight to an SM:
64 registers to a thread."""


@cache
def menu(name: str) -> NDArray[np.float64]:
    """The menu of a name as the array that `hwsim.kernels.gpu_gemm` takes.

    Raises:
        HwsimError: there is none.
    """
    if name not in MENUS:
        raise HwsimError.unknown_name("stacks.gemm.menu", "menu of tiles", name, MENUS)
    tiles = np.array(MENUS[name], dtype=np.float64)
    tiles.setflags(write=False)
    return tiles


def tile_mismatches(form: TileForm) -> Iterator[Mismatch]:
    """What no library has of a mapping's tile: another kind than gemm, or a tile that is on no menu."""
    if form.kind != "gemm":
        yield "kind", f"kind {form.kind}", "gemm: only products have a menu of tiles"
    known = {tile[:3] for tiles in (*MENUS.values(), *ON_ALUS.values()) for tile in tiles}
    known |= {(int(tm), int(tn), int(tk)) for each in ("waves", "fixed") for tm, tn, tk, _ in block_scaled_tiles(each)}
    if (form.tm, form.tn, form.tk) not in known:
        near = min(
            known, key=lambda tile: (abs(tile[0] - form.tm) + abs(tile[1] - form.tn), abs(tile[2] - form.tk), tile)
        )
        found = f"a tile of {form.tm}x{form.tn}x{form.tk}"
        yield "tm", found, f"a tile of a menu, the nearest {'x'.join(map(str, near))}"


def tile_form(op: Op, mapping: Mapping[str, float | str]) -> TileForm:
    """The tile of an estimate as a file states it."""
    tm, tn, tk, split = (int(mapping[name]) for name in ("tm", "tn", "tk", "split"))
    return TileForm(**head_of(op), tm=tm, tn=tn, tk=tk, split=split)
