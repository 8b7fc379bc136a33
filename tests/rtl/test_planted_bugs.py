"""Bugs planted in the generators: each must be caught by the check named for it, by assertion and not by a hang.

A bug is a text replaced in a copy of one source file; the copy is emitted in its own process, which asserts that the
file under test is the copy. The unmutated unit then says what the mutant's Verilog should have done.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from rtl_runner import Play, play, run

import rtl
from hwsim.timing.scan import parent_fifo_peak
from rtl.axis import WeightReader
from rtl.conv import Conv
from rtl.hadamard import Hadamard
from rtl.jobs import chain_jobs, tree_jobs
from rtl.linear import Linear
from rtl.mamba_block import MambaBlock
from rtl.nonlinear import Decay, Gate, Rsqrt, Silu, Softplus
from rtl.norm import Norm
from rtl.shiftadd import ShiftAdd
from rtl.sparse import Decompressor, SparseLinear
from rtl.speculative import Speculative
from rtl.ssm import Ssm
from rtl.systolic import SystolicOs, SystolicWs

EMIT = """
import sys
from importlib import import_module
home, module, shape = sys.argv[1:]
unit = import_module("rtl." + module)
assert all(m.__file__.startswith(home) for n, m in sys.modules.items() if n.split(".")[0] == "rtl"), "not the copy"
from rtl.emit import lower, to_rtlil
sys.stdout.write(lower(to_rtlil(eval(shape, vars(unit)).create())))
"""


@dataclass
class Bug:
    name: str
    file: str
    old: str
    new: str
    shape: object
    check: str
    stalls: tuple = ("none", "random")
    draw: dict = field(default_factory=dict)
    resets: tuple = ()

    def __str__(self):
        return f"{self.file}: {self.name}"


TREE = (-1, 0, 0, 1, 1, 2)
SSM = Ssm(channels=2, rows=1, d_state=8, tiles=2, nodes=3)
TREE_SSM = Ssm(channels=1, rows=1, d_state=4, tiles=1, nodes=6, fifo=parent_fifo_peak(TREE))
_PARTS = [chain_jobs([0], 1, fresh=True, zero=True), tree_jobs(TREE, 1), tree_jobs(TREE, 1)]
TREE_JOBS = {name: np.concatenate([part[name] for part in _PARTS]) for name in _PARTS[0]}

BUGS = [
    Bug(
        "accumulator wraps at 20 bits",
        "linear_unit",
        "acc = Signal(signed(p.acc_bits)",
        "acc = Signal(signed(20)",
        Linear(k=64, n=4),
        "values",
    ),
    Bug("old sum kept", "linear_unit", 'Mux(flags["first"], 0, acc)', "acc", Linear(), "values"),
    Bug(
        "activations taken while weights are late",
        "linear_unit",
        "self.i_act.ready.eq(fire & need_act)",
        "self.i_act.ready.eq(core.en & need_act)",
        Linear(),
        "beat-count",
    ),
    Bug(
        "core waits for the sink before there is anything to give",
        "linear_unit",
        "fire.eq(core.en & (self.i_act.valid",
        "fire.eq(self.o.ready & (self.i_act.valid",
        Linear(),
        "stalled-cycles",
    ),
    Bug(
        "queue takes one job fewer",
        "ssm",
        "self.i_job.ready.eq(flight != timing.QUEUE_JOBS)",
        "self.i_job.ready.eq(flight != timing.QUEUE_JOBS - 1)",
        SSM,
        "stalled-cycles",
    ),
    Bug(
        "replay forgets the pass",
        "linear_unit",
        "turn * p.steps + step",
        "step",
        Linear(tp=1, tokens=2),
        "values",
    ),
    Bug(
        "payload moves during a stall",
        "conv",
        "core.m.d.sync += self.o.payload.y[lane].eq(value)",
        "m.d.sync += self.o.payload.y[lane].eq(value)",
        Conv(),
        "stream-rules",
    ),
    Bug("drain one row short", "systolic", "n + j - 1 + i].any()", "n + j - 2 + i].any()", SystolicOs(), "values"),
    Bug(
        "short tiles do not wait for the drain",
        "systolic",
        "gap = max(0, p.side - p.length)",
        "gap = 0",
        SystolicOs(length=2),
        "values",
    ),
    Bug("weights used before the swap", "systolic", "Mux(flag[1], shadow, held)", "shadow", SystolicWs(), "values"),
    Bug("held weights follow the shadow", "systolic", "held.eq(used)", "held.eq(shadow)", SystolicWs(), "values"),
    Bug(
        "ready ignores the stall downstream",
        "nonlinear",
        "self.i.ready.eq(core.en)",
        "self.i.ready.eq(1)",
        Silu(lanes=1),
        "beat-count",
    ),
    Bug(
        "exp table entry wrong",
        "tables",
        "[Decimal(i) / 64 for i in range(65)]",
        "[Decimal(i - (i == 37)) / 64 for i in range(65)]",
        Decay(lanes=1),
        "values",
        draw={"beats": 400},
    ),
    Bug(
        "exp underflow wraps",
        "functions",
        "Mux(exponent[16:] > 18, 18, exponent[16:])[:5]",
        "exponent[16:21]",
        Decay(lanes=1),
        "values",
    ),
    Bug(
        "gate takes z alone", "nonlinear", "self.i_z.ready.eq(fire)", "self.i_z.ready.eq(core.en)", Gate(), "beat-count"
    ),
    Bug(
        "state memory ignores the stall",
        "ssm",
        'core.add("state", self.state)',
        "core.outer.submodules.state = self.state",
        SSM,
        "values",
    ),
    Bug(
        "rounding replaced by truncation",
        "ssm",
        'requantise(total, FIXED["decay"].frac, "state")',
        'requantise(total - (1 << 15), FIXED["decay"].frac, "state")',
        SSM,
        "values",
    ),
    Bug(
        "state saturation removed",
        "ssm",
        'requantise(total, FIXED["decay"].frac, "state")',
        "((total + (1 << 15)) >> 16)[:24].as_signed()",
        SSM,
        "values",
    ),
    Bug(
        "short tile does not wait for the write-back",
        "ssm",
        "- p.steps\n        self.step",
        "* 0\n        self.step",
        Ssm(d_state=2),
        "cycles",
    ),
    Bug(
        "write pass one row short",
        "ssm",
        "(self.pause != 0) & (self.pause <= p.steps)",
        "(self.pause > 1) & (self.pause <= p.steps)",
        Ssm(ports=1),
        "values",
    ),
    Bug(
        "parent popped by every child",
        "ssm",
        '(head, self.job["pop"])',
        '(head, self.job["source"] == FROM_FIFO)',
        TREE_SSM,
        "values",
        draw={"jobs": TREE_JOBS},
    ),
    Bug("prefix sum inclusive", "sparse", "words[counts[k]]", "words[counts[k + 1]]", Decompressor(), "values"),
    Bug(
        "decompressor's ready ignores the stall",
        "sparse",
        "self.i_mask.ready.eq(fire)",
        "self.i_mask.ready.eq(self.held >= counts[n])",
        Decompressor(),
        "beat-count",
    ),
    Bug(
        "buffer overfilled",
        "sparse",
        "take.eq(core.en & self.i_packed.valid & (left <= n))",
        "take.eq(core.en & self.i_packed.valid)",
        Decompressor(),
        "values",
    ),
    Bug(
        "zero code not blanked",
        "shiftadd",
        "Mux(exponent == p.zero, 0, Mux(sign",
        "Mux(0, 0, Mux(sign",
        ShiftAdd(),
        "values",
    ),
    Bug(
        "difference taken the wrong way",
        "hadamard",
        "values[k ^ span] - values[k]",
        "values[k] - values[k ^ span]",
        Hadamard(),
        "values",
    ),
    Bug(
        "B and C swapped", "block_unit", "eq(Cat(banks))", "eq(Cat(reversed(banks)))", MambaBlock(), "values", ("none",)
    ),
    Bug(
        "a head's rate taken for all",
        "block_unit",
        "rates.word_select(head,",
        "rates.word_select(0,",
        MambaBlock(),
        "values",
        ("none",),
    ),
    Bug(
        "replay drops the last tile",
        "block_unit",
        "seen == length * p.tiles - 1",
        "seen == length * p.tiles - 2",
        Speculative(),
        "cycles",
        ("none",),
    ),
    Bug(
        "position in the order survives a reset",
        "block_unit",
        "position, end = Signal(range(len(kinds))), Signal()",
        "position, end = Signal(range(len(kinds)), reset_less=True), Signal()",
        MambaBlock(),
        "values",
        ("none",),
        resets=(40,),
    ),
    Bug(
        "a step starts under the last write pass",
        "block_unit",
        "~self.accepting & idle)",
        "~self.accepting)",
        MambaBlock(d_model=2, heads=2, head_dim=2, d_state=64, ports=1),
        "cycles",
        ("none",),
    ),
    Bug(
        "sum of the array wraps at 16 bits",
        "systolic",
        'acc, total = Signal(signed(p.acc_bits), name=f"acc_{name}")',
        'acc, total = Signal(signed(16), name=f"acc_{name}")',
        SystolicOs(),
        "values",
    ),
    Bug("ramp kept below zero", "functions", "Mux(x < 0, 0, x), 3,", "x, 3,", Softplus(lanes=1), "values"),
    Bug(
        "exponent one too high",
        "functions",
        "core.delay(bits // 2 - 1 - pairs, 4",
        "core.delay(bits // 2 - pairs, 4",
        Rsqrt(lanes=1),
        "values",
    ),
    Bug(
        "weights taken before they are there",
        "sparse",
        "core.i_weight.valid.eq(dense.o.valid)",
        "core.i_weight.valid.eq(1)",
        SparseLinear(),
        "values",
    ),
    Bug("epsilon left out", "norm", "fixed.rms_epsilon(p.channels), acc", "0, acc", Norm(), "values"),
    Bug(
        "ring overruns", "norm", "(held != p.ring)", "(held != 2 * p.ring)", Norm(), "values", ("long",), {"tokens": 30}
    ),
    Bug("blank ancestors not blanked", "conv", "Mux(blank, 0, word)", "word", Conv(), "values"),
    Bug(
        "grandparent for parent", "conv", "node.ancestor[back] *", "node.ancestor[min(back + 1, 2)] *", Conv(), "values"
    ),
]


def emit_mutant(bug, folder):
    """Verilog of the mutant, emitted from a mutated copy of the package."""
    home = folder / "copy"
    copytree(Path(rtl.__file__).parent, home / "rtl", ignore=lambda *_: ["__pycache__"])
    source = home / "rtl" / f"{bug.file}.py"
    text = source.read_text()
    assert text.count(bug.old) == 1, f"{bug}: the text to replace occurs {text.count(bug.old)} times"
    source.write_text(text.replace(bug.old, bug.new))
    path = os.pathsep.join([str(home), *(p for p in sys.path if p)])
    module = type(bug.shape).__module__.removeprefix("rtl.")
    command = [sys.executable, "-P", "-c", EMIT, str(home), module, repr(bug.shape)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr[-1500:]
    return done.stdout


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_planted_bug_is_caught(bug, tmp_path):
    """The named check fails on the mutant; nothing ends by the cycle limit."""
    rng = np.random.default_rng(11)
    inputs = [bug.shape.draw(rng, corner, **bug.draw) for corner in ("", *bug.shape.corners)]
    plays = [Play(data, stall, 11) for data in inputs for stall in bug.stalls]
    plays += [Play(inputs[0], "none", 11, reset_at=cycle) for cycle in bug.resets]
    report = run(bug.shape, plays, emit_mutant(bug, tmp_path))
    assert bug.check in report.checks, f"caught by {report.checks or 'nothing'}"
    assert "cycle-limit" not in report.checks


READER = WeightReader(data_bits=64, address_bits=16, burst=16)
PAGE_CROSSED = Bug(
    "burst crosses a page",
    "axis",
    "self._least(self._least(left, room), p.burst)",
    "self._least(left, p.burst)",
    READER,
    "bursts",
)


def test_planted_bug_in_the_weight_reader_is_caught(tmp_path):
    """Bursts of a read that starts just below a page depart from the formula's."""
    plan = {"address": 4096 - 40, "beats": 40, "memory_cycles": 1, "address_bits": READER.address_bits}
    got = play(emit_mutant(PAGE_CROSSED, tmp_path), plan, "rtl_axi_bench", "read_ideal")
    assert [tuple(burst) for burst in got["bursts"]] != READER.bursts(plan["address"], plan["beats"])
    assert got["beats"] == plan["beats"], "ended by the bench's limit"
