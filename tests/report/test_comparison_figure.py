"""The figure of `compare`: a row for each machine, the same bytes on every run."""

from __future__ import annotations

import pytest
import result_builder as build

from hwsim.analysis.compare import Entry
from hwsim.report.comparison import pair_words
from hwsim.report.comparison_figure import comparison_figure
from hwsim.report.style import figure_bytes

ENTRIES = (
    Entry("board", build.result()),
    Entry("board-spec", build.speculative(formats={"asked": {"weights": "int4"}, "used": {"weights": "int8"}})),
    Entry("small", build.INFEASIBLE),
)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_comparison_repeats_byte_for_byte(kind: str) -> None:
    """No date, no random identifier."""
    assert figure_bytes(comparison_figure("m", ENTRIES), kind) == figure_bytes(comparison_figure("m", ENTRIES), kind)


def test_every_machine_stays_with_its_figures_or_its_reason() -> None:
    """Rates and energies beside formats and decoding; the one that cannot says why."""
    left, right = comparison_figure("mamba", ENTRIES).axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["board\nint4, autoregressive", "board-spec\nint8, chain of 3", "small"]
    words = [text.get_text() for text in left.texts]
    assert words == ["10", "24", "cannot: The design does not fit the fabric"]
    assert [text.get_text() for text in right.texts] == ["400 mJ", "167 mJ"]
    assert (left.get_xlabel(), right.get_xlabel()) == ("tokens/s", "J/token")


def test_nothing_but_infeasible_machines_is_drawn() -> None:
    """The reasons stand alone."""
    left, _ = comparison_figure("mamba", ENTRIES[2:]).axes
    assert [text.get_text() for text in left.texts] == ["cannot: The design does not fit the fabric"]


def test_no_machine_is_refused_by_the_figure() -> None:
    """There is nothing to draw."""
    with pytest.raises(ValueError, match="at least one"):
        comparison_figure("mamba", ())


def test_formats_in_short() -> None:
    """Once where weights and activations agree, both where they do not."""
    assert pair_words({"weights": "int4", "activations": "int4", "state": "int8"}) == "int4"
    assert pair_words({"weights": "int4", "activations": "bf16"}) == "int4/bf16"
    assert pair_words({}) == ""
    assert pair_words({"weights": "bf16", "activations": "bf16", "experts": "mxfp4"}) == "bf16, experts mxfp4"
