"""The gallery that the README shows is what one command draws."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
from script_module import script_module

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "reports" / "gallery"


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    """tools/gallery.py, which is no part of the package."""
    return script_module(ROOT / "tools/gallery.py")


def test_committed_gallery_is_what_the_tool_draws(
    gallery: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Byte for byte, no file more and none fewer; `make gallery` draws it anew."""
    assert gallery.main([str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(gallery.GALLERY)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(drawn) == set(gallery.GALLERY) == {path.name for path in FOLDER.iterdir()}
    assert [name for name, data in drawn.items() if data != (FOLDER / name).read_bytes()] == []


def test_every_family_that_runs_mamba_is_in_it(gallery: ModuleType) -> None:
    """FPGAs and GPUs at least, no more than two machines of each."""
    families = [device.family for device in gallery.machines("mamba")]
    assert {"fpga", "gpu"} <= set(families)
    assert all(families.count(family) <= gallery.EACH for family in families)


def test_readme_shows_only_what_is_there() -> None:
    """Each picture of the README exists, with words for those who do not see it."""
    shown = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown
    assert all(words and (ROOT / target).exists() for words, target in shown)
