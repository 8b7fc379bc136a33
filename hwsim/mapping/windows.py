"""Lanes whose sliding windows overlap: how many words they need together.

``L`` lanes on an axis of a window of ``w`` words, each ``d`` words from its neighbour, read ``L w`` words apart and
``min(L w, (L - 1) d + w)`` together. Lanes on both terms of an axis (output rows and filter rows, as in a
row-stationary array) may meet on a diagonal: the union is counted over all of their places.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from math import prod

from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.nest import Hold, Nest, Spread
from hwsim.mapping.problem import Axis, Operand, Problem

__all__ = ["covered_words", "shared_windows"]


def covered_words(width: int, places: Sequence[tuple[int, int]]) -> int:
    """Words that windows of ``width`` cover together, at every sum of a multiple below ``lanes`` of each ``step``.

    Args:
        width: words of one window.
        places: (step, lanes) of each factor; steps of at least 1.
    """
    far: list[tuple[int, int]] = []
    for step, lanes in sorted(places):
        if step <= width:
            width += (lanes - 1) * step
        else:
            far.append((step, lanes))
    if len(far) < 2:
        return width * prod(lanes for _, lanes in far)
    starts = sorted({sum(at) for at in product(*(range(0, step * lanes, step) for step, lanes in far))})
    return width + sum(min(b - a, width) for a, b in pairwise(starts))


def shared_windows(
    problem: Problem, hierarchy: Hierarchy, nest: Nest, operand: Operand, position: int | None, fanouts: range
) -> tuple[int, int]:
    """Words that the lanes of ``fanouts`` need together, and apart, as the two sides of a ratio.

    A window that is not cut evenly on its way, and an output, is counted apart: 1 to 1.

    Args:
        problem: what is mapped.
        hierarchy: the machine.
        nest: its nest.
        operand: whose tiles.
        position: the step that holds the tiles; None for what the multipliers read, a word each.
        fanouts: fan-outs between the level that is read and the tiles.
    """
    together = apart = 1
    if operand.role == "output":
        return 1, 1
    for axis in problem.live_axes(operand):
        if len(axis) > 1:
            pair = _of_axis(problem, hierarchy, nest, axis, position, fanouts)
            together, apart = together * pair[0], apart * pair[1]
    return together, apart


def _of_axis(
    problem: Problem, hierarchy: Hierarchy, nest: Nest, axis: Axis, position: int | None, fanouts: range
) -> tuple[int, int]:
    tile, strides = problem.extents, dict(axis)
    places = []
    for step in nest.steps[:position]:
        if isinstance(step, Hold) or step.dim not in strides:
            continue
        whole = tile[step.dim]
        tile[step.dim] = min(step.tile, whole)
        if whole % tile[step.dim]:
            return 1, 1
        if isinstance(step, Spread) and hierarchy.fanout_of(step.axis) in fanouts:
            places.append((strides[step.dim] * step.tile, whole // step.tile))
    width = 1 if position is None else 1 + sum(stride * (tile[dim] - 1) for dim, stride in axis)
    return covered_words(width, places), width * prod(lanes for _, lanes in places)
