"""The quick way through a CSV file of kernels, for machines that time arrays of rows.

Cells are read by column; rows that share everything but their dimensions are timed in one call. Whatever is unusual
(quotes, a blank or faulty cell, rows that are timed one by one) leaves the file to the ordinary way, which builds
every op and names every fault. Both ways give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.errors import HwsimError, Infeasible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hwsim.devices.base import Device

    Columns = dict[str, NDArray[np.int64]]

__all__ = ["run_rows"]


@dataclass(frozen=True, slots=True)
class _Table:
    """A file without quotes.

    Attributes:
        header: names of the columns.
        lines: the rows as they stand, without their ends.
        columns: the cells of each column.
    """

    header: list[str]
    lines: list[str]
    columns: list[list[str]]


def run_rows(
    source: Path,
    target: Path,
    kind: str,
    shared: dict[str, str],
    device: Device,
    tell: Callable[[float], None] = lambda share: None,
) -> tuple[int, int] | None:
    """Time the rows of a file and write them with their answers appended; ``tell`` takes the share that is done.

    Returns:
        Rows and how many of them the machine cannot run; None where the file is left to the ordinary way.
    """
    from hwsim.commands.kernel_csv import APPENDED, check_header  # noqa: PLC0415
    from hwsim.devices.base import TimesRows  # noqa: PLC0415
    from hwsim.report.files import write_text  # noqa: PLC0415
    from hwsim.workload.rows import COLUMNS  # noqa: PLC0415

    table = _read(source) if kind in COLUMNS and isinstance(device, TimesRows) else None
    if table is None:
        return None
    check_header(source, tuple(table.header), kind, shared)
    answered = _answers(kind, table, shared, device, tell)
    if answered is None:
        return None
    tails, infeasible = answered
    rows = map(",".join, zip(table.lines, tails, strict=True))
    write_text(target, "\n".join([",".join((*table.header, *APPENDED)), *rows, ""]))
    return len(table.lines), infeasible


def _read(source: Path) -> _Table | None:
    """A file's cells by column; None where it holds a quote, a row of another length, or no row at all."""
    from hwsim.commands.kernel_csv import read_text  # noqa: PLC0415

    text = read_text(source)
    if '"' in text or "\0" in text:
        return None
    lines = [line for line in text.split("\n") if line.strip(", \t")]
    if len(lines) < 2 or len(set(map(str.count, lines, repeat(",")))) > 1:
        return None
    header = [name.strip() for name in lines[0].split(",")]
    cells = ",".join(lines[1:]).split(",")
    return _Table(header, lines[1:], [cells[place :: len(header)] for place in range(len(header))])


def _answers(
    kind: str, table: _Table, shared: dict[str, str], device: Device, tell: Callable[[float], None]
) -> tuple[list[str], int] | None:
    """The text that follows each row, and the rows that the machine cannot run; None for the ordinary way."""
    from hwsim.workload.rows import COLUMNS  # noqa: PLC0415

    named = {name: place for place, name in enumerate(table.header) if name in COLUMNS[kind]}
    columns = _whole_numbers({name: table.columns[place] for name, place in named.items()})
    if columns is None:
        return None
    others = {name: table.columns[place] for place, name in enumerate(table.header) if name not in named}
    tails: list[str] = [""] * len(table.lines)
    infeasible = done = 0
    for places in _groups(list(others.values()), len(tails)):
        first = {name: cells[places[0]] for name, cells in zip(table.header, table.columns, strict=True)}
        own = columns if len(places) == len(tails) else {name: each[places] for name, each in columns.items()}
        found = _group(kind, {**shared, **{name: cell.strip() for name, cell in first.items()}}, own, device)
        if found is None:
            return None
        if isinstance(found, str):
            infeasible += len(places)
            found = [found] * len(places)
        for place, tail in zip(places, found, strict=True):
            tails[place] = tail
        done += len(places)
        tell(done / len(tails))
    return tails, infeasible


def _whole_numbers(cells: dict[str, list[str]]) -> Columns | None:
    """The dimensions as whole numbers in range; None where a cell is not one."""
    import numpy as np  # noqa: PLC0415

    from hwsim.workload.ops.checks import MAX_DIMENSION  # noqa: PLC0415

    found = {}
    for name, texts in cells.items():
        try:
            column = np.fromiter(map(float, texts), np.float64, len(texts))
        except ValueError:
            return None
        if not bool(np.all((column >= 1) & (column <= MAX_DIMENSION) & (column == np.floor(column)))):
            return None
        found[name] = column.astype(np.int64)
    return found


def _groups(columns: list[list[str]], rows: int) -> Iterable[list[int] | range]:
    """Places of rows that agree in all of the columns."""
    if not columns:
        return (range(rows),)
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, cells in enumerate(zip(*columns, strict=True)):
        groups.setdefault(cells, []).append(place)
    return groups.values()


def _group(kind: str, first: dict[str, str], columns: Columns, device: Device) -> list[str] | str | None:
    """What follows rows that are like the first but for ``columns``; one text for all that cannot run; None."""
    from hwsim.commands.kernel_csv import cells_text  # noqa: PLC0415
    from hwsim.devices.base import TimesRows  # noqa: PLC0415
    from hwsim.pipeline import configured  # noqa: PLC0415
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415
    from hwsim.workload.rows import op_of_rows  # noqa: PLC0415

    try:
        op = build_kernel(kind, first)
        machine, rows = configured(op, device), op_of_rows(op, columns)
        answer = machine.kernel_rows(rows) if rows is not None and isinstance(machine, TimesRows) else None
    except HwsimError:
        return None
    if answer is None:
        return None
    if isinstance(answer, Infeasible):
        return cells_text(("", "", "", answer.reason))
    cells = zip(*(each.tolist() for each in (answer.time_s, answer.energy_j, answer.bounds)), strict=True)
    return [f"{time!r},{energy!r},{bound}," for time, energy, bound in cells]
