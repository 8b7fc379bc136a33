"""What `diff` says: causes first, then what they led to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hwsim.analysis.diff import Change, Difference
from hwsim.report.table import Block, Column, Heading, Paragraph, Table, amount, number
from hwsim.units import format_si

__all__ = ["difference_blocks", "unit_of"]

_MOST: Final = 40
_SUFFIXES: Final = {"_s": "s", "_j": "J", "_hz": "Hz", "_db": "dB", "bytes": "bytes"}
"""Ends of a field's name, and the unit that they tell."""
_PREFIXED: Final = {"s": "s", "J": "J", "Hz": "Hz", "bytes": "B"}
"""Units that values of fields are printed in, and how."""
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
    rows = tuple((c.path, *_pair(c), "" if c.ratio is None else f"{c.ratio:.4g}") for c in changes[:_MOST])
    blocks: list[Block] = [Table(_COLUMNS, rows)]
    if len(changes) > _MOST:
        blocks.append(Paragraph(f"{len(changes) - _MOST} more changes; --json has them all."))
    return blocks


def _pair(change: Change) -> tuple[str, str]:
    """Both values as other tables print them; with all their digits where that would tell no difference."""
    unit = change.unit or unit_of(change.path)
    before, after = _words(change.before, unit), _words(change.after, unit)
    return (before, after) if before != after else (str(change.before), str(change.after))


def unit_of(path: str) -> str:
    """The unit that the name of a field, or of the table that it stands in, carries: ``energy_j_by.dram`` is in J."""
    *above, name = path.split(".")
    table = above[-1] if above else ""
    held = table.removesuffix("_by") if table.endswith(("_by", "bytes")) else ""
    for each in (name, held):
        for suffix, unit in _SUFFIXES.items():
            if each.endswith(suffix) and not each.endswith(f"_per{suffix}"):
                return unit
    return ""


def _words(value: Any, unit: str, most: int = 32) -> str:
    """A value in a cell."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        return _words(value.get("value", "present"), str(value.get("unit", "")))
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = str(value)
        return text if len(text) <= most else text[: most - 3] + "..."
    if unit in _PREFIXED:
        return format_si(value, _PREFIXED[unit])
    return amount(value, unit) if unit not in ("", "1") else number(value)
