"""The search shell over spaces that can be listed: the least member, and what the walk says of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.mapping.shell import best_first, by_bound, search

LEAVES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), min_size=1, max_size=30)
"""Members as (bound, what the cost is above it)."""


def sizes_of(leaves: list[tuple[int, int]]) -> list[list[tuple[int, tuple[int, int]]]]:
    """Members in branches of three, each under the least bound in it."""
    return [
        [(bound, (bound, above)) for bound, above in leaves[place : place + 3]] for place in range(0, len(leaves), 3)
    ]


@given(LEAVES)
def test_the_best_is_the_least_member(leaves: list[tuple[int, int]]) -> None:
    """Branches opened by their bounds: the least cost of all members, each of which is costed at most once."""
    costed: list[tuple[int, int]] = []

    def cost(member: tuple[int, int]) -> float:
        costed.append(member)
        return sum(member)

    roots = [(min(bound for bound, _ in part), part) for part in sizes_of(leaves)]
    members = by_bound(roots, lambda node: node if isinstance(node, list) else None)
    found = search("numbers", "sum", len(leaves), members, cost)
    assert found.value == min(map(sum, leaves)) == sum(found.best)
    assert found.certificate.evaluated == len(costed)
    assert len(costed) + sum(found.certificate.pruned.values()) == len(leaves)
    assert all(bound <= found.value for bound, _ in costed)
    assert (found.certificate.optimal, found.certificate.gap) == (True, 0.0)


@given(LEAVES)
def test_members_come_by_their_bounds(leaves: list[tuple[int, int]]) -> None:
    """In order, and of equal bounds in the order in which they were given."""
    roots = [(0, part) for part in sizes_of(leaves)]
    found = list(by_bound(roots, lambda node: node if isinstance(node, list) else None))
    assert [member for _, member in found if member is not None] == sorted(leaves, key=lambda member: member[0])


def test_a_node_is_opened_only_when_its_bound_is_next() -> None:
    """A branch behind the best is never split."""
    opened: list[str] = []

    def branch(node: str) -> list[tuple[float, str]] | None:
        opened.append(node)
        return [(3.0, "leaf")] if node == "near" else None

    found = search("words", "length", 2, by_bound([(9.0, "far"), (1.0, "near")], branch), lambda _: 4.0)
    assert (found.best, found.certificate.pruned) == ("leaf", {"bound": 1})
    assert "far" not in opened


def test_a_walk_that_is_stopped_keeps_its_bound() -> None:
    """The bound is that of the member before which it ended; without an end, of members that are not listed."""
    members = [(1.0, "a"), (2.0, "b"), (4.0, "c")]
    stopped = best_first(members, {"a": 9.0, "b": None}.get)
    assert (stopped.best, stopped.lower_bound, stopped.costed, stopped.stopped) == ("a", 2.0, 1, True)
    whole = best_first(members, {"a": 9.0, "b": 8.0, "c": 7.0}.get, beyond=6.0)
    assert (whole.best, whole.value, whole.lower_bound, whole.stopped) == ("c", 7.0, 6.0, False)
    assert best_first(members, {}.get, below=0.5).best is None


def test_an_empty_space_is_a_mistake_of_the_caller() -> None:
    """What has no member has no best."""
    with pytest.raises(ValueError, match="no member"):
        search("nothing", "latency", 0, iter(()), float)
