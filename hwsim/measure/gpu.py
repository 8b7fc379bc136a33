"""Measuring a card: every kernel that hwsim models and PyTorch has, and the card's file from the rows."""

from __future__ import annotations

from dataclasses import replace
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final

from hwsim.devices.catalog import device_names, find_device
from hwsim.devices.gpu import GpuDevice
from hwsim.errors import Fault, HwsimError
from hwsim.measure.folder import Header, Measurement, Table
from hwsim.measure.gpu_bounds import op_of, row_fault
from hwsim.measure.gpu_cases import LAUNCHES, TIMED, Case, cases
from hwsim.measure.gpu_fit import GROUPS, Timed, fit
from hwsim.measure.gpu_torch import METHOD, Timer, torch_timer
from hwsim.spec import Quantity, dump_yaml
from hwsim.workload.kernel import KERNELS

if TYPE_CHECKING:
    from hwsim.devices.gpu import GpuParameters
    from hwsim.measure.family import Request

__all__ = ["calibrate", "card_named", "measure"]

_REPEATS: Final = (31, 7)
_STACK: Final = "measured"
_CARDS: Final[tuple[tuple[tuple[str, ...], str | None], ...]] = (
    (("laptop",), None),
    (("h100", "pcie"), "h100-pcie"),
    (("h100", "nvl"), None),
    (("h100",), "h100-sxm"),
    (("h200",), "h200-sxm"),
    (("b200",), "b200"),
    (("a100", "pcie"), None),
    (("a100", "40gb"), "a100-sxm-40"),
    (("a100", "80gb"), "a100-sxm-80"),
    (("5090", "d"), None),
    (("5090",), "rtx-5090"),
    (("4090", "d"), None),
    (("4090",), "rtx-4090"),
    (("3090", "ti"), None),
    (("3090",), "rtx-3090"),
    (("pro 6000", "server"), "rtx-pro-6000-server"),
    (("l40s",), "l40s"),
    (("l20",), "l20"),
    (("l4",), "l4"),
    (("a40",), "a40"),
    (("rtx a6000",), "a6000"),
    (("v100",), "v100"),
    (("p100",), "p100"),
    (("t4",), "t4"),
    (("mi210",), "mi210"),
)
"""Words of a driver's name for a card -> the shipped card, None for a near one that is not shipped; the first whose
words all stand in the name."""


def card_named(name: str) -> str | None:
    """The shipped card that a driver's name means (``NVIDIA H100 80GB HBM3`` -> ``h100-sxm``), if there is one."""
    plain = name.lower()
    words = plain.replace("-", " ").split()
    for parts, card in _CARDS:
        if all(part in words or (" " in part and part in plain) or part in plain.split("-") for part in parts):
            return card
    return None


def measure(request: Request, timer: Timer | None = None) -> Measurement:
    """Time this machine's card.

    Args:
        request: what the user asks.
        timer: what times kernels; by default PyTorch on the first CUDA device.

    Raises:
        HwsimError: PyTorch or a CUDA device is missing.
    """
    timer = timer or torch_timer()
    repeats = _REPEATS[request.quick]
    base = card_named(timer.card)
    device = _gpu(base) if base else None
    rows: dict[str, list[tuple[object, ...]]] = {}
    lacking = 0
    asked = tuple(cases(request.quick))
    for number, case in enumerate(asked):
        request.tell(number / len(asked))
        samples = timer.samples_s(case, repeats)
        if samples is None:
            lacking += 1
            continue
        rows.setdefault(case.kind, []).append((*_cells(case), *_timed(samples)))
    launches = [(how, *_timed(timer.launch_samples_s(how, repeats))) for how in LAUNCHES]
    tables = [Table.of(kind, (*_columns(kind), *TIMED), own) for kind, own in rows.items()]
    kept = tuple(_plausible(table, device, request) for table in tables)
    if lacking:
        request.say(f"{lacking} kernels are left out: this card or this software lacks them")
    header = Header("gpu", timer.card, request.date, METHOD, timer.versions, timer.facts, base)
    return Measurement(header, (*kept, Table.of("launch", ("how", *TIMED), launches)))


def _columns(kind: str) -> tuple[str, ...]:
    """The arguments that cases of a kind give, in the order of the first."""
    return tuple(next(case for case in cases() if case.kind == kind).named)


def _cells(case: Case) -> tuple[object, ...]:
    return tuple(case.named[name] for name in _columns(case.kind))


def _timed(samples: list[float]) -> tuple[float, float]:
    """The median, and the middle half of the samples over it."""
    middle = median(samples)
    low, _, high = quantiles(samples, n=4)
    return float(f"{middle:.6g}"), float(f"{(high - low) / middle:.3g}")


def _plausible(table: Table, device: GpuDevice | None, request: Request) -> Table:
    """The rows that the card can have done; the others are told and left out."""
    if device is None:
        return table
    kept = []
    for line in table.lines:
        fault = row_fault(device, table.name, line)
        if fault is None:
            kept.append(line)
        else:
            request.say(f"left out: {fault}")
    return replace(table, lines=tuple(kept))


def _gpu(name: str) -> GpuDevice:
    """A shipped card.

    Raises:
        HwsimError: it is of another family.
    """
    device = find_device(name)
    if not isinstance(device, GpuDevice):
        raise HwsimError.at("--extends", f"{name}, of family {device.family}", "a machine of family gpu")
    return device


def calibrate(measurement: Measurement, base: str | None = None) -> str:
    """The text of a card's file: the datasheet of ``base``, with a stack ``measured`` from the rows.

    Constants that no row tells stay those of the base's stack, with the kind that they have there.

    Raises:
        HwsimError: no base is known, rows that no such card can have given, or no group with enough rows.
    """
    name = base or measurement.header.base
    if name is None:
        found = f"{measurement.header.machine}, which no shipped card is known for"
        raise HwsimError.at("--extends", found, "the shipped machine to extend: one of " + ", ".join(device_names()))
    device = _gpu(name)
    rows = _rows(measurement, device)
    p = device.parameters
    p = replace(p, stack=_STACK, stacks={_STACK: replace(p.software, description=_description(measurement))})
    told = 0
    for group in GROUPS:
        own = tuple(row for row in rows if group.holds(row.op))
        if len(own) >= group.rows:
            told += 1
            p = fit(p, group, own, f"hwsim measure gpu on {_what(measurement)}: {len(own)} rows of {group.name}")
    if not told:
        expected = "; or ".join(f"{group.rows} rows of {group.name}" for group in GROUPS[:3])
        raise HwsimError.at(measurement.header.machine, f"{len(rows)} rows", expected)
    tree = {
        "extends": name,
        "name": f"{name}-measured",
        "description": f"{measurement.header.machine}, constants measured on it",
        "stack": _STACK,
        "launches": _launches(measurement, p),
        "stacks": {_STACK: p.software},
    }
    return f"# {measurement.header.machine} as measured ({measurement.header.date}); method: {METHOD}.\n" + dump_yaml(
        tree
    )


def _what(measurement: Measurement) -> str:
    header = measurement.header
    versions = ", ".join(f"{name} {version}" for name, version in header.versions.items())
    return f"{header.machine}, {header.date}" + (f", {versions}" if versions else "")


def _description(measurement: Measurement) -> str:
    return "measured: " + _what(measurement)


def _rows(measurement: Measurement, device: GpuDevice) -> tuple[Timed, ...]:
    """Every row as an op with its time.

    Raises:
        HwsimError: every row that no such card can have given, and every cell that is wrong.
    """
    found: list[Timed] = []
    faults: list[Fault] = []
    for table in measurement.tables:
        if table.name not in KERNELS:
            continue
        missing = [name for name in TIMED[:1] if name not in table.columns]
        if missing:
            raise HwsimError.at(f"{table.name}.csv", f"no column {missing[0]}", "the columns that hwsim measure writes")
        for line in table.lines:
            try:
                fault = row_fault(device, table.name, line)
                if fault is None:
                    found.append(Timed(op_of(table.name, line), line.number("time_s")))
                else:
                    faults.append(fault)
            except HwsimError as error:
                faults += error.faults
    if faults:
        raise HwsimError(*faults)
    return tuple(found)


def _launches(measurement: Measurement, p: GpuParameters) -> dict[str, Quantity]:
    """Host times as measured; those of the base where they were not."""
    found = {how: getattr(p.launches, how) for how in LAUNCHES}
    table = measurement.table("launch")
    for line in table.lines if table else ():
        source = f"hwsim measure gpu on {_what(measurement)}: {table.name if table else ''}.csv"
        how = line.text("how")
        if how not in found:
            raise HwsimError.unknown_name(line.where, "launch", how, LAUNCHES)
        found[how] = Quantity(line.number("time_s"), "s", "measured", source)
    return found
