"""CSV files of kernels: a column per argument in; time, energy, bound and the reason why not appended."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwsim.errors import Fault, HwsimError, Infeasible, Where, did_you_mean

if TYPE_CHECKING:
    from hwsim.pipeline import KernelResult
    from hwsim.workload.op import Op

__all__ = ["APPENDED", "KernelTable", "cells_text", "check_header", "read_rows", "write_rows"]

APPENDED: Final = ("time_s", "energy_j", "bound", "infeasible")
MAX_BYTES: Final = 16 << 20
MAX_FAULTS: Final = 100


@dataclass(frozen=True, slots=True)
class KernelTable:
    """A file's header and cells as they stand, and the op of each row."""

    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    ops: tuple[Op, ...]


def read_rows(source: Path, kind: str, shared: dict[str, str]) -> KernelTable:
    """Read a file of kernels of one kind.

    Args:
        source: the file: a header with argument names, then a row per kernel. Empty cells take the default.
        kind: the kind of all rows.
        shared: arguments from the command line, for all rows.

    Raises:
        HwsimError: every fault of every row, as file:line: column.
    """
    lines = read_lines(source)
    if not lines:
        raise HwsimError.at(str(source), "an empty file", "a header with argument names, then rows")
    header = tuple(name.strip() for name in lines[0][1])
    check_header(source, header, kind, shared)
    faults: list[Fault] = []
    cells, ops = [], []
    for number, row in lines[1:]:
        where = Where(str(source), number)
        if len(row) != len(header):
            faults.append(Fault(where, f"{len(row)} cells", f"{len(header)}, one for each column of the header"))
            continue
        try:
            ops.append(_op(kind, header, row, shared, where))
            cells.append(tuple(row))
        except HwsimError as error:
            faults += error.faults
    if faults:
        raise HwsimError(*_bounded(faults, source))
    return KernelTable(header, tuple(cells), tuple(ops))


def _bounded(faults: list[Fault], source: Path) -> list[Fault]:
    """The first hundred faults, and how many more there are."""
    left = len(faults) - MAX_FAULTS
    rest = [Fault(Where(str(source)), f"{left} more faults", "rows without faults")] if left > 0 else []
    return faults[:MAX_FAULTS] + rest


def read_text(source: Path) -> str:
    """A file's text.

    Raises:
        HwsimError: it cannot be read, is too large, or is no UTF-8.
    """
    try:
        if source.is_file() and source.stat().st_size > MAX_BYTES:
            found = f"{source.stat().st_size:,} bytes"
            raise HwsimError.at(str(source), found, f"a CSV file of at most {MAX_BYTES:,} bytes")
        return source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise HwsimError.at(str(source), f"cannot read: {reason}", "a readable CSV file in UTF-8") from None


def read_lines(source: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, with their line numbers."""
    reader = csv.reader(io.StringIO(read_text(source), newline=""), strict=True)
    rows = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        where = Where(str(source), reader.line_num)
        raise HwsimError.at(where, f"no CSV: {error}", "cells with commas between them") from None
    return rows


def check_header(source: Path, header: tuple[str, ...], kind: str, shared: dict[str, str]) -> None:
    """Refuse columns that are no argument of the kernel, stand twice, or are given on the command line too."""
    from hwsim.workload.kernel import KERNELS  # noqa: PLC0415

    names = KERNELS[kind].names
    where = Where(str(source), 1)
    faults = []
    for place, name in enumerate(header):
        if name not in names:
            expected = f"arguments of {kind}: {', '.join(names)}"
            faults.append(Fault(where, f"unknown column {name!r}", expected, did_you_mean(name, names)))
        elif name in header[:place]:
            faults.append(Fault(where, f"column {name!r} twice", "each column once"))
        elif name in shared:
            faults.append(Fault(where, f"column {name!r}, which the command line gives too", "one of the two"))
    if faults:
        raise HwsimError(*faults)


def _op(kind: str, header: tuple[str, ...], row: list[str], shared: dict[str, str], where: Where) -> Op:
    """The op of one row; each fault names the line and, where it is one cell's, the column."""
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415

    given = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
    try:
        return build_kernel(kind, {**shared, **given}, str(where))
    except HwsimError as error:
        raise HwsimError(*(_placed(fault, given, where) for fault in error.faults)) from None


def _placed(fault: Fault, given: dict[str, str], where: Where) -> Fault:
    """The fault with its line and column name; a fault that quotes `name=value` is that column's."""
    column = next((name for name in given if fault.found.startswith(f"{name}=")), None)
    return replace(fault, where=where, found=f"column {column}: {fault.found}" if column else fault.found)


def write_rows(target: Path, table: KernelTable, answers: Sequence[KernelResult | Infeasible]) -> None:
    """Write the rows with their answers appended."""
    from hwsim.report.files import write_text  # noqa: PLC0415

    rows = ((*cells, *_appended(answer)) for cells, answer in zip(table.cells, answers, strict=True))
    write_text(target, table_text(table.header, rows))


def cells_text(cells: Sequence[str]) -> str:
    """Cells as they stand in a file, without the end of the line."""
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="").writerow(cells)
    return stream.getvalue()


def table_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A CSV file of rows, each with the four cells appended."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((*header, *APPENDED))
    writer.writerows(rows)
    return stream.getvalue()


def _appended(answer: KernelResult | Infeasible) -> tuple[str, ...]:
    """The cells of one answer; floats in the shortest form that reads back the same."""
    if isinstance(answer, Infeasible):
        return ("", "", "", answer.reason)
    return (repr(answer.time_s), repr(answer.energy_j), answer.bound, "")
