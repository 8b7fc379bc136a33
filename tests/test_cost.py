"""`Cost` adds, scales, and cannot be changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost import Cost, add_counts, scale_counts

# Whole numbers are exact in floats, so that sums do not depend on their order.
amounts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 10**6).map(float))
costs = st.builds(Cost, amounts, st.integers(0, 10**6), st.integers(0, 10**6), amounts, amounts)


@given(costs, costs, costs)
def test_costs_form_a_commutative_sum(a: Cost, b: Cost, c: Cost) -> None:
    """Order and grouping do not matter, nothing adds nothing, and each breakdown adds name by name."""
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == Cost.total([a, b, c])
    assert a + Cost() == a
    names = a.bytes.keys() | b.bytes.keys()
    assert (a + b).bytes == {name: a.bytes.get(name, 0) + b.bytes.get(name, 0) for name in names}
    assert (a + b).macs == a.macs + b.macs
    assert (a + b).other_ops == a.other_ops + b.other_ops


@given(costs, st.integers(1, 50))
def test_a_multiple_is_a_repeated_sum(a: Cost, times: int) -> None:
    """Scaling by a whole number equals adding that often, from either side."""
    assert a * times == times * a == Cost.total([a] * times)


def test_total_of_nothing_is_zero() -> None:
    """The neutral element."""
    assert Cost.total([]) == Cost()
    assert Cost().busy_cycles == {}


def test_a_cost_keeps_its_own_copy() -> None:
    """What was passed in may change later; what the cost holds may not."""
    given_bytes = {"dram": 1.0}
    cost = Cost(bytes=given_bytes)
    given_bytes["dram"] = 2.0
    assert cost.bytes == {"dram": 1.0}
    with pytest.raises(TypeError):
        cost.bytes["dram"] = 3.0  # type: ignore[index]


def test_counts_keep_the_order_of_first_appearance() -> None:
    """Tables list components in one order."""
    assert list(add_counts({"b": 1, "a": 1}, {"c": 1, "a": 2}).items()) == [("b", 1), ("a", 3), ("c", 1)]
    assert scale_counts({"a": 2.0}, 0.5) == {"a": 1.0}
