"""The tool that compiles the kernels for the tests: it knows them all, and says what it left out."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from script_module import script_module

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/compile_kernels.py, which is no part of the package."""
    return script_module(ROOT / "tools/compile_kernels.py")


def test_every_kernel_is_known(tool: ModuleType) -> None:
    """As many as are marked in the sources, however they are written."""
    marked = sum(path.read_text().count("\n@jit\n") for path in (ROOT / "hwsim/kernels").glob("*.py"))
    assert len(tool.declared()) == marked > 5
    assert {"simulate", "search"} <= tool.declared()
    assert tool.declared() >= tool.UNASKED


def test_what_no_question_compiles_is_named(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that lacks one kernel is exit code 1 and its name; a whole one is exit code 0."""
    names = tool.declared() - tool.UNASKED
    for name in names - {"search"}:
        (tmp_path / f"module.{name}-12.py311.nbi").touch()
    monkeypatch.setattr("hwsim.kernels.jit.cache_folder", lambda: tmp_path)
    assert tool.main(()) == 1
    assert "no question compiles search:" in capsys.readouterr().err
    (tmp_path / "module.search-12.py311.nbi").touch()
    assert tool.main(()) == 0


def test_a_question_that_fails_is_said(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that changed its words does not leave kernels out in silence."""
    assert tool.main(("list nothing",)) == 1
    assert "hwsim list nothing: exit code 2" in capsys.readouterr().err
