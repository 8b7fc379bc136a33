"""The table of `compare`: machines side by side, those that cannot run the workload with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwsim.analysis.compare import Entry
from hwsim.errors import Infeasible
from hwsim.report.answer import decoding_words, format_words, why_not
from hwsim.report.table import Block, Bullets, Column, Heading, Paragraph, Table, energy_of_one, number
from hwsim.result import Result
from hwsim.units import format_seconds

__all__ = ["comparison_blocks", "pair_words"]

_COLUMNS = (
    Column("machine"),
    Column("asked"),
    Column("runs"),
    Column("decoding"),
    Column("phase"),
    Column("per token", "right"),
    Column("step", "right"),
    Column("tokens/s", "right"),
    Column("images/s", "right"),
    Column("J/token", "right"),
    Column("J/image", "right"),
    Column("bound"),
)


def comparison_blocks(workload: str, entries: Sequence[Entry]) -> list[Block]:
    """A row per machine in the order asked, then the departures from the formats asked, then who leans on what."""
    blocks: list[Block] = [Heading(f"{workload} on {len(entries)} machine{'s' if len(entries) != 1 else ''}")]
    cannot = [f"{e.device}: {why_not(e.answer)}" for e in entries if isinstance(e.answer, Infeasible)]
    results = [entry.answer for entry in entries if isinstance(entry.answer, Result)]
    blocks += _batch_blocks(results)
    blocks.append(Table(_COLUMNS, tuple(_row(entry) for entry in entries)))
    departures = [f"{result.device} runs {words}" for result in results if (words := format_words(result))]
    leaning = [
        f"{r.device}: {len(r.fitted)} fitted, {len(r.assumed)} assumed" for r in results if r.fitted or r.assumed
    ]
    for title, items in (
        ("Cannot run it", cannot),
        ("Number formats that differ from what was asked", departures),
        ("Constants without a datasheet (hwsim simulate names them)", leaning),
    ):
        if items:
            blocks += [Heading(title), Bullets(tuple(items))]
    return blocks


def _batch_blocks(results: Sequence[Result]) -> list[Block]:
    """What per token and tokens/s count, where several sequences run together."""
    batches = [each.batch for each in results if each.batch > 1 and each.time_per_token_s is not None]
    if not batches:
        return []
    text = f"{batches[0]} sequences run together: per token is of each sequence, tokens/s and J/token are over all."
    return [Paragraph(text)]


def pair_words(formats: Mapping[str, str]) -> str:
    """Weights and activations in short: ``int4``, or ``int4/bf16`` where they differ; then experts' own weights."""
    names = [formats[role] for role in ("weights", "activations") if role in formats]
    own = [f"experts {formats['experts']}"] if "experts" in formats else []
    return ", ".join(["/".join(dict.fromkeys(names)), *own])


def _row(entry: Entry) -> tuple[str, ...]:
    """One machine."""
    answer = entry.answer
    if isinstance(answer, Infeasible):
        return (entry.device, *[""] * (len(_COLUMNS) - 2), f"cannot: {answer.resource}")
    return (
        answer.device,
        pair_words(answer.formats.get("asked", {})),
        pair_words(answer.formats.get("used", {})),
        decoding_words(answer),
        answer.phase,
        "" if answer.time_per_token_s is None else format_seconds(answer.time_per_token_s),
        format_seconds(answer.step_s),
        number(answer.tokens_per_s),
        number(answer.images_per_s),
        energy_of_one(answer.tokens_per_j),
        energy_of_one(answer.images_per_j),
        answer.bound,
    )
