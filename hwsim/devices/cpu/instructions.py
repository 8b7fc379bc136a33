"""Instructions of one weight tile by kernel, and the cycles that they hold each port of a core.

A tile is 16 rows of 64 bytes as the tile unit takes them: 512 weights of 16 bits, 1024 of 8 bits. Counts are those of
the released sparse kernels (IntelLabs SparAMX, csrc/sparse_linear.cpp and quantized_sparse_linear.cpp, @fc29bc7): per
tile a vector popcount and prefix sum of the 16 masks, spilled to the stack; per row a move to a mask register, a masked
expanding load, a store to a 1-KiB buffer, and the scalar load of the row's offset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hwsim.formats import FORMATS

if TYPE_CHECKING:
    from hwsim.devices.cpu.parameters import Vector

__all__ = ["ROWS", "avx_tile", "decompression_share", "expand_tile", "mix_cycles", "port_cycles"]

ROWS: Final = 16
"""Rows of a tile."""

_STREAM_LANES: Final = 32
"""Accumulators of the released AVX kernel (columns / 16 of a group): more than registers can hold beside operands."""


def port_cycles(vector: Vector, mix: Mapping[str, float]) -> dict[str, float]:
    """Cycles for which a mix of instructions holds each port, and ``issue``, the width at which all are issued."""
    held: dict[str, float] = {}
    micro_ops = 0.0
    for name, count in mix.items():
        one = vector.instructions[name]
        held[one.port] = held.get(one.port, 0.0) + count * one.cycles.value
        micro_ops += count * one.micro_ops.value
    return {**held, "issue": micro_ops / vector.issue.value}


def mix_cycles(vector: Vector, mix: Mapping[str, float]) -> float:
    """Cycles of a mix of independent instructions: those of the port that is held longest."""
    return max(port_cycles(vector, mix).values(), default=0.0)


def expand_tile(stored: str, sparse: bool, computed: str = "bf16") -> dict[str, float]:
    """Instructions that turn one stored tile into the 1-KiB buffer that the tile unit loads; none when it needs none.

    Args:
        stored: format of the weights in memory.
        sparse: whether a bitmap says which are stored.
        computed: format of the product: bf16 or int8.
    """
    if not sparse and FORMATS[stored].bits == FORMATS[computed].bits:
        return {}
    mix = _bitmap_rows(computed) if sparse else {"load": 16.0 * FORMATS[stored].bits / 16, "store": 16.0}
    if FORMATS[stored].bits < FORMATS[computed].bits:
        mix = _added(mix, _widen(stored))
    return mix


def _bitmap_rows(computed: str) -> dict[str, float]:
    """The released loop: 16 rows of 32 (bf16) or 64 (int8) lanes under one mask each."""
    halves = 2 if computed == "int8" else 1  # 64-bit masks: two vectors of eight, three shift-and-add steps each
    steps = 6.0 if halves == 2 else 4.0
    return {
        "expand": 16.0,
        "mask": 16.0,
        "store": 16.0 + 2.0 * halves,
        "load": 2.0 * halves,
        "scalar": 15.5,
        "popcount": float(halves),
        "align": steps,
        "add": steps,
    }


def _widen(stored: str) -> dict[str, float]:
    """16 rows of 32 narrow weights to bf16.

    e5m2 is the upper byte of fp16: widen and shift, then one step to bf16's exponent. Integers: two halves to int32 and
    fp32, then packed. 4-bit codes: unpack and look up. Formats with scales multiply by them.
    """
    kind, bits = FORMATS[stored].kind, FORMATS[stored].bits
    steps = {"convert": 16.0, "add": 16.0} if kind == "float" else {"convert": 48.0, "fma": 32.0}
    if bits < 8:
        steps = _added(steps, {"add": 16.0, "align": 16.0})
    return _added(steps, {"fma": 16.0}) if FORMATS[stored].group else steps


def _added(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {name: first.get(name, 0.0) + second.get(name, 0.0) for name in {**first, **second}}


def avx_tile(
    vector: Vector, stored: str, computed: str, sparse: bool, rows: float, block: tuple[int, int] = (6, 4)
) -> dict[str, float]:
    """Instructions of one tile multiplied on AVX-512 without the tile unit, for ``rows`` rows of activations.

    Dense kernels keep ``block`` (rows, column tiles) in registers: a weight vector is loaded once for the rows, an
    activation is loaded and spread once for the columns. The released sparse kernel goes over all weights again for
    each row; its 32 accumulators do not fit the registers and go through the stack.
    """
    macs = 1024.0 if computed == "int8" else 512.0 if computed == "bf16" else 256.0
    lanes, name = _multiply(vector, computed)
    multiply = {name: macs / lanes * rows}
    if sparse:
        spill = 16.0 * rows if vector.registers.value <= _STREAM_LANES else 0.0
        unpack = {**_bitmap_rows(computed), "store": 2.0 + spill, "load": 2.0 + spill}
        unpack = {each: count * (1 if each in ("store", "load") else rows) for each, count in unpack.items()}
        return _added(unpack, multiply)
    weights = 16.0 * FORMATS[stored].bits / FORMATS[computed].bits * math.ceil(rows / block[0])
    load = {"load": weights + 16.0 * rows / block[1]}
    widen = _widen(stored) if FORMATS[stored].bits < FORMATS[computed].bits else {}
    return _added(_added(load, widen), multiply)


def _multiply(vector: Vector, computed: str) -> tuple[float, str]:
    """(multiply-accumulates, instruction) of the widest product in a format; fp32 where there is no dot product."""
    if computed == "bf16" and vector.dot_bf16.value:
        return vector.dot_bf16.value, "dot"
    if computed == "int8" and vector.dot_int8.value:
        return vector.dot_int8.value, "dot_int8"
    return 16.0, "fma"


def decompression_share(mix: Mapping[str, float], tile_instructions: float) -> float:
    """Share of a kernel's instructions that only turn stored weights into dense ones."""
    total = sum(mix.values())
    return total / (total + tile_instructions)
