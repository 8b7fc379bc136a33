"""The batched cost kernel against the plain account, nest by nest."""

import numpy as np
import pytest
from array_machines import ALL
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernels.loopnest_cost import cost_many
from hwsim.mapping.account import account
from hwsim.mapping.check import nest_faults
from hwsim.mapping.family import build_family, chains, divisors, lane_choices, nest_of
from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.mapping.problem import conv2d, gemm


def machine(shared):
    """Two fan-outs, so that instances, multicast and reduction all matter."""
    return Hierarchy(
        "drawn",
        1e9,
        (
            Level("top", float("inf"), 3, 4, 8, 16, ALL, shared_port=shared),
            Level("big", 40, 2, 3, 2, 4, ALL, double_buffered=shared),
            Fanout((SpatialAxis("cols", 4, ("n", "oc", "k", "y", "x"), ALL),)),
            Level("mid", 12, 2, 1, 1, 2, ALL),
            Fanout((SpatialAxis("rows", 6, ("k", "ic", "m", "y", "r", "s"), ALL),)),
            Level("reg", 4, 0.5, 1, 0.5, 0.25, frozenset({"weight", "output"})),
        ),
        0.25,
    )


PROBLEMS = [
    gemm(4, 6, 8, bits=(8, 4, 16)),
    gemm(2, 6, 4, batch=3),
    conv2d(2, 3, 4, 4, 2, 3, 1, bits=(8, 8, 32)),
    conv2d(1, 4, 4, 6, 3, 2, 1, stride=2, groups=2),
    conv2d(1, 6, 2, 4, 4, 3, 3, dilation=2),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=["gemm", "batched", "conv", "grouped", "dilated"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_kernel_equals_the_account(problem, data):
    """Energy, cycles and fit of a drawn nest of the family's own form: the kernel and the plain account agree."""
    hierarchy = machine(data.draw(st.booleans()))
    lanes = data.draw(st.sampled_from(lane_choices(problem, hierarchy)))
    held = data.draw(st.sampled_from(list(chains(problem, hierarchy))))
    family, orders = build_family(problem, hierarchy, lanes, held)
    order = orders[data.draw(st.integers(0, len(orders) - 1))]
    nodes = [(o, level) for o, chain in enumerate(held) for level in chain]
    residual = np.zeros((len(nodes), len(problem.dims)), np.int64)
    for at, (dim, extent) in enumerate(problem.dims):
        tile = extent // int(np.prod([n for _, name, n in lanes if name == dim], dtype=np.int64))
        for position in range(len(nodes)):
            tile = data.draw(st.sampled_from(divisors(tile)))
            residual[position, at] = tile
    nest = nest_of(problem, hierarchy, lanes, [nodes[n] for n in order], residual)
    plain = account(problem, hierarchy, nest)
    tiles = np.zeros((1, len(nodes), len(problem.dims)))
    tiles[0, order] = residual * family.lanes_inside[order]
    _, energy_pj, cycles, fits = cost_many(family, tiles)
    assert energy_pj[0] == pytest.approx(plain.energy_pj, rel=1e-12)
    assert cycles[0] == plain.cycles
    assert fits[0] == (nest_faults(problem, hierarchy, nest) == ())


def test_words_that_pass_are_returned(ws16_family):
    """Per nest and node, the words; here by hand: one pass of W, I and O each."""
    family, tiles = ws16_family
    words, *_ = cost_many(family, tiles)
    assert words.tolist() == [[16 * 4.0, 4 * 16.0, 4 * 4.0]]


@pytest.fixture
def ws16_family():
    """GEMM m=4, n=4, k=16 with everything held once in one buffer."""
    level = Level("buffer", 1000, 1, 1, 1, 1, ALL)
    hierarchy = Hierarchy("one", 1e9, (Level("top", float("inf"), 1, 1, 1, 1, ALL), level), 0.1)
    family, _ = build_family(gemm(4, 4, 16), hierarchy, (), ((1,), (1,), (1,)))
    return family, np.array([[[4, 4, 16]] * 3], np.float64)


def test_a_family_without_nodes_has_the_tables_of_any_other(ws16_family):
    """Nothing held below the top: types and dimensions stay, for which alone the kernels are compiled."""
    usual, _ = ws16_family
    top = Level("top", float("inf"), 1, 1, 1, 1, ALL)
    bare, _ = build_family(gemm(4, 4, 16), Hierarchy("bare", 1e9, (top,), 1), (), ((), (), ()))
    form = [(table.dtype, table.ndim) for table in usual]
    assert [(table.dtype, table.ndim) for table in bare] == form
