"""`hwsim sweep`: a row for each point, the same that `simulate` says; stopped and gone on with; faults."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.commands import sweep as command
from hwsim.errors import HwsimError
from hwsim.sweep import FIGURES, Point, Row

Capture = pytest.CaptureFixture[str]

SPEC = """\
sweep: boards
workload: mamba-ar
axes:
  device: [vck190, h100-sxm, mine.yaml]
  batch: [1, 3]
"""
MINE = "extends: h100-sxm\nname: mine\nmemory:\n  capacity: {value: 1, unit: GB, kind: assumed, source: small}\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A sweep over two shipped machines and one beside it, which is too small."""
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "s.yaml").write_text(SPEC)
    return tmp_path / "s.yaml"


def test_rows_are_those_of_simulate(spec: Path, capsys: Capture):
    """Every figure of every row is the field of that name in the answer of `simulate` to the same words."""
    assert main(["sweep", str(spec), "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["axes"] == {"device": ["vck190", "h100-sxm", "mine.yaml"], "batch": [1, 3]}
    assert any(name.endswith("mine.yaml") for name in found["inputs"])
    for row in found["results"][:4]:
        words = ["simulate", "mamba-ar", "--device", row["device"], "--batch", str(row["batch"]), "--json", "-"]
        assert main(words) == 0
        answer = json.loads(capsys.readouterr().out)
        assert {name: row[name] for name in FIGURES} == {name: answer.get(name) for name in FIGURES}
    assert [row["infeasible"] is None for row in found["results"]] == [True] * 4 + [False] * 2
    assert set(found["front"]) <= {0, 1, 2, 3}


def test_table_and_file(spec: Path, tmp_path: Path, capsys: Capture):
    """The table marks the best and says why points cannot run; the CSV has a row for each, and no journal stays."""
    out = tmp_path / "rows.csv"
    assert main(["sweep", str(spec), "--out", str(out)]) == 0
    text = capsys.readouterr()
    assert "boards: 6 points, 2 of them infeasible" in text.out
    assert "Why points cannot run" in text.out
    assert "mine holds 1 GB" in text.out
    assert f"wrote {out}: 6 rows, 2 of them infeasible" in text.err
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["device"] for row in rows] == ["vck190", "vck190", "h100-sxm", "h100-sxm", "mine.yaml", "mine.yaml"]
    assert all(bool(row["time_s"]) != bool(row["infeasible"]) for row in rows)
    assert not list(tmp_path.glob("*.partial"))


def test_a_stopped_sweep_goes_on(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    """Interrupted after two points it is refused without --resume, and with it runs only the rest: the same bytes."""
    whole, out = tmp_path / "whole.csv", tmp_path / "rows.csv"
    assert main(["sweep", str(spec), "--out", str(whole), "--quiet"]) == 0
    ran: list[int] = []

    def stopping(point: Point) -> Row:
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(point.index)
        return evaluate(point)

    evaluate = command.evaluate
    monkeypatch.setattr(command, "evaluate", stopping)
    words = ["sweep", str(spec), "--out", str(out)]
    assert main(words) == 130
    assert not out.exists()
    assert main(words) == 2
    assert "2 rows of a sweep that was stopped; expected --resume" in capsys.readouterr().err
    ran.clear()
    monkeypatch.setattr(command, "evaluate", lambda point: (ran.append(point.index), evaluate(point))[1])
    assert main([*words, "--resume"]) == 0
    assert "2 of 6 points were done before" in capsys.readouterr().err
    assert ran == [2, 3, 4, 5]
    assert out.read_bytes() == whole.read_bytes()


def test_none_can_run(spec: Path):
    """Exit code 3 where no point has an answer."""
    spec.write_text("sweep: s\nworkload: mamba-ar\ndevice: mine.yaml\naxes: {batch: [1, 2]}\n")
    assert main(["sweep", str(spec), "--quiet"]) == 3


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ("{device.scan.lans: [1]}", "unknown path 'scan.lans'"),
        ("{batch: [0]}", "s.yaml: axes.batch: 0; expected a whole number of at least 1"),
        ("{batch: [two]}", "s.yaml: axes.batch: 'two'; expected a whole number of at least 1"),
        ("{phase: [decoed]}", "axes.phase: unknown phase 'decoed'"),
        ("{transform: [squash]}", "squash"),
    ],
)
def test_faults_are_told_before_anything_runs(
    axes: str, words: str, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    """A value that no point can have is the file's fault, named with its axis; nothing was run."""
    monkeypatch.setattr(command, "evaluate", lambda point: pytest.fail("it ran"))
    spec.write_text(f"sweep: s\nworkload: mamba-ar\ndevice: vck190\naxes: {axes}\n")
    assert main(["sweep", str(spec)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--resume"], "--resume without --out"),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "--workers and --scheduler; expected one of the two"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_options_that_contradict(words: list[str], said: str, spec: Path, capsys: Capture):
    """Told before the file is read."""
    assert main(["sweep", str(spec), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_fault_of_a_combination_keeps_what_is_done(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    """A combination that a machine refuses ends the sweep with its fault; the rows before it wait in the journal."""

    def refusing(point: Point) -> Row:
        if point.index == 3:
            raise HwsimError.at("--set", "both at once", "one of them")
        return evaluate(point)

    evaluate = command.evaluate
    monkeypatch.setattr(command, "evaluate", refusing)
    assert main(["sweep", str(spec), "--out", str(tmp_path / "rows.csv")]) == 2
    assert "both at once" in capsys.readouterr().err
    assert len((tmp_path / "rows.csv.partial").read_text().splitlines()) == 1 + 3


def test_check_knows_sweeps(spec: Path, capsys: Capture):
    """`hwsim check` tells a sweep's faults as it does those of other files."""
    assert main(["check", str(spec)]) == 0
    assert "s.yaml: sweep, no faults" in capsys.readouterr().out
    spec.write_text(SPEC.replace("batch: [1, 3]", "batch: []"))
    assert main(["check", str(spec)]) == 2


@pytest.mark.parametrize(("goes_wrong", "waits"), [(False, True), (True, False)])
def test_workers_are_waited_for_at_the_end_only(
    goes_wrong: bool, waits: bool, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    """A pool that still closes as Python exits prints a traceback; after a fault no point in flight is waited for."""
    ended: list[bool] = []

    class Workers:
        def submit(self, work: Callable[[Point], Row], point: Point) -> Future[Row]:
            done: Future[Row] = Future()
            if goes_wrong:
                done.set_exception(HwsimError("a worker is gone"))
            else:
                done.set_result(work(point))
            return done

        def shutdown(self, wait: bool = True) -> None:  # all that Dask's executor takes
            ended.append(wait)

    monkeypatch.setattr(command, "_executor", lambda arguments, points: Workers())
    assert main(["sweep", str(spec)]) == (2 if goes_wrong else 0)
    capsys.readouterr()
    assert ended == [waits]
