"""Workloads: ops and their exact counts, graphs, model builders, and how tokens are produced.

What a workload file needs is exported here. ``op``, ``graph``, ``builders``, ``kernel`` and ``summary``
are imported by name, so that loading a file does not load networkx.
"""

from __future__ import annotations

from hwsim.workload.catalog import find_workload, workload_names
from hwsim.workload.decoding import Autoregressive, Decoding, Speculative
from hwsim.workload.model import Formats, Pass, Run, Workload

__all__ = [
    "Autoregressive",
    "Decoding",
    "Formats",
    "Pass",
    "Run",
    "Speculative",
    "Workload",
    "find_workload",
    "workload_names",
]
