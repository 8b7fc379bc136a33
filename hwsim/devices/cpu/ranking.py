"""The blockings of a matrix product on a CPU, ranked: the best of each kernel, loop order and split of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwsim.devices.cpu.choice import best_of_each, cycles_of, search_blockings
from hwsim.errors import Infeasible

if TYPE_CHECKING:
    from hwsim.devices.cpu.blocking import Blocking
    from hwsim.devices.cpu.gemm import Planned
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.op import Op

__all__ = ["RankedBlocking", "ranked_blocking", "ranked_blockings"]


@dataclass(frozen=True, slots=True)
class RankedBlocking:
    """One blocking and what it would take.

    Attributes:
        blocking: the blocking.
        cycles: of the whole op on the engine, fixed costs included.
        dram_bytes: bytes that all threads move from memory.
        busy: stage of the thread's pipeline -> cycles that it is busy.
    """

    blocking: Blocking
    cycles: int
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
            "bytes": self.dram_bytes,
            "limit": self.limit,
            "busy_cycles": dict(self.busy),
        }


def ranked_blocking(p: CpuParameters, planned: Planned) -> RankedBlocking:
    """What a product takes under a blocking."""
    if planned.blocking is None:
        raise ValueError("a product has a blocking")
    busy: dict[str, float] = {}
    for work in planned.works:
        for name, each_tile in work.pipe.durations.items():
            busy[name] = busy.get(name, 0.0) + each_tile * work.pipe.tiles * work.pipe.reps
    moved = sum(work.dram_bytes for work in planned.works)
    return RankedBlocking(planned.blocking, cycles_of(p, planned), moved, busy)


def ranked_blockings(p: CpuParameters, op: Op) -> tuple[RankedBlocking, ...] | Infeasible:
    """The best blocking of each kernel, loop order and split of the rows, the fastest, which runs, first."""
    chosen, found = search_blockings(p, op), best_of_each(p, op)
    if isinstance(chosen, Infeasible):
        return chosen
    if isinstance(found, Infeasible):
        return found
    rows = [ranked_blocking(p, each) for each in found]
    return tuple(sorted(rows, key=lambda row: (row.cycles, row.blocking != chosen.best.blocking)))
