"""The journal of a sweep: nothing that was finished is lost, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import HwsimError
from hwsim.sweep import Journal

INPUTS = {"a.yaml": "12", "hwsim": "0.1.0"}


def rows(count: int) -> list[dict[str, object]]:
    """Rows as a sweep makes them."""
    return [{"point": index, "batch": index + 1, "time_s": 0.1 * index, "infeasible": None} for index in range(count)]


def written(target: Path, count: int) -> Path:
    """A journal with some rows."""
    with Journal(target, INPUTS, False) as journal:
        for row in rows(count):
            journal.keep(row)
    return journal.path


def test_rows_come_back(tmp_path: Path):
    """Also without a last line that was cut off in the middle, and more can be written behind."""
    path = written(tmp_path / "out.csv", 3)
    path.write_bytes(path.read_bytes()[:-7])
    with Journal(tmp_path / "out.csv", INPUTS, True) as journal:
        assert list(journal.rows.values()) == rows(2)
        journal.keep(rows(4)[3])
    with Journal(tmp_path / "out.csv", INPUTS, True) as journal:
        assert list(journal.rows.values()) == [*rows(2), rows(4)[3]]
    journal.remove()
    assert not path.exists()


def test_a_stopped_sweep_is_not_written_over(tmp_path: Path):
    """Without `--resume` what is there stays, and the message says how to go on."""
    path = written(tmp_path / "out.csv", 3)
    before = path.read_bytes()
    with pytest.raises(HwsimError, match="3 rows of a sweep that was stopped; expected --resume"):
        Journal(tmp_path / "out.csv", INPUTS, False).__enter__()
    assert path.read_bytes() == before


def test_rows_of_other_inputs_are_refused(tmp_path: Path):
    """A changed file or version makes rows that do not belong together."""
    path = written(tmp_path / "out.csv", 1)
    with pytest.raises(HwsimError, match="of other files or another version"):
        Journal(tmp_path / "out.csv", {**INPUTS, "a.yaml": "13"}, True).__enter__()
    assert path.exists()


@pytest.mark.parametrize("text", ["no json\n", "[1]\n", '{"digest": "x"}\n{"batch": 3}\n', "\xff\xfe\n"])
def test_other_files_are_refused(tmp_path: Path, text: str):
    """What is no journal is not written over either."""
    (tmp_path / "out.csv.partial").write_text(text, encoding="latin-1")
    with pytest.raises(HwsimError, match="no journal of a sweep"):
        Journal(tmp_path / "out.csv", INPUTS, True).__enter__()


@pytest.mark.parametrize(("old", "new"), [('"batch": 2', '"batch": 9'), ('"point"', '"paint"'), ("0.1", "0.2")])
def test_a_damaged_row_is_not_taken_for_an_answer(tmp_path: Path, old: str, new: str):
    """A figure, a name or an axis that changed on the disk is told; the file is left as it is."""
    path = written(tmp_path / "out.csv", 3)
    path.write_text(path.read_text().replace(old, new))
    before = path.read_bytes()
    with pytest.raises(HwsimError, match="a damaged one"):
        Journal(tmp_path / "out.csv", INPUTS, True).__enter__()
    assert path.read_bytes() == before


def test_a_folder_is_no_file(tmp_path: Path):
    """`--out .`, said before any point runs."""
    with pytest.raises(HwsimError, match="cannot write: it is a folder"):
        Journal(tmp_path, INPUTS, False).__enter__()
    with pytest.raises(HwsimError, match=r"^\.: cannot write: it is a folder"):
        Journal(Path(), INPUTS, False).__enter__()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices here")
def test_nothing_is_kept_beside_a_device():
    """`--out /dev/stdout` makes no file in /dev."""
    with Journal(Path("/dev/null"), INPUTS, False) as journal:
        journal.keep(rows(1)[0])
        journal.remove()
    assert not journal.path.exists()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path):
    """The fault names the file."""
    with pytest.raises(HwsimError, match=r"out\.csv\.partial: cannot write: No such file"):
        Journal(tmp_path / "none" / "out.csv", INPUTS, False).__enter__()
