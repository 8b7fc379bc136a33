"""What a `Program` must satisfy before it may run: every fault at once, none left for the engine to trip over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from hwsim.errors import Fault, HwsimError, Where, did_you_mean

if TYPE_CHECKING:
    from hwsim.schedule.program import Edge, Order, Program, Stage

__all__ = ["HEADROOM", "check_program"]

HEADROOM: Final = 1 << 60
"""Bound on every count and time of a run, so that sums and products stay inside 64 bits."""


def check_program(program: Program) -> None:
    """Raise one HwsimError that holds every fault of ``program``.

    Faults that follow from others (an edge of an unknown stage, say) are reported once, at their root.
    """
    parts: tuple[Callable[[Program], Iterator[Fault]], ...] = (_stage_faults, _edge_faults, _service_faults)
    faults = [fault for part in parts for fault in part(program)] or list(_headroom_faults(program))
    if faults:
        raise HwsimError(*faults)


def _fault(place: str, found: str, expected: str, suggestion: str | None = None) -> Fault:
    return Fault(Where(place), found, expected, suggestion)


def _whole(*values: object) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _stage_faults(program: Program) -> Iterator[Fault]:
    if not program.stages:
        yield _fault("program", "no stages", "at least one stage")
    if not _whole(program.reps) or program.reps < 1:
        yield _fault("program", f"reps = {program.reps!r}", "a whole number of at least 1")
    for name, count in Counter(stage.name for stage in program.stages).items():
        if count > 1:
            yield _fault(f"stage {name!r}", f"{count} stages of this name", "names that differ")
    for stage in program.stages:
        yield from _one_stage_faults(stage)


def _one_stage_faults(stage: Stage) -> Iterator[Fault]:
    place = f"stage {stage.name!r}"
    if not _whole(stage.tiles) or stage.tiles < 1:
        yield _fault(place, f"tiles = {stage.tiles!r}", "at least 1 (leave out a stage that has no work)")
        return
    if not all(len(run) == 2 and _whole(*run) for run in stage.durations):
        yield _fault(place, f"durations {stage.durations!r}", "pairs of whole numbers (tiles, cycles)")
        return
    for count, cycles in stage.durations:
        if count < 1 or cycles < 1:
            yield _fault(place, f"a run of {count} tiles of {cycles} cycles", "at least 1 tile and 1 cycle")
    covered = sum(count for count, _ in stage.durations)
    if covered != stage.tiles:
        yield _fault(place, f"durations of {covered} tiles", f"durations of {stage.tiles} tiles")


def _edge_faults(program: Program) -> Iterator[Fault]:
    stages = {stage.name: stage for stage in program.stages}
    for edge in program.edges:
        unknown = [name for name in (edge.producer, edge.consumer) if name not in stages]
        for name in unknown:
            yield _fault(
                f"edge {edge}", f"unknown stage {name!r}", "a stage of the program", did_you_mean(name, stages)
            )
        if not unknown:
            yield from _one_edge_faults(edge, stages[edge.producer].tiles, stages[edge.consumer].tiles)


def _one_edge_faults(edge: Edge, producer_tiles: int, consumer_tiles: int) -> Iterator[Fault]:
    place = f"edge {edge}"
    hi = consumer_tiles if edge.hi is None else edge.hi
    if not _whole(edge.a, edge.b, edge.c, edge.lo, hi):
        yield _fault(place, "a coefficient that is no whole number", "whole a, b, c, lo and hi")
        return
    if edge.a < 0 or edge.c < 1:
        yield _fault(place, f"a = {edge.a}, c = {edge.c}", "a >= 0 and c >= 1")
    elif not 0 <= edge.lo <= hi <= consumer_tiles:
        yield _fault(place, f"lo = {edge.lo}, hi = {hi}", f"0 <= lo <= hi <= {consumer_tiles}, the consumer's tiles")
    elif edge.lo < hi and (last := (edge.a * (hi - 1) + edge.b) // edge.c) >= producer_tiles:
        yield _fault(
            place, f"tile {hi - 1} waits for producer tile {last}", f"at most {producer_tiles - 1}, the producer's last"
        )


def _service_faults(program: Program) -> Iterator[Fault]:
    resources = set(program.resources)
    for order in program.orders:
        if order.resource in program.arbitrated:
            yield _fault(f"order of {order.resource!r}", "an arbitrated resource", "a statically served one")
    for name in [*(order.resource for order in program.orders), *sorted(program.arbitrated)]:
        if name not in resources:
            yield _fault(
                "program", f"unknown resource {name!r}", "a resource of a stage", did_you_mean(name, resources)
            )
    for name, count in Counter(order.resource for order in program.orders).items():
        if count > 1:
            yield _fault(f"order of {name!r}", f"{count} orders", "one order for a resource")
    for order in program.orders:
        if order.resource in resources:
            yield from _one_order_faults(
                order, {stage.name: stage.tiles for stage in program.stages_on(order.resource)}
            )


def _one_order_faults(order: Order, tiles: dict[str, int]) -> Iterator[Fault]:
    place = f"order of {order.resource!r}"
    served: Counter[str] = Counter()
    for block in order.blocks:
        if block.times < 1 or not block.segments or any(count < 1 for _, count in block.segments):
            yield _fault(place, f"{block}", "times, and the tiles of each segment, of at least 1")
            return
        for name, count in block.segments:
            served[name] += block.times * count
    for name in served.keys() - tiles.keys():
        yield _fault(place, f"unknown stage {name!r}", "a stage of that resource", did_you_mean(name, tiles))
    for name, count in tiles.items():
        if served[name] != count:
            yield _fault(place, f"{served[name]} tiles of {name!r}", f"all {count} of them, each once")


def _headroom_faults(program: Program) -> Iterator[Fault]:
    cycles = program.reps * sum(stage.cycles_per_rep for stage in program.stages)
    if max(cycles, program.tiles) >= HEADROOM:
        yield _fault("program", f"{cycles} cycles of work in {program.tiles} tiles", f"less than {HEADROOM} (64 bits)")
    tiles = {stage.name: stage.tiles for stage in program.stages}
    for edge in program.edges:
        hi = tiles[edge.consumer] if edge.hi is None else edge.hi
        if max(edge.c, edge.a * max(hi, 1) + abs(edge.b)) >= HEADROOM:
            yield _fault(f"edge {edge}", "coefficients beyond 64 bits", f"a*tiles + |b| and c below {HEADROOM}")
