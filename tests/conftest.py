"""What every test may lean on: golden files, bounded hypothesis runs, and a folder for compiled kernels."""

from __future__ import annotations

import difflib
import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
GOLDEN_FILES = Path(__file__).resolve().parent / "golden_files"

# Before anything imports numba: what one worker, or `make setup`, has compiled, the others and later runs take.
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".pytest_cache/numba"))

# Shared cores make single examples slow at times, which says nothing about the code: no deadline, no too_slow.
settings.register_profile("dev", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), max_examples=80, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

# As `hwsim` itself does: looking for garbage among the objects of thousands of tests took a quarter of the time.
gc.set_threshold(100_000, 50, 50)


def pytest_collection_finish() -> None:
    """Leave what was collected alone from here on."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that rewrites golden files."""
    text = "write tests/golden_files/, and the output blocks and sums of the pages (README.md, docs/), anew"
    parser.addoption("--update-golden", action="store_true", help=f"{text} from what the tests produce")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with `tests/golden_files/NAME`: `golden("simulate_mamba.txt", text)`."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN_FILES / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.exists():
            pytest.fail(f"no golden file {path.relative_to(ROOT)}: read the text, then run pytest --update-golden")
        expected = path.read_text(encoding="utf-8")
        if text != expected:
            lines = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), f"{name} (expected)", f"{name} (got)", lineterm=""
            )
            pytest.fail("\n".join([*lines, "pytest --update-golden accepts the new text"]), pytrace=False)

    return compare


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what passing tests recorded under ``report``, each a line: figures that a reader wants to see."""
    passed = terminalreporter.getreports("passed")
    lines = sorted({str(value) for each in passed for name, value in each.user_properties if name == "report"})
    if lines:
        terminalreporter.section("recorded figures")
        for line in lines:
            terminalreporter.write_line(line)
