"""Functional coverage: the stimulus of the standard runs must reach every named bin; drawn shapes reach the odd ones.

The bins are counted on the golden models over exactly the inputs that `rtl_runner.verify` plays. Toggle coverage (and,
with Verilator, line coverage) of the same runs is measured on the netlist and reported.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rtl_coverage import counts_of_verilator, toggles_of_vcd
from rtl_runner import FULL, SIMULATOR, run, standard_plays, verify

from hwsim.golden import fixed
from hwsim.golden.fixed import FIXED
from hwsim.timing.scan import parent_fifo_peak
from rtl.conv import Conv
from rtl.hadamard import Hadamard
from rtl.jobs import FROM_FIFO, FROM_MEMORY, FROM_ZERO, chain_jobs, tree_jobs
from rtl.linear import Linear
from rtl.mamba_block import MambaBlock
from rtl.nonlinear import Decay, Gate, Rsqrt, Silu, Softplus
from rtl.norm import Norm
from rtl.shiftadd import ShiftAdd
from rtl.sparse import Decompressor, SparseLinear
from rtl.speculative import Speculative
from rtl.ssm import Ssm
from rtl.systolic import SystolicOs, SystolicWs


def standard_inputs(shape, **draw):
    """What `verify` plays with its default seeds and corners."""
    yield shape.draw(np.random.default_rng(1), **draw)
    for corner in shape.corners:
        yield shape.draw(np.random.default_rng(99), corner, **draw)


def missing(bins, hit):
    return sorted(set(bins) - set(hit))


def test_linear_bins():
    """Sums at both ends and zero, outputs rounded up and down, saturated both ways."""
    shape, hit = Linear(out_bits=8, out_shift=7, k=32), set()
    exact = Linear(k=32)
    for inputs in standard_inputs(shape):
        y, raw = shape.compute(inputs)["y"], exact.compute(inputs)["y"]
        top = 32 << 14
        hit |= {
            name
            for name, there in {
                "high": (y == 127).any(),
                "low": (y == -128).any(),
                "zero": (y == 0).any(),
                "full sum": (raw == top).any(),
                "rounded up": (raw % 128 >= 64).any(),
                "rounded down": ((raw % 128 > 0) & (raw % 128 < 64)).any(),
            }.items()
            if there
        }
    assert missing(["high", "low", "zero", "full sum", "rounded up", "rounded down"], hit) == []


def test_decompressor_bins():
    """Every popcount, and every (level before, beat taken) step of the buffer's fill."""
    shape, popcounts, crossings = Decompressor(lanes=8), set(), set()
    for inputs in standard_inputs(shape):
        counts = [int(mask).bit_count() for mask in inputs["mask"]]
        popcounts |= set(counts)
        crossings |= {int(total) % 8 for total in np.cumsum(counts)}
    assert missing(range(9), popcounts) == []
    assert missing(range(8), crossings) == []


def ssm_hits(shape, inputs):
    """Bins that one run reaches."""
    decay, drive = fixed.ssm_inputs_fixed(inputs["x"], inputs["dt"], inputs["rate"])
    y = shape.compute(inputs)["y"]
    value = FIXED["value"]
    found = {
        "decay one": (decay == 65536).any(),
        "decay zero": (decay == 0).any(),
        "decay between": ((decay > 0) & (decay < 65536)).any(),
        "still": (inputs["dt"] == 0).any(),
        "drive high": (drive == FIXED["drive"].high).any() or (drive > 1 << 24).any(),
        "drive low": (drive < -(1 << 24)).any(),
        "y high": (y == value.high).any(),
        "y low": (y == value.low).any(),
    }
    flags = zip(inputs["source"], inputs["pop"], inputs["push"], strict=True)
    return {name for name, there in found.items() if there} | {tuple(int(v) for v in f) for f in flags}


def test_ssm_bins():
    """Decay at both ends, dt = 0, wide drives, y saturated both ways; every legal (source, pop, push)."""
    shape, hit = Ssm(channels=2, rows=1, d_state=8, tiles=2, nodes=3), set()
    for inputs in standard_inputs(shape):
        hit |= ssm_hits(shape, inputs)
    tree = (-1, 0, 0, 1, 1, 2)
    other = Ssm(channels=2, rows=1, d_state=4, tiles=2, nodes=6, fifo=parent_fifo_peak(tree))
    parts = [chain_jobs([0, 1], 2, fresh=True, zero=True), tree_jobs(tree, 2), tree_jobs((-1, -1, 0, 0, 1, 2), 2)]
    jobs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    hit |= ssm_hits(other, other.draw(np.random.default_rng(1), jobs=jobs))
    numbers = ["decay one", "decay zero", "decay between", "still", "drive high", "drive low", "y high", "y low"]
    assert missing(numbers, {h for h in hit if isinstance(h, str)}) == []
    moves = {(FROM_ZERO, 0, 0), (FROM_MEMORY, 0, 0), (FROM_MEMORY, 0, 1), (FROM_FIFO, 0, 1), (FROM_FIFO, 1, 1)}
    moves |= {(FROM_FIFO, 1, 0)}
    assert missing(moves, {h for h in hit if isinstance(h, tuple)}) == []


DRAWN = settings(
    max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@DRAWN
@given(
    st.builds(
        Linear,
        tp=st.integers(1, 3),
        cip=st.integers(1, 5),
        cop=st.integers(1, 4),
        k=st.integers(1, 20),
        n=st.integers(1, 9),
        tokens=st.integers(1, 5),
        act_bits=st.integers(2, 8),
        weight_bits=st.integers(2, 8),
    )
)
def test_drawn_linear_shapes(shape):
    """Shapes nobody chose, odd in every dimension."""
    verify(shape, stalls=("none", "random"), corners=False, reset=False)


@DRAWN
@given(
    st.builds(
        Ssm,
        channels=st.integers(1, 3),
        rows=st.sampled_from([1, 2, 3]),
        d_state=st.sampled_from([6, 12]),
        tiles=st.integers(1, 3),
        nodes=st.integers(1, 4),
        ports=st.integers(1, 2),
    )
)
def test_drawn_scan_shapes(shape):
    """Shapes nobody chose, one port and two."""
    verify(shape, stalls=("none", "random"), corners=False, reset=False)


@pytest.mark.parametrize("lanes", [2, 3, 16])
def test_decompressor_widths(lanes):
    """Narrow, odd and wide beats."""
    verify(Decompressor(lanes=lanes, bits=3), stalls=("none", "random"))


TOGGLED = [
    (Linear(), 0.98),
    (SystolicOs(), 0.9),
    (SystolicWs(), 0.9),
    (Ssm(channels=2, rows=1, d_state=8, tiles=2, nodes=3), 0.95),
    *((unit(lanes=1), 0.8) for unit in (Decay, Softplus, Silu, Gate)),
    (Rsqrt(), 0.8),
    (Norm(), 0.9),
    (Conv(), 0.95),
    (Decompressor(lanes=8), 0.85),
    (SparseLinear(), 0.8),
    (ShiftAdd(), 0.85),
    (Hadamard(), 0.9),
    (MambaBlock(nodes=2), 0.93),
    *([(Speculative(), 0.93)] if FULL else []),
]
"""Units, and the share of their nets' rises and falls that the standard runs must show."""


@pytest.mark.parametrize(("shape", "least"), TOGGLED, ids=lambda value: getattr(value, "unit", str(value)))
def test_toggle_and_line_coverage(shape, least, tmp_path, record_property):
    """Every bit of every net should rise and fall, every line be passed: measured, reported, and held to a floor."""
    kept = tmp_path / "kept"
    report = run(shape, standard_plays(shape), record=kept)
    assert not report.findings
    if SIMULATOR == "verilator":
        lines, toggles = counts_of_verilator(kept)
        assert lines.share == 1.0
        record_property("report", f"coverage of {shape.unit}: lines {lines}, toggles {toggles}")
    else:
        toggles = toggles_of_vcd(kept)
        record_property("report", f"coverage of {shape.unit}: toggles {toggles}")
    assert toggles.share > least
