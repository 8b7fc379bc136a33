"""Cycles of the selective-state-update lanes, II = 1 per lane.

The state of a tile of ``channels`` channels x ``d_state`` elements passes once through the lanes for each token.
With a single-port state memory the tile is read out wholly and then written back wholly (two passes, as the
LightMamba unit HT_STATE does); a dual-port memory reads and writes in the same pass.

Source: PKU-SEC-Lab/LightMamba, HT_STATE: 128 cycles read-out, then 128 cycles write-back per 8-channel tile.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "parent_fifo_peak",
    "scan_cycles",
    "scan_job_interval",
    "scan_tile_cycles",
    "scan_total_cycles",
    "state_passes",
]

PREPARE_CYCLES = 6
"""Registers that turn dt, rate and x into decay and drive, and the queue ahead of the lanes."""
QUEUE_JOBS = 8
"""Jobs taken and not yet done."""
LANE_CYCLES = 6
"""Registers from a state row's read to y: row, products, new state, products with C, sum, rounding."""
WRITE_CYCLES = 4
"""Cycles after which a state row that was read can be read anew."""


def state_passes(ports: int) -> int:
    """Passes over the state per token: 2 for a single-port memory, 1 for a dual-port one."""
    return 2 if ports == 1 else 1


def scan_tile_cycles(channels: int, d_state: int, tokens: int, *, lanes: int, ports: int) -> int:
    """Cycles of one tile for ``tokens`` tokens run one after the other."""
    return -(-channels * d_state // lanes) * state_passes(ports) * tokens


def scan_cycles(d_inner: int, d_state: int, tokens: int, *, tile_channels: int, lanes: int, ports: int) -> int:
    """Cycles of a whole layer's state update (a short last tile counts as a full one)."""
    tiles = -(-d_inner // tile_channels)
    return tiles * scan_tile_cycles(tile_channels, d_state, tokens, lanes=lanes, ports=ports)


def scan_job_interval(rows: int, ports: int) -> int:
    """Cycles between tokens of one tile, ``rows`` state rows each.

    Equal to `scan_tile_cycles` from 4 rows on; a shorter tile waits until its first row is written back.
    """
    first_pass = max(rows, WRITE_CYCLES)
    return first_pass + (rows if state_passes(ports) == 2 else 0)


def scan_total_cycles(jobs: int, rows: int, *, ports: int) -> int:
    """Cycles of ``jobs`` (tile, token) pairs run alone: first transfer in to the last y out."""
    return PREPARE_CYCLES + (jobs - 1) * scan_job_interval(rows, ports) + rows + LANE_CYCLES


def parent_fifo_peak(parents: Sequence[int]) -> int:
    """Most parent states alive at once when a token tree runs in breadth-first order.

    ``parents`` names each node's parent (-1: the state before the tree). A node with children is pushed when it is
    computed; a parent is popped with its last child, whose own state may take the freed place.
    """
    internal, last_child = set(parents) - {-1}, {parent: node for node, parent in enumerate(parents)}
    live = peak = 0
    for node, parent in enumerate(parents):
        live -= parent >= 0 and last_child[parent] == node
        live += node in internal
        peak = max(peak, live)
    return peak
