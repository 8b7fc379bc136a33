"""Design-space sweeps: a file of axes to points, points to rows, in this process, in several, or on a Dask cluster.

`load_sweep(file)` gives a `Sweep`, `points_of` its points in order, `run_points` a `Row` for each with an ``evaluate``
that the caller gives (the command's runs `simulate`). A `Journal` keeps finished rows so that a sweep can go on.
"""

from hwsim.sweep.journal import Journal
from hwsim.sweep.outcome import FIGURES, Row, front, row_of
from hwsim.sweep.points import Point, checked_points, points_of
from hwsim.sweep.run import dask_executor, process_executor, run_points
from hwsim.sweep.spec import MOST_POINTS, Range, Sweep, load_sweep

__all__ = [
    "FIGURES",
    "MOST_POINTS",
    "Journal",
    "Point",
    "Range",
    "Row",
    "Sweep",
    "checked_points",
    "dask_executor",
    "front",
    "load_sweep",
    "points_of",
    "process_executor",
    "row_of",
    "run_points",
]
