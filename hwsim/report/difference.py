"""What `diff` says: causes first, then what they led to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hwsim.analysis.diff import Change, Difference
from hwsim.report.table import Block, Column, Heading, Paragraph, Table

__all__ = ["difference_blocks"]

_MOST: Final = 40
_COLUMNS: Final = (
    Column("what"),
    Column("before", "right"),
    Column("after", "right"),
    Column("after / before", "right"),
)


def difference_blocks(before: str, after: str, found: Difference) -> list[Block]:
    """Two tables: the inputs that differ, and the outcomes that changed."""
    title = Heading(f"From {before} to {after}")
    if not found:
        return [title, Paragraph("Nothing differs.")]
    blocks: list[Block] = [title]
    if found.causes:
        blocks += [Heading("What was asked or put in"), *_table(found.causes)]
    else:
        blocks.append(Paragraph("Nothing that was asked or put in differs."))
    if found.outcomes:
        blocks += [Heading("What came out"), *_table(_headlines_first(found.outcomes))]
    else:
        blocks.append(Paragraph("Nothing that came out differs."))
    return blocks


def _headlines_first(changes: Sequence[Change]) -> list[Change]:
    """Totals before the rows of operators and passes."""
    return sorted(changes, key=lambda change: change.path.split(".")[0] in ("ops", "passes"))


def _table(changes: Sequence[Change]) -> list[Block]:
    rows = tuple(
        (c.path, _words(c.before), _words(c.after), "" if c.ratio is None else f"{c.ratio:.4g}")
        for c in changes[:_MOST]
    )
    blocks: list[Block] = [Table(_COLUMNS, rows)]
    if len(changes) > _MOST:
        blocks.append(Paragraph(f"{len(changes) - _MOST} more changes; --json has them all."))
    return blocks


def _words(value: Any, most: int = 32) -> str:
    """A value in a cell."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        value = value.get("value", "present")
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= most else text[: most - 3] + "..."
