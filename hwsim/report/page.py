"""One page to send: a result as self-contained HTML, with its figures, open accounts, inputs and the command.

Nothing is fetched and nothing is sent: style, script and figures stand in the file, and its content policy forbids the
rest. Every word comes through a template with escaping on, so that names stay text.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from hwsim.errors import Infeasible
from hwsim.report.answer import decoding_words, format_words
from hwsim.report.sentences import headline, step_sentence
from hwsim.report.table import amount, energy_of_one, number, per_cent, printable
from hwsim.result import Constant, Result
from hwsim.units import format_bytes, format_count, format_seconds, format_si

__all__ = ["PageFigure", "page_html"]

_TEMPLATE: Final = Path(__file__).with_name("page.html.j2")
_PACKAGES: Final = ("numpy", "numba", "networkx", "matplotlib", "pydantic", "jinja2")
_IDENTIFIER: Final = re.compile(r'(\bid="|href="#|url\(#)')


@dataclass(frozen=True, slots=True)
class PageFigure:
    """A figure of the page.

    Attributes:
        name: its identifier on the page, letters only.
        alt: what it shows, for those who do not see it.
        svg: the drawing, as :func:`hwsim.report.style.figure_bytes` gives it.
        caption: the words below it.
    """

    name: str
    alt: str
    svg: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    right: bool = False
    long: bool = False


@dataclass(frozen=True, slots=True)
class _Cell:
    """A text, and the number that it is sorted by where it is one."""

    text: str
    key: float | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    """A table; a live one can be sorted and filtered."""

    caption: str
    columns: tuple[_Column, ...]
    rows: tuple[tuple[_Cell, ...], ...]
    live: bool = False


@dataclass(frozen=True, slots=True)
class _Section:
    id: str
    title: str
    texts: tuple[str, ...] = ()
    tables: tuple[_Table, ...] = ()
    figures: tuple[dict[str, Any], ...] = ()
    code: tuple[str, ...] = ()


def page_html(
    result: Result,
    figures: Sequence[PageFigure] = (),
    rival: Result | Infeasible | None = None,
    command: str = "",
) -> str:
    """The page of one result.

    Args:
        result: the answer.
        figures: drawings, in the order in which they are shown.
        rival: the same workload decoded autoregressively on the machine to compare with, if there is one.
        command: the command line that gives the answer again.
    """
    rivals = [rival] if isinstance(rival, Result) else []
    sections = [
        _machines(result, rivals),
        _operators(result),
        _drawings(figures),
        _resources(result),
        _passes(result),
        _formats(result),
        _accounts(result),
        _notes(result),
        _record(result, command),
    ]
    shown = [section for section in sections if section.tables or section.figures or section.texts or section.code]
    contents = [("answer", "The answer"), *((section.id, section.title) for section in shown)]
    return _template().render(
        title=f"{_clean(result.workload)} on {_clean(result.device)}",
        answer=_clean(headline(result, rivals)),
        step=_clean(step_sentence(result)),
        cards=_cards(result),
        contents=contents,
        sections=shown,
    )


@cache
def _template() -> Template:
    """The page's template; every value that is put into it is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _clean(text: str) -> str:
    """A name on one line, without characters that would turn the line around; emoji and accents stay."""
    return "".join(each if each.isprintable() or each == "\u200d" else "?" for each in " ".join(text.split()))


# --- the sections ----------------------------------------------------------------------------------------------------


def _cards(result: Result) -> list[tuple[str, str]]:
    """The figures that a reader looks for first."""
    cards = [
        ("time per token", result.time_per_token_s and format_seconds(result.time_per_token_s)),
        ("tokens per second", number(result.tokens_per_s)),
        ("images per second", number(result.images_per_s)),
        ("time to first token", result.time_to_first_token_s and format_seconds(result.time_to_first_token_s)),
        ("step", format_seconds(result.step_s)),
        ("all the work asked", format_seconds(result.time_s)),
        ("energy of all the work", format_si(result.energy_j, "J")),
        ("energy per token", energy_of_one(result.tokens_per_j)),
        ("energy per image", energy_of_one(result.images_per_j)),
        ("limit", result.bound),
        ("held off chip", format_bytes(sum(result.memory_bytes.values()))),
    ]
    return [(name, value) for name, value in cards if value]


def _machines(result: Result, rivals: Sequence[Result]) -> _Section:
    """What was asked, and the machine to compare with."""
    columns = (
        _Column("machine"), _Column("decoding"), _Column("phase"), _Column("batch", True), _Column("context", True),
        _Column("step", True), _Column("per second", True), _Column("limit"),
    )  # fmt: skip
    rows = tuple(
        (
            _Cell(_clean(each.device)),
            _Cell(decoding_words(each) or "-"),
            _Cell(each.phase),
            _Cell(format_count(each.batch), each.batch),
            _Cell(format_count(each.context), each.context),
            _Cell(format_seconds(each.step_s), each.step_s),
            _Cell(_rate(each)),
            _Cell(each.bound),
        )
        for each in (result, *rivals)
    )
    return _Section("machines", "What was run", (), (_Table("Machine and question", columns, rows),))


def _rate(result: Result) -> str:
    if result.tokens_per_s is not None:
        return f"{number(result.tokens_per_s)} tokens"
    return f"{number(result.images_per_s)} images" if result.images_per_s is not None else ""


def _operators(result: Result) -> _Section:
    """Every operator of a step, to sort and to filter."""
    columns = (
        _Column("operator"), _Column("kind"), _Column("layer kind"), _Column("runs", True),
        _Column("adds to step", True), _Column("share", True), _Column("busy for", True), _Column("on"),
        _Column("bytes", True), _Column("energy", True), _Column("MACs", True),
    )  # fmt: skip
    rows = tuple(
        (
            _Cell(_clean(row.name)),
            _Cell(row.kind),
            _Cell(_clean(row.block)),
            _Cell(format_count(row.count), row.count),
            _Cell(format_seconds(row.time_s) if row.time_s else "hidden", row.time_s),
            _Cell(per_cent(row.share), row.share),
            _Cell(format_seconds(row.busy_s), row.busy_s),
            _Cell(row.resource),
            _Cell(format_bytes(row.bytes), row.bytes),
            _Cell(format_si(row.energy_j, "J"), row.energy_j),
            _Cell(format_si(row.macs, ""), row.macs),
        )
        for row in result.ops
    )
    text = "What an operator adds to a step is time that nothing else hides; the column adds up to the step."
    table = _Table("Operators of a step, the largest share first", columns, rows, live=True)
    return _Section("operators", "Where a step's time goes", (text,), (table,)) if rows else _Section("operators", "")


def _drawings(figures: Sequence[PageFigure]) -> _Section:
    """The figures, inline."""
    drawn = tuple({"svg": _inline(figure), "caption": figure.caption} for figure in figures)
    return _Section("figures", "Figures", (), (), drawn)


def _inline(figure: PageFigure) -> Markup:
    """An SVG of ours as an element: no prolog, its identifiers told apart from those of the others, named for readers.

    Our own drawing code made it, and it writes letters as shapes, so that no word of a user is in its markup.
    """
    text = figure.svg.decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = _IDENTIFIER.sub(lambda found: f"{found.group(1)}{figure.name}-", text)
    opening, rest = text.split(">", 1)
    label = Markup(' role="img" aria-label="{}">').format(figure.alt)
    return Markup(opening) + label + Markup(rest)


def _resources(result: Result) -> _Section:
    """How busy each resource is; bytes by level, energy by component, and what is held off chip."""
    shares = sorted(result.utilization.items(), key=lambda item: (-item[1], item[0]))
    tables = [
        _amounts("How busy each resource is, share of a step", "resource", shares, per_cent),
        _amounts("Bytes moved in all the work asked", "memory level", result.bytes.items(), format_bytes),
        _amounts("Energy of all the work asked", "component", result.energy_j_by.items(), lambda j: format_si(j, "J")),
        _amounts("Bytes held off chip", "what", result.memory_bytes.items(), format_bytes),
    ]
    return _Section("resources", "Resources, bytes and energy", (), tuple(table for table in tables if table.rows))


def _amounts(caption: str, what: str, items: Any, words: Any) -> _Table:
    rows = tuple((_Cell(_clean(name)), _Cell(words(value), value)) for name, value in items)
    return _Table(caption, (_Column(what), _Column("how much", True)), rows)


def _passes(result: Result) -> _Section:
    """The runs that a step is made of, when there are several."""
    if len(result.passes) < 2:
        return _Section("passes", "The passes of a step")
    columns = (
        _Column("pass"), _Column("model"), _Column("runs", True), _Column("tokens", True), _Column("time", True),
        _Column("cycles", True), _Column("state"),
    )  # fmt: skip
    rows = tuple(
        (
            _Cell(f"{each.role} {each.level}" if each.level else each.role),
            _Cell(_clean(each.model)),
            _Cell(format_count(each.count), each.count),
            _Cell(format_count(each.tokens * each.batch), each.tokens * each.batch),
            _Cell(format_seconds(each.time_s), each.time_s),
            _Cell(format_count(each.cycles), each.cycles),
            _Cell("" if each.policy == "none" else each.policy),
        )
        for each in result.passes
    )
    return _Section("passes", "The passes of a step", (), (_Table("Passes in order", columns, rows),))


def _formats(result: Result) -> _Section:
    """Number formats, asked and used."""
    asked, used = result.formats.get("asked", {}), result.formats.get("used", {})
    rows = tuple((_Cell(role), _Cell(str(asked.get(role, ""))), _Cell(str(name))) for role, name in used.items())
    differs = format_words(result)
    texts = (f"The machine departs from what was asked. {differs}.",) if differs else ()
    table = _Table("Number formats by role", (_Column("role"), _Column("asked"), _Column("used")), rows)
    return _Section("formats", "Number formats", texts, (table,) if rows else ())


def _accounts(result: Result) -> _Section:
    """Every constant that no datasheet vouches for."""
    constants = (*result.set_by_user, *result.fitted, *result.assumed)
    columns = (
        _Column("constant"), _Column("value", True), _Column("kind"), _Column("enters"),
        _Column("why this value", long=True),
    )  # fmt: skip
    rows = tuple(_constant(each) for each in constants)
    text = (
        f"{len(result.fitted)} constants were fitted to published or measured figures, {len(result.assumed)} are "
        f"assumed for want of a source, {len(result.set_by_user)} were set for this run. Time, energy or capacity says "
        "what they have a say in; capacity is only whether the work fits."
    )
    table = _Table("Constants that no datasheet vouches for", columns, rows, live=True)
    return _Section("accounts", "Open accounts", (text,), (table,)) if rows else _Section("accounts", "Open accounts")


def _constant(each: Constant) -> tuple[_Cell, ...]:
    return (
        _Cell(_clean(each.path)),
        _Cell(amount(each.value, each.unit)),
        _Cell(each.kind),
        _Cell(each.enters),
        _Cell(printable(each.source)),
    )


def _notes(result: Result) -> _Section:
    return _Section("notes", "Notes", tuple(_clean(note) for note in result.notes))


def _record(result: Result, command: str) -> _Section:
    """Inputs with their hashes, versions, and the command to repeat."""
    from hwsim import __version__  # noqa: PLC0415 - the package's version, not a room

    inputs = tuple((_Cell(_clean(name)), _Cell(digest)) for name, digest in result.inputs.items())
    versions = [("hwsim", __version__), ("Python", platform.python_version())]
    versions += [(name, _version(name)) for name in _PACKAGES]
    tables = (
        _Table("Files that were read", (_Column("file"), _Column("SHA-256", long=True)), inputs),
        _Table("Versions", (_Column("program"), _Column("version")), tuple((_Cell(n), _Cell(v)) for n, v in versions)),
    )
    shown = tuple(table for table in tables if table.rows)
    return _Section("record", "Inputs, versions and command", (), shown, (), (command,) if command else ())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
