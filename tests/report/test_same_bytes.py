"""The same question gives the same bytes in another process too, whatever the order in which Python hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PICTURES = ["roofline", "mamba2-130m", "--device", "l4", "--device", "vck190", "--out", "roofline.png"]


def written(folder: Path, seed: str, words: list[str]) -> dict[str, bytes]:
    """What a command writes, in a process of its own with another hash seed, in a folder of its own."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    run = subprocess.run(
        [sys.executable, "-m", "hwsim", *words, "--quiet"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (
            ["simulate", "mamba2-130m", "--device", "l4", "--new-tokens", "1", "--out", "run"],
            {"report.html", "result.json", "roofline.svg", "breakdown.svg", "timeline.svg", "trace.json"},
        ),
        (PICTURES, {"roofline.png"}),
        ([*PICTURES[:-1], "roofline.svg", "--together", "--json", "roofline.json"], {"roofline.svg", "roofline.json"}),
    ],
    ids=["folder", "png", "together"],
)
def test_every_file_is_the_same_under_two_hash_seeds(tmp_path: Path, words: list[str], names: set[str]) -> None:
    """SVG, PNG, HTML, JSON and traces, byte for byte."""
    first, second = (written(tmp_path / seed, seed, words) for seed in ("1", "2"))
    assert {Path(name).name for name in first} == names
    assert [name for name in first if first[name] != second.get(name)] == []
    assert set(first) == set(second)
