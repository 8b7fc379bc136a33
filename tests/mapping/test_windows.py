"""Lanes whose windows overlap: the closed form, its union against sets, and by hand in whole nests."""

from math import inf

import pytest
from array_machines import ALL
from hypothesis import given
from hypothesis import strategies as st

from hwsim.mapping.account import account
from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.mapping.nest import Hold, Nest, Spread
from hwsim.mapping.ops import problems_of
from hwsim.mapping.problem import conv2d
from hwsim.mapping.windows import covered_words
from hwsim.workload.ops import conv2d as conv2d_op


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 9))
def test_neighbours_on_one_axis(width, step, lanes):
    """min(L w, (L - 1) d + w)."""
    assert covered_words(width, [(step, lanes)]) == min(lanes * width, (lanes - 1) * step + width)


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), max_size=3))
def test_union_of_sets(width, places):
    """Any lanes on both terms of an axis: the words as a set."""
    starts = {0}
    for step, lanes in places:
        starts = {at + i * step for at in starts for i in range(lanes)}
    assert covered_words(width, places) == len({at + i for at in starts for i in range(width)})


def row_stationary(rows, columns):
    """Main memory, a fan-out that multicasts everything, registers of any room."""
    axes = (SpatialAxis("rows", rows, ("r",), ALL), SpatialAxis("columns", columns, ("y",), ALL))
    levels = (Level("top", inf, 1, 1, 1, 1, ALL), Level("reg", inf, 1, 1, 1, 1, ALL))
    return Hierarchy("rs", 1e9, (levels[0], Fanout(axes), levels[1]), 0)


@pytest.mark.parametrize(
    ("stride", "dilation", "rows_read"), [(1, 1, 7), (2, 1, 11), (2, 2, 7), (3, 1, 15), (1, 3, 11)]
)
def test_diagonals_of_a_row_stationary_array(stride, dilation, rows_read):
    """Filter rows by output rows, a row of the image in each PE: PEs on a diagonal share theirs (3 x 5 lanes)."""
    problem = conv2d(1, 1, 1, 5, 4, 3, 3, stride=stride, dilation=dilation)
    nest = Nest((Spread("rows", "r", 1), Spread("columns", "y", 1), Hold("reg", "I")))
    traffic = account(problem, row_stationary(3, 5), nest).traffic
    width = 1 + stride * 3 + dilation * 2
    assert traffic["top", "I"].reads == rows_read * width
    assert traffic["reg", "I"].writes == 15 * width


def test_a_window_cut_unevenly_is_read_apart():
    """Five rows on two lanes, three and two: each lane's window is counted whole."""
    problem = conv2d(1, 1, 1, 5, 1, 3, 1)
    nest = Nest((Spread("columns", "y", 3), Hold("reg", "I")))
    assert account(problem, row_stationary(1, 2), nest).traffic["top", "I"].reads == 5 + 4


def test_groups_of_channels_are_disjoint():
    """A grouped convolution's image: groups and channels as two axes, so that no tile of both is a sliding window."""
    (problem,) = problems_of(conv2d_op(1, 8, 8, 4, 4, 3, 3, groups=2, dilation=2), 8, 8)
    assert problem.operands == conv2d(1, 8, 8, 4, 4, 3, 3, groups=2, dilation=2).operands
