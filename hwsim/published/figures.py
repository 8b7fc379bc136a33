"""Figures that belong to a paper's claim, by file name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from hwsim.analysis.tree_size import tree_sizes
from hwsim.devices.catalog import find_device
from hwsim.pipeline import simulate
from hwsim.report.style import figure_bytes
from hwsim.report.tree_size import tree_size_figure
from hwsim.workload import find_workload

__all__ = ["FIGURES"]

_BOARDS: Final = ("vck190-spec", "vhk158-spec")
_DRAFTED: Final = range(1, 20)


def _tree_size() -> bytes:
    """Speed by nodes on both boards: memory-bound far out on one, compute-bound early on the other."""
    workload = find_workload("mamba")
    devices = [find_device(name) for name in _BOARDS]
    machines = [tree_sizes(workload, _DRAFTED, partial(simulate, device=device)) for device in devices]
    figure = tree_size_figure(machines, "Mamba-2 2.7B, W4A4, drafted by the 130M (acceptance assumed)")
    return figure_bytes(figure, "svg")


FIGURES: Final[dict[str, dict[str, Callable[[], bytes]]]] = {"specmamba": {"tree-size.svg": _tree_size}}
"""Paper -> file name -> what draws it (SVG)."""
