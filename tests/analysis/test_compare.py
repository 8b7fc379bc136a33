"""Several machines with one workload."""

from __future__ import annotations

import result_builder as build

from hwsim.analysis.compare import Entry, entry_dict, feasible


def test_infeasible_machines_stay_with_their_reason() -> None:
    """The JSON form names the machine and why it cannot."""
    form = entry_dict(Entry("small", build.INFEASIBLE))
    assert form["device"] == "small"
    assert form["infeasible"]["resource"] == "LUT"
    assert entry_dict(Entry("board", build.result()))["tokens_per_s"] == 10.0


def test_feasible_if_one_machine_can() -> None:
    """Only when none can, there is no answer."""
    bad, good = Entry("small", build.INFEASIBLE), Entry("board", build.result())
    assert feasible((bad, good))
    assert not feasible((bad, bad))
