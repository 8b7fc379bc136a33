"""The blocking of a product on a CPU, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hwsim.report.table import Block, Column, Heading, Paragraph, Table
from hwsim.units import format_count, format_seconds, format_si

__all__ = ["blocking_blocks", "blocking_text"]


_SHOWN: Final = 8
"""Blockings in the table; the JSON has all that are ranked."""


def blocking_text(blocking: Mapping[str, Any]) -> str:
    """A blocking in one line: ``avx512, columns-outer, 32 threads in 1 row group, 8 column tiles each``."""
    threads, tiles = _counted(blocking["cores"], "thread"), _counted(blocking["column_tiles"], "column tile")
    return f"{blocking['kernel']}, {blocking['loop']}, {threads} in {_row_groups(blocking)}, {tiles} each"


def _row_groups(blocking: Mapping[str, Any]) -> str:
    return _counted(blocking["row_groups"], "row group")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def blocking_blocks(form: Mapping[str, Any]) -> list[Block]:
    """The chosen blocking with its costs and reason, and the best of each other kernel, loop order and row split."""
    menu, nests = form["menu"], form["nests"]
    costs = (
        ("blocking", form["mapping"]),
        ("time", format_seconds(form["time_s"])),
        ("cycles", format_count(form["cycles"])),
        ("energy", format_si(form["energy_j"], "J")),
        ("limit", form["bound"]),
        ("certificate", f"optimal among the blockings of {form['stack']}"),
        ("blockings represented", format_count(nests["represented"])),
        ("blockings evaluated", format_count(nests["evaluated"])),
        *((f"blockings left out by a {rule}", format_count(count)) for rule, count in nests["pruned"].items()),
    )
    rows = tuple(
        (
            each["kernel"],
            each["loop"],
            str(each["row_groups"]),
            str(each["cores"]),
            format_count(each["column_tiles"]),
            format_count(each["cycles"]),
            format_si(each["bytes"], "B"),
            each["limit"],
        )
        for each in menu[:_SHOWN]
    )
    columns = (
        Column("kernel"), Column("loop"), Column("row groups", "right"), Column("threads", "right"),
        Column("column tiles", "right"), Column("cycles", "right"), Column("memory", "right"), Column("busiest stage"),
    )  # fmt: skip
    left = len(menu) - len(rows)
    return [
        Heading(f"{form['kind']} on {form['device']}"),
        Paragraph(" ".join(f"{name}={value}" for name, value in form["arguments"].items())),
        Table((Column("what"), Column("how much", "right")), costs),
        Paragraph(_why(menu)),
        *[Paragraph(note) for note in form["notes"]],
        Heading("The best of each kernel, loop order and split of the rows"),
        Table(columns, rows),
        *([Paragraph(f"{left} more, all slower or equal.")] if left else []),
    ]


def _why(menu: list[Mapping[str, Any]]) -> str:
    """What the best is limited by, and what the next kernel, loop order or split of the rows loses by."""
    best = menu[0]
    text = f"Why: its {best['limit']} stage is busiest, {format_count(best['busy_cycles'][best['limit']])} cycles"
    if len(menu) == 1:
        return f"{text}; nothing else can run it."
    after = menu[1]
    slower = after["cycles"] / best["cycles"] - 1
    lost = "equally long" if slower < 5e-4 else f"{100 * slower:.1f} % longer"
    return (
        f"{text}; the next, {after['kernel']}, {after['loop']}, in {_row_groups(after)}, "
        f"is {lost} by its {after['limit']}."
    )
