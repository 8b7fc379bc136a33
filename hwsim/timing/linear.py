"""Cycles of the GEMM tensor core: TP x CIP x COP multiply-accumulators, II = 1.

Each cycle the core takes CIP input channels of one weight row block and updates COP outputs of up to TP
token slots at once (weights are broadcast over the token slots). An output tile is COP outputs wide.

Source of the shape: PKU-SEC-Lab/LightMamba, ``tensor_core.h`` (TP x CIP x COP, weights broadcast over TP).
"""

from __future__ import annotations

__all__ = ["gemm_cycles", "output_tiles", "tile_cycles", "token_passes"]


def token_passes(tokens: int, tp: int) -> int:
    """Passes over one weight tile that ``tokens`` need with ``tp`` token slots: ceil(tokens / tp)."""
    return -(-tokens // tp)


def output_tiles(n: int, cop: int) -> int:
    """Output tiles of a layer with ``n`` output channels, ``cop`` outputs each."""
    return -(-n // cop)


def tile_cycles(k: int, tokens: int, *, tp: int, cip: int) -> int:
    """Cycles of one output tile: ceil(k / cip) for each pass over the tile's weights."""
    return -(-k // cip) * token_passes(tokens, tp)


def gemm_cycles(n: int, k: int, tokens: int, *, tp: int, cip: int, cop: int) -> int:
    """Cycles of a whole layer of ``n`` outputs and ``k`` inputs for ``tokens`` tokens, weights never late."""
    return output_tiles(n, cop) * tile_cycles(k, tokens, tp=tp, cip=cip)
