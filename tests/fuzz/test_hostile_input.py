"""Every door under hostile input: no traceback, a documented exit code, files whole or not there.

The short form runs everywhere; `make test-long` has the long one (`HWSIM_FUZZ_CASES=100000 pytest tests/fuzz`).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from civil import Case, hold_civil
from doors import DOORS, SHARES
from hypothesis import HealthCheck, given, settings

CASES = int(os.environ.get("HWSIM_FUZZ_CASES", "400"))


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is read from or kept in the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("door", DOORS)
def test_every_door_stays_civil(door: str) -> None:
    """Any files, any words: an answer or a fault in the user's terms."""

    @settings(
        max_examples=max(1, round(CASES * SHARES[door])),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=DOORS[door])
    def hold(case: Case) -> None:
        with tempfile.TemporaryDirectory() as folder:
            hold_civil(case, Path(folder))

    hold()
