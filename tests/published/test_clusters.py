"""LASP-2's rows: the sign is right, what was published of the rest stays open, and the figures follow their parts."""

from __future__ import annotations

import pytest

from hwsim.errors import HwsimError
from hwsim.published.clusters import sequence_parallel_ratio
from hwsim.published.model import find_paper
from hwsim.published.runner import predictors, run_paper

ROW = dict(find_paper("lasp-2").rows[0].predict.arguments)


def test_gathering_beats_a_chain_and_the_verdicts_say_how_far() -> None:
    """Every prediction is above one, as published; none claims more than its sign."""
    results = run_paper(find_paper("lasp-2"), predictors())
    assert all(result.prediction.value is not None and result.prediction.value > 1 for result in results)
    assert [result.verdict for result in results] == ["trend", "not reproduced", "inputs not published"]


def test_the_chain_costs_more_with_more_cards() -> None:
    """At the same tokens per card, more links of the chain are a larger loss."""
    few = sequence_parallel_ratio({**ROW, "cards": 16.0, "sequence": 16 * 32768.0}).value
    many = sequence_parallel_ratio(ROW).value
    assert few is not None
    assert many is not None
    assert 1 < few < many


def test_a_cluster_without_the_link_is_an_error_of_the_row() -> None:
    """One node has no network between nodes."""
    with pytest.raises(HwsimError, match="has no link infiniband"):
        sequence_parallel_ratio({**ROW, "device": "8x-a100-sxm-80"})
