"""The bar that a person sees while something takes more than a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["PATIENCE_S", "bar"]

T = TypeVar("T")
PATIENCE_S: Final = 1.0
"""Seconds that pass before a bar is shown."""


@contextmanager
def bar(words: str, total: int, patience_s: float = PATIENCE_S) -> Iterator[Callable[[Iterable[T]], Iterator[T]]]:
    """A bar on stderr that is gone when the work is done; rich honours NO_COLOR and the terminal's width.

    Args:
        words: what is being done.
        total: items.
        patience_s: seconds before it is shown.

    Yields:
        A function that goes through the items and moves the bar by one for each.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Terminal(stderr=True), transient=True, redirect_stdout=False)
    task = progress.add_task(words, total=total)
    began = time.monotonic()

    def step(items: Iterable[T]) -> Iterator[T]:
        for item in items:
            if not progress.live.is_started and time.monotonic() - began >= patience_s:
                progress.start()
            yield item
            progress.advance(task)

    try:
        yield step
    finally:
        progress.stop()
