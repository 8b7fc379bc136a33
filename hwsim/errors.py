"""The error tree: what a user can mend, and what cannot run at all.

Two kinds of bad news, kept apart:

* :class:`HwsimError` - the user's input is wrong and he can mend it. It carries one or more
  :class:`Fault` records (where, what was found, what was expected, the nearest valid name).
  The command line prints them and exits with 2.
* :class:`Infeasible` - the input is right, but the machine cannot do it. It is a *value*, not an
  exception: it is returned, stored, printed in tables and written as JSON (exit code 3).

Anything else that escapes is our own bug (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Fault", "HwsimError", "Infeasible", "Where", "did_you_mean"]


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the user's input: a file with line and column (1-based), or a word such as ``--set``."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.source]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, what was found, what was expected, the nearest valid name."""

    where: Where
    found: str
    expected: str
    suggestion: str | None = None

    def __str__(self) -> str:
        text = f"{self.where}: {self.found}; expected {self.expected}"
        return f"{text}; did you mean {self.suggestion!r}?" if self.suggestion else text


class HwsimError(Exception):
    """The user's input is wrong in one or more places.

    Args:
        faults: every fault found, in the order of their places. At least one.
    """

    def __init__(self, *faults: Fault) -> None:
        if not faults:
            raise ValueError("HwsimError needs at least one Fault")
        self.faults: tuple[Fault, ...] = faults
        super().__init__("\n".join(str(fault) for fault in faults))

    def __reduce__(self) -> tuple[type[HwsimError], tuple[Fault, ...]]:
        """Its faults, not its text, so that it reaches other processes whole."""
        return type(self), self.faults

    @classmethod
    def at(cls, source: str | Where, found: str, expected: str, suggestion: str | None = None) -> HwsimError:
        """An error with a single fault; ``source`` is a file, an option name or a full :class:`Where`."""
        where = source if isinstance(source, Where) else Where(source)
        return cls(Fault(where, found, expected, suggestion))

    @classmethod
    def unknown_name(cls, source: str | Where, what: str, name: str, valid: Iterable[str]) -> HwsimError:
        """An error for a name that is not among ``valid``, with the nearest valid one suggested."""
        names = sorted(valid)
        return cls.at(source, f"unknown {what} {name!r}", "one of " + ", ".join(names), did_you_mean(name, names))


@dataclass(frozen=True, slots=True)
class Infeasible:
    """The machine cannot do what was asked: an answer, not a crash.

    Attributes:
        resource: what runs out or is missing (``"LUT"``, ``"attention unit"``).
        demand: how much is needed, in ``unit``.
        bound: how much there is, in ``unit``.
        unit: unit of ``demand`` and ``bound``.
        reason: one sentence for a reader.
        terms: what the demand is made of, each in ``unit``; they add up to ``demand``.
        levers: what the user could change, most effective first.
        sources: where figures of ``terms`` come from (kind and source), where a machine tells.
    """

    resource: str
    demand: float
    bound: float
    unit: str
    reason: str
    terms: Mapping[str, float] = field(default_factory=dict)
    levers: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form (DESIGN section 5)."""
        return {
            "resource": self.resource,
            "demand": self.demand,
            "bound": self.bound,
            "unit": self.unit,
            "reason": self.reason,
            "terms": dict(self.terms),
            "levers": list(self.levers),
            **({"sources": dict(self.sources)} if self.sources else {}),
        }

    def __str__(self) -> str:
        text = f"{self.reason} ({self.resource}: needs {self.demand:,.6g} {self.unit}, has {self.bound:,.6g})"
        return f"{text}. Try: {'; '.join(self.levers)}" if self.levers else text


def did_you_mean(word: str, valid: Iterable[str]) -> str | None:
    """The valid name nearest to ``word``, or None when nothing is near.

    The shortest that begins so (three letters or more), else the nearest by difflib (ratio of at least 0.6); case
    does not count.
    """
    names, asked = {name.lower(): name for name in valid}, word.lower()
    begun = [name for name in names if name.startswith(asked)] if len(asked) > 2 else []
    near = [min(begun, key=len)] if begun else difflib.get_close_matches(asked, names, n=1, cutoff=0.6)
    return names[near[0]] if near else None
