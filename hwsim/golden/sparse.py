"""Bitmap-sparse weights and the tile products of AMX, bit for bit.

Glossary:

* ``w`` weights [N, K], ``a`` activations [M, K]; the product is a @ w.T, [M, N].
* ``tile`` 16 rows of 64 bytes, as the tile unit loads weights: a lane of 4 bytes holds ``e`` consecutive k of one
  column n (e = 2 for bf16, 4 for int8: the VNNI layout); a row holds 16 lanes (16 columns); 16 rows make 16 e weights
  along k.
* ``metadata`` one bit for each weight, least significant first: bit l of word r says that element l of tile row r is
  stored.
* ``values`` the stored weights, in the order of the bits, without gaps.
* ``starts`` for each thread, the number of stored weights before its first tile.
* ``grouped`` the order of tiles when a thread owns several column tiles: for each pair of them, for each k-tile, both
  tiles of the pair; ungrouped: for each column tile, all k-tiles.

Sources: format and orders from the released kernels (IntelLabs SparAMX, csrc/sparse_linear.cpp, layer/sparse_linear.py,
@fc29bc7), read and restated; TDPBF16PS and TDPBSSD from Intel's instruction set reference, section "Operation" of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError

__all__ = [
    "COLUMNS",
    "ELEMENTS",
    "ROWS",
    "PackedWeights",
    "bf16_bits",
    "bf16_values",
    "gemm_sparse",
    "pack",
    "pack_cache",
    "tdpbf16ps",
    "tdpbssd",
    "tile_of",
    "unpack",
]

U16: TypeAlias = NDArray[np.uint16]
I8: TypeAlias = NDArray[np.int8]
I32: TypeAlias = NDArray[np.int32]
F32: TypeAlias = NDArray[np.float32]
Stored: TypeAlias = "NDArray[np.uint16] | NDArray[np.int8]"
Kind: TypeAlias = Literal["bf16", "int8"]

ROWS: Final = 16
COLUMNS: Final = 16
ELEMENTS: Final[dict[str, int]] = {"bf16": 2, "int8": 4}
"""Weights of a 4-byte lane."""

_LEAST_NORMAL: Final = np.float32(2.0**-126)


@dataclass(frozen=True, slots=True, eq=False)
class PackedWeights:
    """Weights [N, K] as bitmap and values.

    Attributes:
        kind: bf16 (values are the upper 16 bits of a float) or int8.
        shape: (N, K) before padding.
        metadata: [tiles, 16, 16 e] booleans as bytes of bits, [tiles, 16, 2 e] uint8, least significant bit first.
        values: stored weights, [non-zeros].
        starts: stored weights before each thread's first tile, [threads].
        grouped: order of the tiles.
    """

    kind: Kind
    shape: tuple[int, int]
    metadata: NDArray[np.uint8]
    values: Stored
    starts: NDArray[np.int64]
    grouped: bool

    @property
    def packed_bytes(self) -> int:
        """Bytes of metadata and values."""
        return int(self.metadata.nbytes + self.values.nbytes)


# --- bf16 -------------------------------------------------------------------------------------------


def bf16_bits(x: F32) -> U16:
    """Fp32 to bf16, round to nearest even; a NaN stays one. Any shape."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(x), quiet, rounded).astype(np.uint16)


def bf16_values(bits: U16) -> F32:
    """Bf16 to fp32, exact. Any shape."""
    return (np.ascontiguousarray(bits, dtype=np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


# --- packing ----------------------------------------------------------------------------------------


def _tiles(w: Stored, kind: Kind) -> Stored:
    """[N, K] to [column tiles, k-tiles, 16 rows, 16 e elements], padded with zeros to whole tiles."""
    e = ELEMENTS[kind]
    n, k = w.shape
    depth = ROWS * e
    padded = np.zeros((-(-n // COLUMNS) * COLUMNS, -(-k // depth) * depth), dtype=w.dtype)
    padded[:n, :k] = w
    split = padded.reshape(padded.shape[0] // COLUMNS, COLUMNS, padded.shape[1] // depth, ROWS, e)
    return np.ascontiguousarray(
        split.transpose(0, 2, 3, 1, 4).reshape(split.shape[0], split.shape[2], ROWS, COLUMNS * e)
    )


def _order(columns: int, depths: int, grouped: bool) -> list[tuple[int, int]]:
    """(column tile, k-tile) of each tile as it is stored; an odd last column tile stands alone."""
    step = 2 if grouped else 1
    return [
        (column, depth)
        for first in range(0, columns, step)
        for depth in range(depths)
        for column in range(first, min(first + step, columns))
    ]


def _checked(threads: int, columns: int) -> None:
    if not 1 <= threads <= columns:
        raise HwsimError.at("pack", f"threads={threads}", f"1 to the {columns} column tiles")


def pack(w: F32 | I8, kind: Kind, threads: int = 1, grouped: bool | None = None) -> PackedWeights:
    """Weights as bitmap and values.

    Args:
        w: [N, K]; floats are rounded to bf16. What is zero then (either sign) is not stored.
        kind: bf16 or int8.
        threads: threads that share the column tiles, as evenly as whole tiles (pairs, if grouped) allow.
        grouped: order of the tiles; default: grouped when a thread owns more than one column tile.

    Raises:
        HwsimError: more threads than column tiles, or none.
    """
    bits: Stored = bf16_bits(np.asarray(w, dtype=np.float32)) if kind == "bf16" else np.asarray(w, dtype=np.int8)
    tiles = _tiles(bits, kind)
    columns, depths = tiles.shape[:2]
    _checked(threads, columns)
    pairs = columns > threads if grouped is None else grouped
    ordered = np.stack([tiles[place] for place in _order(columns, depths, pairs)])
    stored = (ordered & 0x7FFF) != 0 if kind == "bf16" else ordered != 0
    counts = np.concatenate([[0], np.cumsum(stored.reshape(len(ordered), -1).sum(axis=1, dtype=np.int64))])
    firsts = _thread_tiles(columns, depths, threads, pairs)
    n, k = w.shape
    metadata = np.packbits(stored, axis=-1, bitorder="little")
    return PackedWeights(kind, (n, k), metadata, ordered[stored], counts[firsts], pairs)


def _thread_tiles(columns: int, depths: int, threads: int, grouped: bool) -> list[int]:
    """The first tile of each thread."""
    step = 2 if grouped else 1
    units = -(-columns // step)
    first_units = [-(-units * thread // threads) for thread in range(threads)]
    return [min(unit * step, columns) * depths for unit in first_units]


def tile_of(packed: PackedWeights, tile: int, start: int) -> tuple[Stored, int]:
    """Expand one stored tile, row by row, as the kernel's masked loads do.

    Args:
        packed: the weights.
        tile: its number in stored order.
        start: stored weights before it.

    Returns:
        The tile [16, 16 e] and the stored weights behind it.
    """
    mask = np.unpackbits(packed.metadata[tile], axis=-1, bitorder="little").astype(bool)
    dense = np.zeros(mask.shape, dtype=packed.values.dtype)
    offsets = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]) + start
    for row in range(ROWS):
        dense[row, mask[row]] = packed.values[offsets[row] : offsets[row + 1]]
    return dense, int(offsets[-1])


def _grid(packed: PackedWeights) -> tuple[int, int]:
    n, k = packed.shape
    return -(-n // COLUMNS), -(-k // (ROWS * ELEMENTS[packed.kind]))


def unpack(packed: PackedWeights) -> Stored:
    """The weights back, [N, K], bf16 as bits; a stored zero's sign is lost."""
    columns, depths = _grid(packed)
    e = ELEMENTS[packed.kind]
    tiles = np.zeros((columns, depths, ROWS, COLUMNS * e), dtype=packed.values.dtype)
    start = 0
    for number, place in enumerate(_order(columns, depths, packed.grouped)):
        tiles[place], start = tile_of(packed, number, start)
    split = tiles.reshape(columns, depths, ROWS, COLUMNS, e).transpose(0, 3, 1, 2, 4)
    n, k = packed.shape
    return np.ascontiguousarray(split.reshape(columns * COLUMNS, depths * ROWS * e)[:n, :k])


# --- the tile unit ----------------------------------------------------------------------------------


def _flush(x: F32) -> F32:
    """Denormals as zeros of their sign."""
    return np.where(np.abs(x) < _LEAST_NORMAL, np.copysign(np.float32(0), x), x).astype(np.float32)


def tdpbf16ps(c: F32, a: U16, b: U16) -> F32:
    """C + a . b of one tile product in bf16, fp32 accumulators.

    Args:
        c: [M, 16].
        a: bf16 bits [M, 32], M at most 16.
        b: bf16 bits [16, 32]: row r, lane n holds the weights of k = 2r and 2r + 1 of column n.

    Returns:
        [M, 16]. Even and odd elements of the pairs are summed apart, from zero, by fused multiply-adds along k; then
        both are added, and the total is added to c. Every step rounds to nearest even; denormals are zeros.
    """
    left, right = _flush(bf16_values(a)), _flush(bf16_values(b)).reshape(ROWS, COLUMNS, 2)
    sums = np.zeros((2, a.shape[0], COLUMNS), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for pair in range(a.shape[1] // 2):
            for odd in range(2):
                sums[odd] = _fused(sums[odd], left[:, 2 * pair + odd, None], right[pair, None, :, odd])
        return _flush(_flush(np.asarray(c, dtype=np.float32)) + _flush(sums[0] + sums[1]))


def _fused(c: F32, a: F32, b: F32) -> F32:
    """C + a * b rounded once to fp32 (nearest even), a denormal result flushed.

    A product of two bf16 is exact in float64; its sum with an fp32 may not be. So that sum is rounded to odd (what its
    rounding lost, by Knuth's two-sum, says which neighbour is odd); rounding that to fp32 is then as if done once, as
    53 bits are more than twice 24 and two (Boldo and Melquiond, 2008).
    """
    product = a.astype(np.float64) * b.astype(np.float64)
    wide = c.astype(np.float64)
    total = np.asarray(wide + product)
    back = total - wide
    lost = (wide - (total - back)) + (product - back)
    inexact = np.isfinite(total) & (lost != 0) & (total.view(np.int64) & 1 == 0)
    odd = np.where(inexact, np.nextafter(total, np.copysign(np.inf, lost)), total)
    return _flush(odd.astype(np.float32))


def tdpbssd(c: I32, a: I8, b: I8) -> I32:
    """C + a . b of one tile product in int8, int32 accumulators that wrap.

    Args:
        c: [M, 16].
        a: [M, 64].
        b: [16, 64]: row r, lane n holds the weights of k = 4r to 4r + 3 of column n.
    """
    weights = b.reshape(ROWS, COLUMNS, 4).transpose(0, 2, 1).reshape(ROWS * 4, COLUMNS).astype(np.int64)
    total = c.astype(np.int64) + a.astype(np.int64) @ weights[: a.shape[1]]
    return total.astype(np.int32)


def gemm_sparse(a: F32 | I8, packed: PackedWeights) -> F32 | I32:
    """A @ w.T through expanded tiles and tile products, k-tile after k-tile, as the sparse kernel runs it.

    Args:
        a: [M, K]; floats are rounded to bf16.
        packed: weights [N, K].

    Returns:
        [M, N] in fp32 or int32.

    Raises:
        HwsimError: a and w differ in K.
    """
    n, k = packed.shape
    if a.shape[1] != k:
        raise HwsimError.at("gemm_sparse", f"a has K={a.shape[1]}", f"K={k}, that of the weights")
    columns, depths = _grid(packed)
    depth = ROWS * ELEMENTS[packed.kind]
    left = np.zeros((a.shape[0], depths * depth), dtype=np.uint16 if packed.kind == "bf16" else np.int8)
    left[:, :k] = bf16_bits(np.asarray(a, dtype=np.float32)) if packed.kind == "bf16" else a
    out = np.zeros((a.shape[0], columns * COLUMNS), dtype=np.float32 if packed.kind == "bf16" else np.int32)
    start = 0
    product = tdpbf16ps if packed.kind == "bf16" else tdpbssd
    for number, (column, step) in enumerate(_order(columns, depths, packed.grouped)):
        tile, start = tile_of(packed, number, start)
        here = slice(column * COLUMNS, (column + 1) * COLUMNS)
        out[:, here] = product(out[:, here], left[:, step * depth : (step + 1) * depth], tile)  # type: ignore[arg-type]
    return cast("F32 | I32", out[:, :n])


# --- keys and values --------------------------------------------------------------------------------


def pack_cache(cache: F32, keep: float) -> tuple[tuple[PackedWeights, ...], NDArray[np.int64]]:
    """Keys (or values) pruned by magnitude over all heads of a layer and packed head by head.

    Args:
        cache: [heads, positions, head_dim].
        keep: fraction of elements kept, those largest in magnitude; ties are all kept.

    Returns:
        One packed matrix for each head, and the stored values before each.

    Raises:
        HwsimError: keep outside 0 to 1.
    """
    if not 0 <= keep <= 1:
        raise HwsimError.at("pack_cache", f"keep={keep}", "a fraction from 0 to 1")
    kept = round(keep * cache.size)
    magnitudes = np.abs(cache)
    threshold = np.inf if kept == 0 else np.partition(magnitudes.ravel(), cache.size - kept)[cache.size - kept]
    pruned = np.where(magnitudes >= threshold, cache, np.float32(0))
    heads = tuple(pack(head, "bf16", grouped=False) for head in pruned)
    counts = np.cumsum([0, *(len(head.values) for head in heads)])
    return heads, counts[:-1]
