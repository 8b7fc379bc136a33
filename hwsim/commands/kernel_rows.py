"""The quick way through a CSV file of kernels, for machines that time arrays of rows.

Cells are read by column; rows that share everything but their dimensions are timed in one call. Whatever is unusual
(a blank or faulty cell, a kind that the machine times one by one) leaves the file to the ordinary way, which builds
every op and names every fault. Both ways give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwsim.errors import HwsimError, Infeasible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hwsim.devices.base import Device

__all__ = ["run_rows"]

_DIMENSIONS: Final = {"gemm": ("m", "n", "k", "batch")} | dict.fromkeys(
    ("norm", "softmax", "elementwise"), ("tokens", "width")
)
"""Arguments that are dimensions of the op under the same name, by kind of kernel."""


def run_rows(source: Path, target: Path, kind: str, shared: dict[str, str], device: Device) -> tuple[int, int] | None:
    """Time the rows of a file and write them with their answers appended.

    Returns:
        Rows and how many of them the machine cannot run; None where the file is left to the ordinary way.
    """
    from hwsim.commands.kernel_csv import check_header, read_lines, table_text  # noqa: PLC0415
    from hwsim.devices.base import TimesRows  # noqa: PLC0415
    from hwsim.report.files import write_text  # noqa: PLC0415

    if kind not in _DIMENSIONS or not isinstance(device, TimesRows):
        return None
    lines = read_lines(source)
    if not lines:
        return None
    header = [name.strip() for name in lines[0][1]]
    check_header(source, tuple(header), kind, shared)
    rows = [row for _, row in lines[1:]]
    appended = _answers(kind, header, rows, shared, device)
    if appended is None:
        return None
    write_text(target, table_text(header, [row + cells for row, cells in zip(rows, appended, strict=True)]))
    return len(rows), sum(bool(cells[-1]) for cells in appended)


def _answers(
    kind: str, header: list[str], rows: list[list[str]], shared: dict[str, str], device: Device
) -> list[list[str]] | None:
    """The four cells of each row, or None."""
    named = {name: place for place, name in enumerate(header) if name in _DIMENSIONS[kind]}
    dims = _columns(rows, named, len(header))
    if dims is None:
        return None
    others = [place for place in range(len(header)) if place not in named.values()]
    answers: list[list[str]] = [[] for _ in rows]
    for places in _groups(rows, others):
        cells = _group(
            kind, header, rows[places[0]], {name: each[places] for name, each in dims.items()}, shared, device
        )
        if cells is None:
            return None
        for place, own in zip(places, cells, strict=True):
            answers[place] = own
    return answers


def _columns(rows: list[list[str]], named: dict[str, int], width: int) -> dict[str, NDArray[np.float64]] | None:
    """The dimensions as whole numbers in range; None where a row or a cell is not."""
    import numpy as np  # noqa: PLC0415

    from hwsim.workload.ops.checks import MAX_DIMENSION  # noqa: PLC0415

    if any(len(row) != width for row in rows):
        return None
    found = {}
    for name, place in named.items():
        try:
            column = np.array([row[place] for row in rows], dtype=np.float64)
        except ValueError:
            return None
        if not bool(np.all((column >= 1) & (column <= MAX_DIMENSION) & (column == np.floor(column)))):
            return None
        found[name] = column
    return found


def _groups(rows: list[list[str]], others: Sequence[int]) -> list[list[int]]:
    """Places of rows that agree in the columns ``others``."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(tuple([row[place] for place in others]), []).append(number)
    return list(groups.values())


def _group(
    kind: str,
    header: list[str],
    first: list[str],
    dims: dict[str, NDArray[np.float64]],
    shared: dict[str, str],
    device: Device,
) -> list[list[str]] | None:
    """The cells of rows like ``first``, or None."""
    import numpy as np  # noqa: PLC0415

    from hwsim.devices.base import TimesRows  # noqa: PLC0415
    from hwsim.pipeline import configured  # noqa: PLC0415
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415

    try:
        op = build_kernel(kind, {**shared, **dict(zip(header, (cell.strip() for cell in first), strict=True))})
        machine = configured(op, device)
    except HwsimError:
        return None
    if not isinstance(machine, TimesRows):
        return None
    count = next((each.size for each in dims.values()), 1)
    whole = {name: dims.get(name, np.full(count, float(op.dims[name]))) for name in _DIMENSIONS[kind]}
    answer = machine.kernel_rows(op, whole)
    if answer is None:
        return None
    if isinstance(answer, Infeasible):
        return [["", "", "", answer.reason]] * count
    times, energies = (map(repr, each.tolist()) for each in (answer.time_s, answer.energy_j))
    return [list(cells) for cells in zip(times, energies, answer.bounds.tolist(), [""] * count, strict=True)]
