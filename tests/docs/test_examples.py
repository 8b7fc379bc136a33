"""Every script in examples/ runs as a user would run it, says something, and draws what it says it draws."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRAWS = {
    "what_limits_it.py": {"roofline.png", "breakdown.png", "timeline.png"},
    "latency_and_throughput.py": {"latency-throughput.png", "context-roofline.png"},
    "what_if.py": {"compare.png", "roofline-together.png"},
    "one_port_machine.py": set(),
}


def test_every_example_is_known() -> None:
    """None is left out of the test below."""
    assert {path.name for path in (ROOT / "examples").iterdir() if path.suffix == ".py"} == set(DRAWS)


@pytest.mark.parametrize("name", DRAWS)
def test_example_runs_and_draws(name: str, tmp_path: Path) -> None:
    """Exit code 0, nothing on stderr but the compiler's note, words on stdout, its figures in the folder given."""
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert "tokens/s" in run.stdout
    assert {path.name for path in tmp_path.iterdir()} == DRAWS[name]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
