"""The block that verifies a token tree without touching the committed state, then replays the accepted path."""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from amaranth.lib import wiring

from hwsim.timing import block as timing
from hwsim.timing.scan import parent_fifo_peak
from rtl.base import Ints, require
from rtl.block_unit import NODE_FIELDS, MambaBlockUnit
from rtl.conv import TAPS, window_jobs
from rtl.jobs import FROM_ZERO, tree_jobs
from rtl.mamba_block import MambaBlock

__all__ = ["Speculative"]


@dataclass(frozen=True)
class Speculative(MambaBlock):
    """Parameters of the block that verifies a token tree and commits the accepted path."""

    unit: ClassVar[str] = "speculative"
    speculative: ClassVar[bool] = True

    nodes: int = 4
    fifo: int = 2

    def control_of(self, trees: Sequence[Sequence[int]], accepted: Sequence[Sequence[int]]) -> dict[str, Ints]:
        """Control of steps that verify ``trees`` and commit ``accepted`` paths, from one committed token on.

        The first step is a chain whose first node starts from zero; every tree has ``nodes`` nodes.
        """
        out: dict[str, list[Ints]] = {name: [] for name in (*NODE_FIELDS, "accepted", "zero")}
        history: list[int] = [-1, -1, -1]
        for step, (tree, path) in enumerate(zip(trees, accepted, strict=True)):
            require(
                self.unit,
                (len(tree) == self.nodes, f"a tree of {len(tree)} nodes", f"{self.nodes}"),
                (
                    parent_fifo_peak(tree) <= self.fifo,
                    f"a tree that holds {parent_fifo_peak(tree)} parents",
                    f"{self.fifo}",
                ),
            )
            jobs = tree_jobs(tree, 1)
            if step == 0:
                jobs["source"] = np.where(np.array(tree) < 0, FROM_ZERO, jobs["source"])
            free = [slot for slot in range(self.slots) if slot not in history]
            window = window_jobs(tree, 1, history, free)
            for name in ("source", "pop", "push", "commit"):
                out[name].append(jobs[name])
            for name in ("slot", "ancestor", "blank"):
                out[name].append(window[name])
            out["accepted"].append(np.array(path))
            out["zero"].append(np.array(int(step == 0)))
            history = ([free[node] for node in reversed(path)] + history)[: TAPS - 1]
        arrays: dict[str, Ints] = {name: np.array(values) for name, values in out.items() if name != "accepted"}
        return {**arrays, "accepted": out["accepted"]}  # type: ignore[dict-item]

    def draw(
        self,
        rng: np.random.Generator,
        corner: str = "",
        steps: int = 3,
        trees: Sequence[Sequence[int]] | None = None,
        accepted: Sequence[Sequence[int]] | None = None,
    ) -> dict[str, Ints]:
        """Random data for the given trees and accepted paths (default: a chain, then fans and chains in turn)."""
        chain, fan = tuple(range(-1, self.nodes - 1)), (-1, *([0] * (self.nodes - 1)))
        trees = trees or [fan if step % 2 else chain for step in range(steps)]
        paths = [(0, self.nodes - 1) if step % 2 else (0,) for step in range(1, len(trees))]
        accepted = accepted or [tuple(range(self.nodes)), *paths]
        return {**super().draw(rng, corner, len(trees)), **self.control_of(trees, accepted)}

    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """The phases of the steps; all but the last step's replay lie between outputs."""
        phases = super().phases(inputs)
        paths = [] if inputs is None else list(inputs["accepted"])[:-1]
        return {**phases, "replay": sum(timing.replay_cycles(self.shape, len(path)) for path in paths)}

    def create(self) -> wiring.Component:
        """The hardware."""
        return MambaBlockUnit(self)
