"""How values and names stand in a message: short, quoted, listed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["cut", "listed", "quoted"]

_LONGEST: Final = 60
_SHOWN_NAMES: Final = 16


def cut(text: str) -> str:
    """Text that is short enough to stand in a message."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def quoted(text: str) -> str:
    """Text in quotes, cut, with what cannot be printed escaped."""
    return repr(cut(text))


def listed(names: Iterable[str]) -> str:
    """Names one after the other, cut where they become too many to read."""
    every = [cut(name) for name in names]
    if len(every) <= _SHOWN_NAMES:
        return ", ".join(every)
    return f"{', '.join(every[:_SHOWN_NAMES])} … ({len(every)} in all)"
