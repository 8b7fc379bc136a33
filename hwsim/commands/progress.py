"""The bar that a person sees while something takes more than a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from rich.console import Console as Terminal
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

__all__ = ["PATIENCE_S", "bar", "share_bar"]

T = TypeVar("T")
PATIENCE_S: Final = 1.0
"""Seconds that pass before a bar is shown."""


class _Patient:
    """A rich bar on stderr that is drawn once patience is over, in the middle of an item too."""

    def __init__(self, words: str, total: float, patience_s: float, *columns: ProgressColumn) -> None:
        shown = (TextColumn("{task.description}", markup=False), BarColumn(), *columns)
        self.progress = Progress(*shown, console=Terminal(stderr=True), transient=True, redirect_stdout=False)
        self.task = self.progress.add_task(words, total=total)
        self.began, self.patience_s = time.monotonic(), patience_s
        self.lock, self.is_over = threading.Lock(), False
        self.timer = threading.Timer(patience_s, self.draw)
        self.timer.daemon = True
        self.timer.start()

    def draw(self) -> None:
        """Draw it, if patience is over and it is not there yet."""
        with self.lock:
            waited = time.monotonic() - self.began >= self.patience_s
            if waited and not self.is_over and not self.progress.live.is_started:
                self.progress.start()

    def stop(self) -> None:
        """Take it away; it does not come back."""
        self.timer.cancel()
        with self.lock:
            self.is_over = True
            self.progress.stop()


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
    shown = _Patient(words, total, patience_s, MofNCompleteColumn(), TimeRemainingColumn())

    def step(items: Iterable[T]) -> Iterator[T]:
        for item in items:
            shown.draw()
            yield item
            shown.progress.advance(shown.task)

    try:
        yield step
    finally:
        shown.stop()


@contextmanager
def share_bar(words: str, patience_s: float = PATIENCE_S) -> Iterator[Callable[[float], None]]:
    """The same bar for work that tells which share of it is done.

    Args:
        words: what is being done.
        patience_s: seconds before it is shown.

    Yields:
        A function that moves the bar to a share, 0 to 1.
    """
    shown = _Patient(words, 1.0, patience_s, TaskProgressColumn())

    def tell(share: float) -> None:
        shown.draw()
        shown.progress.update(shown.task, completed=share)

    try:
        yield tell
    finally:
        shown.stop()
