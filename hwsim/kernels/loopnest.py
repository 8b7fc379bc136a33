"""What many loop nests cost, all at once: arrays in, arrays out.

A *family* is a choice of what each level holds and of the dimensions on the lanes; its *nodes* are its (operand, level)
pairs. A nest of a family says in which order its nodes come and, per node, the extents of the tile that it holds. Its
cost is linear in the words ``V`` that pass each node, counted once for lanes that share them (`hwsim.mapping.family`
derives the coefficients): ``energy = e[-1] + e @ V`` and ``bytes of port p = b[-1, p] + V @ b[:, p]``. Where lanes may
overlap in a sliding window, the level above reads fewer words than pass: those reads are counted apart, as *shares*
(`hwsim.kernels.loopnest_windows`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hwsim.kernels.jit import jit_part

__all__ = ["Array", "Family", "passed_words", "tile_words", "worst_port"]

Array = npt.NDArray[Any]
NONE, PLAIN, WINDOW = 0, 1, 2
"""How a dimension moves an operand's tile: not at all, in disjoint steps, or as part of a sliding window."""


class Family(NamedTuple):
    """The tables of a family.

    Attributes:
        extents: (dims,) of the problem.
        relation: (operands, dims) of NONE, PLAIN, WINDOW.
        windows: (operands, axes, 4) first dim, its stride, second dim, its stride; -1 for no axis or no second dim.
        node_operand: (nodes,) operand of each node.
        node_level: (nodes,) level of each node.
        room: (nodes,) bytes of the level's capacity that a word of the tile takes.
        lanes_outside: (nodes, dims) lanes that a dimension has outside the node.
        lanes_inside: (nodes, dims) lanes that it has inside.
        capacity: (levels,) bytes.
        energy_of: (nodes + 1 + shares,) picojoules per word that passes, then the constant, then per word of a share.
        bytes_of: (nodes + 1 + shares, ports) bytes through the busiest instance, likewise.
        bandwidth: (ports,) bytes per cycle.
        compute: (1,) compute steps.
        node_above: (nodes,) fan-outs above the node's level.
        fan_lanes: (fan-outs, dims) lanes.
        share: (shares, 4) operand, node (-1: the multipliers), and the fan-outs between, from and up to.
        share_apart: (shares,) words that the multipliers would read with windows apart; unused for nodes.
        steered: (fan-outs, dims) whether it matters to a share how far apart the lanes lie.
        scratch: (3, room) to count windows in.

    """

    extents: Array
    relation: Array
    windows: Array
    node_operand: Array
    node_level: Array
    room: Array
    lanes_outside: Array
    lanes_inside: Array
    capacity: Array
    energy_of: Array
    bytes_of: Array
    bandwidth: Array
    compute: Array
    node_above: Array
    fan_lanes: Array
    share: Array
    share_apart: Array
    steered: Array
    scratch: Array


@jit_part
def tile_words(family: Family, operand: int, tile: Array) -> float:
    """Words of an operand's tile."""
    words = 1.0
    for dim in range(tile.shape[0]):
        if family.relation[operand, dim] == PLAIN:
            words *= tile[dim]
    for axis in range(family.windows.shape[1]):
        first, stride = family.windows[operand, axis, 0], family.windows[operand, axis, 1]
        if first >= 0:
            extent = 1.0 + stride * (tile[first] - 1)
            second = family.windows[operand, axis, 2]
            if second >= 0:
                extent += family.windows[operand, axis, 3] * (tile[second] - 1)
            words *= extent
    return words


@jit_part
def _window(stride: float, y: float, tiles_y: float, dilation: float, r: float, tiles_r: float) -> float:
    """Words of a window axis over all its tiles: the sum of ``1 + stride (y-1) + dilation (r-1)``."""
    return (1 - stride - dilation) * tiles_y * tiles_r + stride * y * tiles_r + dilation * r * tiles_y


@jit_part
def passed_words(family: Family, node: int, visits: Array, least: bool) -> float:
    """Words that pass a node over the whole run, when the loops outside it make ``visits`` tiles of each dimension.

    With ``least``: the fewest that any nest can reach by loops further in.
    """
    operand, words = family.node_operand[node], 1.0
    for dim in range(visits.shape[0]):
        relation = family.relation[operand, dim]
        if relation == NONE:
            words *= visits[dim]
        elif relation == PLAIN:
            words *= family.extents[dim]
    for axis in range(family.windows.shape[1]):
        first = family.windows[operand, axis, 0]
        if first < 0:
            continue
        stride, second = family.windows[operand, axis, 1], family.windows[operand, axis, 2]
        y, r, dilation, tiles_r = family.extents[first], 1.0, 0.0, 1.0
        tiles_y = visits[first] * family.lanes_outside[node, first]
        if second >= 0:
            dilation, r = family.windows[operand, axis, 3], family.extents[second]
            tiles_r = visits[second] * family.lanes_outside[node, second]
        box = _window(stride, y, tiles_y, dilation, r, tiles_r)
        if least:  # bilinear in the tiles, so least at a corner of what loops further in can reach
            box = min(box, _window(stride, y, y, dilation, r, tiles_r), _window(stride, y, tiles_y, dilation, r, r))
            box = min(box, _window(stride, y, y, dilation, r, r))
        words *= box
    return words


@jit_part
def worst_port(family: Family, ports: Array) -> float:
    """Ideal cycles: the largest of the compute steps and every port's bytes over its bandwidth, rounded up."""
    cycles = family.compute[0]
    for port in range(ports.shape[0]):
        if ports[port] > cycles * family.bandwidth[port]:
            cycles = ports[port] / family.bandwidth[port]
    return np.ceil(cycles)  # type: ignore[no-any-return]
