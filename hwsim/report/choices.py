"""What a machine without nests chooses for each product of a model, as tables: blockings, tiles, layouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hwsim.report.blockings import blocking_blocks
from hwsim.report.mapping import dims_words
from hwsim.report.table import Block, Column, Heading, Paragraph, Table
from hwsim.report.tiles import layout_blocks, tile_blocks
from hwsim.units import format_count, format_seconds, format_si

__all__ = ["model_blocks", "op_blocks"]

_NOUNS: Final = {
    "blockings": ("blocking", "blockings evaluated", "No matrix products"),
    "menu": ("tile", "tiles and splits evaluated", "Without a tile of the menu"),
    "layouts": ("layout", "layouts evaluated", "Not in light"),
}
"""Space -> what is chosen, what was counted, and what is left out."""


def op_blocks(form: Mapping[str, Any]) -> list[Block]:
    """What is chosen for one op, with its costs, the reason, and what else there was."""
    of_space = {"blockings": blocking_blocks, "menu": tile_blocks, "layouts": layout_blocks}
    return of_space[form["space"]](form)


def model_blocks(form: Mapping[str, Any]) -> list[Block]:
    """What is chosen for each product of a model, and their sums."""
    noun, counted, outside = _NOUNS[form["space"]]
    rows = tuple(
        (
            each["name"],
            str(each["count"]),
            dims_words(each["dims"]),
            format_seconds(each["time_s"]),
            each["bound"],
            "optimal" if each["optimal"] else f"{100 * each['gap']:.2g} % above the bound",
            each["mapping"],
        )
        for each in form["results"]
    )
    heads = (
        Column("op"), Column("runs", "right"), Column("dims"), Column("time", "right"), Column("limit"),
        Column("certificate"), Column(noun),
    )  # fmt: skip
    sums = (
        ("time", format_seconds(form["time_s"])),
        ("cycles", format_count(form["cycles"])),
        ("energy", format_si(form["energy_j"], "J")),
        (counted, format_count(form["nests"]["evaluated"])),
    )
    left = ", ".join(f"{name} ({count})" for name, count in form["not_mapped"].items())
    notes: dict[str, list[str]] = {}
    for each in form["results"]:
        for note in each["notes"]:
            notes.setdefault(note, []).append(each["name"])
    return [
        Heading(f"{form['workload']} on {form['device']}"),
        Table(heads, rows),
        Table((Column("all products"), Column("how much", "right")), sums),
        *([Paragraph(f"{outside}, and in no sum: {left}.")] if left else []),
        *[Paragraph(f"{', '.join(names)}: {note}.") for note, names in notes.items()],
        Paragraph(f"{form['searched']} different products searched. The certificate covers {form['covers']}."),
    ]
