"""What `kernel` says of one kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.report.table import Block, Bullets, Column, Heading, Paragraph, Table, folded, per_cent
from hwsim.units import format_bytes, format_count, format_seconds, format_si

if TYPE_CHECKING:
    from hwsim.pipeline import KernelResult

__all__ = ["kernel_blocks"]


def kernel_blocks(answer: KernelResult, words: str) -> list[Block]:
    """Time, energy, bytes and utilisation of one kernel.

    Args:
        answer: the answer.
        words: the arguments as the user gave them.
    """
    rows = [
        ("time", format_seconds(answer.time_s)),
        ("cycles", format_count(answer.cycles)),
        ("energy", format_si(answer.energy_j, "J")),
        ("limit", answer.bound),
        ("multiply-accumulates", format_count(answer.macs)),
        *((f"bytes, {level}", format_bytes(count)) for level, count in answer.bytes.items()),
        *((f"{name} busy", per_cent(share)) for name, share in answer.utilization.items()),
    ]
    blocks: list[Block] = [Heading(f"{answer.kind} on {answer.device}"), Paragraph(words)]
    blocks.append(Table((Column("what"), Column("how much", "right")), tuple(rows)))
    if answer.notes:
        blocks.append(Bullets(answer.notes))
    return [*blocks, *_leaning_blocks(answer)]


def _leaning_blocks(answer: KernelResult) -> list[Block]:
    """The constants that no datasheet vouches for, by kind and by what they enter."""
    items = []
    for kind, constants in (("fitted", answer.fitted), ("assumed", answer.assumed)):
        for enters in ("time", "energy"):
            if paths := [each.path for each in constants if each.enters == enters]:
                items.append(f"{enters}, {kind}: {folded(paths)}")
    return [Heading("Constants without a datasheet that it leans on"), Bullets(tuple(items))] if items else []
