"""Time, energy and bytes by operator, layer kind and resource add up, with the remainder named."""

from __future__ import annotations

from typing import get_args

import pytest
import result_builder as build
from hypothesis import given
from hypothesis import strategies as st

from hwsim.analysis.breakdown import GROUPINGS, MEASURES, STATIC, Grouping, Measure, breakdown


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_parts_add_up_and_fall(measure: Measure, grouping: Grouping) -> None:
    """Parts sum to the whole, shares to one; the largest stands first, static power last."""
    found = breakdown(build.result(), measure, grouping)
    assert sum(part.amount for part in found.parts) == pytest.approx(found.total)
    assert sum(part.share for part in found.parts) == pytest.approx(1.0)
    named = [part.amount for part in found.parts if part.name != STATIC and "others" not in part.name]
    assert named == sorted(named, reverse=True)
    assert (found.parts[-1].name == STATIC) == (measure == "energy")


def test_wholes_by_hand() -> None:
    """0.1 s, the bytes of all operators, and their energy with the step's part of the static power."""
    answer = build.result(time_s=0.2)
    assert breakdown(answer, "time", "operator").total == pytest.approx(0.1)
    assert breakdown(answer, "bytes", "resource").parts[0].name == "dram"
    energy = breakdown(answer, "energy", "resource")
    assert {part.name: part.amount for part in energy.parts} == pytest.approx({"dram": 0.1, STATIC: 0.15})


@given(st.integers(1, 30), st.integers(1, 8))
def test_what_is_left_is_one_part_that_says_how_many(count: int, most: int) -> None:
    """A single one left over is named; more are counted."""
    rows = tuple(build.op_row(f"op{i}", time_s=1.0 + i) for i in range(count))
    found = breakdown(build.result(ops=rows), "time", "operator", most)
    names = [part.name for part in found.parts]
    assert names[-1] == (f"{count - most} others" if count > most + 1 else "op0")
    assert found.total == pytest.approx(sum(row.time_s for row in rows))


def test_names_of_measures_are_the_types() -> None:
    """The lists that figures run over are the ones that the types allow."""
    assert get_args(Measure) == MEASURES
    assert get_args(Grouping) == GROUPINGS
