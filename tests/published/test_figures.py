"""Figures that belong to papers."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.cli import main

GALLERY = Path(__file__).resolve().parents[2] / "reports" / "gallery"


def test_gallery_is_what_the_command_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The committed tree-size figure is today's, byte for byte; draw it anew with `hwsim paper specmamba --out`."""
    assert main(["paper", "specmamba", "--quiet", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "tree-size.svg").read_bytes() == (GALLERY / "tree-size.svg").read_bytes()


def test_the_sparsity_figure_is_what_the_command_draws(tmp_path: Path) -> None:
    """The committed figure of speed by sparsity is today's, byte for byte (`hwsim paper sparamx --out`)."""
    assert main(["paper", "sparamx", "--quiet", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "sparsity.svg").read_bytes() == (GALLERY / "sparsity.svg").read_bytes()
