"""`cost_many`: the nests of a family, all at once (`hwsim.kernels.loopnest` has the tables)."""

from __future__ import annotations

import numpy as np

from hwsim.kernels.jit import jit, jit_part
from hwsim.kernels.loopnest import PLAIN, Array, Family, passed_words, tile_words, worst_port
from hwsim.kernels.loopnest_windows import shared_words

__all__ = ["cost_many"]


@jit
def cost_many(family: Family, tiles: Array) -> tuple[Array, Array, Array, Array]:
    """Cost many nests of one family, perfect factors; lanes take neighbouring tiles of the first node inside them.

    Args:
        family: the tables.
        tiles: (nests, nodes, dims) extents of the tile that each node holds.

    Returns:
        words (nests, nodes) that pass each node; energy_pj, cycles and fits (every tile has room), each (nests,).

    """
    nests, nodes, dims = tiles.shape
    words = np.empty((nests, nodes))
    energy_pj, cycles, fits = np.empty(nests), np.empty(nests), np.empty(nests, np.bool_)
    ports, used = np.empty(family.bandwidth.shape[0]), np.empty(family.capacity.shape[0])
    visits, once, plain = np.empty(dims), np.empty(nodes), np.empty((nodes, dims), np.bool_)
    sliding, residual, every = np.empty(nodes, np.bool_), np.empty((nodes, dims)), np.arange(nodes)
    for node in range(nodes):
        sliding[node], once[node] = _words_if_never_cut(family, node, plain)
    for nest in range(nests):
        used[:] = 0.0
        ports[:] = family.bytes_of[nodes]
        total = family.energy_of[nodes]
        for node in range(nodes):
            if sliding[node]:
                for dim in range(dims):
                    visits[dim] = family.extents[dim] / (tiles[nest, node, dim] * family.lanes_outside[node, dim])
                held = tile_words(family, family.node_operand[node], tiles[nest, node])
                passed = passed_words(family, node, visits, False)
            else:
                held, cuts = 1.0, 1.0
                for dim in range(dims):
                    if plain[node, dim]:
                        held *= tiles[nest, node, dim]
                    else:
                        cuts *= tiles[nest, node, dim]
                passed = once[node] / cuts
            used[family.node_level[node]] += family.room[node] * held
            words[nest, node] = passed
            total += family.energy_of[node] * passed
            for port in range(ports.shape[0]):
                ports[port] += family.bytes_of[node, port] * passed
        if family.share.shape[0]:
            residual[:] = tiles[nest] / family.lanes_inside
            total += _add_shares(family, words[nest], residual, every, ports)
        energy_pj[nest] = total
        cycles[nest] = worst_port(family, ports)
        fits[nest] = np.all(used <= family.capacity)
    return words, energy_pj, cycles, fits


@jit_part
def _add_shares(family: Family, words: Array, residual: Array, nodes: Array, ports: Array) -> float:
    """Add the shares' bytes to the ports; returns their energy."""
    energy, count = 0.0, nodes.shape[0]
    for row in range(family.share.shape[0]):
        at = family.share[row, 1]
        shared = shared_words(family, row, words[at], residual, nodes, count, at)
        energy += family.energy_of[count + 1 + row] * shared
        for port in range(ports.shape[0]):
            ports[port] += family.bytes_of[count + 1 + row, port] * shared
    return energy


@jit_part
def _words_if_never_cut(family: Family, node: int, plain: Array) -> tuple[bool, float]:
    """Whether a node's operand slides, and, if not, the words that pass it with tiles of one along all other dims.

    Marks in ``plain`` the dims that move its tile. The words of any tile are these over the tile's extents along the
    others, an exact quotient: both are whole and below 2^53.
    """
    operand, words = family.node_operand[node], 1.0
    sliding = False
    for axis in range(family.windows.shape[1]):
        sliding = sliding or family.windows[operand, axis, 0] >= 0
    for dim in range(family.extents.shape[0]):
        plain[node, dim] = family.relation[operand, dim] == PLAIN
        words *= family.extents[dim] if plain[node, dim] else family.extents[dim] / family.lanes_outside[node, dim]
    return sliding, words
