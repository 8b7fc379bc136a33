"""`best_nest`: the mapper as commands and machines call it: both modes, and answers kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from hwsim.errors import Infeasible
from hwsim.mapping import cache
from hwsim.mapping.account import Account, account
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.nest import Nest
from hwsim.mapping.pipelined import pipelined_cycles
from hwsim.mapping.problem import Problem
from hwsim.mapping.search import (
    Certificate,
    Mapped,
    Mode,
    Objective,
    Space,
    best_of_each_family,
    find_best,
    score,
)

__all__ = ["Search", "best_nest", "cost_of", "only_nest"]


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

    In ``pipelined`` mode the nests tried are the best of every family and the front of the ``ideal`` search; the lower
    bound is the ``ideal`` optimum, which no nest's pipelined cost is below.
    """
    asked = search or Search()
    key = cache.key_of(problem, hierarchy, asked.objective, asked.space, asked.mode)
    known = _known(key, problem, hierarchy, asked)
    if known is not None:
        return known
    found = find_best(
        problem, hierarchy, asked.objective, space=asked.space, budget_s=asked.budget_s, progress=progress
    )
    if isinstance(found, Mapped) and asked.mode == "pipelined":
        found = _pipelined(problem, hierarchy, asked, found)
    if isinstance(found, Mapped) and "unsearched" not in found.certificate.pruned:
        nests = [found.nest, *(nest for nest, _ in found.front)]
        cache.store(key, nests, found.certificate)
    return found


def only_nest(problem: Problem, hierarchy: Hierarchy, nest: Nest, asked: Search) -> Mapped:
    """The answer for a machine whose dataflow has one nest for the problem: a space of one."""
    cost = cost_of(problem, hierarchy, nest, asked.mode)
    value = score(asked.objective, cost)
    certificate = Certificate("dataflow", asked.objective, True, value, 0.0, 1, 1, {}, asked.mode)
    return Mapped(nest, cost, certificate, ((nest, cost),) if asked.objective == "pareto" else ())


def _known(key: str, problem: Problem, hierarchy: Hierarchy, asked: Search) -> Mapped | None:
    """The answer kept under a key, costed anew."""
    entry = cache.fetch(key)
    if entry is None:
        return None
    rows = [(nest, cost_of(problem, hierarchy, nest, asked.mode)) for nest in entry["nests"]]
    return Mapped(*rows[0], Certificate(**entry["certificate"]), tuple(rows[1:]))


def _pipelined(problem: Problem, hierarchy: Hierarchy, asked: Search, ideal: Mapped) -> Mapped:
    """The best of the nests tried, by pipelined cycles."""
    tried = best_of_each_family(problem, hierarchy, asked.objective)
    front = find_best(problem, hierarchy, "pareto")
    tried += [(ideal.nest, ideal.cost), *ideal.front, *(front.front if isinstance(front, Mapped) else ())]
    nests = list(dict.fromkeys(nest for nest, _ in tried))
    rows = [(nest, cost_of(problem, hierarchy, nest, "pipelined")) for nest in nests]
    best = min(rows, key=lambda row: (score(asked.objective, row[1]), row[1].energy_pj, row[1].cycles))
    value, lower = score(asked.objective, best[1]), ideal.certificate.lower_bound
    gap = value / lower - 1 if lower else inf
    certificate = replace(
        ideal.certificate, mode="pipelined", optimal=value == lower, gap=gap, **_tried(ideal.certificate, len(nests))
    )
    return Mapped(*best, certificate, _front(rows) if asked.objective == "pareto" else ())


def _tried(ideal: Certificate, evaluated: int) -> dict[str, Any]:
    """What became of the space's nests in ``pipelined`` mode.

    Some are costed, some have no room; the others the ideal search set aside, and the gap is what that leaves open.
    """
    kept = {name: count for name, count in ideal.pruned.items() if name in ("capacity", "unsearched")}
    rest = max(0, ideal.represented - evaluated - sum(kept.values()))
    return {"evaluated": min(evaluated, ideal.represented), "pruned": {"ideal": rest, **kept}}


def _front(rows: Sequence[tuple[Nest, Account]]) -> tuple[tuple[Nest, Account], ...]:
    """Rows that no other beats in energy and cycles, by cycles."""
    kept: list[tuple[Nest, Account]] = []
    for row in sorted(rows, key=lambda row: (row[1].cycles, row[1].energy_pj)):
        if not kept or row[1].energy_pj < kept[-1][1].energy_pj:
            kept.append(row)
    return tuple(kept)
