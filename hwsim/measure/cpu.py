"""Timing this machine's own core: instructions, the decompression loop, sparse and dense products, memory latency.

The loops are C (``cpu.c``, ours), compiled at run time for this machine. Nothing is installed and nothing else is run.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwsim.devices.catalog import find_device
from hwsim.devices.cpu.instructions import mix_cycles
from hwsim.devices.cpu.loops import LOOPS, loop_bytes, loop_mix, memory_cycles
from hwsim.devices.cpu.parameters import INSTRUCTIONS, CorePath, CpuParameters
from hwsim.errors import Fault, HwsimError
from hwsim.measure.family import Request
from hwsim.measure.folder import HEADER, Header, Line, Measurement, Table
from hwsim.spec import Quantity, dump_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["CALIBRATED", "METHOD", "calibrate", "fit_core_path", "measure", "tile_rows"]

METHOD: Final = (
    "Windows of some ten microseconds on one core; the least of 3000 for instructions and loops out of L1, the lowest "
    "decile for loops out of memory. All sparsities in turn, pass after pass, so that a neighbour's traffic falls on "
    "all of them. Clock from chains of dependent additions between the others. Random zeros; 48 MB and more each."
)
"""How rows are timed, as kept with them."""

CALIBRATED: Final = (0.0, 0.3, 0.6, 0.9)
"""Sparsities that calibration uses; the others are held out."""

_SOURCE: Final = Path(__file__).with_name("cpu.c")
_NEEDED: Final = ("avx512f", "avx512bw", "avx512_vbmi2", "avx512_vpopcntdq")
_COLUMNS: Final = ("name", "level", "sparsity", "cycles", "ns")
_LEAST_CYCLES: Final = {"expand": 16.0, "expand_read": 16.0, "sparse_gemv": 16.0, "dense_gemv": 4.0, "dense_read": 4.0}
"""Cycles that no core beats: one masked row a cycle, four 64-byte loads a cycle."""


# --- measuring --------------------------------------------------------------------------------------


def measure(request: Request) -> Measurement:
    """Time this machine's core.

    Raises:
        HwsimError: no compiler, no AVX-512 VBMI2, or the program failed.
    """
    compiler = _compiler()
    info = _processor(Path("/proc/cpuinfo"))
    size, passes, steps = ("16", "2", "10") if request.quick else ("48", "12", "20")
    with tempfile.TemporaryDirectory(prefix="hwsim-") as folder:
        program = Path(folder) / "loops"
        request.say(f"compiling {_SOURCE.name} with {compiler}")
        _call([compiler, "-O3", "-march=native", "-o", str(program), str(_SOURCE)], "compiling the loops")
        request.say("timing; less than a minute")
        text = _call([str(program), size, passes, steps], "the loops")
    header = Header(
        measurement="cpu",
        machine=info.get("model name", platform.processor() or "unknown"),
        date=request.date,
        method=METHOD,
        versions={"compiler": _call([compiler, "--version"], "the compiler").splitlines()[0]},
        facts=_facts(text, Path("/proc/cpuinfo")),
        base=_nearest(info),
    )
    return Measurement(header, tuple(_tables(text)))


def _compiler() -> str:
    """A C compiler: ``CC`` if set, else gcc, cc or clang.

    Raises:
        HwsimError: there is none.
    """
    for name in (os.environ.get("CC", ""), "gcc", "cc", "clang"):
        if name and shutil.which(name):
            return name
    raise HwsimError.at("hwsim measure cpu", "no C compiler", "gcc, cc or clang on the PATH, or CC set to one")


def _processor(path: Path) -> dict[str, str]:
    """The first processor of a cpuinfo file.

    Raises:
        HwsimError: it cannot be read, or the processor lacks an extension that the loops use.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise HwsimError.at(str(path), f"cannot read: {error}", "Linux on x86-64") from None
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    info = {name.strip(): value.strip() for name, value in pairs}
    flags = set(info.get("flags", "").split())
    missing = [name for name in _NEEDED if name not in flags]
    if missing:
        found = f"{info.get('model name', 'this processor')} without {', '.join(missing)}"
        raise HwsimError.at("hwsim measure cpu", found, "a core with AVX-512 VBMI2 (Ice Lake, Zen 4 and later)")
    return info


def _nearest(info: Mapping[str, str]) -> str | None:
    """The shipped machine with this core."""
    if info.get("vendor_id") == "AuthenticAMD" and info.get("cpu family") == "25":
        return "epyc-zen4"
    return "xeon-8475b" if "amx_tile" in info.get("flags", "").split() else None


def _call(words: Sequence[str], what: str) -> str:
    """Run a program; its output.

    Raises:
        HwsimError: it fails or takes longer than five minutes.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise HwsimError.at(what, said[0] if said else "failed", "a program that ends well") from None
    return done.stdout


def _rows(text: str, kind: str) -> Iterator[list[str]]:
    return (line.split(",")[1:] for line in text.splitlines() if line.startswith(f"{kind},"))


def _facts(text: str, processors: Path) -> dict[str, float]:
    (clock,) = _rows(text, "clock")
    return {"clock_hz": 1e9 / float(clock[4]), "cores": float(_cores(processors))}


def _cores(processors: Path) -> int:
    """Physical cores of a cpuinfo file: its hardware threads without siblings; all threads where it names none."""
    cores: set[tuple[str, str]] = set()
    for text in processors.read_text(encoding="utf-8").split("\n\n"):
        pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
        info = {name.strip(): value.strip() for name, value in pairs}
        if "core id" in info:
            cores.add((info.get("physical id", "0"), info["core id"]))
    return len(cores) or os.cpu_count() or 1


def _tables(text: str) -> Iterator[Table]:
    for kind, name in (("instruction", "instructions"), ("tile", "tiles"), ("latency", "latency")):
        yield Table.of(name, _COLUMNS, list(_rows(text, kind)))


# --- calibrating ------------------------------------------------------------------------------------


def tile_rows(measurement: Measurement) -> dict[tuple[str, str, float], float]:
    """(loop, level, sparsity) -> cycles of a tile.

    Raises:
        HwsimError: no rows, or rows that no core can have given; each by file and line.
    """
    table = measurement.table("tiles")
    if table is None or not table.lines:
        raise HwsimError.at("tiles.csv", "no rows", "the loops' rows that `hwsim measure cpu` writes")
    faults = [fault for line in table.lines if (fault := _impossible(line))]
    if faults:
        raise HwsimError(*faults)
    return {
        (line.text("name"), line.text("level"), line.number("sparsity")): line.number("cycles") for line in table.lines
    }


def _impossible(line: Line) -> Fault | None:
    """What is wrong with a row, if anything."""
    name, cycles, sparsity = line.text("name"), line.number("cycles"), line.number("sparsity")
    if name not in LOOPS:
        return HwsimError.unknown_name(line.where, "loop", name, LOOPS).faults[0]
    if not 0 <= sparsity <= 1:
        return Fault(line.where, f"sparsity {sparsity:g}", "0 to 1")
    if cycles < _LEAST_CYCLES[name]:
        return Fault(line.where, f"{cycles:g} cycles", f"{_LEAST_CYCLES[name]:g} or more: no core is faster")
    return None


def fit_core_path(path: CorePath, rows: Mapping[tuple[str, str, float], float], clock_hz: float) -> CorePath:
    """The core's path whose ``expand`` loop is nearest to the measured ones at `CALIBRATED` sparsities.

    Least sum of the relative errors, over a grid of bandwidths, restarts and windows.

    Raises:
        HwsimError: a row of these sparsities is missing.
    """
    wanted = {s: (rows.get(("expand", "memory", s)), rows.get(("expand", "l1", s))) for s in CALIBRATED}
    missing = [str(s) for s, pair in wanted.items() if None in pair]
    if missing:
        raise HwsimError.at("tiles.csv", f"no rows of expand at sparsity {', '.join(missing)}", "l1 and memory rows")
    best: tuple[float, CorePath] | None = None
    for bandwidth, restart, window in product(range(20, 84, 8), range(0, 121, 20), (256, 512, 768, 1024)):
        tried = CorePath(
            Quantity(bandwidth * 1e9, "bytes/s", "measured", "grid"),
            Quantity(restart * 1e-9, "s", "measured", "grid"),
            Quantity(float(window), "bytes", "measured", "grid"),
        )
        error = sum(
            abs(memory_cycles(tried, clock_hz, l1, loop_bytes("expand", s)) / memory - 1)
            for s, (memory, l1) in wanted.items()
            if memory and l1
        )
        if best is None or error < best[0]:
            best = (error, tried)
    return best[1] if best else path


def calibrate(measurement: Measurement, base: str | None = None) -> str:
    """The text of a machine ``local`` with this core's constants.

    Raises:
        HwsimError: impossible or missing rows; no machine to extend, or one of another family.
    """
    name = base or measurement.header.base
    if name is None:
        raise HwsimError.at(
            "--extends", "no machine is known for this processor", "a shipped machine of the family cpu"
        )
    parameters = find_device(name).parameters
    if not isinstance(parameters, CpuParameters):
        raise HwsimError.at("--extends", name, "a shipped machine of the family cpu")
    rows, clock = tile_rows(measurement), _fact(measurement, "clock_hz")
    source = f"hwsim measure cpu: {measurement.header.machine}, {measurement.header.date}"
    instructions = {line.text("name"): line.number("cycles") for line in _lines(measurement, "instructions")}
    measured = _with_instructions(parameters, instructions, source)
    ports = mix_cycles(measured.vector, loop_mix("expand"))
    middle, read_back = (_row(rows, loop, "l1", 0.5) for loop in ("expand", "expand_read"))
    path = fit_core_path(parameters.core_path, rows, clock)
    used = f"tiles.csv: expand from memory at {', '.join(map(str, CALIBRATED))}"

    def fitted(value: float, unit: str, on: str) -> dict[str, object]:
        return {"value": value, "unit": unit, "kind": "fitted", "source": source, "rows": on}

    def known(value: float, unit: str) -> dict[str, object]:
        return {"value": value, "unit": unit, "kind": "measured", "source": source}

    content = {
        "extends": name,
        "name": "local",
        "description": f"{measurement.header.machine}, measured",
        "generation": "local",
        "cores": known(_fact(measurement, "cores"), "1"),
        "clock": {each: known(round(clock), "Hz") for each in ("turbo", "amx_light", "amx_heavy")},
        "core_path": {
            "bandwidth": fitted(path.bandwidth.value, "bytes/s", used),
            "restart": fitted(path.restart.value, "s", used),
            "window": fitted(path.window.value, "bytes", used),
        },
        "vector": {
            "expand_overhead": fitted(max(0.0, middle - ports), "cycles", "tiles.csv: expand out of L1 at 0.5"),
            "read_back": fitted(max(0.0, read_back - middle), "cycles", "tiles.csv: expand_read out of L1 at 0.5"),
            "instructions": {each: {"cycles": known(value, "cycles")} for each, value in instructions.items()},
        },
    }
    return (
        f"# {measurement.header.machine}, as `hwsim measure cpu` timed it ({measurement.header.date}).\n"
        + dump_yaml(content)
    )


def _fact(measurement: Measurement, name: str) -> float:
    """What the machine told of itself.

    Raises:
        HwsimError: it is not kept, or not above 0.
    """
    value = measurement.header.facts.get(name, 0.0)
    if not value > 0:
        raise HwsimError.at(HEADER, f"facts: no {name} above 0", "the facts that `hwsim measure cpu` writes")
    return value


def _row(rows: Mapping[tuple[str, str, float], float], loop: str, level: str, sparsity: float) -> float:
    """The cycles of one row.

    Raises:
        HwsimError: it is not there.
    """
    if (loop, level, sparsity) not in rows:
        raise HwsimError.at("tiles.csv", f"no row of {loop} out of {level} at sparsity {sparsity:g}", "one")
    return rows[loop, level, sparsity]


def _lines(measurement: Measurement, name: str) -> tuple[Line, ...]:
    table = measurement.table(name)
    return table.lines if table else ()


def _with_instructions(p: CpuParameters, cycles: Mapping[str, float], source: str) -> CpuParameters:
    """The machine with measured costs of instructions in place of its own."""
    costs = dict(p.vector.instructions)
    for name, value in cycles.items():
        if name not in INSTRUCTIONS:
            raise HwsimError.unknown_name("instructions.csv", "instruction", name, INSTRUCTIONS)
        costs[name] = replace(costs[name], cycles=Quantity(value, "cycles", "measured", source))
    return replace(p, vector=replace(p.vector, instructions=costs))
