"""Marks for schema fields: ``Annotated[Quantity, Unit("Hz"), Positive]``.

A mark is a plain value; pydantic finds it by the method ``__get_pydantic_core_schema__`` and is imported
only when a file is loaded, so that declaring a schema costs nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from hwsim.errors import did_you_mean
from hwsim.spec.dimension import COUNTED, convert, examples_of, suggest_unit
from hwsim.spec.words import listed

if TYPE_CHECKING:
    from hwsim.spec.quantity import Quantity

__all__ = ["Bound", "Fraction", "NonNegative", "OneOf", "Positive", "Refused", "Tagged", "Unit"]

_T = TypeVar("_T")


class Refused(ValueError):  # noqa: N818 - reads as a verdict where it is raised
    """Raise it in a schema's ``__post_init__`` to refuse a value in the field's terms.

    Args:
        found: what is wrong; empty to show the value as the user wrote it.
        expected: what would be right.
        at: the field below the dataclass that the fault should point at, as ``parents[2]``.
        suggestion: the nearest valid value, if there is one.
    """

    def __init__(self, found: str, expected: str, at: str = "", suggestion: str | None = None) -> None:
        super().__init__(f"{found}; expected {expected}")
        self.found = found
        self.expected = expected
        self.at = at
        self.suggestion = suggestion


class _Check(ABC):
    """A mark that checks or converts a value once its type is right."""

    __slots__ = ()

    @abstractmethod
    def apply(self, value: Any) -> Any:
        """The value, converted; raises :class:`Refused`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - pydantic is loaded with the first file

        return core_schema.no_info_after_validator_function(self.apply, handler(source))


@dataclass(frozen=True, slots=True)
class Unit(_Check):
    """The unit in which a field holds its :class:`Quantity`; any unit of the same dimension is converted.

    Attributes:
        name: the unit, as ``bytes/s``; ``"1"`` for a pure number.
    """

    name: str

    def apply(self, value: Quantity) -> Quantity:
        """The quantity in this unit; raises :class:`Refused` when it measures something else."""
        number = convert(value.value, value.unit, self.name)
        if number is None and value.unit == "1" and self.name in COUNTED:
            number = value.value
        if number is None:
            raise Refused("", str(self), at="unit", suggestion=suggest_unit(value.unit, self.name))
        return replace(value, value=number, unit=self.name)

    def __str__(self) -> str:
        if self.name in ("", "1"):
            return "a pure number (unit: 1)"
        examples = examples_of(self.name)
        return f"a unit of {self.name}" + (f" (or {', '.join(examples)})" if examples else "")


@dataclass(frozen=True, slots=True)
class Bound(_Check):
    """The range that a number or a :class:`Quantity` must lie in, ends included unless ``open_*`` says so."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    def apply(self, value: Any) -> Any:
        """The value itself; raises :class:`Refused` outside the range."""
        is_quantity = hasattr(value, "value")
        number = value.value if is_quantity else value
        too_low = self.low is not None and not (number > self.low if self.open_low else number >= self.low)
        too_high = self.high is not None and not (number < self.high if self.open_high else number <= self.high)
        if too_low or too_high:
            what = "a whole number" if isinstance(number, int) else "a number"
            raise Refused("", f"{what} {self}", at="value" if is_quantity else "")
        return value

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        out = handler(schema)
        if out.get("type") in ("number", "integer"):
            if self.low is not None:
                out["exclusiveMinimum" if self.open_low else "minimum"] = self.low
            if self.high is not None:
                out["exclusiveMaximum" if self.open_high else "maximum"] = self.high
        return out

    def __str__(self) -> str:
        parts = []
        if self.low is not None:
            parts.append(f"above {self.low:g}" if self.open_low else f"of at least {self.low:g}")
        if self.high is not None:
            parts.append(f"below {self.high:g}" if self.open_high else f"of at most {self.high:g}")
        return " and ".join(parts)


Positive: Final = Bound(low=0, open_low=True)
"""Above zero."""
NonNegative: Final = Bound(low=0)
"""Zero or more."""
Fraction: Final = Bound(low=0, high=1, open_low=True)
"""In (0, 1]."""


@dataclass(frozen=True, slots=True)
class OneOf(_Check):
    """A text that must be one of ``names``, for sets that are known only when the program runs.

    Attributes:
        names: the valid texts, in the order in which a message lists them.
    """

    names: tuple[str, ...]

    def apply(self, value: str) -> str:
        """The text itself; raises :class:`Refused` with the nearest valid one."""
        if value not in self.names:
            raise Refused("", f"one of {listed(self.names)}", suggestion=did_you_mean(value, self.names))
        return value

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {**handler(schema), "enum": list(self.names)}


@dataclass(frozen=True, slots=True)
class Tagged:
    """Which member of a union of dataclasses is meant: the one whose Literal field ``field`` has the value given."""

    field: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import Field  # noqa: PLC0415 - pydantic is loaded with the first file

        return handler.generate_schema(Annotated[source, Field(discriminator=self.field)])
