"""`Certificate`: what an answer of a search is worth, whatever was searched: nests, blockings, a library's tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Certificate", "Mode", "Objective", "Space", "exhausted"]

Objective = Literal["latency", "energy", "edp", "pareto"]
"""What a search makes least; ``pareto``: the front of cycles and energy."""
Space = Literal["perfect", "imperfect"]
"""Nests that are searched: factors divide, or any tile."""
Mode = Literal["ideal", "pipelined"]
"""Cycles of a nest: the busiest part's, or with fill, drain and stalls."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an answer is worth.

    Attributes:
        space: what was searched: ``perfect`` or ``imperfect`` nests, ``dataflow``, ``blockings``, ``menu``.
        objective: what was minimised.
        optimal: nothing in the space is better.
        lower_bound: no nest of the space has a smaller objective (cycles, pJ, or pJ x cycles).
        gap: how far the answer may be above the best, as a share of the lower bound; 0 when optimal.
        represented: nests of the space (orders of loops between two tiles count once: they cost the same).
        evaluated: nests costed one by one, in the mode.
        pruned: rule -> nests that it spared: ``dominated``, ``capacity``, ``bound``; ``unsearched`` when out of budget.
            In ``pipelined`` mode ``bound``: not costed, by a bound of its own or that of ``ideal`` mode.
        mode: cycles counted: ``ideal`` or ``pipelined``.
    """

    space: str
    objective: str
    optimal: bool
    lower_bound: float
    gap: float
    represented: int
    evaluated: int
    pruned: dict[str, int]
    mode: Mode = "ideal"

    @property
    def form(self) -> dict[str, Any]:
        """Its fields in the answer of `hwsim map`."""
        return {
            "optimal": self.optimal,
            "lower_bound": self.lower_bound,
            "gap": self.gap,
            "space": self.space,
            "nests": {
                "represented": self.represented,
                "evaluated": self.evaluated,
                "pruned": dict(self.pruned),
            },
        }


def exhausted(
    space: str, objective: str, found: float, represented: int, *, least: float | None = None,
    left_out: dict[str, int] | None = None, mode: Mode = "ideal",
) -> Certificate:  # fmt: skip
    """The certificate of a space that was tried whole: its least member is the bound.

    Args:
        space: its name.
        objective: what was minimised.
        found: the objective of the answer.
        represented: members of the space.
        least: the least objective of all members, where software chooses by another rule; default ``found``.
        left_out: rule -> members that it excludes without a trial.
        mode: cycles counted.
    """
    pruned = left_out or {}
    tried = represented - sum(pruned.values())
    bound = found if least is None else least
    gap = found / bound - 1 if found > bound else 0.0
    return Certificate(space, objective, found <= bound, bound, gap, represented, tried, pruned, mode)
