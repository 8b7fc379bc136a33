"""The whole block and its speculative form, to the bit and to the cycle."""

import numpy as np
import pytest
from rtl_runner import verify

from rtl.mamba_block import MambaBlock
from rtl.speculative import Speculative

SHAPES = [
    MambaBlock(),
    MambaBlock(nodes=3, d_model=16, d_state=8, rows=2, ports=1),
    MambaBlock(nodes=2, heads=4, head_dim=2, d_state=6),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_block_matches_values_and_cycles(shape):
    """Three steps of a chain from zero: bit-exact under every stall pattern, cycle-exact without stalls."""
    verify(shape, steps=3)


@pytest.mark.parametrize(
    "shape",
    [
        MambaBlock(nodes=5, d_model=4, heads=4, head_dim=4, d_state=4, rows=2),
        MambaBlock(nodes=4, d_model=4, d_state=16, ports=1),
        MambaBlock(lanes=4, nodes=1, d_model=16, heads=4, head_dim=8, d_state=8, rows=4),
        MambaBlock(lanes=4, nodes=2, d_model=32, heads=8, head_dim=4, d_state=8, rows=1, weight_bits=4),
        MambaBlock(nodes=2, d_model=16, heads=4, interleaved=0),
        MambaBlock(nodes=1, d_state=8, ports=1, interleaved=0),
    ],
    ids=str,
)
def test_block_cycles_where_each_part_limits(shape):
    """Router-bound, scan-bound, latency-bound and projection-bound blocks: values and cycles exact."""
    verify(shape, steps=2, reset=False, stalls=("none",))


def test_speculative_matches_values_and_cycles():
    """Chain, fan and chain again: trees verified, paths replayed, to the bit and to the cycle."""
    verify(Speculative(), corners=False)


@pytest.mark.parametrize("shape", [MambaBlock(nodes=2), Speculative(nodes=3)], ids=str)
def test_reset_anywhere(shape):
    """A reset in any phase, mid-transfer on some stream, leaves nothing behind: the run after it is exact."""
    verify(shape, reset=tuple(k / 9 for k in range(9)), stalls=(), steps=2)


def test_speculative_tree_and_partial_paths():
    """A branching tree after a partly accepted one, single-port state."""
    shape = Speculative(nodes=5, fifo=2, d_state=6, ports=1)
    trees = [(-1, 0, 1, 2, 3), (-1, 0, 0, 1, 1), (-1, -1, 0, 0, 1)]
    verify(shape, reset=False, stalls=("none", "random"), trees=trees, accepted=[(0, 1), (0, 2), (1, 4)])


def test_verified_nodes_equal_plain_decoding():
    """Every node's output equals a plain block's over the accepted tokens and its path: an oracle without trees."""
    tree = (-1, 0, 0, 1)
    spec = Speculative(nodes=4, fifo=2)
    inputs = spec.draw(np.random.default_rng(4), trees=[(-1, 0, 1, 2), tree], accepted=[(0, 1, 2), (0,)])
    y = spec.compute(inputs)["y"][1]
    for node in range(4):
        path = [node]
        while tree[path[0]] >= 0:
            path.insert(0, tree[path[0]])
        act = np.concatenate([inputs["act"][0, :3], inputs["act"][1, path]])
        plain = MambaBlock(nodes=1)
        steps = len(act)
        alone = {**inputs, **plain.control(steps), "act": act[:, None, :]}
        for name in ("w_in", "w_out"):
            alone[name] = np.repeat(inputs[name][:1], steps, axis=0)
        assert (plain.compute(alone)["y"][-1, 0] == y[node]).all()


def test_data_exercises_the_scan():
    """The drawn block's outputs depend on its state: zeroing B, or the decay, changes most of them."""
    shape = MambaBlock(nodes=2)
    inputs = shape.draw(np.random.default_rng(1))
    plain = shape.compute(inputs)["y"]
    forgetful = shape.compute({**inputs, "rate": np.full_like(inputs["rate"], 65535)})["y"]
    assert np.mean(plain[1:] != forgetful[1:]) > 0.5


def test_scan_hides_behind_in_proj():
    """With the interleaved order, a scan that keeps up costs one tile's tail, not its whole time."""
    from hwsim.timing.block import BlockShape, block_phases

    wide = BlockShape(lanes=8, d_model=256, heads=8, head_dim=64, d_state=32, nodes=1, rows=8, ports=2)
    assert block_phases(wide)["scan and gate not hidden"] < 100
    slow = BlockShape(lanes=8, d_model=256, heads=8, head_dim=64, d_state=128, nodes=4, rows=1, ports=1)
    assert block_phases(slow)["scan and gate not hidden"] > 10_000
