"""How the mapper's answers read."""

from __future__ import annotations

import pytest

from hwsim.report.mapping import nest_lines
from hwsim.report.table import Lines, plain


def test_nest_has_a_line_for_each_level_that_holds_a_tile() -> None:
    """Loops stand with the level around them, each level further in than the one before it."""
    nest = "GLB holds I | n 8 | GLB holds O | k 4 | spatial rows k 8 | wspad holds W | m 5x240"
    assert plain([Lines(nest_lines(nest))]).splitlines() == [
        "  GLB holds I: n 8",
        "    GLB holds O: k 4, spatial rows k 8",
        "      wspad holds W: m 5x240",
    ]


@pytest.mark.parametrize(
    ("nest", "first"), [("batch 4 | UB holds I", "outermost: batch 4"), ("UB holds I | wreg holds W", "UB holds I")]
)
def test_loops_outside_all_levels_and_levels_without_loops(nest: str, first: str) -> None:
    """Loops around everything are called so; a level that holds a tile with no loop inside stands alone."""
    assert nest_lines(nest, 1)[0] == (1, first)
    assert len(nest_lines(nest)) == 2
