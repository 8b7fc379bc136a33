"""The answer of `simulate` as blocks of text: what it says first is what a newcomer wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hwsim.analysis.breakdown import resources_by_share, speed_up, top_operators
from hwsim.errors import Infeasible
from hwsim.report.sentences import headline, is_request, step_sentence
from hwsim.report.table import (
    Block,
    Bullets,
    Column,
    Heading,
    Paragraph,
    Table,
    amount,
    energy_of_one,
    number,
    per_cent,
    ratio,
)
from hwsim.result import Constant, OpRow, PassRow, Result
from hwsim.units import format_bytes, format_count, format_seconds, format_si

__all__ = [
    "answer_blocks",
    "constant_blocks",
    "decoding_words",
    "format_words",
    "infeasible_blocks",
    "machine_table",
    "why_not",
]

_BAR: Final = 30
_ORDER: Final = ("time", "energy", "capacity")
"""Constants by what they enter, in the order of a reader's concern."""


def answer_blocks(
    result: Result, rival: Result | Infeasible | None = None, device_argument: str | None = None
) -> list[Block]:
    """Everything that `simulate` prints.

    Args:
        result: the answer.
        rival: the same workload decoded autoregressively on the machine to compare with, if there is one.
        device_argument: the name or file under which `hwsim show device` finds the machine; default: its name.
    """
    rivals = [rival] if isinstance(rival, Result) else []
    blocks: list[Block] = [Heading(f"{result.workload} on {result.device}"), Paragraph(headline(result, rivals))]
    blocks += [Paragraph(step_sentence(result)), Heading("Machines" if rivals else "The answer")]
    blocks.append(machine_table([result, *rivals]))
    if isinstance(rival, Infeasible):
        blocks.append(Paragraph(f"The machine to compare with cannot run it: {rival.reason}"))
    blocks += _request_blocks(result) + _resource_blocks(result) + _operator_blocks(result) + _pass_blocks(result)
    blocks += (
        _precision_blocks(result)
        + _memory_blocks(result)
        + _format_blocks(result)
        + constant_blocks(result, device_argument or result.device)
    )
    return blocks + _note_blocks(result)


def infeasible_blocks(workload: str, device: str, answer: Infeasible) -> list[Block]:
    """Why a machine cannot run a workload, what the demand is made of, and what would help."""
    blocks: list[Block] = [
        Heading(f"{workload} cannot run on {device}"),
        Paragraph(answer.reason.rstrip(".") + "."),
    ]
    if _counts(answer):
        blocks.append(Paragraph(f"{_need(answer)}."))
    if answer.terms and (answer.demand, answer.bound) != (1, 0):
        sourced = bool(answer.sources)
        rows = tuple(
            (name, number(value), answer.unit, *([answer.sources.get(name, "")] if sourced else []))
            for name, value in answer.terms.items()
        )
        columns = (Column("made of"), Column("amount", "right"), Column("unit"), *([Column("from")] * sourced))
        blocks += [Heading("What the demand is made of"), Table(columns, rows)]
    if answer.levers:
        blocks += [Heading("What would help"), Bullets(answer.levers)]
    return blocks


def why_not(answer: Infeasible) -> str:
    """The same in a sentence: the reason, demand and bound, what would help."""
    text = f"{answer.reason} ({_need(answer)})" if _counts(answer) else answer.reason
    return f"{text}. Try: {'; '.join(answer.levers)}" if answer.levers else text


def _counts(answer: Infeasible) -> bool:
    """Whether demand and bound tell more than that a thing is missing, or than the reason itself."""
    return (answer.demand, answer.bound) != (1, 0) and f" {_bound(answer)}" not in answer.reason


def _need(answer: Infeasible) -> str:
    """``LUT: needs 4,830,480 LUT, has 899,840``."""
    return f"{answer.resource}: needs {amount(answer.demand, answer.unit)}, has {_bound(answer)}"


def _bound(answer: Infeasible) -> str:
    """What there is: bytes with their prefix, as the demand beside them; all else as a plain number."""
    return amount(answer.bound, answer.unit) if answer.unit == "bytes" else number(answer.bound)


def machine_table(results: Sequence[Result]) -> Table:
    """One row per result: time, rate, energy, bound; with a speed-up over the last row when there are several."""
    columns = (
        Column("machine"),
        Column("decoding"),
        Column("phase"),
        Column("per token", "right"),
        Column("step", "right"),
        Column("tokens/s", "right"),
        Column("images/s", "right"),
        Column("J/token", "right"),
        Column("J/image", "right"),
        Column("speed-up", "right"),
        Column("bound"),
    )
    base = results[-1] if len(results) > 1 else None
    return Table(columns, tuple(_machine_row(result, base) for result in results))


def _machine_row(result: Result, base: Result | None) -> tuple[str, ...]:
    gain = speed_up(result, base) if base is not None else None
    time_per_token = result.time_per_token_s
    return (
        result.device,
        decoding_words(result),
        result.phase,
        "" if time_per_token is None else format_seconds(time_per_token),
        format_seconds(result.step_s),
        number(result.tokens_per_s),
        number(result.images_per_s),
        energy_of_one(result.tokens_per_j),
        energy_of_one(result.images_per_j),
        "" if gain is None else ratio(gain),
        result.bound,
    )


def decoding_words(result: Result) -> str:
    """How tokens are produced: ``autoregressive``, ``tree of 13``; empty where no token is decoded."""
    if result.new_tokens == 0:
        return ""
    if result.speculative is None:
        return "autoregressive"
    nodes, parents = int(result.speculative["nodes"]), list(result.speculative.get("parents", ()))
    is_chain = parents == list(range(nodes - 1))
    return f"chain of {nodes - 1}" if is_chain else f"tree of {nodes}"


def format_words(result: Result) -> str:
    """The formats in which a machine departs from what was asked, one phrase a role."""
    asked, used = result.formats.get("asked", {}), result.formats.get("used", {})
    return "; ".join(
        f"{role}: {asked[role]} -> {used[role]}" for role in used if asked.get(role, used[role]) != used[role]
    )


# --- the tables below ------------------------------------------------------------------------------------------------


def _request_blocks(result: Result) -> list[Block]:
    """Times and energy of a whole request, which the rates above are not of."""
    if not is_request(result) or result.time_to_first_token_s is None:
        return []
    rows = (
        ("time to first token", format_seconds(result.time_to_first_token_s)),
        ("time of the whole request", format_seconds(result.time_s)),
        ("energy of the whole request", format_si(result.energy_j, "J")),
    )
    title = f"The whole request: {format_count(result.context)} tokens in, {format_count(result.new_tokens)} out"
    return [Heading(title), Table((Column("what"), Column("how much", "right")), rows)]


def _resource_blocks(result: Result) -> list[Block]:
    """How busy each resource is."""
    shares = resources_by_share(result)
    if not shares:
        return []
    rows = tuple((each.resource, per_cent(each.share), "#" * round(_BAR * min(each.share, 1.0))) for each in shares)
    columns = (Column("resource"), Column("busy", "right"), Column("share of a step"))
    return [Heading("How busy each resource is"), Table(columns, rows)]


def _operator_blocks(result: Result) -> list[Block]:
    """The operators by share of a step, each with the resource that holds it up longest."""
    if not result.ops:
        return []
    operators = top_operators(result)
    columns = (
        Column("operator"),
        Column("kind"),
        Column("runs", "right"),
        Column("adds to step", "right"),
        Column("share", "right"),
        Column("busy for", "right"),
        Column("on"),
        Column("bytes", "right"),
    )
    rows = [_operator_row(row) for row in operators.top]
    if operators.others:
        share = per_cent(operators.others_share)
        rows.append((f"{operators.others} others", "", "", format_seconds(operators.others_time_s), share, "", "", ""))
    return [Heading("Where a step's time goes"), Table(columns, tuple(rows))]


def _operator_row(row: OpRow) -> tuple[str, ...]:
    return (
        row.name,
        row.kind,
        format_count(row.count),
        format_seconds(row.time_s) if row.time_s else "hidden",
        per_cent(row.share),
        format_seconds(row.busy_s),
        row.resource,
        format_bytes(row.bytes) if row.bytes else "",
    )


def _pass_blocks(result: Result) -> list[Block]:
    """The runs that a step is made of, when there are several."""
    if len(result.passes) < 2:
        return []
    columns = (
        Column("pass"),
        Column("level", "right"),
        Column("model"),
        Column("runs", "right"),
        Column("tokens", "right"),
        Column("time", "right"),
        Column("cycles", "right"),
        Column("state"),
    )
    return [Heading("The passes of a step"), Table(columns, tuple(_pass_row(each) for each in result.passes))]


def _pass_row(each: PassRow) -> tuple[str, ...]:
    return (
        each.role,
        str(each.level) if each.level else "",
        each.model,
        format_count(each.count),
        format_count(each.tokens * each.batch),
        format_seconds(each.time_s),
        format_count(each.cycles),
        "" if each.policy == "none" else each.policy,
    )


def _precision_blocks(result: Result) -> list[Block]:
    """How exact the operators are that a machine computes inexactly, the worst first, and how they are laid out."""
    if not result.snr_db:
        return []
    ordered = sorted(result.snr_db.items(), key=lambda each: each[1])
    rows = tuple((name, f"{ratio:.1f} dB", result.layouts.get(name, "")) for name, ratio in ordered)
    columns = (Column("operator"), Column("signal to noise", "right"), Column("one run of it"))
    title = "How the analogue operators are laid out, and how exact they are (a sample of each through the field model)"
    return [Heading(title), Table(columns, rows)]


def _memory_blocks(result: Result) -> list[Block]:
    """What memory holds, and the largest batch and context that it would hold."""
    if result.largest is None:
        return []
    held = ", ".join(f"{format_bytes(count)} of {name}" for name, count in result.memory_bytes.items() if count)
    batch, context = result.largest["batch"], result.largest["context"]
    most = "any batch fits" if batch is None else f"batch {format_count(batch)} is the largest that fits"
    if result.images_per_s is None and (result.phase != "inference" or result.new_tokens):
        longest = "any context" if context is None else f"a context of {format_count(context)}"
        most += f" at this context, {longest} at this batch"
    return [Heading("Memory"), Paragraph(f"{held}; {most}.")]


def _format_blocks(result: Result) -> list[Block]:
    """The number formats in use, and where they differ from what the workload asked; of a state where there is one."""
    asked, used = result.formats.get("asked", {}), result.formats.get("used", {})
    if not used:
        return []
    rows = []
    has_state = any(row.kind in ("scan", "conv1d") for row in result.ops)
    for role, name in used.items():
        if role == "state" and not has_state:
            continue
        wanted = str(asked.get(role, ""))
        rows.append((role, wanted, str(name), "differs" if wanted and wanted != name else ""))
    columns = (Column("number format of"), Column("asked"), Column("used"), Column("note"))
    return [Heading("Number formats"), Table(columns, tuple(rows))]


def constant_blocks(result: Result, device: str) -> list[Block]:
    """The constants that no datasheet vouches for: what the answer leans on.

    Those of time stand before those of energy. Those that only decide whether things fit are counted, but for the
    ones that the user set.

    Args:
        result: the answer.
        device: the name or file under which `hwsim show device` finds the machine.
    """
    unsure = (*result.fitted, *result.assumed)
    groups = (
        ("Constants fitted to published or measured figures", _weighty(result.fitted)),
        ("Constants assumed, for want of a source", _weighty(result.assumed)),
        ("Constants set for this run", tuple(sorted(result.set_by_user, key=_place))),
    )
    columns = (Column("constant"), Column("value", "right"), Column("enters"), Column("why this value"))
    blocks: list[Block] = []
    for title, constants in groups:
        if constants:
            blocks += [Heading(title), Table(columns, _constant_rows(constants))]
    folded = len(unsure) - len(_weighty(unsure))
    return [*blocks, *_folded_blocks(folded, device)]


def _folded_blocks(count: int, device: str) -> list[Block]:
    """One line for the constants that the tables leave out."""
    if not count:
        return []
    title = "Constants that only decide whether it fits"
    text = f"{count} fitted or assumed, which change no time and no energy: hwsim show device {device} lists them."
    return [Heading(title), Paragraph(text)]


def _weighty(constants: Sequence[Constant]) -> tuple[Constant, ...]:
    """Those that enter time, then those that enter energy, each in the order of their file."""
    return tuple(sorted((each for each in constants if each.enters != "capacity"), key=_place))


def _place(constant: Constant) -> int:
    """Where a constant stands by what it enters."""
    return _ORDER.index(constant.enters)


def _constant_rows(constants: Sequence[Constant]) -> tuple[tuple[str, ...], ...]:
    """A row for each; a reason that is the one above it is not said again."""
    sources = [_short(each.source) for each in constants]
    said = ["as above" if i and sources[i] == sources[i - 1] else sources[i] for i in range(len(sources))]
    return tuple(
        (each.path, amount(each.value, each.unit), each.enters, why) for each, why in zip(constants, said, strict=True)
    )


def _note_blocks(result: Result) -> list[Block]:
    return [Heading("Notes"), Bullets(result.notes)] if result.notes else []


def _short(text: str, most: int = 110) -> str:
    """A source in short: its first sentence or clause, cut at a word."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[:most].rsplit(" ", 1)[0].rstrip(",;:")
    return f"{cut} ..."
