"""ReFOCUS's optical buffer: light that goes round a delay line and is tapped once a round, so that inputs are reused.

Symbols of the paper (MICRO 2023, section 4): loss ``l_d`` of the line per round, split ``a`` of the tap, reuse ``R``.
"""

from __future__ import annotations

__all__ = ["feed_forward_split", "line_loss", "optimal_split", "relative_laser_power", "stored_power"]


def line_loss(loss_db: float) -> float:
    """Share of the light lost in a round of ``loss_db`` decibels."""
    return float(1.0 - 10.0 ** (-loss_db / 10.0))


def stored_power(rounds: int, loss: float, split: float) -> float:
    """Light left after some rounds, of 1 put in: ``((1 - l_d) (1 - a))^i`` (equation 3)."""
    return float(((1.0 - loss) * (1.0 - split)) ** rounds)


def feed_forward_split(loss: float) -> float:
    """Split at which the direct and the delayed copy are equal: ``(1 - l_d) / (2 - l_d)`` (equation 4)."""
    return (1.0 - loss) / (2.0 - loss)


def optimal_split(reuses: int) -> float:
    """Split that needs the least laser for ``R`` reuses: ``1 / (R + 1)``."""
    return 1.0 / (reuses + 1)


def relative_laser_power(reuses: int, loss: float, split: float | None = None) -> float:
    """Laser power over that of a machine without a buffer, for the last of R + 1 uses to be bright enough.

    ``1 / ((R + 1) a ((1 - l_d)(1 - a))^R)``: the weakest tap is a times what R rounds leave, and one pulse serves R + 1
    uses. Also the dynamic range that the detectors must span at the optimal split.
    """
    a = optimal_split(reuses) if split is None else split
    return 1.0 / ((reuses + 1) * a * stored_power(reuses, loss, a))
