"""The ranked menu of tiles of a product on a GPU, and the layout of an op on an optical machine, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hwsim.report.table import Block, Column, Heading, Paragraph, Table, per_cent
from hwsim.units import format_count, format_seconds, format_si

__all__ = ["layout_blocks", "tile_blocks", "tile_text"]

_SHOWN: Final = 8
"""Tiles of the menu in the table; the JSON has all."""


def tile_text(tm: int, tn: int, tk: int, split: int, ctas: int) -> str:
    """A tile in one line: ``128x256x64, split 2, 264 thread blocks``."""
    return f"{tm}x{tn}x{tk}, split {split}, {ctas:,} thread blocks"


def tile_blocks(form: Mapping[str, Any]) -> list[Block]:
    """The chosen tile with its costs and reason, and the head of the menu."""
    menu, nests = form["menu"], form["nests"]
    costs = (
        ("tile", form["mapping"]),
        ("time", format_seconds(form["time_s"])),
        ("cycles", format_count(form["cycles"])),
        ("energy", format_si(form["energy_j"], "J")),
        ("limit", form["bound"]),
        ("certificate", f"the whole menu of {form['stack']} was tried"),
        ("tiles and splits represented", format_count(nests["represented"])),
        ("tiles and splits evaluated", format_count(nests["evaluated"])),
    )
    rows = tuple(
        (
            f"{each['tm']}x{each['tn']}x{each['tk']}",
            str(each["split"]),
            format_seconds(each["time_s"]),
            each["bound"],
            format_count(each["ctas"]),
            format_count(each["waves"]),
            per_cent(each["last_wave"]),
            per_cent(each["padding"]),
        )
        for each in menu[:_SHOWN]
    )
    columns = (
        Column("tile"), Column("split", "right"), Column("time", "right"), Column("limit"),
        Column("thread blocks", "right"), Column("waves", "right"), Column("last wave", "right"),
        Column("padding", "right"),
    )  # fmt: skip
    left = len(menu) - len(rows)
    return [
        Heading(f"{form['kind']} on {form['device']}"),
        Paragraph(" ".join(f"{name}={value}" for name, value in form["arguments"].items())),
        Table((Column("what"), Column("how much", "right")), costs),
        Paragraph(f"Why: {menu[0]['reason']}."),
        Heading("The menu, best first"),
        Table(columns, rows),
        *([Paragraph(f"{left} more tiles, all slower or equal.")] if left else []),
    ]


def layout_blocks(form: Mapping[str, Any]) -> list[Block]:
    """The layout of an op's frames on an optical machine, with its costs."""
    costs = (
        ("layout", form["mapping"]),
        ("time", format_seconds(form["time_s"])),
        ("energy", format_si(form["energy_j"], "J")),
        ("limit", form["bound"]),
        ("certificate", "the whole menu was tried"),
        ("layouts evaluated", format_count(form["nests"]["evaluated"])),
    )
    return [
        Heading(f"{form['kind']} on {form['device']}"),
        Paragraph(" ".join(f"{name}={value}" for name, value in form["arguments"].items())),
        Table((Column("what"), Column("how much", "right")), costs),
    ]
