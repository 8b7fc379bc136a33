"""Checks that the constructors of ops share: dimensions, choices, number formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hwsim.errors import Fault, HwsimError, Where
from hwsim.formats import FORMATS, format_named
from hwsim.workload.named import Named
from hwsim.workload.op import Attributes, Axis, Dims, Operand, Role

__all__ = [
    "MAX_DIMENSION",
    "attributes_of",
    "axis",
    "check",
    "choice",
    "choice_fault",
    "dims_of",
    "formats_known",
    "tensor",
]

MAX_DIMENSION: Final = 1_000_000_000
"""Largest extent of one dimension: beyond it a typing error is likelier than a tensor."""


def axis(*terms: str | tuple[str, int]) -> Axis:
    """An axis of one or more dimensions; a bare name has stride 1."""
    return tuple((term, 1) if isinstance(term, str) else term for term in terms)


def tensor(name: str, role: Role, format_: str, *axes: str | Axis) -> Operand:
    """A dense operand; an axis that is a bare name is that dimension with stride 1."""
    return Operand(name, role, tuple(((a, 1),) if isinstance(a, str) else a for a in axes), format_)


def attributes_of(**values: str | float | bool) -> Attributes:
    """The named attributes."""
    return Named(values)


def dims_of(where: str, **extents: int) -> Dims:
    """The named dimensions, each a whole number from 1 to :data:`MAX_DIMENSION`.

    Raises:
        HwsimError: one or more are not; all are reported.
    """
    faults = [
        Fault(Where(where), f"{name}={extent!r}", f"a whole number from 1 to {MAX_DIMENSION:,}")
        for name, extent in extents.items()
        if isinstance(extent, bool) or not isinstance(extent, int) or not 1 <= extent <= MAX_DIMENSION
    ]
    if faults:
        raise HwsimError(*faults)
    return Named(extents)


def check(condition: bool, where: str, found: str, expected: str) -> None:
    """Raise an :class:`HwsimError` unless ``condition`` holds."""
    if not condition:
        raise HwsimError.at(where, found, expected)


def choice(where: str, what: str, value: str, valid: Iterable[str]) -> str:
    """``value`` if it is among ``valid``; otherwise an error with the nearest valid name."""
    names = tuple(valid)
    if value not in names:
        raise HwsimError(choice_fault(where, what, value, names))
    return value


def choice_fault(where: str, what: str, value: str, valid: Iterable[str]) -> Fault:
    """The fault of a name that is not among ``valid``."""
    return HwsimError.unknown_name(where, what, value, valid).faults[0]


def formats_known(where: str, *names: str) -> None:
    """Raise an :class:`HwsimError` that names each number format that does not exist."""
    faults: list[Fault] = []
    for name in names:
        if name not in FORMATS:
            try:
                format_named(name, where)
            except HwsimError as error:
                faults.extend(error.faults)
    if faults:
        raise HwsimError(*faults)
