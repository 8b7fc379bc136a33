"""What `paper` says: published, predicted, error, verdict, and the constants that each row leans on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from hwsim.published.model import Paper
from hwsim.published.runner import PaperResult
from hwsim.report.table import Block, Bullets, Column, Heading, Paragraph, Table, folded, number

__all__ = ["paper_result_blocks", "summary_blocks"]

_EXACT: Final = 1e-6
_COLUMNS: Final = (
    Column("row"),
    Column("claim"),
    Column("published", "right"),
    Column("predicted", "right"),
    Column("error", "right"),
    Column("verdict"),
)


def paper_result_blocks(paper: Paper, results: tuple[PaperResult, ...]) -> list[Block]:
    """A paper's rows as a table, then the reason behind each verdict, then the constants leaned on.

    A published figure that we derived from others is marked so, and a verdict that a fit made sure of.
    """
    blocks: list[Block] = [Heading(f"{paper.paper}: {paper.title}"), Paragraph(paper.reference)]
    if paper.note:
        blocks.append(Paragraph(paper.note))
    blocks.append(Table(_COLUMNS, tuple(_row(each) for each in results)))
    blocks += [Heading("Why"), Bullets(tuple(_why(each) for each in results))]
    leaning = _leaning(results)
    return blocks + ([Heading("Constants that the rows lean on"), Bullets(leaning)] if leaning else [])


def _row(each: PaperResult) -> tuple[str, ...]:
    row, said = each.row, each.prediction
    return (
        row.id,
        row.claim,
        _figure(row.published, row.unit) + (" (derived)" if row.read == "derived" else ""),
        "" if said.value is None else _figure(said.value, said.unit),
        "" if each.error is None else f"{100 * each.error:+.2f} %",
        _verdict_words(each),
    )


def _verdict_words(each: PaperResult) -> str:
    """The verdict, and whether the prediction was bound to come out so."""
    return f"{each.verdict} (fitted to it)" if each.row.fitted_to_it and not each.failed else each.verdict


def _figure(value: float, unit: str) -> str:
    """A figure with its unit, four digits: ``2.85x``, ``7.21 tokens/s``."""
    return f"{number(value)}x" if unit == "x" else f"{number(value)} {unit}"


def _why(each: PaperResult) -> str:
    """Source, tolerance, reason, and what was predicted where that is another quantity."""
    row = each.row
    within = "" if row.tolerance is None else f" ({_tolerance_words(row.tolerance)})"
    words = f" Predicted: {each.prediction.words}." if each.prediction.words else ""
    origin = "Derived by us:" if row.read == "derived" else "Published in:"
    whence = row.source if row.read == "derived" else f"{row.source} ({row.read})"
    return f"{row.id}{within}: {row.why.rstrip('.')}.{words} {origin} {whence}."


def _tolerance_words(tolerance: float) -> str:
    """``tolerance 1 %``; a tolerance that only allows for rounding is ``exact``."""
    return "exact" if tolerance < _EXACT else f"tolerance {100 * tolerance:g} %"


def _leaning(results: Sequence[PaperResult]) -> tuple[str, ...]:
    """The fitted and assumed constants that enter rows, those rows together which lean on the same."""
    rows: dict[str, list[str]] = {}
    for each in results:
        if text := _constants(each):
            rows.setdefault(text, []).append(each.row.id)
    return tuple(f"{', '.join(names)}: {text}" for text, names in rows.items())


def _constants(each: PaperResult) -> str:
    """A row's fitted and assumed constants that enter times; those of energies where energy is claimed."""
    energy = each.row.unit.endswith("/J") or "energy" in each.row.claim.lower()
    enters = ("time", "energy") if energy else ("time",)
    kinds = {
        kind: [c.path for c in each.prediction.constants if c.kind == kind and c.enters in enters]
        for kind in ("fitted", "assumed")
    }
    return "; ".join(f"{kind} {folded(paths)}" for kind, paths in kinds.items() if paths)


def summary_blocks(papers: Sequence[Sequence[PaperResult]]) -> list[Block]:
    """All rows of all papers in one table, and how many of each verdict there are."""
    rows, results = [], [each for paper in papers for each in paper]
    for paper in papers:
        for i, each in enumerate(paper):
            name, _, *figures = _row(each)
            rows.append(("" if i else each.paper, name, *figures))
    counts = Counter(_verdict_words(each) for each in results)
    words = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    return [
        Heading("Published figures beside what the simulator gives"),
        Table((Column("paper"), *(each for each in _COLUMNS if each.head != "claim")), tuple(rows)),
        Paragraph(f"{len(results)} rows: {words}."),
        Paragraph("hwsim paper NAME says what a row claims, why its verdict, and which constants are behind it."),
    ]
