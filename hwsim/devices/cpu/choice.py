"""The blocking that a matrix product runs as: the best of its space on the engine, or one that was given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from hwsim.devices.cpu.blocking import Blocking, Product, Split, Splits, blocking_of, cores_of, product_of, splits
from hwsim.devices.cpu.gemm import Planned, arithmetic_cycles, flowing_bytes, memory_bytes, slowdown, works_of
from hwsim.devices.cpu.operands import single_blocks
from hwsim.devices.cpu.pipeline import engine_cycles, least_cycles
from hwsim.errors import Infeasible
from hwsim.mapping.shell import Searched, by_bound, search

if TYPE_CHECKING:
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.op import Op

__all__ = ["best_of_each", "cycles_of", "fixed_cycles", "planned_as", "search_blockings"]


_SAFE: Final = 1 - 1e-5
"""A bound of whole durations stays below the engine's integers, which round each repetition down by up to 1e-6."""

_Node: TypeAlias = "Splits | Split | Planned"


@dataclass(frozen=True, slots=True)
class _Space:
    """The blockings of one op, as trees: what differs in column tiles only, each split, each as pipelines.

    Attributes:
        p: the machine.
        product: what is multiplied.
        flowing: bytes of activations and results.
        cores: threads at hand.
    """

    p: CpuParameters
    product: Product
    flowing: float
    cores: int

    def planned(self, split: Split) -> Planned:
        """What the op runs as under a split."""
        blocking = blocking_of(self.p, self.product, split, self.cores)
        works = works_of(self.p, self.product, blocking, self.flowing)
        return Planned(works, blocking, _setup_cycles(self.p, blocking), blocking.cores)

    def root(self, splits: Splits) -> tuple[float, _Node]:
        """Splits with what all of them take at least: the weights' way from memory, or arithmetic at turbo."""
        p, product = self.p, self.product
        rows, outer = -(-product.m // splits.row_groups), splits.loop == "rows-outer"
        tile = arithmetic_cycles(p, product, splits.kernel, outer, rows)
        memory = memory_bytes(product) / (p.dram.bandwidth.value * p.dram.share.value) * p.clock.turbo.value
        return _SAFE * max(memory, tile * product.k_tiles * min(splits.shares)), splits

    def branch(self, node: _Node) -> Iterable[tuple[float, _Node]] | None:
        """Splits that differ in column tiles, one split by its pipelines' bound, or none."""
        if isinstance(node, Planned):
            return None
        if isinstance(node, Splits):
            tile = self._tile_cycles(node)
            return [(_SAFE * tile * each.column_tiles, each) for each in node.members]
        planned = self.planned(node)
        return [(fixed_cycles(self.p, planned) + sum(least_cycles(work.pipe) for work in planned.works), planned)]

    def _tile_cycles(self, splits: Splits) -> float:
        """Cycles of a column tile in all passes, at least, whatever a thread's share: units and caches, at turbo.

        Operands cost least where a thread has most column tiles; those of single blocks may not, and those that flow
        may in a further pass: they are left out.
        """
        planned = self.planned(Split(splits.kernel, splits.loop, splits.row_groups, max(splits.shares)))
        blocking, pipe = planned.blocking, planned.works[0].pipe
        if blocking is None:
            raise ValueError("a product has a blocking")
        if single_blocks(self.p) or self.product.flows:
            return arithmetic_cycles(self.p, self.product, splits.kernel, False, blocking.rows) * blocking.k_tiles
        longest = max(pipe.cache, pipe.vector, pipe.amx) / slowdown(self.p, blocking)
        return longest * blocking.k_tiles * blocking.passes


def search_blockings(p: CpuParameters, op: Op) -> Searched[Planned] | Infeasible:
    """The blocking of a matrix product that ends first, proven: no other of `splits` ends sooner on the engine."""
    found = splits(p, op)
    return found if isinstance(found, Infeasible) else _best_of(p, op, found)


def best_of_each(p: CpuParameters, op: Op) -> tuple[Planned, ...] | Infeasible:
    """The best blocking for each kernel, loop order and number of row groups, in the order of `splits`."""
    found = splits(p, op)
    return found if isinstance(found, Infeasible) else tuple(_best_of(p, op, (each,)).best for each in found)


def _best_of(p: CpuParameters, op: Op, found: tuple[Splits, ...]) -> Searched[Planned]:
    """The best of some members of an op's space."""
    space = _space(p, op)

    def members() -> Iterator[tuple[float, Planned | None]]:
        for bound, node in by_bound(map(space.root, found), space.branch):
            yield bound, node if isinstance(node, Planned) else None  # `branch` leaves nothing else whole

    count = sum(len(each.shares) for each in found)
    return search("blockings", "latency", count, members(), lambda planned: cycles_of(p, planned))


def _space(p: CpuParameters, op: Op) -> _Space:
    cores = cores_of(p, op)
    if isinstance(cores, Infeasible):
        raise ValueError(f"{op.name} was not checked: {cores.reason}")
    return _Space(p, product_of(op), flowing_bytes(op), cores)


def planned_as(p: CpuParameters, op: Op, split: Split) -> Planned:
    """What an op runs as under a split that fits it."""
    return _space(p, op).planned(split)


def _setup_cycles(p: CpuParameters, blocking: Blocking) -> float:
    """Cycles of setting the tiles' shapes: once, or for each pair of column tiles in the release's dense kernel."""
    if p.amx is None or not blocking.kernel.startswith("amx"):
        return 0.0
    return p.amx.configure.value * (blocking.column_tiles / 2 if blocking.kernel == "amx-strided" else 1)


def fixed_cycles(p: CpuParameters, planned: Planned) -> int:
    """Cycles of an op outside its loops: the software's call, start and join of the threads, the set-up of tiles."""
    software = p.software
    seconds = software.call.value + (software.region.value if planned.threads > 1 else 0.0)
    return math.ceil(seconds * p.clock.turbo.value + planned.floor_cycles)


def cycles_of(p: CpuParameters, planned: Planned) -> int:
    """Cycles of an op on the engine, fixed ones included."""
    return fixed_cycles(p, planned) + sum(engine_cycles(work.pipe) for work in planned.works)
