"""From a `Program` to the int64 tables that the kernel reads (columns: `hwsim.kernels.engine_layout`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from hwsim.kernels.engine_layout import (
    EDGE_COLUMNS,
    RESOURCE_COLUMNS,
    STAGE_COLUMNS,
    Array,
    Tables,
)
from hwsim.schedule.program import Block, Edge, Program

__all__ = ["Compiled", "compile_program"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program ready for the kernel.

    Attributes:
        tables: the kernel's arrays.
        edges: the program's edges in the kernel's order (by consumer).
        longest_cycles: the longest duration of any tile.
    """

    tables: Tables
    edges: tuple[Edge, ...]
    longest_cycles: int


def _rows(rows: Iterable[Sequence[int]], columns: int) -> Array:
    return np.array(list(rows), dtype=np.int64).reshape(-1, columns)


def _spans(counts: Iterable[int]) -> list[tuple[int, int]]:
    """Begin and end of consecutive groups of the given lengths."""
    ends = list(accumulate(counts))
    return list(zip([0, *ends], ends, strict=False))


def _single(block: Block) -> tuple[Block, ...]:
    """A block that is served once as one block per segment, so that the end of a segment counts as a boundary."""
    return (block,) if block.times > 1 else tuple(Block(1, (segment,)) for segment in block.segments)


def _blocks(program: Program) -> list[tuple[Block, ...]]:
    """The service order of each resource; empty for an arbitrated one."""
    orders = {order.resource: order.blocks for order in program.orders}
    listed: dict[str, list[Block]] = {resource: [] for resource in program.resources}
    for stage in program.stages:
        if stage.resource not in program.arbitrated:
            listed[stage.resource].append(Block(1, ((stage.name, stage.tiles),)))
    return [
        tuple(part for block in orders.get(resource, listed[resource]) for part in _single(block))
        for resource in program.resources
    ]


def _edge_row(edge: Edge, index: dict[str, int], tiles: dict[str, int]) -> tuple[int, ...]:
    """One row of the edge table.

    An edge with a = 0 asks every position for the same tile, so it binds at its first position and is then met.
    """
    hi = tiles[edge.consumer] if edge.hi is None else edge.hi
    if edge.a == 0:
        hi = min(hi, edge.lo + 1)
    lo_q, lo_r = divmod(edge.a * edge.lo + edge.b, edge.c)
    step_q, step_r = divmod(edge.a, edge.c)
    ends = index[edge.producer], index[edge.consumer]
    return (*ends, step_q, step_r, edge.c, edge.lo, hi, lo_q + 1, lo_r, tiles[edge.producer])


def compile_program(program: Program) -> Compiled:
    """The kernel's tables of ``program``."""
    index = {stage.name: i for i, stage in enumerate(program.stages)}
    tiles = {stage.name: stage.tiles for stage in program.stages}
    edges = tuple(sorted(program.edges, key=lambda edge: index[edge.consumer]))
    incoming: list[int] = [0] * len(index)
    outgoing: list[list[int]] = [[] for _ in index]
    for e, edge in enumerate(edges):
        incoming[index[edge.consumer]] += 1
        outgoing[index[edge.producer]].append(e)
    runs = _spans(len(stage.durations) for stage in program.stages)
    ins, outs = _spans(incoming), _spans(map(len, outgoing))
    resources = {name: r for r, name in enumerate(program.resources)}
    stage_rows = (
        (stage.tiles, resources[stage.resource], *runs[s], *ins[s], *outs[s], stage.priority)
        for s, stage in enumerate(program.stages)
    )
    orders, blocks, segments = _order_rows(program, index)
    members = [[index[stage.name] for stage in program.stages_on(name)] for name in resources]
    resource_rows = (
        (int(name in program.arbitrated), *orders[r], *span)
        for (name, r), span in zip(resources.items(), _spans(map(len, members)), strict=True)
    )
    tables = Tables(
        _rows(stage_rows, STAGE_COLUMNS),
        _rows((run for stage in program.stages for run in stage.durations), 2),
        _rows((_edge_row(edge, index, tiles) for edge in edges), EDGE_COLUMNS),
        np.array([e for group in outgoing for e in group], dtype=np.int64),
        _rows(resource_rows, RESOURCE_COLUMNS),
        blocks,
        segments,
        np.array([s for group in members for s in group], dtype=np.int64),
    )
    longest = max(cycles for stage in program.stages for _, cycles in stage.durations)
    return Compiled(tables, edges, longest)


def _order_rows(program: Program, index: dict[str, int]) -> tuple[list[tuple[int, int]], Array, Array]:
    """The span of blocks of each resource, the table of blocks, the table of segments."""
    orders = _blocks(program)
    blocks = [block for order in orders for block in order]
    spans = _spans(len(block.segments) for block in blocks)
    block_rows = ((block.times, *span) for block, span in zip(blocks, spans, strict=True))
    segment_rows = ((index[name], count) for block in blocks for name, count in block.segments)
    return _spans(map(len, orders)), _rows(block_rows, 3), _rows(segment_rows, 2)
