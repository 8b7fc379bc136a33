"""Draw the figures of reports/gallery anew, which the README shows: `make gallery`, or `python tools/gallery.py DIR`.

Machines are taken from the catalogue, the first of each family that runs the workload, so that a new family appears by
itself; so does a paper's figure.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from hwsim import simulate_each
from hwsim.analysis.compare import Entry
from hwsim.analysis.roofline import roofline
from hwsim.devices.base import Device
from hwsim.devices.catalog import device_names, find_device
from hwsim.pipeline import simulate
from hwsim.published.figures import FIGURES
from hwsim.report.comparison_figure import comparison_figure
from hwsim.report.curves import latency_figure
from hwsim.report.files import make_folder, write_bytes
from hwsim.report.roofline_together import MOST_TOGETHER, together_figure
from hwsim.report.style import figure_bytes
from hwsim.result import Result
from hwsim.workload import find_workload

__all__ = ["GALLERY", "machines", "main"]

FOLDER: Final = Path(__file__).resolve().parent.parent / "reports" / "gallery"
PREFERRED: Final = ("vck190-spec", "vhk158-spec", "h100-sxm", "rtx-4090", "xeon-8475b", "xeon-6430")
"""Machines that stand for their family where they are in the catalogue; of other families the first by name."""
EACH: Final = 2
"""Machines of a family in a figure."""


@cache
def _answered(workload: str) -> tuple[tuple[Device, Result], ...]:
    """Machines that run the workload: one of each family, then a second of each while a frame can tell them apart."""
    asked = find_workload(workload)
    found: dict[str, list[tuple[Device, Result]]] = {}
    for name in sorted(device_names(), key=lambda each: (each not in PREFERRED, each)):
        device = find_device(name)
        group = found.setdefault(device.family, [])
        if len(group) < EACH and isinstance(answer := simulate(asked, device), Result):
            group.append((device, answer))
    in_turn = [group[place] for place in range(EACH) for group in found.values() if place < len(group)]
    return tuple(sorted(in_turn[:MOST_TOGETHER], key=lambda pair: (pair[0].family, pair[0].name)))


def machines(workload: str) -> list[Device]:
    """The machines of the figures of a workload."""
    return [device for device, _ in _answered(workload)]


def _answers(workload: str) -> list[Result]:
    return [answer for _, answer in _answered(workload)]


def _mamba_rooflines() -> bytes:
    """Mamba under the roofs of every family that runs it."""
    return figure_bytes(together_figure([roofline(answer) for answer in _answers("mamba")]), "svg")


def _mamba_machines() -> bytes:
    """Rate and energy of Mamba on the same machines."""
    return figure_bytes(comparison_figure("mamba", [Entry(each.device, each) for each in _answers("mamba")]), "svg")


def _latency_throughput() -> bytes:
    """A transformer by batch on two cards."""
    cards = ("h100-sxm", "rtx-4090")
    answers = [answer for card in cards for answer in simulate_each("llama-3-8b", card, (1, 2, 4, 8, 16, 32, 64, 128))]
    return figure_bytes(latency_figure(answers), "svg")


GALLERY: Final[dict[str, Callable[[], bytes]]] = {
    "mamba-rooflines.svg": _mamba_rooflines,
    "mamba-machines.svg": _mamba_machines,
    "latency-throughput.svg": _latency_throughput,
    **{file: make for figures in FIGURES.values() for file, make in figures.items()},
}
"""File name -> what draws it; figures of papers are drawn as `hwsim paper --out` draws them."""


def main(words: list[str]) -> int:
    """Write every figure into the folder named, by default reports/gallery."""
    folder = make_folder(Path(words[0]) if words else FOLDER)
    for name, make in GALLERY.items():
        write_bytes(folder / name, make())
        sys.stdout.write(f"{folder / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
