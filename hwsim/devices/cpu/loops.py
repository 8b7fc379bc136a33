"""The loops that ``hwsim measure cpu`` times, as pipelines of one thread: what the model says they take.

``expand`` decompresses bf16 tiles into a buffer, ``expand_read`` reads each tile back at once (as a tile load would),
``sparse_gemv`` multiplies each expanded row by one input, ``dense_gemv`` and ``dense_read`` go over dense tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hwsim.devices.cpu.instructions import expand_tile, mix_cycles
from hwsim.devices.cpu.pipeline import PAGE_BYTES, Pipe, pipe_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwsim.devices.cpu.parameters import CorePath, CpuParameters, Vector

__all__ = ["LOOPS", "loop_bytes", "loop_cycles", "loop_mix", "loop_vector_cycles", "memory_cycles"]

LOOPS: Final = ("expand", "expand_read", "sparse_gemv", "dense_gemv", "dense_read")

_TILES: Final = 128
_PARTS: Final = 4
"""Parts of a tile in which its data come and are worked on, four rows each: buffers are smaller than a tile."""


def loop_bytes(loop: str, sparsity: float) -> float:
    """Bytes of one bf16 tile: dense 1024, else the bitmap's 64 and the non-zeros."""
    return 1024.0 if loop.startswith("dense") else 64.0 + 1024.0 * (1.0 - sparsity)


def loop_mix(loop: str) -> Mapping[str, float]:
    """Instructions of one tile."""
    if loop == "dense_read":
        return {"load": 16.0, "add": 16.0}
    if loop == "dense_gemv":
        return {"load": 16.0, "scalar": 16.0, "dot": 16.0}
    mix = expand_tile("bf16", sparse=True)
    if loop == "sparse_gemv":
        return {**mix, "store": 2.0, "dot": 16.0, "scalar": mix["scalar"] + 16.0}
    return mix


def loop_vector_cycles(vector: Vector, loop: str) -> float:
    """Cycles of one tile out of L1: ports, and what loops add to them (the overhead is one for all sparse loops)."""
    cycles = mix_cycles(vector, loop_mix(loop))
    if not loop.startswith("dense"):
        cycles += vector.expand_overhead.value
    return cycles + (vector.read_back.value if loop == "expand_read" else 0.0)


def memory_cycles(path: CorePath, clock_hz: float, vector_cycles: float, tile_bytes: float) -> float:
    """Cycles of one tile out of memory on one core, on the engine."""
    from hwsim.schedule import Deadlock, run  # noqa: PLC0415 - brings in the engine

    part = tile_bytes / _PARTS
    pipe = Pipe(
        tiles=_TILES * _PARTS,
        reps=2,
        core=part / path.bandwidth.value * clock_hz,
        restart=path.restart.value * clock_hz,
        pages=part / PAGE_BYTES,
        vector=vector_cycles / _PARTS,
        window=path.window_tiles(part),
    )
    found = run(pipe_program(pipe, "loop"))
    if isinstance(found, Deadlock):
        raise ValueError(f"a window of {pipe.window} tiles cannot deadlock: {found}")
    return _PARTS * found.makespan_cycles / (pipe.tiles * pipe.reps)


def loop_cycles(p: CpuParameters, loop: str, level: str, sparsity: float) -> float:
    """Cycles of one tile of a loop on one core.

    Args:
        p: the machine.
        loop: one of `LOOPS`.
        level: ``l1`` or ``memory``.
        sparsity: fraction of zeros.
    """
    vector = loop_vector_cycles(p.vector, loop)
    if level == "l1":
        return vector
    return memory_cycles(p.core_path, p.clock.turbo.value, vector, loop_bytes(loop, sparsity))
