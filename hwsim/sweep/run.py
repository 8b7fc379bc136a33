"""Points to rows: one after the other here, in worker processes, or on a Dask cluster. Rows come back in any order."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from importlib import import_module
from typing import Any, cast

from hwsim.errors import HwsimError
from hwsim.sweep.outcome import Row
from hwsim.sweep.points import Point

__all__ = ["dask_executor", "process_executor", "run_points"]

_CONNECT_S = 10


def run_points(points: Sequence[Point], evaluate: Callable[[Point], Row], executor: Executor | None) -> Iterator[Row]:
    """A row for each point, as they are done.

    Args:
        points: what to run.
        evaluate: a point to its row; a function of a module, where an executor sends it to other processes.
        executor: who runs them; None for this process, in order. What has not begun is cancelled when the caller stops.
    """
    if executor is None:
        yield from map(evaluate, points)
        return
    futures = [executor.submit(evaluate, point) for point in points]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def process_executor(workers: int) -> Executor:
    """Worker processes of this machine, each a fresh interpreter: numba's and BLAS' threads survive no fork."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def dask_executor(address: str) -> Executor:
    """The workers of a Dask scheduler, on whose machines hwsim is installed and the sweep's files can be read.

    Args:
        address: ``tcp://HOST:PORT``.

    Raises:
        HwsimError: Dask is not installed, or no scheduler answers.
    """
    try:
        distributed: Any = import_module("distributed")  # an optional dependency, for this option alone
    except ImportError:
        expected = "Dask (pip install distributed), or --workers N for processes of this machine"
        raise HwsimError.at("--scheduler", "the package distributed is not installed", expected) from None
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        found = f"{address!r}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        raise HwsimError.at("--scheduler", found, "the address of a running scheduler, as tcp://HOST:8786") from None
    return cast("Executor", client.get_executor())
