"""A row of a sweep: the values of a point's axes and the figures of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from hwsim.errors import Infeasible
from hwsim.result import Result

__all__ = ["FIGURES", "Row", "front", "per_unit", "row_of"]

FIGURES: Final = (
    "time_s",
    "step_s",
    "time_per_token_s",
    "tokens_per_s",
    "images_per_s",
    "energy_j",
    "tokens_per_j",
    "images_per_j",
    "bound",
)
"""Fields of a `Result` that a row carries, under the same names; behind them ``infeasible``, the reason why not."""

Row: TypeAlias = dict[str, Any]
"""``point`` (its index), a key for each axis, `FIGURES`, ``infeasible``. Plain values, as JSON has them."""


def row_of(index: int, values: Mapping[str, Any], answer: Result | Infeasible) -> Row:
    """The row of a point."""
    if isinstance(answer, Infeasible):
        return {"point": index, **values, **dict.fromkeys(FIGURES), "infeasible": answer.reason}
    return {"point": index, **values, **{name: getattr(answer, name) for name in FIGURES}, "infeasible": None}


def per_unit(row: Row) -> tuple[float, float] | None:
    """(seconds, joules) for each token or image, over all sequences; None where the point cannot run."""
    rate = row["tokens_per_s"] or row["images_per_s"]
    per_j = row["tokens_per_j"] or row["images_per_j"]
    return (1.0 / rate, 1.0 / per_j) if rate and per_j else None


def front(rows: Sequence[Row]) -> tuple[int, ...]:
    """Points that no other beats in both time and energy for each token or image, by falling rate."""
    costs = sorted((cost, row["point"]) for row in rows if (cost := per_unit(row)) is not None)
    kept: list[int] = []
    least = float("inf")
    for (_, joules), point in costs:
        if joules < least:
            kept.append(point)
            least = joules
    return tuple(kept)
