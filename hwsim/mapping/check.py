"""Is a nest legal on a hierarchy? Every fault at once: the step, the operand, need against room, the mend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from hwsim.errors import Fault, Where, did_you_mean
from hwsim.mapping.hierarchy import Hierarchy, Level
from hwsim.mapping.nest import Hold, Nest, Spread
from hwsim.mapping.problem import Operand, Problem

__all__ = ["held_bytes", "nest_faults"]

_NEST: Final = Where("nest")


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a nest and its steps stand; without lines, steps are counted."""

    whole: Where
    steps: Sequence[Where] = ()

    def step(self, position: int) -> Where:
        return self.steps[position] if self.steps else Where(f"{self.whole}: step {position + 1}")


def nest_faults(
    problem: Problem, hierarchy: Hierarchy, nest: Nest, where: Where = _NEST, steps: Sequence[Where] = ()
) -> tuple[Fault, ...]:
    """Everything that is wrong with a nest; names first, for the rest means little without them.

    Args:
        problem: what is mapped.
        hierarchy: the machine.
        nest: the nest.
        where: where it stands.
        steps: where each of its steps stands; they are counted when it is left out.
    """
    places = _Places(where, steps)
    named = tuple(_names(problem, hierarchy, nest, places))
    if named:
        return named
    return (
        *_tiles(problem, nest, places),
        *_holding(problem, hierarchy, nest, places),
        *_order(hierarchy, nest, places),
        *_axes(problem, hierarchy, nest, places),
        *_capacity(problem, hierarchy, nest, places),
    )


def _names(problem: Problem, hierarchy: Hierarchy, nest: Nest, places: _Places) -> Iterator[Fault]:
    known = {
        "level": [level.name for level in hierarchy.levels[1:]],
        "operand": [operand.name for operand in problem.operands],
        "dimension": [dim for dim, _ in problem.dims],
        "axis": [axis.name for axis in hierarchy.axes],
    }
    for position, step in enumerate(nest.steps):
        used: tuple[tuple[str, str], ...]
        if isinstance(step, Hold):
            used = (("level", step.level), ("operand", step.operand))
        elif isinstance(step, Spread):
            used = (("axis", step.axis), ("dimension", step.dim))
        else:
            used = (("dimension", step.dim),)
        for what, name in used:
            if name not in known[what]:
                expected = f"one of {', '.join(known[what])}" if known[what] else f"no {what} at all"
                yield Fault(places.step(position), f"{what} {name!r}", expected, did_you_mean(name, known[what]))


def _tiles(problem: Problem, nest: Nest, places: _Places) -> Iterator[Fault]:
    for position, (step, tile) in enumerate(nest.tiles(problem)):
        if not isinstance(step, Hold) and not 1 <= step.tile <= tile[step.dim]:
            yield Fault(
                places.step(position),
                f"a tile of {step.tile} of dimension {step.dim}",
                f"from 1 to the {tile[step.dim]} that the loops outside leave",
            )


def _holding(problem: Problem, hierarchy: Hierarchy, nest: Nest, places: _Places) -> Iterator[Fault]:
    """Bypass: levels that may not hold an operand, that must, and chains that run outwards."""
    for position, step in enumerate(nest.steps):
        if isinstance(step, Hold):
            level, operand = hierarchy.levels[hierarchy.level_index(step.level)], problem.operand(step.operand)
            if operand.role not in level.may:
                may = ", ".join(sorted(level.may)) or "nothing"
                yield Fault(places.step(position), f"{step.level} holds {step.operand} ({operand.role})", f"{may} only")
    for name, chain in nest.holds(problem, hierarchy).items():
        levels = [level for level, _ in chain]
        for (upper, _), (lower, position) in pairwise(chain):
            if lower <= upper:
                found = f"{hierarchy.levels[lower].name} holds {name} inside {hierarchy.levels[upper].name}"
                yield Fault(places.step(position), found, "each operand's levels from the outermost inwards, each once")
        role = problem.operand(name).role
        for index, level in enumerate(hierarchy.levels[1:], 1):
            if role in level.must and index not in levels:
                yield Fault(places.whole, f"{level.name} skips {name}", f"{level.name} to hold every {role}")


def _order(hierarchy: Hierarchy, nest: Nest, places: _Places) -> Iterator[Fault]:
    """Steps and fan-outs in the order of the hierarchy: a level above a fan-out holds its tiles outside its axes."""
    reached = 0
    for position, step in enumerate(nest.steps):
        if isinstance(step, Spread):
            fanout = hierarchy.fanout_of(step.axis)
            if fanout < reached - 1:
                yield Fault(
                    places.step(position), f"axis {step.axis} inside a deeper fan-out", "axes from outermost in"
                )
            reached = max(reached, fanout + 1)
        elif isinstance(step, Hold):
            above = hierarchy.fanouts_above(hierarchy.level_index(step.level))
            if above < reached:
                yield Fault(places.step(position), f"{step.level} inside a fan-out that is below it", "it outside")
            elif above > reached and _lays(hierarchy, nest, position, above):
                yield Fault(places.step(position), f"{step.level} outside a fan-out that is above it", "it inside")


def _lays(hierarchy: Hierarchy, nest: Nest, position: int, above: int) -> bool:
    """Whether a later step uses a fan-out that should have come before ``position``."""
    later = (step for step in nest.steps[position:] if isinstance(step, Spread))
    return any(hierarchy.fanout_of(step.axis) < above for step in later)


def _axes(problem: Problem, hierarchy: Hierarchy, nest: Nest, places: _Places) -> Iterator[Fault]:
    lanes: dict[str, int] = {}
    for position, (step, tile) in enumerate(nest.tiles(problem)):
        if not isinstance(step, Spread):
            continue
        axis = hierarchy.axis(step.axis)
        lanes[axis.name] = lanes.get(axis.name, 1) * -(-tile[step.dim] // max(step.tile, 1))
        if step.dim not in axis.dims:
            carried = ", ".join(axis.dims) or "no dimension"
            yield Fault(places.step(position), f"dimension {step.dim} on axis {axis.name}", f"{carried} on it")
        for operand in axis.blockers(problem, step.dim):
            verb = "add up" if operand.role == "output" else "multicast"
            found = f"dimension {step.dim} on axis {axis.name}, which cannot {verb} {operand.name}"
            yield Fault(places.step(position), found, f"a dimension that moves {operand.name}, or such an axis")
        if lanes[axis.name] > axis.extent:
            found = f"{lanes[axis.name]} lanes on axis {axis.name}"
            yield Fault(places.step(position), found, f"at most {axis.extent}: larger tiles of {step.dim}")


def _capacity(problem: Problem, hierarchy: Hierarchy, nest: Nest, places: _Places) -> Iterator[Fault]:
    held: dict[str, list[tuple[Operand, int]]] = {}
    for hold, operand, elements in nest.held_elements(problem):
        held.setdefault(hold.level, []).append((operand, elements))
    for level in hierarchy.levels[1:]:
        tiles = [(o, held_bytes(level, o, elements)) for o, elements in held.get(level.name, [])]
        need = sum(count for _, count in tiles)
        if need > level.capacity_bytes:
            terms = " + ".join(f"{o.name} {count:,.0f}" for o, count in tiles)
            largest = max(tiles, key=lambda row: row[1])[0]
            dims = ", ".join(dim for dim, _ in problem.dims if dim in largest.dims)
            yield Fault(
                places.whole,
                f"{level.name} holds {need:,.0f} bytes ({terms})",
                f"at most {level.capacity_bytes:,.0f}: smaller tiles of {dims}, or {largest.name} not held there",
            )


def held_bytes(level: Level, operand: Operand, elements: int) -> float:
    """Bytes that a held tile takes of a level's capacity."""
    return elements * operand.bits / 8 * (2 if level.double_buffered else 1)
