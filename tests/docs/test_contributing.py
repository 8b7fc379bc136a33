"""The contribution guide: its code runs, and the files that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from console_blocks import blocks

from hwsim.workload import kernel

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = ["\n".join(block.lines) for block in blocks(GUIDE) if block.language == "python"]


@pytest.mark.parametrize("code", CODE, ids=lambda code: code.split("\n", 1)[0])
def test_code_of_the_guide_runs(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own assertions hold; what it registers is gone afterwards."""
    monkeypatch.setattr(kernel, "KERNELS", dict(kernel.KERNELS))
    exec(compile(code, "CONTRIBUTING.md", "exec"), {})


def test_the_guide_has_code() -> None:
    """A page without blocks would pass the test above."""
    assert CODE


def test_files_that_the_guide_names_are_there() -> None:
    """Paths in backquotes that look like files or folders of the project."""
    named = re.findall(r"`((?:hwsim|rtl|tests|examples|workloads|mappings|docs)/[\w./-]*)`", GUIDE)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_kind_of_contribution_has_an_example() -> None:
    """Machine, workload, kernel, RTL unit, paper: a block or a table under each heading."""
    for heading in ("A machine", "A workload", "A kernel", "An RTL unit", "A paper"):
        section = GUIDE.split(f"## {heading}\n")[1].split("\n## ")[0]
        assert "```" in section, heading
