"""Cycles of the selective-state-update lanes, II = 1 per lane.

The state of a tile of ``channels`` channels x ``d_state`` elements passes once through the lanes for each token.
With a single-port state memory the tile is read out wholly and then written back wholly (two passes, as the
LightMamba unit HT_STATE does); a dual-port memory reads and writes in the same pass.

Source: PKU-SEC-Lab/LightMamba, HT_STATE: 128 cycles read-out, then 128 cycles write-back per 8-channel tile.
"""

from __future__ import annotations

__all__ = ["scan_cycles", "scan_tile_cycles", "state_passes"]


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
