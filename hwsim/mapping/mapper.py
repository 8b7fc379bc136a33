"""`best_nest`: the mapper as commands and machines call it: both modes, and answers kept on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final

from hwsim.errors import Infeasible
from hwsim.mapping import cache
from hwsim.mapping.account import Account, account
from hwsim.mapping.certificate import Certificate, exhausted
from hwsim.mapping.closing import open_nests
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.nest import Nest
from hwsim.mapping.pipelined import pipelined_cycles
from hwsim.mapping.problem import Problem
from hwsim.mapping.search import (
    Mapped,
    Mode,
    Objective,
    Space,
    best_of_each_family,
    find_best,
    score,
)
from hwsim.mapping.shell import best_first

__all__ = ["Search", "best_nest", "cost_of", "only_nest"]

_MOST_ROUNDS: Final = 500_000
"""Rounds counted to close a gap in ``pipelined`` mode: about a second. Not seconds, so that answers are the same."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked of the mapper.

    Attributes:
        objective: what to minimise.
        space: ``perfect`` or ``imperfect``.
        mode: ``ideal`` or ``pipelined`` cycles.
        budget_s: seconds after which the best so far is given.
    """

    objective: Objective = "edp"
    space: Space = "perfect"
    mode: Mode = "ideal"
    budget_s: float = inf


def cost_of(problem: Problem, hierarchy: Hierarchy, nest: Nest, mode: Mode) -> Account:
    """What a legal nest costs; in ``pipelined`` mode ``cycles`` counts fill, drain and stalls."""
    cost = account(problem, hierarchy, nest)
    if mode == "pipelined":
        return replace(cost, cycles=pipelined_cycles(problem, hierarchy, nest))
    return cost


def best_nest(
    problem: Problem,
    hierarchy: Hierarchy,
    search: Search | None = None,
    progress: Callable[[float], None] | None = None,
) -> Mapped | Infeasible:
    """The best nest of a problem on a machine, from the disk where it is known.

    In ``pipelined`` mode the best of every family and the front of the ``ideal`` search are tried, then what a bound
    of each nest leaves (`hwsim.mapping.closing`). Of a space that is too large to list, or ``imperfect``, the lower
    bound is the ``ideal`` optimum, which no nest's pipelined cost is below.
    """
    asked = search or Search()
    key = cache.key_of(problem, hierarchy, asked.objective, asked.space, asked.mode)
    known = _known(key, problem, hierarchy, asked)
    if known is not None:
        return known
    until = time.monotonic() + asked.budget_s
    found = find_best(
        problem, hierarchy, asked.objective, space=asked.space, budget_s=asked.budget_s, progress=progress
    )
    if isinstance(found, Mapped) and asked.mode == "pipelined":
        found = _pipelined(problem, hierarchy, asked, found, until)
    if isinstance(found, Mapped) and "unsearched" not in found.certificate.pruned:
        nests = [found.nest, *(nest for nest, _ in found.front)]
        cache.store(key, nests, found.certificate)
    return found


def only_nest(problem: Problem, hierarchy: Hierarchy, nest: Nest, asked: Search) -> Mapped:
    """The answer for a machine whose dataflow has one nest for the problem: a space of one."""
    cost = cost_of(problem, hierarchy, nest, asked.mode)
    value = score(asked.objective, cost)
    certificate = exhausted("dataflow", asked.objective, value, 1, mode=asked.mode)
    return Mapped(nest, cost, certificate, ((nest, cost),) if asked.objective == "pareto" else ())


def _known(key: str, problem: Problem, hierarchy: Hierarchy, asked: Search) -> Mapped | None:
    """The answer kept under a key, costed anew."""
    entry = cache.fetch(key)
    if entry is None:
        return None
    rows = [(nest, cost_of(problem, hierarchy, nest, asked.mode)) for nest in entry["nests"]]
    return Mapped(*rows[0], Certificate(**entry["certificate"]), tuple(rows[1:]))


def _pipelined(problem: Problem, hierarchy: Hierarchy, asked: Search, ideal: Mapped, until: float) -> Mapped:
    """The best of the nests costed, by pipelined cycles.

    First those that the ``ideal`` search points at. Then, where the space can be listed, the nests whose bound is
    below the best so far, the lowest first, until none is left or `_MOST_ROUNDS` are counted.
    """
    tried = best_of_each_family(problem, hierarchy, asked.objective)
    front = find_best(problem, hierarchy, "pareto")
    tried += [(ideal.nest, ideal.cost), *ideal.front, *(front.front if isinstance(front, Mapped) else ())]
    rows = {nest: cost_of(problem, hierarchy, nest, "pipelined") for nest in dict.fromkeys(nest for nest, _ in tried)}
    lower, kept = ideal.certificate.lower_bound, _room_of(ideal)
    listed = asked.space == "perfect" and asked.objective != "pareto" and "unsearched" not in kept
    if listed and lower < _least(asked.objective, rows):
        closed = _close(problem, hierarchy, asked.objective, rows, until)
        lower, kept = (max(lower, closed[0]), closed[1]) if closed else (lower, kept)
    best = min(rows.items(), key=lambda row: (score(asked.objective, row[1]), row[1].energy_pj, row[1].cycles))
    value = score(asked.objective, best[1])
    gap = value / lower - 1 if lower else inf
    certificate = replace(
        ideal.certificate, mode="pipelined", lower_bound=lower, optimal=value == lower, gap=gap,
        **_tried(ideal.certificate, len(rows), kept),
    )  # fmt: skip
    return Mapped(*best, certificate, _front(list(rows.items())) if asked.objective == "pareto" else ())


def _least(objective: Objective, rows: Mapping[Nest, Account]) -> float:
    return min(score(objective, cost) for cost in rows.values())


def _close(
    problem: Problem, hierarchy: Hierarchy, objective: Objective, rows: dict[Nest, Account], until: float
) -> tuple[float, dict[str, int]] | None:
    """Cost nests, into ``rows``, whose bound is below the best; returns the bound of all, and nests set aside.

    None when the space is too large to list, the time is up, or the listing was interrupted.
    """
    best = _least(objective, rows)
    try:
        found = open_nests(problem, hierarchy, objective, best) if time.monotonic() < until else None
    except KeyboardInterrupt:
        return None
    if found is None:
        return None
    counted, kept, late = 0.0, {"capacity": found.crowded}, False

    def cost(member: tuple[float, Nest]) -> float | None:
        nonlocal counted, late
        rounds, nest = member
        counted += 0.0 if nest in rows else rounds
        if counted > _MOST_ROUNDS:
            return None
        late = time.monotonic() >= until or not _costed(problem, hierarchy, nest, rows)
        return None if late else score(objective, rows[nest])

    listed = ((bound, (rounds, nest)) for bound, rounds, nest in found.nests)
    walk = best_first(listed, cost, best, found.beyond)
    return walk.lower_bound, {**kept, "unsearched": found.count - walk.costed} if late else kept


def _costed(problem: Problem, hierarchy: Hierarchy, nest: Nest, rows: dict[Nest, Account]) -> bool:
    """Put a nest's cost into ``rows``; false when interrupted: the best so far is then the answer."""
    try:
        if nest not in rows:
            rows[nest] = cost_of(problem, hierarchy, nest, "pipelined")
    except KeyboardInterrupt:
        return False
    return True


def _room_of(ideal: Mapped) -> dict[str, int]:
    return {name: count for name, count in ideal.certificate.pruned.items() if name in ("capacity", "unsearched")}


def _tried(ideal: Certificate, evaluated: int, kept: dict[str, int]) -> dict[str, Any]:
    """What became of the space's nests in ``pipelined`` mode.

    Some are costed, some have no room; a bound set the others aside, and the gap is what that leaves open.
    """
    rest = max(0, ideal.represented - evaluated - sum(kept.values()))
    return {"evaluated": min(evaluated, ideal.represented), "pruned": {"bound": rest, **kept}}


def _front(rows: Sequence[tuple[Nest, Account]]) -> tuple[tuple[Nest, Account], ...]:
    """Rows that no other beats in energy and cycles, by cycles."""
    kept: list[tuple[Nest, Account]] = []
    for row in sorted(rows, key=lambda row: (row[1].cycles, row[1].energy_pj)):
        if not kept or row[1].energy_pj < kept[-1][1].energy_pj:
            kept.append(row)
    return tuple(kept)
