"""The look that all figures share, and how a figure becomes bytes.

Colours are of the Okabe-Ito palette, told apart by colour-blind readers; nothing is told by colour alone, so that a
figure reads in grey. Identical bytes on every run: fixed salt and no date in the SVG, the Agg renderer, the font that
matplotlib ships, no pyplot state.
"""

from __future__ import annotations

import io
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure

__all__ = ["BLUE", "GREY", "HALO", "INK", "PALETTE", "STYLE", "VERMILION", "figure_bytes"]

BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
INK: Final = "#1a1a1a"
GREY: Final = "#6b6b6b"

STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "hwsim",
    "svg.fonttype": "path",
    "path.simplify": False,
    "text.parse_math": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
}

HALO: Final = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4}

PALETTE: Final = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", VERMILION, "#F0E442", GREY)
"""Fills of parts, in this order; neighbours differ in lightness too."""


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as ``svg`` or ``png``, the same bytes for the same figure."""
    with rc_context(STYLE):
        stream = io.BytesIO()
        metadata: dict[str, Any] = {"Date": None, "Creator": "hwsim"} if kind == "svg" else {"Software": "hwsim"}
        figure.savefig(stream, format=kind, metadata=metadata, facecolor="white")
        return stream.getvalue()
