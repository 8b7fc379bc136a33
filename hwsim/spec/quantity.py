"""A number that says where it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hwsim.spec.fields import Refused

__all__ = ["SOURCE_OF_SET", "Kind", "Quantity"]

Kind: TypeAlias = Literal["datasheet", "measured", "derived", "fitted", "assumed", "set"]
"""How sure a number is, and who vouches for it."""

SOURCE_OF_SET: Final = "set by the user"
"""The source of a quantity that the user set for one run."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with its unit, its kind and its source.

    Attributes:
        value: the number, in ``unit``; it may be ``.inf`` (an ideal part), never ``.nan``.
        unit: the unit; after loading, the one that the field declares.
        kind: ``datasheet``, ``measured``, ``derived`` (computed from others), ``fitted`` (to ``rows``),
            ``assumed`` (no source exists) or ``set`` (by the user, for this run).
        source: the document, the derivation, or the reason of the assumption.
        rows: what it was fitted on; required when ``kind`` is ``fitted``.
    """

    value: float
    unit: str
    kind: Kind
    source: str
    rows: str | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.value):
            raise Refused("", "a number", at="value")
        if not self.source.strip():
            raise Refused("", "where the number comes from", at="source")
        if self.kind == "fitted" and not (self.rows or "").strip():
            raise Refused("a fitted value without rows", "rows: the published rows it was fitted on")

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}".rstrip()
