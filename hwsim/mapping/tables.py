"""Cost tables of a family of nests: energy, and bytes through every port, for each word that passes a node.

The same account as `hwsim.mapping.account`, with words that pass a node as the unknowns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hwsim.kernels.loopnest import Array
from hwsim.mapping.hierarchy import Hierarchy, Level
from hwsim.mapping.lattice import Lattice
from hwsim.mapping.problem import Operand, Problem

__all__ = ["Chains", "Share", "cost_tables", "ports_of"]

Chains = tuple[tuple[int, ...], ...]
"""Per operand the indices of the levels that hold it, the outermost level left out."""

Share = tuple[int, int, int, int]
"""Reads that lanes with overlapping windows share: operand, node (-1: the multipliers), fan-outs from and up to."""


def cost_tables(
    problem: Problem, hierarchy: Hierarchy, lattice: Lattice, held: Chains, shares: Sequence[Share]
) -> tuple[Array, Array, Array]:
    """Energy (columns,), and bytes read and written at the busiest instance (levels, columns), per passing word.

    Columns: the nodes, the constant, the shares.
    """
    columns = _Columns(sum(len(chain) for chain in held), shares)
    energy = columns.constant * (problem.macs * hierarchy.mac_pj)
    peaks = np.zeros((2, len(hierarchy.levels), len(energy)))
    node = 0
    for operand, chain in zip(problem.operands, held, strict=True):
        for level, reads, writes, peak_reads, peak_writes in _moves(hierarchy, lattice, operand, chain, node, columns):
            width, part = operand.bits / 8, hierarchy.levels[level]
            energy += width * (reads * part.read_pj_per_byte + writes * part.write_pj_per_byte)
            peaks[0, level] += width * peak_reads
            peaks[1, level] += width * peak_writes
        node += len(chain)
    return energy, peaks[0], peaks[1]


@dataclass(frozen=True, slots=True)
class _Columns:
    """The unknowns that a cost is linear in: words that pass each node, 1, words of each share."""

    nodes: int
    shares: Sequence[Share]

    def _unit(self, at: int) -> Array:
        row = np.zeros(self.nodes + 1 + len(self.shares))
        row[at] = 1.0
        return row

    @property
    def constant(self) -> Array:
        """The constant."""
        return self._unit(self.nodes)

    def passing(self, node: int) -> Array:
        """Words that pass a node."""
        return self._unit(node)

    def read_above(self, node: int) -> Array:
        """Words that the level above reads for a node, as if no lanes shared them but those of a share."""
        at = [i for i, share in enumerate(self.shares) if share[1] == node]
        return self._unit(self.nodes + 1 + at[0]) if at else self._unit(node)

    def read_by_multipliers(self, operand: int) -> Array | None:
        """Words of a share of the multipliers, where there is one."""
        at = [i for i, share in enumerate(self.shares) if share[:2] == (operand, -1)]
        return self._unit(self.nodes + 1 + at[0]) if at else None


Moves = tuple[int, Array, Array, Array, Array]


def _moves(
    hierarchy: Hierarchy, lattice: Lattice, operand: Operand, chain: Sequence[int], first: int, columns: _Columns
) -> Iterator[Moves]:
    """(level, reads, writes, reads and writes at the busiest instance) of each transfer, per passing word.

    The same account as `hwsim.mapping.account`, with words that pass a node as the unknowns.
    """
    output = operand.role == "output"
    nothing = columns.constant * 0.0
    whole = columns.constant * lattice.problem.elements(operand)
    fresh, places = whole, (0, *chain)
    for node, (upper, lower) in enumerate(pairwise(places), first):
        outside, inside = hierarchy.fanouts_above(upper), hierarchy.fanouts_above(lower)
        passed, read = columns.passing(node), columns.read_above(node)
        above = read * lattice.count(operand, 0, outside, own=False)
        below = passed * lattice.count(operand, 0, inside, own=False)
        peak_above = read / lattice.count(operand, 0, outside, own=True)
        peak_below = passed / lattice.count(operand, 0, inside, own=True)
        if not output:
            yield upper, above, nothing, peak_above, nothing
            yield lower, nothing, below, nothing, peak_below
            continue
        share_above = whole / lattice.count(operand, 0, outside, own=True)
        share_below = whole / lattice.count(operand, 0, inside, own=True)
        yield upper, above - fresh, above, peak_above - share_above, peak_above
        yield lower, below, above - fresh, peak_below, peak_below - share_below
        fresh = below - above + fresh
    yield from _multiplying(hierarchy, lattice, operand, places[-1], columns, fresh)


def _multiplying(
    hierarchy: Hierarchy, lattice: Lattice, operand: Operand, level: int, columns: _Columns, fresh: Array
) -> Iterator[Moves]:
    """What the multipliers read, or add into, at an operand's innermost level."""
    outside, depth, nothing = hierarchy.fanouts_above(level), len(hierarchy.fanouts), columns.constant * 0.0
    outer = lattice.count(operand, 0, outside, own=True)
    shared = columns.read_by_multipliers(lattice.problem.operands.index(operand))
    if shared is not None:
        yield level, shared, nothing, shared / (lattice.count(operand, 0, outside, own=False) * outer), nothing
        return
    macs = columns.constant * lattice.problem.macs
    reads = macs / lattice.count(operand, outside, depth, own=False)
    peak = macs / (lattice.count(operand, 0, depth, own=False) * outer)
    if operand.role == "output":
        share = columns.constant * lattice.problem.elements(operand) / outer
        yield level, reads - fresh, reads, peak - share, peak
    else:
        yield level, reads, nothing, peak, nothing


def ports_of(levels: Sequence[Level], reads: Array, writes: Array) -> tuple[Array, Array]:
    """A row per port: a shared one takes reads and writes."""
    rows, bandwidth = [], []
    for index, level in enumerate(levels):
        if level.shared_port:
            rows.append(reads[index] + writes[index])
            bandwidth.append(level.read_bytes_per_cycle)
        else:
            rows += [reads[index], writes[index]]
            bandwidth += [level.read_bytes_per_cycle, level.write_bytes_per_cycle]
    return np.array(rows), np.array(bandwidth, np.float64)
