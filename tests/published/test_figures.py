"""Figures that belong to papers."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.cli import main

GALLERY = Path(__file__).resolve().parents[2] / "reports" / "gallery"


def test_gallery_is_what_the_command_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The committed tree-size figure is today's, byte for byte (`hwsim paper specmamba --out`).

    Other papers' figures are drawn by the same command, and held byte for byte in tests/packaging/test_gallery.py.
    """
    assert main(["paper", "specmamba", "--quiet", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "tree-size.svg").read_bytes() == (GALLERY / "tree-size.svg").read_bytes()
