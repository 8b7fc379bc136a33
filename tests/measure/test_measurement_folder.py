"""A measurement folder reads back as it was written, and says what is wrong with it by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import HwsimError
from hwsim.measure import Header, Measurement, Table, measurer, read_measurement, write_measurement

HEADER = Header("gpu", "A Card", "2026-01-01", "medians", {"driver": "1"}, {"sms": 4.0})


def folder_with(tmp_path: Path, *rows: tuple[object, ...]) -> Path:
    """A folder with one table of those rows."""
    write_measurement(tmp_path, Measurement(HEADER, (Table.of("copy", ("bytes", "time_s"), rows),)))
    return tmp_path


def test_a_folder_reads_back(tmp_path: Path) -> None:
    """Header, columns and cells survive, and a line knows its file and number."""
    found = read_measurement(folder_with(tmp_path, (1024, 1.5e-6), (2048, 3e-6)))
    table = found.table("copy")
    assert found.header == HEADER
    assert table is not None
    assert [line.number("time_s") for line in table.lines] == [1.5e-6, 3e-6]
    assert str(table.lines[1].where) == f"{tmp_path / 'copy.csv'}:3"
    assert found.table("gemm") is None


def test_remarks_are_skipped_and_counted(tmp_path: Path) -> None:
    """Lines that begin with # are no rows, but keep their number."""
    folder_with(tmp_path)
    (tmp_path / "copy.csv").write_text("# by hand\nbytes,time_s\n# one\n8,1e-6\n")
    table = read_measurement(tmp_path).table("copy")
    assert table is not None
    assert table.lines[0].where.line == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty file; expected a header with column names"),
        ("bytes,time_s\n8\n", "copy.csv:2: 1 cells; expected 2, one for each column"),
    ],
)
def test_faulty_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """A table without header and a row with too few cells are faults at their place."""
    (folder_with(tmp_path) / "copy.csv").write_text(text)
    with pytest.raises(HwsimError) as caught:
        read_measurement(tmp_path)
    assert message in str(caught.value)


def test_a_cell_that_is_no_number_names_its_column(tmp_path: Path) -> None:
    """The fault has file, line and column name."""
    table = read_measurement(folder_with(tmp_path, (8, "soon"))).table("copy")
    assert table is not None
    with pytest.raises(HwsimError, match=r"copy.csv:2: column time_s: 'soon'; expected a number"):
        table.lines[0].number("time_s")


def test_a_folder_without_header_is_none(tmp_path: Path) -> None:
    """Any other folder is refused by name."""
    with pytest.raises(HwsimError, match=r"no machine.yaml in it; expected a folder that `hwsim measure` wrote"):
        read_measurement(tmp_path)


def test_unknown_families_are_refused() -> None:
    """A family without a measuring module is an unknown name."""
    with pytest.raises(HwsimError, match="unknown family 'abacus'"):
        measurer("abacus")
