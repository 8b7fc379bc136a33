"""Several machines with one workload: one definition of every column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwsim.errors import Infeasible
from hwsim.result import Result

__all__ = ["Entry", "entry_dict", "feasible"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One machine's answer."""

    device: str
    answer: Result | Infeasible


def feasible(entries: tuple[Entry, ...]) -> bool:
    """Whether at least one machine can run the workload."""
    return any(isinstance(entry.answer, Result) for entry in entries)


def entry_dict(entry: Entry) -> dict[str, Any]:
    """The JSON form: the whole result, or the device with the reason why it cannot."""
    if isinstance(entry.answer, Infeasible):
        return {"device": entry.device, "infeasible": entry.answer.to_dict()}
    return entry.answer.to_dict()
