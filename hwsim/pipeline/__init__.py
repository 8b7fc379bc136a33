"""What the command line and notebooks call: `simulate` a workload on a machine, or time one `kernel`.

`seconds` is the time of a simulation alone.

An answer is made left to right: the formats that the machine has, the passes of a step, their state plans and graphs,
feasibility, schedule, and the books of time, bytes and energy.
"""

from hwsim.pipeline.question import Question
from hwsim.pipeline.simulate import seconds, simulate
from hwsim.pipeline.single import KernelResult, configured, kernel, kernels

__all__ = ["KernelResult", "Question", "configured", "kernel", "kernels", "seconds", "simulate"]
