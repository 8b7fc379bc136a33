"""A measurement as a folder: ``machine.yaml`` says what was measured and how, CSV files hold the rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from hwsim.errors import Fault, HwsimError, Where
from hwsim.report.files import make_folder, write_text
from hwsim.spec import dump_yaml, load, read

__all__ = ["HEADER", "Header", "Line", "Measurement", "Table", "read_measurement", "write_measurement"]

HEADER: Final = "machine.yaml"
MAX_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """What was measured, with what, and how.

    Attributes:
        measurement: the family: cpu or gpu.
        machine: the card or processor, as its driver or operating system names it.
        date: the day, as the user gave it.
        method: how a row was timed, in a few sentences.
        versions: software -> version.
        facts: what the machine told of itself (multiprocessors or cores, bytes of memory, clocks in Hz), by name.
        base: the shipped machine whose datasheet it is; None where none is known.
    """

    measurement: Literal["cpu", "gpu"]
    machine: str
    date: str
    method: str
    versions: dict[str, str] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    base: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table, and where it stands."""

    where: Where
    cells: Mapping[str, str]

    def text(self, name: str) -> str:
        """A cell.

        Raises:
            HwsimError: there is no such column.
        """
        if name not in self.cells:
            raise HwsimError(Fault(self.where, f"no column {name}", "the columns that `hwsim measure` writes"))
        return self.cells[name]

    def number(self, name: str) -> float:
        """A cell as a finite number.

        Raises:
            HwsimError: there is no such column, or it is none.
        """
        text = self.text(name)
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) < float("inf"):
            raise HwsimError(Fault(self.where, f"column {name}: {text!r}", "a number"))
        return value


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file: its name without ``.csv``, its columns and rows."""

    name: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    @classmethod
    def of(cls, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
        """A table of values; floats in the shortest form that reads back the same."""
        lines = (
            Line(Where(f"{name}.csv", number), dict(zip(columns, map(str, row), strict=True)))
            for number, row in enumerate(rows, 2)
        )
        return cls(name, tuple(columns), tuple(lines))


@dataclass(frozen=True, slots=True)
class Measurement:
    """A header and its tables."""

    header: Header
    tables: tuple[Table, ...]

    def table(self, name: str) -> Table | None:
        """The table of a name, if it was measured."""
        return next((each for each in self.tables if each.name == name), None)


def write_measurement(folder: Path, measurement: Measurement) -> tuple[Path, ...]:
    """Write ``machine.yaml`` and a CSV file for each table; the files written.

    Raises:
        HwsimError: the folder or a file cannot be written.
    """
    make_folder(folder)
    title = f"# A measurement of {measurement.header.machine}; `hwsim calibrate` makes a machine of it.\n"
    texts = {HEADER: title + dump_yaml(measurement.header)}
    for table in measurement.tables:
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([line.cells[name] for name in table.columns] for line in table.lines)
        texts[f"{table.name}.csv"] = stream.getvalue()
    for name, text in texts.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in texts)


def read_measurement(folder: Path) -> Measurement:
    """Read a folder that `write_measurement` wrote.

    Raises:
        HwsimError: it is no such folder, or a file has faults: each by file and line.
    """
    if not (folder / HEADER).is_file():
        raise HwsimError.at(str(folder), f"no {HEADER} in it", "a folder that `hwsim measure` wrote")
    header = load(read(folder / HEADER), Header)
    tables: list[Table] = []
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.csv")):
        try:
            tables.append(_read_table(path))
        except HwsimError as error:
            faults += error.faults
    if faults:
        raise HwsimError(*faults)
    return Measurement(header, tuple(tables))


def _read_table(path: Path) -> Table:
    """One CSV file; lines that begin with ``#`` are remarks."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise HwsimError.at(str(path), f"{path.stat().st_size:,} bytes", f"at most {MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HwsimError.at(str(path), f"cannot read: {error}", "a readable CSV file in UTF-8") from None
    rows = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"]
    if not rows:
        raise HwsimError.at(str(path), "an empty file", "a header with column names, then rows")
    columns = tuple(next(csv.reader([rows[0][1]])))
    lines: list[Line] = []
    faults: list[Fault] = []
    for number, line in rows[1:]:
        cells, where = next(csv.reader([line])), Where(str(path), number)
        if len(cells) == len(columns):
            lines.append(Line(where, dict(zip(columns, cells, strict=True))))
        else:
            faults.append(Fault(where, f"{len(cells)} cells", f"{len(columns)}, one for each column of the header"))
    if faults:
        raise HwsimError(*faults)
    return Table(path.stem, columns, tuple(lines))
