"""`run_pass`: a graph on a device, scheduled, with time, bytes and energy booked to the ops they are spent on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hwsim.cost import add_counts, scale_counts
from hwsim.devices.base import LimitsPower
from hwsim.errors import HwsimError, Infeasible
from hwsim.schedule import Deadlock, critical_cycles, run
from hwsim.units import PICO

if TYPE_CHECKING:
    from hwsim.devices.base import Device, Lowered, PassWork
    from hwsim.schedule import Program, Stage
    from hwsim.workload.graph import Graph
    from hwsim.workload.op import Op

__all__ = ["OpOutcome", "PassOutcome", "priced_pass", "run_pass", "timed_pass", "unsupported"]


@dataclass(frozen=True, slots=True)
class OpOutcome:
    """What all runs of one operator take in a pass.

    Attributes:
        name: operator.
        kind: op kind.
        block: layer kind.
        count: runs in the pass.
        extends_cycles: resource -> cycles of it on the critical path; over all operators they add up to the pass.
        busy_cycles: resource -> cycles for which it holds it.
        bytes: memory level -> bytes moved.
        macs: multiply-accumulates of the model's arithmetic.
        energy_pj: component -> picojoules, without static power.
        stored_macs: those of ``macs`` whose weight is stored.
    """

    name: str
    kind: str
    block: str
    count: int
    extends_cycles: Mapping[str, float] = field(default_factory=dict)
    busy_cycles: Mapping[str, float] = field(default_factory=dict)
    bytes: Mapping[str, float] = field(default_factory=dict)
    macs: float = 0.0
    energy_pj: Mapping[str, float] = field(default_factory=dict)
    stored_macs: float = 0.0


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """A pass on a device.

    Attributes:
        cycles: from the first tile's start to the last one's end, programs one after the other.
        ops: what each operator takes, in graph order.
        busy_cycles: resource -> cycles.
        programs: what was scheduled, for traces.
    """

    cycles: int
    ops: tuple[OpOutcome, ...]
    busy_cycles: Mapping[str, float]
    programs: tuple[Program, ...]

    @property
    def bytes(self) -> dict[str, float]:
        """Memory level -> bytes."""
        return add_counts(*(op.bytes for op in self.ops))

    @property
    def energy_pj(self) -> dict[str, float]:
        """Component -> picojoules, without static power."""
        return add_counts(*(op.energy_pj for op in self.ops))


def unsupported(device: Device, graph: Graph) -> Infeasible | None:
    """None when the machine runs every op, else why not.

    Where it lacks several, the one with the most multiply-accumulates speaks: it says best what is missing.
    """
    refused = [(op.macs * count, bad) for op, count in graph.distinct() if (bad := device.supports(op))]
    return max(refused, key=lambda each: each[0])[1] if refused else None


def run_pass(device: Device, graph: Graph, work: PassWork) -> PassOutcome | Infeasible:
    """Lower, schedule and account for one pass.

    Raises:
        HwsimError: the programs deadlock: a buffer of the machine is too shallow for what it feeds.
    """
    bad = unsupported(device, graph)
    if bad:
        return bad
    lowered = device.lower(graph, work)
    cycles = 0
    extends: dict[str, dict[str, float]] = {}
    busy: dict[str, dict[str, float]] = {}
    moved: dict[str, dict[str, float]] = {}
    for part in lowered:
        length = _makespan(device, part.program)
        cycles += part.repeats * length
        for name, critical in _extensions(part.program, length * part.repeats).items():
            _add(extends.setdefault(name, {}), critical)
        times = part.repeats * part.program.reps
        for stage in part.program.stages:
            _add(busy.setdefault(stage.op, {}), {stage.resource: float(stage.cycles_per_rep * times)})
            _add(moved.setdefault(stage.op, {}), _moved(part, stage))
    ops = tuple(_op_outcomes(device, graph, work, extends, busy, moved))
    programs = tuple(part.program for part in lowered)
    return PassOutcome(cycles, _within_power(device, ops, cycles), add_counts(*busy.values()), programs)


def timed_pass(device: Device, graph: Graph, work: PassWork) -> PassOutcome:
    """The cycles of :func:`run_pass` without its books, of a graph whose ops the machine supports.

    Raises:
        HwsimError: the programs deadlock.
    """
    cycles = sum(part.repeats * _makespan(device, part.program) for part in device.lower(graph, work))
    return PassOutcome(cycles, (), {}, ())


def priced_pass(device: Device, graph: Graph, work: PassWork) -> tuple[int, float]:
    """Cycles and dynamic picojoules of :func:`run_pass`, of a graph whose ops the machine supports.

    Raises:
        HwsimError: the programs deadlock.
    """
    lowered = device.lower(graph, work)
    cycles = sum(part.repeats * _makespan(device, part.program) for part in lowered)
    moved: dict[str, dict[str, float]] = {}
    for part in lowered:
        for stage in part.program.stages:
            _add(moved.setdefault(stage.op, {}), _moved(part, stage))
    ops = _within_power(device, tuple(_op_outcomes(device, graph, work, {}, {}, moved)), cycles)
    return cycles, sum(sum(op.energy_pj.values()) for op in ops)


def _moved(part: Lowered, stage: Stage) -> dict[str, float]:
    """Bytes that a stage moves in all repetitions of its program."""
    return scale_counts(part.stage_bytes.get(stage.name, {}), part.repeats * part.program.reps)


def _within_power(device: Device, ops: tuple[OpOutcome, ...], cycles: int) -> tuple[OpOutcome, ...]:
    """The ops with their energies held to the machine's power limit over the pass, all in one proportion."""
    spent_pj = sum(sum(op.energy_pj.values()) for op in ops)
    if not isinstance(device, LimitsPower) or not spent_pj:
        return ops
    share = device.dynamic_limit_w() * cycles / device.clock_hz / PICO / spent_pj
    return ops if share >= 1 else tuple(replace(op, energy_pj=scale_counts(op.energy_pj, share)) for op in ops)


def _add(total: dict[str, float], part: Mapping[str, float]) -> None:
    for name, amount in part.items():
        total[name] = total.get(name, 0.0) + amount


def _makespan(device: Device, program: Program) -> int:
    schedule = run(program)
    if isinstance(schedule, Deadlock):
        raise HwsimError.at(device.name, f"a deadlock: {schedule}", "deeper buffers in the machine's file")
    return schedule.makespan_cycles


def _extensions(program: Program, makespan_cycles: int) -> dict[str, dict[str, float]]:
    """Share ``makespan_cycles`` among ops and resources as they stand on the critical path of a settled repetition."""
    on_path = critical_cycles(program)
    scale = makespan_cycles / sum(on_path.values())
    shares: dict[str, dict[str, float]] = {}
    for name, cycles in on_path.items():
        stage = program.stage(name)
        _add(shares.setdefault(stage.op, {}), {stage.resource: cycles * scale})
    return shares


def _op_outcomes(
    device: Device,
    graph: Graph,
    work: PassWork,
    extends: Mapping[str, Mapping[str, float]],
    busy: Mapping[str, Mapping[str, float]],
    moved: Mapping[str, Mapping[str, float]],
) -> Iterable[OpOutcome]:
    """One outcome for each operator name; its bytes are booked to its runs in equal parts."""
    groups: dict[str, list[tuple[Op, int, Mapping[str, float]]]] = {}
    distinct = graph.distinct()
    heads = {op.name: op for op, _ in reversed(distinct)}
    counts = {name: sum(count for op, count in distinct if op.name == name) for name in heads}
    for op, count in distinct:
        each = scale_counts(moved.get(op.name, {}), 1 / counts[op.name])
        energy = scale_counts(device.energy_pj(op, each, work), count)
        groups.setdefault(op.name, []).append((op, count, energy))
    for name, rows in groups.items():
        yield OpOutcome(
            name,
            heads[name].kind,
            heads[name].block,
            counts[name],
            extends.get(name, {}),
            busy.get(name, {}),
            moved.get(name, {}),
            float(sum(op.macs * count for op, count, _ in rows)),
            add_counts(*(energy for _, _, energy in rows)),
            sum(op.macs * count * _stored_share(op) for op, count, _ in rows),
        )


def _stored_share(op: Op) -> float:
    """Share of the multiply-accumulates whose weights are stored: the product of the operands' densities."""
    return math.prod(operand.density for operand in op.operands)
