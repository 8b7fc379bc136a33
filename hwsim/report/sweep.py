"""The table of a sweep: the points as they stand in its file, or the fastest where they are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hwsim.report.table import Block, Bullets, Column, Heading, Paragraph, Table, energy_of_one, number
from hwsim.units import format_seconds

__all__ = ["sweep_blocks"]

_MOST: Final = 40
_REASONS: Final = 5


def sweep_blocks(
    name: str, description: str, axes: Sequence[str], rows: Sequence[Mapping[str, Any]], front: Sequence[int]
) -> list[Block]:
    """The rows, those on the front marked; why points cannot run.

    Args:
        name: of the sweep.
        description: what its file says of it.
        axes: what changes.
        rows: a mapping for each point: axes and figures by name (`hwsim.sweep.row_of`).
        front: points that no other beats in both time and energy.
    """
    cannot = [row for row in rows if row["infeasible"] is not None]
    blocks: list[Block] = [Heading(f"{name}: {len(rows)} points, {len(cannot)} of them infeasible")]
    if description:
        blocks.append(Paragraph(description))
    shown = list(rows)
    if len(rows) > _MOST:
        best = sorted(rows, key=_slowness)[:_MOST]
        shown = sorted(best, key=lambda row: row["point"])
        blocks.append(Paragraph(f"The {_MOST} fastest; --out FILE.csv writes them all."))
    columns, cells = _columns(axes, shown, set(front))
    blocks += [Table(columns, cells), Paragraph("*: no other point is both faster and more frugal.")]
    reasons = list(dict.fromkeys(str(row["infeasible"]) for row in cannot))
    if reasons:
        more = [f"{len(reasons) - _REASONS} other reasons"] if len(reasons) > _REASONS else []
        blocks += [Heading("Why points cannot run"), Bullets((*reasons[:_REASONS], *more))]
    return blocks


def _slowness(row: Mapping[str, Any]) -> tuple[float, float]:
    """By falling rate, then (prompts have none) by time; what cannot run comes last."""
    rate = row["tokens_per_s"] or row["images_per_s"] or 0.0
    return -rate, float("inf") if row["step_s"] is None else row["step_s"]


def _columns(
    axes: Sequence[str], rows: Sequence[Mapping[str, Any]], front: set[int]
) -> tuple[tuple[Column, ...], tuple[tuple[str, ...], ...]]:
    """Heads and cells: axes, rates and energies of tokens or images, limit."""
    images = any(row["images_per_s"] for row in rows)
    unit = "image" if images else "token"
    heads = (
        *(Column(axis, "left" if any(isinstance(row[axis], str) for row in rows) else "right") for axis in axes),
        Column("step", "right"),
        Column(f"{unit}s/s", "right"),
        Column(f"J/{unit}", "right"),
        Column("best"),
        Column("bound"),
    )
    return heads, tuple(_cells(axes, row, row["point"] in front, f"{unit}s") for row in rows)


def _cells(axes: Sequence[str], row: Mapping[str, Any], is_best: bool, unit: str) -> tuple[str, ...]:
    named = tuple(_value(row[axis]) for axis in axes)
    if row["infeasible"] is not None:
        return (*named, "", "", "", "", "cannot")
    joules = energy_of_one(row[f"{unit}_per_j"])
    rate = number(row[f"{unit}_per_s"])
    return (*named, format_seconds(row["step_s"]), rate, joules, "*" if is_best else "", row["bound"])


def _value(value: Any) -> str:
    """An axis' value as the file has it."""
    return f"{value:g}" if isinstance(value, float) else str(value)
