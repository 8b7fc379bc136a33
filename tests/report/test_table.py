"""Text and tables as values, and their plain form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.report.table import (
    Bullets,
    Column,
    Heading,
    Lines,
    Paragraph,
    Table,
    amount,
    folded,
    number,
    per_cent,
    plain,
    printable,
    ratio,
)


def test_plain_form_of_every_block() -> None:
    """Headings are set apart, numbers stand right, empty columns are left out."""
    table = Table(
        (Column("name"), Column("n", "right"), Column("none")),
        (("a", "1", ""), ("longer", "22", "")),
    )
    text = plain([Heading("First"), Paragraph("A sentence."), Heading("Second"), table, Bullets(("x", "y"))])
    assert text == (
        "First\nA sentence.\n\nSecond\n"
        "  name     n\n  ------  --\n  a        1\n  longer  22\n"
        "  - x\n  - y\n"
    )  # fmt: skip


def test_wide_left_column_is_wrapped_and_numbers_are_not() -> None:
    """A long text gives way; the numbers beside it stay whole."""
    table = Table((Column("n", "right"), Column("text")), (("1,234,567", "word " * 60),))
    lines = plain([table]).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[2].startswith("  1,234,567  word")
    assert all(line.startswith("             word") for line in lines[3:])


def test_row_of_wrong_length_is_refused() -> None:
    """A table is rectangular."""
    with pytest.raises(ValueError, match="a row of 1 cells under 2 columns"):
        Table((Column("a"), Column("b")), (("x",),))


def test_no_blocks_no_text() -> None:
    """Nothing to say prints nothing."""
    assert plain([]) == ""
    assert plain([Table((Column("a"),), ())]) == ""


def test_control_characters_are_shown_as_question_marks() -> None:
    """A name from a file cannot move the cursor or fake a line."""
    assert printable("a\x1b[31mb\nc\td\u202e") == "a?[31mb c d?"


@given(st.lists(st.text(max_size=200), min_size=1, max_size=6), st.integers(20, 120))
def test_plain_never_exceeds_the_width_where_words_allow(cells: list[str], width: int) -> None:
    """Any text at all is printable, on lines that fit."""
    text = plain([Paragraph(" ".join(cells)), Bullets(tuple(cells))], width)
    assert all(len(line) <= width for line in text.splitlines())
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (0.0, "0"),
        (7.2073, "7.207"),
        (12345.6, "12,346"),
        (0.000123456, "0.0001235"),
        (1000.0, "1,000"),
        (899840, "899,840"),
        (float("inf"), "inf"),
    ],
)
def test_number(value: float | None, expected: str) -> None:
    """Four significant digits, thousands apart, nothing for None."""
    assert number(value) == expected


def test_amount() -> None:
    """Rates and clocks with a prefix, ratios with an x, pure numbers bare."""
    shown = [amount(*each) for each in ((10.05e9, "bytes/s"), (4e8, "Hz"), (2.85, "x"), (0.785, "1"), (0.3, "pJ"))]
    assert shown == ["10.05 GB/s", "400 MHz", "2.85x", "0.785", "0.3 pJ"]


def test_per_cent_and_ratio() -> None:
    """A small share is not shown as none."""
    assert [per_cent(share) for share in (0.0, 0.0001, 0.0005, 0.971, 1.0)] == [
        "0.0 %", "<0.1 %", "0.1 %", "97.1 %", "100.0 %",
    ]  # fmt: skip
    assert [ratio(value) for value in (1.0, 2.8456, 999.7, 1234.5)] == ["1x", "2.85x", "1,000x", "1,234x"]


def test_paths_under_one_parent_are_folded() -> None:
    """Neighbours under one parent share it; the order stays, and a path without a parent is left alone."""
    assert folded(["a.b.c", "a.b.d", "a.e", "f"]) == "a.b.{c, d}, a.e, f"
    assert folded([]) == ""


def test_a_dotted_name_that_is_too_long_goes_on_behind_a_dot() -> None:
    """A path of a constant is not broken within its words."""
    name = "device.stacks.trtllm-1.attention.narrow_window_step_of_a_long_name"
    table = Table((Column("constant"), Column("why")), ((name, "so " * 40),))
    lines = plain([table]).splitlines()
    assert any(line.split()[0] == "device.stacks.trtllm-1.attention." for line in lines[2:3])
    assert any(line.split()[0] == "narrow_window_step_of_a_long_name" for line in lines[3:4])


def test_lines_keep_their_indentation_when_they_wrap() -> None:
    """A line that is too long goes on further in than it began; its text is made printable."""
    text = plain([Lines(((0, "one"), (1, "two \x1b three four")))], width=14)
    assert text == "  one\n    two ?\n        three\n        four\n"
