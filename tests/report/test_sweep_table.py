"""The table of a sweep with more points than it shows."""

from __future__ import annotations

from hwsim.report.sweep import sweep_blocks
from hwsim.report.table import plain
from hwsim.sweep import FIGURES


def test_the_fastest_of_points_without_a_rate_are_those_of_the_least_time() -> None:
    """Prompts yield no tokens: the shortest forty steps are shown, never one that cannot run."""
    rows = [
        {
            "point": i,
            "batch": i,
            **dict.fromkeys(FIGURES),
            "step_s": (100 - i) * 1e-3,
            "bound": "memory",
            "infeasible": None,
        }
        for i in range(60)
    ]
    rows += [{"point": 60, "batch": 60, **dict.fromkeys(FIGURES), "infeasible": "too large"}]
    lines = plain(sweep_blocks("s", "", ["batch"], rows, [])).splitlines()
    shown = [int(line.split()[0]) for line in lines if line.strip()[:1].isdigit()]
    assert shown == list(range(20, 60))
