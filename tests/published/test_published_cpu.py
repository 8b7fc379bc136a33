"""What is published of CPUs: verdicts, orders, and what rows say of themselves."""

from __future__ import annotations

import pytest

from hwsim.errors import HwsimError
from hwsim.published.model import find_paper
from hwsim.published.runner import holds, predictors, run_paper, run_row


def results(name):
    """Rows of a paper by id."""
    return {each.row.id: each for each in run_paper(find_paper(name), predictors())}


@pytest.mark.parametrize("name", ["sparamx", "deca", "aum", "cpu-decode", "zen4-decompress"])
def test_rows_marked_reproduced_hold(name: str) -> None:
    """Each is within its tolerance."""
    assert holds(tuple(results(name).values()))


def test_the_gap_of_sparamx_is_one_fitted_constant() -> None:
    """Bytes alone give more than the claim; with the call's time it is met, said to be fitted; predictions rise."""
    rows = results("sparamx")
    assert rows["ideal-50"].prediction.value > 1.6
    assert rows["end-to-end-50"].row.fitted_to_it
    speeds = [rows[f"predicted-{s}"].prediction.value for s in (30, 70, 90)]
    assert speeds == sorted(speeds)
    assert all(rows[f"predicted-{s}"].error is None for s in (30, 70, 90))
    assert any(".call" in c.path and c.kind == "fitted" for c in rows["end-to-end-50"].prediction.constants)


def test_stall_shares_stand_in_the_published_order() -> None:
    """Tile units are busier in prefill, memory in decode (AUM, table II)."""
    rows = {name: each.prediction.value for name, each in results("aum").items()}
    assert rows["amx-busy-prefill"] > rows["amx-busy-decode"]
    assert rows["memory-decode"] > rows["memory-prefill"]


def test_held_out_sparsities_are_within_a_tenth() -> None:
    """Of the rows from memory that the fit did not see, all but one."""
    held = [
        each
        for name, each in results("zen4-decompress").items()
        if name.startswith("memory-") and "held out" in each.row.why
    ]
    assert len(held) == 6
    assert sum(abs(each.error) <= 0.1 for each in held) >= 5


def test_a_row_about_a_gpu_is_refused() -> None:
    """The predictors are of CPUs."""
    row = find_paper("deca").rows[0]
    wrong = type(row.predict)("region", {**row.predict.arguments, "device": "h100-sxm"})
    from dataclasses import replace

    with pytest.raises(HwsimError, match="cpu family"):
        run_row("deca", replace(row, predict=wrong), predictors())
