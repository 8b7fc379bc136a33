"""What a product's operands cost between caches and registers: register blocks, panels, and where each panel stays.

A thread multiplies one register block of results at a time, over all of k: a panel of activations (the block's rows) by
a panel of weights (its columns). A panel that L1 does not hold comes from L2 again each time. Bytes that enter L1 do so
in turn with the loads that leave it, and beside arithmetic (the execution-cache-memory model of Treibig and Hager,
arXiv 0905.0792, for Intel's inclusive L1); measured micro-kernels on Sapphire Rapids agree (docs/cpu.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hwsim.devices.cpu.blocking import Blocking, Product
    from hwsim.devices.cpu.parameters import CpuParameters

__all__ = [
    "RegisterBlock", "arriving_cycles", "depth_blocks", "operand_cycles", "passes_over_weights", "register_block",
    "single_blocks", "sums_kept",
]  # fmt: skip

_ROW_BYTES: Final = 64
"""Bytes of a row of activations beside one weight tile, in each format: 32 of bf16, 64 of int8, 16 of fp32."""

_TILE_BYTES: Final = 1024
_ROWS: Final = 16

_DEPTH: Final = 32
"""Tiles along k of a part, where k is split (assumed): 1024 of bf16, and half of L2 holds 512 rows of activations."""


@dataclass(frozen=True, slots=True)
class RegisterBlock:
    """Results that a kernel keeps in registers while it goes along k.

    Attributes:
        rows: rows of activations.
        columns: column tiles of 16; a broadcast activation, or a tile of them, serves all.
    """

    rows: int
    columns: int


def single_blocks(p: CpuParameters) -> bool:
    """Whether the software multiplies block by block in calls of a micro-kernel, with no blocking for caches."""
    return p.software.block_call is not None


def register_block(p: CpuParameters, kernel: str) -> RegisterBlock:
    """2 x 2 tiles of the tile unit, or 6 rows x 4 vectors (24 accumulators), as oneDNN; 16 x 16 of single blocks."""
    if single_blocks(p):
        return RegisterBlock(16, 1)
    return RegisterBlock(32, 2) if kernel.startswith("amx") else RegisterBlock(6, 4)


def depth_blocks(p: CpuParameters, product: Product, rows: int) -> int:
    """Parts of k that a dense kernel goes through one after the other: one where half of L2 holds the activations."""
    if single_blocks(p) or rows * _ROW_BYTES * product.k_tiles <= p.caches.l2.value / 2:
        return 1
    return -(-product.k_tiles // _DEPTH)


def passes_over_weights(p: CpuParameters, product: Product, kernel: str, rows: int) -> int:
    """Times that a thread of a dense kernel goes over its weights: once for as many rows as half of L2 holds."""
    if single_blocks(p):
        return 1
    depth = -(-product.k_tiles // depth_blocks(p, product, rows))
    room = min(float(rows), p.caches.l2.value / 2 / (_ROW_BYTES * depth))  # an L2 without end holds them all
    held = max(register_block(p, kernel).rows, int(room))
    return -(-rows // held)


def sums_kept(blocking: Blocking) -> float:
    """Tiles of 16 x 16 sums that go out to L2 and come back, for each weight tile: once between two parts of k."""
    return -(-blocking.rows // _ROWS) * (blocking.depth_blocks - 1) / blocking.k_tiles


def arriving_cycles(p: CpuParameters, blocking: Blocking, rows: int) -> float:
    """Cycles of bringing a thread's activations to its core once, for each weight tile that they meet there.

    Each thread reads its rows over all of k. Other threads wrote them, but for its own share, of which half of L2 keeps
    what it can (assumed); so they come from LLC, once for all column tiles of the thread.

    Args:
        p: the machine.
        blocking: how the product is laid out.
        rows: rows that a weight tile meets in a pass.
    """
    read = float(blocking.rows * _ROW_BYTES * blocking.k_tiles)
    others = 1.0 - min(read / blocking.cores, p.caches.l2.value / 2) / read
    return _ROW_BYTES * rows * others / blocking.column_tiles / p.caches.llc_bytes_per_cycle.value


def operand_cycles(p: CpuParameters, product: Product, blocking: Blocking, loads: float) -> float:
    """Cycles of moving a weight tile's operands into L1 and on to registers, for all rows of a thread.

    Weights' way into the core for the first time is not in it. 0 where L1 holds what comes again.

    Args:
        p: the machine.
        product: what is multiplied.
        blocking: how it is laid out.
        loads: cycles of the loads that leave L1 for one weight tile.
    """
    block, depth = register_block(p, blocking.kernel), -(-product.k_tiles // blocking.depth_blocks)
    columns = min(block.columns, blocking.column_tiles)
    panel = (min(blocking.rows, block.rows) * _ROW_BYTES + columns * _TILE_BYTES) * depth
    near, blocks = panel < p.caches.l1.value, -(-blocking.rows // block.rows)
    if single_blocks(p):
        activations = 0.0 if near else float(_ROW_BYTES * blocking.rows)
        stay = blocking.column_tiles * _TILE_BYTES * depth
        weights = 0.0 if stay + _ROW_BYTES * block.rows * depth < p.caches.l1.value else float(_TILE_BYTES * blocks)
    else:
        stay = _TILE_BYTES * block.columns * depth
        held = blocking.rows * _ROW_BYTES * depth + stay < p.caches.l1.value
        activations = 0.0 if held else _ROW_BYTES * blocking.rows / columns
        activations += 2.0 * _TILE_BYTES * sums_kept(blocking)
        weights = 0.0 if near else float(_TILE_BYTES * (blocks - 1))
    far = weights if stay > p.caches.l2.value / 2 else 0.0
    moved = (activations + weights - far) / p.caches.l2_bytes_per_cycle.value
    moved += far / p.caches.llc_bytes_per_cycle.value
    return moved + loads if moved else 0.0
