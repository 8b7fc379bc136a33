"""Which machines can be measured, and the module of each, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol, cast

from hwsim.errors import HwsimError

if TYPE_CHECKING:
    from hwsim.measure.folder import Measurement

__all__ = ["Measurer", "Request", "measured_families", "measurer"]

_FAMILIES: Final = ("cpu", "gpu")


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks of `hwsim measure`.

    Attributes:
        date: the day of the measurement, as the user writes it; stored, never looked up.
        quick: fewer shapes and repetitions, for a first look.
        say: takes a line about progress.
        tell: takes the share that is done, 0 to 1.
    """

    date: str
    quick: bool = False
    say: Callable[[str], None] = lambda _: None
    tell: Callable[[float], None] = lambda _: None


class Measurer(Protocol):
    """What a measuring module gives."""

    def measure(self, request: Request) -> Measurement:
        """Time this machine.

        Raises:
            HwsimError: there is no such machine here, or what is needed to time it is not installed.
        """

    def calibrate(self, measurement: Measurement, base: str | None = None) -> str:
        """The text of a catalog file with the constants that the rows give, of kind ``measured``.

        Args:
            measurement: what was timed.
            base: the shipped machine that the file extends; by default the one that the measurement names.

        Raises:
            HwsimError: rows that no such machine can have given, each by file and line; or too few rows.
        """


def measured_families() -> tuple[str, ...]:
    """Names that `hwsim measure` takes."""
    return tuple(name for name in _FAMILIES if find_spec(f"hwsim.measure.{name}") is not None)


def measurer(name: str, where: str = "hwsim measure") -> Measurer:
    """The measuring module of a family.

    Raises:
        HwsimError: there is none.
    """
    if name not in measured_families():
        raise HwsimError.unknown_name(where, "family", name, measured_families())
    return cast("Measurer", import_module(f"hwsim.measure.{name}"))
