"""What runs when: a `Program` of tiles, edges and resources, and the `Schedule` that it takes."""

from hwsim.schedule.critical import critical_cycles
from hwsim.schedule.engine import Blocked, Deadlock, ResourceUse, Schedule, Slices, StageTimes, run
from hwsim.schedule.program import Block, Edge, Order, Program, Stage, after, barrier, fifo, previous_rep, ratio

__all__ = [
    "Block",
    "Blocked",
    "Deadlock",
    "Edge",
    "Order",
    "Program",
    "ResourceUse",
    "Schedule",
    "Slices",
    "Stage",
    "StageTimes",
    "after",
    "barrier",
    "critical_cycles",
    "fifo",
    "previous_rep",
    "ratio",
    "run",
]
