"""Who runs the points makes no difference: this process, others, or a Dask cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwsim.commands.sweep import evaluate
from hwsim.errors import HwsimError
from hwsim.sweep import Point, Row, Sweep, dask_executor, points_of, process_executor, run_points

SWEEP = Sweep(
    sweep="s",
    workload="mamba-ar",
    axes={"device": ("vck190", "h100-sxm"), "batch": (1, 2), "device.name": ("x",)},
)


@pytest.fixture(scope="module")
def expected() -> dict[int, Row]:
    """Rows as this process makes them, in order."""
    rows = list(run_points(list(points_of(SWEEP, Path())), evaluate, None))
    assert [row["point"] for row in rows] == [0, 1, 2, 3]
    assert len({row["step_s"] for row in rows}) == 4
    return {row["point"]: row for row in rows}


def test_processes(expected: dict[int, Row]):
    """Worker processes give the same rows to the last bit."""
    with process_executor(2) as executor:
        rows = {row["point"]: row for row in run_points(list(points_of(SWEEP, Path())), evaluate, executor)}
    assert rows == expected


def test_faults_come_back_whole_from_processes():
    """A fault that only a combination shows is raised here with its places."""
    bad = Point(0, {}, "mamba-ar", "vck190", {}, ("device.scan.lanes=nought",))
    with process_executor(1) as executor, pytest.raises(HwsimError, match="nought") as caught:
        list(run_points([bad], evaluate, executor))
    assert caught.value.faults[0].where.source == "--set device.scan.lanes=nought"


@pytest.fixture
def address() -> Iterator[str]:
    """A Dask cluster of one worker process on this machine."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_dask(expected: dict[int, Row], address: str):
    """Dask's workers give the same rows to the last bit."""
    executor = dask_executor(address)
    rows = {row["point"]: row for row in run_points(list(points_of(SWEEP, Path())), evaluate, executor)}
    executor.shutdown()
    assert rows == expected


def test_without_dask(monkeypatch: pytest.MonkeyPatch):
    """The message says what to install, and what does without."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(HwsimError, match="distributed is not installed; expected Dask"):
        dask_executor("tcp://127.0.0.1:1")


def test_no_scheduler(monkeypatch: pytest.MonkeyPatch):
    """An address where none answers, and what is no address, are faults of the option."""
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr("hwsim.sweep.run._CONNECT_S", 0.5)
    for wrong in ("tcp://127.0.0.1:1", "nowhere://x"):
        with pytest.raises(HwsimError, match="expected the address of a running scheduler"):
            dask_executor(wrong)
