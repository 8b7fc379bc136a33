"""A folder that `hwsim measure cpu` wrote, row by row against the machine that `hwsim calibrate` makes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hwsim.devices.catalog import find_device
from hwsim.devices.cpu import CpuDevice
from hwsim.devices.cpu.loops import loop_cycles
from hwsim.errors import HwsimError
from hwsim.measure.cpu import CALIBRATED, calibrate, tile_rows
from hwsim.measure.folder import read_measurement
from hwsim.published.model import Argument, Paper, PaperRow, Predict
from hwsim.published.runner import PaperResult, Prediction, run_paper

__all__ = ["NAME", "local_results"]

NAME: Final = "zen4-decompress"
"""The shipped paper of the same rows."""

_AIM: Final = 0.1
_L1_FIT: Final = 0.5


def local_results(folder: Path) -> tuple[Paper, tuple[PaperResult, ...]]:
    """Rows of the decompression loop as measured here, and what the machine calibrated on a few of them gives.

    Raises:
        HwsimError: the folder is no measurement of a CPU, or its rows are impossible or too few to calibrate.
    """
    measurement = read_measurement(folder)
    if measurement.header.measurement != "cpu":
        raise HwsimError.at(str(folder), f"a measurement of a {measurement.header.measurement}", "hwsim measure cpu")
    device = _machine(calibrate(measurement))
    rows = []
    for (name, level, sparsity), cycles in sorted(tile_rows(measurement).items()):
        if name == "expand":
            rows.append(_row(device, level, sparsity, cycles, folder))
    title = f"Bitmap decompression on {measurement.header.machine}, measured here"
    note = "The machine is calibrated on the same folder; rows that the fit did not see are marked held out."
    paper = Paper("local-decompress", title, str(folder), tuple(rows), note)

    def loop(arguments: Mapping[str, Argument]) -> Prediction:
        level, sparsity = str(arguments["level"]), float(str(arguments["sparsity"]))
        return Prediction(loop_cycles(device.parameters, "expand", level, sparsity), "cycles")

    return paper, run_paper(paper, {"local": loop})


def _machine(text: str) -> CpuDevice:
    """The machine of a calibrated file."""
    with tempfile.TemporaryDirectory(prefix="hwsim-") as place:
        file = Path(place) / "local.yaml"
        file.write_text(text, encoding="utf-8")
        device = find_device(str(file))
    if not isinstance(device, CpuDevice):
        raise HwsimError.at("hwsim paper", device.name, "a machine of the cpu family")
    return device


def _row(device: CpuDevice, level: str, sparsity: float, cycles: float, folder: Path) -> PaperRow:
    """One measured row; reproduced where the model is within the aim of a tenth."""
    within = abs(loop_cycles(device.parameters, "expand", level, sparsity) / cycles - 1) <= _AIM
    seen = sparsity in CALIBRATED if level == "memory" else sparsity == _L1_FIT
    why = "calibrated on this row" if seen else "held out of the calibration"
    return PaperRow(
        id=f"{level}-{100 * sparsity:g}",
        claim=f"decompressing a bf16 tile from {level}, {100 * sparsity:g} percent sparse",
        published=cycles,
        unit="cycles",
        source=str(folder / "tiles.csv"),
        read="repository",
        expected="reproduced" if within else "not_reproduced",
        why=why if within else f"over a tenth off; {why}",
        predict=Predict("local", {"level": level, "sparsity": sparsity}),
        tolerance=_AIM if within else None,
        fitted_to_it=seen and within,
    )
