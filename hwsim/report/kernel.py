"""What `kernel` says of one kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.report.table import Block, Bullets, Column, Heading, Paragraph, Table, per_cent
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
    leaning = [(c.path, c.kind) for c in (*answer.fitted, *answer.assumed) if c.enters == "time"]
    if leaning:
        names = ", ".join(path for path, _ in leaning)
        blocks.append(Paragraph(f"Leans on constants that no datasheet vouches for: {names}."))
    return blocks
