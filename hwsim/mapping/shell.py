"""The search shell: best-first branch and bound over any space, and the certificate of what it leaves out.

What the members of a space are, what bounds them and what they cost is the caller's: nests of an array, blockings of a
CPU. Members are costed from the lowest bound on until no bound is below the best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf
from typing import Generic, TypeVar

from hwsim.mapping.certificate import Certificate, exhausted

__all__ = ["Searched", "Walk", "best_first", "by_bound", "search"]

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Walk(Generic[M]):
    """Where a walk over members ended.

    Attributes:
        best: the best member that was costed; None when none is below where the walk began.
        value: its cost, or where the walk began.
        lower_bound: no member costs less than this.
        costed: members that were costed.
        stopped: whether the caller ended it before its bounds did.
    """

    best: M | None
    value: float
    lower_bound: float
    costed: int
    stopped: bool


def best_first(
    members: Iterable[tuple[float, M | None]],
    cost: Callable[[M], float | None],
    below: float = inf,
    beyond: float = inf,
) -> Walk[M]:
    """Cost members, the lowest bound first, until a bound is not below the best. Of equals the first is kept.

    Args:
        members: (bound, member) in the order of their bounds; no member costs less than its bound. None for a member:
            nothing to cost yet, and all that comes is not below the bound.
        cost: what a member costs; None ends the walk before that member.
        below: only what costs less than this is of interest.
        beyond: the lowest bound of members that are not listed.
    """
    best: M | None = None
    value, costed = below, 0
    for bound, member in members:
        if bound >= value:
            return Walk(best, value, value, costed, False)
        if member is None:
            continue
        found = cost(member)
        if found is None:
            return Walk(best, value, bound, costed, True)
        costed += 1
        if found < value:
            best, value = member, found
    return Walk(best, value, min(value, beyond), costed, False)


def by_bound(
    roots: Iterable[tuple[float, M]], branch: Callable[[M], Iterable[tuple[float, M]] | None]
) -> Iterator[tuple[float, M | None]]:
    """Members in the order of their bounds, of a space given as trees; a node is opened only when its bound is next.

    Before a node is opened its bound comes with None, so that a walk may end there.

    Args:
        roots: (bound, node): no member below the node costs less. Of equal bounds the earlier node comes first.
        branch: (bound, node) of what a node splits into, or is known better as; None of a member.
    """
    waiting: list[tuple[float, tuple[int, ...], M]]
    waiting = [(bound, (place,), node) for place, (bound, node) in enumerate(roots)]
    heapify(waiting)
    while waiting:
        bound, place, node = heappop(waiting)
        yield bound, None
        parts = branch(node)
        if parts is None:
            yield bound, node
            continue
        for number, (closer, part) in enumerate(parts):
            heappush(waiting, (max(bound, closer), (*place, number), part))


@dataclass(frozen=True, slots=True)
class Searched(Generic[M]):
    """The best member of a space, what it costs, and the certificate that nothing in the space costs less."""

    best: M
    value: float
    certificate: Certificate


def search(
    space: str, objective: str, represented: int, members: Iterable[tuple[float, M | None]], cost: Callable[[M], float]
) -> Searched[M]:
    """The best of a space, proven: every member is costed, or its bound is not below the best.

    Args:
        space: its name in the certificate.
        objective: what is minimised.
        represented: members of the space.
        members: see `best_first`; at least one.
        cost: what a member costs.

    Raises:
        ValueError: an empty space.
    """
    walk = best_first(members, cost)
    if walk.best is None:
        raise ValueError(f"the space {space} has no member")
    pruned = {"bound": represented - walk.costed} if walk.costed < represented else {}
    return Searched(walk.best, walk.value, exhausted(space, objective, walk.value, represented, left_out=pruned))
