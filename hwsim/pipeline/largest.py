"""The largest batch and context that a machine's memory holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hwsim.errors import HwsimError, Infeasible

if TYPE_CHECKING:
    from hwsim.pipeline.question import Question

__all__ = ["Demand", "largest", "with_levers"]

Demand = Callable[["Question"], float]
"""Bytes that a question needs in memory (of one card)."""

_MOST: Final = 10**8
_ROWS: Final = 10**9


def largest(demand: Demand, capacity: float, question: Question) -> dict[str, int | None]:
    """The largest batch at this context, and the longest context at this batch, that fit.

    The demand grows with either, so the last that fits is found by halving, after a first guess along a straight line
    (which the demand nearly is). None: a context of any length fits, as a recurrent state does not grow. 0: none does.
    """
    batch, context = question.batch or 1, question.context or 0
    batches = _last(lambda n: demand(replace(question, batch=n)), 1, min(_MOST, _ROWS // max(1, context)), capacity)
    lengths = _last(lambda n: demand(replace(question, context=n)), 1, min(_MOST, _ROWS // batch), capacity)
    return {"batch": batches, "context": lengths}


def _last(demand: Callable[[int], float], least: int, most: int, capacity: float) -> int | None:
    """The last whole number whose demand fits; None where ``most`` does, 0 where ``least`` does not."""
    low, high = least, most
    at_low = _cost(demand, low)
    if at_low > capacity:
        return 0
    at_high = _cost(demand, high)
    if at_high <= capacity:
        return None
    while high - low > 1:
        guess = low + int((high - low) * (capacity - at_low) / (at_high - at_low))
        guess = min(max(guess, low + 1), high - 1)
        for middle in dict.fromkeys((guess, min(guess + 1, high - 1))):
            cost = _cost(demand, middle)
            if cost <= capacity and middle >= low:
                low, at_low = middle, cost
            elif cost > capacity and middle <= high:
                high, at_high = middle, cost
        if high - low > 2:
            middle = (low + high) // 2
            cost = _cost(demand, middle)
            low, at_low, high, at_high = (
                (middle, cost, high, at_high) if cost <= capacity else (low, at_low, middle, cost)
            )
    return low


def _cost(demand: Callable[[int], float], count: int) -> float:
    """The demand; infinite where a graph of that many cannot even be stated."""
    try:
        return demand(count)
    except HwsimError:
        return float("inf")


def with_levers(answer: Infeasible, found: dict[str, int | None]) -> Infeasible:
    """The refusal with what would fit as its first levers; the reason says so where no batch and no context would."""
    levers = tuple(f"--{name} {count} at most, the rest as asked" for name, count in found.items() if count)
    hopeless = all(count == 0 for count in found.values())
    reason = f"{answer.reason}, whatever the batch and the context" if hopeless else answer.reason
    return replace(answer, reason=reason, levers=(*levers, *answer.levers))
