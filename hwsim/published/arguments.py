"""What a row passes to its predictor, read by name; a wrong or missing one is a fault of the row.

A name without a default must be given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from hwsim.errors import HwsimError
from hwsim.published.model import Argument
from hwsim.workload.kernel import build_kernel
from hwsim.workload.op import Op

__all__ = ["Arguments", "count", "number", "of_baseline", "op_of", "pairs", "refused", "text", "words"]

Arguments: TypeAlias = Mapping[str, Argument]


def refused(name: str, found: str, expected: str) -> HwsimError:
    """The fault of an argument."""
    return HwsimError.at(f"predict.arguments.{name}", found, expected)


def of_baseline(arguments: Arguments, head: str) -> Arguments:
    """The arguments with those that start with ``head`` (``baseline_``, or none) in the place of their namesakes."""
    own = {name.removeprefix(head): value for name, value in arguments.items() if head and name.startswith(head)}
    return {**arguments, **own}


def text(arguments: Arguments, name: str, default: str | None = None) -> str:
    """A text, not empty where it must be given."""
    value = arguments.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise refused(name, _sight(value), "a text")
    return value


def words(arguments: Arguments, name: str) -> tuple[str, tuple[str, ...]]:
    """A name, and what is set behind it: ``spr-56c memory=hbm``."""
    first, *rest = text(arguments, name).split()
    return first, tuple(rest)


def number(arguments: Arguments, name: str, default: float | None = None) -> float:
    """A number."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused(name, _sight(value), "a number")
    return float(value)


def count(arguments: Arguments, name: str, default: int | None = None) -> int:
    """A whole number."""
    value = number(arguments, name, default)
    if not value.is_integer():
        raise refused(name, f"{value:g}", "a whole number")
    return int(value)


def pairs(kernel: str, kind: str = "") -> dict[str, str]:
    """The ``name=value`` arguments of a kernel that is written as ``KIND name=value …``.

    Raises:
        HwsimError: a word has no =, or the kind is not ``kind`` where that is given.
    """
    found, *given = kernel.split() or [""]
    if kind and found != kind:
        raise refused("kernel", repr(found), kind)
    loose = [word for word in given if "=" not in word]
    if loose:
        raise refused("kernel", repr(loose[0]), "KIND name=value …")
    return dict(word.split("=", 1) for word in given)


def op_of(kernel: str) -> Op:
    """The op of a kernel that is written as ``KIND name=value …``."""
    return build_kernel(kernel.partition(" ")[0], pairs(kernel), "predict.arguments")


def _sight(value: Argument | None) -> str:
    return "nothing" if value is None or value == "" else repr(value)
