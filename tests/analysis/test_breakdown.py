"""Where a step's time goes."""

from __future__ import annotations

import pytest
import result_builder as build

from hwsim.analysis.breakdown import busiest, resources_by_share, speed_up, top_operators


def test_top_operators_name_the_remainder() -> None:
    """Shown and remainder add up to the whole."""
    rows = tuple(build.op_row(f"op{i}", time_s=0.01 * i, share=0.1 * i) for i in range(1, 5))
    found = top_operators(build.result(ops=rows), most=2)
    assert [row.name for row in found.top] == ["op4", "op3"]
    assert found.others == 2
    assert found.others_time_s == pytest.approx(0.03)
    assert found.others_share + sum(row.share for row in found.top) == pytest.approx(1.0)


def test_one_operator_left_over_is_shown() -> None:
    """A remainder of one has no advantage over its name."""
    rows = tuple(build.op_row(f"op{i}") for i in range(3))
    assert top_operators(build.result(ops=rows), most=2).others == 0


def test_resources_by_share() -> None:
    """The busiest comes first; equal ones by name; a machine without resources has none."""
    found = build.result(utilization={"b": 0.5, "a": 0.5, "c": 0.9})
    assert [each.resource for each in resources_by_share(found)] == ["c", "a", "b"]
    assert busiest(build.result(utilization={})) is None


def test_speed_up_compares_like_with_like() -> None:
    """Tokens per second first, then images, then whole work."""
    assert speed_up(build.speculative(), build.result()) == pytest.approx(2.4)
    images = build.result(tokens_per_s=None, images_per_s=30.0)
    assert speed_up(images, build.result(tokens_per_s=None, images_per_s=10.0)) == pytest.approx(3.0)
    bare = build.result(tokens_per_s=None, time_s=0.2)
    assert speed_up(bare, build.result(tokens_per_s=None, time_s=0.1)) == pytest.approx(0.5)
