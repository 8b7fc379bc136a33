"""The figure of bench_mapping: time and gap by tool, and how the proof's time grows with the problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Growth", "Run", "draw"]


@dataclass(frozen=True)
class Run:
    """One tool on one point: CPU seconds of the search, and how far its answer is above the proven optimum."""

    point: str
    tool: str
    seconds: float
    gap: float


@dataclass(frozen=True)
class Growth:
    """One size: the extent of every dimension, CPU seconds to the proof, whether it is a prime."""

    extent: int
    seconds: float
    prime: bool


def draw(target: Path, runs: Sequence[Run], sizes: Sequence[Growth]) -> None:
    """Write the figure as SVG or PNG, by the target's suffix."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "hwsim"
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    tools = list(dict.fromkeys(run.tool for run in runs))
    for index, tool in enumerate(tools):
        for run in (run for run in runs if run.tool == tool):
            marker = "o" if run.point == runs[0].point else "s"
            label = f"{tool}, {run.point}"
            left.plot(run.seconds, 100 * run.gap, marker, color=f"C{index}", markersize=9, label=label)
    left.set(xscale="log", xlabel="CPU seconds of the search", ylabel="EDP above the proven optimum, %")
    left.set(title="Golden points, by tool", yscale="symlog", ylim=(-0.5, 1000))
    left.legend(fontsize=7, loc="upper left")
    for prime, marker, label in ((False, "o-", "powers of two"), (True, "s", "primes")):
        chosen = [size for size in sizes if size.prime == prime]
        right.plot([s.extent for s in chosen], [1e3 * s.seconds for s in chosen], marker, label=label)
    right.set(xscale="log", xlabel="m = n = k", ylabel="CPU ms to the proof", title="GEMM on ws16, perfect tiles")
    right.set_xscale("log", base=2)
    right.set_ylim(bottom=0)
    right.legend(fontsize=8)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None, dpi=120)
    pyplot.close(figure)
