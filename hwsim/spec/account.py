"""The accounts: every constant of a loaded value, with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from hwsim.spec.nodes import join
from hwsim.spec.quantity import Quantity

__all__ = ["quantities"]


def quantities(value: object, path: str = "") -> Iterator[tuple[str, Quantity]]:
    """Every :class:`Quantity` in a tree of dataclasses, lists and mappings, with its dotted path.

    Args:
        value: a loaded value.
        path: the path of ``value`` itself, put before each path below it.
    """
    if isinstance(value, Quantity):
        yield path, value
    elif is_dataclass(value):
        for each in fields(value):
            yield from quantities(getattr(value, each.name), join(path, each.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from quantities(item, join(path, str(key)))
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from quantities(item, join(path, index))
