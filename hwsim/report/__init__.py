"""Drawing and writing only: tables, figures, traces and files made from Results. Numbers come from `hwsim.analysis`.

The functions below take Results and return a matplotlib `Figure`, which a notebook shows; they are imported when asked
for, and leave no pyplot state.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.report.notebook import (
        draw_breakdown,
        draw_compare,
        draw_context_roofline,
        draw_latency_throughput,
        draw_roofline,
        draw_timeline,
    )

__all__ = [
    "draw_breakdown",
    "draw_compare",
    "draw_context_roofline",
    "draw_latency_throughput",
    "draw_roofline",
    "draw_timeline",
]


def __getattr__(name: str) -> Any:
    """A figure's function, imported when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'hwsim.report' has no attribute {name!r}")
    return getattr(import_module("hwsim.report.notebook"), name)
