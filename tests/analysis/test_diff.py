"""What changed between two results."""

from __future__ import annotations

import pytest
import result_builder as build

from hwsim.analysis.diff import Change, difference


def test_causes_and_outcomes_are_told_apart() -> None:
    """A constant is a cause, a time an outcome."""
    slower = build.Constant("device.memory.bandwidth", 5e9, "bytes/s", "set", "set by the user")
    after = build.result(time_s=0.2, fitted=(), set_by_user=(slower,), inputs={"mamba.yaml": "c" * 64})
    found = difference(build.result().to_dict(), after.to_dict())
    assert [c.path for c in found.causes] == [
        "constants.fitted.device.memory.bandwidth",
        "constants.set.device.memory.bandwidth",
        "inputs.mamba.yaml",
        "inputs.board.yaml",
    ]
    assert [(c.path, c.ratio) for c in found.outcomes] == [("time_s", 2.0)]


def test_operators_are_matched_by_name_and_not_by_place() -> None:
    """Rows in another order are no change; a row that is gone is."""
    before = build.result().to_dict()
    swapped = build.result(ops=tuple(reversed(build.OPS))).to_dict()
    assert not difference(before, swapped)
    gone = build.result(ops=build.OPS[1:]).to_dict()
    (change,) = difference(before, gone).outcomes
    assert (change.path, change.after) == ("ops.in_proj", None)


def test_rows_with_the_same_name_are_told_apart_by_place() -> None:
    """Two draft passes do not hide each other."""
    before = {"passes": [{"role": "draft", "cycles": 1}, {"role": "draft", "cycles": 2}]}
    after = {"passes": [{"role": "draft", "cycles": 1}, {"role": "draft", "cycles": 3}]}
    assert [c.path for c in difference(before, after).outcomes] == ["passes.draft[1].cycles"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(2, 3, 1.5), (2.0, 1, 0.5), (0, 1, None), (True, False, None), ("a", 1, None), (None, 1, None)],
)
def test_ratio_only_where_it_says_something(before: object, after: object, expected: float | None) -> None:
    """Numbers other than zero have a ratio; nothing else has."""
    assert Change("x", before, after).ratio == expected


def test_a_result_equals_itself() -> None:
    """No difference is empty, and says so in its JSON form."""
    found = difference(build.speculative().to_dict(), build.speculative().to_dict())
    assert not found
    assert found.to_dict() == {"causes": [], "outcomes": []}


def test_constant_that_one_result_does_not_lean_on_is_an_outcome() -> None:
    """It has not changed: something else has made it idle. One that was set, or set back, was put in."""
    idle = build.Constant("device.scan.lanes", 16, "1", "assumed", "no source")
    busy = build.result().to_dict()
    found = difference(busy, build.result(assumed=(*build.result().assumed, idle)).to_dict())
    assert not found.causes
    assert [c.path for c in found.outcomes] == ["constants.assumed.device.scan.lanes"]
