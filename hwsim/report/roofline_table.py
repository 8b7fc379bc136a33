"""A roofline's numbers as a table; needs no matplotlib."""

from __future__ import annotations

from typing import Final

from hwsim.analysis.roofline import Counting, Point, Roofline
from hwsim.report.table import Block, Bullets, Column, Heading, Paragraph, Table, number, per_cent
from hwsim.units import format_rate, format_si

__all__ = ["roofline_blocks"]

_NOMINAL: Final = (
    "Roofs are nominal. A memory's is the lesser of what the memory gives and what its port takes; efficiency is not "
    "in it."
)
_SPARSE: Final[dict[Counting, str]] = {
    "performed": "Sparse work is counted as performed: multiplications with a stored weight.",
    "dense-equivalent": "Sparse work is counted as its dense equivalent: what is skipped counts, and may pass a roof.",
}


def roofline_blocks(drawn: Roofline) -> list[Block]:
    """Roofs, ridge points, and a row per operator."""
    slopes = [f"{level}: {format_rate(rate)}" for level, rate in drawn.bytes_per_s.items()]
    flats = [f"{names}: {format_si(rate, 'op/s')}" for names, rate in drawn.flat_roofs]
    ridges = [
        f"ridge of {level} and {names}: {number(rate / bandwidth)} operations per byte"
        for level, bandwidth in drawn.bytes_per_s.items()
        for names, rate in drawn.flat_roofs
    ]
    columns = (
        Column("operator"),
        Column("operations", "right"),
        Column(f"bytes ({drawn.level})", "right"),
        Column("op/byte", "right"),
        Column("reaches", "right"),
        Column("roof", "right"),
        Column("of roof", "right"),
        Column("share", "right"),
    )
    rows = tuple(_row(drawn, point) for point in (*drawn.points, drawn.step))
    blocks: list[Block] = [
        Heading(f"{drawn.workload} on {drawn.device}, {drawn.phase}: operators under the roofs"),
        Paragraph(_NOMINAL),
        *([Paragraph(_SPARSE[drawn.counting])] if drawn.is_sparse else []),
        Bullets(tuple(slopes + flats + ridges)),
        Table(columns, rows),
    ]
    if drawn.without_ops:
        blocks.append(Paragraph("Without multiply-accumulates, so not placed: " + ", ".join(drawn.without_ops) + "."))
    if drawn.on_host:
        blocks.append(Paragraph("Done by the host, whose roofs these are not: " + ", ".join(drawn.on_host) + "."))
    return blocks


def _row(drawn: Roofline, point: Point) -> tuple[str, ...]:
    """One operator."""
    roof = drawn.attainable_ops_per_s(point)
    return (
        "whole step" if point is drawn.step else point.name,
        format_si(point.ops, ""),
        format_si(point.bytes, "B"),
        number(point.ops_per_byte),
        format_si(point.ops_per_s, "op/s"),
        format_si(roof, "op/s"),
        per_cent(point.ops_per_s / roof),
        per_cent(point.share) if point.share else "hidden",
    )
