"""The reader of pages: elisions, renewal, sums and figures."""

from __future__ import annotations

import pytest
from arithmetic import corrected, figures
from console_blocks import blocks, commands, matches, prose, renewed, replaced

PAGE = """\
# Title with 1,234 in `5,678`

```console
$ hwsim one
a 1
...
z 9

$ hwsim two
```

```yaml mine.yaml
name: mine
```
"""


def test_commands_and_what_they_print() -> None:
    """A console block is cut at its prompts; the blank line between two commands is nobody's output."""
    console, saved = blocks(PAGE)
    assert [(each.typed, each.shown) for each in commands(console)] == [
        ("hwsim one", ("a 1", "...", "z 9")),
        ("hwsim two", ()),
    ]
    assert (saved.language, saved.title, saved.lines) == ("yaml", "mine.yaml", ("name: mine",))


def test_a_block_without_end_is_refused() -> None:
    """A fence that is never closed is an error, not a silent end of the page."""
    with pytest.raises(ValueError, match="line 1 has no end"):
        list(blocks("```console\n$ hwsim"))


def test_output_before_a_command_is_refused() -> None:
    """Lines that no command printed are an error."""
    (block,) = blocks("```console\nlost\n$ hwsim\n```")
    with pytest.raises(ValueError, match="before the first command"):
        commands(block)


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        (["a", "b", "c"], True),
        (["a", "b"], False),
        (["a", "..."], True),
        (["...", "c"], True),
        (["a", "...", "c"], True),
        (["...", "b", "..."], True),
        (["...", "c", "...", "a"], False),
        (["a", "b", "...", "b", "c"], False),
        (["..."], True),
        (["b", "..."], False),
        ([], False),
    ],
)
def test_elisions_stand_for_any_lines(shown: list[str], same: bool) -> None:
    """Shown lines must be printed in order, whole, and wholly but for the elisions."""
    assert matches(shown, ["a", "b", "c"]) is same


def test_renewal_keeps_the_form() -> None:
    """Renewed lines keep the elisions and the number of lines, and follow a line by its words."""
    printed = ["head 7", "new", "row 42 x", "row two", "end 3"]
    assert renewed(["head 1", "...", "row 1 x", "...", "end 1"], printed) == [
        "head 7",
        "...",
        "row 42 x",
        "...",
        "end 3",
    ]
    assert renewed(["a", "b"], printed) == printed
    names = ["head", "x.y-1.a  5", "x.y-1.b  -6", "end"]
    assert renewed(["...", "x.y-1.b  7", "..."], names) == ["...", "x.y-1.b  -6", "..."]
    assert matches(renewed(["head 1", "..."], printed), printed)


def test_renewal_of_a_lost_line_is_refused() -> None:
    """A stretch whose first line is printed no more needs a person."""
    with pytest.raises(ValueError, match="begins like 'gone 1'"):
        renewed(["...", "gone 1", "..."], ["here 1"])


def test_a_block_is_replaced_in_place() -> None:
    """Other lines in a block leave the rest of the page as it was."""
    console, _ = blocks(PAGE)
    assert replaced(PAGE, console, ["$ hwsim"]).count("\n") == PAGE.count("\n") - 5


def test_prose_has_no_code() -> None:
    """Blocks, code spans, link targets and names that are numbers are not prose."""
    assert prose("arXiv 2502.15260, Python 3.11, 1.25 s.") == "arXiv, Python, 1.25 s."
    assert prose("see [it](a-1234.md) or `5678`\n```calc\n1 = 1\n```") == "see [it] or \n"


def test_sums() -> None:
    """Sums are exact, rounded to the decimals shown, and keep their unit."""
    assert corrected("floor(1,000 * (4 + 6/128) / 256) + 2 = 0 beats") == (
        "floor(1,000 * (4 + 6/128) / 256) + 2 = 17 beats"
    )
    assert corrected("1 / 3 = 0.00") == "1 / 3 = 0.33"
    assert corrected("2 * 1,234,567 = 1") == "2 * 1,234,567 = 2,469,134"
    assert corrected("2**3 - 1 = 0 states") == "2**3 - 1 = 7 states"
    assert corrected("cbrt(3**3 + 4**3 + 5**3) = 0.0") == "cbrt(3**3 + 4**3 + 5**3) = 6.0"


@pytest.mark.parametrize("line", ["no sum", "open('x') = 3", "a + 1 = 2"])
def test_what_is_no_sum_is_refused(line: str) -> None:
    """Nothing but numbers, operators and a few functions is evaluated."""
    with pytest.raises(ValueError, match=r"not of the form|no sum"):
        corrected(line)


def test_figures_are_numbers_that_stand_alone() -> None:
    """Names with digits, ranges in names and short numbers are no figures; commas and decimals belong to them."""
    text = "VCK190 at 138.7 ms, 2,571,632,640 MACs (7.21), 2.7B, mamba2-130m, 64, 100 %, 2.85x, Mamba-2780, 0.001"
    assert figures(text) == {"138.7", "2,571,632,640", "7.21", "2.85"}
