"""A greedy mapper in the style of FactorFlow, on hwsim's own account: what a search without a proof finds.

FactorFlow (ASP-DAC 2025) is on no package index, so its idea stands in: start with all factors at the outermost loops,
then move one prime factor of one dimension from a place to another as long as the energy-delay product falls, from
several starting points (every choice of what levels hold and in which order). The account is that of the proof.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from hwsim.kernels.loopnest import Array, Family
from hwsim.kernels.loopnest_cost import cost_many
from hwsim.mapping.family import build_family, chains, lane_choices
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.problem import Problem

__all__ = ["Descent", "descend"]


@dataclass(frozen=True)
class Descent:
    """What the descent found: energy-delay product, CPU seconds, nests costed."""

    edp: float
    seconds: float
    evaluations: int


def descend(problem: Problem, hierarchy: Hierarchy) -> Descent:
    """The best of a greedy descent from each family and order."""
    start, best, count = time.process_time(), float("inf"), 0
    for lanes in lane_choices(problem, hierarchy):
        for held in chains(problem, hierarchy):
            family, orders = build_family(problem, hierarchy, lanes, held)
            for order in orders:
                edp, spent = _from_outside(family, order, problem, lanes)
                best, count = min(best, edp), count + spent
    return Descent(best, time.process_time() - start, count)


def _from_outside(family: Family, order: Array, problem: Problem, lanes: object) -> tuple[float, int]:
    """Descend from tiles of one: every factor outermost, which always fits if anything does."""
    nodes, dims = len(order), len(problem.dims)
    if not nodes:
        return float("inf"), 0
    whole = (family.extents / (family.lanes_outside[0] * family.lanes_inside[0])).astype(int)
    factors = np.ones((nodes + 1, dims), int)  # of each place for loops, outermost first
    factors[0] = whole
    best, count = _price(family, order, [factors])[0], 1
    while True:
        moves = _moves(factors)
        prices = _price(family, order, moves)
        count += len(moves)
        if not len(prices) or prices.min() >= best:
            return float(best), count
        factors, best = moves[int(prices.argmin())], prices.min()


def _moves(factors: Array) -> list[Array]:
    """Every factor table that one prime factor, moved to another place, leads to."""
    found = []
    places, dims = factors.shape
    for dim in range(dims):
        for here in range(places):
            for prime in _primes(int(factors[here, dim])):
                for there in range(places):
                    if there != here:
                        moved = factors.copy()
                        moved[here, dim] //= prime
                        moved[there, dim] *= prime
                        found.append(moved)
    return found


def _primes(number: int) -> set[int]:
    found, divisor = set(), 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.add(divisor)
            number //= divisor
        divisor += 1
    return found | ({number} if number > 1 else set())


def _price(family: Family, order: Array, tables: list[Array]) -> Array:
    """Energy-delay products; infinite where a tile has no room."""
    if not tables:
        return np.empty(0)
    stack = np.stack(tables)
    inside = np.cumprod(stack[:, ::-1], axis=1)[:, ::-1]  # what each place and all inside it make
    tiles = np.empty((len(tables), len(order), stack.shape[2]))
    tiles[:, order] = inside[:, 1:] * family.lanes_inside[order]
    _, energy, cycles, fits = cost_many(family, tiles)
    return np.where(fits, energy * cycles, np.inf)
