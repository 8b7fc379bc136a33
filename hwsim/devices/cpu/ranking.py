"""Every blocking of a matrix product on a CPU, ranked: the space is small and tried whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwsim.devices.cpu.blocking import Blocking, blockings, product_of
from hwsim.devices.cpu.gemm import flowing_bytes, works_of
from hwsim.devices.cpu.pipeline import closed_form_cycles, engine_cycles
from hwsim.errors import Infeasible

if TYPE_CHECKING:
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.op import Op

__all__ = ["RankedBlocking", "ranked_blockings"]


@dataclass(frozen=True, slots=True)
class RankedBlocking:
    """One blocking and what it would take.

    Attributes:
        blocking: the blocking.
        cycles: of the thread that has most, without the op's fixed costs, by the closed form that chooses.
        engine_cycles: the same as the engine counts them, in whole tiles.
        dram_bytes: bytes that all threads move from memory.
        busy: stage of the thread's pipeline -> cycles that it is busy.
    """

    blocking: Blocking
    cycles: float
    engine_cycles: int
    dram_bytes: float
    busy: Mapping[str, float]

    @property
    def limit(self) -> str:
        """The busiest stage."""
        return max(self.busy, key=lambda name: self.busy[name])

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        each = self.blocking
        return {
            "kernel": each.kernel,
            "loop": each.loop,
            "cores": each.cores,
            "row_groups": each.row_groups,
            "column_tiles": each.column_tiles,
            "row_blocks": each.row_blocks,
            "passes": each.passes,
            "depth_blocks": each.depth_blocks,
            "cycles": self.cycles,
            "engine_cycles": self.engine_cycles,
            "bytes": self.dram_bytes,
            "limit": self.limit,
            "busy_cycles": dict(self.busy),
        }


def ranked_blockings(p: CpuParameters, op: Op) -> tuple[RankedBlocking, ...] | Infeasible:
    """All blockings of a product, the fastest first; the first of equals is the one that `choose` takes."""
    found = blockings(p, op)
    if isinstance(found, Infeasible):
        return found
    product, flowing = product_of(op), flowing_bytes(op)
    rows = []
    for each in found:
        works = works_of(p, product, each, flowing)
        busy: dict[str, float] = {}
        for work in works:
            for name, each_tile in work.pipe.durations.items():
                busy[name] = busy.get(name, 0.0) + each_tile * work.pipe.tiles * work.pipe.reps
        cycles = sum(closed_form_cycles(work.pipe) for work in works)
        counted = sum(engine_cycles(work.pipe) for work in works)
        rows.append(RankedBlocking(each, cycles, counted, sum(work.dram_bytes for work in works), busy))
    return tuple(sorted(rows, key=lambda row: row.cycles))
