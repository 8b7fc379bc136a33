"""A paper's catalogue: what it published, where that was read, and which predictor stands against it.

A file of `hwsim/published/` in YAML:

    paper: lightmamba                    # the name that a user types
    title: "LightMamba: ..."
    reference: arXiv 2502.15260
    rows:
      - id: vck190-tokens-per-s          # unique in the file
        claim: Mamba-2 2.7B, W4A4, decode on VCK190
        published: 7.21
        unit: tokens/s
        source: PKU-SEC-Lab/LightMamba, README.md, results table
        read: repository                 # paper | repository | third-party | derived | memory
        expected: reproduced             # reproduced | trend | not_reproduced | inputs_not_published
        tolerance: 0.01                  # relative; with `reproduced` only
        fitted_to_it: true               # a constant was fitted to this figure, or is what it leaves over
        why: what the verdict rests on, or what is missing
        predict:
          by: decode_tokens_per_s        # a name of the table of predictors
          arguments: {device: vck190, workload: mamba-ar}
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from hwsim.errors import HwsimError
from hwsim.spec import Positive, Refused, load, read

__all__ = ["Argument", "Expected", "Paper", "PaperRow", "Predict", "find_paper", "paper_names"]

Expected: TypeAlias = Literal["reproduced", "trend", "not_reproduced", "inputs_not_published"]
Read: TypeAlias = Literal["paper", "repository", "third-party", "derived", "memory"]
Argument: TypeAlias = str | float | bool | tuple[float, ...] | tuple[str, ...]

_FOLDER: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Predict:
    """How the simulator's figure is made.

    Attributes:
        by: the predictor's name.
        arguments: what it is called with.
    """

    by: str
    arguments: dict[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One published figure.

    Attributes:
        id: unique in its paper.
        claim: what was measured, in a line.
        published: the figure, in ``unit``.
        unit: its unit; ``x`` for a ratio.
        source: where the figure stands.
        read: how it was read.
        expected: what the simulator is expected to do. ``reproduced``: it must land within ``tolerance``.
        why: what the verdict rests on, or what is missing.
        predict: how the simulator's figure is made.
        tolerance: relative; exactly with ``reproduced``.
        fitted_to_it: whether the prediction leans on a constant that was fitted to this very figure, or that is the
            remainder of it: to reproduce it then says less.
    """

    id: str
    claim: str
    published: float
    unit: str
    source: str
    read: Read
    expected: Expected
    why: str
    predict: Predict
    tolerance: Annotated[float, Positive] | None = None
    fitted_to_it: bool = False

    def __post_init__(self) -> None:
        if self.expected == "reproduced" and self.tolerance is None:
            raise Refused("expected: reproduced without a tolerance", "a tolerance, as 0.01 for 1 %", at="expected")
        if self.expected != "reproduced" and self.tolerance is not None:
            raise Refused(
                f"a tolerance with expected: {self.expected}", "none: only reproduced has one", at="tolerance"
            )
        if self.fitted_to_it and self.expected != "reproduced":
            raise Refused(
                f"fitted_to_it with expected: {self.expected}", "false: only reproduced has it", at="fitted_to_it"
            )


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper and its rows.

    Attributes:
        paper: the name that a user types.
        title: its title.
        reference: where it is found.
        rows: its figures, in the order in which they are shown.
        note: what a reader should know of all rows.
    """

    paper: str
    title: str
    reference: str
    rows: tuple[PaperRow, ...]
    note: str = ""

    def __post_init__(self) -> None:
        ids = [row.id for row in self.rows]
        for place, name in enumerate(ids):
            if name in ids[:place]:
                raise Refused("", "an id that no other row has", at=f"rows[{place}].id")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}


def paper_names() -> tuple[str, ...]:
    """Names of the papers that ship, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def find_paper(name_or_file: str) -> Paper:
    """The paper of a shipped name or a file.

    Raises:
        HwsimError: there is none, or all that is wrong in it.
    """
    if "/" in name_or_file or name_or_file.endswith((".yaml", ".yml")):
        return load(read(name_or_file), Paper)
    if name_or_file not in paper_names():
        raise HwsimError.unknown_name("paper", "paper", name_or_file, paper_names())
    return load(read(_FOLDER / f"{name_or_file}.yaml"), Paper)
