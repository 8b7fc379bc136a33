"""The README and the pages under docs/ show what hwsim does: their commands run, their outputs and figures are real.

`pytest tests/docs --update-golden` writes the outputs and results anew into the pages.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import pytest
from arithmetic import corrected, figures
from console_blocks import Block, blocks, commands, matches, prose, renewed, replaced

from hwsim.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
]
WITH_FIGURES = ["README.md", "docs/tutorial.md", "docs/machines.md", "docs/workloads.md", "docs/gpu-kernels.md"]
FACTS = {"docs/machines.md": {"288"}, "docs/gpu-kernels.md": {"192", "256", "1024", "2023", "2048", "65536"}}
"""Figures that no command prints, by page: bits of a block memory, from a data sheet named beside them; steps, rows,
parts of a split of kernels, and the year of their release."""
BINARIES = {
    "docs/onnx.md": {"resnet50.onnx": Path(onnx.__file__).parent / "backend/test/data/light/light_resnet50.onnx"}
}
"""Files that a page says its reader has, and that are no text."""
LANGUAGES = {"console", "python", "yaml", "json", "calc", "text", ""}
FUTURE_COMMANDS = {"rtl"}
"""Named by the design and the layout page for a later release."""
MAKE_VARIABLES = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "WORKLOAD", "DEVICE", "ARGS", "VENV", "PYTHON"}


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def make(*words: str) -> str:
    """What the project's make prints, as typed in a fresh terminal."""
    environment = {key: value for key, value in os.environ.items() if key not in MAKE_VARIABLES}
    run = subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@dataclass
class Reader:
    """Somebody who types what a page shows, in one folder; ``hwsim`` runs in this process."""

    capture: pytest.CaptureFixture[str]
    code: int = 0
    unasked: list[str] = field(default_factory=list)

    def type(self, line: str) -> list[str]:
        """Run a line; the lines printed, messages last."""
        if line == "echo $?":
            code, self.code = self.code, 0
            return [str(code)]
        words = shlex.split(line)
        if words[0] == "make":
            return self._make(words[1:])
        assert words[0] == "hwsim", f"a page shows `{line}`, which nothing here runs"
        return self._hwsim(words[1:])

    def _hwsim(self, words: list[str]) -> list[str]:
        if self.code:
            self.unasked.append(f"exit code {self.code} before `hwsim {shlex.join(words)}` is not shown (echo $?)")
        self.capture.readouterr()
        self.code = main(words)
        printed = self.capture.readouterr()
        lines = (printed.out + printed.err).splitlines()
        return [line.rstrip() for line in lines if "compiling the kernels" not in line]

    def _make(self, words: list[str]) -> list[str]:
        """`make` alone prints its list. A target is not made: the `hwsim` command that it would run is."""
        if not words:
            return make().splitlines()
        planned = [line for line in make("-n", *words).splitlines() if "bin/hwsim " in line]
        return self._hwsim(shlex.split(planned[0])[1:]) if planned else []


def run_page(text: str, reader: Reader, update: bool) -> tuple[str, list[str]]:
    """Type every command of a page; the page with what was printed, and what differed from what it showed."""
    wrong: list[str] = []
    new_lines: list[tuple[Block, list[str]]] = []
    for block in blocks(text):
        if block.language != "console":
            continue
        lines: list[str] = []
        for command in commands(block):
            printed = reader.type(command.typed)
            if not matches(command.shown, printed):
                wrong += difference(command.typed, command.shown, printed)
            shown = renewed(command.shown, printed) if update and command.shown else command.shown
            lines += [f"$ {command.typed}", *shown]
        new_lines.append((block, lines))
    for block, lines in reversed(new_lines):
        text = replaced(text, block, lines)
    return text, wrong + reader.unasked


def difference(typed: str, shown: tuple[str, ...], printed: list[str]) -> list[str]:
    """Shown against printed, for a person: what is left out stays out where that is possible."""
    try:
        printed = renewed(shown, printed)
    except ValueError as error:
        return [f"$ {typed}", str(error)]
    lines = difflib.unified_diff(shown, printed, "shown", "printed", lineterm="", n=1)
    return [f"$ {typed}", *lines]


@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_is_shown(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """Each command of the page runs and prints the lines that the page shows below it."""
    monkeypatch.chdir(tmp_path)
    for name, source in BINARIES.get(page, {}).items():
        Path(name).write_bytes(source.read_bytes())
    text, update = read(page), bool(request.config.getoption("--update-golden"))
    for block in blocks(text):
        if block.language in ("yaml", "json") and block.title:
            Path(block.title).write_text("\n".join(block.lines) + "\n", encoding="utf-8")
    reader = Reader(capsys)
    renewed_text, wrong = run_page(text, reader, update)
    if update:
        (ROOT / page).write_text(renewed_text, encoding="utf-8")
        return
    assert not reader.code, "the exit code of the last command is not shown (echo $?)"
    if wrong:
        pytest.fail("\n".join([*wrong, "--update-golden takes the new lines"]), pytrace=False)


@pytest.mark.parametrize("page", PAGES)
def test_sums_are_right(page: str, request: pytest.FixtureRequest) -> None:
    """Each sum done by hand gives the result shown."""
    text = read(page)
    sums = [block for block in blocks(text) if block.language == "calc"]
    right = [[corrected(line) for line in block.lines] for block in sums]
    if request.config.getoption("--update-golden"):
        for block, lines in reversed(list(zip(sums, right, strict=True))):
            text = replaced(text, block, lines)
        (ROOT / page).write_text(text, encoding="utf-8")
        return
    assert [list(block.lines) for block in sums] == right


@pytest.mark.parametrize("page", WITH_FIGURES)
def test_figures_in_prose_come_from_commands(page: str) -> None:
    """Each number of three or more digits in prose, or on the left of a sum, is in an output or an earlier result."""
    text = read(page)
    known: set[str] = set(FACTS.get(page, ()))
    for block in blocks(text):
        if block.language != "calc":
            known |= plain_figures("\n".join(block.lines))
    unknown: set[str] = set()
    for block in blocks(text):
        for line in block.lines if block.language == "calc" else ():
            left, _, result = line.rpartition(" = ")
            unknown |= plain_figures(left) - known
            known |= plain_figures(result)
    unsourced = sorted(unknown | (plain_figures(prose(text)) - known))
    assert not unsourced


def plain_figures(text: str) -> set[str]:
    """The figures in a text, without commas."""
    return {figure.replace(",", "") for figure in figures(text)}


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_of_known_kinds(page: str) -> None:
    """A page has no fenced block that no test reads."""
    assert {block.language for block in blocks(read(page))} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES)
def test_commands_named_in_prose_exist(page: str) -> None:
    """`hwsim NAME` and `make NAME` in running text name a command and a target."""
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    targets = set(re.findall(r"^make (\w+)", make("help"), re.MULTILINE))
    named = set(re.findall(r"`hwsim ([a-z]+)", text))
    made = set(re.findall(r"`make ([a-z]+)", text))
    assert named <= set(COMMANDS) | FUTURE_COMMANDS
    assert made <= targets


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Each link names a file of the project that exists, and a heading that stands on it."""
    links = re.findall(r"\]\(([^)#:]*)#?([^)]*)\)", read(page))
    places = [(link, ROOT / page if not link else (ROOT / page).parent / link, mark) for link, mark in links]
    missing = [link for link, place, _ in places if not place.exists()]
    assert not missing
    assert not [(link, mark) for link, place, mark in places if mark and mark not in marks_of(place)]


def marks_of(place: Path) -> set[str]:
    """The names by which a page's headings are linked: lower case, hyphens for spaces, punctuation left out."""
    headings = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
