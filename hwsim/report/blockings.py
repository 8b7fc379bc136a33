"""The ranked blockings of a product on a CPU, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hwsim.report.mapping import dims_words
from hwsim.report.table import Block, Column, Heading, Paragraph, Table
from hwsim.units import format_count, format_seconds, format_si

if TYPE_CHECKING:
    from hwsim.devices.cpu.ranking import RankedBlocking

__all__ = ["blocking_blocks", "blocking_text", "model_blocking_blocks"]


def blocking_text(row: RankedBlocking) -> str:
    """A blocking in one line: ``avx512, columns-outer, 32 threads in 1 row groups, 8 column tiles each``."""
    each = row.blocking
    threads = f"{each.cores} threads in {each.row_groups} row groups"
    return f"{each.kernel}, {each.loop}, {threads}, {each.column_tiles} column tiles each"


def blocking_blocks(form: Mapping[str, Any]) -> list[Block]:
    """The chosen blocking with its costs and reason, and all blockings."""
    menu, nests = form["menu"], form["nests"]
    costs = (
        ("blocking", form["mapping"]),
        ("time", format_seconds(form["time_s"])),
        ("cycles", format_count(form["cycles"])),
        ("energy", format_si(form["energy_j"], "J")),
        ("limit", form["bound"]),
        ("certificate", f"{_worth(form)} (all blockings of {form['stack']} were tried)"),
        ("blockings represented", format_count(nests["represented"])),
        ("blockings evaluated", format_count(nests["evaluated"])),
    )
    rows = tuple(
        (
            each["kernel"],
            str(each["row_groups"]),
            str(each["cores"]),
            format_count(each["column_tiles"]),
            format_count(each["row_blocks"]),
            format_count(each["cycles"]),
            format_si(each["bytes"], "B"),
            each["limit"],
        )
        for each in menu
    )
    columns = (
        Column("kernel"), Column("row groups", "right"), Column("threads", "right"), Column("column tiles", "right"),
        Column("row blocks", "right"), Column("cycles", "right"), Column("memory", "right"), Column("busiest stage"),
    )  # fmt: skip
    return [
        Heading(f"{form['kind']} on {form['device']}"),
        Paragraph(" ".join(f"{name}={value}" for name, value in form["arguments"].items())),
        Table((Column("what"), Column("how much", "right")), costs),
        Paragraph(_why(menu)),
        *[Paragraph(note) for note in form["notes"]],
        Heading("All blockings, best first (cycles of a thread's pipeline, fixed costs left out)"),
        Table(columns, rows),
    ]


def model_blocking_blocks(form: Mapping[str, Any]) -> list[Block]:
    """The blocking of each product of a model, and their sums."""
    rows = tuple(
        (
            each["name"],
            str(each["count"]),
            dims_words(each["dims"]),
            format_seconds(each["time_s"]),
            each["bound"],
            _worth(each),
            each["mapping"],
        )
        for each in form["results"]
    )
    heads = (
        Column("op"), Column("runs", "right"), Column("dims"), Column("time", "right"), Column("limit"),
        Column("certificate"), Column("blocking"),
    )  # fmt: skip
    sums = (
        ("time", format_seconds(form["time_s"])),
        ("cycles", format_count(form["cycles"])),
        ("energy", format_si(form["energy_j"], "J")),
        ("blockings evaluated", format_count(form["nests"]["evaluated"])),
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
        *([Paragraph(f"No matrix products, and in no sum: {left}.")] if left else []),
        *[Paragraph(f"{', '.join(names)}: {note}.") for note, names in notes.items()],
        Paragraph(f"{form['searched']} different products searched. The certificate covers {form['covers']}."),
    ]


def _worth(form: Mapping[str, Any]) -> str:
    """What the certificate says: software chooses by a closed form, whose ends the engine counts in whole tiles."""
    return "optimal" if form["optimal"] else f"{100 * form['gap']:.2g} % above the least"


def _why(menu: list[Mapping[str, Any]]) -> str:
    """What the best is limited by, and what the next kernel or split loses by."""
    best = menu[0]
    text = f"Why: its {best['limit']} stage is busiest, {format_count(best['busy_cycles'][best['limit']])} cycles"
    if len(menu) == 1:
        return f"{text}; nothing else can run it."
    after = menu[1]
    slower = after["cycles"] / best["cycles"] - 1
    lost = "equally long" if slower < 5e-4 else f"{100 * slower:.1f} % longer"
    return (
        f"{text}; the next, {after['kernel']} in {after['row_groups']} row groups, is {lost} by its {after['limit']}."
    )
