"""The long form, run with RTL_FULL=1: large arrays, a 13-node tree in the whole block, wider sweeps."""

import itertools

import pytest
from rtl_runner import FULL, verify

from rtl.linear import Linear
from rtl.mamba_block import MambaBlock
from rtl.norm import Norm
from rtl.sparse import Decompressor
from rtl.speculative import Speculative
from rtl.ssm import Ssm
from rtl.systolic import SystolicOs, SystolicWs

pytestmark = pytest.mark.skipif(not FULL, reason="the long form runs with RTL_FULL=1")

STREE = (-1, 0, 0, 0, 1, 1, 2, 4, 4, 5, 7, 7, 8)


@pytest.mark.parametrize("shape", [SystolicOs(side=16, length=20), SystolicWs(side=16, length=20)], ids=str)
def test_16x16_arrays(shape):
    """256 elements, back-to-back tiles."""
    verify(shape, stalls=("none", "random"), tiles=3)


def test_tree_of_13_nodes_in_the_whole_block():
    """The published static tree, verified and then continued from a path of four."""
    shape = Speculative(nodes=13, fifo=3, d_model=16, rows=2)
    chain = tuple(range(-1, 12))
    verify(shape, reset=False, stalls=("none",), trees=[chain, STREE, chain], accepted=[(0, 1, 2), (0, 1, 4, 7), (0,)])


@pytest.mark.parametrize(
    ("cip", "cop", "k", "tokens"), list(itertools.product((1, 3, 8), (1, 4), (7, 24), (1, 3))), ids=str
)
def test_linear_sweep(cip, cop, k, tokens):
    """Tensor cores over a grid of shapes, scaled and rounded."""
    shape = Linear(tp=2, cip=cip, cop=cop, k=k, n=6, tokens=tokens, scaled=1, out_shift=12, out_bits=12)
    verify(shape, stalls=("none", "random"), reset=False)


@pytest.mark.parametrize(("rows", "d_state", "ports"), list(itertools.product((1, 4), (4, 16, 32), (1, 2))), ids=str)
def test_scan_sweep(rows, d_state, ports):
    """Scan lanes over a grid of shapes."""
    verify(Ssm(channels=2, rows=rows, d_state=d_state, tiles=2, nodes=3, ports=ports), stalls=("none", "long"))


@pytest.mark.parametrize(
    "shape", [Norm(channels=96, lanes=8), Decompressor(lanes=32), Linear(cip=8, cop=8, k=64, n=16)]
)
def test_larger_units(shape):
    """Closer to the machines' sizes."""
    verify(shape, stalls=("none", "random"))


@pytest.mark.parametrize(("nodes", "rows", "ports"), list(itertools.product((1, 4), (1, 4), (1, 2))), ids=str)
def test_block_sweep(nodes, rows, ports):
    """The whole block with four lanes."""
    shape = MambaBlock(lanes=4, d_model=16, heads=4, head_dim=8, d_state=8, nodes=nodes, rows=rows, ports=ports)
    verify(shape, steps=2, reset=False, stalls=("none", "random"))
