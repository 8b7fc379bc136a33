"""`pipelined` cycles of a nest: fill, drain, loads of stationary tiles and edge tiles, as the engine counts them.

A round is one visit of the innermost held tile. Work of a round, on its resources:

* IN: words of the tiles that are new come in, on the ports of both levels at once (cut-through).
* LOAD: a systolic array's stationary weights enter its shadow registers, ``side`` cycles.
* PEs and STREAM: the PEs run, while their operands pass the ports of the levels that hold them innermost.
* SHIFT: a systolic array's finished outputs leave through shadow registers, ``side`` cycles.
* WAVE: at the end of the nest, the last sum crosses the array.
* OUT: output tiles that are replaced next, or at the end, go up.

Within a round each waits for the one before. The PEs and STREAM wait for those of the round before, lockstep. IN on a
port waits for OUT of the round before, or of two rounds before where every level that it fills is double-buffered;
there a port serves IN of the next round before STREAM and OUT of this one. LOAD waits for the PEs two rounds before,
the PEs for SHIFT two rounds before: one set of shadow registers. `program_of` says this to the engine,
`hwsim.kernels.loopnest_walk` computes the same integers directly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hwsim.kernels.loopnest_rounds import IN, OUT, STREAM, Rounds, round_durations
from hwsim.kernels.loopnest_walk import pipelined_cycles as cycles_of_rounds
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.nest import Hold, Nest, Spread
from hwsim.mapping.problem import Problem
from hwsim.mapping.windows import shared_windows
from hwsim.timing.linear import systolic_wave_cycles

if TYPE_CHECKING:
    from hwsim.kernels.loopnest import Array
    from hwsim.schedule import Program

__all__ = ["pipelined_cycles", "program_of", "rounds_of"]


def pipelined_cycles(problem: Problem, hierarchy: Hierarchy, nest: Nest) -> int:
    """Cycles of a legal nest with fill, drain and stalls; never below its ``ideal`` cycles."""
    return int(cycles_of_rounds(rounds_of(problem, hierarchy, nest), True)[0])


def rounds_of(problem: Problem, hierarchy: Hierarchy, nest: Nest) -> Rounds:
    """The tables of a nest."""
    dims = [dim for dim, _ in problem.dims]
    rows = [(step, tile) for step, tile in nest.tiles(problem) if not isinstance(step, Hold)]
    place, cut = _places(nest)
    lanes = [-(-tile[s.dim] // s.tile) if isinstance(s, Spread) else 0 for s, tile in rows]
    outside = np.cumsum([0, *(count == 0 for count in lanes)])
    side = hierarchy.side if hierarchy.systolic else 0
    bandwidth, reads, writes = _ports(hierarchy)
    names = [operand.name for operand in problem.operands]
    return Rounds(
        extents=np.array([extent for _, extent in problem.dims], np.int64),
        step_dim=np.array([dims.index(step.dim) for step, _ in rows], np.int64),
        step_tile=np.array([step.tile for step, _ in rows], np.int64),
        step_lanes=np.array(lanes, np.int64),
        outside=outside.astype(np.int64),
        trips=np.ones(max(1, int(outside[-1])), np.int64),
        pieces=np.zeros((2, 2 * 2 ** sum(count > 0 for count in lanes) * (len(rows) + 2))),
        cut=cut,
        moves=_moves(problem, hierarchy, nest, place, len(rows)),
        shared=_shared(problem, hierarchy, nest),
        operand_axes=_axes(problem, dims),
        own=np.array([[dim in operand.dims for dim in dims] for operand in problem.operands]),
        output=names.index(problem.output.name),
        bytes_per_word=np.array([operand.bits / 8 for operand in problem.operands]),
        read_port=reads,
        write_port=writes,
        bandwidth=bandwidth,
        depth=_depths(problem, hierarchy, nest, reads, writes),
        macs_per_cycle=hierarchy.macs_per_cycle,
        load=side if hierarchy.systolic == "weight" else 0,
        shift=side if hierarchy.systolic == "output" else 0,
        wave=systolic_wave_cycles(side) if side else 0,
    )


def _places(nest: Nest) -> tuple[dict[int, int], int]:
    """Position of each hold among the loops and lanes, and of the innermost one."""
    place, count = {}, 0
    for position, step in enumerate(nest.steps):
        place[position] = count
        count += not isinstance(step, Hold)
    holds = [place[position] for position, step in enumerate(nest.steps) if isinstance(step, Hold)]
    return place, max(holds, default=0)


def _ports(hierarchy: Hierarchy) -> tuple[Array, Array, Array]:
    """Bandwidth of each port, and the ports of each level's reads and writes."""
    bandwidth: list[float] = []
    reads, writes = [], []
    for level in hierarchy.levels:
        reads.append(len(bandwidth))
        bandwidth.append(level.read_bytes_per_cycle)
        if not level.shared_port:
            bandwidth.append(level.write_bytes_per_cycle)
        writes.append(len(bandwidth) - 1)
    return np.array(bandwidth, np.float64), np.array(reads, np.int64), np.array(writes, np.int64)


def _moves(problem: Problem, hierarchy: Hierarchy, nest: Nest, place: dict[int, int], steps: int) -> Array:
    """Transfers of every operand: between its levels, and from the innermost to the multipliers."""
    first = [_first_below(hierarchy, nest, place, level, steps) for level in range(len(hierarchy.levels))]
    chains = nest.holds(problem, hierarchy)
    rows = []
    for index, operand in enumerate(problem.operands):
        chain = chains[operand.name]
        rows += [(index, upper, lower, place[at], first[upper]) for (upper, _), (lower, at) in pairwise(chain)]
        rows.append((index, chain[-1][0], -1, steps, first[chain[-1][0]]))
    return np.array(rows, np.int64)


def _shared(problem: Problem, hierarchy: Hierarchy, nest: Nest) -> Array:
    """Words that lanes with overlapping windows need together, and apart, for each row of the transfers."""
    chains, depth = nest.holds(problem, hierarchy), len(hierarchy.fanouts)
    rows = []
    for operand in problem.operands:
        chain = chains[operand.name]
        above = [hierarchy.fanouts_above(level) for level, _ in chain]
        for index in range(1, len(chain)):
            between = range(above[index - 1], above[index])
            rows.append(shared_windows(problem, hierarchy, nest, operand, chain[index][1], between))
        rows.append(shared_windows(problem, hierarchy, nest, operand, None, range(above[-1], depth)))
    return np.array(rows, np.float64)


def _first_below(hierarchy: Hierarchy, nest: Nest, place: dict[int, int], level: int, steps: int) -> int:
    """The first loop or lane that lies below the fan-outs of a level: lanes from there on share its instance."""
    above = hierarchy.fanouts_above(level)
    inside = [
        place[position]
        for position, step in enumerate(nest.steps)
        if isinstance(step, Spread) and hierarchy.fanout_of(step.axis) >= above
    ]
    return min(inside, default=steps)


def _axes(problem: Problem, dims: list[str]) -> Array:
    """Data axes as (operands, axes, terms, 2): dimension or -1, and stride."""
    widest = max(len(operand.axes) for operand in problem.operands)
    longest = max(len(axis) for operand in problem.operands for axis in operand.axes)
    table = np.full((len(problem.operands), widest, longest, 2), -1, np.int64)
    for o, operand in enumerate(problem.operands):
        for a, axis in enumerate(operand.axes):
            for t, (dim, stride) in enumerate(axis):
                table[o, a, t] = dims.index(dim), stride
    return table


def _depths(problem: Problem, hierarchy: Hierarchy, nest: Nest, reads: Array, writes: Array) -> Array:
    """Two rounds where every level that a port fills is double-buffered, else one."""
    filled: dict[int, list[bool]] = {}
    for chain in nest.holds(problem, hierarchy).values():
        for (upper, _), (lower, _) in pairwise(chain):
            doubled = hierarchy.levels[lower].double_buffered
            for port in (int(reads[upper]), int(writes[lower])):
                filled.setdefault(port, []).append(doubled)
    return np.array([2 if all(filled.get(port, [False])) else 1 for port in range(int(writes[-1]) + 1)], np.int64)


def program_of(problem: Problem, hierarchy: Hierarchy, nest: Nest, rounds: int = 512) -> Program:
    """The nest as a program for the engine, a stage for each piece of work of each round.

    Args:
        problem: what is mapped.
        hierarchy: the machine.
        nest: a legal nest.
        rounds: most rounds to write down.
    """
    tables = rounds_of(problem, hierarchy, nest)
    rows, busy = round_durations(tables, rounds)
    return _Writer(tables, rows, busy).program()


class _Writer:
    """Writes the rounds down: stages in the order in which their resources serve them, and what each waits for."""

    def __init__(self, tables: Rounds, rows: Array, busy: Array) -> None:
        from hwsim.schedule import Edge, Program, Stage  # noqa: PLC0415 - brings in the engine, which `check` never needs

        self._stage, self._edge, self._program = Stage, Edge, Program
        self.t, self.rows, self.busy = tables, rows, busy
        self.stages: list[Stage] = []
        self.edges: list[Edge] = []
        self.outs: dict[int, set[str]] = {}
        self.runs: dict[int, set[str]] = {}
        self.streams: dict[int, set[str]] = {}
        self.shifts: dict[int, set[str]] = {}

    def add(self, what: str, at: int, resource: str, cycles: float, waits: set[str]) -> set[str]:
        """A stage of one tile, unless it has nothing to do; returns what to wait for to have it done."""
        if cycles <= 0:
            return set()
        name = f"{what}.{at}"
        self.stages.append(self._stage.uniform(name, resource, 1, int(cycles)))
        self.edges += [self._edge(other, name, 0, 0) for other in sorted(waits)]
        return {name}

    def program(self) -> Program:
        """All rounds."""
        ahead = self.bring_in(0, 2)
        for at in range(len(self.busy)):
            ready = ahead | self.bring_in(at, 1)
            ahead = self.bring_in(at + 1, 2)
            self.run(at, ready)
        return self._program(tuple(self.stages), tuple(self.edges))

    def bring_in(self, at: int, depth: int) -> set[str]:
        """IN of a round on the ports of one depth."""
        if at >= len(self.busy):
            return set()
        done: set[str] = set()
        room = self.outs.get(at - depth, set())
        for port in range(len(self.t.depth)):
            if self.t.depth[port] == depth:
                done |= self.add(f"in{port}", at, f"port{port}", self.rows[at, IN, port], room)
        return done

    def run(self, at: int, ready: set[str]) -> None:
        """LOAD, PEs and STREAM, SHIFT, WAVE and OUT of a round."""
        t, ports = self.t, range(len(self.t.depth))
        before = self.runs.get(at - 1, set())
        streamed: set[str] = set()
        for port in ports:
            streamed |= self.add(f"stream{port}", at, f"port{port}", self.rows[at, STREAM, port], ready | before)
        if t.load:
            ready = self.add("load", at, "load", t.load, ready | self.runs.get(at - 2, set()))
        waits = ready | before | self.streams.get(at - 1, set()) | self.shifts.get(at - 2, set())
        ran = self.add("run", at, "pes", self.busy[at], waits)
        shifted = self.add("shift", at, "shift", t.shift, ran)
        done = ran | streamed | shifted
        if at == len(self.busy) - 1:
            done |= self.add("wave", at, "wave", t.wave, done)
        out = set(done)
        for port in ports:
            out |= self.add(f"out{port}", at, f"port{port}", self.rows[at, OUT, port], done)
        self.runs[at], self.streams[at], self.shifts[at], self.outs[at] = ran, streamed, shifted, out
