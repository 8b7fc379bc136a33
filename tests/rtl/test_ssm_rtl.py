"""The scan lanes: chains, trees and replays, to the bit and to the cycle; drift against float64."""

import numpy as np
import pytest
from rtl_runner import FULL, verify

from hwsim.errors import HwsimError
from hwsim.golden import fixed
from hwsim.golden.fixed import FIXED, quantise, to_float
from hwsim.timing.scan import parent_fifo_peak, scan_cycles, scan_job_interval, scan_total_cycles
from rtl.jobs import chain_jobs, tree_jobs
from rtl.ssm import Ssm

SHAPES = [
    Ssm(channels=2, rows=1, d_state=8, tiles=2, nodes=3, ports=2),
    Ssm(channels=2, rows=1, d_state=8, tiles=2, nodes=3, ports=1),
    Ssm(channels=1, rows=2, d_state=4, tiles=1, nodes=3, ports=2),
    Ssm(channels=1, rows=4, d_state=4, tiles=3, nodes=2, ports=1),
    Ssm(channels=3, rows=2, d_state=12, tiles=1, nodes=2, ports=1),
]
TREES = [
    (-1, 0, 0, 1, 1, 2),
    (-1, -1, 0, 0, 1),
    (-1, 0, 1, 2),
    (-1, 0, 0, 0, 1, 1, 2, 4, 4, 5, 7, 7, 8),  # 13 nodes, depth 4
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_chain_matches_values_and_cycles(shape):
    """A chain from zero and a replay of it: bit-exact and cycle-exact, one port and two, short tiles too."""
    verify(shape)


def tree_run(shape, tree, accepted):
    """Jobs: a chain that fills the memory, a tree on it, the accepted path committed, and the tree again."""
    parts = [
        chain_jobs([0, 1], shape.tiles, fresh=True, zero=True),
        tree_jobs(tree, shape.tiles),
        chain_jobs(accepted, shape.tiles, fresh=False),
        tree_jobs(tree, shape.tiles),
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.mark.parametrize(
    ("tree", "ports"),
    [(tree, ports) for i, tree in enumerate(TREES) for ports in (1, 2) if FULL or ports == 1 + i % 2],
    ids=str,
)
def test_tree_matches_values_and_cycles(tree, ports):
    """The FIFO of parents, exactly as deep as its peak, verifies a tree; committing the accepted path replays it."""
    shape = Ssm(channels=2, rows=1, d_state=4, tiles=2, nodes=len(tree), ports=ports, fifo=parent_fifo_peak(tree))
    verify(shape, jobs=tree_run(shape, tree, [0, 1]), corners=False, stalls=("none", "random"))


def test_tree_equals_independent_paths():
    """Each node's y equals running its path from the root alone: an oracle that knows no FIFO."""
    rng, tree = np.random.default_rng(3), TREES[3]
    shape = Ssm(channels=2, rows=1, d_state=6, tiles=1, nodes=13, fifo=parent_fifo_peak(tree))
    first = chain_jobs([0], 1, fresh=True, zero=True)
    jobs = {n: np.concatenate([first[n], tree_jobs(tree, 1)[n]]) for n in first}
    inputs = shape.draw(rng, jobs=jobs)
    y = shape.compute(inputs)["y"]
    for node in range(13):
        path = [node]
        while tree[path[0]] >= 0:
            path.insert(0, tree[path[0]])
        h = np.zeros((2, 6), dtype=np.int64)
        for job in [0] + [n + 1 for n in path]:
            x = inputs["x"][job]
            decay, drive = fixed.ssm_inputs_fixed(x, inputs["dt"][job], inputs["rate"][job])
            h, out = fixed.ssm_step_fixed(h, decay, drive, inputs["b"][job], inputs["c"][job], inputs["skip"][job], x)
        assert (out == y[node + 1]).all()


@pytest.mark.parametrize(("tree", "peak"), [((-1,), 0), ((-1, 0, 1, 2), 1), (TREES[0], 2), (TREES[3], 3)])
def test_fifo_peak(tree, peak):
    """Peak occupancy by hand."""
    assert parent_fifo_peak(tree) == peak


def test_tree_order_is_checked():
    """Parents out of breadth-first order are refused, with the reason."""
    with pytest.raises(HwsimError, match="breadth-first"):
        tree_jobs((-1, 0, 1, 0), 1)
    with pytest.raises(HwsimError, match="parent < node"):
        tree_jobs((-1, 2, 2), 1)


def test_total_reduces_to_the_steady_state():
    """From 4 rows on, jobs cost exactly what the machine's steady-state rule says."""
    for ports in (1, 2):
        assert scan_job_interval(128, ports) * 640 == scan_cycles(5120, 128, 1, tile_channels=8, lanes=8, ports=ports)
        assert scan_total_cycles(641, 128, ports=ports) - scan_total_cycles(1, 128, ports=ports) == (
            640 * scan_job_interval(128, ports)
        )
    assert scan_cycles(5120, 128, 1, tile_channels=8, lanes=8, ports=1) == 163_840


def test_no_drift_over_2000_tokens():
    """A Mamba-2-shaped recurrence (d_state 128) over 2,048 tokens stays within budget of float64, with no drift."""
    rng, tokens, n, p = np.random.default_rng(7), 2048, 128, 8
    dt = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), tokens))
    rate = quantise(np.full(tokens, 1.7 * np.log2(np.e)), FIXED["rate"])
    x, b, c = (quantise(rng.normal(0, 1, (tokens, k)), FIXED["value"]) for k in (p, n, n))
    dtq = quantise(dt, FIXED["dt"])
    skip = quantise(0.7, FIXED["skip"])
    h, hf = np.zeros((p, n), dtype=np.int64), np.zeros((p, n))
    error, power = np.zeros(tokens), np.zeros(tokens)
    for t in range(tokens):
        decay, drive = fixed.ssm_inputs_fixed(x[t], dtq[t], rate[t])
        h, y = fixed.ssm_step_fixed(h, decay, drive, b[t], c[t], skip, x[t])
        xf, bf, cf = (to_float(v[t], FIXED["value"]) for v in (x, b, c))
        step = float(to_float(dtq[t], FIXED["dt"]))
        hf = np.exp2(-step * float(to_float(rate[t], FIXED["rate"]))) * hf + step * np.outer(xf, bf)
        yf = hf @ cf + 0.7 * xf
        error[t], power[t] = np.mean((to_float(y, FIXED["value"]) - yf) ** 2), np.mean(yf**2)
    sqnr_db = 10 * np.log10(power[100:].mean() / error[100:].mean())
    assert sqnr_db > 65
    late, early = error[-500:].mean(), error[200:700].mean()
    assert late < 2 * early
