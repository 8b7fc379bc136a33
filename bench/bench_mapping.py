"""How fast the mapper proves its optimum: against AccelForge on the same work in the same run, and by problem size.

    python bench/bench_mapping.py [--accelforge PYTHON] [--zigzag PYTHON] [--out FILE]

AccelForge (Python 3.12) and ZigZag are installed from the package index, each into an environment that is thrown
away, or taken from the interpreters given; where neither can be had, the tool is left out with the reason. FactorFlow
is on no package index: a greedy search in its style stands in (bench/greedy.py). ZigZag counts stalls and weight loads
that the others do not, so that its answer holds more than a mapping's gap. CPU seconds count, wall time does not: the
machine may be shared. hwsim's kernels are compiled before the clock starts, as the peers' imports are.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from greedy import descend
from mapping_figure import Growth, Run, draw

from hwsim.devices.array import ArrayDevice
from hwsim.devices.catalog import find_device
from hwsim.errors import Infeasible
from hwsim.kernels.loopnest_cost import cost_many
from hwsim.mapping.family import build_family, lane_choices
from hwsim.mapping.problem import Problem, gemm
from hwsim.mapping.search import Mapped, Space, find_best

PEERS = Path(__file__).parent / "peers"
POINTS = ((1024, 1024, 1024), (1, 4096, 4096))
L1_BYTES = 65536
PEER_LIMIT_S = 900.0


def ws16() -> ArrayDevice:
    """The reference machine."""
    device = find_device("ws16")
    if not isinstance(device, ArrayDevice):
        raise TypeError(f"{device.name} is no array")
    return device


def search(problem: Problem, space: Space = "perfect", runs: int = 5) -> tuple[Mapped, float]:
    """The answer, and the least CPU seconds of a few searches."""
    hierarchy, seconds = ws16().hierarchy, []
    for _ in range(runs):
        start = time.process_time()
        found = find_best(problem, hierarchy, "edp", space=space)
        seconds.append(time.process_time() - start)
        if isinstance(found, Infeasible):
            raise TypeError(found.reason)
    return found, min(seconds)


# -- AccelForge --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peer:
    """A tool: its name, what to install, the script that runs it, further words for the script."""

    name: str
    packages: tuple[str, ...]
    script: str
    words: tuple[str, ...] = ()


ACCELFORGE = Peer("AccelForge", ("accelforge==1.0.467",), "accelforge_map.py", (str(L1_BYTES),))
ZIGZAG = Peer("ZigZag", ("zigzag-dse==3.9.1", "six", "setuptools"), "zigzag_map.py")  # it does not declare six


def python_312() -> str | None:
    """A Python 3.12 that runs, on the path or among pyenv's versions (a shim on the path may lead nowhere)."""
    versions = sorted((Path.home() / ".pyenv" / "versions").glob("3.12*/bin/python"))
    for python in (shutil.which("python3.12"), *map(str, reversed(versions))):
        if python and quiet([python, "-c", "import ensurepip, venv"]).returncode == 0:
            return python
    return None


def quiet(command: Sequence[str], folder: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of another Python, without the search path that is meant for this one.

    Raises:
        TimeoutExpired: it takes longer than a peer may.
    """
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=clean, timeout=PEER_LIMIT_S
    )


@contextmanager
def peer_python(peer: Peer, given: str | None) -> Iterator[tuple[str | None, str]]:
    """The interpreter that has a peer and an empty word, or None and the reason."""
    if given is not None:
        yield given, ""
        return
    base = python_312() if peer is ACCELFORGE else sys.executable
    if base is None:
        yield None, "no Python 3.12 on the path or under ~/.pyenv/versions"
        return
    with tempfile.TemporaryDirectory() as folder:
        python = str(Path(folder) / "bin" / "python")
        steps = ([base, "-m", "venv", folder], [python, "-m", "pip", "install", "-q", *peer.packages])
        for step in steps:
            done = quiet(step)
            if done.returncode:
                yield (
                    None,
                    f"cannot install {peer.packages[0]}: {(done.stderr.strip() or 'no message').splitlines()[-1]}",
                )
                return
        yield python, ""


def run_peer(peer: Peer, python: str, point: tuple[int, int, int]) -> dict[str, Any] | str:
    """A peer's answer, or why there is none."""
    with tempfile.TemporaryDirectory() as folder:  # it writes beside where it runs
        command = [python, str((PEERS / peer.script).resolve()), *map(str, point), *peer.words]
        try:
            done = quiet(command, folder)
        except subprocess.TimeoutExpired:
            return f"no answer within {PEER_LIMIT_S:.0f} s"
    if done.returncode:
        return (done.stderr.strip() or "no message").splitlines()[-1]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def whole_command(point: tuple[int, int, int]) -> float:
    """CPU seconds of `hwsim map` as a user starts it, imports and all."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [f"{name}={extent}" for name, extent in zip("mnk", point, strict=True)]
    command = [sys.executable, "-m", "hwsim", "map", "gemm", *words, "--device", "ws16", "--quiet"]
    nothing_kept = os.environ | {"HWSIM_MAPPING_CACHE": ""}
    subprocess.run(command, check=True, capture_output=True, env=nothing_kept)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def against_peers(given: Mapping[str, str | None]) -> list[Run]:
    """The table of golden points: optimum and CPU seconds of each tool, and the ratio to hwsim's."""
    print(
        f"{'GEMM m n k':>16} {'tool':>12} {'EDP, J s':>14} {'search, CPU s':>14} {'process, CPU s':>15}  {'ratio':>7}"
    )
    runs = []
    for point in POINTS:
        found, seconds = search(gemm(*point))
        greedy = descend(gemm(*point), ws16().hierarchy)
        name = " ".join(map(str, point))
        scale = 1e-12 / ws16().clock_hz
        print(f"{name:>16} {'hwsim':>12} {found.cost.edp * scale:14.7g} {seconds:14.4f} {whole_command(point):15.2f}")
        print(f"{'':16} {'greedy':>12} {greedy.edp * scale:14.7g} {greedy.seconds:14.4f}")
        runs.append(Run(name, "hwsim", seconds, 0.0))
        runs.append(Run(name, "greedy", greedy.seconds, greedy.edp / found.cost.edp - 1))
    for peer in (ACCELFORGE, ZIGZAG):
        with peer_python(peer, given.get(peer.name)) as (python, reason):
            if python is None:
                print(f"{peer.name} left out: {reason}")
                continue
            runs += list(timed(peer, python, runs))
    return runs


def timed(peer: Peer, python: str, known: Sequence[Run]) -> Iterator[Run]:
    """One peer on every point, with a line for each."""
    for point in POINTS:
        name = " ".join(map(str, point))
        answer = run_peer(peer, python, point)
        if isinstance(answer, str):
            print(f"{name:>16} {peer.name:>12} {answer}")
            continue
        mine = next(run.seconds for run in known if run.point == name and run.tool == "hwsim")
        best = search(gemm(*point), runs=1)[0].cost.edp * 1e-12 / ws16().clock_hz
        spent = answer["search_cpu_s"]
        line = f"{name:>16} {peer.name:>12} {answer['edp']:14.7g} {spent:14.2f} {answer['process_cpu_s']:15.2f}"
        print(f"{line}  {spent / mine:6.0f}x")
        yield Run(name, peer.name, spent, answer["edp"] / best - 1)


# -- hwsim alone -------------------------------------------------------------------------------------------------------


def cost_rate(nests: int = 500_000) -> float:
    """Nests costed per CPU second: random tiles of the golden family, best of five."""
    problem, hierarchy = gemm(*POINTS[0]), ws16().hierarchy
    held = ((2,), (1, 3), (2,))
    family, _ = build_family(problem, hierarchy, lane_choices(problem, hierarchy)[0], held)
    tiles = 1 << np.random.default_rng(0).integers(0, 7, (nests, 4, 3))
    cost_many(family, tiles[:1])
    seconds = []
    for _ in range(5):
        start = time.process_time()
        cost_many(family, tiles)
        seconds.append(time.process_time() - start)
    return nests / min(seconds)


def growth() -> list[Growth]:
    """Time to the proof by size, perfect tiles: powers of two and primes."""
    sizes = []
    print(f"{'m = n = k':>10} {'CPU ms':>9} {'represented':>12} {'evaluated':>10}  proof")
    for extent in (*(1 << i for i in range(6, 15)), 61, 251, 1021, 4093, 16381):
        found, seconds = search(gemm(extent, extent, extent), runs=2)
        proof = found.certificate
        closed = "optimal" if proof.optimal else f"gap {proof.gap:.2%}"
        print(f"{extent:>10} {seconds * 1e3:9.1f} {proof.represented:12.4g} {proof.evaluated:10d}  {closed}")
        sizes.append(Growth(extent, seconds, extent & (extent - 1) != 0))
    return sizes


def main(arguments: Sequence[str] = ()) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for peer in (ACCELFORGE, ZIGZAG):
        parser.add_argument(f"--{peer.name.lower()}", metavar="PYTHON", help=f"an interpreter that has {peer.name}")
    default = Path("reports") / "bench" / "mapping.svg"
    parser.add_argument("--out", type=Path, default=default, metavar="FILE", help=f"the figure ({default})")
    options = parser.parse_args(arguments)
    search(gemm(64, 64, 64), runs=1)  # compile
    descend(gemm(64, 64, 64), ws16().hierarchy)
    runs = against_peers({ACCELFORGE.name: options.accelforge, ZIGZAG.name: options.zigzag})
    print(f"\ncost kernel: {cost_rate() / 1e6:.1f} million nests per CPU second (golden family, 4 nodes)\n")
    sizes = growth()
    found, seconds = search(gemm(*POINTS[0]), "imperfect", runs=2)
    print(f"\nimperfect, GEMM 1024^3: {found.cost.energy_pj / 1e6:.2f} uJ in {seconds:.2f} CPU s")
    draw(options.out, runs, sizes)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main(sys.argv[1:])
