"""Runs published rows: what the simulator gives, beside what was published.

A predictor is a function of a row's arguments. Families register theirs in a module's `PREDICTORS` table, name ->
function; the modules are imported when rows are run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final, TypeAlias

from hwsim.errors import Fault, HwsimError, Where
from hwsim.published.model import Argument, Paper, PaperRow
from hwsim.result import Constant

__all__ = ["PaperResult", "Prediction", "Predictor", "holds", "predictors", "run_paper", "run_row"]

_TABLES: Final = (
    "hwsim.published.cpu",
    "hwsim.published.fpga",
    "hwsim.published.gpu",
    "hwsim.published.training",
    "hwsim.published.serving",
    "hwsim.published.optical",
)
"""Modules with a table of predictors. A new family adds a line here."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the simulator says to a row.

    Attributes:
        value: the figure; None when there is none.
        unit: its unit. A unit other than the row's means another quantity (the acceptance that a claim would need,
            say), and no error is computed.
        words: what the figure is, when it is not the claim's own quantity; or why there is none.
        constants: the fitted and assumed constants that it leans on.
    """

    value: float | None
    unit: str
    words: str = ""
    constants: tuple[Constant, ...] = ()


Predictor: TypeAlias = Callable[[Mapping[str, Argument]], Prediction]


@dataclass(frozen=True, slots=True)
class PaperResult:
    """A row with its prediction.

    Attributes:
        paper: the paper's name.
        row: what was published.
        prediction: what the simulator gives.
        error: predicted over published, less 1; None where both are not the same quantity.
        verdict: ``reproduced``, ``outside tolerance``, ``trend``, ``not reproduced``, ``inputs not published``.
    """

    paper: str
    row: PaperRow
    prediction: Prediction
    error: float | None
    verdict: str

    @property
    def failed(self) -> bool:
        """Whether the row is marked reproduced and is not."""
        return self.verdict == "outside tolerance"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        row, said = self.row, self.prediction
        return {
            "paper": self.paper,
            "id": row.id,
            "claim": row.claim,
            "published": row.published,
            "unit": row.unit,
            "predicted": said.value,
            "predicted_unit": said.unit,
            "predicted_words": said.words,
            "error": self.error,
            "tolerance": row.tolerance,
            "verdict": self.verdict,
            "fitted_to_it": row.fitted_to_it,
            "why": row.why,
            "source": row.source,
            "read": row.read,
            "constants": {
                kind: [constant.path for constant in said.constants if constant.kind == kind]
                for kind in ("fitted", "assumed")
            },
        }


def predictors() -> dict[str, Predictor]:
    """Every predictor by name."""
    table: dict[str, Predictor] = {}
    for module in _TABLES:
        table |= import_module(module).PREDICTORS
    return table


def run_paper(paper: Paper, table: Mapping[str, Predictor]) -> tuple[PaperResult, ...]:
    """Every row of a paper.

    Args:
        paper: the paper.
        table: predictors by name.

    Raises:
        HwsimError: a row names a predictor that does not exist.
    """
    return tuple(run_row(paper.paper, row, table) for row in paper.rows)


def run_row(paper: str, row: PaperRow, table: Mapping[str, Predictor]) -> PaperResult:
    """One row; see :func:`run_paper`."""
    if row.predict.by not in table:
        raise HwsimError.unknown_name(f"{paper}: {row.id}", "predictor", row.predict.by, table)
    try:
        said = table[row.predict.by](row.predict.arguments)
    except HwsimError as wrong:
        raise HwsimError(*(_in_row(f"{paper}: {row.id}", fault) for fault in wrong.faults)) from None
    error = None
    if said.value is not None and said.unit == row.unit and row.published:
        error = said.value / row.published - 1
    return PaperResult(paper, row, said, error, _verdict(row, error))


def _in_row(place: str, fault: Fault) -> Fault:
    """A fault of a prediction, at its row."""
    return replace(fault, where=Where(f"{place}: {fault.where}"))


def _verdict(row: PaperRow, error: float | None) -> str:
    """The row's verdict, which only `reproduced` has to earn."""
    if row.expected != "reproduced" or row.tolerance is None:
        return row.expected.replace("_", " ")
    return "reproduced" if error is not None and abs(error) <= row.tolerance else "outside tolerance"


def holds(results: tuple[PaperResult, ...]) -> bool:
    """Whether every row that is marked reproduced is within its tolerance."""
    return not any(result.failed for result in results)
