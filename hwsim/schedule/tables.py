"""From a `Program` to the kernel's memory (its layout: `hwsim.kernels.engine_layout`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from hwsim.kernels import engine_layout as at
from hwsim.schedule.program import Block, Edge, Program

__all__ = ["Compiled", "compile_program"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program laid out for the kernel.

    Attributes:
        memory: the kernel's array, state zero, without room for slices.
        edges: the program's edges in the order of their rows.
    """

    memory: at.Array
    edges: tuple[Edge, ...]


def _spans(start: int, lengths: Iterable[int]) -> list[tuple[int, int]]:
    """Begin and end of consecutive groups of the given lengths, from address ``start`` on."""
    marks = list(accumulate(lengths, initial=start))
    return list(pairwise(marks))


def _addresses(span: tuple[int, int], words: int) -> list[int]:
    return list(range(*span, words))


def _pad(row: Sequence[int], words: int) -> list[int]:
    return [*row, *[0] * (words - len(row))]


def _service_blocks(program: Program) -> list[list[Block]]:
    """The service order of each resource, empty for an arbitrated one.

    A block that is served once becomes one block per segment, so that the end of each segment counts as a boundary.
    """
    blocks: dict[str, list[Block]] = {resource: [] for resource in program.resources}
    for stage in program.stages:
        if stage.resource not in program.arbitrated:
            blocks[stage.resource].append(Block(1, ((stage.name, stage.tiles),)))
    for order in program.orders:
        blocks[order.resource] = [part for block in order.blocks for part in _split(block)]
    return list(blocks.values())


def _split(block: Block) -> list[Block]:
    return [block] if block.times > 1 else [Block(1, (segment,)) for segment in block.segments]


def _edge_row(edge: Edge, stage_at: dict[str, int], tiles: dict[str, int]) -> list[int]:
    """The row of an edge.

    An edge with a = 0 asks every position for the same tile, so it binds at its first position and is then met.
    """
    hi = tiles[edge.consumer] if edge.hi is None else edge.hi
    if edge.a == 0:
        hi = min(hi, edge.lo + 1)
    lo_q, lo_r = divmod(edge.a * edge.lo + edge.b, edge.c)
    ends = stage_at[edge.producer], stage_at[edge.consumer]
    row = (*ends, *divmod(edge.a, edge.c), edge.c, edge.lo, hi, lo_q + 1, lo_r, tiles[edge.producer])
    return _pad(row, at.EDGE_WORDS)


def compile_program(program: Program) -> Compiled:
    """The kernel's memory for ``program``; what is asked of the run is left for the caller to set."""
    stages, order = program.stages, {stage.name: i for i, stage in enumerate(program.stages)}
    edges = tuple(sorted(program.edges, key=lambda edge: order[edge.consumer]))
    blocks = _service_blocks(program)
    flat_blocks = [block for listed in blocks for block in listed]
    members = [[order[stage.name] for stage in program.stages_on(name)] for name in program.resources]
    outgoing: list[list[int]] = [[] for _ in stages]
    incoming = [0] * len(stages)
    for e, edge in enumerate(edges):
        outgoing[order[edge.producer]].append(e)
        incoming[order[edge.consumer]] += 1

    # where each kind of row lies
    lengths = (
        len(stages) * at.STAGE_WORDS,
        len(edges) * at.EDGE_WORDS,
        len(members) * at.RESOURCE_WORDS,
        sum(len(stage.durations) for stage in stages) * at.RUN_WORDS,
        len(flat_blocks) * at.BLOCK_WORDS,
        sum(len(block.segments) for block in flat_blocks) * at.SEGMENT_WORDS,
        len(edges),
        len(stages),
    )
    spans = _spans(at.HEADER_WORDS, lengths)
    stage_span, edge_span, resource_span, run_span, block_span, segment_span, out_span, member_span = spans
    stage_rows, edge_rows = _addresses(stage_span, at.STAGE_WORDS), _addresses(edge_span, at.EDGE_WORDS)
    stage_at = {stage.name: address for stage, address in zip(stages, stage_rows, strict=True)}
    resource_at = dict(zip(program.resources, _addresses(resource_span, at.RESOURCE_WORDS), strict=True))
    tiles = {stage.name: stage.tiles for stage in stages}

    # the groups of rows and lists that belong to each stage, resource or block
    runs = _spans(run_span[0], (len(stage.durations) * at.RUN_WORDS for stage in stages))
    ins = _spans(edge_span[0], (count * at.EDGE_WORDS for count in incoming))
    outs = _spans(out_span[0], map(len, outgoing))
    member_lists = _spans(member_span[0], map(len, members))
    block_lists = _spans(block_span[0], (len(listed) * at.BLOCK_WORDS for listed in blocks))
    segments = _spans(segment_span[0], (len(block.segments) * at.SEGMENT_WORDS for block in flat_blocks))

    state_end, snapshots = resource_span[1], member_span[1]
    header = (*stage_span, *edge_span, *resource_span, state_end, snapshots + 2 * state_end, 0, program.reps)
    words = _pad(header, at.HEADER_WORDS)
    words[at.INNER + at.SNAPSHOT] = snapshots
    words[at.OUTER + at.SNAPSHOT] = snapshots + state_end
    for s, stage in enumerate(stages):
        row = (stage.tiles, resource_at[stage.resource], runs[s][0], *ins[s], *outs[s], stage.priority)
        words += _pad(row, at.STAGE_WORDS)
    for edge in edges:
        words += _edge_row(edge, stage_at, tiles)
    for r, name in enumerate(program.resources):
        words += _pad((name in program.arbitrated, *member_lists[r], *block_lists[r]), at.RESOURCE_WORDS)
    for stage in stages:
        words += [word for run in stage.durations for word in run]
    for block, span in zip(flat_blocks, segments, strict=True):
        words += (block.times, *span)
    for block in flat_blocks:
        words += [word for name, count in block.segments for word in (stage_at[name], count)]
    words += [edge_rows[e] for listed in outgoing for e in listed]
    words += [stage_rows[s] for listed in members for s in listed]
    return Compiled(np.array(words + [0] * (2 * state_end), dtype=np.int64), edges)
