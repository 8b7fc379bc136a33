"""Published rows: the catalogue's schema, and the runner, with predictors that stand in for the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hwsim.errors import HwsimError
from hwsim.published.blocks import paper_result_blocks, summary_blocks
from hwsim.published.model import Argument, Paper, find_paper
from hwsim.published.runner import PaperResult, Prediction, holds, run_paper, run_row
from hwsim.report.show import paper_blocks
from hwsim.report.table import plain
from hwsim.result import Constant

TEXT = """\
paper: example
title: An example
reference: nowhere, 2026
rows:
  - id: rate
    claim: decode on a board
    published: 10.0
    unit: tokens/s
    source: table 1
    read: paper
    expected: reproduced
    tolerance: 0.02
    why: one bandwidth was fitted to it
    predict: {by: rate, arguments: {device: board, nodes: 3, tree: [0, 1], names: [a, b], fast: true}}
  - id: headline
    claim: speed-up over a GPU
    published: 2.27
    unit: x
    source: abstract
    read: paper
    expected: inputs_not_published
    why: which GPU is not said
    predict: {by: needed}
"""

BANDWIDTH = Constant("device.memory.bandwidth", 1e10, "bytes/s", "fitted", "fitted")
POWER = Constant("device.energy.static", 3.0, "W", "assumed", "assumed", enters="energy")


def rate(arguments: Mapping[str, Argument]) -> Prediction:
    """Stands in for a simulation: a figure that depends on an argument."""
    return Prediction(10.0 + 0.05 * float(str(arguments["nodes"])), "tokens/s", "", (BANDWIDTH, POWER))


def needed(_: Mapping[str, Argument]) -> Prediction:
    """Stands in for a figure of another kind than the claim's."""
    return Prediction(3.38, "tokens/step", "tokens per step that the claim would need")


TABLE = {"rate": rate, "needed": needed}


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    """The example, read from a file."""
    return _read(tmp_path, TEXT)


def _read(folder: Path, text: str) -> Paper:
    (folder / "example.yaml").write_text(text)
    return find_paper(str(folder / "example.yaml"))


def _first(paper: Paper, **changes: object) -> PaperResult:
    return run_row("example", replace(paper.rows[0], **changes), TABLE)


def test_arguments_keep_their_types(paper: Paper) -> None:
    """Text, numbers, truth and lists reach the predictor as they were written."""
    assert paper.rows[0].predict.arguments == {
        "device": "board", "nodes": 3, "tree": (0, 1), "names": ("a", "b"), "fast": True,
    }  # fmt: skip
    assert paper.rows[0].predict.arguments["fast"] is True


def test_row_within_its_tolerance_is_reproduced(paper: Paper) -> None:
    """10.15 against 10 is 1.5 % off, which 2 % allows."""
    first, second = run_paper(paper, TABLE)
    assert first.error == pytest.approx(0.015)
    assert first.verdict == "reproduced"
    assert not first.failed
    assert second.verdict == "inputs not published"
    assert holds((first, second))


@pytest.mark.parametrize("published", [9.0, 11.0])
def test_row_outside_its_tolerance_fails_on_either_side(paper: Paper, published: float) -> None:
    """Too fast is as wrong as too slow."""
    found = _first(paper, published=published)
    assert (found.verdict, found.failed) == ("outside tolerance", True)
    assert not holds((found,))


def test_reproduced_row_without_a_figure_fails(paper: Paper) -> None:
    """No prediction, or one of another unit, reproduces nothing."""
    assert run_row("example", paper.rows[0], {"rate": lambda _: Prediction(None, "tokens/s")}).failed
    assert run_row("example", paper.rows[0], {"rate": needed}).failed


def test_other_verdicts_are_stated_and_never_fail(paper: Paper) -> None:
    """A trend is off by what it is off; the row says so and the run goes on."""
    found = _first(paper, expected="trend", tolerance=None, published=5.0)
    assert found.error == pytest.approx(1.03)
    assert (found.verdict, found.failed) == ("trend", False)


def test_no_error_between_different_quantities(paper: Paper) -> None:
    """Tokens per step are not compared with a speed-up."""
    found = run_row("example", paper.rows[1], TABLE)
    assert found.error is None
    assert found.to_dict()["predicted_unit"] == "tokens/step"


def test_unknown_predictor_is_named(paper: Paper) -> None:
    """The fault names the row and the nearest predictor."""
    with pytest.raises(HwsimError, match=r"example: rate: unknown predictor 'rate'.*did you mean 'rates'"):
        run_paper(paper, {"rates": rate})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    tolerance: 0.02\n", "", "reproduced without a tolerance; expected a tolerance, as 0.01 for 1 %"),
        ("inputs_not_published\n", "trend\n    tolerance: 0.1\n", "a tolerance with expected: trend"),
        ("id: headline", "id: rate", "expected an id that no other row has"),
        ("read: paper\n    expected: rep", "read: hearsay\n    expected: rep", "'hearsay'"),
        ("tolerance: 0.02", "tolerance: -0.02", "above 0"),
        ("inputs_not_published\n", "trend\n    fitted_to_it: true\n", "false: only reproduced has it"),
        ("published: 10.0", "published: fast", "'fast'"),
    ],
)
def test_faults_of_a_catalogue(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Each mistake is a fault with its line."""
    assert old in TEXT
    with pytest.raises(HwsimError) as caught:
        _read(tmp_path, TEXT.replace(old, new, 1))
    assert message in str(caught.value)
    assert "example.yaml:" in str(caught.value)


def test_unknown_paper_suggests_the_nearest() -> None:
    """A paper that does not ship is the user's to mend."""
    with pytest.raises(HwsimError, match="unknown paper 'nothing-like-it'"):
        find_paper("nothing-like-it")


def test_text_of_a_run_and_of_the_catalogue(paper: Paper, golden: Callable[[str, str], None]) -> None:
    """What `paper` and `show paper` print; constants of energies are left out where times are claimed."""
    text = plain(paper_result_blocks(paper, run_paper(paper, TABLE)))
    golden("paper_run.txt", text)
    assert "device.energy.static" not in text
    golden("paper_show.txt", plain(paper_blocks(paper.to_dict())))


def test_a_fitted_row_says_so(paper: Paper) -> None:
    """To reproduce the figure that a constant was fitted to is less than to predict it; a miss stays a miss."""
    fitted = replace(paper.rows[0], fitted_to_it=True)
    own = replace(paper, rows=(fitted, paper.rows[1]))
    (first, _) = run_paper(own, TABLE)
    assert (first.verdict, first.to_dict()["fitted_to_it"]) == ("reproduced", True)
    assert "reproduced (fitted to it)" in plain(paper_result_blocks(own, (first,)))
    assert "reproduced (fitted to it)" in plain(paper_blocks(own.to_dict()))
    missed = run_row("example", replace(fitted, published=5.0), TABLE)
    text = plain(paper_result_blocks(own, (missed,)))
    assert "outside tolerance" in text
    assert "fitted to it)" not in text


def test_a_derived_figure_is_marked(paper: Paper) -> None:
    """What we worked out from published inputs is no figure of the paper's."""
    derived = _first(paper, read="derived")
    text = plain(paper_result_blocks(paper, (derived,)))
    assert "10 tokens/s (derived)" in text
    assert "Derived by us: table 1." in text
    assert "(derived)" not in plain(paper_result_blocks(paper, (_first(paper),))).split("Why")[0]


def test_rows_that_lean_on_the_same_stand_together(paper: Paper) -> None:
    """Constants are listed once for the rows that share them, neighbours under one parent in braces."""
    said = Prediction(10.0, "tokens/s", "", (BANDWIDTH, replace(BANDWIDTH, path="device.memory.latency")))
    rows = tuple(run_row("example", replace(paper.rows[0], id=name), {"rate": lambda _: said}) for name in "ab")
    assert "- a, b: fitted device.memory.{bandwidth, latency}" in plain(paper_result_blocks(paper, rows))


def test_summary_counts_verdicts(paper: Paper) -> None:
    """One table of all papers, each named once, and how many rows have which verdict."""
    text = plain(summary_blocks([run_paper(paper, TABLE)]))
    assert text.count("example") == 1
    assert "2 rows: 1 reproduced, 1 inputs not published." in text
